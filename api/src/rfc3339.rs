//! Times as the API writes them.

/// Milliseconds since the epoch as RFC 3339 in UTC; Go's zero time when it is out of range.
pub fn rfc3339(t_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(t_ms)
        .map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}
