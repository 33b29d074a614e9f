//! Proxies of each kind.

use super::*;

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
    assert_eq!(get(&client, url("http://nowhere.invalid/a?b=c")).await.unwrap(), "through");
    assert!(proxy.last().starts_with("GET http://nowhere.invalid/a?b=c HTTP/1.1\r\n"), "{}", proxy.last());
    assert!(proxy.last().contains("Proxy-Authorization: Basic dTpw\r\n"));
    let error = get(&client, url("https://nowhere.invalid/")).await.unwrap_err();
    assert!(error.ends_with("refused a connection to nowhere.invalid:443: Forbidden"), "{error}");
    assert!(!error.contains("u:p@"), "{error}");
    let connect = proxy.last().to_ascii_lowercase();
    assert!(connect.starts_with("connect nowhere.invalid:443 http/1.1\r\n"), "{connect}");
    assert!(
        connect.contains("x-connect: c\r\n") && connect.contains("proxy-authorization: basic dtpw\r\n"),
        "{connect}"
    );
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    for (proxy, want) in [
        ("http://127.0.0.1:1", "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"),
        ("foo", "invalid proxy URL \"foo\": no host"),
        ("ftp://x", "unsupported proxy scheme \"ftp\": use http, https or socks5"),
    ] {
        let mut config = HttpClientConfig::default();
        config.proxy.url = GoUrl::parse(proxy).ok();
        let error = get(&client(&config), url("http://nowhere.invalid/")).await.unwrap_err();
        assert_eq!(error, format!("Get \"http://nowhere.invalid/\": {want}"));
    }
}

#[tokio::test]
async fn socks_proxies_look_names_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut methods = [0; 4];
        stream.read_exact(&mut methods).await.unwrap();
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 5];
        stream.read_exact(&mut login).await.unwrap();
        stream.write_all(&[1, 0]).await.unwrap();
        let mut request = [0; 22];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        serve(stream, Arc::new(|_: &str| ok("through")), Arc::default()).await;
        (methods, login, request)
    });
    let mut config = HttpClientConfig::default();
    config.proxy.url = GoUrl::parse(&format!("socks5://u:p@{address}")).ok();
    let client = client(&config);
    assert_eq!(get(&client, url("http://nowhere.invalid/")).await.unwrap(), "through");
    drop(client);
    let (methods, login, request) = served.await.unwrap();
    assert_eq!((methods, login), ([5, 2, 0, 2], [1, 1, b'u', 1, b'p']));
    assert_eq!(request[..5], [5, 1, 0, 3, 15]);
    assert_eq!((&request[5..20], &request[20..]), (&b"nowhere.invalid"[..], &[0, 80][..]));
}
