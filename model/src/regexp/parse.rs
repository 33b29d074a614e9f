//! Go's grammar. Source: Go `regexp/syntax`, as Prometheus uses it.

use regex_syntax::hir::ClassUnicode;

use super::class::{self, Builder};
use super::node::{Look, Node};
use super::{ErrorKind, RegexpError};

/// Groups that may be open at the same time.
pub(super) const MAX_DEPTH: usize = 250;
/// Copies that counted repeats may make of one part.
const MAX_COPIES: u32 = 1000;

/// Flags in force at one place of an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    lazy: bool,
}

impl Mode {
    /// Without flags.
    pub(super) const PERL: Self =
        Self { fold_case: false, multi_line: false, dot_newline: false, lazy: false };
    /// As under `(?s)`.
    pub(super) const DOT_NEWLINE: Self = Self { dot_newline: true, ..Self::PERL };
}

/// A tree and the names of its groups, the whole match first.
pub(super) type Parsed = (Node, Vec<Option<String>>);

/// Parses an expression.
pub(super) fn parse(pattern: &str, mode: Mode) -> Result<Parsed, RegexpError> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        mode,
        open: Vec::new(),
        level: Level::default(),
        names: vec![None],
    };
    // The text from the repetition operator on, if the last thing read was one.
    let mut last_repeat: Option<&str> = None;
    while let Some(c) = parser.rest.chars().next() {
        let at = parser.rest;
        last_repeat = parser.item(c, last_repeat)?.then_some(at);
    }
    if !parser.open.is_empty() {
        return Err(error(ErrorKind::MissingParen, pattern));
    }
    Ok((parser.level.finish(), parser.names))
}

fn error(kind: ErrorKind, part: &str) -> RegexpError {
    RegexpError { kind, part: part.to_owned() }
}

/// What is read of one group so far.
#[derive(Default)]
struct Level {
    alternatives: Vec<Node>,
    sequence: Vec<Node>,
}

impl Level {
    fn end_alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.alternatives.push(concat(sequence));
    }

    fn finish(mut self) -> Node {
        self.end_alternative();
        match self.alternatives.len() {
            1 => self.alternatives.remove(0),
            _ => Node::Alternate(self.alternatives),
        }
    }
}

/// Joins neighbouring literals.
fn concat(nodes: Vec<Node>) -> Node {
    let mut joined: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in nodes {
        match (joined.last_mut(), node) {
            (Some(Node::Literal { text, fold }), Node::Literal { text: more, fold: more_fold })
                if *fold == more_fold =>
            {
                text.push_str(&more);
            }
            (_, node) => joined.push(node),
        }
    }
    match joined.len() {
        1 => joined.remove(0),
        _ => Node::Concat(joined),
    }
}

/// A group whose `)` is yet to come.
struct Open {
    outer: Level,
    outer_mode: Mode,
    capture: bool,
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    mode: Mode,
    open: Vec<Open>,
    level: Level,
    names: Vec<Option<String>>,
}

impl<'a> Parser<'a> {
    /// Reads one item that starts with `c`. Returns whether it was a repetition operator.
    fn item(&mut self, c: char, last_repeat: Option<&str>) -> Result<bool, RegexpError> {
        match c {
            '(' if self.rest.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.skip(1);
                self.open_group(Some(None))?;
            }
            '|' => {
                self.skip(1);
                self.level.end_alternative();
            }
            ')' => self.close_group()?,
            '^' => {
                self.single(Node::Look(if self.mode.multi_line { Look::BeginLine } else { Look::BeginText }))
            }
            '$' => self.single(Node::Look(if self.mode.multi_line { Look::EndLine } else { Look::EndText })),
            '.' => self.single(if self.mode.dot_newline { Node::Any } else { Node::AnyNotNewline }),
            '[' => self.class()?,
            '*' => return self.repeat(0, None, &self.rest[1..], last_repeat),
            '+' => return self.repeat(1, None, &self.rest[1..], last_repeat),
            '?' => return self.repeat(0, Some(1), &self.rest[1..], last_repeat),
            '{' => match counted(self.rest) {
                Some((count, after)) => {
                    let part = &self.rest[..self.rest.len() - after.len()];
                    let (min, max) = count.ok_or_else(|| error(ErrorKind::InvalidRepeatSize, part))?;
                    return self.repeat(min, max, after, last_repeat);
                }
                None => self.single(self.literal('{')),
            },
            '\\' => self.escape_item()?,
            c => self.single(self.literal(c)),
        }
        Ok(false)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn push(&mut self, node: Node) {
        self.level.sequence.push(node);
    }

    /// Pushes what the next character stands for.
    fn single(&mut self, node: Node) {
        let len = self.rest.chars().next().map_or(0, char::len_utf8);
        self.skip(len);
        self.push(node);
    }

