//! From rules to Alertmanagers. [`rules`] evaluates recording and alerting rules, [`template`] writes the texts of
//! alerts, [`notify`] sends them. Rules and notification meet in an [`Alert`] and an [`AlertSink`] only.

mod alert;
pub mod notify;
pub mod rules;
pub mod template;

pub use alert::{Alert, AlertSink};
