//! The scanner's state machine for queries.

use query::Pos;

use crate::ast::BinaryOp;
use crate::lex::string::QuotedChar;
use crate::lex::token::{Kind, Token};

/// The tokens of a text; the last one is [`Kind::Eof`] or [`Kind::Error`].
pub(crate) struct Lexed {
    pub tokens: Vec<Token>,
    /// What the error token means; empty without one.
    pub error: String,
}

/// What the next character belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    /// Everywhere else.
    Statements,
    /// Label matchers.
    Braces,
    /// After `[`, until the first number.
    DurationExpr,
    /// Values of a series description.
    Values,
    /// A histogram literal.
    Histogram,
    /// A list within a histogram literal.
    Buckets,
}

/// What a step of the scanner gives: the state to go on with, or why it cannot.
pub(super) type Step = Result<State, String>;

/// What surrounds the next value of a series description.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum HistogramState {
    /// No histogram.
    None,
    /// Within `{{`.
    Open,
    /// Behind `}}`, before an operator.
    Operator,
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    /// End of what was read.
    pub(super) pos: usize,
    /// Start of the token being read.
    pub(super) start: usize,
    tokens: Vec<Token>,
    /// Open parentheses.
    depth: usize,
    brace_open: bool,
    pub(super) bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
    /// Whether the text is a series description.
    pub(super) series: bool,
    pub(super) histogram: HistogramState,
}

/// Cuts a query, or a series description, into tokens. Time is linear in the text.
pub(crate) fn scan(text: &str, series: bool) -> Lexed {
    let mut scanner = Scanner {
        text,
        pos: 0,
        start: 0,
        tokens: Vec::with_capacity(text.len() / 4 + 2),
        depth: 0,
        brace_open: false,
        bracket_open: false,
        got_colon: false,
        got_duration: false,
        series,
        histogram: HistogramState::None,
    };
    let mut state = State::Statements;
    let error = loop {
        match scanner.step(state) {
            Ok(_) if scanner.tokens.last().is_some_and(|t| t.kind == Kind::Eof) => break String::new(),
            Ok(next) => state = next,
            Err(message) => {
                scanner
                    .tokens
                    .push(Token { kind: Kind::Error, pos: Pos { start: scanner.start, end: text.len() } });
                break message;
            }
        }
    };
    Lexed { tokens: scanner.tokens, error }
}

