//! Protocol buffers, read field by field from borrowed bytes. Messages are never built whole: code that knows a message's
//! fields walks them.

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The bytes end within a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A number of more than ten bytes.
    #[error("proto: integer overflow")]
    Varint,
    /// Field number 0 or beyond 2^29.
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    /// A wire type that is out of use, or none at all.
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    /// Another wire type than the field's.
    #[error("proto: wrong wireType for field {0}")]
    Mismatch(u32),
}

/// A field's value as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// Strings, bytes, messages, packed lists.
    Bytes(&'a [u8]),
    /// `fixed32`, `float`.
    Fixed32(u32),
}

/// Walks the fields of a message.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), ProtobufError> {
        let key = take_varint(&mut self.rest)?;
        let number = match key >> 3 {
            n @ 1..=0x1fff_ffff => n as u32,
            _ => return Err(ProtobufError::Tag(key >> 3)),
        };
        let field = match (key & 7) as u8 {
            0 => Field::Varint(take_varint(&mut self.rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(take_array(&mut self.rest)?)),
            2 => {
                let len = usize::try_from(take_varint(&mut self.rest)?);
                let len = len.map_err(|_| ProtobufError::Truncated)?;
                Field::Bytes(take(&mut self.rest, len)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(take_array(&mut self.rest)?)),
            other => return Err(ProtobufError::WireType(other)),
        };
        Ok((number, Value { number, field }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// A field's value, read as the type that its message says.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    number: u32,
    field: Field<'a>,
}

impl<'a> Value<'a> {
    /// As it stands.
    pub fn field(self) -> Field<'a> {
        self.field
    }

    /// `uint64`, `uint32`, enums, and `int64` by its bits.
    pub fn varint(self) -> Result<u64, ProtobufError> {
        match self.field {
            Field::Varint(v) => Ok(v),
            _ => self.mismatch(),
        }
    }

    /// `sint64`, `sint32`.
    pub fn zigzag(self) -> Result<i64, ProtobufError> {
        self.varint().map(unzigzag)
    }

    /// `double`.
    pub fn double(self) -> Result<f64, ProtobufError> {
        match self.field {
            Field::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => self.mismatch(),
        }
    }

    /// `bytes`, `string`, or a message.
    pub fn bytes(self) -> Result<&'a [u8], ProtobufError> {
        match self.field {
            Field::Bytes(bytes) => Ok(bytes),
            _ => self.mismatch(),
        }
    }

    /// The fields of a message.
    pub fn message(self) -> Result<Fields<'a>, ProtobufError> {
        self.bytes().map(Fields::new)
    }

    /// Appends one or, packed, many `sint64`.
    pub fn push_zigzags(self, out: &mut Vec<i64>) -> Result<(), ProtobufError> {
        match self.field {
            Field::Varint(v) => out.push(unzigzag(v)),
            Field::Bytes(mut packed) => {
                while !packed.is_empty() {
                    out.push(unzigzag(take_varint(&mut packed)?));
                }
            }
            _ => return self.mismatch(),
        }
        Ok(())
    }

    /// Appends one or, packed, many `double`.
    pub fn push_doubles(self, out: &mut Vec<f64>) -> Result<(), ProtobufError> {
        match self.field {
            Field::Fixed64(bits) => out.push(f64::from_bits(bits)),
            Field::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(ProtobufError::Truncated);
                }
                out.extend(doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            _ => return self.mismatch(),
        }
        Ok(())
    }

    fn mismatch<T>(self) -> Result<T, ProtobufError> {
        Err(ProtobufError::Mismatch(self.number))
    }
}

fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Takes a number of up to ten bytes.
pub fn take_varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut v = 0;
    for (i, byte) in rest.iter().enumerate().take(10) {
        v |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *rest = &rest[i + 1..];
            return Ok(v);
        }
    }
    Err(if rest.len() < 10 { ProtobufError::Truncated } else { ProtobufError::Varint })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, after) = rest.split_at_checked(len).ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(taken)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProtobufError> {
    let (array, after) = rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(*array)
}

