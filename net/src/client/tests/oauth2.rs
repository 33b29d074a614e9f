//! Tokens, fetched from a server on loopback.

use config::http_client::OAuth2;

use super::*;

#[tokio::test]
async fn tokens_are_fetched_once_and_again_when_the_secret_changes() {
    let tokens = Server::start(|request| {
        // Wants the credentials in the form.
        if request.contains("Authorization: Basic ") {
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
        assert!(server.last().contains("Authorization: Bearer for-s1\r\n"), "{}", server.last());
    }
    assert_eq!(tokens.lines().len(), 2);
    let form = "client_id=id&client_secret=s1&grant_type=client_credentials&more=x+y&scope=a+b";
    assert!(tokens.last().ends_with(form), "{}", tokens.last());
    std::fs::write(&secret, "s2").unwrap();
    get(&client, server.url("/")).await.unwrap();
    assert!(server.last().contains("Authorization: Bearer for-s2\r\n"));
}

/// A target, and a client whose tokens come from `endpoint`.
async fn with_tokens(endpoint: &Server, change: impl FnOnce(&mut OAuth2)) -> (Server, HttpClient) {
    let mut oauth2 = OAuth2 {
        client_id: "i d".to_owned(),
        client_secret: inline("s~/"),
        token_url: endpoint.url("/token").to_string(),
        ..OAuth2::default()
    };
    change(&mut oauth2);
    let config = HttpClientConfig { auth: Auth::OAuth2(Box::new(oauth2)), ..HttpClientConfig::default() };
    (Server::start(|_| ok("")).await, client(&config))
}

#[tokio::test]
async fn how_an_endpoint_takes_credentials_is_remembered() {
    // Tokens that end at once, so that each request needs one.
    let endpoint = Server::start(|request| {
        if request.contains("Authorization: Basic ") {
            return reply(
                "400 Bad Request",
                "content-type: application/json\r\n",
                b"{\"error\":\"in the form\"}",
            );
        }
        reply(
            "200 OK",
            "content-type: text/plain; charset=utf-8\r\n",
            b"access_token=t&token_type=bearer&expires_in=5",
        )
    })
    .await;
    let (target, client) = with_tokens(&endpoint, |_| {}).await;
    for _ in 0..3 {
        get(&client, target.url("/")).await.unwrap();
        assert!(target.last().contains("Authorization: Bearer t\r\n"));
    }
    assert_eq!(endpoint.lines().len(), 4);
    // Escaped as Go escapes, because not every server decodes.
    let first = endpoint.requests.lock()[0].clone();
    assert!(first.contains("Authorization: Basic aStkOnN+JTJG\r\n"), "{first}");
    assert!(endpoint.last().ends_with("client_id=i+d&client_secret=s~%2F&grant_type=client_credentials"));
}

#[tokio::test]
async fn parameters_replace_the_grant_type_only() {
    let endpoint = Server::start(|_| ok("{\"access_token\":\"t\"}")).await;
    let (target, client) = with_tokens(&endpoint, |oauth2| {
        oauth2.endpoint_params = vec![("grant_type".to_owned(), "own".to_owned())];
    })
    .await;
    get(&client, target.url("/")).await.unwrap();
    assert!(endpoint.last().ends_with("\r\n\r\ngrant_type=own"));
    let (target, client) = with_tokens(&endpoint, |oauth2| {
        oauth2.scopes = vec!["a".to_owned()];
        oauth2.endpoint_params = vec![("scope".to_owned(), "b".to_owned())];
    })
    .await;
    let error = get(&client, target.url("/")).await.unwrap_err();
    assert_eq!(error, format!("Get \"{}\": oauth2: cannot overwrite parameter \"scope\"", target.url("/")));
}

#[tokio::test]
async fn what_the_endpoint_says_is_told() {
    let endpoint = Server::start(|_| reply("401 Who Are You", "", b"nobody")).await;
    let (target, client) = with_tokens(&endpoint, |_| {}).await;
    let error = get(&client, target.url("/")).await.unwrap_err();
    let target = target.url("/");
    assert_eq!(
        error,
        format!("Get \"{target}\": oauth2: cannot fetch token: 401 Who Are You\nResponse: nobody")
    );
    let (target, client) =
        with_tokens(&endpoint, |oauth2| oauth2.token_url = "http://127.0.0.1:1/".to_owned()).await;
    let error = get(&client, target.url("/")).await.unwrap_err();
    let refused = "Post \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(error, format!("Get \"{}\": {refused}", target.url("/")));
}

#[tokio::test]
async fn assertions_in_place_of_secrets() {
    let endpoint = Server::start(|_| ok("{\"access_token\":\"t\",\"expires_in\":60}")).await;
    let key = openssl::rsa::Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
    let (target, client) = with_tokens(&endpoint, |oauth2| {
        oauth2.grant_type = config::http_client::GRANT_TYPE_JWT_BEARER.to_owned();
        oauth2.client_certificate_key = inline(std::str::from_utf8(&key).unwrap());
        oauth2.scopes = vec!["a".to_owned(), "b".to_owned()];
    })
    .await;
    for _ in 0..2 {
        get(&client, target.url("/")).await.unwrap();
        assert!(target.last().contains("Authorization: Bearer t\r\n"));
    }
    assert_eq!(endpoint.lines().len(), 1);
    let asked = endpoint.last();
    let form = asked.split_once("\r\n\r\n").unwrap().1;
    assert!(form.starts_with("assertion=ey"), "{form}");
    assert!(
        form.ends_with("&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=a+b"),
        "{form}"
    );
    assert!(!asked.contains("Authorization"), "{asked}");
}
