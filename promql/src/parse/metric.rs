//! The labels of one series: `up{job="x"}`. Other than selectors they are stated, not matched.

use model::Labels;
use model::labels::METRIC_NAME;
use nom::Parser;
use nom::sequence::preceded;

use crate::lex::Kind;
use crate::parse::tokens::{Parsed, Tokens, expected, list, string, token};

const CONTEXT: &str = "label set";

/// A metric name, labels in braces, both or neither.
pub(super) fn metric<'a>(input: Tokens<'a>) -> Parsed<'a, Labels> {
    let name = input.peek();
    let (rest, name) = match name.kind.is_metric_name() {
        true => (input.skip(), Some(input.text_of(&name))),
        false => (input, None),
    };
    let (rest, mut labels) =
        if rest.peek().kind == Kind::LeftBrace { braces(rest)? } else { (rest, Vec::new()) };
    if let Some(name) = name {
        labels.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    Ok((rest, Labels::from_pairs(labels)))
}

type Label = (String, String);

fn braces<'a>(input: Tokens<'a>) -> Parsed<'a, Vec<Label>> {
    preceded(token(Kind::LeftBrace), list(CONTEXT, "\",\" or \"}\"", Kind::RightBrace, label)).parse(input)
}

fn label<'a>(input: Tokens<'a>) -> Parsed<'a, Label> {
    if input.peek().kind == Kind::String {
        let (rest, (name, _)) = string(input)?;
        return match rest.peek().kind {
            Kind::Assign => value(rest.skip(), name),
            _ => Ok((rest, (METRIC_NAME.to_owned(), name))),
        };
    }
    let (rest, name) = expected(CONTEXT, "identifier or \"}\"", token(Kind::Identifier))(input)?;
    let (rest, _) = expected(CONTEXT, "\"=\"", token(Kind::Assign))(rest)?;
    value(rest, input.text_of(&name).to_owned())
}

fn value<'a>(input: Tokens<'a>, name: String) -> Parsed<'a, Label> {
    let (rest, (value, _)) = expected(CONTEXT, "string", string)(input)?;
    Ok((rest, (name, value)))
}
