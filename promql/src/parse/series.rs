//! Series descriptions, the input of test scripts: `metric{...} 1+1x5 _x3 stale {{schema:1 buckets:[1 2]}}`. They are
//! kept unexpanded, so that a short text cannot ask for much memory here.

use std::collections::HashSet;

use model::Labels;
use model::histogram::{FloatHistogram, ResetHint, Span};
use model::labels::Quoted;
use model::sample::STALE_NAN;
use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::sequence::preceded;
use query::Pos;

use crate::ast::{BinaryOp, UnaryOp};
use crate::lex::{Descriptor, Kind};
use crate::parse::literal::{number_or_duration, signed};
use crate::parse::metric::metric;
use crate::parse::tokens::{Parsed, Tokens, expected, found, satisfy, token, unary_op};

/// A series and its values, one per step.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDescription {
    /// Its labels.
    pub labels: Labels,
    /// Its values, runs unexpanded.
    pub values: Vec<SeriesValue>,
}

/// Values at consecutive steps.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesValue {
    /// No samples at this number of steps.
    Omitted(u64),
    /// A float, and it again at each of `times` further steps with `step` added every time.
    Float {
        /// The first value; the staleness mark for `stale`.
        first: f64,
        /// What is added from one to the next.
        step: f64,
        /// How many values follow the first.
        times: u64,
    },
    /// A native histogram, and so on.
    Histogram {
        /// The first value.
        first: Box<FloatHistogram>,
        /// What is added to, or with `Minus` taken from, one to give the next; `None` repeats the first.
        step: Option<(UnaryOp, Box<FloatHistogram>)>,
        /// How many values follow the first.
        times: u64,
        /// Whether the text says something about counter resets; expectations that do not accept any.
        hint_given: bool,
    },
}

impl SeriesValue {
    /// How many steps it covers.
    pub fn count(&self) -> u64 {
        match self {
            Self::Omitted(count) => *count,
            Self::Float { times, .. } | Self::Histogram { times, .. } => times.saturating_add(1),
        }
    }
}

/// A metric and its values with spaces before each.
pub(super) fn series<'a>(input: Tokens<'a>) -> Parsed<'a, SeriesDescription> {
    let (mut rest, labels) = metric(input)?;
    let mut values = Vec::new();
    while rest.peek().kind != Kind::Eof {
        let (next, _) = expected("series values", "", token(Kind::Space))(rest)?;
        rest = next;
        if rest.peek().kind != Kind::Eof && rest.peek().kind != Kind::Space {
            let (next, value) = expected("series values", "", value)(rest)?;
            values.push(value);
            rest = next;
        }
    }
    Ok((rest, SeriesDescription { labels, values }))
}

fn value<'a>(input: Tokens<'a>) -> Parsed<'a, SeriesValue> {
    match input.peek().kind {
        Kind::Blank => {
            let (rest, times) = opt(times).parse(input.skip())?;
            Ok((rest, SeriesValue::Omitted(times.unwrap_or(1))))
        }
        Kind::OpenHistogram => histograms(input),
        _ => floats(input),
    }
}

fn floats<'a>(input: Tokens<'a>) -> Parsed<'a, SeriesValue> {
    let number = |input| map(signed, |(literal, _)| literal.value).parse(input);
    let (rest, first) = alt((stale, number)).parse(input)?;
    if unary_op(rest.peek().kind).is_some() {
        let (rest, (step, times)) = (number, times).parse(rest)?;
        return Ok((rest, SeriesValue::Float { first, step, times }));
    }
    let (rest, times) = opt(times).parse(rest)?;
    Ok((rest, SeriesValue::Float { first, step: 0.0, times: times.unwrap_or(0) }))
}

fn stale<'a>(input: Tokens<'a>) -> Parsed<'a, f64> {
    let (rest, word) = token(Kind::Identifier)(input)?;
    if input.text_of(&word) == "stale" {
        return Ok((rest, STALE_NAN));
    }
    expected("series values", "number or \"stale\"", |input: Tokens<'a>| input.unexpected())(input)
}

/// `x5`
fn times<'a>(input: Tokens<'a>) -> Parsed<'a, u64> {
    preceded(token(Kind::Times), unsigned).parse(input)
}

fn unsigned<'a>(input: Tokens<'a>) -> Parsed<'a, u64> {
    let (rest, number) = token(Kind::Number)(input)?;
    let text = input.text_of(&number);
    match text.parse() {
        Ok(value) => Ok((rest, value)),
        Err(_) => {
            let reason = if text.bytes().all(|b| b.is_ascii_digit()) {
                "value out of range"
            } else {
                "invalid syntax"
            };
            let message = format!(
                "invalid repetition in series values: strconv.ParseUint: parsing {}: {reason}",
                Quoted(text)
            );
            Err(found(number.pos, message))
        }
    }
}

