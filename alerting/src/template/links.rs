//! Links into the expression browser, relative to the external URL.

use super::builtins::url_query;

/// To the graph of an expression.
pub fn graph(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", url_query(expr))
}

/// To the table of an expression.
pub fn table(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", url_query(expr))
}
