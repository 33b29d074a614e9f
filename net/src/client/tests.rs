//! The client against small servers on loopback. `testdata` holds an authority and a certificate for `localhost`,
//! signed by it, that also serves as the client's; they end in a hundred years.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use config::http_client::{Auth, Authorization, BasicAuth, Header, OAuth2, Secret, SecretSource, TlsConfig};
use config::url::GoUrl;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;

const SECOND: Duration = Duration::from_secs(5);

/// Answers each request with what `answer` makes of its head and body; remembers requests.
#[derive(Clone)]
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(answer), None).await
    }

    async fn listen(answer: Answer, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let this = Self { address, requests: Arc::default() };
        let requests = this.requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, requests, tls) = (answer.clone(), requests.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
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

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
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
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
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

async fn get(client: &HttpClient, url: Url) -> Result<String, String> {
    let response = client.send(Request::get(url), SECOND).await.map_err(|e| e.to_string())?;
    let body = response.read(1 << 20, Vec::new()).await.map_err(|e| e.to_string())?;
    Ok(String::from_utf8(body).unwrap())
}

fn client(config: &HttpClientConfig) -> HttpClient {
    HttpClient::new(config, "agent/1").unwrap()
}

fn inline(text: &str) -> Option<SecretSource> {
    Some(SecretSource::Inline(Secret::new(text)))
}

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/client/testdata").join(name)
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
        "authorization: Basic bWU6b25l\r\n",
        "user-agent: agent/1\r\n",
        "x-extra: open\r\n",
        "x-extra: hidden\r\n",
        "x-extra: from file\r\n",
    ] {
        assert!(request.contains(line), "{line:?} in {request}");
    }
    std::fs::write(&password, "two").unwrap();
    get(&client, server.url("/")).await.unwrap();
    assert!(server.last().contains("authorization: Basic bWU6dHdv\r\n"));
    std::fs::remove_file(&password).unwrap();
    let error = get(&client, server.url("/")).await.unwrap_err();
    let want = format!("unable to read file {}: no such file or directory", password.display());
    assert!(error.ends_with(&want), "{error}");
}

#[tokio::test]
async fn redirects_keep_credentials_at_home() {
    let other = Server::start(|_| ok("there")).await;
    let location = other.url("/landed").to_string();
    let server = Server::start(move |request| match request.split(' ').nth(1).unwrap() {
        "/same" => reply("302 Found", "location: /end\r\n", b""),
        "/keep" => reply("307 Temporary Redirect", "location: end\r\n", b""),
        "/other" => reply("301 Moved", &format!("location: {location}\r\n"), b""),
        "/round" => reply("302 Found", "location: /round\r\n", b""),
        "/file" => reply("302 Found", "location: file:///etc/passwd\r\n", b""),
        _ => ok("here"),
    })
    .await;
    let config = HttpClientConfig {
        auth: Auth::Authorization(Authorization { scheme: "Bearer".to_owned(), credentials: inline("t") }),
        ..HttpClientConfig::default()
    };
    let follows = client(&config);
    assert_eq!(get(&follows, server.url("/same")).await.unwrap(), "here");
    assert!(server.last().contains("authorization: Bearer t\r\n"));
    assert_eq!(get(&follows, server.url("/other")).await.unwrap(), "there");
    assert!(!other.last().contains("authorization"));
    let post = |path: &str| Request::post(server.url(path), "text/plain", "data");
    follows.send(post("/keep"), SECOND).await.unwrap();
    assert!(server.last().starts_with("POST /end ") && server.last().ends_with("data"));
    follows.send(post("/same"), SECOND).await.unwrap();
    assert!(server.last().starts_with("GET /end ") && !server.last().contains("content-type"));
    let error = get(&follows, server.url("/round")).await.unwrap_err();
    assert!(error.ends_with("stopped after 10 redirects"), "{error}");
    let error = get(&follows, server.url("/file")).await.unwrap_err();
    assert!(error.ends_with("unsupported protocol scheme \"file\""), "{error}");
    let stays = client(&HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() });
    let response = stays.send(Request::get(server.url("/same")), SECOND).await.unwrap();
    assert_eq!(response.status, StatusCode::FOUND);
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
        let response = client.send(Request::get(server.url(path)), SECOND).await.unwrap();
        response.read(limit, Vec::new()).await.map(|body| body.len())
    };
    assert!(matches!(read("/bomb", 1_000_000).await, Err(HttpError::BodyTooLarge)));
    assert_eq!(read("/bomb", 10_000_001).await.unwrap(), 10_000_000);
    assert_eq!(read("/", 11).await.unwrap(), 10);
    assert!(matches!(read("/", 10).await, Err(HttpError::BodyTooLarge)));
    assert!(matches!(read("/corrupt", 100).await, Err(HttpError::Body(_))));
    let response = client.send(Request::get(server.url("/cut")), Duration::from_millis(200)).await.unwrap();
    assert!(matches!(response.read(1000, Vec::new()).await, Err(HttpError::Deadline)));
}

