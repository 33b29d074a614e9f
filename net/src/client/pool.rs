//! Connections that wait for their next request.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::http2::Sender;
use super::stream::Stream;

/// Idle connections are closed after this; longer than usual scrape intervals, as in Prometheus.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How often connections that their server closed, or that were idle for too long, are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Per host, as in Prometheus.
const MAX_IDLE: usize = 1000;

/// The connections of one client, by the host as URLs name it.
#[derive(Default)]
pub(super) struct Pool {
    plain: Mutex<Hosts>,
    encrypted: Mutex<Hosts>,
    http2: Mutex<HashMap<Box<str>, Sender>>,
}

#[derive(Default)]
struct Hosts {
    idle: HashMap<Box<str>, Vec<Idle>>,
    is_swept: bool,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

impl Pool {
    fn hosts(&self, encrypted: bool) -> &Mutex<Hosts> {
        if encrypted { &self.encrypted } else { &self.plain }
    }

    /// The connection that was used last and that the server has not closed.
    pub fn take(&self, encrypted: bool, host: &str) -> Option<Stream> {
        let mut hosts = self.hosts(encrypted).lock();
        let idle = hosts.idle.get_mut(host)?;
        while let Some(mut last) = idle.pop() {
            if last.is_usable(Instant::now()) {
                return Some(last.stream);
            }
        }
        None
    }

    /// Keeps a connection. The first one starts the task that closes old ones.
    pub fn put(self: &Arc<Self>, encrypted: bool, host: &str, stream: Stream) {
        let mut hosts = self.hosts(encrypted).lock();
        let idle = Idle { stream, since: Instant::now() };
        match hosts.idle.get_mut(host) {
            Some(list) if list.len() < MAX_IDLE => list.push(idle),
            Some(_) => {}
            None => drop(hosts.idle.insert(host.into(), vec![idle])),
        }
        if !hosts.is_swept {
            hosts.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), encrypted));
        }
    }

    /// A host's connection of HTTP/2, which serves many requests at once.
    pub fn http2(&self, host: &str) -> Option<Sender> {
        self.http2.lock().get(host).cloned()
    }

    pub fn put_http2(&self, host: &str, sender: Sender) {
        self.http2.lock().insert(host.into(), sender);
    }

    /// Forgets a connection of HTTP/2 that did not serve a request.
    pub fn forget_http2(&self, host: &str) {
        self.http2.lock().remove(host);
    }

    /// Forgets the connections of HTTP/2 that are closed.
    pub fn prune_http2(&self) {
        self.http2.lock().retain(|_, sender| !sender.is_closed());
    }
}

impl Idle {
    /// Whether the connection is still open and silent. A server that closed it, or speaks out of turn, is noticed here
    /// as soon as the system knows.
    fn is_usable(&mut self, now: Instant) -> bool {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        now.duration_since(self.since) < IDLE_TIMEOUT
            && matches!(Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer), Poll::Pending)
    }
}

async fn sweep(pool: Weak<Pool>, encrypted: bool) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        pool.hosts(encrypted).lock().idle.retain(|_, list| {
            list.retain_mut(|idle| idle.is_usable(now));
            !list.is_empty()
        });
        pool.prune_http2();
    }
}
