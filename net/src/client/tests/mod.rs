//! The client against small servers on loopback.

mod aws;
mod http1;
mod oauth2;
mod proxies;
mod redirects;
mod tls;

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;

use config::http_client::{Auth, BasicAuth, Header, Secret, SecretSource};
use openssl::ssl::{Ssl, SslContext};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_openssl::SslStream;

use super::*;

const SECOND: Duration = Duration::from_secs(5);

/// Answers each request with what `answer` makes of its head and body; remembers requests.
#[derive(Clone)]
struct Server {
    scheme: &'static str,
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(answer), None).await
    }

    async fn listen(answer: Answer, tls: Option<SslContext>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let this = Self { scheme, address, requests: Arc::default() };
        let requests = this.requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, requests, tls) = (answer.clone(), requests.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let mut stream = SslStream::new(Ssl::new(&tls).unwrap(), stream).unwrap();
                            if Pin::new(&mut stream).accept().await.is_ok() {
                                serve(stream, answer, requests).await;
                            }
                        }
                        None => serve(stream, answer, requests).await,
                    }
                });
            }
        });
        this
    }

    fn url(&self, path: &str) -> GoUrl {
        url(&format!("{}://{}{path}", self.scheme, self.address))
    }

    /// The request lines so far.
    fn lines(&self) -> Vec<String> {
        self.requests.lock().iter().map(|r| r.lines().next().unwrap().to_owned()).collect()
    }

    fn last(&self) -> String {
        self.requests.lock().last().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let request = loop {
            let text = String::from_utf8_lossy(&buffer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: "));
                if body.len() >= length.map_or(0, |l| l.parse().unwrap()) {
                    break text;
                }
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        buffer.clear();
        let reply = answer(&request);
        requests.lock().push(request);
        if reply.is_empty() || stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ok(body: &str) -> Vec<u8> {
    reply("200 OK", "", body.as_bytes())
}

async fn get(client: &HttpClient, url: GoUrl) -> Result<String, String> {
    let response = client.send(&Request::get(url), SECOND).await.map_err(|e| e.to_string())?;
    let body = response.read(1 << 20, Vec::new()).await.map_err(|e| e.to_string())?;
    Ok(String::from_utf8(body).unwrap())
}

fn url(text: &str) -> GoUrl {
    GoUrl::parse(text).unwrap()
}

fn client(config: &HttpClientConfig) -> HttpClient {
    HttpClient::new(config, "agent/1").unwrap()
}

fn inline(text: &str) -> Option<SecretSource> {
    Some(SecretSource::Inline(Secret::new(text)))
}

#[tokio::test]
async fn credentials_and_headers_are_read_for_each_request() {
    let server = Server::start(|_| ok("")).await;
    let dir = tempfile::tempdir().unwrap();
    let (password, header) = (dir.path().join("password"), dir.path().join("header"));
    std::fs::write(&password, "one\n").unwrap();
    std::fs::write(&header, " from file \n").unwrap();
    let config = HttpClientConfig {
        auth: Auth::Basic(BasicAuth {
            username: inline("me"),
            password: Some(SecretSource::File(password.clone())),
        }),
        headers: vec![Header {
            name: "X-Extra".to_owned(),
            values: vec!["open".to_owned()],
            secrets: vec![Secret::new("hidden")],
            files: vec![header],
        }],
        ..HttpClientConfig::default()
    };
    let client = client(&config);
    get(&client, server.url("/")).await.unwrap();
    let request = server.last();
    for line in [
        "Authorization: Basic bWU6b25l\r\n",
        "User-Agent: agent/1\r\n",
        "X-Extra: open\r\n",
        "X-Extra: hidden\r\n",
        "X-Extra: from file\r\n",
    ] {
        assert!(request.contains(line), "{line:?} in {request}");
    }
    std::fs::write(&password, "two").unwrap();
    get(&client, server.url("/")).await.unwrap();
    assert!(server.last().contains("Authorization: Basic bWU6dHdv\r\n"));
    std::fs::remove_file(&password).unwrap();
    let error = get(&client, server.url("/")).await.unwrap_err();
    let path = password.display();
    let want = format!(
        "unable to read basic auth password: unable to read file {path}: open {path}: no such file or directory"
    );
    assert!(error.ends_with(&want), "{error}");
}

#[tokio::test]
async fn bodies_are_inflated_under_the_limit() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'x'; 10_000_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    let server = Server::start(move |request| match request.split(' ').nth(1).unwrap() {
        "/bomb" => reply("200 OK", "content-encoding: gzip\r\n", &bomb),
        "/corrupt" => reply("200 OK", "content-encoding: gzip\r\n", b"plain"),
        "/cut" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart".to_vec(),
        _ => ok("0123456789"),
    })
    .await;
    let client = client(&HttpClientConfig::default());
    let read = async |path: &str, limit| {
        let response = client.send(&Request::get(server.url(path)), SECOND).await.unwrap();
        response.read(limit, Vec::new()).await.map(|body| body.len())
    };
    assert!(matches!(read("/bomb", 1_000_000).await, Err(HttpError::BodyTooLarge)));
    assert_eq!(read("/bomb", 10_000_001).await.unwrap(), 10_000_000);
    assert_eq!(read("/", 11).await.unwrap(), 10);
    assert!(matches!(read("/", 10).await, Err(HttpError::BodyTooLarge)));
    assert!(matches!(read("/corrupt", 100).await, Err(HttpError::Body(_))));
    let response = client.send(&Request::get(server.url("/cut")), Duration::from_millis(200)).await.unwrap();
    assert!(matches!(response.read(1000, Vec::new()).await, Err(HttpError::Deadline)));
}

#[tokio::test]
async fn unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, Arc::new(|_: &str| ok("local")), seen.clone()).await;
        }
    });
    let client = HttpClient::with_socket(&HttpClientConfig::default(), "a", Some(path)).unwrap();
    assert_eq!(get(&client, url("http://anything.invalid/metrics")).await.unwrap(), "local");
    assert!(requests.lock()[0].contains("Host: anything.invalid\r\n"));
}