fn histograms<'a>(input: Tokens<'a>) -> Parsed<'a, SeriesValue> {
    let (rest, (first, hint_given)) = histogram(input)?;
    if let Some(op) = unary_op(rest.peek().kind) {
        let (rest, ((by, hint_given), times)) = (histogram, times).parse(rest.skip())?;
        let step = Some((op, Box::new(by)));
        return Ok((rest, SeriesValue::Histogram { first: Box::new(first), step, times, hint_given }));
    }
    let (rest, times) = opt(times).parse(rest)?;
    let times = times.unwrap_or(0);
    Ok((rest, SeriesValue::Histogram { first: Box::new(first), step: None, times, hint_given }))
}

/// What the keys of a histogram literal gave so far.
#[derive(Default)]
struct Draft {
    histogram: FloatHistogram,
    offset: i32,
    negative_offset: i32,
    seen: HashSet<Descriptor>,
}

/// A histogram literal, and whether it has a counter reset hint.
fn histogram<'a>(input: Tokens<'a>) -> Parsed<'a, (FloatHistogram, bool)> {
    let (mut rest, _) = token(Kind::OpenHistogram)(input)?;
    let mut draft = Draft::default();
    if let (Kind::Space, Kind::CloseHistogram) = (rest.peek().kind, rest.kind_after()) {
        rest = rest.skip();
    }
    while rest.peek().kind != Kind::CloseHistogram {
        let context = "histogram description";
        let what = "histogram description key, e.g. buckets:[5 10 7]";
        (rest, ()) = expected(context, what, |input| description(input, &mut draft))(rest)?;
        let is_end = satisfy(|kind| matches!(kind, Kind::Space | Kind::CloseHistogram));
        let (next, end) = expected(context, what, is_end)(rest)?;
        if end.kind == Kind::Space {
            rest = next;
        }
    }
    let Draft { mut histogram, offset, negative_offset, seen } = draft;
    histogram.positive_spans = spans(offset, histogram.positive_buckets.len());
    histogram.negative_spans = spans(negative_offset, histogram.negative_buckets.len());
    Ok((rest.skip(), (histogram, seen.contains(&Descriptor::CounterResetHint))))
}

fn spans(offset: i32, buckets: usize) -> Vec<Span> {
    match u32::try_from(buckets) {
        Ok(length @ 1..) => vec![Span { offset, length }],
        _ => Vec::new(),
    }
}

/// `key:value`
fn description<'a>(input: Tokens<'a>, draft: &mut Draft) -> Parsed<'a, ()> {
    let (rest, key) = satisfy(|kind| matches!(kind, Kind::Descriptor(_)))(input)?;
    let Kind::Descriptor(descriptor) = key.kind else { return input.unexpected() };
    let (rest, _) = token(Kind::Colon)(rest)?;
    let number = |input| map(signed, |(literal, _)| literal.value).parse(input);
    let integer = |input| {
        let (rest, (sign, value)) = (opt(token(Kind::Op(BinaryOp::Sub))), unsigned).parse(input)?;
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        Ok((rest, if sign.is_some() { -value } else { value }))
    };
    if !draft.seen.insert(descriptor) {
        return Err(found(Pos::default(), format!("duplicate key \"{}\" in histogram", descriptor.as_str())));
    }
    let histogram = &mut draft.histogram;
    let rest = match descriptor {
        Descriptor::Sum => assign(number(rest)?, &mut histogram.sum),
        Descriptor::Count => assign(number(rest)?, &mut histogram.count),
        Descriptor::ZeroBucket => assign(number(rest)?, &mut histogram.zero_count),
        Descriptor::ZeroBucketWidth => assign(
            map(number_or_duration, |(literal, _)| literal.value).parse(rest)?,
            &mut histogram.zero_threshold,
        ),
        Descriptor::Schema => assign(integer(rest)?, &mut histogram.schema),
        Descriptor::Offset => assign(integer(rest)?, &mut draft.offset),
        Descriptor::NegativeOffset => assign(integer(rest)?, &mut draft.negative_offset),
        Descriptor::Buckets => assign(numbers(rest)?, &mut histogram.positive_buckets),
        Descriptor::NegativeBuckets => assign(numbers(rest)?, &mut histogram.negative_buckets),
        Descriptor::CustomValues => assign(numbers(rest)?, &mut histogram.custom_values),
        Descriptor::CounterResetHint => assign(hint(rest)?, &mut histogram.reset_hint),
    };
    Ok((rest, ()))
}

fn assign<'a, T>(parsed: (Tokens<'a>, T), place: &mut T) -> Tokens<'a> {
    *place = parsed.1;
    parsed.0
}

fn hint<'a>(input: Tokens<'a>) -> Parsed<'a, ResetHint> {
    match input.peek().kind {
        Kind::Hint(hint) => Ok((input.skip(), hint)),
        _ => input.unexpected(),
    }
}

/// `[1 2 3]`
fn numbers<'a>(input: Tokens<'a>) -> Parsed<'a, Vec<f64>> {
    let (mut rest, _) = token(Kind::LeftBracket)(input)?;
    let mut values = Vec::new();
    loop {
        let (next, (literal, _)) = signed(rest)?;
        values.push(literal.value);
        let (next, _) = opt(token(Kind::Space)).parse(next)?;
        if next.peek().kind == Kind::RightBracket {
            return Ok((next.skip(), values));
        }
        rest = next;
    }
}
