//! Targets that misbehave on purpose, and one that does not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Answers one request with metrics in text format, and closes.
pub fn answer_metrics(stream: TcpStream, body: &str) {
    answer(stream, "text/plain; version=0.0.4", body);
}

fn answer(mut stream: TcpStream, content_type: &str, body: &str) {
    read_head(&mut stream);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // The client may have gone already.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0u8; 1];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
}

fn serve(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// A target that always has the same metrics.
pub fn constant(body: String) -> u16 {
    serve(move |stream| answer_metrics(stream, &body))
}

/// A target with one counter that grows by one with every scrape.
pub fn counter() -> u16 {
    let scrapes = AtomicU64::new(0);
    serve(move |stream| {
        let n = scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        answer_metrics(stream, &format!("# TYPE scrapes_total counter\nscrapes_total {n}\n"));
    })
}

/// The same in OpenMetrics, and the counter says when it began, in seconds.
pub fn created_counter(began: f64) -> u16 {
    let scrapes = AtomicU64::new(0);
    serve(move |stream| {
        let n = scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!("# TYPE scrapes counter\nscrapes_total {n}\nscrapes_created {began}\n# EOF\n");
        answer(stream, "application/openmetrics-text; version=1.0.0", &body);
    })
}

/// A target that takes the request and never answers.
pub fn hanging() -> u16 {
    serve(|mut stream| {
        read_head(&mut stream);
        // Returns when the client closes.
        let _ = stream.read(&mut [0u8; 1]);
    })
}

/// A target that sends a gigabyte of metrics.
pub fn endless() -> u16 {
    serve(|mut stream| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n";
        let mut line = String::new();
        while line.len() < 1 << 20 {
            line.push_str(&format!("endless_metric{{n=\"{}\"}} 1\n", line.len()));
        }
        let mut sent = stream.write_all(head.as_bytes());
        for _ in 0..1024 {
            sent = sent.and_then(|()| stream.write_all(line.as_bytes()));
            if sent.is_err() {
                return;
            }
        }
    })
}
