//! How remote write, remote read, OTLP and tracing are printed.

use model::time::DurationText;

use super::discovery::section;
use super::http_client::{http_client, tls};
use super::map::Map;
use crate::sections::otlp::{Otlp, Tracing};
use crate::sections::remote::{RemoteRead, RemoteWrite};
use crate::yaml::writer::Tree;

pub(super) fn trace(t: &Tracing) -> Tree {
    let mut m = Map::default();
    m.text("client_type", t.client_type)
        .text("endpoint", &t.endpoint)
        .float("sampling_fraction", t.sampling_fraction)
        .unless_zero("insecure", t.insecure);
    tls(&mut m, &t.tls);
    m.text_map("headers", &t.headers)
        .text("compression", t.compression)
        .duration("timeout", t.timeout_ms)
        .done()
}

pub(super) fn remote_write(r: &RemoteWrite) -> Tree {
    let mut m = Map::default();
    m.put("url", Tree::text(&r.url))
        .duration("remote_timeout", r.remote_timeout_ms)
        .text_map("headers", &r.headers)
        .rules("write_relabel_configs", &r.write_relabel_configs)
        .text("name", &r.name)
        .unless_zero("send_exemplars", r.send_exemplars)
        .unless_zero("send_native_histograms", r.send_native_histograms)
        .unless_zero("round_robin_dns", r.round_robin_dns)
        .text("protobuf_message", &r.protobuf_message)
        .unless_zero("failed_request_logging", r.failed_request_logging);
    http_client(&mut m, &r.http);
    let q = &r.queue;
    let mut queue = Map::default();
    queue
        .unless_zero("capacity", q.capacity)
        .unless_zero("max_shards", q.max_shards)
        .unless_zero("min_shards", q.min_shards)
        .unless_zero("max_samples_per_send", q.max_samples_per_send)
        .duration("batch_send_deadline", q.batch_send_deadline_ms)
        .duration("min_backoff", q.min_backoff_ms)
        .duration("max_backoff", q.max_backoff_ms)
        .unless_zero("retry_on_http_429", q.retry_on_http_429)
        .duration("sample_age_limit", q.sample_age_limit_ms);
    let mut metadata = Map::default();
    metadata
        .always("send", r.metadata.send)
        .put("send_interval", Tree::text(DurationText(r.metadata.send_interval_ms)))
        .unless_zero("max_samples_per_send", r.metadata.max_samples_per_send);
    m.put("queue_config", queue.done()).put("metadata_config", metadata.done());
    if let Some(cloud) = &r.cloud_auth {
        m.put(cloud.section_name(), section(&cloud.fields()));
    }
    m.done()
}

pub(super) fn remote_read(r: &RemoteRead) -> Tree {
    let mut m = Map::default();
    m.put("url", Tree::text(&r.url))
        .duration("remote_timeout", r.remote_timeout_ms)
        .unless_zero("chunked_read_limit", r.chunked_read_limit)
        .text_map("headers", &r.headers)
        .unless_zero("read_recent", r.read_recent)
        .text("name", &r.name);
    http_client(&mut m, &r.http);
    m.text_map("required_matchers", &r.required_matchers)
        .unless_zero("filter_external_labels", r.filter_external_labels)
        .done()
}

pub(super) fn otlp(o: &Otlp) -> Tree {
    let mut m = Map::default();
    m.unless_zero("promote_all_resource_attributes", o.promote_all_resource_attributes)
        .texts("promote_resource_attributes", &o.promote_resource_attributes)
        .texts("ignore_resource_attributes", &o.ignore_resource_attributes)
        .text("translation_strategy", o.translation_strategy)
        .unless_zero("keep_identifying_resource_attributes", o.keep_identifying_resource_attributes)
        .unless_zero("convert_histograms_to_nhcb", o.convert_histograms_to_nhcb)
        .unless_zero("promote_scope_metadata", o.promote_scope_metadata)
        .unless_zero("label_name_underscore_sanitization", o.label_name_underscore_sanitization)
        .unless_zero("label_name_preserve_multiple_underscores", o.label_name_preserve_multiple_underscores)
        .done()
}
