//! HTTP/1: one request and its answer on a connection. A request is written and its answer read by the task that wants
//! it, so that a scrape wakes no other.

mod head;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::error::{ReadError, io_text};
use super::stream::Stream;
use super::tls;

pub(super) use head::{Framing, Head, write_request};

/// Bytes of an answer's head, and of the interim answers before it, as in Go.
const MAX_HEAD: usize = 10 << 20;
/// What is read at once while no buffer of the caller's can take it.
const READ_SIZE: usize = 8 << 10;
/// Bytes of a line of a chunked body, and of the headers after it.
const MAX_CHUNK_LINE: usize = 4 << 10;
/// A length that a server only claims takes no more memory than this before the bytes come.
const MAX_RESERVE: usize = 1 << 20;

/// A connection while it serves a request.
pub(super) struct Connection {
    stream: Stream,
    /// Read but not used: from `start` on.
    buffer: Vec<u8>,
    start: usize,
}

/// Why an exchange failed, as far as a second attempt depends on it.
pub(super) struct Failure {
    pub error: ReadError,
    pub stage: Stage,
}

/// How far an exchange came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not a byte of the request was written.
    Unwritten,
    /// Not a byte of an answer came.
    Unanswered,
    Answered,
}

impl Connection {
    pub fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new(), start: 0 }
    }

    /// The bare connection, if nothing is left over in it.
    pub fn into_idle(self) -> Option<Stream> {
        self.pending().is_empty().then_some(self.stream)
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Writes a request, whole or as far as the server wants it, and reads the head of the answer.
    pub async fn exchange(&mut self, request: &[&[u8]], is_head: bool) -> Result<Head, Failure> {
        let mut outgoing = Outgoing { parts: request, part: 0, at: 0, written: 0, error: None };
        // The head of the final answer begins here; before it are interim answers.
        let mut begin = 0;
        let mut searched = 0;
        let mut line_checked = false;
        loop {
            let end = head::end_of_head(&self.buffer, searched);
            // The last read may have brought more than is left of the limit.
            if end.unwrap_or(self.buffer.len()) >= MAX_HEAD {
                let why = format!("net/http: server response headers exceeded {MAX_HEAD} bytes; aborted");
                return Err(self.broken(ReadError::Malformed(why)));
            }
            if let Some(end) = end {
                let head = head::parse(self.buffer.get(begin..end).unwrap_or_default(), is_head);
                let head = head.map_err(|why| self.broken(ReadError::Malformed(why)))?;
                if head.status.is_informational() && head.status.as_u16() != 101 {
                    (begin, searched, line_checked) = (end, end, false);
                    continue;
                }
                self.consume(end);
                let keeps_open = head.keeps_open && outgoing.is_done() && outgoing.error.is_none();
                return Ok(Head { keeps_open, ..head });
            }
            // Whatever is no HTTP is told at its first line, be the connection open or not.
            let head = self.buffer.get(begin..).unwrap_or_default();
            if !line_checked && head.contains(&b'\n') {
                head::status_line(head).map_err(|why| self.broken(ReadError::Malformed(why)))?;
                line_checked = true;
            }
            searched = self.buffer.len().saturating_sub(3).max(begin);
            self.buffer.reserve(READ_SIZE);
            let read = poll_fn(|cx| self.poll_exchange(cx, &mut outgoing)).await;
            if let Err(error) = read {
                return Err(self.failed(error, outgoing));
            }
        }
    }

    fn broken(&self, error: ReadError) -> Failure {
        Failure { error, stage: Stage::Answered }
    }

    fn failed(&self, error: ReadError, outgoing: Outgoing<'_>) -> Failure {
        let error = match (error, outgoing.error) {
            (ReadError::Eof, _) if !self.buffer.is_empty() => ReadError::UnexpectedEof,
            // The server ended the connection while the request was written, and said nothing.
            (ReadError::Eof, Some(error)) => error,
            (error, _) => error,
        };
        let stage = if !self.buffer.is_empty() {
            Stage::Answered
        } else if outgoing.written == 0 {
            Stage::Unwritten
        } else {
            Stage::Unanswered
        };
        Failure { error, stage }
    }

    /// Writes what can be written and reads into the buffer; ready when bytes came.
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing<'_>,
    ) -> Poll<Result<(), ReadError>> {
        outgoing.poll_write(cx, &mut self.stream);
        let reading = self.stream.read_buf(&mut self.buffer);
        let read = ready!(std::pin::pin!(reading).poll(cx));
        Poll::Ready(match read {
            Ok(0) => Err(ReadError::Eof),
            Ok(_) => Ok(()),
            Err(error) => Err(explain(&error, &self.stream)),
        })
    }

    /// Reads at least one byte and at most `max` to the end of `out`; 0 at the end of the connection.
    async fn read_into(&mut self, out: &mut Vec<u8>, max: usize) -> Result<usize, ReadError> {
        let pending = self.pending();
        if !pending.is_empty() {
            let taken = pending.len().min(max);
            out.extend_from_slice(&pending[..taken]);
            self.consume(taken);
            return Ok(taken);
        }
        let mut room = out.limit(max);
        self.stream.read_buf(&mut room).await.map_err(|error| explain(&error, &self.stream))
    }

    /// Reads more into the buffer.
    async fn fill(&mut self) -> Result<(), ReadError> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(READ_SIZE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(ReadError::UnexpectedEof),
            Ok(_) => Ok(()),
            Err(error) => Err(explain(&error, &self.stream)),
        }
    }
}

