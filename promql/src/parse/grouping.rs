//! Label lists in parentheses, as `by`, `without`, `on`, `ignoring`, `group_left` and `group_right` take them.

use crate::lex::Kind;
use crate::literal::{QuotedText, is_valid_name};
use crate::parse::tokens::{Parsed, Tokens, expected, found, list, satisfy, string, token};

const CONTEXT: &str = "grouping opts";

/// `(a, "b c", sum)`
pub(super) fn grouping<'a>(input: Tokens<'a>) -> Parsed<'a, Vec<String>> {
    let (rest, _) = expected(CONTEXT, "\"(\"", token(Kind::LeftParen))(input)?;
    list(CONTEXT, "\",\" or \")\"", Kind::RightParen, |input| expected(CONTEXT, "label", label)(input))(rest)
}

fn label<'a>(input: Tokens<'a>) -> Parsed<'a, String> {
    if input.peek().kind != Kind::String {
        let (rest, token) = satisfy(Kind::is_label)(input)?;
        return Ok((rest, input.text_of(&token).to_owned()));
    }
    let (rest, (name, token)) = string(input)?;
    if !is_valid_name(&name) {
        return Err(found(token.pos, format!("invalid label name for grouping: {}", QuotedText(&name))));
    }
    Ok((rest, name))
}
