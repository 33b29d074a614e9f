//! Records 2, 4 and 11: float samples and exemplars.

use storage_base::bytes::reader::ByteReader;

use super::{
    Base, EXEMPLARS, RecordError, RefExemplar, RefSample, SAMPLES, SAMPLES_V2, V2, read_labels,
    series::put_labels,
};

/// Appends a record of samples; with `start_t` in the form that carries start timestamps. Nothing when there are
/// none.
pub fn put_samples(out: &mut Vec<u8>, samples: &[RefSample], start_t: bool) {
    let Some(first) = samples.first() else { return };
    if start_t {
        out.push(SAMPLES_V2);
        let mut v2 = V2::default();
        for s in samples {
            v2.put(out, s.series, s.t, s.start_t);
            out.extend_from_slice(&s.v.to_bits().to_be_bytes());
        }
    } else {
        out.push(SAMPLES);
        let base = Base::put(out, first.series, first.t);
        for s in samples {
            base.put_deltas(out, s.series, s.t);
            out.extend_from_slice(&s.v.to_bits().to_be_bytes());
        }
    }
}

pub(super) fn read_samples(r: &mut ByteReader<'_>) -> Result<Vec<RefSample>, RecordError> {
    let mut samples = Vec::new();
    if r.is_empty() {
        return Ok(samples);
    }
    let base = Base::read(r)?;
    // Two varints and a float at least.
    samples.reserve(r.len() / 10);
    while !r.is_empty() {
        let (series, t) = base.read_deltas(r)?;
        samples.push(RefSample { series, t, start_t: 0, v: r.f64()? });
    }
    Ok(samples)
}

pub(super) fn read_samples_v2(r: &mut ByteReader<'_>) -> Result<Vec<RefSample>, RecordError> {
    let mut samples = Vec::with_capacity(r.len() / 11);
    let mut v2 = V2::default();
    while !r.is_empty() {
        let (series, t, start_t) = v2.read(r)?;
        samples.push(RefSample { series, t, start_t, v: r.f64()? });
    }
    Ok(samples)
}

/// Appends a record of exemplars. Nothing when there are none.
pub fn put_exemplars(out: &mut Vec<u8>, exemplars: &[RefExemplar]) {
    if !exemplars.is_empty() {
        out.push(EXEMPLARS);
        put_exemplars_body(out, exemplars);
    }
}

/// Appends exemplars without the record's kind, as a memory snapshot holds them.
pub fn put_exemplars_body(out: &mut Vec<u8>, exemplars: &[RefExemplar]) {
    let Some(first) = exemplars.first() else { return };
    let base = Base::put(out, first.series, first.t);
    for e in exemplars {
        base.put_deltas(out, e.series, e.t);
        out.extend_from_slice(&e.v.to_bits().to_be_bytes());
        put_labels(out, &e.labels);
    }
}

/// Reads what [`put_exemplars_body`] wrote, to the end.
pub fn read_exemplars_body(r: &mut ByteReader<'_>) -> Result<Vec<RefExemplar>, RecordError> {
    let mut exemplars = Vec::new();
    if r.is_empty() {
        return Ok(exemplars);
    }
    let base = Base::read(r)?;
    while !r.is_empty() {
        let (series, t) = base.read_deltas(r)?;
        exemplars.push(RefExemplar { series, t, v: r.f64()?, labels: read_labels(r)? });
    }
    Ok(exemplars)
}
