//! Reading DER, as far as certificates need it: definite lengths, one octet of tag.

/// What is left of a sequence of values.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub &'a [u8]);

/// One value.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag `[number]` of a primitive value.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag `[number]` of a value that holds others.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value; `None` at the end and where there is no value.
    pub fn value(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if octets.is_empty() || octets.len() > 4 {
                return None;
            }
            (octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), rest)
        };
        let (content, rest) = rest.split_at_checked(len)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Value { tag, content, whole })
    }

    /// The next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Value<'a>> {
        self.value().filter(|value| value.tag == tag)
    }

    /// The next value if it has this tag; otherwise it stays.
    pub fn optional(&mut self, tag: u8) -> Option<Value<'a>> {
        if self.0.first() == Some(&tag) { self.value() } else { None }
    }
}

impl<'a> Value<'a> {
    /// The values inside.
    pub fn inside(&self) -> Der<'a> {
        Der(self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_what_is_none() {
        let mut der = Der(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x81, 0x81, 0x01, 0xff]);
        let sequence = der.expect(SEQUENCE).unwrap();
        assert_eq!(sequence.inside().expect(INTEGER).unwrap().content, &[5]);
        assert_eq!(der.optional(INTEGER).map(|v| v.tag), None);
        assert_eq!(der.optional(context(1)).unwrap().content, &[0xff]);
        assert!(der.is_empty() && der.value().is_none());
        for bad in [
            &[0x30][..],
            &[0x30, 0x80],
            &[0x30, 2, 0],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Der(bad).value().is_none(), "{bad:?}");
        }
    }
}
