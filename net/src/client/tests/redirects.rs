//! Redirects.

use config::http_client::Authorization;

use super::*;

#[tokio::test]
async fn redirects_keep_credentials_at_home() {
    let other = Server::start(|_| ok("there")).await;
    // The same machine under another name is another host; under another port it is not.
    let location = other.url("/landed").to_string().replace("127.0.0.1", "localhost");
    let other_port = other.url("/landed").to_string();
    let server = Server::start(move |request| match request.split(' ').nth(1).unwrap() {
        "/same" => reply("302 Found", "location: /end\r\n", b""),
        "/keep" => reply("307 Temporary Redirect", "location: end\r\n", b""),
        "/other" => reply("301 Moved", &format!("location: {location}\r\n"), b""),
        "/port" => reply("302 Found", &format!("location: {other_port}\r\n"), b""),
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
    assert!(server.last().contains("Authorization: Bearer t\r\n"));
    assert_eq!(get(&follows, server.url("/other")).await.unwrap(), "there");
    assert!(!other.last().contains("Authorization"));
    assert_eq!(get(&follows, server.url("/port")).await.unwrap(), "there");
    assert!(other.last().contains("Authorization: Bearer t\r\n"));
    assert!(other.last().contains(&format!("Referer: {}\r\n", server.url("/port"))));
    let post = |path: &str| Request::post(server.url(path), "text/plain", "data");
    follows.send(&post("/keep"), SECOND).await.unwrap();
    assert!(server.last().starts_with("POST /end ") && server.last().ends_with("data"));
    follows.send(&post("/same"), SECOND).await.unwrap();
    assert!(server.last().starts_with("GET /end ") && !server.last().contains("Content-Type"));
    let before = server.lines().len();
    let error = get(&follows, server.url("/round")).await.unwrap_err();
    assert_eq!(error, "Get \"/round\": stopped after 10 redirects");
    assert_eq!(server.lines().len() - before, 10);
    let error = get(&follows, server.url("/file")).await.unwrap_err();
    assert!(error.ends_with("unsupported protocol scheme \"file\""), "{error}");
    let stays = client(&HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() });
    let response = stays.send(&Request::get(server.url("/same")), SECOND).await.unwrap();
    assert_eq!(response.status, hyper::StatusCode::FOUND);
}

#[tokio::test]
async fn credentials_stay_away_once_they_have_left() {
    // Host a sends to host b, which sends back to a.
    let home = Arc::new(Mutex::new(String::new()));
    let back_to = home.clone();
    let away = Server::start(move |_| {
        let location = format!("location: {}\r\n", back_to.lock());
        reply("302 Found", &location, b"")
    })
    .await;
    let location = away.url("/").to_string().replace("127.0.0.1", "localhost");
    let server = Server::start(move |request| match request.split(' ').nth(1).unwrap() {
        "/start" => reply("302 Found", &format!("location: {location}\r\n"), b""),
        _ => ok("home"),
    })
    .await;
    *home.lock() = server.url("/end").to_string();
    let config = HttpClientConfig {
        auth: Auth::Basic(BasicAuth { username: inline("me"), password: inline("p") }),
        headers: ["Cookie", "X-Own"]
            .map(|name| Header {
                name: name.to_owned(),
                secrets: vec![Secret::new("s")],
                ..Header::default()
            })
            .into(),
        ..HttpClientConfig::default()
    };
    let mut request = Request::get(server.url("/start"));
    request.headers.insert("x-request", "r".parse().unwrap());
    let response = client(&config).send(&request, SECOND).await.unwrap();
    assert_eq!(response.read(100, Vec::new()).await.unwrap(), b"home");
    let first = server.requests.lock()[0].clone();
    for line in ["Authorization: Basic bWU6cA==\r\n", "Cookie: s\r\n", "X-Own: s\r\n", "X-Request: r\r\n"] {
        assert!(first.contains(line), "{first}");
    }
    // As in Prometheus, headers of the configuration that are not known to be credentials go everywhere.
    for request in [away.last(), server.last()] {
        assert!(!request.contains("Authorization") && !request.contains("Cookie"), "{request}");
        assert!(request.contains("X-Own: s\r\n") && request.contains("X-Request: r\r\n"), "{request}");
    }
}

#[tokio::test]
async fn credentials_in_urls() {
    let server = Server::start(|_| ok("")).await;
    let config = HttpClientConfig {
        auth: Auth::Authorization(Authorization { scheme: "Bearer".to_owned(), credentials: inline("t") }),
        ..HttpClientConfig::default()
    };
    let address = &server.address;
    // They win over those of the configuration, as in Go.
    for (target, want) in [("u:p%40", "Basic dTpwQA=="), ("u", "Basic dTo=")] {
        get(&client(&config), url(&format!("http://{target}@{address}/"))).await.unwrap();
        assert!(server.last().contains(&format!("Authorization: {want}\r\n")), "{}", server.last());
        assert!(server.last().contains(&format!("Host: {address}\r\n")));
    }
}

#[tokio::test]
async fn an_answer_that_sends_nowhere_is_the_answer() {
    let server = Server::start(|_| reply("302 Found", "", b"nowhere")).await;
    let response =
        client(&HttpClientConfig::default()).send(&Request::get(server.url("/")), SECOND).await.unwrap();
    assert_eq!(response.status_text(), "302 Found");
    let server = Server::start(|_| reply("302 Found", "location: http://[\r\n", b"")).await;
    let error = get(&client(&HttpClientConfig::default()), server.url("/")).await.unwrap_err();
    let want = "failed to parse Location header \"http://[\": parse \"http://[\": missing ']' in host";
    assert!(error.ends_with(want), "{error}");
}
