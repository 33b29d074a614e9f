//! The `storage` section.

use crate::context::Context;
use crate::yaml::Fault;
use crate::yaml::fields::Fields;

/// Default size of the exemplar ring.
pub const DEFAULT_MAX_EXEMPLARS: i64 = 100_000;

/// The `storage` section, retention flags included.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// The `tsdb` section.
    pub tsdb: Tsdb,
    /// `exemplars.max_exemplars` when the section is written; 0 or less switches the ring off.
    pub max_exemplars: Option<i64>,
}

/// The `storage.tsdb` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Tsdb {
    /// How far behind the newest sample of a series a sample may be; 0 for not at all.
    pub out_of_order_time_window_ms: i64,
    /// Share of stale series in the head that starts their compaction; 0 for never.
    pub stale_series_compaction_threshold: f64,
    /// Encoding of new float chunks; `None` leaves it to the feature flag.
    pub float_chunk_encoding: Option<FloatChunkEncoding>,
    /// What to keep.
    pub retention: Retention,
}

/// Encoding of float chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatChunkEncoding {
    /// `xor`
    Xor,
    /// `xor2`
    Xor2,
}

/// How much to keep; each bound alone may trigger deletion. 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// Age of samples.
    pub time_ms: i64,
    /// Bytes of blocks, WAL and head chunks.
    pub size_bytes: i64,
    /// Share of the file system in percent; wins over `size_bytes`.
    pub percentage: f64,
}

impl FloatChunkEncoding {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xor => "xor",
            Self::Xor2 => "xor2",
        }
    }
}

impl Storage {
    /// Reads the section; retention that is not written comes from the flags.
    pub fn read(f: Option<Fields<'_>>, cx: &Context<'_>) -> Result<Self, Fault> {
        let without_tsdb = Tsdb {
            out_of_order_time_window_ms: 0,
            stale_series_compaction_threshold: 0.0,
            float_chunk_encoding: None,
            retention: cx.defaults.retention,
        };
        let Some(mut f) = f else { return Ok(Self { tsdb: without_tsdb, max_exemplars: None }) };
        let storage = Self {
            tsdb: f.section("tsdb", |f| Tsdb::read(f, cx))?.unwrap_or(without_tsdb),
            max_exemplars: f.section("exemplars", |mut f| {
                let max = f.int("max_exemplars", 0)?;
                f.finish().map(|()| max)
            })?,
        };
        f.finish()?;
        Ok(storage)
    }
}

impl Tsdb {
    fn read(mut f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault> {
        let encodings =
            [("xor", Some(FloatChunkEncoding::Xor)), ("xor2", Some(FloatChunkEncoding::Xor2)), ("", None)];
        // Prometheus prints the window under this name too, and accepts what it printed, without using it.
        f.int("outofordertimewindow", 0)?;
        let tsdb = Self {
            out_of_order_time_window_ms: f.duration("out_of_order_time_window", 0)?,
            stale_series_compaction_threshold: f.float("stale_series_compaction_threshold", 0.0)?,
            float_chunk_encoding: f
                .section("chunk_encoding", |mut f| {
                    let floats = f.choice("floats", None, &encodings)?;
                    f.finish().map(|()| floats)
                })?
                .flatten(),
            retention: f.section("retention", Retention::read)?.unwrap_or(cx.defaults.retention),
        };
        f.finish()?;
        if tsdb.stale_series_compaction_threshold > 0.0 {
            let field = "stale_series_compaction_threshold";
            cx.note(f.fault(field, "").pos, f.path_of(field), "stale series are compacted with the others");
        }
        Ok(tsdb)
    }
}

impl Retention {
    fn read(mut f: Fields<'_>) -> Result<Self, Fault> {
        let retention = Self {
            time_ms: f.duration("time", 0)?,
            size_bytes: f.size("size")?,
            percentage: f.float("percentage", 0.0)?,
        };
        f.finish()?;
        if retention.size_bytes < 0 {
            return Err(f.fault("size", "'storage.tsdb.retention.size' must be greater than or equal to 0"));
        }
        if !(0.0..=100.0).contains(&retention.percentage) {
            return Err(f.fault(
                "percentage",
                format!(
                    "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {}",
                    retention.percentage
                ),
            ));
        }
        Ok(retention)
    }
}