fn explain(error: &io::Error, stream: &Stream) -> ReadError {
    match tls::io_alert(error) {
        Some(alert) => ReadError::Malformed(alert),
        None => ReadError::Io { text: io_text(error), addresses: stream.addresses() },
    }
}

/// What is left of a request to write.
struct Outgoing<'a> {
    parts: &'a [&'a [u8]],
    part: usize,
    at: usize,
    written: usize,
    error: Option<ReadError>,
}

impl Outgoing<'_> {
    fn is_done(&self) -> bool {
        self.parts.get(self.part..).unwrap_or_default().iter().all(|part| part.is_empty())
    }

    /// An error is kept: the server may have answered before it closed.
    fn poll_write(&mut self, cx: &mut Context<'_>, stream: &mut Stream) {
        while let Some(part) = self.parts.get(self.part).filter(|_| self.error.is_none()) {
            let left = part.get(self.at..).unwrap_or_default();
            if left.is_empty() {
                (self.part, self.at) = (self.part + 1, 0);
                continue;
            }
            match Pin::new(&mut *stream).poll_write(cx, left) {
                Poll::Ready(Ok(written)) => {
                    self.at += written;
                    self.written += written;
                }
                Poll::Ready(Err(error)) => {
                    let addresses = stream.addresses();
                    let text = match addresses {
                        Some((local, peer)) => {
                            format!("write tcp {local}->{peer}: write: {}", io_text(&error))
                        }
                        None => format!("write: {}", io_text(&error)),
                    };
                    self.error = Some(ReadError::Malformed(text));
                }
                Poll::Pending => return,
            }
        }
    }
}

/// The body of an answer, as far as it is not read.
pub(super) struct Body {
    connection: Connection,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    Close,
    /// Bytes left of a chunk, whose end follows.
    Chunk(u64),
    NextChunk,
    End,
}

