//! The span `invocation`, whose fields are in every line of an invocation.
//!
//! An invocation runs at most one job, so one span is enough: fields are recorded as soon as they are known. No field
//! has a person's name or address.

use tracing::{Span, field::Empty};
use uuid::Uuid;

/// The target of the span, which is enabled at every `RUST_LOG`.
pub(super) const TARGET: &str = "firstpass::invocation";

/// The span of an invocation of `function`. The host gives each an id; it sends `traceparent` only if Application
/// Insights is enabled.
pub fn invocation(id: Option<&str>, function: &str, traceparent: Option<&str>) -> Span {
    tracing::error_span!(
        target: TARGET,
        "invocation",
        invocation_id = id,
        function,
        traceparent,
        delivery = Empty,
        message_id = Empty,
        job = Empty,
        user = Empty,
    )
}

/// Sets the number of deliveries of this invocation's message.
pub(crate) fn set_delivery(count: u32) {
    Span::current().record("delivery", count);
}

/// Sets the queue's id of a message that is not a job.
pub fn set_message(id: Uuid) {
    Span::current().record("message_id", tracing::field::display(id));
}

/// Sets the job of this invocation and the object id of its user.
pub(crate) fn set_job(key: &str, user: Uuid) {
    Span::current().record("job", key).record("user", tracing::field::display(user));
}
