//! Takes request lines that people type and Go's server accepts, such as `?query=up{job="x"}` with bare quotes: the
//! three characters that the HTTP library refuses in a target are percent-encoded on their way to it.
//!
//! Prometheus's own documentation has such lines (`delete_series?match[]=x{job="y"}`). Nothing but the target of a
//! request line is touched: a line begins a connection, or follows what the server wrote, unless that was only
//! `100 Continue`. HTTP/2 does not begin with a method and passes as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A reader's buffer that is smaller is not read into directly while a request line is expected.
const SMALL: usize = 64;
const METHODS: [&[u8]; 6] = [b"GET /", b"POST /", b"PUT /", b"HEAD /", b"DELETE /", b"OPTIONS /"];

/// A connection whose request lines are mended.
pub struct RequestLineEncoder<S> {
    inner: S,
    place: Place,
    /// Mended bytes that did not fit into the reader's buffer.
    left: Vec<u8>,
    left_from: usize,
}

/// Where in the client's bytes the next one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where a request may begin.
    Start,
    /// In a request line.
    Line,
    /// In headers or body.
    Rest,
}

impl<S> RequestLineEncoder<S> {
    /// Mends what is read from `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, place: Place::Start, left: Vec::new(), left_from: 0 }
    }

    /// Mends the next piece; `None` when it is as it should be.
    fn mend(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        if piece.is_empty() {
            return None;
        }
        let (line_end, place) = request_line(self.place, piece);
        self.place = place;
        let (line, rest) = piece.split_at(line_end);
        let mut mended = mended(line)?;
        mended.extend_from_slice(rest);
        Some(mended)
    }

    fn take_left(&mut self, buf: &mut ReadBuf<'_>) {
        let n = buf.remaining().min(self.left.len() - self.left_from);
        buf.put_slice(&self.left[self.left_from..self.left_from + n]);
        self.left_from += n;
        if self.left_from == self.left.len() {
            self.left = Vec::new();
            self.left_from = 0;
        }
    }
}

/// How much of a piece belongs to a request line, and where the next piece stands.
fn request_line(place: Place, piece: &[u8]) -> (usize, Place) {
    let is_request = match place {
        Place::Start => METHODS.iter().any(|method| piece.starts_with(method)),
        Place::Line => true,
        Place::Rest => false,
    };
    if !is_request {
        return (0, Place::Rest);
    }
    match piece.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        Some(end) => (end, Place::Rest),
        None => (piece.len(), Place::Line),
    }
}

/// A request line as the HTTP library takes it, unless it does so already.
fn mended(line: &[u8]) -> Option<Vec<u8>> {
    if !line.iter().any(|b| matches!(b, b'"' | b'<' | b'>')) {
        return None;
    }
    let mut mended = Vec::with_capacity(line.len() + 16);
    for byte in line {
        match byte {
            b'"' => mended.extend_from_slice(b"%22"),
            b'<' => mended.extend_from_slice(b"%3C"),
            b'>' => mended.extend_from_slice(b"%3E"),
            other => mended.push(*other),
        }
    }
    Some(mended)
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestLineEncoder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            self.take_left(buf);
            return Poll::Ready(Ok(()));
        }
        if self.place == Place::Rest {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        if buf.remaining() < SMALL {
            // Too little to tell a request by.
            let mut scratch = [0u8; SMALL];
            let mut read = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
            self.left = self.mend(read.filled()).unwrap_or_else(|| read.filled().to_vec());
            self.take_left(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if let Some(mended) = self.mend(&buf.filled()[before..]) {
            self.left = mended;
            buf.set_filled(before);
            self.take_left(buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestLineEncoder<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !buf.starts_with(b"HTTP/1.1 100 ") {
            self.place = Place::Start;
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !bufs.first().is_some_and(|first| first.starts_with(b"HTTP/1.1 100 ")) {
            self.place = Place::Start;
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn mend(place: Place, piece: &[u8]) -> (Place, Vec<u8>) {
        let mut lenient = RequestLineEncoder { place, ..RequestLineEncoder::new(()) };
        let mended = lenient.mend(piece).unwrap_or(piece.to_vec());
        (lenient.place, mended)
    }

    #[test]
    fn only_the_line_is_mended() {
        let (place, mended) =
            mend(Place::Start, b"GET /q?query=a{b=\"<c>\"} HTTP/1.1\r\nX: \"y\"\r\n\r\n\"body\"");
        assert_eq!(mended, b"GET /q?query=a{b=%22%3Cc%3E%22} HTTP/1.1\r\nX: \"y\"\r\n\r\n\"body\"");
        assert_eq!(place, Place::Rest);
        for other in [&b"PRI * HTTP/2.0\r\n\"\r\n"[..], b"\"GET /\"", b"{\"a\":\"b\"}"] {
            assert_eq!(mend(Place::Start, other), (Place::Rest, other.to_vec()));
        }
        assert_eq!(mend(Place::Start, b"POST /a\""), (Place::Line, b"POST /a%22".to_vec()));
        assert_eq!(mend(Place::Line, b"\"b HTTP/1.1\r\n\""), (Place::Rest, b"%22b HTTP/1.1\r\n\"".to_vec()));
    }

    #[tokio::test]
    async fn every_request_of_a_connection_is_mended_and_no_body() {
        let (client, server) = tokio::io::duplex(64);
        let (mut client, mut server) = (client, RequestLineEncoder::new(server));
        let mut byte = [0u8; 1];
        let mut seen = Vec::new();
        let request = b"POST /a\"b HTTP/1.1\r\n\r\nGET /\"body\" HTTP/1.1\r\n";
        for (round, answer) in
            [&b"HTTP/1.1 100 Continue\r\n"[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n"]
                .iter()
                .enumerate()
        {
            let sent: &[u8] = if round == 1 { b"GET /\"more body\" " } else { request };
            client.write_all(sent).await.unwrap();
            let want = if round == 1 { sent.len() } else { sent.len() + 2 };
            for _ in 0..want {
                server.read_exact(&mut byte).await.unwrap();
                seen.push(byte[0]);
            }
            server.write_all(answer).await.unwrap();
            let mut answered = vec![0; answer.len()];
            client.read_exact(&mut answered).await.unwrap();
        }
        let mended = "POST /a%22b HTTP/1.1\r\n\r\nGET /\"body\" HTTP/1.1\r\n";
        assert_eq!(String::from_utf8(seen).unwrap(), format!("{mended}GET /\"more body\" {mended}"));
    }
}
