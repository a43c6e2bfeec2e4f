//! Bodies on their way through: streamed frame by frame, never collected.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use synod_routing::is_trailer_allowed;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::counters::Held;
use crate::link::Link;
use crate::pool::Lease;

/// What an error of a body is, in any direction.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body on its way to an endpoint.
pub(crate) struct RequestBody {
    inner: Option<Incoming>,
    progress: Arc<AtomicU8>,
}

/// How far a request's body was sent.
#[derive(Clone)]
pub(crate) struct Progress(Option<Arc<AtomicU8>>);

const UNTOUCHED: u8 = 0;
const BEGUN: u8 = 1;
const ENDED: u8 = 2;

impl RequestBody {
    /// The body, and how to see how far it was sent.
    pub(crate) fn new(incoming: Incoming) -> (Self, Progress) {
        if incoming.is_end_stream() {
            return (Self::empty(), Progress(None));
        }
        let progress = Arc::new(AtomicU8::new(UNTOUCHED));
        let shared = Progress(Some(progress.clone()));
        (Self { inner: Some(incoming), progress }, shared)
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self { inner: None, progress: EMPTY.with(Arc::clone) }
    }
}

thread_local! {
    /// Nobody looks at the progress of what is empty, so all share one.
    static EMPTY: Arc<AtomicU8> = Arc::new(AtomicU8::new(ENDED));
}

impl Progress {
    /// Whether there is no body at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether all of it was handed over. Only then can its connection serve another request.
    pub(crate) fn is_ended(&self) -> bool {
        self.0.as_ref().is_none_or(|progress| progress.load(Ordering::Acquire) == ENDED)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        let is_end = frame.is_none() || inner.is_end_stream();
        this.progress.store(if is_end { ENDED } else { BEGUN }, Ordering::Release);
        Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// An answer's body on its way to the client.
pub(crate) enum ResponseBody {
    /// Made here.
    Own(Option<Bytes>),
    /// An endpoint's.
    Upstream(Upstream),
}

/// An endpoint's body, with what must live as long as it does.
pub(crate) struct Upstream {
    inner: Incoming,
    /// Goes back to the pool when the body has ended, and is closed when it is dropped before.
    lease: Option<Lease>,
    progress: Progress,
    deadline: Deadline,
    _in_flight: InFlight,
}

/// When an answer must be complete. Its timer is made when there is something to wait for, which
/// for most answers there never is.
enum Deadline {
    At(Instant),
    Never,
    Timer(Pin<Box<Sleep>>),
}

impl Deadline {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::At(at) = *self {
            *self = Self::Timer(Box::pin(sleep_until(at)));
        }
        match self {
            Self::Timer(timer) => timer.as_mut().poll(cx),
            Self::At(_) | Self::Never => Poll::Pending,
        }
    }
}

/// Counts a request as in flight until it is dropped.
pub(crate) struct InFlight {
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) _held: Held,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.finish_request();
        }
    }
}

impl Upstream {
    pub(crate) fn new(
        inner: Incoming,
        lease: Lease,
        progress: Progress,
        deadline: Option<Instant>,
        in_flight: InFlight,
    ) -> Self {
        let deadline = deadline.map_or(Deadline::Never, Deadline::At);
        let mut this =
            Self { inner, lease: Some(lease), progress, deadline, _in_flight: in_flight };
        if this.inner.is_end_stream() {
            this.end();
        }
        this
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.progress.is_ended()
        {
            lease.give_back();
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.inner.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(without_forbidden_trailers(frame))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.deadline.poll_over(cx));
                self.lease = None;
                Poll::Ready(Some(Err("the route's time is over".into())))
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(upstream) => upstream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream(upstream) => upstream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Upstream(upstream) => upstream.inner.size_hint(),
        }
    }
}

fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(trailers) if trailers.keys().all(|name| is_trailer_allowed(name.as_str())) => {
            Frame::trailers(trailers)
        }
        Ok(trailers) => {
            let mut kept = HeaderMap::with_capacity(trailers.len());
            for (name, value) in &trailers {
                if is_trailer_allowed(name.as_str()) {
                    kept.append(name, value.clone());
                }
            }
            Frame::trailers(kept)
        }
        Err(frame) => frame,
    }
}
