//! A body in the Prometheus text format; the first byte chooses options.

#![no_main]

mod exposition;

use libfuzzer_sys::fuzz_target;
use wire::exposition::Format;

fuzz_target!(|data: &[u8]| exposition::parse(data, Format::Text));