impl Scanner<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.text.get(self.pos..).and_then(|rest| rest.chars().next())
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let found = self.peek();
        self.pos += found.map_or(0, char::len_utf8);
        found
    }

    /// Takes the next character when it is one of `set`.
    pub(super) fn accept(&mut self, set: &str) -> bool {
        let found = self.is(set);
        if found {
            self.pos += 1;
        }
        found
    }

    /// Whether the next character is one of `set`, which is ASCII.
    pub(super) fn is(&self, set: &str) -> bool {
        self.text.as_bytes().get(self.pos).is_some_and(|byte| set.as_bytes().contains(byte))
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.text.len()
    }

    /// The text of the token being read.
    pub(super) fn word(&self) -> &str {
        self.text.get(self.start..self.pos).unwrap_or_default()
    }

    pub(super) fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, pos: Pos { start: self.start, end: self.pos } });
        self.start = self.pos;
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(is_space);
        self.start = self.pos;
    }

    /// Takes characters as long as they belong to a word.
    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| accept(*c)) {
            self.pos += c.len_utf8();
        }
    }

    /// An error about a character that was read already and would be a token of its own.
    fn after_token<T>(&mut self, message: String) -> Result<T, String> {
        self.start = self.pos;
        Err(message)
    }

    fn step(&mut self, state: State) -> Step {
        match state {
            State::Statements if self.histogram != HistogramState::None => self.histogram(),
            State::Statements if self.brace_open => self.braces(),
            State::Statements => self.statements(),
            State::Braces => self.braces(),
            State::DurationExpr => self.duration_expr(),
            State::Values => self.values(),
            State::Histogram => self.histogram(),
            State::Buckets => self.buckets(),
        }
    }

    fn comment(&mut self) {
        self.take_while(|c| c != '\n' && c != '\r');
        self.start = self.pos;
    }

    fn statements(&mut self) -> Step {
        if self.is("#") {
            self.comment();
            return Ok(State::Statements);
        }
        let Some(c) = self.next() else {
            if self.depth != 0 {
                return Err("unclosed left parenthesis".to_owned());
            }
            if self.bracket_open {
                return Err("unclosed left bracket".to_owned());
            }
            self.emit(Kind::Eof);
            return Ok(State::Statements);
        };
        match c {
            ',' => self.emit(Kind::Comma),
            c if is_space(c) => self.skip_spaces(),
            '*' => self.emit(Kind::Op(BinaryOp::Mul)),
            '/' => self.emit(Kind::Op(BinaryOp::Div)),
            '%' => self.emit(Kind::Op(BinaryOp::Mod)),
            '+' => self.emit(Kind::Op(BinaryOp::Add)),
            '-' => self.emit(Kind::Op(BinaryOp::Sub)),
            '^' => self.emit(Kind::Op(BinaryOp::Pow)),
            '=' if self.accept("=") => self.emit(Kind::Op(BinaryOp::Eq)),
            '=' if self.is("~") => {
                return Err(format!("unexpected character after '=': {}", QuotedChar(Some('~'))));
            }
            '=' => self.emit(Kind::Assign),
            '!' if self.accept("=") => self.emit(Kind::Op(BinaryOp::Ne)),
            '!' => return Err(format!("unexpected character after '!': {}", QuotedChar(self.peek()))),
            '<' if self.accept("=") => self.emit(Kind::Op(BinaryOp::Le)),
            '<' if self.accept("/") => self.emit(Kind::Op(BinaryOp::TrimUpper)),
            '<' => self.emit(Kind::Op(BinaryOp::Lt)),
            '>' if self.accept("=") => self.emit(Kind::Op(BinaryOp::Ge)),
            '>' if self.accept("/") => self.emit(Kind::Op(BinaryOp::TrimLower)),
            '>' => self.emit(Kind::Op(BinaryOp::Gt)),
            c if self.starts_number(c) => {
                self.pos -= 1;
                return self.number_or_duration();
            }
            '"' | '\'' | '`' => return self.string(c),
            c if is_alpha(c) || c == ':' => return self.word_or_bracket(c),
            '(' => {
                self.emit(Kind::LeftParen);
                self.depth += 1;
            }
            ')' => return self.right_paren(State::Statements),
            '{' => {
                self.emit(Kind::LeftBrace);
                self.brace_open = true;
                return Ok(State::Braces);
            }
            '[' => {
                if self.bracket_open {
                    return Err(format!("unexpected left bracket {}", QuotedChar(Some(c))));
                }
                self.got_colon = false;
                self.emit(Kind::LeftBracket);
                self.skip_spaces();
                self.bracket_open = true;
                return Ok(State::DurationExpr);
            }
            ']' => {
                if !self.bracket_open {
                    return Err(format!("unexpected right bracket {}", QuotedChar(Some(c))));
                }
                self.emit(Kind::RightBracket);
                self.bracket_open = false;
            }
            '@' => self.emit(Kind::At),
            c => return Err(format!("unexpected character: {}", QuotedChar(Some(c)))),
        }
        Ok(State::Statements)
    }

    fn starts_number(&self, c: char) -> bool {
        c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|next| next.is_ascii_digit()))
    }

    fn right_paren(&mut self, next: State) -> Step {
        if self.depth == 0 {
            return self.after_token(format!("unexpected right parenthesis {}", QuotedChar(Some(')'))));
        }
        self.emit(Kind::RightParen);
        self.depth -= 1;
        Ok(next)
    }

    /// A word, or within brackets the colon or a keyword of durations.
    fn word_or_bracket(&mut self, c: char) -> Step {
        if !self.bracket_open {
            self.pos -= 1;
            return self.keyword_or_identifier();
        }
        if c == ':' {
            if self.got_colon {
                return Err(format!("unexpected colon {}", QuotedChar(Some(c))));
            }
            self.emit(Kind::Colon);
            self.got_colon = true;
            return Ok(State::Statements);
        }
        if starts_duration_keyword(c) && self.duration_keyword() {
            return Ok(State::Statements);
        }
        Err(format!("unexpected character: {}, expected {}", QuotedChar(Some(c)), QuotedChar(Some(':'))))
    }

    fn duration_keyword(&mut self) -> bool {
        self.take_while(is_alpha);
        let found = Kind::duration_keyword(&self.word().to_ascii_lowercase());
        if let Some(kind) = found {
            self.emit(kind);
        }
        found.is_some()
    }

    pub(super) fn keyword_or_identifier(&mut self) -> Step {
        self.take_while(|c| is_alphanumeric(c) || c == ':');
        let word = self.word();
        let kind = match Kind::keyword(&word.to_ascii_lowercase()) {
            // Elsewhere these stay names, because metrics were called so before the modifiers existed.
            Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) if !self.parenthesis_follows() => {
                Kind::Identifier
            }
            Some(keyword) => keyword,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.emit(kind);
        Ok(if self.series && !self.is("{") { State::Values } else { State::Statements })
    }

    fn parenthesis_follows(&self) -> bool {
        self.text.get(self.pos..).is_some_and(|rest| rest.trim_start_matches(is_space).starts_with('('))
    }

    fn braces(&mut self) -> Step {
        if self.is("#") {
            self.comment();
            return Ok(State::Statements);
        }
        let Some(c) = self.next() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        match c {
            c if is_space(c) => self.skip_spaces(),
            c if is_alpha(c) => {
                self.take_while(is_alphanumeric);
                self.emit(Kind::Identifier);
            }
            ',' => self.emit(Kind::Comma),
            '"' | '\'' | '`' => return self.string(c),
            '=' if self.accept("~") => self.emit(Kind::MatchRegex),
            '=' => self.emit(Kind::Assign),
            '!' if self.accept("~") => self.emit(Kind::MatchNotRegex),
            '!' if self.accept("=") => self.emit(Kind::Op(BinaryOp::Ne)),
            '!' => {
                return Err(format!(
                    "unexpected character after '!' inside braces: {}",
                    QuotedChar(self.peek())
                ));
            }
            '{' => return Err(format!("unexpected left brace {}", QuotedChar(Some(c)))),
            '}' => {
                self.emit(Kind::RightBrace);
                self.brace_open = false;
                return Ok(if self.series { State::Values } else { State::Statements });
            }
            c => return Err(format!("unexpected character inside braces: {}", QuotedChar(Some(c)))),
        }
        Ok(State::Braces)
    }

    fn duration_expr(&mut self) -> Step {
        let Some(c) = self.next() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        match c {
            ']' => {
                self.emit(Kind::RightBracket);
                self.bracket_open = false;
                self.got_colon = false;
                return Ok(State::Statements);
            }
            ':' if !self.got_duration => {
                return self
                    .after_token("unexpected colon before duration in duration expression".to_owned());
            }
            ':' if self.got_colon => {
                return self.after_token("unexpected repeated colon in duration expression".to_owned());
            }
            ':' => {
                self.emit(Kind::Colon);
                self.got_colon = true;
            }
            '(' => {
                self.emit(Kind::LeftParen);
                self.depth += 1;
            }
            ')' => return self.right_paren(State::DurationExpr),
            c if is_space(c) => self.skip_spaces(),
            '+' => self.emit(Kind::Op(BinaryOp::Add)),
            '-' => self.emit(Kind::Op(BinaryOp::Sub)),
            '*' => self.emit(Kind::Op(BinaryOp::Mul)),
            '/' => self.emit(Kind::Op(BinaryOp::Div)),
            '%' => self.emit(Kind::Op(BinaryOp::Mod)),
            '^' => self.emit(Kind::Op(BinaryOp::Pow)),
            ',' => self.emit(Kind::Comma),
            c if starts_duration_keyword(c) && self.duration_keyword() => {}
            c if self.starts_number(c) => {
                self.pos -= 1;
                self.got_duration = true;
                return self.number_or_duration();
            }
            c => return Err(format!("unexpected character in duration expression: {}", QuotedChar(Some(c)))),
        }
        Ok(State::DurationExpr)
    }
}

