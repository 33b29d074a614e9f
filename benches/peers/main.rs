//! The same samples and the same queries in Trivium, Prometheus and VictoriaMetrics, one after the other on one
//! machine; prints a table of medians and ratios.
//!
//! ```sh
//! PEERS_RECORDING=node.rec.gz cargo bench --bench peers
//! ```
//!
//! `PEERS_RECORDING`: a recording (see [`recording`]); without it the bench says so and ends. `PEERS_HOSTS` (200),
//! `PEERS_HOURS` (3): how much of it. `PEERS_RUNS` (5): timings of each query. `PEERS_ONLY`: part of a query's name.
//! `PEERS_SERVERS` (all): names of servers, with commas. `PEERS_KEEP`: a directory that keeps what was loaded for the
//! next run of the same size. `PEERS_PROMETHEUS`, `PEERS_VICTORIA_METRICS`: programs that are not on the PATH. `PEERS_BASELINE`: another
//! build of Trivium, such as the one before a change, which becomes a column of its own.
//!
//! A peer that is not installed is left out. All servers are up, loaded and idle before the first query; they are asked
//! in turns, one at a time, so that what else the machine does falls on all of them alike.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench ends with a message when its surroundings are not as needed, and prints its table"
)]

#[allow(dead_code, reason = "the store bench uses the rest")]
mod load;
mod queries;
#[allow(dead_code, reason = "the store bench uses the rest")]
mod recording;
#[allow(dead_code, reason = "the store bench uses the rest")]
mod servers;

use std::time::{Duration, Instant};

use load::Scale;
use servers::Server;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() {
    let Ok(path) = std::env::var("PEERS_RECORDING") else {
        println!("peers: set PEERS_RECORDING to a recording of node_exporter scrapes to run this bench");
        return;
    };
    let scale = Scale { hosts: setting("PEERS_HOSTS", 200), hours: setting("PEERS_HOURS", 3) };
    let only = std::env::var("PEERS_ONLY").unwrap_or_default();
    let wanted = std::env::var("PEERS_SERVERS").unwrap_or_default();
    let scrapes = recording::read(&path);
    println!("{} hosts x {} series x {} h", scale.hosts, scrapes.series(), scale.hours);
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let kept = std::env::var("PEERS_KEEP").map(std::path::PathBuf::from);
    let kept = kept.unwrap_or_else(|_| temporary.path().to_owned());
    let data = load::Data::open(&kept.join(format!("{}x{}", scale.hosts, scale.hours)), &scrapes, scale);
    println!("{} bytes on disk", load::disk_bytes(&data.store));
    let end_s = data.end_s;

    let queries: Vec<queries::Query> =
        queries::all(scale).into_iter().filter(|q| q.name.contains(&only)).collect();
    let is_wanted =
        |kind: &servers::Kind| wanted.is_empty() || wanted.split(',').any(|name| name == kind.name());
    let kinds: Vec<_> = servers::installed().into_iter().filter(is_wanted).collect();
    let servers: Vec<Server> =
        kinds.iter().map(|kind| kind.start(temporary.path(), &data, &scrapes, scale)).collect();
    let mut columns: Vec<(&str, Vec<Answered>)> =
        kinds.iter().map(|kind| (kind.name(), Vec::new())).collect();
    for query in &queries {
        for ((_, answers), answer) in columns.iter_mut().zip(time(&servers, query, end_s)) {
            answers.push(answer);
        }
    }
    for (kind, server) in kinds.iter().zip(&servers) {
        println!(
            "{}: {:.0} MB resident after the queries",
            kind.name(),
            server.resident_bytes() as f64 / 1e6
        );
    }
    print_table(&queries, &columns);
}

/// A query's median and the size of its answer.
struct Answered {
    seconds: f64,
    series: usize,
}

/// Asks all servers the same, in turns.
fn time(servers: &[Server], query: &queries::Query, end_s: i64) -> Vec<Answered> {
    let mut seconds = vec![Vec::new(); servers.len()];
    let mut series = vec![0; servers.len()];
    // One for the caches of the operating system, then the ones that count.
    for run in 0..=setting("PEERS_RUNS", 5) {
        for (at, server) in servers.iter().enumerate() {
            let url = query.url(server, end_s);
            let begin = Instant::now();
            let body = server.get(&url, Duration::from_secs(120));
            let took = begin.elapsed().as_secs_f64();
            series[at] = body.matches("\"metric\":").count();
            if run > 0 {
                seconds[at].push(took);
            }
        }
    }
    let median = |mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    seconds
        .into_iter()
        .zip(series)
        .map(|(seconds, series)| Answered { seconds: median(seconds), series })
        .collect()
}

fn print_table(queries: &[queries::Query], columns: &[(&str, Vec<Answered>)]) {
    print!("\n| query |");
    columns.iter().for_each(|(name, _)| print!(" {name} ms | series |"));
    columns.iter().skip(1).for_each(|(name, _)| print!(" vs {name} |"));
    println!();
    print!("|---|");
    columns.iter().for_each(|_| print!("---:|---:|"));
    columns.iter().skip(1).for_each(|_| print!("---:|"));
    println!();
    for (i, query) in queries.iter().enumerate() {
        print!("| {} |", query.name);
        columns.iter().for_each(|(_, t)| print!(" {:.2} | {} |", t[i].seconds * 1e3, t[i].series));
        columns.iter().skip(1).for_each(|(_, t)| print!(" {:.2} |", t[i].seconds / columns[0].1[i].seconds));
        println!();
    }
    for (name, timings) in columns.iter().skip(1) {
        let ratios: Vec<f64> =
            timings.iter().zip(&columns[0].1).map(|(peer, own)| peer.seconds / own.seconds).collect();
        let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let slower = ratios.iter().filter(|ratio| **ratio < 1.0).count();
        println!(
            "\n{name} / {}: geometric mean {mean:.2}, smallest {worst:.2}, {slower} of {} below 1",
            columns[0].0,
            ratios.len()
        );
    }
    // A scalar is one series to VictoriaMetrics and none to the others.
    for (i, query) in queries.iter().enumerate() {
        let series: Vec<usize> = columns.iter().map(|(_, timings)| timings[i].series).collect();
        if series.iter().any(|n| *n != series[0]) {
            println!("different numbers of series, {series:?}: {}", query.name);
        }
    }
}
