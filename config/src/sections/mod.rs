//! The sections of the configuration file, a file or folder each: its type, how it is read, what it refuses. Most of
//! them are written as a table of fields ([`table`]).

pub mod alerting;
pub mod aws;
pub mod cloud;
pub mod discovery;
pub mod global;
pub mod http_client;
pub mod otlp;
pub mod relabel;
pub mod remote;
pub mod scrape;
pub mod storage;
pub mod table;
