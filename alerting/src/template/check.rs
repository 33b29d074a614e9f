//! What Go finds out while it parses and the parser here does not: functions and variables that are not there.

use gotmpl::parse::{BranchNode, Expr, ListNode, Node, PipeNode, Pos};

use super::exec::line_and_column;
use super::{builtins, functions};

/// Checks that blocks are closed, which the tree does not show; the error is Go's.
pub(super) fn check_blocks(name: &str, source: &str) -> Result<(), String> {
    let line = |at: usize| source[..at].matches('\n').count() + 1;
    let error = |at: usize, reason: String| Err(format!("template: {name}:{}: {reason}", line(at)));
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(start) = source[at..].find("{{") {
        let start = at + start;
        let action = &source[start + 2..];
        let trimmed = action.strip_prefix("- ").unwrap_or(action).trim_start();
        let end = match trimmed.starts_with("/*") {
            true => action.find("*/").map(|end| end + 2),
            false => action_end(action),
        };
        // The parser has refused what does not end.
        let Some(end) = end else { return Ok(()) };
        let words: Vec<&str> = trimmed.split(|c: char| !c.is_alphanumeric()).take(2).collect();
        match words.first().copied().unwrap_or("") {
            keyword @ ("if" | "range" | "with") => {
                let rest = trimmed[keyword.len()..].trim_start();
                if rest.starts_with("}}") || rest.starts_with("-}}") {
                    return error(start, format!("missing value for {keyword}"));
                }
                open.push(keyword);
            }
            keyword @ ("define" | "block") => open.push(keyword),
            "end" if open.pop().is_none() => return error(start, "unexpected {{end}}".to_owned()),
            "else" if !matches!(open.last(), Some(&("if" | "range" | "with"))) => {
                return error(start, "unexpected {{else}}".to_owned());
            }
            keyword @ ("break" | "continue") if !open.contains(&"range") => {
                return error(start, format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
            }
            _ => {}
        }
        at = start + 2 + end;
    }
    match open.last() {
        None => Ok(()),
        Some(_) => error(source.len(), "unexpected EOF".to_owned()),
    }
}

/// The length of an action up to its `}}`, which may also stand in a quoted text.
fn action_end(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut chars = action.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '}') if action[at..].starts_with("}}") => return Some(at),
            (Some('"' | '\''), '\\') => drop(chars.next()),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Checks one tree; the error is Go's.
pub(super) fn check(name: &str, source: &str, tree: &ListNode) -> Result<(), String> {
    Checker { name, source, variables: vec!["$".to_owned()] }.list(tree)
}

struct Checker<'a> {
    name: &'a str,
    source: &'a str,
    variables: Vec<String>,
}

impl Checker<'_> {
    fn error(&self, pos: Pos, reason: &str) -> String {
        format!("template: {}:{}: {reason}", self.name, line_and_column(self.source, pos).0)
    }

    fn list(&mut self, list: &ListNode) -> Result<(), String> {
        list.nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::List(list) => self.list(list),
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => self.branch(branch),
            Node::Template(template) => template.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(&mut self, branch: &BranchNode) -> Result<(), String> {
        let outer = self.variables.len();
        self.pipe(&branch.pipe)?;
        let with_condition = self.variables.len();
        self.list(&branch.body)?;
        self.variables.truncate(with_condition);
        if let Some(body) = &branch.else_body {
            self.list(body)?;
        }
        self.variables.truncate(outer);
        Ok(())
    }

    fn pipe(&mut self, pipe: &PipeNode) -> Result<(), String> {
        for command in &pipe.commands {
            command.args.iter().try_for_each(|arg| self.expr(arg))?;
        }
        for name in &pipe.decl {
            if pipe.is_assign {
                self.known(pipe.pos, name)?;
            } else {
                self.variables.push(name.to_string());
            }
        }
        Ok(())
    }

    fn known(&self, pos: Pos, name: &str) -> Result<(), String> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(self.error(pos, &format!("undefined variable {name:?}")))
    }

    fn expr(&mut self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Variable(pos, name, _) => self.known(*pos, name),
            Expr::Identifier(pos, name) => {
                if builtins::NAMES.contains(&name.as_str()) || functions::find(name).is_some() {
                    return Ok(());
                }
                Err(self.error(*pos, &format!("function {name:?} not defined")))
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expr(inner),
            Expr::Dot(_)
            | Expr::Field(..)
            | Expr::String(..)
            | Expr::Number(..)
            | Expr::Bool(..)
            | Expr::Nil(_) => Ok(()),
        }
    }
}
