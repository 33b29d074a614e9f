//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: of classic histograms ([`bucket`]), whose buckets
//! are series that are grouped once a query, and of native ones. Source: Prometheus `promql/quantile.go`.

mod bucket;
pub(crate) mod call;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bucket::{Bucket, bucket_fraction, bucket_quantile, parse_bound};
use model::histogram::{FloatHistogram, NanNote};
use model::labels::{BUCKET_LABEL, METRIC_NAME};
use model::{Labels, Value};
use query::label_subset::KeyHasher;
use query::matrix::{Row, without_metadata};
use query::value::is_absent;
use query::{Annotations, Interrupt, Pos, QueryError};

use super::go_format::format_open_metrics;
use crate::annotations::Annotate;

/// A function of histograms, with its parameters as `P`: operands of the plan, then a value for each step.
#[derive(Clone, Debug)]
pub(crate) enum HistogramFn<P> {
    /// One quantile by step.
    Quantile { q: P, pos: Pos },
    /// Several quantiles by step, told apart by a label.
    Quantiles { label: String, qs: Vec<(P, Pos)> },
    /// The share of observations between two values by step.
    Fraction { lower: P, upper: P },
}

/// The series of one histogram: classic buckets, or a native histogram, or both by mistake.
struct Family<'a> {
    /// Labels without the bucket's bound.
    labels: Labels,
    /// Ascending by upper bound.
    buckets: Vec<(f64, &'a Row)>,
    native: Option<&'a Row>,
}

/// Everything that evaluation needs beside the vector.
pub(crate) struct Context<'a> {
    pub(crate) steps: usize,
    pub(crate) time: &'a dyn Fn(usize) -> i64,
    /// Where the vector stands in the query.
    pub(crate) pos: Pos,
    pub(crate) delayed: bool,
    pub(crate) interrupt: &'a Interrupt<'a>,
}

/// Evaluates a function of the histograms of a vector.
pub(crate) fn evaluate(
    func: &HistogramFn<Vec<f64>>,
    rows: &[Row],
    context: &Context<'_>,
    notes: &mut Annotations,
) -> Result<Vec<Row>, QueryError> {
    note_invalid_quantiles(func, notes);
    let mut families = families(rows, context, notes);
    for family in &mut families {
        family.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let mut results = Vec::new();
    // Native histograms first, as Prometheus gives them.
    for native in [true, false] {
        for family in &families {
            if native == family.native.is_some() || (!native && !family.buckets.is_empty()) {
                answer(func, family, native, context, notes, &mut results)?;
            }
        }
    }
    Ok(results)
}

fn note_invalid_quantiles(func: &HistogramFn<Vec<f64>>, notes: &mut Annotations) {
    let mut note = |qs: &[f64], pos: Pos| {
        qs.iter().filter(|q| !(0.0..=1.0).contains(*q)).for_each(|q| notes.invalid_quantile(*q, pos));
    };
    match func {
        HistogramFn::Quantile { q, pos } => note(q, *pos),
        HistogramFn::Quantiles { qs, .. } => qs.iter().for_each(|(q, pos)| note(q, *pos)),
        HistogramFn::Fraction { .. } => {}
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
                notes.bad_bucket_label(noted_name(&row.labels, context.delayed), bound, context.pos);
            }
        }
    }
    families
}

/// The name that notes tell: only where names are dropped at the very end is it still known.
fn noted_name(labels: &Labels, delayed: bool) -> &str {
    if delayed { labels.get(METRIC_NAME).unwrap_or("") } else { "" }
}

fn answer(
    func: &HistogramFn<Vec<f64>>,
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
            notes.mixed_classic_native(noted_name(&family.labels, context.delayed), context.pos);
            continue;
        }
        let mut ask = HistogramAtStep { family, step, context, notes };
        let input = match histogram {
            Some(h) if native => Input::Native(h),
            None if !native && !buckets.is_empty() => Input::Classic(&mut buckets),
            _ => continue,
        };
        match func {
            HistogramFn::Quantile { q, .. } => {
                let v = ask.quantile(q[step], input);
                row.set(step, Value::Float(v));
            }
            HistogramFn::Fraction { lower, upper } => {
                let v = ask.fraction(lower[step], upper[step], input);
                row.set(step, Value::Float(v));
            }
            HistogramFn::Quantiles { label, qs } => {
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
                    row.set(step, Value::Float(v));
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

struct HistogramAtStep<'a, 'n> {
    family: &'a Family<'a>,
    step: usize,
    context: &'a Context<'a>,
    notes: &'n mut Annotations,
}

impl HistogramAtStep<'_, '_> {
    fn name(&self) -> &str {
        noted_name(&self.family.labels, self.context.delayed)
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
