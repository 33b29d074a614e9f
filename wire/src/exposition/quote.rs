//! Pieces of a hostile body inside error messages.

use model::labels::Quoted;

/// Longer pieces are cut: an error must not carry a body of megabytes into logs and target states.
const MAX_QUOTED: usize = 1024;

/// Bytes in double quotes as Go's `%q` prints them, invalid UTF-8 as `\xNN`; cut after 1 KiB.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(MAX_QUOTED)];
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for chunk in shown.utf8_chunks() {
        let text = Quoted(chunk.valid()).to_string();
        out.push_str(&text[1..text.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if shown.len() < bytes.len() {
        out.push_str("...");
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_like_go() {
        assert_eq!(quoted(b"a\"\\\n\x00\xff\xc3\xa9"), r#""a\"\\\n\x00\xffé""#);
        assert!(quoted(&[b'x'; 4096]).len() < 1100);
    }
}
