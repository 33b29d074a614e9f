//! PromQL's engine on a store in memory, as scripts use it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use promql::{Engine, EngineOptions, Features, QueryContext, QueryResult, parse};
use query::{QueryError, RangeTimes};

use crate::script::{Answer, Evaluator};
use crate::series::{LoadedSeries, MemoryStore, Store};

/// Loads series into memory and evaluates queries over them.
#[derive(Debug)]
pub struct EngineTarget {
    engine: Engine,
    store: MemoryStore,
}

impl EngineTarget {
    /// A target with an engine of these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { engine: Engine::new(options), store: MemoryStore::default() }
    }

    /// The options that Prometheus's own scripts are written for: names dropped at the end, start timestamps used.
    pub fn script_options() -> EngineOptions {
        EngineOptions { delayed_name_removal: true, use_start_timestamps: true, ..EngineOptions::default() }
    }
}

impl Store for EngineTarget {
    fn clear(&mut self) -> Result<(), String> {
        self.store.clear()
    }

    fn load(&mut self, series: Vec<LoadedSeries>) -> Result<(), String> {
        self.store.load(series)
    }
}

impl Evaluator for EngineTarget {
    fn instant(&mut self, query: &str, t: i64) -> Result<Answer, String> {
        let expr = parse(query, &Features::ALL).map_err(|error| error.to_string())?;
        with_context(|context| answer(query, self.engine.instant(&expr, &self.store, t, context)))
    }

    fn range(&mut self, query: &str, start: i64, end: i64, step: i64) -> Result<Answer, String> {
        let expr = parse(query, &Features::ALL).map_err(|error| error.to_string())?;
        let times = RangeTimes { start, end, step };
        with_context(|context| answer(query, self.engine.range(&expr, &self.store, times, context)))
    }
}

fn with_context<R>(run: impl FnOnce(&QueryContext<'_>) -> R) -> R {
    let cancel = AtomicBool::new(false);
    run(&QueryContext::unbounded(&cancel, &|| Duration::ZERO))
}

fn answer(query: &str, result: Result<QueryResult, QueryError>) -> Result<Answer, String> {
    let result = result.map_err(|error| error.to_string())?;
    let (warnings, infos) = result.annotations.strings(query, 0, 0);
    Ok(Answer { value: result.value, warnings, infos })
}
