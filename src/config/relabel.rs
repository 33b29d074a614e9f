//! Relabel rules as configured.

/// One entry of a `*relabel_configs` list, defaults applied and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RelabelConfig {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Between joined values. Default `;`.
    pub separator: String,
    /// As written, before anchoring. Default `(.*)`.
    pub regex: String,
    /// Of `hashmod`.
    pub modulus: u64,
    /// What is set.
    pub target_label: String,
    /// Default `$1`.
    pub replacement: String,
    /// Lower case name of the action. Default `replace`.
    pub action: String,
}
