//! Heads of requests and answers. What Go's client accepts of an answer is accepted: lines that end in LF alone, folded
//! lines, names with spaces, any number of headers.

use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Framing {
    /// After this number of bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the connection ends.
    Close,
}

/// The head of an answer.
#[derive(Debug)]
pub(in crate::client) struct Head {
    pub status: StatusCode,
    /// Code and words as the server wrote them.
    pub status_text: Option<Box<str>>,
    pub headers: HeaderMap,
    pub framing: Framing,
    /// The connection may serve another request once the body is read.
    pub keeps_open: bool,
}

/// Appends a request's first line and headers. `target` is a path, or a whole URL for a proxy.
pub(in crate::client) fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    host: &str,
    headers: &HeaderMap,
    body_len: Option<usize>,
) {
    for part in [method, " ", target, " HTTP/1.1\r\nHost: ", host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(len) = body_len {
        out.extend_from_slice(format!("Content-Length: {len}\r\n").as_bytes());
    }
    for (name, value) in headers {
        write_name(out, name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// With capitals, as Go writes names; some servers know no other spelling.
fn write_name(out: &mut Vec<u8>, name: &HeaderName) {
    let mut is_first = true;
    for byte in name.as_str().bytes() {
        out.push(if is_first { byte.to_ascii_uppercase() } else { byte });
        is_first = byte == b'-';
    }
}

/// Where a head ends: after its empty line. `from` is where an earlier search stopped, at most three bytes before the
/// end of what was there.
pub(super) fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(newline) = bytes.get(at..)?.iter().position(|b| *b == b'\n') {
        at += newline + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Cuts off the next line and what ends it.
fn line<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let (line, rest) = match bytes.iter().position(|b| *b == b'\n') {
        Some(newline) => (&bytes[..newline], &bytes[newline + 1..]),
        None => (*bytes, &[][..]),
    };
    *bytes = rest;
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// An answer's first line.
pub(super) struct StatusLine<'a> {
    version: (u8, u8),
    status: StatusCode,
    /// Code and words.
    text: &'a [u8],
}

/// Reads an answer's first line, which may be followed by other bytes.
pub(super) fn status_line(mut bytes: &[u8]) -> Result<StatusLine<'_>, String> {
    let line = line(&mut bytes);
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some(space) = line.iter().position(|b| *b == b' ') else {
        return Err(format!("malformed HTTP response {:?}", shown(line)));
    };
    let (version, text) = line.split_at(space);
    let text = text.trim_ascii_start();
    let code = text.split(|b| *b == b' ').next().unwrap_or_default();
    let status = (code.len() == 3).then(|| StatusCode::from_bytes(code).ok()).flatten();
    let status = status.ok_or_else(|| format!("malformed HTTP status code {:?}", shown(code)))?;
    match version {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
            Ok(StatusLine { version: (major - b'0', minor - b'0'), status, text })
        }
        _ => Err(format!("malformed HTTP version {:?}", shown(version))),
    }
}

/// Parses a whole head. `is_head` tells that the request's method was HEAD.
pub(super) fn parse(bytes: &[u8], is_head: bool) -> Result<Head, String> {
    let StatusLine { version, status, text } = status_line(bytes)?;
    let mut rest = bytes;
    line(&mut rest);
    let headers = parse_headers(rest)?;
    let is_chunked = version >= (1, 1) && is_chunked(&headers)?;
    let length = content_length(&headers)?;
    let closes = closes(version, &headers);
    let has_no_body = is_head || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let framing = match length {
        _ if has_no_body => Framing::Length(0),
        _ if is_chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    // What ends with the connection leaves none; an answer that switches protocols leaves one that is not HTTP's.
    let keeps_open = !closes && framing != Framing::Close && !status.is_informational();
    let status_text = (status != StatusCode::OK).then(|| String::from_utf8_lossy(text).into());
    Ok(Head { status, status_text, headers, framing, keeps_open })
}

/// Parses header lines up to the empty one.
pub(super) fn parse_headers(bytes: &[u8]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(8);
    let mut rest = bytes;
    let malformed = |what: &str, line: &[u8]| {
        Err(format!("malformed MIME header {what}: {:?}", String::from_utf8_lossy(line)))
    };
    if matches!(rest.first(), Some(b' ' | b'\t')) {
        let line = line(&mut rest);
        return malformed("initial line", &line[..line.len().min(80)]);
    }
    let mut unfolded;
    loop {
        let first = line(&mut rest);
        let first = first.trim_ascii_end();
        if first.is_empty() {
            return Ok(headers);
        }
        let Some(colon) = first.iter().position(|b| *b == b':') else {
            return Err(format!(
                "malformed MIME header: missing colon: {:?}",
                String::from_utf8_lossy(first)
            ));
        };
        let mut whole = first;
        if matches!(rest.first(), Some(b' ' | b'\t')) {
            unfolded = first.to_vec();
            while matches!(rest.first(), Some(b' ' | b'\t')) {
                unfolded.push(b' ');
                unfolded.extend_from_slice(line(&mut rest).trim_ascii());
            }
            whole = &unfolded;
        }
        let (name, value) = (&whole[..colon], whole[colon + 1..].trim_ascii_start());
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~ ".contains(b);
        if name.is_empty() || !name.iter().all(is_name) {
            return malformed("line", whole);
        }
        let Ok(value) = HeaderValue::from_bytes(value) else { return malformed("line", whole) };
        // Names with spaces mean nothing to anybody, and neither do headers beyond 32,768.
        if let Ok(name) = HeaderName::from_bytes(name) {
            let _ = headers.try_append(name, value);
        }
    }
}

fn is_chunked(headers: &HeaderMap) -> Result<bool, String> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = encodings.next() else { return Ok(false) };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    if encodings.next().is_some() {
        let all: Vec<String> =
            headers.get_all(TRANSFER_ENCODING).iter().map(|v| format!("{:?}", text(v))).collect();
        return Err(format!("too many transfer encodings: [{}]", all.join(" ")));
    }
    if first.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(true);
    }
    Err(format!("unsupported transfer encoding: {:?}", text(first)))
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| value.as_bytes().trim_ascii());
    let Some(first) = lengths.next() else { return Ok(None) };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    if lengths.any(|other| other != first) {
        let all = headers.get_all(CONTENT_LENGTH).iter().map(|v| format!("{:?}", text(v.as_bytes())));
        let all: Vec<String> = all.collect();
        return Err(format!(
            "http: message cannot contain multiple Content-Length headers; got [{}]",
            all.join(" ")
        ));
    }
    if first.is_empty() {
        return Err("invalid empty Content-Length \"\"".to_owned());
    }
    let digits = std::str::from_utf8(first).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse::<u64>().ok()).filter(|length| *length < 1 << 63);
    length.map(Some).ok_or_else(|| format!("bad Content-Length {:?}", text(first)))
}

fn closes(version: (u8, u8), headers: &HeaderMap) -> bool {
    let has = |token: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            let mut tokens = value.as_bytes().split(|b| *b == b',');
            tokens.any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    };
    match version {
        (0, _) => true,
        (1, 0) => has("close") || !has("keep-alive"),
        _ => has("close"),
    }
}
