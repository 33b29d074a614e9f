//! The process's own figures, read from `/proc`, under the names of the Go client's process and Go collectors.
//!
//! Of the Go runtime's families only those are shown that mean something here and that common dashboards use.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use telemetry::{Collect, Gather};

/// Collects the process's figures. What cannot be read is left out.
pub struct Process {
    start_seconds: f64,
}

impl Process {
    /// `started` is when the process began.
    pub fn new(started: SystemTime) -> Self {
        Self { start_seconds: started.duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()) }
    }
}

/// Fields of `/proc/self/stat` that follow the command's name.
fn stat_fields() -> Option<Vec<u64>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    Some(after_name.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect())
}

/// Resident memory in bytes, from the fields of `stat`.
fn resident_bytes(fields: &[u64]) -> Option<u64> {
    Some(fields.get(21)? * rustix::param::page_size() as u64)
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Bytes received and sent on all interfaces but loopback's, as the Go collector sums them.
fn network_bytes() -> Option<(f64, f64)> {
    let net = fs::read_to_string("/proc/self/net/netstat").ok()?;
    let mut lines = net.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        if !names.starts_with("IpExt:") {
            continue;
        }
        let of = |wanted: &str| {
            let at = names.split(' ').position(|name| name == wanted)?;
            values.split(' ').nth(at)?.parse::<f64>().ok()
        };
        return Some((of("InOctets")?, of("OutOctets")?));
    }
    None
}

impl Collect for Process {
    fn collect(&self, out: &mut Gather) {
        out.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            &[],
            self.start_seconds,
        );
        if let Some(fields) = stat_fields() {
            let field = |at: usize| fields.get(at).copied().unwrap_or(0) as f64;
            let ticks = rustix::param::clock_ticks_per_second() as f64;
            out.counter(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
                &[],
                (field(11) + field(12)) / ticks,
            );
            let resident = resident_bytes(&fields).unwrap_or(0) as f64;
            out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", &[], resident);
            out.gauge(
                "go_memstats_alloc_bytes",
                "Resident bytes: this server is not written in Go; the name serves dashboards.",
                &[],
                resident,
            );
            out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[], field(20));
            out.gauge("go_threads", "Number of operating system threads.", &[], field(17));
            out.gauge(
                "go_goroutines",
                "Number of operating system threads: this server is not written in Go; the name serves dashboards.",
                &[],
                field(17),
            );
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            out.gauge("process_open_fds", "Number of open file descriptors.", &[], fds.count() as f64);
        }
        if let Some(max) = max_fds() {
            out.gauge("process_max_fds", "Maximum number of open file descriptors.", &[], max);
        }
        if let Some((received, sent)) = network_bytes() {
            out.counter(
                "process_network_receive_bytes_total",
                "Number of bytes received by the process over the network.",
                &[],
                received,
            );
            out.counter(
                "process_network_transmit_bytes_total",
                "Number of bytes sent by the process over the network.",
                &[],
                sent,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_this_process_are_sane() {
        let mut out = Gather::default();
        Process::new(SystemTime::now()).collect(&mut out);
        let value = |name: &str| {
            out.families()
                .find(|(n, _)| *n == name)
                .and_then(|(_, f)| f.lines().next().map(|line| line.value))
        };
        assert!(value("process_resident_memory_bytes").unwrap() > 500_000.0);
        assert!(value("process_open_fds").unwrap() >= 3.0);
        assert!(value("go_threads").unwrap() >= 1.0);
        assert_eq!(stat_fields().and_then(|fields| resident_bytes(&fields)).map(|b| b > 500_000), Some(true));
    }
}
