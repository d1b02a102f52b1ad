//! The timer trigger: runs on one host only, by its schedule and its retry policy (azure-webjobs-sdk-extensions,
//! `TimerListener.cs`). The forms of the schedule status were observed on the Functions host 4.1037.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Instance,
    function::{Function, Retry, Timer, Trigger},
    log::{Cause, Invocation},
    payload,
    storage::ScheduleStatus,
};

pub(super) async fn listen(host: Arc<Instance>, function: Function, timer: Timer) {
    let run = async {
        host.storage.lock_timer(&function.name, host.id).await;
        run_schedule(&host, &function, &timer).await;
    };
    tokio::select! {
        // Polled first, so that a run that the stop interrupts is still logged.
        biased;
        () = run => {}
        () = host.supervisor.wait_until_stopped() => {}
    }
    host.storage.unlock_timer(&function.name, host.id);
}

async fn run_schedule(host: &Instance, function: &Function, timer: &Timer) {
    let now = host.storage.now();
    let stored = stored_status(host, function, timer);
    let is_missed = stored.is_some_and(|status| status.next < now);
    let Some(next) = timer.schedule.after(now) else { return };
    // The first run sees no time of an update, but what is stored has one.
    let mut status = stored.unwrap_or(ScheduleStatus { last: None, next, updated: None });
    if stored.is_none() {
        save_status(host, function, timer, ScheduleStatus { updated: Some(now), ..status });
    }
    if is_missed || timer.run_on_startup {
        let Some(next) = fire(host, function, timer, status, is_missed, now).await else { return };
        status = next;
    } else {
        status.next = next;
    }
    loop {
        host.storage.clock().sleep_until(status.next - host.timer_early).await;
        // A run that begins early counts as one in time; or else the same occurrence would follow.
        let began = host.storage.now().max(status.next);
        let Some(next) = fire(host, function, timer, status, false, began).await else { return };
        status = next;
    }
}

fn stored_status(host: &Instance, function: &Function, timer: &Timer) -> Option<ScheduleStatus> {
    host.storage.status(&function.name).filter(|_| timer.use_monitor)
}

fn save_status(host: &Instance, function: &Function, timer: &Timer, status: ScheduleStatus) {
    if timer.use_monitor {
        host.storage.set_status(&function.name, status);
    }
}

/// Runs one occurrence with its retries, and advances the schedule, also after a failure. `None` when there is no other
/// occurrence.
async fn fire(
    host: &Instance,
    function: &Function,
    timer: &Timer,
    status: ScheduleStatus,
    is_past_due: bool,
    began: DateTime<Utc>,
) -> Option<ScheduleStatus> {
    let shown = Some(status).filter(|_| timer.use_monitor);
    run(host, function, &Cause::Timer { is_past_due }, shown).await;
    let next = timer.schedule.after(host.storage.now().max(began))?;
    let status = ScheduleStatus { last: Some(began), next, updated: Some(began) };
    save_status(host, function, timer, status);
    Some(status)
}

/// Runs the function until it succeeds or has no retries left, and returns the last attempt.
async fn run(
    host: &Instance,
    function: &Function,
    cause: &Cause,
    status: Option<ScheduleStatus>,
) -> Invocation {
    let mut failure: Option<String> = None;
    let mut attempt = 1;
    loop {
        let retry = function.retry.map(|retry| {
            let most = retry.max_retries.map_or(-1, i64::from);
            payload::retry_context(attempt - 1, most, failure.as_deref())
        });
        let now = host.storage.now();
        let payload = payload::timer(&function.name, &function.input, status, cause, retry, now);
        let (invocation, _) =
            host.invoke(function, &payload).await.into_invocation(function, cause.clone(), attempt);
        host.log.write(invocation.clone());
        failure = invocation.result.as_ref().err().map(ToString::to_string);
        let next_retry = function.retry.filter(|retry| failure.is_some() && may_retry(retry, attempt));
        match next_retry {
            Some(retry) if !host.supervisor.has_stopped() => {
                host.storage.clock().sleep(retry.delay(attempt)).await
            }
            _ => return invocation,
        }
        attempt += 1;
    }
}

fn may_retry(retry: &Retry, attempt: u32) -> bool {
    retry.max_retries.is_none_or(|most| attempt <= most)
}

/// Runs the function with its retries, as `POST /admin/functions/{function}` does. The schedule does not change.
pub(super) async fn run_manually(host: &Instance, function: &Function) -> Result<Invocation, String> {
    let Trigger::Timer(timer) = &function.trigger else {
        return Err(format!("{} is not run by a timer", function.name));
    };
    Ok(run(host, function, &Cause::Admin, stored_status(host, function, timer)).await)
}
