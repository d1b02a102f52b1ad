//! What every line of an invocation carries: the span `invocation` and its fields.
//!
//! One invocation runs at most one job, so one flat span is enough: what is not known at the start is recorded when it
//! is. No field holds the name or the address of a person.

use tracing::{Span, field::Empty};
use uuid::Uuid;

/// The target of the span, which is on whatever `RUST_LOG` says.
pub(super) const TARGET: &str = "firstpass::invocation";

/// The span of an invocation of `function`. The host names each by an id, and sends `traceparent` only where Application
/// Insights is on.
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

/// How often the message of this invocation has been delivered.
pub(crate) fn set_delivery(count: u32) {
    Span::current().record("delivery", count);
}

/// The queue's id of a message that is not a job yet.
pub fn set_message(id: Uuid) {
    Span::current().record("message_id", tracing::field::display(id));
}

/// The job that this invocation runs, and the object id of its user.
pub(crate) fn set_job(key: &str, user: Uuid) {
    Span::current().record("job", key).record("user", tracing::field::display(user));
}
