//! The sections of the configuration file, a file or folder each: its type, how it is read, what it refuses. Sections
//! that are checked and not acted upon yet are known by their fields alone ([`schema`]).

pub mod alerting;
pub mod discovery;
pub mod global;
pub mod http_client;
pub mod otlp;
pub mod relabel;
pub mod remote;
pub mod schema;
pub mod scrape;
pub mod storage;