#[tokio::test]
async fn tokens_are_fetched_once_and_again_when_the_secret_changes() {
    let tokens = Server::start(|request| {
        // Wants the credentials in the form.
        if request.contains("authorization: Basic ") {
            return reply("401 Unauthorized", "", b"in the form please");
        }
        let secret = request.rsplit("client_secret=").next().unwrap().split('&').next().unwrap();
        ok(&format!("{{\"access_token\":\"for-{secret}\",\"token_type\":\"bearer\",\"expires_in\":3600}}"))
    })
    .await;
    let server = Server::start(|_| ok("")).await;
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "s1").unwrap();
    let oauth2 = OAuth2 {
        client_id: "id".to_owned(),
        client_secret: Some(SecretSource::File(secret.clone())),
        token_url: tokens.url("/token").to_string(),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        endpoint_params: vec![("more".to_owned(), "x y".to_owned())],
        ..OAuth2::default()
    };
    let client =
        client(&HttpClientConfig { auth: Auth::OAuth2(Box::new(oauth2)), ..HttpClientConfig::default() });
    for _ in 0..3 {
        get(&client, server.url("/")).await.unwrap();
        assert!(server.last().contains("authorization: Bearer for-s1\r\n"), "{}", server.last());
    }
    assert_eq!(tokens.lines().len(), 2);
    let form = "grant_type=client_credentials&client_id=id&client_secret=s1&scope=a+b&more=x+y";
    assert!(tokens.last().ends_with(form), "{}", tokens.last());
    std::fs::write(&secret, "s2").unwrap();
    get(&client, server.url("/")).await.unwrap();
    assert!(server.last().contains("authorization: Bearer for-s2\r\n"));
}

#[tokio::test]
async fn proxies_forward_and_tunnel() {
    let proxy = Server::start(|request| match request.starts_with("CONNECT") {
        true => reply("403 Forbidden", "", b""),
        false => ok("through"),
    })
    .await;
    let mut config = HttpClientConfig::default();
    config.proxy.url = GoUrl::parse(&format!("http://u:p@{}", proxy.address)).ok();
    config.proxy.connect_header = vec![("X-Connect".to_owned(), vec![Secret::new("c")])];
    let client = client(&config);
    let url = |text: &str| Url::parse(text).unwrap();
    assert_eq!(get(&client, url("http://nowhere.invalid/a?b=c")).await.unwrap(), "through");
    assert!(proxy.last().starts_with("GET http://nowhere.invalid/a?b=c HTTP/1.1\r\n"), "{}", proxy.last());
    assert!(proxy.last().contains("proxy-authorization: Basic dTpw\r\n"));
    let error = get(&client, url("https://nowhere.invalid/")).await.unwrap_err();
    assert!(error.contains("proxyconnect"), "{error}");
    let connect = proxy.last().to_ascii_lowercase();
    assert!(connect.starts_with("connect nowhere.invalid:443 http/1.1\r\n"), "{connect}");
    assert!(
        connect.contains("x-connect: c\r\n") && connect.contains("proxy-authorization: basic dtpw\r\n"),
        "{connect}"
    );
}

async fn tls_server(client_auth: bool) -> (Server, Url) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = || vec![CertificateDer::from_pem_file(testdata("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(testdata("server.key")).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if client_auth {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(testdata("ca.pem")).unwrap()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(chain(), key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = Server::listen(Arc::new(|_: &str| ok("secure")), Some(acceptor)).await;
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    (server, url)
}

#[tokio::test]
async fn certificates_are_verified_as_configured() {
    let (_server, url) = tls_server(false).await;
    let ca = Some(SecretSource::File(testdata("ca.pem")));
    let name = "localhost".to_owned();
    let with = |tls: TlsConfig| client(&HttpClientConfig { tls, ..HttpClientConfig::default() });
    let named = TlsConfig { ca: ca.clone(), server_name: name.clone(), ..TlsConfig::default() };
    assert_eq!(get(&with(named.clone()), url.clone()).await.unwrap(), "secure");
    // The address is not in the certificate; the system does not know the authority.
    for tls in
        [TlsConfig { ca, ..TlsConfig::default() }, TlsConfig { server_name: name, ..TlsConfig::default() }]
    {
        let error = get(&with(tls), url.clone()).await.unwrap_err();
        assert!(error.contains("tls: invalid peer certificate"), "{error}");
    }
    let careless = TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() };
    assert_eq!(get(&with(careless), url.clone()).await.unwrap(), "secure");
    for max_version in [config::http_client::TlsVersion::Tls12, config::http_client::TlsVersion::Tls13] {
        let tls =
            TlsConfig { max_version: Some(max_version), min_version: Some(max_version), ..named.clone() };
        assert_eq!(get(&with(tls), url.clone()).await.unwrap(), "secure");
    }
    let old = TlsConfig { max_version: Some(config::http_client::TlsVersion::Tls11), ..TlsConfig::default() };
    let config = HttpClientConfig { tls: old, ..HttpClientConfig::default() };
    assert_eq!(HttpClient::new(&config, "a").err(), Some(SetupError::TlsVersion("TLS11")));
}

#[tokio::test]
async fn certificate_files_are_read_again_when_they_change() {
    let (_server, url) = tls_server(true).await;
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
    // An authority's certificate is none for a client.
    std::fs::copy(testdata("ca.pem"), &cert).unwrap();
    std::fs::copy(testdata("server.key"), &key).unwrap();
    let tls = TlsConfig {
        ca: Some(SecretSource::File(testdata("ca.pem"))),
        server_name: "localhost".to_owned(),
        cert: Some(SecretSource::File(cert.clone())),
        key: Some(SecretSource::File(key)),
        ..TlsConfig::default()
    };
    let client = client(&HttpClientConfig { tls, ..HttpClientConfig::default() });
    assert!(get(&client, url.clone()).await.is_err());
    std::fs::copy(testdata("server.pem"), &cert).unwrap();
    assert_eq!(get(&client, url).await.unwrap(), "secure");
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
    let url = Url::parse("http://anything.invalid/metrics").unwrap();
    assert_eq!(get(&client, url).await.unwrap(), "local");
    assert!(requests.lock()[0].contains("host: anything.invalid\r\n"));
}
