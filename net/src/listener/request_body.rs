//! A request's body with a time by which it must have arrived, so that a client that sends a byte now and then does not
//! hold a connection for ever. Source: `ReadTimeout` of Go's `net/http`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::BoxError;

/// A body that fails once its time is over.
pub struct RequestBody<B> {
    inner: B,
    limit: Duration,
    deadline: Instant,
    /// Made when the body first has to be waited for: most arrive with their head.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// A body that did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive within {0:?} (--web.read-timeout)")]
pub struct BodyTimeout(Duration);

impl<B> RequestBody<B> {
    /// A body whose request's head has just arrived, and which must be complete within `limit`, a time that the clock
    /// can say.
    pub(super) fn new(inner: B, limit: Duration) -> Self {
        Self { inner, limit, deadline: Instant::now() + limit, sleep: None }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            // Pieces that are always there already must not outlive the deadline either.
            let is_late = frame.is_some() && Instant::now() >= this.deadline;
            return Poll::Ready(match frame {
                Some(_) if is_late => Some(Err(BodyTimeout(this.limit).into())),
                frame => frame.map(|frame| frame.map_err(Into::into)),
            });
        }
        let deadline = this.deadline;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().poll(cx).map(|()| Some(Err(BodyTimeout(this.limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    /// Gives a byte every two seconds.
    struct Trickle(Pin<Box<Sleep>>);

    impl Body for Trickle {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            std::task::ready!(self.0.as_mut().poll(cx));
            self.0.as_mut().reset(Instant::now() + Duration::from_secs(2));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_now_and_then_do_not_extend_the_time() {
        let begin = Instant::now();
        let trickle = Trickle(Box::pin(tokio::time::sleep(Duration::from_secs(2))));
        let error = RequestBody::new(trickle, Duration::from_secs(5)).collect().await.err().unwrap();
        assert_eq!(error.to_string(), "the body did not arrive within 5s (--web.read-timeout)");
        assert_eq!(begin.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_time_is_whole() {
        for limit in [Duration::from_secs(1), crate::listener::NEVER] {
            let body = RequestBody::new(Full::new(Bytes::from_static(b"query=1")), limit);
            assert_eq!(body.size_hint().exact(), Some(7));
            assert_eq!(body.collect().await.unwrap().to_bytes(), "query=1");
        }
    }
}
