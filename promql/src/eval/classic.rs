//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: of classic histograms, whose buckets are series
//! that are grouped once a query, and of native ones. Source: Prometheus `promql/quantile.go`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::Labels;
use model::histogram::{FloatHistogram, NanNote};
use model::labels::{BUCKET_LABEL, METRIC_NAME};

use super::label_key::KeyHasher;
use super::number::format_open_metrics;
use super::row::{Row, without_metadata};
use crate::annotations::{Annotations, MonotonicityFix};
use crate::ast::Pos;
use crate::engine::QueryError;
use crate::limits::Interrupt;
use crate::value::{Point, is_absent};

/// A cumulative bucket of a classic histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// What is asked of the histograms.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// One quantile by step.
    Quantile { q: Vec<f64>, pos: Pos },
    /// Several quantiles by step, told apart by a label.
    Quantiles { label: String, qs: Vec<(Vec<f64>, Pos)> },
    /// The share of observations between two values by step.
    Fraction { lower: Vec<f64>, upper: Vec<f64> },
}

/// The series of one histogram: classic buckets, or a native histogram, or both by mistake.
struct Family<'a> {
    /// Labels without the bucket's bound.
    labels: Labels,
    /// Ascending by upper bound.
    buckets: Vec<(f64, &'a Row)>,
    native: Option<&'a Row>,
}

/// Everything that answering needs.
pub(crate) struct Context<'a> {
    pub(crate) steps: usize,
    pub(crate) time: &'a dyn Fn(usize) -> i64,
    /// Where the vector stands in the query.
    pub(crate) pos: Pos,
    pub(crate) delayed: bool,
    pub(crate) interrupt: &'a Interrupt<'a>,
}

/// Answers a question about the histograms of a vector.
pub(crate) fn evaluate(
    question: &Question,
    rows: &[Row],
    context: &Context<'_>,
    notes: &mut Annotations,
) -> Result<Vec<Row>, QueryError> {
    note_invalid_quantiles(question, notes);
    let mut families = families(rows, context, notes);
    for family in &mut families {
        family.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let mut results = Vec::new();
    // Native histograms first, as Prometheus gives them.
    for native in [true, false] {
        for family in &families {
            if native == family.native.is_some() || (!native && !family.buckets.is_empty()) {
                answer(question, family, native, context, notes, &mut results)?;
            }
        }
    }
    Ok(results)
}

fn note_invalid_quantiles(question: &Question, notes: &mut Annotations) {
    let mut note = |qs: &[f64], pos: Pos| {
        qs.iter().filter(|q| !(0.0..=1.0).contains(*q)).for_each(|q| notes.invalid_quantile(*q, pos));
    };
    match question {
        Question::Quantile { q, pos } => note(q, *pos),
        Question::Quantiles { qs, .. } => qs.iter().for_each(|(q, pos)| note(q, *pos)),
        Question::Fraction { .. } => {}
    }
}

fn families<'a>(rows: &'a [Row], context: &Context<'_>, notes: &mut Annotations) -> Vec<Family<'a>> {
    let mut places: HashMap<Labels, usize, KeyHasher> = HashMap::with_hasher(KeyHasher);
    let mut families: Vec<Family<'a>> = Vec::new();
    let mut place = |labels: Labels, families: &mut Vec<Family<'a>>| {
        *places.entry(labels.clone()).or_insert_with(|| {
            families.push(Family { labels, buckets: Vec::new(), native: None });
            families.len() - 1
        })
    };
    for row in rows {
        if row.histograms.is_some() {
            let at = place(row.labels.clone(), &mut families);
            families[at].native = Some(row);
        }
        if row.values.iter().all(|v| is_absent(*v)) {
            continue;
        }
        let bound = row.labels.get(BUCKET_LABEL).unwrap_or("");
        match parse_bound(bound) {
            Some(upper) => {
                let labels = Labels::from_sorted(row.labels.iter().filter(|(name, _)| *name != BUCKET_LABEL));
                let at = place(labels, &mut families);
                families[at].buckets.push((upper, row));
            }
            None => {
                notes.bad_bucket_label(told_name(&row.labels, context.delayed), bound, context.pos);
            }
        }
    }
    families
}

/// The name that notes tell: only where names are dropped at the very end is it still known.
fn told_name(labels: &Labels, delayed: bool) -> &str {
    if delayed { labels.get(METRIC_NAME).unwrap_or("") } else { "" }
}

/// A bound as Go's `ParseFloat` reads it.
fn parse_bound(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return text.parse().ok();
    }
    ["inf", "infinity", "nan"]
        .iter()
        .any(|word| digits.eq_ignore_ascii_case(word))
        .then(|| text.parse().ok())?
}