impl Body {
    pub fn new(connection: Connection, framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::NextChunk,
            Framing::Close => State::Close,
        };
        Self { connection, state }
    }

    /// Whether the whole body has been read.
    pub fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// The bytes that the server says are left.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Appends at least one byte and at most `max` to `out`; 0 at the end.
    pub async fn read_some(&mut self, out: &mut Vec<u8>, max: usize) -> Result<usize, ReadError> {
        loop {
            match self.state {
                State::End => return Ok(0),
                State::Close => {
                    reserve(out, READ_SIZE.min(max));
                    let read = self.connection.read_into(out, max).await?;
                    if read == 0 {
                        self.state = State::End;
                    }
                    return Ok(read);
                }
                State::Length(left) | State::Chunk(left) => {
                    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(max);
                    reserve(out, wanted.min(MAX_RESERVE));
                    let read = self.connection.read_into(out, wanted).await?;
                    if read == 0 {
                        return Err(ReadError::UnexpectedEof);
                    }
                    let left = left - read as u64;
                    self.state = match self.state {
                        State::Length(_) if left == 0 => State::End,
                        State::Length(_) => State::Length(left),
                        _ => State::Chunk(left),
                    };
                    if self.state == State::Chunk(0) {
                        self.end_chunk().await?;
                    }
                    return Ok(read);
                }
                State::NextChunk => self.begin_chunk().await?,
            }
        }
    }

    /// A chunk's bytes end with an empty line, and the last chunk is seen at once, so that a caller who needs no more
    /// bytes knows the end.
    async fn end_chunk(&mut self) -> Result<(), ReadError> {
        while self.connection.pending().len() < 2 {
            self.connection.fill().await?;
        }
        if !self.connection.pending().starts_with(b"\r\n") {
            return Err(ReadError::Malformed("malformed chunked encoding".to_owned()));
        }
        self.connection.consume(2);
        self.state = State::NextChunk;
        Ok(())
    }

    async fn begin_chunk(&mut self) -> Result<(), ReadError> {
        let line_len = loop {
            let pending = self.connection.pending();
            if let Some(newline) = pending.iter().position(|b| *b == b'\n') {
                break newline + 1;
            }
            if pending.len() >= MAX_CHUNK_LINE {
                return Err(ReadError::Malformed("header line too long".to_owned()));
            }
            self.connection.fill().await?;
        };
        let line = self.connection.pending().get(..line_len).unwrap_or_default();
        let size = chunk_size(line).map_err(|why| ReadError::Malformed(why.to_owned()))?;
        self.connection.consume(line_len);
        if size > 0 {
            self.state = State::Chunk(size);
            return Ok(());
        }
        self.skip_trailer().await?;
        self.state = State::End;
        Ok(())
    }

    /// Headers after the last chunk mean nothing here, but must be headers.
    async fn skip_trailer(&mut self) -> Result<(), ReadError> {
        loop {
            let pending = self.connection.pending();
            if pending.starts_with(b"\r\n") {
                self.connection.consume(2);
                return Ok(());
            }
            if let Some(end) = pending.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let trailer = pending.get(..end + 4).unwrap_or_default();
                head::parse_headers(trailer).map_err(ReadError::Malformed)?;
                self.connection.consume(end + 4);
                return Ok(());
            }
            if pending.len() >= MAX_CHUNK_LINE {
                let why = "http: suspiciously long trailer after chunked body";
                return Err(ReadError::Malformed(why.to_owned()));
            }
            self.connection.fill().await.map_err(|error| match error {
                ReadError::UnexpectedEof => {
                    ReadError::Malformed("http: unexpected EOF reading trailer".to_owned())
                }
                error => error,
            })?;
        }
    }
}

fn reserve(out: &mut Vec<u8>, bytes: usize) {
    if out.capacity() - out.len() < bytes {
        out.reserve(bytes);
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    let line = match line.iter().position(|b| *b == b'\r') {
        None => return Err("chunked line ends with bare LF"),
        Some(at) if at + 2 != line.len() => return Err("invalid CR in chunked line"),
        Some(at) => &line[..at],
    };
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() {
        return Err("empty hex number for chunk length");
    }
    let mut size = 0_u64;
    for (i, byte) in digits.iter().enumerate() {
        let digit = char::from(*byte).to_digit(16).ok_or("invalid byte in chunk length")?;
        if i == 16 {
            return Err("http chunk length too large");
        }
        size = size << 4 | u64::from(digit);
    }
    Ok(size)
}
