//! Postings of a label pair that grow and shrink.

use roaring::RoaringBitmap;

/// Numbers of a pair are kept in a list up to this many, in a bitmap above.
const LIST_LEN_MAX: usize = 32;

/// Longer lists are not within a Roaring bitmap.
const BITMAP_OF_LISTS_MAX: u64 = 4096;

/// The series of a pair. Most pairs of a real head have one series, or very many.
pub(super) enum Ids {
    One(u32),
    List(Vec<u32>),
    Bitmap(Box<RoaringBitmap>),
}

impl Ids {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::List(list) => list.len() as u64,
            Self::Bitmap(bitmap) => bitmap.len(),
        }
    }

    pub(super) fn insert(&mut self, id: u32) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::List(vec![(*one).min(id), (*one).max(id)]),
            Self::List(list) => {
                if let Err(at) = list.binary_search(&id) {
                    list.insert(at, id);
                }
                if list.len() > LIST_LEN_MAX {
                    *self = Self::Bitmap(Box::new(list.iter().copied().collect()));
                }
            }
            Self::Bitmap(bitmap) => {
                // Most ids are greater than all before. A bitmap of so few is made of lists, of which the end is found
                // at once.
                if bitmap.len() > BITMAP_OF_LISTS_MAX || bitmap.try_push(id).is_err() {
                    bitmap.insert(id);
                }
            }
        }
    }

    /// Returns whether none is left.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::List(list) => {
                list.retain(|&other| other != id);
                list.is_empty()
            }
            Self::Bitmap(bitmap) => {
                bitmap.remove(id);
                bitmap.is_empty()
            }
        }
    }
}