fn answer(
    question: &Question,
    family: &Family<'_>,
    native: bool,
    context: &Context<'_>,
    notes: &mut Annotations,
    results: &mut Vec<Row>,
) -> Result<(), QueryError> {
    let labels = if context.delayed { family.labels.clone() } else { without_metadata(&family.labels) };
    let blank = |labels: Labels| -> Result<Row, QueryError> {
        let mut row = Row::blank(labels, context.steps);
        row.drop_name = context.delayed;
        context.interrupt.allocated(row.bytes())?;
        Ok(row)
    };
    let mut rows: HashMap<String, Row> = HashMap::new();
    let mut row = blank(labels.clone())?;
    let mut buckets = Vec::new();
    for step in 0..context.steps {
        let histogram = family.native.and_then(|row| row.histogram(step));
        collect_buckets(family, step, &mut buckets);
        if histogram.is_some() && !buckets.is_empty() {
            notes.mixed_classic_native(told_name(&family.labels, context.delayed), context.pos);
            continue;
        }
        let mut ask = Asked { family, step, context, notes };
        let input = match histogram {
            Some(h) if native => Input::Native(h),
            None if !native && !buckets.is_empty() => Input::Classic(&mut buckets),
            _ => continue,
        };
        match question {
            Question::Quantile { q, .. } => {
                let v = ask.quantile(q[step], input);
                row.set(step, Point::Float(v));
            }
            Question::Fraction { lower, upper } => {
                let v = ask.fraction(lower[step], upper[step], input);
                row.set(step, Point::Float(v));
            }
            Question::Quantiles { label, qs } => {
                for (q, _) in qs {
                    let text = format_open_metrics(q[step]);
                    let v = match histogram {
                        Some(h) => ask.quantile(q[step], Input::Native(h)),
                        None => {
                            let mut buckets = Vec::new();
                            collect_buckets(family, step, &mut buckets);
                            ask.quantile(q[step], Input::Classic(&mut buckets))
                        }
                    };
                    let row = match rows.entry(text) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(place) => {
                            let mut labels = labels.to_builder();
                            labels.set(label, place.key());
                            let row = blank(labels.finish())?;
                            place.insert(row)
                        }
                    };
                    row.set(step, Point::Float(v));
                }
            }
        }
        context.interrupt.worked(20 * family.buckets.len() as u64)?;
    }
    let mut rows: Vec<(String, Row)> = rows.into_iter().collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    results.extend(
        rows.into_iter().map(|(_, row)| row).chain([row]).filter_map(|mut row| row.trim().then_some(row)),
    );
    Ok(())
}

/// The buckets that have a sample at a step, those of equal bounds added up.
fn collect_buckets(family: &Family<'_>, step: usize, buckets: &mut Vec<Bucket>) {
    buckets.clear();
    for (upper, row) in &family.buckets {
        let count = row.float(step);
        if is_absent(count) {
            continue;
        }
        match buckets.last_mut() {
            Some(last) if last.upper == *upper => last.count += count,
            _ => buckets.push(Bucket { upper: *upper, count }),
        }
    }
}

/// One histogram at one step.
enum Input<'a> {
    Native(&'a FloatHistogram),
    Classic(&'a mut Vec<Bucket>),
}

struct Asked<'a, 'n> {
    family: &'a Family<'a>,
    step: usize,
    context: &'a Context<'a>,
    notes: &'n mut Annotations,
}

impl Asked<'_, '_> {
    fn name(&self) -> &str {
        told_name(&self.family.labels, self.context.delayed)
    }

    fn quantile(&mut self, q: f64, input: Input<'_>) -> f64 {
        let pos = self.context.pos;
        match input {
            Input::Native(h) => {
                let quantile = h.quantile(q);
                let name = self.name().to_owned();
                match quantile.note {
                    Some(NanNote::Result) => self.notes.quantile_nan_result(&name, pos),
                    Some(NanNote::Skew) => self.notes.quantile_nan_skew(&name, pos),
                    None => {}
                }
                quantile.value
            }
            Input::Classic(buckets) => {
                let (v, fix) = bucket_quantile(q, buckets);
                if let Some(fix) = fix {
                    let (name, t) = (self.name().to_owned(), (self.context.time)(self.step));
                    self.notes.forced_monotonicity(&name, pos, t, &fix);
                }
                v
            }
        }
    }

    fn fraction(&mut self, lower: f64, upper: f64, input: Input<'_>) -> f64 {
        match input {
            Input::Native(h) => {
                let fraction = h.fraction(lower, upper);
                if fraction.note.is_some() {
                    let name = self.name().to_owned();
                    self.notes.fraction_nans(&name, self.context.pos);
                }
                fraction.value
            }
            Input::Classic(buckets) => bucket_fraction(lower, upper, buckets),
        }
    }
}

/// The `q`-quantile, linear within a bucket. NaN without observations, without a bucket up to +Inf, or with that one
/// alone; the highest finite bound for what lies above it.
fn bucket_quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<MonotonicityFix>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return (f64::NAN, None);
    }
    let fix = make_monotonic(buckets);
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, fix);
    }
    let mut rank = q * observations;
    // As Go's search does it: a NaN count or rank is never reached.
    let at =
        buckets[..last].partition_point(|bucket| bucket.count.partial_cmp(&rank).is_none_or(|o| o.is_lt()));
    let Bucket { upper, mut count } = buckets[at];
    let v = if at == last {
        buckets[last - 1].upper
    } else if at == 0 && upper <= 0.0 {
        upper
    } else {
        let mut start = 0.0;
        if at > 0 {
            start = buckets[at - 1].upper;
            count -= buckets[at - 1].count;
            rank -= buckets[at - 1].count;
        }
        start + (upper - start) * (rank / count)
    };
    (v, fix)
}

