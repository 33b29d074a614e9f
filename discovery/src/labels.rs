//! The labels of a target in the making.

use std::fmt::{Display, Write as _};

use model::{Labels, LabelsBuilder};

use super::ADDRESS_LABEL;

/// Labels that begin alike, and the address.
pub struct MetaLabels {
    labels: LabelsBuilder,
    prefix: &'static str,
    /// Room for a name.
    name: String,
    /// Room for a value.
    value: String,
}

impl MetaLabels {
    /// No labels yet; `prefix` is such as `__meta_ec2_`.
    pub fn new(prefix: &'static str) -> Self {
        Self { labels: LabelsBuilder::new(), prefix, name: String::new(), value: String::new() }
    }

    /// Sets the label of this name behind the prefix. An empty value is no label.
    pub fn set(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.set_part(name, "", value)
    }

    /// Sets a label if there is a value.
    pub fn set_some(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sets the label whose name ends with a name from outside: what may not stand there becomes `_`.
    pub fn set_part(&mut self, name: &str, from_outside: &str, value: impl Display) -> &mut Self {
        self.name.clear();
        self.name.push_str(self.prefix);
        self.name.push_str(name);
        self.name.extend(from_outside.chars().map(label_char));
        self.value.clear();
        // Writing to a text does not fail.
        let _ = write!(self.value, "{value}");
        self.labels.set(&self.name, &self.value);
        self
    }

    /// Where to connect.
    pub fn address(&mut self, address: &str) -> &mut Self {
        self.labels.set(ADDRESS_LABEL, address);
        self
    }

    /// The labels.
    pub fn finish(&self) -> Labels {
        self.labels.finish()
    }
}

fn label_char(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn address(host: &str, port: impl Display) -> String {
    if host.contains([':', '%']) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Values with separators between and around them, so that each can be matched with both: `,a,b,`.
pub fn surrounded<T: AsRef<str>>(values: &[T], separator: &str) -> String {
    let mut out = separator.to_owned();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(value.as_ref());
    }
    out.push_str(separator);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let mut labels = MetaLabels::new("__meta_x_");
        labels.set("id", 7).set("up", true).set("none", "").set_some("missing", None::<&str>);
        labels.set_part("tag_", "aws:é-1_x", "v").address(&address("fd00::1", 80));
        assert_eq!(
            labels.finish().to_string(),
            "{__address__=\"[fd00::1]:80\", __meta_x_id=\"7\", __meta_x_tag_aws___1_x=\"v\", __meta_x_up=\"true\"}"
        );
    }

    #[test]
    fn texts() {
        assert_eq!(address("10.0.0.1", 80), "10.0.0.1:80");
        assert_eq!(surrounded(&["a", "b"], ","), ",a,b,");
        assert_eq!(surrounded::<&str>(&[], ","), ",,");
    }
}
