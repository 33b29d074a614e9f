//! The listener: accepts connections up to a limit, serves HTTP/1.1 and HTTP/2 on them, ends them in time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::lenient::Lenient;

/// Connections that are still busy when the server stops may take so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Simultaneous connections over all listeners; further ones wait to be accepted.
    pub max_connections: usize,
    /// A request's head must have arrived after so long.
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

/// Serves until `stop`, then lets open requests finish for a moment.
pub async fn serve(listeners: Vec<TcpListener>, router: Router, limits: Limits, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(limits.max_connections.max(1)));
    let graceful = Arc::new(GracefulShutdown::new());
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            tokio::spawn(accept(
                listener,
                router.clone(),
                limits,
                permits.clone(),
                graceful.clone(),
                stop.clone(),
            ))
        })
        .collect();
    for task in accepting {
        // A panic there has been printed by the runtime; the other listeners go on.
        let _ = task.await;
    }
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = tokio::time::timeout(LAST_WORDS, graceful.shutdown()).await;
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    permits: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    stop: CancellationToken,
) {
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = permits.clone().acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = graceful.watcher();
                let router = router.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    serve_connection(stream, peer, router, limits, connection).await;
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

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    graceful: hyper_util::server::graceful::Watcher,
) {
    // Answers are written whole or in large pieces; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            Ok::<_, Infallible>(tower_service(router, request).await)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.read_timeout);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(250);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(Lenient::new(stream)), service).into_owned();
    if let Err(e) = graceful.watch(connection).await {
        tracing::debug!(err = %e, peer = %peer, "Connection ended");
    }
}

async fn tower_service(mut router: Router, request: Request) -> axum::response::Response {
    use tower_service::Service;
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
