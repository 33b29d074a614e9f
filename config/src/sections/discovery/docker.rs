//! `docker_sd_configs` and `dockerswarm_sd_configs`.

use super::aws::Filter;
use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{
    Checked, boolean, check_url, choice, http, int, list, refresh_interval, require, required, section, text,
};

section! {
    /// An entry of `docker_sd_configs`.
    pub struct DockerSd, |sd| check_host(&sd.host) => {
        http: HttpClientConfig = "basic_auth and so on", http();
        /// The daemon: `unix:///path`, `tcp://host:port`, `http://…` or `https://…`.
        host: String = "host", text("").always();
        /// Of containers that expose none.
        port: i64 = "port", int(80).always();
        filters: Vec<Filter> = "filters", list().always();
        /// Where containers are that share the host's network.
        host_networking_host: String = "host_networking_host", text("localhost").always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Take one network of a container, not all.
        match_first_network: bool = "match_first_network", boolean(true).always();
    }
}

choice! {
    /// What is a target.
    pub enum SwarmRole {
        Services = "services",
        Tasks = "tasks",
        Nodes = "nodes",
    }
}

section! {
    /// An entry of `dockerswarm_sd_configs`.
    pub struct DockerSwarmSd, |sd| check_host(&sd.host) => {
        http: HttpClientConfig = "basic_auth and so on", http();
        /// A manager's daemon, as for Docker.
        host: String = "host", text("").always();
        role: SwarmRole = "role", required("role missing (one of: tasks, services, nodes)").always();
        /// Of what publishes none.
        port: i64 = "port", int(80).always();
        filters: Vec<Filter> = "filters", list().always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
    }
}

fn check_host(host: &str) -> Checked {
    require("host", !host.is_empty(), "host missing")?;
    check_url("host", host)
}
