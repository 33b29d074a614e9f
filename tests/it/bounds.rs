//! What clients ask for does not take more memory than there is, and is given back.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::fakes;
use crate::harness::server::Server;
use crate::harness::{eventually, http, now_ms};

/// What the server is told to have.
const LIMIT: u64 = 256 << 20;
const SERIES: usize = 20_000;

fn many_series() -> String {
    let mut body = String::from("# TYPE m gauge\n");
    for n in 0..SERIES {
        writeln!(body, "m{{instance_name=\"a-long-name-of-a-machine-{n:06}\",n=\"{n}\"}} {n}").unwrap();
    }
    body
}

/// A server with many series, told by `GOMEMLIMIT` to have little memory.
fn server(dir: &std::path::Path) -> Server {
    let port = fakes::constant(many_series());
    let config = format!(
        "scrape_configs:\n- {{job_name: many, scrape_interval: 5s, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
    );
    let server = Server::start_with(dir, &config, &[], &[("GOMEMLIMIT", &LIMIT.to_string())]);
    server.wait_for_value("count(m)", SERIES as f64);
    server
}

/// A line of the server's `/proc/PID/status`, in bytes.
fn status(server: &Server, name: &str) -> u64 {
    let path = format!("/proc/{}/status", server.process.id());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// Sends requests all at once; their answers' statuses and what those say that failed.
fn at_once(urls: &[String]) -> Vec<(u16, String)> {
    let get = |url: &String| {
        let answer = http::get(url);
        (answer.status, if answer.status == 200 { String::new() } else { answer.body })
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = urls.iter().map(|url| scope.spawn(move || get(url))).collect();
        asked.into_iter().map(|answer| answer.join().unwrap()).collect()
    })
}

/// Whether each request was answered or told that there is no memory for it.
fn assert_answered_or_refused(answers: &[(u16, String)]) {
    for (status, body) in answers {
        assert!(*status == 200 || (*status == 422 && body.contains("no memory is left")), "{status}: {body}");
    }
}

#[test]
fn heavy_queries_at_once_stay_near_the_limit_and_give_their_memory_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let (start, end) = (now_ms() / 1000, now_ms() / 1000 + 280);
    let query = format!("/api/v1/query_range?query=m&start={start}&end={end}&step=1");
    // 45 MB of points each.
    let answers = at_once(&vec![server.url(&query); 40]);
    assert_answered_or_refused(&answers);
    assert!(answers.iter().any(|(status, _)| *status == 422), "all had room");
    let peak = status(&server, "VmHWM:");
    assert!(peak < LIMIT + LIMIT / 2, "{} MiB at the peak", peak >> 20);
    eventually("memory to be given back", Duration::from_secs(30), || {
        (status(&server, "RssAnon:") < LIMIT / 2).then_some(())
    });
    assert_eq!(server.value("count(m)"), Some(SERIES as f64));
}

#[test]
fn series_that_are_asked_for_many_times_are_looked_up_once_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let selectors = |count: usize, of: &dyn Fn(usize) -> String| {
        (0..count).map(|n| format!("match[]={}", of(n))).collect::<Vec<_>>().join("&")
    };
    let one = Instant::now();
    let once = server.get("/api/v1/series?match[]=m");
    let one = one.elapsed();
    let many = Instant::now();
    let same = server.get(&format!("/api/v1/series?{}", selectors(100, &|_| "m".to_owned())));
    let many = many.elapsed();
    assert_eq!((once.status, same.status), (200, 200));
    assert_eq!(once.body, same.body);
    assert!(many < 20 * one, "{many:?} for a hundred times what took {one:?}");
    // Others, which find the same.
    let urls: Vec<_> = (0..4)
        .map(|_| {
            let others = selectors(20, &|n| format!("%7B__name__%3D%22m%22,n!%3D%22x{n}%22%7D"));
            server.url(&format!("/api/v1/series?{others}"))
        })
        .collect();
    assert_answered_or_refused(&at_once(&urls));
    let peak = status(&server, "VmHWM:");
    assert!(peak < LIMIT + LIMIT / 2, "{} MiB at the peak", peak >> 20);
}