/// Writes messages, for tests and for what we send.
#[derive(Clone, Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an integer.
    #[must_use]
    pub fn varint(mut self, number: u32, v: u64) -> Self {
        self.key(number, 0);
        push_varint(&mut self.bytes, v);
        self
    }

    /// Adds a signed integer in zigzag form.
    #[must_use]
    pub fn zigzag(self, number: u32, v: i64) -> Self {
        self.varint(number, zigzag(v))
    }

    /// Adds a double.
    #[must_use]
    pub fn double(mut self, number: u32, v: f64) -> Self {
        self.key(number, 1);
        self.bytes.extend_from_slice(&v.to_le_bytes());
        self
    }

    /// Adds a string, bytes or a message.
    #[must_use]
    pub fn bytes(mut self, number: u32, v: impl AsRef<[u8]>) -> Self {
        self.key(number, 2);
        push_varint(&mut self.bytes, v.as_ref().len() as u64);
        self.bytes.extend_from_slice(v.as_ref());
        self
    }

    /// Adds a packed list of signed integers in zigzag form.
    #[must_use]
    pub fn zigzags(self, number: u32, list: &[i64]) -> Self {
        let mut packed = Vec::new();
        for v in list {
            push_varint(&mut packed, zigzag(*v));
        }
        self.bytes(number, packed)
    }

    /// Adds a packed list of doubles.
    #[must_use]
    pub fn doubles(self, number: u32, list: &[f64]) -> Self {
        self.bytes(number, list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// The message with its length in front, as streams of messages have it.
    pub fn delimited(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 5);
        push_varint(&mut out, self.bytes.len() as u64);
        out.extend_from_slice(&self.bytes);
        out
    }

    fn key(&mut self, number: u32, wire_type: u64) {
        push_varint(&mut self.bytes, u64::from(number) << 3 | wire_type);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn zigzag(v: i64) -> u64 {
    (v << 1) as u64 ^ (v >> 63) as u64
}

fn push_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(v in any::<u64>(), s in any::<i64>(), d in any::<f64>(), text in "\\PC{0,40}", list in prop::collection::vec(any::<i64>(), 0..20)) {
            let doubles: Vec<f64> = list.iter().map(|v| *v as f64).collect();
            let message = Message::new().varint(1, v).zigzag(2, s).double(3, d).bytes(4, &text).zigzags(500, &list).doubles(6, &doubles);
            let fields: Result<Vec<_>, _> = Fields::new(message.as_ref()).collect();
            let fields = fields.unwrap();
            prop_assert_eq!(fields.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4, 500, 6]);
            prop_assert_eq!(fields[0].1.varint(), Ok(v));
            prop_assert_eq!(fields[1].1.zigzag(), Ok(s));
            prop_assert_eq!(fields[2].1.double().unwrap().to_bits(), d.to_bits());
            prop_assert_eq!(fields[3].1.bytes(), Ok(text.as_bytes()));
            let mut read = Vec::new();
            fields[4].1.push_zigzags(&mut read).unwrap();
            prop_assert_eq!(read, list);
            let mut read = Vec::new();
            fields[5].1.push_doubles(&mut read).unwrap();
            prop_assert_eq!(read, doubles);
            prop_assert!(fields[0].1.bytes().is_err() && fields[3].1.varint().is_err());
            for cut in 1..message.as_ref().len() {
                // Every prefix ends with fields, or with one error.
                let _ = Fields::new(&message.as_ref()[..cut]).count();
            }
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn broken_fields() {
        for (bytes, error) in [
            (&[0x08][..], ProtobufError::Truncated),
            (&[0x0a, 5, 1], ProtobufError::Truncated),
            (&[0x09, 1, 2, 3], ProtobufError::Truncated),
            (&[0x00, 1], ProtobufError::Tag(0)),
            (&[0x0b], ProtobufError::WireType(3)),
            (&[0xff; 12], ProtobufError::Varint),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], ProtobufError::Truncated),
        ] {
            let result: Result<Vec<_>, _> = Fields::new(bytes).collect();
            assert_eq!(result.unwrap_err(), error, "{bytes:x?}");
        }
    }
}
