//! What PromQL brings to test scripts: series to load, and queries that pinning must not change.

use promql::ast::Expr;
use promql::{Features, parse};

use crate::pin::pin;
use crate::script::parse::{Lines, ScriptError};
use crate::script::{Evaluator, Language, Target};
use crate::series::Store;
use crate::series::load::{self, Load};

/// PromQL as the language of scripts.
#[derive(Clone, Copy, Debug)]
pub enum PromQl {}

impl Language for PromQl {
    type Load = Load;

    fn parse_load(line: usize, command: &str, block: &mut Lines<'_>) -> Result<Load, ScriptError> {
        load::parse(line, command, block)
    }

    /// The query with all selectors pinned to its time, at other times.
    fn equivalents(query: &str, t: i64) -> Vec<(String, i64)> {
        let Ok(mut expr) = parse(query, &Features::ALL) else { return Vec::new() };
        if !pin(&mut expr, t) {
            return Vec::new();
        }
        let query = Expr::to_string(&expr);
        if query.contains(char::REPLACEMENT_CHARACTER) {
            // Stands for bytes of a literal that were not UTF-8; as text it is refused.
            return Vec::new();
        }
        let times = if t == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t, 0, t / 5, t, 10 * t] };
        times.into_iter().map(|t| (query.clone(), t)).collect()
    }

    fn depends_on_range(query: &str) -> bool {
        ["start()", "end()", "range()", "step()"].iter().any(|call| query.contains(call))
    }
}

impl<T: Store + Evaluator> Target<PromQl> for T {
    fn clear(&mut self) -> Result<(), String> {
        Store::clear(self)
    }

    fn load(&mut self, load: &Load) -> Result<(), String> {
        Store::load(self, load::series(load, 0)?)
    }
}
