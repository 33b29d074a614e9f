//! Writes JSON of any size in bounded memory: pieces go to the connection while later ones are written. What fits into
//! one piece is handed over whole.

use std::ops::Range;

use bytes::Bytes;
use model::Labels;
use model::api_float::{push_float, push_timestamp};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::sync::mpsc;

/// Bytes at which a piece is sent.
const PIECE: usize = 64 << 10;
/// Bytes of room, at most, that a text handed over whole begins with.
const ROOM_MAX: usize = 1 << 20;
/// Pieces, at most, that several threads write before they are handed on.
const ROUND_MAX: usize = 16;
/// Several threads write from this number of pieces on; fewer are written before another thread would be awake.
const MIN_PIECES: usize = 4;

/// What a writer hands over.
pub enum Written {
    /// All of it.
    Whole(Bytes),
    /// Pieces of it, which are being written.
    Pieces(mpsc::Receiver<Bytes>),
}

/// Takes what a writer hands over, once.
pub type HandOver = Box<dyn FnOnce(Written) + Send>;

/// Appends JSON text and hands it on in pieces.
pub struct JsonWriter {
    out: Vec<u8>,
    destination: Destination,
    closed: bool,
}

enum Destination {
    /// The text is kept until it is asked for.
    Memory,
    /// It is handed over whole, at its end.
    Whole(HandOver),
    /// It is handed over as pieces once there is one, or else whole.
    Handed(HandOver),
    /// Pieces are sent as they are written.
    Pieces(mpsc::Sender<Bytes>),
}

impl JsonWriter {
    /// A writer that keeps all it is given.
    pub fn in_memory() -> Self {
        Self { out: Vec::with_capacity(1024), destination: Destination::Memory, closed: false }
    }

    /// A writer that sends pieces; blocks while the receiver is slow, so not for async code.
    pub fn streaming(pieces: mpsc::Sender<Bytes>) -> Self {
        Self {
            out: Vec::with_capacity(PIECE + PIECE / 4),
            destination: Destination::Pieces(pieces),
            closed: false,
        }
    }

    /// A writer that hands over all text at its end, however long it is; it never blocks. The text may take about
    /// `len` bytes.
    pub fn whole(len: usize, hand_over: HandOver) -> Self {
        Self {
            out: Vec::with_capacity(len.min(ROOM_MAX)),
            destination: Destination::Whole(hand_over),
            closed: false,
        }
    }

    /// A writer that hands over either all text at its end, or pieces from the first one on; as
    /// [`JsonWriter::streaming`] then. The text may take about `len` bytes.
    pub fn handing_over(len: usize, hand_over: HandOver) -> Self {
        let out = Vec::with_capacity(len.min(PIECE + PIECE / 4));
        Self { out, destination: Destination::Handed(hand_over), closed: false }
    }

    /// Ends the text: hands over or sends what there is.
    pub fn finish(mut self) {
        match std::mem::replace(&mut self.destination, Destination::Memory) {
            Destination::Memory => {}
            Destination::Whole(hand_over) | Destination::Handed(hand_over) => {
                hand_over(Written::Whole(self.out.into()))
            }
            Destination::Pieces(pieces) => {
                self.destination = Destination::Pieces(pieces);
                self.flush();
            }
        }
    }

