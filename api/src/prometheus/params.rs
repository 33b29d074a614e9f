//! Request parameters: query string and form body together, and the kinds of values they hold.
//! Source: Prometheus `web/api/v1/api.go`.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use model::Matcher;
use model::parse_float::parse_float;
use model::rfc3339::{UnixTime, parse_rfc3339};
use model::time::parse_duration;

use super::reply::ApiError;
use crate::door::Tenant;

/// Bytes that a form body may have.
const BODY_LIMIT: usize = 10 << 20;

/// Earliest and latest time an open range covers, in milliseconds: Prometheus's own boundary times.
pub const MIN_TIME: i64 = i64::MIN / 1000 * 1000 + 62_135_596_801_000;
/// See [`MIN_TIME`].
pub const MAX_TIME: i64 = i64::MAX / 1000 * 1000 - 62_135_596_801_000 + 999;
const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// The parameters of a request. Those of a form body come before those of the query string.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// From `application/x-www-form-urlencoded` texts, the first one's parameters first.
    pub fn parse<'a>(encoded: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(encoded.into_iter().flat_map(|text| form_urlencoded::parse(text).into_owned()).collect())
    }

    /// The first value of a parameter, "" when it is not given.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of a repeatable parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A required time in milliseconds.
    pub fn time(&self, name: &str) -> Result<i64, ApiError> {
        self.unix_time(name).map(UnixTime::ms)
    }

    /// A required time at which to evaluate, in milliseconds.
    pub fn evaluation_time(&self, name: &str) -> Result<i64, ApiError> {
        self.unix_time(name).map(UnixTime::evaluation_ms)
    }

    fn unix_time(&self, name: &str) -> Result<UnixTime, ApiError> {
        parse_time(self.get(name)).map_err(|e| ApiError::parameter(name, e))
    }

    /// A time in milliseconds, or a default when the parameter is not given.
    pub fn time_or(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        Ok(self.given_time(name)?.map_or(default, UnixTime::ms))
    }

    /// A time at which to evaluate, in milliseconds, or a default when the parameter is not given.
    pub fn evaluation_time_or(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        Ok(self.given_time(name)?.map_or(default, UnixTime::evaluation_ms))
    }

    fn given_time(&self, name: &str) -> Result<Option<UnixTime>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_time(text)
                .map(Some)
                .map_err(|e| ApiError::parameter(name, format!("invalid time value for '{name}': {e}"))),
        }
    }

    /// A required duration in milliseconds; fractions of a millisecond are cut.
    pub fn duration(&self, name: &str) -> Result<i64, ApiError> {
        parse_seconds_or_duration(self.get(name)).map_err(|e| ApiError::parameter(name, e))
    }

    /// A duration in milliseconds when the parameter is given.
    pub fn duration_opt(&self, name: &str) -> Result<Option<i64>, ApiError> {
        if self.get(name).is_empty() { Ok(None) } else { self.duration(name).map(Some) }
    }

    /// `limit`: how many results at most; 0 for all.
    pub fn limit(&self) -> Result<usize, ApiError> {
        match self.get("limit") {
            "" => Ok(0),
            text => match text.parse::<i64>() {
                Ok(n) => {
                    usize::try_from(n).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
                }
                Err(e) => {
                    Err(ApiError::parameter("limit", format!("cannot parse {text:?} as a number: {e}")))
                }
            },
        }
    }

    /// The selectors of `match[]`, each with at least one matcher that the empty string does not satisfy.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]").map(parse_selector).collect::<Result<_, _>>().map_err(ApiError::bad_data)
    }
}

/// Parses a series selector that must not match everything.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, String> {
    let matchers = promql::parse::parse_selector(text).map_err(|e| e.to_string())?;
    if matchers.iter().all(|m| m.matches("")) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(matchers)
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or("").to_owned();
        let is_form =
            parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(is_form);
        let body = match (&parts.method, is_form) {
            (&Method::POST | &Method::PUT, true) => {
                axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|e| {
                    ApiError::bad_data(format!("error parsing form values: {e} (at most {BODY_LIMIT} bytes)"))
                        .into_response()
                })?
            }
            _ => Bytes::new(),
        };
        Ok(Self::parse([&body[..], query.as_bytes()]))
    }
}

/// Whether a content type is a form's, in any case and with any parameters.
fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Users are not told apart yet: every request is the one tenant's.
impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

