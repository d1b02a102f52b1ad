//! A body without a Content-Length: HTTP/1.1 sends it chunked, as the host sends its requests and its answers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;

/// A body of one chunk.
#[derive(Debug)]
pub(super) struct UnsizedBody {
    chunk: Option<Bytes>,
    /// The head of the message is sent before the body ends.
    is_late: bool,
}

impl UnsizedBody {
    pub(super) fn new(text: String) -> Self {
        Self { chunk: Some(text).filter(|text| !text.is_empty()).map(Bytes::from), is_late: false }
    }

    pub(super) fn body(text: String) -> Body {
        Body::new(Self::new(text))
    }

    /// No body where the head promises one: the receiver gets the head, and the end of the connection.
    pub(super) fn cut_off() -> Body {
        Body::new(Self { chunk: None, is_late: true })
    }
}

impl HttpBody for UnsizedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.is_late) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.chunk.take().map(|chunk| Ok(Frame::data(chunk))))
    }
}
