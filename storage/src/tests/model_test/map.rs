//! The plain map that a store must agree with.

/// How many series there are.
pub const SERIES: usize = 8;

/// What is stored of a sample: the bits of its value, of a histogram's sum, and its start timestamp.
pub type Stored = (u64, i64);

/// Samples of one series, ascending.
pub type Samples = Vec<(i64, Stored)>;

/// What is stored of each series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map([Samples; SERIES]);

impl Map {
    /// Whether a series has a sample at a time.
    pub fn contains(&self, series: usize, t: i64) -> bool {
        self.find(series, t).is_ok()
    }

    /// Whether a series has no sample.
    pub fn lacks(&self, series: usize) -> bool {
        self.0[series].is_empty()
    }

    fn find(&self, series: usize, t: i64) -> Result<usize, usize> {
        self.0[series].binary_search_by_key(&t, |sample| sample.0)
    }

    /// Puts a sample, in the place of one of the same time.
    pub fn insert(&mut self, series: usize, t: i64, stored: Stored) {
        match self.find(series, t) {
            Ok(at) => self.0[series][at].1 = stored,
            Err(at) => self.0[series].insert(at, (t, stored)),
        }
    }

    /// Puts all samples of a series that has none.
    pub fn set(&mut self, series: usize, samples: Samples) {
        assert!(self.lacks(series), "series {series} twice");
        self.0[series] = samples;
    }

    /// Puts all samples of another map.
    pub fn extend(&mut self, other: &Self) {
        for (series, samples) in other.0.iter().enumerate() {
            for &(t, stored) in samples {
                self.insert(series, t, stored);
            }
        }
    }

    /// Some of its series.
    pub fn only(&self, series: &[usize]) -> Self {
        let mut some = Self::default();
        for &series in series {
            some.0[series].clone_from(&self.0[series]);
        }
        some
    }

    /// Removes a series' samples from `min_t` to `max_t`, both inclusive.
    pub fn remove(&mut self, series: usize, min_t: i64, max_t: i64) {
        self.0[series].retain(|(t, _)| !(min_t..=max_t).contains(t));
    }

    /// Samples, as series and time, that another map lacks or has otherwise.
    pub fn missing_in(&self, other: &Self) -> Vec<(usize, i64)> {
        let differs = |series: usize, &(t, stored): &(i64, Stored)| {
            other.find(series, t).map_or(true, |at| other.0[series][at].1 != stored)
        };
        let of = |series: usize| {
            let samples = if self.0[series] == other.0[series] { &[][..] } else { &self.0[series] };
            samples.iter().filter(move |sample| differs(series, sample)).map(move |sample| (series, sample.0))
        };
        (0..SERIES).flat_map(of).collect()
    }
}
