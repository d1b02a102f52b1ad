//! The processing of one call: token check, selected fault, latency, and the call itself.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use tokio::time::sleep;

use super::{
    Sandbox, calls,
    faults::{FaultKind, SelectedFault},
    mailbox_slot::MailboxSlot,
    route::Route,
    webhooks,
    wire::{CallResult, ConnectionFault, ErrorResponse, GraphCall, GraphResponse},
};

/// Processes one call, alone or as a part of a batch.
pub(super) async fn dispatch(
    sandbox: &Sandbox,
    call: &GraphCall,
    fault: Option<SelectedFault>,
) -> GraphResponse {
    let (fault, replica) = fault.map(|selected| (selected.kind, selected.replica)).unzip();
    let replica = replica.flatten().filter(|_| call.method == Method::GET);
    let effect = async {
        let now = sandbox.now();
        let mut state = sandbox.lock();
        if call.is_webhook() {
            return webhooks::receive(&mut state.webhooks, now, call);
        }
        let current = replica.map(|replica| replica.swap_into(&mut state.tenant));
        let mut response = calls::handle(&mut state, now, call);
        if let (Ok(GraphResponse { body: Some(body), .. }), Some(null)) =
            (&mut response, &state.tenant.null_property)
            && let Ok(route) = Route::parse(call)
        {
            null.apply(route.declared_type(), body);
        }
        if let Some(current) = current {
            current.restore(&mut state.tenant);
        }
        state.publish_changes(now);
        response
    };
    apply_fault(sandbox, call, fault, effect).await
}

/// Runs `effect` with the fault that was selected for the call.
pub(super) async fn apply_fault(
    sandbox: &Sandbox,
    call: &GraphCall,
    fault: Option<FaultKind>,
    effect: impl Future<Output = CallResult>,
) -> GraphResponse {
    let ids = sandbox.request_ids(&call.headers);
    let result = execute(sandbox, call, fault.as_ref(), effect).await;
    let mut response = result.unwrap_or_else(|error| error.into_graph_response(sandbox.now(), &ids));
    response.ids = Some(ids);
    match fault {
        Some(FaultKind::DelayAfter(wait)) => sleep(wait).await,
        Some(FaultKind::LoseAnswer) => response.connection_fault = Some(ConnectionFault::Lost),
        Some(FaultKind::FailAfter { status }) => {
            let ids = sandbox.request_ids(&call.headers);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let error = ErrorResponse::new(status, "UnknownError", "");
            response = error.into_graph_response(sandbox.now(), &ids);
        }
        _ => {}
    }
    response
}

async fn execute(
    sandbox: &Sandbox,
    call: &GraphCall,
    fault: Option<&FaultKind>,
    effect: impl Future<Output = CallResult>,
) -> CallResult {
    if let Some(error) = fault.and_then(FaultKind::as_error) {
        return Err(error);
    }
    let _slot = if call.is_webhook() {
        None
    } else {
        call.check_bearer()?;
        // The slot is held during the latency: slow requests fill a mailbox.
        MailboxSlot::take(sandbox, call)?
    };
    let latency = sandbox.lock().tenant.latency;
    let delay = match fault {
        Some(FaultKind::Delay(wait)) => *wait,
        _ => Duration::ZERO,
    };
    if call.is_batch() {
        // Its parts have the latency at the same time: together they are one round trip.
        pause(delay).await;
        return tokio::join!(effect, pause(latency)).0;
    }
    pause(latency + delay).await;
    effect.await
}

/// Sleeps; for no time it does not even yield.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
