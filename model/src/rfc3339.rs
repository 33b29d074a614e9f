//! Times as Go's `time.Parse(time.RFC3339Nano, text)` reads them.

/// A time: Unix seconds and the nanoseconds after them, below a billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixTime {
    /// Since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl UnixTime {
    /// In milliseconds, cut; wraps around where these do not fit.
    pub fn ms(self) -> i64 {
        self.seconds.wrapping_mul(1000).wrapping_add(i64::from(self.nanos / 1_000_000))
    }

    /// In milliseconds, by way of nanoseconds: times more than 292 years from 1970 come out as others. Prometheus
    /// evaluates queries there.
    pub fn evaluation_ms(self) -> i64 {
        self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos)) / 1_000_000
    }
}

/// Reads `2015-07-01T20:10:51.781+02:00`. As Go does, it takes an hour of one digit, a comma for the point, any number
/// of decimals (those beyond nine are cut) and offsets up to `+24:60`; letters must be capitals. `None` for anything
/// else and for days that do not exist.
pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
    let mut rest = text.as_bytes();
    let year = fixed(&mut rest, 4)?;
    byte(&mut rest, b'-')?;
    let month = fixed(&mut rest, 2)?;
    byte(&mut rest, b'-')?;
    let day = fixed(&mut rest, 2)?;
    byte(&mut rest, b'T')?;
    let hour_digits = if rest.get(1).is_some_and(u8::is_ascii_digit) { 2 } else { 1 };
    let hour = fixed(&mut rest, hour_digits)?;
    byte(&mut rest, b':')?;
    let minute = fixed(&mut rest, 2)?;
    byte(&mut rest, b':')?;
    let second = fixed(&mut rest, 2)?;
    let nanos = fraction(&mut rest);
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let mut zone = zone;
            let hours = fixed(&mut zone, 2)?;
            byte(&mut zone, b':')?;
            let minutes = fixed(&mut zone, 2)?;
            if !zone.is_empty() || hours > 24 || minutes > 60 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = days_since_1970(year, month, day) * 86_400 + (hour * 60 + minute) * 60 + second - offset;
    in_range.then_some(UnixTime { seconds, nanos })
}

fn byte(rest: &mut &[u8], want: u8) -> Option<()> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    (*first == want).then_some(())
}

/// A number of exactly so many digits.
fn fixed(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    number.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// The decimals of a second, in nanoseconds; nothing is taken where none follow the point.
fn fraction(rest: &mut &[u8]) -> u32 {
    let [b'.' | b',', after @ ..] = *rest else { return 0 };
    let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return 0;
    }
    *rest = &after[digits..];
    (0..9).fold(0, |n, at| n * 10 + if at < digits { u32::from(after[at] - b'0') } else { 0 })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days between 1970-01-01 and a day of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    before_year + (153 * month + 2) / 5 + day - 1 - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2015-07-01T20:10:51.781Z", Some((1_435_781_451, 781_000_000))),
            ("2015-07-01T20:10:51,5Z", Some((1_435_781_451, 500_000_000))),
            ("2015-07-01T20:10:51.123456789123+23:59", Some((1_435_695_111, 123_456_789))),
            ("2015-07-01T20:10:51+24:00", Some((1_435_695_051, 0))),
            ("2015-07-01T2:10:51Z", Some((1_435_716_651, 0))),
            ("2015-02-28T02:10:59-00:00", Some((1_425_089_459, 0))),
            ("2000-02-29T00:00:00Z", Some((951_782_400, 0))),
            ("0000-01-01T00:00:00Z", Some((-62_167_219_200, 0))),
            ("9999-12-31T23:59:59.999999999Z", Some((253_402_300_799, 999_999_999))),
            ("1969-12-31T23:59:59.5Z", Some((-1, 500_000_000))),
            ("", None),
            ("2015-07-01", None),
            ("2015-07-01t20:10:51z", None),
            ("2015-07-01 20:10:51Z", None),
            ("2015-07-01T20:10:5Z", None),
            ("2015-07-01T24:10:51Z", None),
            ("2015-02-29T02:10:51Z", None),
            ("1900-02-29T02:10:51Z", None),
            ("2015-02-28T02:10:60Z", None),
            ("2015-02-28T02:10:59.Z", None),
            ("2015-02-28T02:10:59+0000", None),
            ("2015-02-28T02:10:59+25:00", None),
            ("2015-02-28T02:10:59", None),
            ("2015-00-28T02:10:59Z", None),
            ("2015-13-28T02:10:59Z", None),
            ("2015-01-00T02:10:59Z", None),
            ("02015-01-01T02:10:59Z", None),
            ("2015-02-28T02:10:59ZZ", None),
            ("2015-02-28T02:10:5é9Z", None),
        ] {
            let got = parse_rfc3339(text).map(|t| (t.seconds, t.nanos));
            assert_eq!(got, want, "{text}");
        }
    }
}