    /// The text that was not sent.
    pub fn into_text(self) -> String {
        // Nothing but text was appended.
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// The text that was not sent, to append to: JSON only.
    #[inline]
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether the receiver has gone; the rest need not be written.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Appends text that is JSON already.
    #[inline]
    pub fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Sends what there is when it makes a piece. Call between values.
    #[inline]
    pub fn flush_piece(&mut self) {
        if self.out.len() >= PIECE {
            self.flush();
        }
    }

    /// Sends what there is.
    pub fn flush(&mut self) {
        if let Destination::Handed(_) = self.destination {
            let (pieces, receiver) = mpsc::channel(4);
            if let Destination::Handed(hand_over) =
                std::mem::replace(&mut self.destination, Destination::Pieces(pieces))
            {
                hand_over(Written::Pieces(receiver));
            }
        }
        if let Destination::Pieces(pieces) = &self.destination {
            let piece = std::mem::replace(&mut self.out, Vec::with_capacity(PIECE + PIECE / 4));
            self.closed |= pieces.blocking_send(Bytes::from(piece)).is_err();
        }
    }

    /// Appends text that another writer holds.
    fn append(&mut self, text: Vec<u8>) {
        if matches!(self.destination, Destination::Memory | Destination::Whole(_)) {
            self.out.extend_from_slice(&text);
            return;
        }
        if !self.out.is_empty() {
            self.flush();
        }
        self.out = text;
        self.flush_piece();
    }

    /// Appends a string with quotes and escapes.
    pub fn string(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        self.out.push(b'"');
        while let Some(at) = first_escaped(rest) {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            self.out.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                byte => {
                    let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                    self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                }
            }
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }

    /// Appends a float as a string, in the API's form.
    #[inline]
    pub fn float_string(&mut self, v: f64) {
        self.out.push(b'"');
        push_float(&mut self.out, v);
        self.out.push(b'"');
    }

    /// Appends milliseconds as seconds.
    #[inline]
    pub fn timestamp(&mut self, t_ms: i64) {
        push_timestamp(&mut self.out, t_ms);
    }

    /// Appends `[timestamp,"value"]`.
    #[inline]
    pub fn point(&mut self, t_ms: i64, v: f64) {
        self.out.push(b'[');
        self.timestamp(t_ms);
        self.out.push(b',');
        self.float_string(v);
        self.out.push(b']');
    }

    /// Appends a label set as an object.
    #[inline]
    pub fn labels(&mut self, labels: &Labels) {
        self.out.push(b'{');
        for (i, (name, value)) in labels.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.string(name);
            self.out.push(b':');
            self.string(value);
        }
        self.out.push(b'}');
    }

    /// Appends a list whose elements `each` writes.
    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.out.push(b'[');
        for (i, item) in items.into_iter().enumerate() {
            if self.closed {
                return;
            }
            if i > 0 {
                self.out.push(b',');
            }
            each(self, item);
            self.flush_piece();
        }
        self.out.push(b']');
    }

    /// Appends a list whose elements `each` writes, on rayon's threads where it is long, while this one hands on what they
    /// wrote before; they wait for no client. A thread works with a state of its own. An element may take about `len`
    /// bytes.
    pub fn long_list<T: Sync, S>(
        &mut self,
        items: &[T],
        len: impl Fn(&T) -> usize,
        state: impl Fn() -> S + Sync,
        each: impl Fn(&mut Self, &T, &mut S) + Sync,
    ) {
        let write = |json: &mut Self, part: Range<usize>, state: &mut S| {
            for at in part {
                if json.closed {
                    return;
                }
                if at > 0 {
                    json.out.push(b',');
                }
                each(json, &items[at], state);
                json.flush_piece();
            }
        };
        let write_alone = |part: Range<usize>| {
            let out = Vec::with_capacity(PIECE + PIECE / 4);
            let mut json = Self { out, destination: Destination::Memory, closed: false };
            write(&mut json, part, &mut state());
            json.out
        };
        self.out.push(b'[');
        let pieces = pieces(items, len);
        if pieces.len() < MIN_PIECES {
            write(self, 0..items.len(), &mut state());
        } else {
            let round = (2 * rayon::current_num_threads()).min(ROUND_MAX);
            let mut written = Vec::new();
            for pieces in pieces.chunks(round) {
                let mut next = vec![Vec::new(); pieces.len()];
                rayon::in_place_scope(|scope| {
                    for (text, piece) in next.iter_mut().zip(pieces) {
                        scope.spawn(|_| *text = write_alone(piece.clone()));
                    }
                    std::mem::take(&mut written).into_iter().for_each(|text| self.append(text));
                });
                written = next;
                if self.closed {
                    return;
                }
            }
            written.into_iter().for_each(|text| self.append(text));
        }
        self.out.push(b']');
    }
}

