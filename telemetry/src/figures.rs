//! Figures declared once: name, help and counter in one line.

use crate::metric::{Counter, Gauge, Histogram, IntGauge, Labeled, Summary};
use crate::registry::Gather;

/// A number, or several, that one family of `/metrics` shows.
pub trait Figure {
    /// Adds its family.
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather);
}

impl Figure for Counter {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.counter(name, help, &[], self.get() as f64);
    }
}

impl Figure for Gauge {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.gauge(name, help, &[], self.get());
    }
}

impl Figure for IntGauge {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.gauge(name, help, &[], self.get() as f64);
    }
}

impl Figure for Histogram {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.histogram(name, help, &[], self);
    }
}

impl Figure for Summary {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.summary(name, help, &[], self);
    }
}

impl Figure for Labeled<Counter> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.counters(name, help, self);
    }
}

impl Figure for Labeled<Gauge> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.gauges(name, help, self);
    }
}

impl Figure for Labeled<Histogram> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.histograms(name, help, self);
    }
}

impl Figure for Labeled<Summary> {
    fn gather(&self, name: &'static str, help: &'static str, out: &mut Gather) {
        out.summaries(name, help, self);
    }
}

/// Declares a struct of figures: each line has a field, its type, the name and the help of its family. The struct gets
/// [`Default`] and [`Collect`](crate::Collect). A field's value at start is its type's default, or what stands in braces
/// behind the type. A field is documented by its help; a doc comment may say more.
///
/// ```
/// use telemetry::{Counter, Histogram, Labeled, figures};
///
/// figures! {
///     /// What a store counts.
///     pub struct StoreFigures {
///         pub reloads: Counter = "store_reloads_total", "Times the list of blocks was read.";
///         /// Seconds.
///         pub compaction: Histogram { Histogram::new(&[1.0, 10.0]) } =
///             "store_compaction_seconds", "Duration of compactions.";
///         pub samples: Labeled<Counter> { Labeled::of(&["type"]) } = "store_samples_total", "Samples by type.";
///     }
/// }
///
/// let figures = StoreFigures::default();
/// figures.reloads.inc();
/// assert_eq!(figures.reloads.get(), 1);
/// ```
#[macro_export]
macro_rules! figures {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[$field_doc:meta])*
                $field_vis:vis $field:ident: $type:ty $({ $start:expr })? = $family:expr, $help:expr;
            )*
        }
    ) => {
        $(#[$doc])*
        $vis struct $name {
            $(
                #[doc = concat!($help, " (`", $family, "`)")]
                $(#[$field_doc])*
                $field_vis $field: $type,
            )*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::figures!(@start $($start)?),)* }
            }
        }

        impl $crate::Collect for $name {
            fn collect(&self, out: &mut $crate::Gather) {
                $($crate::Figure::gather(&self.$field, $family, $help, out);)*
            }
        }
    };
    (@start $start:expr) => { $start };
    (@start) => { ::core::default::Default::default() };
}

#[cfg(test)]
mod tests {
    use crate::{Collect, Counter, Gather, Gauge, Histogram, IntGauge, Labeled, Summary};

    figures! {
        /// One of each.
        struct All {
            counter: Counter = "a_total", "A counter.";
            gauge: Gauge = "b", "A gauge.";
            whole: IntGauge = "c", "A gauge of \
                whole numbers.";
            /// In seconds.
            histogram: Histogram { Histogram::new(&[1.0]) } = "d", "A histogram.";
            plain: Summary = "e", "A summary without quantiles.";
            labelled: Labeled<Counter> { Labeled::of(&["type"]) } = "f_total", "Labelled counters.";
        }
    }

    #[test]
    fn each_family_has_its_name_its_help_and_its_value() {
        let all = All::default();
        all.counter.add(2);
        all.gauge.set(0.5);
        all.whole.add(-3);
        all.histogram.observe(0.5);
        all.plain.observe(4.0);
        all.labelled.with(&["x"]).inc();
        let mut out = Gather::default();
        all.collect(&mut out);
        let names: Vec<_> =
            out.families().map(|(name, family)| (name, family.help, family.lines().count())).collect();
        assert_eq!(
            names,
            [
                ("a_total", "A counter.", 1),
                ("b", "A gauge.", 1),
                ("c", "A gauge of whole numbers.", 1),
                ("d", "A histogram.", 4),
                ("e", "A summary without quantiles.", 2),
                ("f_total", "Labelled counters.", 1)
            ]
        );
        assert_eq!(out.value("c", &[]), Some(-3.0));
        assert_eq!(out.value("f_total", &[("type", "x")]), Some(1.0));
        assert_eq!(out.value("f_total", &[]), None);
    }
}
