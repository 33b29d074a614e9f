//! Random queries: what is printed reads back as the same tree, and a range query gives at each step what an instant
//! query gives there.

use std::collections::BTreeMap;

use model::{Labels, Value};
use promql::ast::{Expr, ExprKind, VectorSelector};
use promql::{Features, parse, print};
use query::QueryValue;
use testkit::random::{Dialect, Queries, Rng, Vocabulary, data};
use testkit::script::Evaluator;
use testkit::script::compare::{almost_equal, almost_equal_histograms};
use testkit::{EngineTarget, Store};

#[test]
fn printed_queries_read_back_as_the_same_tree() {
    let vocabulary = Vocabulary::default();
    for (dialect, features) in
        [(Dialect::Experimental, Features::ALL), (Dialect::Stable, Features::default())]
    {
        let mut queries = Queries::new(1, &vocabulary, dialect);
        for _ in 0..400 {
            let query = queries.query();
            let expr = parse(&query, &features).unwrap_or_else(|errors| panic!("{query}: {errors}"));
            for text in [expr.to_string(), print::pretty(&expr)] {
                let again = parse(&text, &features).unwrap_or_else(|errors| panic!("{text}: {errors}"));
                assert_eq!(tree(&again), tree(&expr), "{query}\n{text}");
            }
        }
    }
}

/// The tree as text: without positions, and with matchers in an order of their own, since printing sorts them.
fn tree(expr: &Expr) -> String {
    let mut expr = expr.clone();
    sort_matchers(&mut expr);
    let text = format!("{expr:?}");
    let without_pos = |part: &str| part.split_once('}').map_or(String::new(), |(_, rest)| rest.to_owned());
    let mut parts = text.split("Pos {");
    parts.next().into_iter().map(str::to_owned).chain(parts.map(without_pos)).collect()
}

fn sort_matchers(expr: &mut Expr) {
    let sort = |selector: &mut VectorSelector| selector.matchers.sort_by_key(ToString::to_string);
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => sort(selector),
        ExprKind::Matrix(matrix) => sort(&mut matrix.vector),
        ExprKind::Subquery(subquery) => sort_matchers(&mut subquery.expr),
        ExprKind::Unary(_, inner) | ExprKind::Paren(inner) => sort_matchers(inner),
        ExprKind::Binary(binary) => [&mut binary.left, &mut binary.right].into_iter().for_each(sort_matchers),
        ExprKind::Aggregate(aggregate) => {
            sort_matchers(&mut aggregate.expr);
            aggregate.param.iter_mut().for_each(sort_matchers);
        }
        ExprKind::Call(call) => call.args.iter_mut().for_each(sort_matchers),
    }
}

#[test]
fn mutilated_queries_never_panic() {
    let vocabulary = Vocabulary::default();
    let mut queries = Queries::new(2, &vocabulary, Dialect::Experimental);
    let mut rng = Rng::new(3);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut text: Vec<char> = queries.query().chars().collect();
        for _ in 0..=rng.below(3) {
            let at = rng.below(text.len());
            match rng.below(3) {
                0 => drop(text.remove(at)),
                1 => text.insert(
                    at,
                    rng.pick(&['(', ')', '[', ']', '{', '}', '"', ',', ':', '@', '-', ' ', 'é', '5']),
                ),
                _ => text.truncate(at + 1),
            }
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text, &Features::ALL) {
            Ok(_) => accepted += 1,
            Err(errors) => {
                refused += 1;
                let error = &errors.all()[0];
                assert!(error.pos.start <= text.len(), "{text}: {error:?}");
                assert!(error.excerpt().contains('^'));
            }
        }
    }
    assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
}

const STEP: i64 = 60_000;

#[test]
fn range_queries_agree_with_instant_queries() {
    let vocabulary = Vocabulary::default();
    let mut target = EngineTarget::new(EngineTarget::script_options());
    let timing = data::Timing { start: 0, interval: 15_000, scrapes: 100 };
    target.load(data::series(&mut Rng::new(4), &vocabulary, timing)).unwrap();
    let mut queries = Queries::new(5, &vocabulary, Dialect::Experimental);
    let (mut with_result, mut failed) = (0, 0);
    for _ in 0..100 {
        let query = queries.query();
        let (start, end) = (5 * STEP, 20 * STEP);
        let Ok(ranged) = target.range(&query, start, end, STEP) else {
            failed += 1;
            continue;
        };
        let ranged = by_time(ranged.value);
        with_result += usize::from(!ranged.is_empty());
        for t in (start..=end).step_by(STEP as usize) {
            let at =
                |points: &BTreeMap<i64, BTreeMap<Labels, Value>>| points.get(&t).cloned().unwrap_or_default();
            match target.instant(&query, t) {
                Ok(answer) => {
                    let (a, b) = (at(&by_time(answer.value)), at(&ranged));
                    assert!(agree(&a, &b), "{query} at {t}:\ninstant {a:?}\nrange {b:?}");
                }
                Err(message) => panic!("{query} at {t}: {message}"),
            }
        }
    }
    assert!(with_result > 50 && failed < 40, "{with_result} with a result, {failed} failed");
}

fn by_time(value: QueryValue) -> BTreeMap<i64, BTreeMap<Labels, Value>> {
    let mut points: BTreeMap<i64, BTreeMap<Labels, Value>> = BTreeMap::new();
    match value {
        QueryValue::Scalar(scalar) => {
            drop(points.entry(scalar.t).or_default().insert(Labels::empty(), Value::Float(scalar.v)))
        }
        QueryValue::String(_) => {}
        QueryValue::Vector(samples) => {
            for sample in samples {
                points.entry(sample.t).or_default().insert(sample.labels, sample.value);
            }
        }
        QueryValue::Matrix(series) => {
            for series in series {
                for (t, v) in &series.floats {
                    points.entry(t).or_default().insert(series.labels.clone(), Value::Float(v));
                }
                for (t, h) in series.histograms {
                    points.entry(t).or_default().insert(series.labels.clone(), Value::Histogram(h));
                }
            }
        }
    }
    points
}

fn agree(a: &BTreeMap<Labels, Value>, b: &BTreeMap<Labels, Value>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((labels_a, a), (labels_b, b))| {
            labels_a == labels_b
                && match (a, b) {
                    // `topk` sorts an instant vector, so sums over it may round differently.
                    (Value::Float(a), Value::Float(b)) => almost_equal(*a, *b),
                    (Value::Histogram(a), Value::Histogram(b)) => almost_equal_histograms(a, b, true),
                    _ => false,
                }
        })
}
