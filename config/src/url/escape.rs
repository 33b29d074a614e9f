//! Percent escapes, by the part of a URL in which they stand. Source: Go's `net/url`.

use std::borrow::Cow;

use super::UrlError;

/// A part of a URL: each leaves other characters unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Host,
    Zone,
    UserInfo,
    Fragment,
}

impl Part {
    fn is_plain(self, byte: u8) -> bool {
        let more: &[u8] = match self {
            Self::Path => b"$&+,/:;=@",
            Self::Host | Self::Zone => b"!\"$&'()*+,:;<=>[]",
            Self::UserInfo => b"$&+,;=",
            Self::Fragment => b"!$&()*+,/:;=?@",
        };
        byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || more.contains(&byte)
    }
}

/// Escapes what may not stand in the part.
pub(super) fn escape(bytes: &[u8], part: Part) -> Cow<'_, str> {
    if bytes.iter().all(|byte| part.is_plain(*byte))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for &byte in bytes {
        if part.is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    Cow::Owned(out)
}

/// The bytes that the escapes stand for.
pub(super) fn unescape(text: &str, part: Part) -> Result<Vec<u8>, UrlError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let escape = || UrlError::Escape(text.get(at..).unwrap_or_default().chars().take(3).collect());
            let digit = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
            let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else { return Err(escape()) };
            let value = (high << 4 | low) as u8;
            // In a host only what is not ASCII may be escaped, and the percent sign before a zone.
            let refused = match part {
                Part::Host => value < 0x80 && value != b'%',
                Part::Zone => value != b'%' && value != b' ' && !Part::Host.is_plain(value),
                _ => false,
            };
            if refused {
                return Err(escape());
            }
            out.push(value);
            at += 3;
        } else {
            if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && !part.is_plain(byte) {
                return Err(UrlError::HostCharacter(char::from(byte)));
            }
            out.push(byte);
            at += 1;
        }
    }
    Ok(out)
}

/// A path as it is sent: as written when nothing in it needs escaping, escaped anew otherwise.
pub(super) fn path(written: &str) -> Result<String, UrlError> {
    let bytes = unescape(written, Part::Path)?;
    let as_written = |byte: &u8| Part::Path.is_plain(*byte) || b"!'()*[]%".contains(byte);
    if written.as_bytes().iter().all(as_written) {
        return Ok(written.to_owned());
    }
    Ok(if bytes == b"*" { "*".to_owned() } else { escape(&bytes, Part::Path).into_owned() })
}
