//! The parser's input: a cheap cursor over the scanned tokens, and the smallest parsers over it. Parsers are nom's:
//! functions from a cursor to the next cursor and a result.
//!
//! An error is either a token that does not fit, which has no message until a surrounding rule says what it expected
//! ([`expected`]), or a finding with its message. The first finding ends parsing; it is the one that Prometheus shows.

use nom::error::ErrorKind;
use query::Pos;

use crate::ast::{BinaryOp, UnaryOp};
use crate::lex::{Kind, Lexed, Token, unquote};
use crate::parse::Features;

/// How deep expressions may nest in each other; the parser recurses so deep. Our own bound: Prometheus has none.
const MAX_NESTING: usize = 128;

/// What is being parsed.
pub(super) struct Source<'a> {
    pub text: &'a str,
    pub lexed: Lexed,
    pub features: &'a Features,
}

/// A place in the token sequence.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub source: &'a Source<'a>,
    at: usize,
    depth: usize,
}

/// Why a parser gave up.
#[derive(Debug, PartialEq)]
pub(super) enum Fail {
    /// The token at this index fits nothing.
    Unexpected(usize),
    /// Something with a message.
    Found(Pos, String),
}

/// What a parser gives.
pub(super) type Parsed<'a, T> = nom::IResult<Tokens<'a>, T, Fail>;

impl<'a> nom::error::ParseError<Tokens<'a>> for Fail {
    fn from_error_kind(input: Tokens<'a>, _: ErrorKind) -> Self {
        Self::Unexpected(input.at)
    }

    fn append(_: Tokens<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self { source, at: 0, depth: 0 }
    }

    /// The next token. The last one, which is never taken, ends the input.
    pub(super) fn peek(&self) -> Token {
        self.token(self.at)
    }

    fn token(&self, at: usize) -> Token {
        let tokens = &self.source.lexed.tokens;
        let end = Pos { start: self.source.text.len(), end: self.source.text.len() };
        tokens.get(at).or(tokens.last()).copied().unwrap_or(Token { kind: Kind::Eof, pos: end })
    }

    /// The kind of the token after the next.
    pub(super) fn kind_after(&self) -> Kind {
        self.token(self.at + 1).kind
    }

    /// End of the token before the next.
    pub(super) fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |at| self.token(at).pos.end)
    }

    pub(super) fn skip(self) -> Self {
        Self { at: self.at + 1, ..self }
    }

    pub(super) fn text_of(&self, token: &Token) -> &'a str {
        token.text(self.source.text)
    }

    /// Fails where the scanner did, if that is next. Wherever Prometheus's parser looks at the next token before it
    /// checks a rule's meaning, this must come first so that the same error is found first.
    pub(super) fn check_next(&self) -> Result<(), nom::Err<Fail>> {
        match self.peek() {
            Token { kind: Kind::Error, pos } => Err(found(pos, self.source.lexed.error.clone())),
            _ => Ok(()),
        }
    }

    pub(super) fn unexpected<T>(&self) -> Result<T, nom::Err<Fail>> {
        self.check_next()?;
        Err(nom::Err::Error(Fail::Unexpected(self.at)))
    }

    /// The message of a failure, for which no rule said what it expected.
    pub(super) fn finish(&self, fail: nom::Err<Fail>) -> (Pos, String) {
        self.name(fail, "", "")
    }

    fn name(&self, fail: nom::Err<Fail>, context: &str, expected: &str) -> (Pos, String) {
        match fail {
            nom::Err::Error(Fail::Found(pos, message)) | nom::Err::Failure(Fail::Found(pos, message)) => {
                (pos, message)
            }
            nom::Err::Error(Fail::Unexpected(at)) | nom::Err::Failure(Fail::Unexpected(at)) => {
                let token = self.token(at);
                if token.kind == Kind::Error {
                    return (token.pos, self.source.lexed.error.clone());
                }
                let mut message = format!("unexpected {}", token.describe(self.source.text));
                if !context.is_empty() {
                    message = format!("{message} in {context}");
                }
                if !expected.is_empty() {
                    message = format!("{message}, expected {expected}");
                }
                (token.pos, message)
            }
            nom::Err::Incomplete(_) => (self.peek().pos, "unexpected end of input".to_owned()),
        }
    }
}

/// Runs `parser` one level deeper, unless that is too deep.
pub(super) fn nested<'a, T>(
    input: Tokens<'a>,
    mut parser: impl FnMut(Tokens<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, T> {
    if input.depth >= MAX_NESTING {
        let message = format!("expression is nested too deeply, at most {MAX_NESTING} levels are allowed");
        return Err(found(input.peek().pos, message));
    }
    let (rest, parsed) = parser(Tokens { depth: input.depth + 1, ..input })?;
    Ok((Tokens { depth: input.depth, ..rest }, parsed))
}

/// A finding that ends parsing.
pub(super) fn found(pos: Pos, message: impl Into<String>) -> nom::Err<Fail> {
    nom::Err::Failure(Fail::Found(pos, message.into()))
}

/// Runs `parser`; a token that fits nothing in it becomes the error `unexpected ... in context, expected ...`.
pub(super) fn expected<'a, T>(
    context: &'static str,
    what: &'static str,
    mut parser: impl FnMut(Tokens<'a>) -> Parsed<'a, T>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, T> {
    move |input| {
        parser(input).map_err(|fail| {
            let (pos, message) = input.name(fail, context, what);
            found(pos, message)
        })
    }
}

/// Items with commas between them up to `close`, which is taken; a comma may stand before it. The opening token was
/// taken. `separators` is how errors name what may follow an item.
pub(super) fn list<'a, T>(
    context: &'static str,
    separators: &'static str,
    close: Kind,
    item: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut rest, mut items) = (input, Vec::new());
        while rest.peek().kind != close {
            let (next, parsed) = item(rest)?;
            items.push(parsed);
            let is_separator = satisfy(|kind| kind == Kind::Comma || kind == close);
            let (next, separator) = expected(context, separators, is_separator)(next)?;
            if separator.kind == close {
                return Ok((next, items));
            }
            rest = next;
        }
        Ok((rest.skip(), items))
    }
}

/// The next token when it satisfies `accept`.
pub(super) fn satisfy<'a>(accept: impl Fn(Kind) -> bool) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    move |input| {
        let token = input.peek();
        if token.kind != Kind::Error && accept(token.kind) {
            return Ok((input.skip(), token));
        }
        input.unexpected()
    }
}

/// A token of one kind.
pub(super) fn token<'a>(want: Kind) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    satisfy(move |kind| kind == want)
}

/// A sign with its place.
pub(super) fn sign<'a>(input: Tokens<'a>) -> Parsed<'a, (UnaryOp, Token)> {
    let (rest, token) = satisfy(|kind| unary_op(kind).is_some())(input)?;
    Ok((rest, (unary_op(token.kind).unwrap_or(UnaryOp::Plus), token)))
}

pub(super) fn unary_op(kind: Kind) -> Option<UnaryOp> {
    match kind {
        Kind::Op(BinaryOp::Add) => Some(UnaryOp::Plus),
        Kind::Op(BinaryOp::Sub) => Some(UnaryOp::Minus),
        _ => None,
    }
}

/// A string literal: what it stands for, and its token.
pub(super) fn string<'a>(input: Tokens<'a>) -> Parsed<'a, (String, Token)> {
    let (rest, token) = token(Kind::String)(input)?;
    let literal = input.text_of(&token);
    match unquote(literal) {
        Some(unquoted) => Ok((rest, (unquoted, token))),
        None => Err(found(token.pos, format!("error unquoting string {literal:?}: invalid syntax"))),
    }
}
