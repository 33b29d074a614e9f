//! What tests of mechanisms share: a scripted HTTP server, and the receiving end of reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::TargetGroup;

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Reply {
    /// 200 with JSON.
    pub fn json(body: impl Into<String>) -> Self {
        Self::of(200, "application/json", body)
    }

    /// An answer of any kind.
    pub fn of(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, content_type, body: body.into().into_bytes() }
    }
}

/// A server that answers as it is told to, and remembers what it was asked. Ends when it is dropped.
pub struct Server {
    /// `http://127.0.0.1:port`
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers every request with what `answer` says.
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<_>>> = Arc::default();
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), answer.clone()));
            }
        });
        Self { url, asked, task }
    }

    /// Answers by path and query; 404 for any other.
    pub async fn of(answers: &[(&str, &str)]) -> Self {
        let answers: BTreeMap<String, String> =
            answers.iter().map(|(target, body)| ((*target).to_owned(), (*body).to_owned())).collect();
        Self::start(move |asked| match answers.get(&asked.target) {
            Some(body) => Reply::json(body.clone()),
            None => Reply::of(404, "text/plain", format!("no {}", asked.target)),
        })
        .await
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> Reply + Send + Sync + 'static>,
) {
    let mut bytes = Vec::new();
    loop {
        let Some(asked) = read(&mut stream, &mut bytes).await else { return };
        let reply = answer(&asked);
        seen.lock().push(asked);
        let head = format!(
            "HTTP/1.1 {} Status\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            reply.status,
            reply.content_type,
            reply.body.len()
        );
        if stream.write_all(&[head.as_bytes(), &reply.body].concat()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
            let mut words = first.split(' ');
            let headers: BTreeMap<String, String> = rest
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let len: usize = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
            if bytes.len() >= end + 4 + len {
                let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + len]).into_owned();
                let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
                bytes.drain(..end + 4 + len);
                return Some(Asked { method, target, headers, body });
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Every target with the labels of its group, one a line, sorted.
pub fn show(groups: &[TargetGroup]) -> Vec<String> {
    let mut lines: Vec<String> = groups
        .iter()
        .flat_map(|group| {
            group.targets.iter().map(|target| {
                let mut all = model::LabelsBuilder::new();
                for (name, value) in group.labels.iter().chain(target.iter()) {
                    all.set(name, value);
                }
                all.finish().to_string()
            })
        })
        .collect();
    lines.sort();
    lines
}
