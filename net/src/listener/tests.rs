//! Connections that hold on to what others wait for.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const READ_TIMEOUT: Duration = Duration::from_millis(300);
/// A loaded machine is slow; without the limits nothing would ever come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers with the body, or says why it has none.
#[derive(Clone)]
struct Echo;

impl Service<Request<RequestBody<Incoming>>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Incoming>>) -> Self::Future {
        Box::pin(async move {
            let body = match request.into_body().collect().await {
                Ok(body) => body.to_bytes(),
                Err(e) => Bytes::from(format!("no body: {e}")),
            };
            Ok(Response::new(Full::new(body)))
        })
    }
}

/// A server that takes so many connections at once.
struct Echoing {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Echoing {
    async fn start(max_connections: usize) -> Self {
        Self::start_with(Limits { max_connections, read_timeout: READ_TIMEOUT }).await
    }

    async fn start_with(limits: Limits) -> Self {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(vec![listener], Echo, limits, stop.clone()));
        Self { address, stop }
    }

    /// A connection on which something was sent.
    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// The answer on a new connection.
    async fn ask(&self, bytes: &[u8]) -> String {
        read_to_end(self.send(bytes).await).await
    }
}

impl Drop for Echoing {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends an answer as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

const GOOD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn connections_that_send_nothing_or_a_part_stop_nobody() {
    let parts: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nquery",
    ];
    for part in parts {
        let server = Echoing::start(3).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(server.send(part).await);
        }
        let answer = server.ask(GOOD).await;
        assert!(answer.ends_with("\r\n\r\nhi"), "after {:?}: {answer:?}", String::from_utf8_lossy(part));
        drop(held);
    }
}

#[tokio::test]
async fn a_kept_connection_is_ended_when_it_stays_idle() {
    let server = Echoing::start(3).await;
    let answer = server.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
}

#[tokio::test]
async fn a_trickled_body_is_ended_and_its_request_told_why() {
    let server = Echoing::start(3).await;
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    let (reading, mut writing) = server.send(head).await.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(READ_TIMEOUT / 10).await;
        }
    });
    let mut reading = reading;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut answer)).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("no body: the body did not arrive within 300ms"), "{answer:?}");
    trickle.abort();
}

#[tokio::test]
async fn no_time_limit_and_an_endless_one_are_the_same() {
    for read_timeout in [Duration::ZERO, Duration::MAX] {
        let server = Echoing::start_with(Limits { max_connections: 3, read_timeout }).await;
        let answer = server.ask(GOOD).await;
        assert!(answer.ends_with("\r\n\r\nhi"), "{read_timeout:?}: {answer:?}");
    }
}

#[tokio::test]
async fn long_heads_are_taken() {
    let server = Echoing::start(3).await;
    let value = "v".repeat(900_000);
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {value}\r\n\r\n");
    assert!(server.ask(request.as_bytes()).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn no_http2_without_tls() {
    let server = Echoing::start(3).await;
    let answer = server.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:?}");
}
