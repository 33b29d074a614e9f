//! The listener: accepts connections up to a limit, serves HTTP/1.1 on them, ends them in time. As Go's server it speaks
//! no HTTP/2 without TLS.

mod request_body;
mod request_line;
#[cfg(test)]
mod tests;
mod write_stall;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

pub use request_body::{BodyTimeout, RequestBody};
use request_line::RequestLineEncoder;
use write_stall::WriteStall;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long connections that are busy when the server stops may go on.
const GRACE: Duration = Duration::from_secs(2);

/// How long a client may take nothing of an answer. Prometheus sets no limit there; this one leaves room for a client
/// that is suspended for a while.
const WRITE_STALL: Duration = Duration::from_secs(5 * 60);
/// Stands for never: later than anything runs, and a time that the clock can say.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Bytes of a request's head that are taken, as in Go: its `DefaultMaxHeaderBytes` and 4 KiB more.
const HEAD_LIMIT: usize = (1 << 20) + 4096;

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Simultaneous connections over all listeners; further ones wait to be accepted.
    pub max_connections: usize,
    /// Within which a request's head must arrive, counted from the connection's begin or the answer before; and again
    /// its body, counted from the head's arrival. 0 is no limit, as in Go.
    pub read_timeout: Duration,
}

/// Binds an address as `--web.listen-address` gives it: `host:port`, `:port`, `[::1]:port`.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let failed = |source| BindError { address: address.to_owned(), source };
    match address.strip_prefix(':') {
        // All interfaces, IPv6 and IPv4 where the system has both, as in Go.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Ok(listener) => Ok(listener),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(failed(e)),
            Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await.map_err(failed),
        },
        None => TcpListener::bind(address).await.map_err(failed),
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another --web.listen-address or stop what uses it")]
pub struct BindError {
    address: String,
    source: std::io::Error,
}

/// Serves until `stop`, then lets open requests finish for a moment. `service` answers every request; it must always be
/// ready.
pub async fn serve<S, B>(listeners: Vec<TcpListener>, service: S, limits: Limits, stop: CancellationToken)
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send,
    S: Sync + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let read_timeout = if limits.read_timeout.is_zero() { NEVER } else { limits.read_timeout.min(NEVER) };
    let limits = Limits { read_timeout, ..limits };
    let graceful = Arc::new(GracefulShutdown::new());
    let server = Server {
        service,
        limits,
        permits: Arc::new(Semaphore::new(limits.max_connections.max(1))),
        graceful: graceful.clone(),
        stop,
    };
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| tokio::spawn(server.clone().accept(listener))).collect();
    drop(server);
    for task in accepting {
        // A panic there has been printed by the runtime; the other listeners go on.
        let _ = task.await;
    }
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }
}

/// Who asks, as an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What all connections share.
#[derive(Clone)]
struct Server<S> {
    service: S,
    limits: Limits,
    permits: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    stop: CancellationToken,
}

impl<S, B> Server<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send,
    S: Sync + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    async fn accept(self, listener: TcpListener) {
        loop {
            let permit = tokio::select! {
                () = self.stop.cancelled() => return,
                permit = self.permits.clone().acquire_owned() => permit,
            };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let watcher = self.graceful.watcher();
                    let (service, limits) = (self.service.clone(), self.limits);
                    tokio::spawn(async move {
                        let _permit = permit;
                        serve_connection(stream, peer, service, limits, watcher).await;
                    });
                }
                Err(e) => {
                    // Out of file descriptors and the like: wait for some to close instead of spinning.
                    tracing::warn!(err = %e, "Accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve_connection<S, B>(
    stream: TcpStream,
    peer: SocketAddr,
    service: S,
    limits: Limits,
    watcher: Watcher,
) where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send,
    S: 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    // Answers are written whole or in large pieces; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        service.clone().call(request.map(|body| RequestBody::new(body, limits.read_timeout)))
    });
    // Told the protocol, it does not wait without a limit for the bytes that would show it.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_timeout)
        .max_buf_size(HEAD_LIMIT);
    let stream = TokioIo::new(RequestLineEncoder::new(WriteStall::new(stream, WRITE_STALL)));
    let connection = builder.serve_connection(stream, service).into_owned();
    if let Err(e) = watcher.watch(connection).await {
        tracing::debug!(err = %e, peer = %peer, "Connection ended");
    }
}
