//! Queries of the kinds that dashboards, rules and explorers send.

use crate::Scale;
use crate::servers::Server;

/// A query with its times.
pub struct Query {
    /// As the table names it.
    pub name: String,
    expr: String,
    /// Minutes of range; `None` for an instant query.
    minutes: Option<i64>,
    step_s: i64,
}

impl Query {
    /// Path and parameters, ending at the newest sample.
    pub fn url(&self, _: &Server, end_s: i64) -> String {
        let expr: String = form_urlencoded::byte_serialize(self.expr.as_bytes()).collect();
        match self.minutes {
            None => format!("/api/v1/query?query={expr}&time={end_s}"),
            Some(minutes) => format!(
                "/api/v1/query_range?query={expr}&start={}&end={end_s}&step={}",
                end_s - minutes * 60,
                self.step_s
            ),
        }
    }
}

/// Instant queries.
const INSTANT: [&str; 18] = [
    "node_load1",
    "count({__name__=~\".+\"})",
    "sum(node_memory_MemFree_bytes)",
    "sum by (mode) (rate(node_cpu_seconds_total[5m]))",
    "topk(10, sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m])))",
    "avg by (job) (node_load1)",
    "count by (__name__) ({job=\"node\"})",
    "node_load1{instance=~\"host-00.*\"}",
    "node_memory_MemFree_bytes / node_memory_MemTotal_bytes",
    "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))",
    "max_over_time(node_load1[1h])",
    "quantile_over_time(0.95, node_load1[1h])",
    "sum(increase(node_disk_read_bytes_total[1h]))",
    "predict_linear(node_filesystem_avail_bytes[1h], 4 * 3600) < 0",
    "node_load1 > on (instance) group_left () (count by (instance) (node_cpu_seconds_total{mode=\"idle\"}))",
    "absent(node_no_such_metric)",
    "max_over_time(rate(node_network_receive_bytes_total[5m])[30m:1m])",
    "1",
];

/// Range queries over an hour at 15 s.
const HOUR: [&str; 14] = [
    "node_load1{instance=\"host-0007:9100\"}",
    "rate(node_cpu_seconds_total{instance=\"host-0007:9100\"}[1m])",
    "sum(rate(node_cpu_seconds_total[5m]))",
    "sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]))",
    "avg(node_load1)",
    "topk(5, node_load1)",
    "irate(node_network_receive_bytes_total{device=\"eth0\"}[1m])",
    "histogram_quantile(0.9, sum by (quantile) (go_gc_duration_seconds))",
    "sum(node_memory_MemTotal_bytes - node_memory_MemFree_bytes) / sum(node_memory_MemTotal_bytes)",
    "max by (instance) (node_filesystem_avail_bytes) / 1e9",
    "stddev(node_load1)",
    "deriv(node_memory_MemFree_bytes{instance=~\"host-000.*\"}[10m])",
    "changes(node_boot_time_seconds[5m])",
    "label_replace(node_load1, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
];

/// Range queries over all hours at 60 s.
const LONG: [&str; 12] = [
    "sum(rate(node_cpu_seconds_total[5m]))",
    "sum by (mode) (rate(node_cpu_seconds_total[5m]))",
    "sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))",
    "avg_over_time(node_load1[10m])",
    "quantile(0.99, node_load5)",
    "count(up) or count(node_load1)",
    "sum(increase(node_context_switches_total[10m]))",
    "max_over_time(node_load15[30m])",
    "sum by (device) (rate(node_disk_written_bytes_total[5m]))",
    "sum({__name__=~\"node_network_.*_bytes_total\"})",
    "avg by (instance) (rate(node_cpu_seconds_total{mode=\"system\"}[5m])) * 100 > 5",
    "count by (cpu) (node_cpu_seconds_total)",
];

/// All queries at a scale.
pub fn all(scale: Scale) -> Vec<Query> {
    let query = |expr: &str, minutes: Option<i64>, step_s: i64| {
        let kind = minutes.map_or("instant".to_owned(), |m| format!("{m}m/{step_s}s"));
        Query { name: format!("{kind} `{expr}`"), expr: expr.to_owned(), minutes, step_s }
    };
    let long = scale.hours as i64 * 60 - 5;
    (INSTANT.iter().map(|expr| query(expr, None, 0)))
        .chain(HOUR.iter().map(|expr| query(expr, Some(60), 15)))
        .chain(LONG.iter().map(|expr| query(expr, Some(long), 60)))
        .collect()
}
