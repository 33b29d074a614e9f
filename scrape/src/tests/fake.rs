//! A target on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a fake target does with one request.
#[derive(Clone)]
pub(super) enum Answer {
    Body(&'static str, Vec<u8>),
    Status(u16),
    /// Says nothing.
    Hang,
    /// Headers, then bytes without end.
    Endless,
    /// Headers and half a body, then nothing.
    HalfBody,
}

pub(super) fn text(body: &str) -> Answer {
    Answer::Body("text/plain; version=0.0.4", body.as_bytes().to_vec())
}

/// A target that answers as it is told, over connections that stay open.
pub(super) struct Fake {
    pub(super) address: String,
    pub(super) answer: Arc<Mutex<Answer>>,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) sent: Arc<AtomicUsize>,
    pub(super) task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = Arc::new(Mutex::new(answer));
        let (requests, connections, sent) = (Arc::default(), Arc::default(), Arc::default());
        let context = (answer.clone(), Arc::clone(&requests), Arc::clone(&sent));
        let counter: Arc<AtomicUsize> = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let (answer, requests, sent) = context.clone();
                tokio::spawn(serve(stream, answer, requests, sent));
            }
        });
        Self { address, answer, requests, connections, sent, task }
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
) {
    let mut buffer = Vec::new();
    loop {
        while !buffer.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        requests.lock().push(String::from_utf8_lossy(&buffer).into_owned());
        buffer.clear();
        let answer = answer.lock().clone();
        match answer {
            Answer::Body(content_type, body) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all(&[head.as_bytes(), &body].concat()).await.is_err() {
                    return;
                }
            }
            Answer::Status(code) => {
                let head = format!("HTTP/1.1 {code} Internal Server Error\r\ncontent-length: 0\r\n\r\n");
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Hang => {
                let mut byte = [0];
                // Until the client gives up.
                let _ = stream.read(&mut byte).await;
                return;
            }
            Answer::HalfBody => {
                let _ = stream
                    .write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\na 1\n",
                    )
                    .await;
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Answer::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n").await;
                let piece = b"# endless\n".repeat(4096);
                while stream.write_all(&piece).await.is_ok() {
                    sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
                return;
            }
        }
    }
}
