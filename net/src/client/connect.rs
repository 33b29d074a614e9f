//! Opening connections: straight, through a proxy or to a Unix socket, then TLS if the URL asks for it.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use config::http_client::HttpClientConfig;
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::error::io_text;
use super::proxy::{Proxies, Proxy, ProxyKind};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("dial {network} {address}: {reason}")]
    Dial { network: &'static str, address: String, reason: String },
    #[error("proxyconnect {address}: {reason}")]
    Proxy { address: String, reason: String },
    #[error("tls: {0}")]
    Tls(String),
    #[error("unsupported protocol scheme {0:?}")]
    Scheme(String),
    #[error("no Host in request URL")]
    NoHost,
}

/// Opens connections for one client.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    server_name: String,
    proxies: Proxies,
    socket: Option<PathBuf>,
}

impl Connector {
    pub fn new(
        tls: Option<Arc<ClientConfig>>,
        config: &HttpClientConfig,
        proxies: Proxies,
        socket: Option<PathBuf>,
    ) -> Self {
        Self { tls, server_name: config.tls.server_name.clone(), proxies, socket }
    }

    async fn connect(self, uri: Uri) -> Result<Conn, ConnectError> {
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            other => return Err(ConnectError::Scheme(other.unwrap_or_default().to_owned())),
        };
        let proxy = self.proxies.choose(&uri).filter(|_| self.socket.is_none());
        let (io, forwarded) = match (&self.socket, proxy) {
            (Some(path), _) => (Box::new(TokioIo::new(dial_unix(path).await?)) as Box<dyn Io>, false),
            (None, None) => (Box::new(TokioIo::new(dial(&uri).await?)) as Box<dyn Io>, false),
            (None, Some(proxy)) => self.through(proxy, &uri, encrypted).await?,
        };
        if !encrypted {
            return Ok(Conn { io, h2: false, forwarded });
        }
        let tls = self.handshake(io, &uri).await?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Conn { io: Box::new(TokioIo::new(tls)), h2, forwarded: false })
    }

    /// A connection that ends at the server, or for plain HTTP at a proxy that forwards requests (then true).
    async fn through(
        &self,
        proxy: &Proxy,
        uri: &Uri,
        encrypted: bool,
    ) -> Result<(Box<dyn Io>, bool), ConnectError> {
        let failed = |reason: String| ConnectError::Proxy { address: proxy.uri.to_string(), reason };
        let dialer = ProxyDialer { tls: self.tls.clone(), encrypted: proxy.kind == ProxyKind::Https };
        match proxy.kind {
            ProxyKind::Socks5 { remote_dns } => {
                let mut socks = SocksV5::new(proxy.uri.clone(), dialer).local_dns(!remote_dns);
                if let Some((user, password)) = &proxy.credentials {
                    socks = socks.with_auth(user.clone(), password.clone());
                }
                let io = socks.call(uri.clone()).await.map_err(|error| failed(error.to_string()))?;
                Ok((Box::new(io), false))
            }
            _ if !encrypted => {
                let mut dialer = dialer;
                let io = dialer.call(proxy.uri.clone()).await.map_err(|error| failed(error.to_string()))?;
                Ok((Box::new(io), true))
            }
            _ => {
                let mut tunnel = Tunnel::new(proxy.uri.clone(), dialer).with_headers(proxy.connect_headers());
                let io = tunnel.call(uri.clone()).await.map_err(|error| failed(error.to_string()))?;
                Ok((Box::new(io), false))
            }
        }
    }

    async fn handshake(
        &self,
        io: Box<dyn Io>,
        uri: &Uri,
    ) -> Result<TlsStream<TokioIo<Box<dyn Io>>>, ConnectError> {
        let tls = self.tls.clone().ok_or_else(|| ConnectError::Tls("not set up".to_owned()))?;
        let host = if self.server_name.is_empty() { bare_host(uri) } else { &self.server_name };
        start_tls(tls, host, io).await
    }
}

async fn start_tls(
    tls: Arc<ClientConfig>,
    host: &str,
    io: Box<dyn Io>,
) -> Result<TlsStream<TokioIo<Box<dyn Io>>>, ConnectError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::Tls(format!("invalid server name {host:?}")))?;
    TlsConnector::from(tls)
        .connect(name, TokioIo::new(io))
        .await
        .map_err(|error| ConnectError::Tls(io_text(&error)))
}

fn bare_host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h") => 1080,
        _ => 80,
    })
}

async fn dial(uri: &Uri) -> Result<TcpStream, ConnectError> {
    let host = bare_host(uri);
    if host.is_empty() {
        return Err(ConnectError::NoHost);
    }
    let connected = TcpStream::connect((host, port(uri))).await;
    let stream = connected.map_err(|error| {
        // An error of the system is about connecting; anything else is about the name.
        let reason = match error.raw_os_error() {
            Some(_) => format!("connect: {}", io_text(&error)),
            None => format!("lookup {host}: {}", lookup_text(&error)),
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        ConnectError::Dial { network: "tcp", address: format!("{bracketed}:{}", port(uri)), reason }
    })?;
    // Latency matters more than packets; failing to say so does not matter.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn lookup_text(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("Name or service not known") || text.contains("No address associated") {
        return "no such host".to_owned();
    }
    text.trim_start_matches("failed to lookup address information: ").to_owned()
}

async fn dial_unix(path: &PathBuf) -> Result<UnixStream, ConnectError> {
    UnixStream::connect(path).await.map_err(|error| ConnectError::Dial {
        network: "unix",
        address: path.display().to_string(),
        reason: format!("connect: {}", io_text(&error)),
    })
}

/// Connects to a proxy, with TLS for an `https` proxy.
#[derive(Clone)]
struct ProxyDialer {
    tls: Option<Arc<ClientConfig>>,
    encrypted: bool,
}

impl Service<Uri> for ProxyDialer {
    type Response = Box<dyn Io>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let io = Box::new(TokioIo::new(dial(&uri).await?)) as Box<dyn Io>;
            if !this.encrypted {
                return Ok(io);
            }
            let tls = match this.tls {
                // The proxy speaks HTTP/1.1 only, whatever the server behind it may offer.
                Some(tls) => {
                    let mut tls = ClientConfig::clone(&tls);
                    tls.alpn_protocols.clear();
                    Arc::new(tls)
                }
                None => return Err(ConnectError::Tls("no certificates for the proxy".to_owned())),
            };
            let tls = start_tls(tls, bare_host(&uri), io).await?;
            Ok(Box::new(TokioIo::new(tls)) as Box<dyn Io>)
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Bytes in both directions, of whatever transport.
trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// An open connection.
pub(super) struct Conn {
    io: Box<dyn Io>,
    h2: bool,
    /// To a proxy that wants whole URLs in requests.
    forwarded: bool,
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.forwarded);
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl Write for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }
}
