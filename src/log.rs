//! The server's log on standard error: one line an event, logfmt or JSON, with Prometheus's keys `time`, `level`,
//! `source`, `msg` first and the event's own fields after them.

use std::fmt::{self, Write as _};

use config::flags::LogFormat;
use model::labels::Quoted;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Starts logging for the whole process. Call once, before the first thread starts.
pub fn start(level: Level, format: LogFormat) {
    let layer = tracing_subscriber::fmt::layer().event_format(Line(format)).with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(LevelFilter::from_level(level)).with(layer);
    // A second start (tests in one process) keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Line(LogFormat);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let file = meta.file().and_then(|path| path.rsplit('/').next()).unwrap_or("unknown");
        let source = format!("{file}:{}", meta.line().unwrap_or(0));
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let level = meta.level().as_str();
        writer.write_str(&write_line(self.0, &time, level, &source, &fields))?;
        writer.write_char('\n')
    }
}

fn write_line(format: LogFormat, time: &str, level: &str, source: &str, fields: &Fields) -> String {
    let head = [("time", time), ("level", level), ("source", source), ("msg", fields.message.as_str())];
    let all = head.into_iter().chain(fields.others.iter().map(|(k, v)| (*k, v.as_str())));
    let mut line = String::with_capacity(128);
    match format {
        LogFormat::Logfmt => {
            for (i, (key, value)) in all.enumerate() {
                let space = if i == 0 { "" } else { " " };
                // Writing to a String cannot fail.
                let _ = match needs_quotes(value) {
                    true => write!(line, "{space}{key}={}", Quoted(value)),
                    false => write!(line, "{space}{key}={value}"),
                };
            }
        }
        LogFormat::Json => {
            let object: serde_json::Map<String, serde_json::Value> =
                all.map(|(key, value)| (key.to_owned(), value.into())).collect();
            line = serde_json::Value::Object(object).to_string();
        }
    }
    line
}

fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value.chars().any(|c| c <= ' ' || c == '"' || c == '=' || c == '\u{7f}' || c == '\u{fffd}')
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let fields = Fields {
            message: "Scrape failed".to_owned(),
            others: vec![("target", "http://a/metrics".to_owned()), ("err", "say \"no\"\n".to_owned())],
        };
        assert_eq!(
            write_line(LogFormat::Logfmt, "2026-01-02T03:04:05.006Z", "WARN", "a.rs:1", &fields),
            "time=2026-01-02T03:04:05.006Z level=WARN source=a.rs:1 msg=\"Scrape failed\" \
             target=http://a/metrics err=\"say \\\"no\\\"\\n\""
        );
        let json = write_line(LogFormat::Json, "t", "INFO", "a.rs:1", &fields);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["msg"], "Scrape failed");
        assert_eq!(json["err"], "say \"no\"\n");
    }
}
