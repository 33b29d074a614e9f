//! Integration tests: one binary. Tests of the whole program start it as a process and speak HTTP with it; those that
//! need a program from outside (node_exporter, promtool, Prometheus, Alertmanager, Chromium) say so when it is missing.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod answers;
mod bad_input;
mod bounds;
mod browser;
mod crash;
mod differential;
mod ec2;
mod failing_targets;
mod fakes;
mod harness;
mod interchange;
mod listener;
mod reload;
mod replay;
mod scrape;
mod self_description;
mod start;
mod start_timestamps;
mod tidy;
mod tools;
