//! Secret texts, and where they come from.

use std::fmt;
use std::path::PathBuf;

use crate::context::Context;
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node, Value};

/// Text that must not be shown. Prints as `<secret>`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret text comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// In a file, read again for each request, white space at both ends removed.
    File(PathBuf),
    /// By name in a secret manager (`*_ref`). Prometheus itself has none configured: use fails.
    Reference(String),
}

/// Which of `name`, `name_file`, `name_ref` is given, if any; more than one is a fault with this message.
pub(super) fn read_source(
    f: &mut Fields<'_>,
    cx: &Context<'_>,
    [inline, file, reference]: [&'static str; 3],
    message: &str,
) -> Result<Option<SecretSource>, Fault> {
    let sources = [
        Some(f.secret(inline)?).filter(|s| !s.is_empty()).map(SecretSource::Inline),
        Some(f.text(file, "")?)
            .filter(|s| !s.is_empty())
            .map(|path| SecretSource::File(cx.path(&path).into())),
        Some(f.text(reference, "")?).filter(|s| !s.is_empty()).map(SecretSource::Reference),
    ];
    let mut given = sources.into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        return Err(f.fault(if f.has(file) { file } else { reference }, message));
    }
    if let Some(SecretSource::Reference(_)) = first {
        let pos = f.fault(reference, "").pos;
        cx.note(pos, f.path_of(reference), "there is no secret manager; requests that need it will fail");
    }
    Ok(first)
}

pub(super) fn read_secrets(node: &Node, path: &str) -> Result<Vec<Secret>, Fault> {
    match &node.value {
        _ if node.is_null() => Ok(Vec::new()),
        Value::Sequence(items) => items
            .iter()
            .map(|item| match item.scalar() {
                Some(_) if item.is_null() => Ok(Secret::default()),
                Some(scalar) => Ok(Secret::new(&scalar.text)),
                None => {
                    Err(Fault::new(item.pos, format!("{path}: expected a text, found {}", item.describe())))
                }
            })
            .collect(),
        // What stands here may be a secret: do not repeat it.
        Value::Scalar(_) | Value::Mapping(_) => {
            Err(Fault::new(node.pos, format!("{path}: expected a list of texts")))
        }
    }
}
