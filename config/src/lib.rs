//! What an operator says to the server: the command line ([`flags`]) and the configuration file. Both are read and
//! checked once into types that the rest trusts; what was written and what it means are different types.
//!
//! Of the file, [`yaml`] holds what was written, with positions; [`configuration`] what it means, with every
//! default applied; [`load`] goes from one to the other, [`reload`] does so for all files whole or not at all, and
//! [`print`] writes the checked configuration as Prometheus prints it. Each section has a file of its own in
//! [`sections`]: its type, how it is read, what it refuses. [`web`] is the listener's own file.

pub mod configuration;
pub mod context;
pub mod error;
pub mod flags;
pub mod glob;
pub mod load;
pub mod print;
pub mod reload;
pub mod secret;
pub mod sections;
mod suggestion;
pub mod unsupported;
pub mod url;
mod variables;
pub mod web;
pub mod yaml;

pub use configuration::Config;
pub use context::Defaults;
pub use error::ConfigError;
pub use model::size;
pub use sections::{alerting, aws, discovery, global, http_client, otlp, relabel, remote, scrape, storage};
pub use unsupported::Unsupported;
pub use yaml::fields;

#[cfg(test)]
mod tests;
