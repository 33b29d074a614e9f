//! The encodings that a YAML file may have: UTF-8, or UTF-16 of either byte order, told apart by a byte order mark.
//! Source: go-yaml's reader.

/// A file's bytes that are no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Not UTF-8, which a file without a byte order mark must be.
    #[error("not UTF-8 at byte {0}; save the file as UTF-8, or as UTF-16 with a byte order mark")]
    Utf8(usize),
    /// Half a surrogate pair, or an odd number of bytes.
    #[error("not UTF-16, as its byte order mark says it is")]
    Utf16,
}

/// The text of a YAML file, without byte order mark.
pub fn decode(bytes: Vec<u8>) -> Result<String, EncodingError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(EncodingError::Utf16);
        }
        let units = pairs.map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| EncodingError::Utf16)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let marked = bytes.starts_with(b"\xef\xbb\xbf");
            let mut text =
                String::from_utf8(bytes).map_err(|e| EncodingError::Utf8(e.utf8_error().valid_up_to()))?;
            if marked {
                text.remove(0);
            }
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks() {
        for (bytes, want) in [
            (&b"a: \xc3\xa9"[..], Ok("a: é")),
            (b"", Ok("")),
            (b"\xef\xbb\xbfa: 1", Ok("a: 1")),
            (b"\xff\xfea\0:\0 \0\xe9\0", Ok("a: é")),
            (b"\xfe\xff\0a\0:\0 \0\xe9", Ok("a: é")),
            (b"\xff\xfe\x3d\xd8\x00\xde", Ok("\u{1f600}")),
            (b"\xff\xfe\x3d\xd8", Err(EncodingError::Utf16)),
            (b"\xff\xfea", Err(EncodingError::Utf16)),
            (b"ab\xff", Err(EncodingError::Utf8(2))),
        ] {
            assert_eq!(decode(bytes.to_vec()), want.map(str::to_owned), "{bytes:?}");
        }
    }
}