fn starts_duration_keyword(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 's' | 'r' | 'm')
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

pub(super) fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

pub(super) fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, series: bool) -> String {
        let lexed = scan(text, series);
        let words: Vec<_> = lexed.tokens.iter().map(|t| format!("{:?}@{}", t.kind, t.pos.start)).collect();
        format!("{} {}", words.join(" "), lexed.error).trim_end().to_owned()
    }

    #[test]
    fn queries() {
        for (text, want) in [
            ("", "Eof@0"),
            ("a:b c # end", "MetricIdentifier@0 Identifier@4 Eof@11"),
            (
                "{sum=~'a'} == BOOL 1",
                "LeftBrace@0 Identifier@1 MatchRegex@4 String@6 RightBrace@9 Op(Eq)@11 Bool@14 Number@19 Eof@20",
            ),
            ("x[5m:1s]", "Identifier@0 LeftBracket@1 Duration@2 Colon@4 Duration@5 RightBracket@7 Eof@8"),
            (
                "x[step()+1]",
                "Identifier@0 LeftBracket@1 Step@2 LeftParen@6 RightParen@7 Op(Add)@8 Number@9 RightBracket@10 Eof@11",
            ),
            ("fill + fill (1)", "Identifier@0 Op(Add)@5 Fill@7 LeftParen@12 Number@13 RightParen@14 Eof@15"),
            ("(", "LeftParen@0 Error@1 unclosed left parenthesis"),
            (")", "Error@1 unexpected right parenthesis ')'"),
            (
                "x[:1m]",
                "Identifier@0 LeftBracket@1 Error@3 unexpected colon before duration in duration expression",
            ),
            ("a ! b", "Identifier@0 Error@2 unexpected character after '!': ' '"),
            ("a ö", "Identifier@0 Error@2 unexpected character: 'ö'"),
            ("a </ 3 >/ 4", "Identifier@0 Op(TrimUpper)@2 Number@5 Op(TrimLower)@7 Number@10 Eof@11"),
        ] {
            assert_eq!(shown(text, false), want, "{text}");
        }
    }

    #[test]
    fn series_descriptions() {
        for (text, want) in [
            (
                "up{a='b'} 1+1x3 _x2 stale",
                "Identifier@0 LeftBrace@2 Identifier@3 Assign@4 String@5 RightBrace@8 Space@9 Number@10 Op(Add)@11 \
                 Number@12 Times@13 Number@14 Space@15 Blank@16 Times@17 Number@18 Space@19 Identifier@20 Eof@25",
            ),
            (
                "h {{sum:-1 buckets:[1 Inf]}}x2",
                "Identifier@0 Space@1 OpenHistogram@2 Descriptor(Sum)@4 Colon@7 Op(Sub)@8 Number@9 Space@10 \
                 Descriptor(Buckets)@11 Colon@18 LeftBracket@19 Number@20 Space@21 Number@22 RightBracket@25 \
                 CloseHistogram@26 Times@28 Number@29 Eof@30",
            ),
            (
                "h {{foo:1}}",
                "Identifier@0 Space@1 OpenHistogram@2 Error@4 bad histogram descriptor found: \"foo\"",
            ),
        ] {
            assert_eq!(shown(text, true), want, "{text}");
        }
    }
}
