//! Times and durations as Go prints them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::go_duration::go_duration;

use super::value::Value;

fn civil(ns: i64) -> DateTime {
    // 64 bits of nanoseconds lie well within jiff's range of years.
    let timestamp = Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(timestamp)
}

/// `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn time_text(ns: i64) -> String {
    let t = civil(ns);
    let mut text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    );
    let fraction = t.subsec_nanosecond();
    if fraction > 0 {
        text.push('.');
        text.push_str(format!("{fraction:09}").trim_end_matches('0'));
    }
    text.push_str(" +0000 UTC");
    text
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Go's methods of a time that take no arguments.
pub(super) fn time_field(ns: i64, name: &str) -> Option<Value> {
    let t = civil(ns);
    Some(match name {
        "UTC" => Value::Time(ns),
        "Year" => Value::Int(t.year().into()),
        "Month" => Value::text(MONTHS[t.month() as usize - 1]),
        "Day" => Value::Int(t.day().into()),
        "Hour" => Value::Int(t.hour().into()),
        "Minute" => Value::Int(t.minute().into()),
        "Second" => Value::Int(t.second().into()),
        "Nanosecond" => Value::Int(t.subsec_nanosecond().into()),
        "YearDay" => Value::Int(t.date().day_of_year().into()),
        "Weekday" => Value::text(WEEKDAYS[t.weekday().to_monday_zero_offset() as usize]),
        "Unix" => Value::Int(ns.div_euclid(1_000_000_000)),
        "UnixMilli" => Value::Int(ns.div_euclid(1_000_000)),
        "UnixNano" => Value::Int(ns),
        "String" => Value::text(time_text(ns)),
        _ => return None,
    })
}

/// Parts of a time layout, the longer of two that start alike first.
const LAYOUT: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "-07", "Z07:00", "Z0700", "002",
    "01", "02", "03", "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5",
];

/// Go's `Time.Format` with a layout that shows how `Mon Jan 2 15:04:05 MST 2006` would look.
pub(super) fn time_format(ns: i64, layout: &str) -> String {
    let t = civil(ns);
    let hour12 = match t.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let month = MONTHS[t.month() as usize - 1];
    let weekday = WEEKDAYS[t.weekday().to_monday_zero_offset() as usize];
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        // `.000` and `.999` after the seconds.
        let zeros = rest.trim_start_matches(['.', ',']).len();
        if zeros + 1 == rest.len() {
            let digits = rest[1..].bytes().take_while(|b| *b == b'0').count();
            let nines = rest[1..].bytes().take_while(|b| *b == b'9').count();
            let n = digits.max(nines);
            let ends = !rest[1 + n..].starts_with(|c: char| c.is_ascii_digit());
            if (1..=9).contains(&n) && ends {
                let fraction = format!("{:09}", t.subsec_nanosecond());
                let fraction = &fraction[..n];
                let fraction = if nines > 0 { fraction.trim_end_matches('0') } else { fraction };
                if !fraction.is_empty() {
                    out.push(c);
                    out.push_str(fraction);
                }
                rest = &rest[1 + n..];
                continue;
            }
        }
        let Some(part) = LAYOUT.iter().find(|part| rest.starts_with(**part)) else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        out.push_str(&match *part {
            "January" => month.to_owned(),
            "Jan" => month[..3].to_owned(),
            "Monday" => weekday.to_owned(),
            "Mon" => weekday[..3].to_owned(),
            "MST" => "UTC".to_owned(),
            "2006" => format!("{:04}", t.year()),
            "-07:00" => "+00:00".to_owned(),
            "-0700" => "+0000".to_owned(),
            "-07" => "+00".to_owned(),
            "Z07:00" | "Z0700" => "Z".to_owned(),
            "002" => format!("{:03}", t.date().day_of_year()),
            "01" => format!("{:02}", t.month()),
            "02" => format!("{:02}", t.day()),
            "03" => format!("{hour12:02}"),
            "04" => format!("{:02}", t.minute()),
            "05" => format!("{:02}", t.second()),
            "06" => format!("{:02}", t.year().rem_euclid(100)),
            "15" => format!("{:02}", t.hour()),
            "PM" => if t.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            "pm" => if t.hour() < 12 { "am" } else { "pm" }.to_owned(),
            "_2" => format!("{:2}", t.day()),
            "1" => t.month().to_string(),
            "2" => t.day().to_string(),
            "3" => hour12.to_string(),
            "4" => t.minute().to_string(),
            _ => t.second().to_string(),
        });
    }
    out
}

/// Go's methods of a duration that take no arguments.
pub(super) fn duration_field(ns: i64, name: &str) -> Option<Value> {
    Some(match name {
        "Hours" => Value::Float(ns as f64 / 3.6e12),
        "Minutes" => Value::Float(ns as f64 / 6e10),
        "Seconds" => Value::Float(ns as f64 / 1e9),
        "Milliseconds" => Value::Int(ns / 1_000_000),
        "Microseconds" => Value::Int(ns / 1_000),
        "Nanoseconds" => Value::Int(ns),
        "String" => Value::text(go_duration(ns)),
        _ => return None,
    })
}