    fn literal(&self, c: char) -> Node {
        Node::Literal { text: c.to_string(), fold: self.mode.fold_case && has_case(c) }
    }

    /// `Some(name)` opens a capturing group.
    fn open_group(&mut self, capture: Option<Option<String>>) -> Result<(), RegexpError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(error(ErrorKind::NestingDepth, self.whole));
        }
        let outer = std::mem::take(&mut self.level);
        self.open.push(Open { outer, outer_mode: self.mode, capture: capture.is_some() });
        self.names.extend(capture);
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexpError> {
        let Some(open) = self.open.pop() else {
            return Err(error(ErrorKind::UnexpectedParen, self.whole));
        };
        self.skip(1);
        let inner = std::mem::replace(&mut self.level, open.outer).finish();
        self.mode = open.outer_mode;
        self.push(if open.capture { Node::Capture(Box::new(inner)) } else { inner });
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Result<(), RegexpError> {
        let start = self.rest;
        let name_at = if start.len() > 4 && start.starts_with("(?P<") {
            Some(4)
        } else if start.len() > 3 && start.starts_with("(?<") {
            Some(3)
        } else {
            None
        };
        if let Some(name_at) = name_at {
            let end = start.find('>').ok_or_else(|| error(ErrorKind::InvalidNamedCapture, start))?;
            let name = start.get(name_at..end).unwrap_or("");
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(error(ErrorKind::InvalidNamedCapture, &start[..=end]));
            }
            self.skip(end + 1);
            return self.open_group(Some(Some(name.to_owned())));
        }
        self.skip(2);
        let mut mode = self.mode;
        let mut on = true;
        let mut seen = false;
        while let Some(c) = self.rest.chars().next() {
            self.skip(c.len_utf8());
            match c {
                'i' => mode.fold_case = on,
                'm' => mode.multi_line = on,
                's' => mode.dot_newline = on,
                'U' => mode.lazy = on,
                '-' if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.open_group(None)?;
                    }
                    self.mode = mode;
                    return Ok(());
                }
                _ => break,
            }
            seen = true;
        }
        Err(error(ErrorKind::InvalidPerlOp, &start[..start.len() - self.rest.len()]))
    }

    /// Repeats the last item. `after` is what follows the operator.
    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        after: &'a str,
        last_repeat: Option<&str>,
    ) -> Result<bool, RegexpError> {
        let (after, greedy) = match after.strip_prefix('?') {
            Some(after) => (after, self.mode.lazy),
            None => (after, !self.mode.lazy),
        };
        if let Some(last) = last_repeat {
            return Err(error(ErrorKind::InvalidRepeatOp, &last[..last.len() - after.len()]));
        }
        let part = &self.rest[..self.rest.len() - after.len()];
        let Some(node) = self.level.sequence.pop() else {
            return Err(error(ErrorKind::MissingRepeatArgument, part));
        };
        let node = Node::Repeat { node: Box::new(node), min, max, greedy };
        if (min >= 2 || max.is_some_and(|max| max >= 2)) && !node.repeats_at_most(MAX_COPIES) {
            return Err(error(ErrorKind::InvalidRepeatSize, part));
        }
        self.push(node);
        self.rest = after;
        Ok(true)
    }

    /// A backslash outside a class.
    fn escape_item(&mut self) -> Result<(), RegexpError> {
        let second = self.rest[1..].chars().next();
        let look = match second {
            Some('A') => Some(Look::BeginText),
            Some('z') => Some(Look::EndText),
            Some('b') => Some(Look::Word),
            Some('B') => Some(Look::NotWord),
            _ => None,
        };
        if let Some(look) = look {
            self.skip(2);
            self.push(Node::Look(look));
            return Ok(());
        }
        match second {
            Some('C') => return Err(error(ErrorKind::InvalidEscape, &self.rest[..2])),
            Some('Q') => {
                let quoted = &self.rest[2..];
                let (text, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                for c in text.chars() {
                    self.push(self.literal(c));
                }
                self.rest = after;
                return Ok(());
            }
            _ => {}
        }
        let mut builder = Builder::new(self.mode.fold_case);
        if self.class_escape(&mut builder)? {
            self.push(Node::Class(builder.finish(false)));
            return Ok(());
        }
        let code = self.escape()?;
        self.push(match char::from_u32(code) {
            Some(c) => self.literal(c),
            None => Node::Class(ClassUnicode::empty()),
        });
        Ok(())
    }

    /// Reads `\d`, `\pN`, `\p{Greek}` and their like into a class, if one is next.
    fn class_escape(&mut self, builder: &mut Builder) -> Result<bool, RegexpError> {
        let Some(escaped) = self.rest.strip_prefix('\\') else { return Ok(false) };
        let Some(letter) = escaped.chars().next() else { return Ok(false) };
        if let Some((class, negated)) = class::perl(letter) {
            self.skip(2);
            builder.add(&class, negated);
            return Ok(true);
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(false);
        }
        let invalid = |part: &str| error(ErrorKind::InvalidCharRange, part);
        let first = escaped[1..].chars().next().ok_or_else(|| invalid(self.rest))?;
        let (len, name) = if first == '{' {
            let end = self.rest.find('}').ok_or_else(|| invalid(self.rest))?;
            (end + 1, &self.rest[3..end])
        } else {
            let end = 2 + first.len_utf8();
            (end, &self.rest[2..end])
        };
        let (name, inverted) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let class = class::unicode(name).ok_or_else(|| invalid(&self.rest[..len]))?;
        self.skip(len);
        builder.add(&class, (letter == 'P') != inverted);
        Ok(true)
    }

    /// Reads an escape that stands for one code point.
    fn escape(&mut self) -> Result<u32, RegexpError> {
        let start = self.rest;
        self.skip(1);
        let Some(c) = self.next_char() else {
            return Err(error(ErrorKind::TrailingBackslash, ""));
        };
        let code = match c {
            '1'..='7' if !self.rest.starts_with(|c| matches!(c, '0'..='7')) => None,
            '0'..='7' => {
                let mut code = c as u32 - '0' as u32;
                for _ in 1..3 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
                    self.skip(1);
                    code = code * 8 + digit;
                }
                Some(code)
            }
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        code.ok_or_else(|| error(ErrorKind::InvalidEscape, &start[..start.len() - self.rest.len()]))
    }

    /// What follows `\x`: two digits, or any number in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.next_char()?;
        if first != '{' {
            let second = self.next_char()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut code = None;
        loop {
            match self.next_char()? {
                '}' => return code,
                c => {
                    let next = code.unwrap_or(0) * 16 + c.to_digit(16)?;
                    code = Some(next).filter(|code| *code <= char::MAX as u32);
                    code?;
                }
            }
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// `[...]`.
    fn class(&mut self) -> Result<(), RegexpError> {
        let start = self.rest;
        self.skip(1);
        let negated = self.rest.starts_with('^');
        if negated {
            self.skip(1);
        }
        let mut builder = Builder::new(self.mode.fold_case);
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.posix_class(&mut builder)? || self.class_escape(&mut builder)? {
                continue;
            }
            let range = self.rest;
            let low = self.class_char(start)?;
            let mut high = low;
            if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.skip(1);
                high = self.class_char(start)?;
                if high < low {
                    let part = &range[..range.len() - self.rest.len()];
                    return Err(error(ErrorKind::InvalidCharRange, part));
                }
            }
            builder.add_range(low, high);
        }
        self.skip(1);
        self.push(Node::Class(builder.finish(negated)));
        Ok(())
    }

    /// One code point of a class that began at `class`.
    fn class_char(&mut self, class: &str) -> Result<u32, RegexpError> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        self.next_char().map(u32::from).ok_or_else(|| error(ErrorKind::MissingBracket, class))
    }

    /// `[:name:]` within a class.
    fn posix_class(&mut self, builder: &mut Builder) -> Result<bool, RegexpError> {
        let Some(inner) = self.rest.strip_prefix("[:") else { return Ok(false) };
        let Some(end) = inner.find(":]") else { return Ok(false) };
        let len = end + 4;
        let (name, negated) = match inner[..end].strip_prefix('^') {
            Some(name) => (name, true),
            None => (&inner[..end], false),
        };
        let Some(class) = class::posix(name) else {
            return Err(error(ErrorKind::InvalidCharRange, &self.rest[..len]));
        };
        self.skip(len);
        builder.add(&class, negated);
        Ok(true)
    }
}

/// `{n}`, `{n,}` or `{n,m}` at the start of `text`, and what follows. `None` when it is no repetition but text; an
/// inner `None` when the numbers are too large or the wrong way round.
#[expect(clippy::type_complexity, reason = "a name would say less than the sentence above")]
fn counted(text: &str) -> Option<(Option<(u32, Option<u32>)>, &str)> {
    let (min, rest) = integer(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = integer(rest)?;
            (Some(max), rest)
        }
    };
    let after = rest.strip_prefix('}')?;
    let valid = min <= MAX_COPIES && max.is_none_or(|max| (min..=MAX_COPIES).contains(&max));
    Some((valid.then_some((min, max)), after))
}

/// Digits without leading zeros; a number too large for the type is its maximum.
fn integer(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if digits == 0 || (digits > 1 && number.starts_with('0')) {
        return None;
    }
    Some((number.parse().unwrap_or(u32::MAX), rest))
}

/// Whether folding makes a difference. Rarely wrong on the safe side.
fn has_case(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphabetic()
}
