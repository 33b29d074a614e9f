//! The configuration of a server that was given none and finds no `prometheus.yml`: it scrapes itself, and
//! node_exporter on its default port once one answers.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// node_exporter's default address.
const NODE_EXPORTER: ([u8; 4], u16) = ([127, 0, 0, 1], 9100);
const PATIENCE: Duration = Duration::from_millis(100);
/// How often to look for node_exporter until it is there.
pub const NODE_EXPORTER_CHECKS: Duration = Duration::from_secs(15);
/// Stands for the file's name in messages.
pub const NAME: &str = "built-in configuration";

/// Whether something listens where node_exporter does.
pub fn node_exporter_answers() -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(NODE_EXPORTER), PATIENCE).is_ok()
}

/// The configuration as YAML: scrapes `own_address` at `metrics_path`, and node_exporter if asked to.
pub fn yaml(own_address: SocketAddr, metrics_path: &str, with_node_exporter: bool) -> String {
    let port = own_address.port();
    let ip = own_address.ip();
    let host = match (ip.is_unspecified(), ip.is_ipv6()) {
        (true, _) => "localhost".to_owned(),
        (false, true) => format!("[{ip}]"),
        (false, false) => ip.to_string(),
    };
    let mut text = format!(
        "global:\n  scrape_interval: 15s\n\
         scrape_configs:\n- job_name: trivium\n  metrics_path: {metrics_path}\n  static_configs:\n  - targets: ['{host}:{port}']\n"
    );
    if with_node_exporter {
        text += "- job_name: node\n  static_configs:\n  - targets: ['localhost:9100']\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_where_the_server_listens() {
        for (address, target) in [
            ("0.0.0.0:9090", "'localhost:9090'"),
            ("127.0.0.1:1234", "'127.0.0.1:1234'"),
            ("[::1]:80", "'[::1]:80'"),
        ] {
            let text = yaml(address.parse().unwrap(), "/metrics", false);
            assert!(text.contains(target) && !text.contains("9100"), "{text}");
        }
        assert!(yaml("127.0.0.1:1".parse().unwrap(), "/p/metrics", true).contains("localhost:9100"));
    }
}
