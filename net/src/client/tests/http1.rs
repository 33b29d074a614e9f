//! Answers of every shape, and connections that are kept. What is expected is what Go's client makes of the same bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Reads the head of a request; false at the end of the connection.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// A server that answers one request with these bytes and closes.
async fn once(answer: impl AsRef<[u8]> + Send + 'static) -> GoUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        // The client may have had enough.
        let _ = stream.write_all(answer.as_ref()).await;
    });
    url(&format!("http://{address}/"))
}

/// Status and body, or the error without method and URL.
async fn outcome(answer: impl AsRef<[u8]> + Send + 'static) -> String {
    let client = client(&HttpClientConfig::default());
    let response = match client.send(&Request::get(once(answer).await), SECOND).await {
        Ok(response) => response,
        Err(error) => return error.reason().to_string(),
    };
    let status = response.status_text();
    match response.read(1 << 24, Vec::new()).await {
        Ok(body) => format!("{status}|{}", String::from_utf8(body).unwrap()),
        Err(error) => format!("{status}|{error}"),
    }
}

#[tokio::test]
async fn answers_of_every_shape() {
    for (answer, want) in [
        ("", "EOF"),
        ("HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok", "200 OK|ok"),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 503 Go Away Now\r\nContent-Length: 2\r\n\r\nok", "503 Go Away Now|ok"),
        ("HTTP/1.1 500\r\nContent-Length: 2\r\n\r\nok", "500|ok"),
        ("HTTP/1.0 200 OK\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", "200 OK|to the end"),
        ("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok", "999 X|ok"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", "204 No Content|"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "304 Not Modified|"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 200 OK\r\nContent-Type : x\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 200 OK\r\nX: \u{e9}\tb\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "200 OK|ok"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "200 OK|ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n1;ext=1\r\no\r\n1  \r\nk\r\n0\r\nTrailer: x\r\n\r\n",
            "200 OK|ok",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "200 OK|2\r\nok\r\n0\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "200 OK|unexpected EOF"),
    ] {
        assert_eq!(outcome(answer).await, want, "{answer}");
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    for (answer, want) in [
        ("garbage\r\n\r\n", r#"malformed HTTP response "garbage""#),
        ("SSH-2.0-OpenSSH_9\r\n", r#"malformed HTTP response "SSH-2.0-OpenSSH_9""#),
        ("HTTP/1.1\r\n\r\n", r#"malformed HTTP response "HTTP/1.1""#),
        ("HTTP/1.1 20 OK\r\n\r\n", r#"malformed HTTP status code "20""#),
        ("HTTP/1.1 abc OK\r\n\r\n", r#"malformed HTTP status code "abc""#),
        ("HTTX/1.1 200 OK\r\n\r\n", r#"malformed HTTP version "HTTX/1.1""#),
        ("HTTP/1.10 200 OK\r\n\r\n", r#"malformed HTTP version "HTTP/1.10""#),
        ("HTTP/1.1 200 OK\r\nA: b\r\n", "unexpected EOF"),
        ("HTTP/1.1 200", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nbad line\r\n\r\n", r#"malformed MIME header: missing colon: "bad line""#),
        ("HTTP/1.1 200 OK\r\n bad: x\r\n\r\n", r#"malformed MIME header initial line: " bad: x""#),
        ("HTTP/1.1 200 OK\r\nb(d: x\r\n\r\nok", r#"malformed MIME header line: "b(d: x""#),
        ("HTTP/1.1 200 OK\r\n: x\r\n\r\nok", r#"malformed MIME header line: ": x""#),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            r#"http: message cannot contain multiple Content-Length headers; got ["2" "3"]"#,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", r#"bad Content-Length "+2""#),
        ("HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok", r#"invalid empty Content-Length """#),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nok",
            r#"unsupported transfer encoding: "gzip, chunked""#,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nok",
            r#"too many transfer encodings: ["chunked" "chunked"]"#,
        ),
    ] {
        let want = format!("net/http: HTTP/1.x transport connection broken: {want}");
        assert_eq!(outcome(answer).await, want, "{answer}");
    }
    let control = outcome("HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\nok").await;
    assert!(control.contains("malformed MIME header line: \"X: a"), "{control}");
}

#[tokio::test]
async fn chunked_bodies_that_are_broken() {
    for (body, want) in [
        ("5\r\nok", "unexpected EOF"),
        ("2\r\nok\r\n", "unexpected EOF"),
        ("2\r\nok\r\n0\r\n", "http: unexpected EOF reading trailer"),
        ("xy\r\nok\r\n", "invalid byte in chunk length"),
        ("2\nok\n", "chunked line ends with bare LF"),
        ("2\r\nokxx0\r\n\r\n", "malformed chunked encoding"),
        ("\r\nok\r\n0\r\n\r\n", "empty hex number for chunk length"),
        ("2\r\nok\r\n0\r\nfoo\r\n\r\n", r#"malformed MIME header: missing colon: "foo""#),
        ("12345678901234567\r\nok", "http chunk length too large"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(outcome(answer).await, format!("200 OK|{want}"), "{body}");
    }
}

#[tokio::test]
async fn large_heads() {
    let head = |headers: String| format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\nok");
    assert_eq!(outcome(head("X: y\r\n".repeat(50_000))).await, "200 OK|ok");
    assert_eq!(outcome(head(format!("X: {}\r\n", "y".repeat(9 << 20)))).await, "200 OK|ok");
    let too_large = "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded \
                     10485760 bytes; aborted";
    assert_eq!(outcome(head(format!("X: {}\r\n", "y".repeat(11 << 20)))).await, too_large);
}

#[tokio::test]
async fn a_body_may_come_in_any_pieces() {
    let body = (0..200_000).map(|i| char::from(b'a' + (i % 26) as u8)).collect::<String>();
    let mut chunked = String::new();
    let mut rest = body.as_str();
    for size in (1..).map(|i: usize| i * i) {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        chunked.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    chunked.push_str("0\r\n\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    assert_eq!(outcome(answer).await, format!("200 OK|{body}"));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(outcome(answer).await, format!("200 OK|{body}"));
    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    assert_eq!(outcome(answer).await, format!("200 OK|{body}"));
}

/// A server that serves `per_connection` requests on a connection and closes it when the next one has come, without a
/// byte. Counts connections and requests that were read.
async fn closing(per_connection: usize) -> (GoUrl, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(&format!("http://{}/", listener.local_addr().unwrap()));
    let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counters = (connections.clone(), requests.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            let requests = requests.clone();
            tokio::spawn(async move {
                for served in 0.. {
                    if !read_head(&mut stream).await {
                        return;
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                    if served == per_connection {
                        return;
                    }
                    stream.write_all(&ok("up 1\n")).await.unwrap();
                }
            });
        }
    });
    (url, counters.0, counters.1)
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let (url, connections, requests) = closing(1).await;
    let client = client(&HttpClientConfig::default());
    for _ in 0..10 {
        assert_eq!(get(&client, url.clone()).await.unwrap(), "up 1\n");
    }
    assert_eq!((connections.load(Ordering::Relaxed), requests.load(Ordering::Relaxed)), (10, 19));

    // A fresh connection is not replaced: the server wants to say something.
    let (url, connections, _) = closing(0).await;
    let error = get(&client, url.clone()).await.unwrap_err();
    assert_eq!(error, format!("Get \"{url}\": EOF"));
    assert_eq!(connections.load(Ordering::Relaxed), 1);

    // What may not be sent twice is not, if the server may have acted upon it.
    let (url, connections, _) = closing(1).await;
    let post = |headers: &[(&'static str, &str)]| {
        let mut request = Request::post(url.clone(), "text/plain", "");
        for (name, value) in headers {
            request.headers.insert(*name, value.parse().unwrap());
        }
        request
    };
    let send = async |request: Request| {
        let response = client.send(&request, SECOND).await.map_err(|e| e.reason().to_string())?;
        response.read(100, Vec::new()).await.map_err(|e| e.to_string())
    };
    assert!(send(post(&[])).await.is_ok());
    assert_eq!(send(post(&[])).await.unwrap_err(), "EOF");
    assert!(send(post(&[])).await.is_ok());
    assert!(send(post(&[("idempotency-key", "1")])).await.is_ok());
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn connections_are_kept_and_closed_ones_noticed() {
    let (address, connections, _) = closing(usize::MAX).await;
    let client = client(&HttpClientConfig::default());
    for _ in 0..5 {
        get(&client, address.clone()).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);

    // This one closes after each answer without saying so; a POST must not meet the closed connection.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = url(&format!("http://{}/", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if read_head(&mut stream).await {
                stream.write_all(&ok("")).await.unwrap();
            }
        }
    });
    for _ in 0..5 {
        let request = Request::post(address.clone(), "text/plain", "");
        client.send(&request, SECOND).await.unwrap().discard(100).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = url(&format!("http://{}/", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(&reply("413 Too Large", "", b"no")).await.unwrap();
        tokio::time::sleep(SECOND).await;
    });
    let request = Request::post(address, "text/plain", vec![b'x'; 64 << 20]);
    let response = client(&HttpClientConfig::default()).send(&request, SECOND).await.unwrap();
    assert_eq!(response.status_text(), "413 Too Large");
    assert_eq!(response.read(100, Vec::new()).await.unwrap(), b"no");
}

#[tokio::test]
async fn requests_are_written_as_go_writes_them() {
    let server = Server::start(|_| ok("")).await;
    let client = client(&HttpClientConfig::default());
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    for (host, path, target, shown) in [
        ("127.0.0.1", "", "/", "127.0.0.1"),
        ("127.0.0.1", "/a b?c=d e#f", "/a%20b?c=d e", "127.0.0.1"),
        ("127.0.0.1", "/(x)!%2f?", "/(x)!%2f?", "127.0.0.1"),
        ("", "/x", "/x", ""),
        ("0.0.0.0", "/x", "/x", "0.0.0.0"),
        ("localhost", "/x", "/x", "localhost"),
        ("LOCALHOST", "/x", "/x", "LOCALHOST"),
    ] {
        get(&client, url(&format!("http://{host}:{port}{path}"))).await.unwrap();
        let last = server.last();
        let head = format!("GET {target} HTTP/1.1\r\nHost: {shown}:{port}\r\n");
        assert!(last.starts_with(&head), "{last}");
    }
    // A zone means something on this machine only.
    let listener = match TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(_) => return println!("SKIPPED: this system has no IPv6"),
    };
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let len = stream.read(&mut head).await.unwrap();
            let text = String::from_utf8_lossy(&head[..len]).into_owned();
            asked.push(text.lines().nth(1).unwrap().to_owned());
            stream.write_all(&reply("200 OK", "Connection: close\r\n", b"")).await.unwrap();
        }
        asked
    });
    for host in ["[::1]", "::1", "[::1%25lo]"] {
        get(&client, url(&format!("http://{host}:{port}/"))).await.unwrap();
    }
    let hosts = ["[::1]", "::1", "[::1]"].map(|host| format!("Host: {host}:{port}"));
    assert_eq!(asked.await.unwrap(), hosts);
}

#[tokio::test]
async fn errors_name_the_target_and_what_failed() {
    let client = client(&HttpClientConfig::default());
    for (text, want) in [
        ("http://127.0.0.1:1/m", "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("http://u:p@127.0.0.1:1/a b", "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("http://0177.0.0.1:1/", "dial tcp: lookup 0177.0.0.1: no such host"),
        ("http://127.0.0.1:99999/", "dial tcp: address 99999: invalid port"),
        ("ftp://x/", "unsupported protocol scheme \"ftp\""),
        ("http:///x", "http: no Host in request URL"),
    ] {
        let url = url(text);
        let error = get(&client, url.clone()).await.unwrap_err();
        assert_eq!(error, format!("Get {:?}: {want}", url.in_errors()));
        assert!(!error.contains("u:p@"), "{error}");
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(&format!("http://{}/", silent.local_addr().unwrap()));
    let error = client.send(&Request::get(url.clone()), Duration::from_millis(50)).await.err().unwrap();
    assert_eq!(error.to_string(), format!("Get \"{url}\": context deadline exceeded"));
    // The server resets the connection.
    let resets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = resets.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = resets.accept().await.unwrap();
        // Closing with the request unread resets.
        stream.readable().await.unwrap();
    });
    let error = get(&client, super::url(&format!("http://{address}/"))).await.unwrap_err();
    assert!(
        error.contains("read: connection reset by peer") && error.contains("read tcp 127.0.0.1:"),
        "{error}"
    );
}
