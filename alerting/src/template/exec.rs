//! Walks a parsed template. Errors read as Go's do: `template: NAME:LINE:COLUMN: executing "NAME" at <PART>: REASON`.

use std::collections::HashMap;

use gotmpl::parse::{
    BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr, TemplateNode,
};

use super::value::Value;
use super::{Environment, builtins, functions, time};

/// Bytes that a template may give.
const MAX_OUTPUT: usize = 1 << 20;
/// Steps of `range` in one expansion.
const MAX_STEPS: u32 = 1_000_000;
/// Templates and blocks within each other.
const MAX_DEPTH: u32 = 100;

/// What stops a walk.
enum Stop {
    Error(String),
    Break,
    Continue,
}

type Walk<T> = Result<T, Stop>;

/// One expansion.
pub(super) struct Executor<'a> {
    name: &'a str,
    source: &'a str,
    defines: &'a HashMap<String, ListNode>,
    environment: &'a Environment<'a>,
    /// Variables in scope, innermost last.
    variables: Vec<(String, Value)>,
    out: String,
    steps: u32,
    depth: u32,
}

impl<'a> Executor<'a> {
    /// Expands a template.
    pub(super) fn run(
        name: &'a str,
        source: &'a str,
        tree: &ListNode,
        defines: &'a HashMap<String, ListNode>,
        environment: &'a Environment<'a>,
        data: Value,
    ) -> Result<String, String> {
        let mut executor = Self {
            name,
            source,
            defines,
            environment,
            variables: vec![("$".to_owned(), data.clone())],
            out: String::new(),
            steps: 0,
            depth: 0,
        };
        match executor.list(tree, &data) {
            Ok(()) => Ok(executor.out),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Break | Stop::Continue) => Err(format!("template: {name}: break outside of range")),
        }
    }

    fn error(&self, pos: Pos, part: &str, reason: impl std::fmt::Display) -> Stop {
        let (line, column) = line_and_column(self.source, pos);
        let name = self.name;
        Stop::Error(format!("template: {name}:{line}:{column}: executing {name:?} at <{part}>: {reason}"))
    }

    fn list(&mut self, list: &ListNode, dot: &Value) -> Walk<()> {
        list.nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Walk<()> {
        match node {
            Node::Text(text) => self.write(text.pos, &text.text),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if !action.pipe.decl.is_empty() {
                    return Ok(());
                }
                match value {
                    Value::Nil => self.write(action.pos, "<no value>"),
                    Value::Text(text) => self.write(action.pos, &text),
                    value => self.write(action.pos, &value.to_string()),
                }
            }
            Node::If(branch) => self.scoped(branch.pos, |this| {
                if this.pipe(&branch.pipe, dot)?.is_true() {
                    return this.list(&branch.body, dot);
                }
                branch.else_body.as_ref().map_or(Ok(()), |body| this.list(body, dot))
            }),
            Node::With(branch) => self.scoped(branch.pos, |this| {
                let value = this.pipe(&branch.pipe, dot)?;
                if value.is_true() {
                    return this.list(&branch.body, &value);
                }
                branch.else_body.as_ref().map_or(Ok(()), |body| this.list(body, dot))
            }),
            Node::Range(branch) => self.scoped(branch.pos, |this| this.range(branch, dot)),
            Node::Template(template) => self.template(template, dot),
            Node::Define(_) => Ok(()),
            Node::List(list) => self.list(list, dot),
            Node::Break(_) => Err(Stop::Break),
            Node::Continue(_) => Err(Stop::Continue),
        }
    }

    fn write(&mut self, pos: Pos, text: &str) -> Walk<()> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(self.error(pos, "", format_args!("more than {MAX_OUTPUT} bytes of output")));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Runs a block whose variables end with it.
    fn scoped<T>(&mut self, pos: Pos, block: impl FnOnce(&mut Self) -> Walk<T>) -> Walk<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(pos, "", "exceeded maximum template depth"));
        }
        let outer = self.variables.len();
        self.depth += 1;
        let result = block(self);
        self.depth -= 1;
        self.variables.truncate(outer);
        result
    }

    fn template(&mut self, template: &TemplateNode, dot: &Value) -> Walk<()> {
        let name = template.name.as_str();
        let defines = self.defines;
        let Some(body) = defines.get(name) else {
            // Go points at the name, which follows the keyword.
            let pos = Pos::new(template.pos.offset + "template ".len(), template.pos.line);
            let part = format!("{{{{template {name:?}}}}}");
            return Err(self.error(pos, &part, format_args!("template {name:?} not defined")));
        };
        let data = match &template.pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let result = self.scoped(template.pos, |this| this.list(body, &data));
        self.variables = outer;
        result
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value) -> Walk<()> {
        let over = self.commands(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match &over {
            Value::Samples(samples) => (0..).map(Value::Int).zip(samples.iter().cloned()).collect(),
            Value::Labels(labels) => labels.iter().map(|(n, v)| (Value::text(n), Value::text(v))).collect(),
            Value::Map(map) => map.iter().map(|(k, v)| (Value::text(k.as_str()), v.clone())).collect(),
            Value::Int(n) if branch.pipe.decl.len() < 2 => {
                if *n > i64::from(MAX_STEPS) {
                    return Err(self.error(branch.pos, &n.to_string(), "too many steps"));
                }
                (0..*n).map(|i| (Value::Int(i), Value::Int(i))).collect()
            }
            Value::Int(n) => {
                let reason = format!("can't use {n} to iterate over more than one variable");
                return Err(self.error(
                    pipe_pos(&branch.pipe),
                    &pipe_text(self.source, &branch.pipe),
                    reason,
                ));
            }
            Value::Nil => Vec::new(),
            other => {
                let reason = format!("range can't iterate over {other}");
                return Err(self.error(
                    pipe_pos(&branch.pipe),
                    &pipe_text(self.source, &branch.pipe),
                    reason,
                ));
            }
        };
        if items.is_empty() {
            return branch.else_body.as_ref().map_or(Ok(()), |body| self.list(body, dot));
        }
        for (key, item) in items {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(self.error(branch.pos, "range", "too many steps"));
            }
            let outer = self.variables.len();
            match branch.pipe.decl.as_slice() {
                [] => {}
                [value] => self.set(value, item.clone(), branch.pipe.is_assign),
                [index, value, ..] => {
                    self.set(index, key, branch.pipe.is_assign);
                    self.set(value, item.clone(), branch.pipe.is_assign);
                }
            }
            let result = self.list(&branch.body, &item);
            self.variables.truncate(outer);
            match result {
                Ok(()) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value, assign: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known {
            Some((_, slot)) if assign => *slot = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Walk<Value> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.decl {
            self.set(name, value.clone(), pipe.is_assign);
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &PipeNode, dot: &Value) -> Walk<Value> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    /// `last` is what the command before in the pipeline gave; it becomes the last argument.
    fn command(&mut self, command: &CommandNode, dot: &Value, last: Option<Value>) -> Walk<Value> {
        let Some((first, args)) = command.args.split_first() else { return Ok(Value::Nil) };
        let pos = first.pos();
        match first {
            Expr::Identifier(_, name) => self.function(pos, name, args, dot, last),
            Expr::Chain(_, inner, fields) if matches!(**inner, Expr::Identifier(..)) => {
                let Expr::Identifier(_, name) = &**inner else { return Ok(Value::Nil) };
                let value = self.function(pos, name, args, dot, last)?;
                self.fields(first, value, fields, dot, &[], None)
            }
            Expr::Field(_, fields) => self.fields(first, dot.clone(), fields, dot, args, last),
            Expr::Variable(_, name, fields) if !fields.is_empty() => {
                let value = self.variable(pos, name)?;
                self.fields(first, value, fields, dot, args, last)
            }
            Expr::Chain(_, inner, fields) => {
                let value = self.expr(inner, dot)?;
                self.fields(first, value, fields, dot, args, last)
            }
            _ if !args.is_empty() || last.is_some() => {
                let part = expr_text(self.source, first);
                Err(self.error(pos, &part, format_args!("can't give argument to non-function {part}")))
            }
            Expr::Nil(_) => Err(self.error(pos, "nil", "nil is not a command")),
            first => self.expr(first, dot),
        }
    }

    fn function(
        &mut self,
        pos: Pos,
        name: &str,
        args: &[Expr],
        dot: &Value,
        last: Option<Value>,
    ) -> Walk<Value> {
        if name == "and" || name == "or" {
            return self.and_or(pos, name, args, dot, last);
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in args {
            values.push(self.expr(arg, dot)?);
        }
        values.extend(last);
        let result = match functions::find(name) {
            Some(function) => function.call(&values, self.environment),
            None => builtins::call(name, &values),
        };
        result.map_err(|reason| {
            if reason.starts_with("wrong ") {
                return self.error(pos, name, reason);
            }
            let mut part = name.to_owned();
            for arg in args {
                part.push(' ');
                part.push_str(&expr_text(self.source, arg));
            }
            self.error(pos, &part, format_args!("error calling {name}: {reason}"))
        })
    }

    /// `and` and `or` evaluate no further than they must.
    fn and_or(
        &mut self,
        pos: Pos,
        name: &str,
        args: &[Expr],
        dot: &Value,
        last: Option<Value>,
    ) -> Walk<Value> {
        let mut value = None;
        for arg in args {
            let next = self.expr(arg, dot)?;
            if next.is_true() == (name == "or") {
                return Ok(next);
            }
            value = Some(next);
        }
        last.or(value).ok_or_else(|| {
            self.error(pos, name, format_args!("wrong number of args for {name}: want at least 1 got 0"))
        })
    }

    /// Follows field names; arguments go to the last, which then must be a method. `whole` is the expression that the
    /// names are part of.
    fn fields(
        &mut self,
        whole: &Expr,
        value: Value,
        fields: &[SmolStr],
        dot: &Value,
        args: &[Expr],
        last: Option<Value>,
    ) -> Walk<Value> {
        let fail = |this: &Self, reason: String| {
            this.error(field_pos(whole), &expr_text(this.source, whole), reason)
        };
        let mut value = value;
        for (i, field) in fields.iter().enumerate() {
            if i + 1 == fields.len() && (!args.is_empty() || last.is_some()) {
                let mut values = Vec::new();
                for arg in args {
                    values.push(self.expr(arg, dot)?);
                }
                values.extend(last);
                return match (&value, field.as_str(), values.as_slice()) {
                    (Value::Time(ns), "Format", [Value::Text(layout)]) => {
                        Ok(Value::text(time::time_format(*ns, layout)))
                    }
                    _ => Err(fail(self, format!("{field} is not a method but has arguments"))),
                };
            }
            value = match value.field(field) {
                Some(value) => value,
                None if value == Value::Nil => {
                    return Err(fail(self, format!("nil data; no entry for key {field:?}")));
                }
                None => {
                    return Err(fail(
                        self,
                        format!("can't evaluate field {field} in type {}", value.type_name()),
                    ));
                }
            };
        }
        Ok(value)
    }

    fn variable(&self, pos: Pos, name: &str) -> Walk<Value> {
        let known = self.variables.iter().rev().find(|(known, _)| known == name);
        known
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.error(pos, name, format_args!("undefined variable: {name}")))
    }

    fn expr(&mut self, expr: &Expr, dot: &Value) -> Walk<Value> {
        let pos = expr.pos();
        match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(_, fields) => self.fields(expr, dot.clone(), fields, dot, &[], None),
            Expr::Variable(_, name, fields) => {
                let value = self.variable(pos, name)?;
                self.fields(expr, value, fields, dot, &[], None)
            }
            Expr::String(_, text) => Ok(Value::Text(text.clone())),
            Expr::Number(_, Number::Int(n)) => Ok(Value::Int(*n)),
            Expr::Number(_, Number::Float(v)) => Ok(Value::Float(*v)),
            Expr::Number(_, Number::Uint(n)) => {
                Err(self.error(pos, &n.to_string(), format_args!("{n} overflows int")))
            }
            Expr::Bool(_, b) => Ok(Value::Bool(*b)),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Pipe(_, pipe) => self.scoped(pos, |this| this.pipe(pipe, dot)),
            Expr::Identifier(_, name) => self.function(pos, name, &[], dot, None),
            Expr::Chain(_, inner, fields) => {
                let value = self.expr(inner, dot)?;
                self.fields(expr, value, fields, dot, &[], None)
            }
        }
    }
}

/// Line, counted from 1, and column, counted from 0 in bytes, as Go counts them in templates.
pub(super) fn line_and_column(source: &str, pos: Pos) -> (usize, usize) {
    let before = source.get(..pos.offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before.len() - line_start)
}

fn pipe_pos(pipe: &PipeNode) -> Pos {
    pipe.commands.first().and_then(|command| command.args.first()).map_or(pipe.pos, Expr::pos)
}

/// Where Go sees an expression with fields: at the field that follows the first name.
fn field_pos(expr: &Expr) -> Pos {
    let pos = expr.pos();
    let first = match expr {
        Expr::Variable(_, name, _) => name.len(),
        Expr::Field(_, fields) if fields.len() > 1 => 1 + fields[0].len(),
        _ => 0,
    };
    Pos::new(pos.offset + first, pos.line)
}

fn pipe_text(source: &str, pipe: &PipeNode) -> String {
    let command = |command: &CommandNode| -> String {
        let args: Vec<String> = command.args.iter().map(|arg| expr_text(source, arg)).collect();
        args.join(" ")
    };
    pipe.commands.iter().map(command).collect::<Vec<_>>().join(" | ")
}

/// An expression as Go shows it in errors.
fn expr_text(source: &str, expr: &Expr) -> String {
    let dotted = |fields: &[SmolStr]| fields.iter().map(|f| format!(".{f}")).collect::<String>();
    match expr {
        Expr::Dot(_) => ".".to_owned(),
        Expr::Field(_, fields) => dotted(fields),
        Expr::Variable(_, name, fields) => format!("{name}{}", dotted(fields)),
        Expr::Identifier(_, name) => name.to_string(),
        Expr::String(_, text) => model::labels::Quoted(text).to_string(),
        Expr::Number(pos, _) => {
            let rest = source.get(pos.offset..).unwrap_or("");
            let part = |c: char| c.is_ascii_alphanumeric() || "+-._'\\".contains(c);
            rest.split(|c| !part(c)).next().unwrap_or("").to_owned()
        }
        Expr::Bool(_, b) => b.to_string(),
        Expr::Nil(_) => "nil".to_owned(),
        Expr::Pipe(_, pipe) => format!("({})", pipe_text(source, pipe)),
        Expr::Chain(_, inner, fields) => format!("{}{}", expr_text(source, inner), dotted(fields)),
    }
}
