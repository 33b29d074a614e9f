//! Reading a body under a size limit.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use wire::compress::{Gunzip, InflateError};

use super::HttpError;

/// Appends the body to `out`, inflated if `gzip`. At `limit` bytes it stops with an error; as in Prometheus a body of
/// exactly that size is too large.
pub(super) async fn read(
    mut body: Incoming,
    gzip: bool,
    limit: u64,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, HttpError> {
    if gzip {
        let mut gunzip = Gunzip::new(out, limit);
        while let Some(piece) = next(&mut body).await? {
            gunzip.push(&piece).map_err(explain)?;
        }
        return gunzip.finish().map_err(explain);
    }
    let mut left = limit;
    while let Some(piece) = next(&mut body).await? {
        left =
            left.checked_sub(piece.len() as u64).filter(|left| *left > 0).ok_or(HttpError::BodyTooLarge)?;
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

async fn next(body: &mut Incoming) -> Result<Option<bytes::Bytes>, HttpError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(HttpError::from_hyper(&error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn explain(error: InflateError) -> HttpError {
    match error {
        InflateError::TooLarge => HttpError::BodyTooLarge,
        InflateError::Corrupt(reason) => HttpError::Body(reason),
    }
}