/// The share of observations between two values.
fn bucket_fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets[buckets.len() - 1];
    if last.upper != f64::INFINITY || last.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let count = last.count;
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    let mut start = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    for bucket in buckets {
        let within = |v: f64| {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (v - start) / (bucket.upper - start)
            }
        };
        for (found, v) in [(&mut lower_rank, lower), (&mut upper_rank, upper)] {
            if found.is_none() && start >= v {
                *found = Some(rank);
            } else if found.is_none() && start < v && bucket.upper > v {
                *found = Some(within(v));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    let bounded = |rank: Option<f64>| rank.map_or(count, |rank| if rank > count { count } else { rank });
    (bounded(upper_rank) - bounded(lower_rank)) / count
}

/// Raises counts that are less than the one before. Differences that are mere rounding are evened out without a note.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<MonotonicityFix> {
    let mut fix: Option<MonotonicityFix> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let fix = fix.get_or_insert(MonotonicityFix {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            fix.min_bucket = fix.min_bucket.min(bucket.upper);
            fix.max_bucket = fix.max_bucket.max(bucket.upper);
            fix.max_diff = fix.max_diff.max(before - count);
        } else {
            before = count;
        }
    }
    fix
}

/// Equal up to a relative difference of 1e-12. Source: Prometheus `util/almost`.
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_of_buckets() {
        let plain = [(0.1, 10.0), (0.5, 30.0), (INF, 40.0)];
        for (q, pairs, want) in [
            (0.75, &plain[..], 0.5),
            (0.25, &plain[..], 0.1),
            (0.99, &plain[..], 0.5),
            (-0.1, &plain[..], f64::NEG_INFINITY),
            (1.1, &plain[..], INF),
            (0.5, &[(-1.0, 10.0), (INF, 10.0)][..], -1.0),
        ] {
            assert_eq!(bucket_quantile(q, &mut buckets(pairs)).0, want, "{q}");
        }
        for pairs in [&[(0.1, 10.0)][..], &[(INF, 10.0)], &[(0.1, 0.0), (INF, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(pairs)).0.is_nan());
        }
    }

    #[test]
    fn counts_are_made_monotonic() {
        let mut all = buckets(&[(1.0, 10.0), (2.0, 8.0), (3.0, 10.000_000_000_001), (4.0, 9.0), (INF, 12.0)]);
        let fix = make_monotonic(&mut all).unwrap();
        assert_eq!(all.iter().map(|b| b.count).collect::<Vec<_>>(), [10.0, 10.0, 10.0, 10.0, 12.0]);
        assert_eq!((fix.min_bucket, fix.max_bucket, fix.max_diff), (2.0, 4.0, 2.0));
        assert_eq!(make_monotonic(&mut all), None);
    }

    #[test]
    fn fractions_of_buckets() {
        let plain = buckets(&[(1.0, 10.0), (2.0, 30.0), (INF, 40.0)]);
        for (lower, upper, want) in
            [(0.0, 1.0, 0.25), (0.5, 1.5, 0.375), (2.0, INF, 0.25), (-INF, INF, 1.0), (3.0, 2.0, 0.0)]
        {
            assert_eq!(bucket_fraction(lower, upper, &plain), want, "{lower} {upper}");
        }
        assert!(bucket_fraction(0.0, 1.0, &buckets(&[(1.0, 10.0)])).is_nan());
    }

    #[test]
    fn bounds_as_go_reads_them() {
        assert_eq!(parse_bound("+Inf"), Some(INF));
        assert_eq!(parse_bound("1e-3"), Some(0.001));
        assert_eq!((parse_bound(""), parse_bound("x"), parse_bound("1 ")), (None, None, None));
    }
}
