//! Random queries that parse and check, typed from the top down.

use promql::ast::AggregateOp;
use promql::functions::{FUNCTIONS, Function};
use query::ValueType;

use super::{Metric, MetricKind, Rng, Vocabulary};

/// What queries may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Everything, as with all of Prometheus's feature flags.
    Experimental,
    /// What a Prometheus without flags accepts.
    Stable,
}

/// Needs data of a kind that is not generated.
const LEFT_OUT: [&str; 1] = ["info"];

/// How deep expressions nest.
const DEPTH: usize = 4;

/// Gives queries without end.
#[derive(Clone, Debug)]
pub struct Queries<'a> {
    rng: Rng,
    vocabulary: &'a Vocabulary,
    dialect: Dialect,
}

impl<'a> Queries<'a> {
    /// Queries about these metrics.
    pub fn new(seed: u64, vocabulary: &'a Vocabulary, dialect: Dialect) -> Self {
        Self { rng: Rng::new(seed), vocabulary, dialect }
    }

    /// A query that gives a vector, or now and then a scalar.
    pub fn query(&mut self) -> String {
        if self.rng.chance(8) { self.scalar(DEPTH) } else { self.vector(DEPTH) }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.instant_selector();
        }
        match self.rng.below(100) {
            0..10 => self.instant_selector(),
            10..14 => format!("-{}", self.operand(depth - 1)),
            14..44 => self.call(ValueType::Vector, depth - 1),
            44..70 => self.aggregation(depth - 1),
            70..82 => self.with_scalar(depth - 1),
            _ => self.with_vector(depth - 1),
        }
    }

    /// A vector that any operator or modifier may follow.
    fn operand(&mut self, depth: usize) -> String {
        if depth == 0 { self.instant_selector() } else { format!("({})", self.vector(depth)) }
    }

    fn scalar(&mut self, depth: usize) -> String {
        const NUMBERS: [&str; 12] =
            ["0", "1", "2", "-1", "0.5", "1e3", "0x10", "90s", "3.7", "100", "-0.25", "(1 / 3)"];
        match self.rng.below(10) {
            0..7 => self.rng.pick(&NUMBERS).to_owned(),
            7 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            8 if depth > 0 => {
                let op = self.rng.pick(&["+", "-", "*", "/", "%", "^", "> bool", "atan2"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            _ => self.rng.pick(&["time()", "pi()"]).to_owned(),
        }
    }

    fn metric(&mut self) -> &'a Metric {
        let vocabulary = self.vocabulary;
        &vocabulary.metrics[self.rng.below(vocabulary.metrics.len())]
    }

    fn instant_selector(&mut self) -> String {
        let metric = self.metric();
        let series = self.series(metric);
        let smoothed = self.is_experimental() && self.rng.chance(2);
        let mode = if smoothed && metric.kind != MetricKind::Native { " smoothed" } else { "" };
        format!("{series}{mode}{}", self.times())
    }

    fn is_experimental(&self) -> bool {
        self.dialect == Dialect::Experimental
    }

    fn series(&mut self, metric: &Metric) -> String {
        let mut matchers = Vec::new();
        for (label, values) in metric.labels {
            if self.rng.chance(70) {
                continue;
            }
            let (a, b) = (self.rng.pick(values), self.rng.pick(values));
            matchers.push(match self.rng.below(4) {
                0 => format!("{label}=\"{a}\""),
                1 => format!("{label}!=\"{a}\""),
                2 => format!("{label}=~\"{a}|{b}\""),
                _ => format!("{label}!~\"{a}.*\""),
            });
        }
        match matchers.len() {
            0 => metric.name.to_owned(),
            _ if self.rng.chance(10) => format!("{{\"{}\",{}}}", metric.name, matchers.join(",")),
            _ => format!("{}{{{}}}", metric.name, matchers.join(",")),
        }
    }

    /// `offset` and `@`, mostly neither.
    fn times(&mut self) -> String {
        match self.rng.below(20) {
            0 => format!(" offset {}", self.rng.pick(&["1m", "90s", "-30s", "10m"])),
            1 => format!(" @ {}", self.rng.pick(&["300", "600.5", "1200"])),
            2 => " @ 600 offset 2m".to_owned(),
            _ => String::new(),
        }
    }

    /// A range selector or a subquery; `extended` is a mode that the function around it allows.
    fn matrix(&mut self, depth: usize, extended: &str) -> String {
        let range = self.rng.pick(&["1m", "2m30s", "5m", "47s", "20m"]);
        if depth > 0 && self.rng.chance(25) {
            let step = self.rng.pick(&["", "30s", "1m", "17s"]);
            return format!("{}[{range}:{step}]{}", self.operand(depth - 1), self.times());
        }
        let metric = self.metric();
        let series = self.series(metric);
        let range = match self.rng.below(20) {
            0 if self.is_experimental() => format!("{range} * 2 - 10s"),
            _ => range.to_owned(),
        };
        let mode = if self.is_experimental() && self.rng.chance(10) { extended } else { "" };
        format!("{series}[{range}]{mode}{}", self.times())
    }

    fn call(&mut self, returns: ValueType, depth: usize) -> String {
        let (dialect, wanted) = (self.dialect, returns);
        let usable: Vec<&Function> = FUNCTIONS
            .iter()
            .filter(|f| f.returns == wanted && !LEFT_OUT.contains(&f.name))
            .filter(|f| dialect == Dialect::Experimental || !f.experimental)
            .collect();
        let function = self.rng.pick(&usable);
        match function.name {
            "label_replace" => {
                let (input, from) = (self.vector(depth), self.label());
                let to = self.rng.pick(&["job", "copy"]);
                return format!("label_replace({input}, \"{to}\", \"x-$1\", \"{from}\", \"(.).*\")");
            }
            "label_join" => {
                return format!(
                    "label_join({}, \"copy\", \"/\", \"job\", \"{}\")",
                    self.vector(depth),
                    self.label()
                );
            }
            "histogram_quantiles" => {
                return format!("histogram_quantiles({}, \"q\", 0.5, 0.9)", self.vector(depth));
            }
            "histogram_quantile" if self.rng.chance(60) => {
                let input = self.rng.pick(&["duration_bucket", "rate(duration_bucket[5m])", "latency"]);
                return format!("histogram_quantile({}, {input})", self.scalar(0));
            }
            _ => {}
        }
        let extended = match function.name {
            "rate" | "increase" | "delta" if self.rng.chance(50) => " smoothed",
            "rate" | "increase" | "delta" | "changes" | "resets" => " anchored",
            _ => "",
        };
        let least = function.args.len() - usize::from(function.variadic != 0);
        let count = least + self.rng.below(function.args.len() - least + 1);
        let args: Vec<String> = (0..count)
            .filter_map(|i| function.arg_type(i))
            .map(|arg| match arg {
                ValueType::Scalar => self.scalar(depth.min(1)),
                ValueType::Vector => self.vector(depth),
                ValueType::Matrix => self.matrix(depth, extended),
                ValueType::String => "\"job\"".to_owned(),
            })
            .collect();
        format!("{}({})", function.name, args.join(", "))
    }

    fn label(&mut self) -> &'static str {
        self.rng.pick(&["job", "instance", "zone", "le", "missing"])
    }

    fn aggregation(&mut self, depth: usize) -> String {
        // Which series limitk and limit_ratio keep is another evaluator's own choice.
        const OPS: [AggregateOp; 12] = [
            AggregateOp::Sum,
            AggregateOp::Avg,
            AggregateOp::Min,
            AggregateOp::Max,
            AggregateOp::Count,
            AggregateOp::Group,
            AggregateOp::Stddev,
            AggregateOp::Stdvar,
            AggregateOp::Topk,
            AggregateOp::Bottomk,
            AggregateOp::CountValues,
            AggregateOp::Quantile,
        ];
        let op = self.rng.pick(&OPS);
        let param = match op {
            AggregateOp::Topk | AggregateOp::Bottomk => format!("{}, ", 1 + self.rng.below(3)),
            AggregateOp::Quantile => format!("{}, ", self.rng.pick(&["0.5", "0.9", "0", "1", "2"])),
            AggregateOp::CountValues => "\"v\", ".to_owned(),
            _ => String::new(),
        };
        let grouping = match self.rng.below(4) {
            0 => String::new(),
            1 => format!(" without ({})", self.label()),
            2 => format!(" by ({}, {})", self.label(), self.label()),
            _ => format!(" by ({})", self.label()),
        };
        format!("{}{grouping} ({param}{})", op.as_str(), self.vector(depth))
    }

    fn arithmetic_or_comparison(&mut self) -> &'static str {
        self.rng.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "== bool", "> bool",
            "<= bool",
        ])
    }

    fn with_scalar(&mut self, depth: usize) -> String {
        let (vector, scalar) = (self.operand(depth), self.scalar(depth.min(1)));
        let op = self.arithmetic_or_comparison();
        if self.rng.chance(70) {
            format!("{vector} {op} {scalar}")
        } else {
            format!("{scalar} {op} {vector}")
        }
    }

    fn with_vector(&mut self, depth: usize) -> String {
        let left = self.operand(depth);
        if self.rng.chance(30) {
            let op = self.rng.pick(&["and", "or", "unless"]);
            let on = self.rng.pick(&["", " on (job)", " ignoring (instance, zone)"]);
            return format!("{left} {op}{on} {}", self.operand(depth));
        }
        let op = self.arithmetic_or_comparison();
        let fill = match self.rng.below(20) {
            0 if self.is_experimental() => " fill (0)",
            1 if self.is_experimental() => " fill_right (2)",
            _ => "",
        };
        // One series for each job on the right, so that most matches succeed.
        let right = format!("sum by (job) ({})", self.vector(depth.saturating_sub(1)));
        match self.rng.below(4) {
            0 => format!("sum by (job) ({left}) {op}{fill} {right}"),
            1 => format!("{right} {op} on (job) group_right (){fill} {left}"),
            2 => format!("{left} {op} ignoring (instance, zone, le) group_left (){fill} {right}"),
            _ => format!("{left} {op} on (job) group_left (){fill} {right}"),
        }
    }
}