/// Unix seconds with a fraction, rounded to milliseconds, or RFC 3339.
pub fn parse_time(text: &str) -> Result<UnixTime, String> {
    if let Ok(t) = parse_float(text) {
        return Ok(time_of(t));
    }
    match text {
        MIN_TIME_TEXT => Ok(UnixTime { seconds: MIN_TIME / 1000, nanos: 0 }),
        MAX_TIME_TEXT => Ok(UnixTime { seconds: MAX_TIME / 1000, nanos: 999_999_999 }),
        _ => parse_rfc3339(text).ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp")),
    }
}

/// The time of so many seconds. Seconds that no time has give what Prometheus makes of them on an amd64.
fn time_of(seconds: f64) -> UnixTime {
    // In Go the fraction of an infinity is NaN.
    let fraction = if seconds.is_infinite() { f64::NAN } else { seconds.fract() };
    let nanos = go_integer((fraction * 1000.0).round() / 1000.0 * 1e9);
    UnixTime {
        seconds: go_integer(seconds.trunc()).wrapping_add(nanos.div_euclid(1_000_000_000)),
        nanos: nanos.rem_euclid(1_000_000_000) as u32,
    }
}

/// Seconds as a float, or a duration such as `1h30m`; in milliseconds.
pub fn parse_seconds_or_duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = parse_float(text) {
        let nanos = seconds * 1e9;
        if nanos.abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok(go_integer(nanos) / 1_000_000);
    }
    parse_duration(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

/// A float cut to an integer as an amd64 does it: what does not fit, and NaN, become the smallest.
fn go_integer(v: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&v) { v as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("0", Some(0)),
            ("1.5", Some(1_500)),
            ("-1.5", Some(-1_500)),
            ("1435781451.7814", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            (MIN_TIME_TEXT, Some(MIN_TIME)),
            (MAX_TIME_TEXT, Some(MAX_TIME)),
            ("", None),
            ("1_0", Some(10_000)),
            ("0x1p4", Some(16_000)),
            ("0.009", Some(9)),
            ("2015-07-01T20:10:51,5Z", Some(1_435_781_451_500)),
            ("now", None),
            ("2015-07-01", None),
        ] {
            assert_eq!(parse_time(text).ok().map(UnixTime::ms), want, "{text}");
        }
        assert_eq!((MIN_TIME, MAX_TIME), (-9_223_309_901_257_974_000, 9_223_309_901_257_974_999));
    }

    /// What Prometheus 3.14 evaluates at, in its answers.
    #[test]
    fn times_that_do_not_exist() {
        for (text, want) in [
            ("Inf", -9_223_372_036_854),
            ("-Inf", -9_223_372_036_854),
            ("NaN", -9_223_372_036_854),
            ("1e300", 0),
            ("9223372036854775", 192),
            ("92233720368547758", 1_920),
            ("0000-01-01T00:00:00Z", -6_826_986_978_871),
            ("9999-02-28T02:10:59Z", -4_878_633_172_933),
            ("1435781451.7814", 1_435_781_451_781),
            ("-1.5", -1_500),
        ] {
            assert_eq!(parse_time(text).map(UnixTime::evaluation_ms), Ok(want), "{text}");
        }
        assert!(parse_seconds_or_duration("NaN").is_ok_and(|ms| ms < 0));
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("15", Some(15_000)),
            ("0.25", Some(250)),
            ("5m", Some(300_000)),
            ("-1", Some(-1_000)),
            ("1_0", Some(10_000)),
            ("0x1p4", Some(16_000)),
            ("1e20", None),
            ("Inf", None),
            ("x", None),
        ] {
            assert_eq!(parse_seconds_or_duration(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn content_types_of_forms() {
        for (content_type, want) in [
            ("application/x-www-form-urlencoded", true),
            (" Application/X-WWW-Form-URLencoded ; charset=UTF-8", true),
            ("application/x-www-form-urlencoded-not", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_form(content_type), want, "{content_type}");
        }
    }

    #[test]
    fn body_comes_before_query_string() {
        let params = Params::parse([&b"query=a&match[]=x"[..], b"query=b&match%5B%5D=y%2B&limit=-1"]);
        assert_eq!(params.get("query"), "a");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "y+"]);
        assert!(params.limit().is_err());
    }
}
