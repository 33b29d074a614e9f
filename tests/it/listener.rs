//! The listener as clients meet it: requests byte for byte with the answers of Prometheus 3.14, and clients that hold
//! connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::server::Server;

/// A connection on which something was sent.
fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Everything that is answered until the server closes.
fn ask(port: u16, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    // A reset ends an answer as well.
    let _ = send(port, bytes).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request with a Host that ends its connection.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn heads_and_bodies_are_judged_as_by_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "global: {}\n", &[]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = "POST /api/v1/query";
    let chunked = "7\r\nquery=1\r\n0\r\n\r\n";
    let long = "v".repeat(60_000);
    // Name, request, status, part of the answer; recorded from Prometheus 3.14.0.
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (
            "no Host",
            b"GET /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
            400,
            "400 Bad Request: missing required Host header",
        ),
        (
            "two Hosts",
            b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_vec(),
            400,
            "400 Bad Request",
        ),
        (
            "a Host with a space",
            b"GET /-/healthy HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n".to_vec(),
            400,
            "400 Bad Request: malformed Host header",
        ),
        ("HTTP/1.0", b"GET /-/healthy HTTP/1.0\r\n\r\n".to_vec(), 200, ""),
        (
            "different Content-Lengths",
            request(post, &format!("{form}Content-Length: 3\r\nContent-Length: 4\r\n"), "abcd"),
            400,
            "",
        ),
        (
            "equal Content-Lengths",
            request(post, &format!("{form}Content-Length: 7\r\nContent-Length: 7\r\n"), "query=1"),
            200,
            "\"status\":\"success\"",
        ),
        (
            "Content-Length and chunks",
            request(post, &format!("{form}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), chunked),
            200,
            "\"status\":\"success\"",
        ),
        (
            "a form in capitals",
            request(
                post,
                "Content-Type: Application/X-WWW-Form-URLencoded; Charset=x\r\nContent-Length: 7\r\n",
                "query=1",
            ),
            200,
            "\"status\":\"success\"",
        ),
        ("a long target", request(&format!("GET /-/healthy?x={long}"), "", ""), 200, ""),
        (
            "an unclean path",
            request("GET //api/v1/query?query=1", "", ""),
            307,
            "location: /api/v1/query?query=1\r\n",
        ),
        ("a path upwards", request("GET /api/../metrics", "", ""), 307, "location: /metrics\r\n"),
        (
            "another origin",
            request("GET /api/v1/query?query=1", "Origin: http://evil\r\n", ""),
            200,
            "access-control-allow-origin: http://evil\r\n",
        ),
        (
            "deflate",
            request("GET /api/v1/query?query=1", "Accept-Encoding: deflate\r\n", ""),
            200,
            "content-encoding: deflate\r\n",
        ),
    ];
    for (name, bytes, status, part) in cases {
        let answer = ask(server.port, &bytes);
        let want = format!(" {status} ");
        assert_eq!(answer.get(8..13), Some(want.as_str()), "{name}: {answer}");
        assert!(answer.contains(part), "{name}: {answer}");
    }
}

#[test]
fn clients_that_hold_every_connection_stop_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--web.read-timeout=2s", "--web.max-connections=5"];
    let server = Server::start(dir.path(), "global: {}\n", &flags);
    let form = "POST /api/v1/query HTTP/1.1\r\nHost: x\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 70\r\n\r\nq";
    for part in ["", "GET", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", form] {
        let held: Vec<TcpStream> = (0..5).map(|_| send(server.port, part.as_bytes())).collect();
        let begin = Instant::now();
        let answer = ask(server.port, &request("GET /-/healthy", "", ""));
        assert!(answer.starts_with("HTTP/1.1 200"), "after {part:?}: {answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(15), "after {part:?}: {:?}", begin.elapsed());
        drop(held);
    }
}
