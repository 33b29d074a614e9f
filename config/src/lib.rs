//! What an operator says to the server: the command line ([`flags`]) and the configuration file. Both are read and
//! checked once into types that the rest trusts; what was written and what it means are different types.
//!
//! Of the file, [`yaml`] holds what was written, with positions; [`configuration`] what it means, with every
//! default applied; [`load`] goes from one to the other, [`reload`] does so for all files whole or not at all, and
//! [`print`] writes the checked configuration as Prometheus prints it. Each section has a file of its own: its type,
//! how it is read, what it refuses.

pub mod alerting;
pub mod configuration;
pub mod context;
pub mod discovery;
pub mod error;
pub mod fields;
pub mod flags;
pub mod glob;
pub mod global;
pub mod http_client;
pub mod load;
pub mod otlp;
pub mod print;
pub mod relabel;
pub mod reload;
pub mod remote;
pub mod schema;
pub mod scrape;
pub mod size;
pub mod storage;
mod suggestion;
pub mod unsupported;
pub mod url;
mod variables;
pub mod yaml;
mod yaml_writer;

pub use configuration::Config;
pub use context::Defaults;
pub use error::ConfigError;
pub use unsupported::Unsupported;

#[cfg(test)]
mod tests;