/// Divides a list into parts of about [`PIECE`] bytes.
fn pieces<T>(items: &[T], len: impl Fn(&T) -> usize) -> Vec<Range<usize>> {
    let (mut pieces, mut first, mut piece) = (Vec::new(), 0, 0);
    for (at, item) in items.iter().enumerate() {
        piece += len(item);
        if piece >= PIECE {
            pieces.push(first..at + 1);
            (first, piece) = (at + 1, 0);
        }
    }
    if first < items.len() {
        pieces.push(first..items.len());
    }
    pieces
}

/// Where the first byte stands that a JSON string must not hold as it is.
fn first_escaped(text: &[u8]) -> Option<usize> {
    let is_escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Label texts rarely have one: look at several without an exit in the middle.
    let (eights, _) = text.as_chunks::<8>();
    let clean = eights.iter().take_while(|eight| !eight.iter().fold(false, |any, b| any | is_escaped(*b)));
    let from = 8 * clean.count();
    text[from..].iter().position(|byte| is_escaped(*byte)).map(|at| from + at)
}

/// A label set as a JSON object, for answers that serde writes.
pub struct LabelsJson<'a>(pub &'a Labels);

impl Serialize for LabelsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streams_what_memory_holds() {
        let (send, mut receive) = mpsc::channel(4);
        let write =
            |json: &mut JsonWriter| json.list(0..50_000i64, |json, t| json.point(t * 500, t as f64 / 3.0));
        let mut whole = JsonWriter::in_memory();
        write(&mut whole);
        let writer = std::thread::spawn(move || {
            let mut json = JsonWriter::streaming(send);
            write(&mut json);
            json.flush();
        });
        let mut got = Vec::new();
        let mut pieces = 0;
        while let Some(piece) = receive.blocking_recv() {
            got.extend_from_slice(&piece);
            pieces += 1;
        }
        writer.join().unwrap();
        assert!(pieces > 10);
        assert_eq!(String::from_utf8(got).unwrap(), whole.into_text());
    }

    #[tokio::test]
    async fn whole_text_is_handed_over_by_a_thread_that_must_not_wait() {
        let (send, mut receive) = mpsc::unbounded_channel();
        let mut json = JsonWriter::whole(100, Box::new(move |written| drop(send.send(written))));
        json.list(0..50_000i64, |json, t| json.point(t * 500, t as f64 / 3.0));
        json.flush_piece();
        assert!(receive.try_recv().is_err());
        json.finish();
        assert!(matches!(receive.try_recv(), Ok(Written::Whole(text)) if text.len() > 10 * PIECE));
    }

    proptest! {
        #[test]
        fn long_lists_are_lists(lens in prop::collection::vec(0..3_000usize, 0..100), said in 0..40_000usize) {
            let items = Vec::from_iter(lens.into_iter().enumerate());
            let item = |json: &mut JsonWriter, (at, len): &(usize, usize)| {
                json.string(&format!("{at}"));
                json.string(&"x".repeat(*len));
            };
            let mut want = JsonWriter::in_memory();
            want.list(&items, item);
            let want = want.into_text();
            let long = |json: &mut JsonWriter| {
                json.raw("{");
                json.long_list(&items, |_| said, || (), |json, each, ()| item(json, each));
                json.raw("}");
            };
            let mut whole = JsonWriter::in_memory();
            long(&mut whole);
            prop_assert_eq!(whole.into_text(), format!("{{{want}}}"));
            let (send, mut receive) = mpsc::channel(4);
            let mut got = Vec::new();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut json = JsonWriter::streaming(send);
                    long(&mut json);
                    json.flush();
                });
                while let Some(piece) = receive.blocking_recv() {
                    got.extend_from_slice(&piece);
                }
            });
            prop_assert_eq!(String::from_utf8(got).unwrap(), format!("{{{want}}}"));
        }

        #[test]
        fn strings_read_back(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let mut json = JsonWriter::in_memory();
            json.string(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json.into_text()).unwrap(), text);
        }
    }
}
