//! The server: discovery and scraping, rules and notification, the HTTP API, wired in one list.

pub mod telemetry;
