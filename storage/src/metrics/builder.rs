//! A chunk built sample by sample, of whatever kind its first sample is.
//!
//! This is for out-of-order samples and for rewriting chunks; the head's open chunks cut themselves by other rules.

use super::late::Value;
use crate::codec::chunk::Encoding;
use crate::codec::gorilla::XorAppender;

/// A chunk that takes samples of one kind.
#[derive(Debug)]
pub enum ChunkBuilder {
    /// Floats.
    Floats(XorAppender),
}

impl ChunkBuilder {
    /// A chunk with one sample.
    pub fn new(t: i64, value: &Value) -> Self {
        let mut chunk = Self::Floats(XorAppender::new());
        chunk.push(t, value);
        chunk
    }

    /// Adds a sample behind the others; returns false, and adds nothing, when it needs another chunk.
    pub fn push(&mut self, t: i64, value: &Value) -> bool {
        match (self, value) {
            (Self::Floats(chunk), Value::Float(v)) => chunk.append(t, *v).is_ok(),
            _ => false,
        }
    }

    /// How the bytes are to be read.
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::Floats(_) => Encoding::Xor,
        }
    }

    /// The finished chunk.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Floats(chunk) => chunk.into_bytes(),
        }
    }
}
