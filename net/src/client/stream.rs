//! A connection's bytes, whatever carries them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_openssl::SslStream;

/// Plain, local or encrypted. TLS can be in TLS: through a proxy that is itself spoken to in TLS.
pub(super) enum Stream {
    /// With the other end's address, which the system forgets when the connection is reset.
    Tcp(TcpStream, Option<SocketAddr>),
    Unix(UnixStream),
    Tls(Box<SslStream<FirstBytes>>),
}

impl Stream {
    /// A plain connection.
    pub fn tcp(stream: TcpStream) -> Self {
        let peer = stream.peer_addr().ok();
        Self::Tcp(stream, peer)
    }

    /// This end's address and the other's, as long as the system knows them.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp(tcp, peer) => Some((tcp.local_addr().ok()?, (*peer)?)),
            Self::Unix(_) => None,
            Self::Tls(tls) => tls.get_ref().addresses(),
        }
    }

    /// Whether both ends agreed to speak HTTP/2.
    pub fn is_http2(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.ssl().selected_alpn_protocol() == Some(b"h2"),
            _ => false,
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

impl Drop for Stream {
    /// Ends TLS in order, if that needs no waiting: servers log what breaks off.
    fn drop(&mut self) {
        if let Self::Tls(tls) = self {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut **tls).poll_shutdown(&mut cx);
        }
    }
}

/// A connection that remembers how its answer began: what is no TLS may be HTTP, and then the message says so.
pub(super) struct FirstBytes {
    stream: Stream,
    first: [u8; 5],
    len: usize,
}

impl FirstBytes {
    pub fn new(stream: Stream) -> Self {
        Self { stream, first: [0; 5], len: 0 }
    }

    /// At most five.
    pub fn first(&self) -> &[u8] {
        self.first.get(..self.len).unwrap_or_default()
    }

    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.stream.addresses()
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.len < this.first.len() {
            for byte in buf.filled().get(before..).unwrap_or_default() {
                if let Some(place) = this.first.get_mut(this.len) {
                    *place = *byte;
                    this.len += 1;
                }
            }
        }
        polled
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
