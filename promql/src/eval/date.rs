//! Dates of the proleptic Gregorian calendar in UTC, by arithmetic alone.

/// A point in time, broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12
    pub(crate) month: i64,
    /// 1 to 31
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 for Sunday
    pub(crate) weekday: i64,
    /// 1 to 366
    pub(crate) day_of_year: i64,
}

const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Date {
    /// Breaks down seconds since the Unix epoch. The first 257 years or so that the type can hold are taken for what
    /// lies 2^64 seconds later, as Go does it; so NaN, which becomes the least integer, has Prometheus's date.
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        // 1 March of the year -292277022400, where Go's calendar begins.
        const FIRST: i128 = (-292_277_022_400 / 400 * 146_097 - 719_468) * 86_400;
        let seconds = i128::from(seconds);
        let seconds = if seconds < FIRST { seconds + (1 << 64) } else { seconds };
        let days = seconds.div_euclid(86_400) as i64;
        let of_day = seconds.rem_euclid(86_400) as i64;
        // Days since 0000-03-01, in eras of 400 years that begin in March, so that leap days come last.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap_day = i64::from(month > 2 && is_leap(year));
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: DAYS_BEFORE_MONTH[(month - 1) as usize] + leap_day + day,
        }
    }

    /// How many days the month has.
    pub(crate) fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (seconds, want) in [
            (0, (1970, 1, 1, 4, 1, 31)),
            (951_782_400, (2000, 2, 29, 2, 60, 29)),
            (1_136_239_445, (2006, 1, 2, 1, 2, 31)),
            (1_230_768_000, (2009, 1, 1, 4, 1, 31)),
            (1_230_767_999, (2008, 12, 31, 3, 366, 31)),
            (-1, (1969, 12, 31, 3, 365, 31)),
            (-2_203_891_200, (1900, 3, 1, 4, 60, 31)),
        ] {
            let d = Date::of_seconds(seconds);
            let got = (d.year, d.month, d.day, d.weekday, d.day_of_year, d.days_in_month());
            assert_eq!(got, want, "{seconds}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut previous = Date::of_seconds(-86_400 * 150_000);
        for day in -149_999..150_000 {
            let next = Date::of_seconds(86_400 * day + 86_399);
            let want = if previous.day < previous.days_in_month() {
                (previous.year, previous.month, previous.day + 1)
            } else if previous.month < 12 {
                (previous.year, previous.month + 1, 1)
            } else {
                (previous.year + 1, 1, 1)
            };
            assert_eq!((next.year, next.month, next.day), want);
            assert_eq!(next.weekday, (previous.weekday + 1) % 7);
            assert_eq!((next.hour, next.minute, next.second), (23, 59, 59));
            previous = next;
        }
        assert_eq!(Date::of_seconds(i64::MIN).day_of_year, 339);
        for extreme in [i64::MIN, i64::MAX] {
            let date = Date::of_seconds(extreme);
            assert!((1..=12).contains(&date.month) && (1..=31).contains(&date.day));
        }
    }
}
