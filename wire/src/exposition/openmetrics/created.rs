//! Start timestamps from `_created` lines.

use model::SampleValue;
use model::metadata::MetricType;

use super::OpenMetricsParser;
use crate::exposition::Entry;
use crate::exposition::cursor::class;
use crate::exposition::number::seconds_to_ms;
use crate::exposition::series_text::take_quoted;

/// What looking ahead for `_created` lines found; valid for all series that start before `until`.
#[derive(Clone, Default)]
pub(super) struct Created<'a> {
    until: usize,
    /// What was created, see [`identity`], and when in milliseconds.
    found: Option<(Vec<&'a [u8]>, i64)>,
}

impl<'a> OpenMetricsParser<'a> {
    /// The value of the `_created` line that follows for this series, in milliseconds; 0 when there is none.
    ///
    /// What one look ahead finds (the next `_created` line, or that there is none up to the next metadata line) holds
    /// for every series before it, so the whole body is read ahead once at most.
    pub(super) fn start_timestamp(&mut self, key: &'a [u8]) -> i64 {
        if self.cursor.entry >= self.created.until {
            let mut ahead = self.clone();
            self.created = loop {
                let entry = ahead.any_entry();
                let until = ahead.cursor.entry.max(self.cursor.at);
                let Ok(Some(Entry::Series(series))) = entry else {
                    break Created { until, found: None };
                };
                if let Some(base) = metric_name(series.key).strip_suffix(b"_created") {
                    let SampleValue::Float(seconds) = series.value else { continue };
                    let what = identity(series.key, base, self.kind);
                    break Created { until, found: Some((what, seconds_to_ms(seconds))) };
                }
            };
        }
        let name = metric_name(key);
        let base = name.get(..self.family.len()).unwrap_or(name);
        match &self.created.found {
            Some((what, at)) if *what == identity(key, base, self.kind) => *at,
            _ => 0,
        }
    }
}

pub(super) fn has_start_timestamp(kind: MetricType) -> bool {
    matches!(kind, MetricType::Counter | MetricType::Summary | MetricType::Histogram)
}

/// The metric's name in series text, raw and without quotes.
pub(super) fn metric_name(key: &[u8]) -> &[u8] {
    let plain = key.iter().take_while(|b| class::TABLE[**b as usize] & class::METRIC != 0).count();
    if plain > 0 {
        return &key[..plain];
    }
    parts(key).find_map(|(name, value)| value.is_none().then_some(name)).unwrap_or_default()
}

/// What is the same for all series of one histogram, summary or counter and its `_created` line: family and labels,
/// raw, without `le` and `quantile`.
fn identity<'a>(key: &'a [u8], family: &'a [u8], kind: MetricType) -> Vec<&'a [u8]> {
    let left_out: &[u8] = match kind {
        MetricType::Histogram => b"le",
        MetricType::Summary => b"quantile",
        _ => b"",
    };
    let labels = parts(key)
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .filter(|(name, _)| *name != left_out)
        .flat_map(|(name, value)| [name, value]);
    std::iter::once(family).chain(labels).collect()
}

/// Raw names and values between the braces of series text; a name without value is the metric's.
fn parts(key: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let open = memchr::memchr(b'{', key).map_or(key.len(), |at| at + 1);
    let mut rest = &key[open..];
    std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after;
        }
        if matches!(rest.first(), None | Some(b'}')) {
            return None;
        }
        let name = take_part(&mut rest);
        let value = rest.strip_prefix(b"=").map(|after| {
            rest = after;
            take_part(&mut rest)
        });
        Some((name, value))
    })
}

/// A quoted string's inside or a bare name; `rest` moves behind it, by one byte at least.
fn take_part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let whole = *rest;
    if let Some(inside) = take_quoted(rest) {
        return inside;
    }
    let len = whole.iter().take_while(|b| class::TABLE[**b as usize] & class::LABEL != 0).count();
    let (name, after) = whole.split_at(len.max(1).min(whole.len()));
    *rest = after;
    name
}
