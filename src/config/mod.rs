//! The configuration file: [`yaml`] holds what was written, with positions; [`checked`] what it means, with every
//! default applied; [`load`] goes from one to the other, [`reload`] does so for all files whole or not at all, and
//! [`print`] writes the checked configuration as Prometheus prints it. Each section has a file of its own: its type,
//! how it is read, what it refuses.

pub mod alerting;
pub mod checked;
pub mod discovery;
pub mod global;
pub mod http_client;
pub mod relabel;
pub mod scrape;
pub mod sections;
pub mod storage;
pub mod url;

pub use checked::Config;
