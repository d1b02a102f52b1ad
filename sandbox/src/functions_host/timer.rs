//! The timer trigger: runs on one host only, by its schedule and its retry policy (azure-webjobs-sdk-extensions,
//! `TimerListener.cs`).

use std::sync::Arc;

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
    let missed =
        host.storage.status(&function.name).is_some_and(|status| timer.use_monitor && status.next < now);
    if missed || timer.run_on_startup {
        fire(host, function, timer, missed).await;
    }
    while let Some(next) = timer.schedule.after(host.storage.now()) {
        let last = host.storage.status(&function.name).and_then(|status| status.last);
        save_status(host, function, timer, ScheduleStatus { last, next, updated: host.storage.now() });
        host.storage.clock().sleep_until(next).await;
        fire(host, function, timer, false).await;
    }
}

fn save_status(host: &Instance, function: &Function, timer: &Timer, status: ScheduleStatus) {
    if timer.use_monitor {
        host.storage.set_status(&function.name, status);
    }
}

/// Runs one occurrence with its retries. A failure advances the schedule too.
async fn fire(host: &Instance, function: &Function, timer: &Timer, is_past_due: bool) {
    let began = host.storage.now();
    let status = host.storage.status(&function.name).filter(|_| timer.use_monitor);
    let mut failed: Option<String> = None;
    for attempt in 1.. {
        let now = host.storage.now();
        let mut payload = payload::timer(&function.name, &function.input, status, is_past_due, now);
        if let (Some(exception), Some(retry)) = (&failed, function.retry) {
            let max = retry.max_retries.map_or(-1, i64::from);
            payload["Metadata"]["RetryContext"] = payload::retry_context(attempt - 1, max, exception);
        }
        let ran = host.invoke(function, &payload).await;
        failed = ran.result.as_ref().err().map(ToString::to_string);
        let (invocation, _) = ran.into_invocation(function, Cause::Timer { is_past_due }, attempt);
        host.log.write(invocation);
        let next_retry = function.retry.filter(|retry| failed.is_some() && may_retry(retry, attempt));
        match next_retry {
            Some(retry) if !host.supervisor.has_stopped() => {
                host.storage.clock().sleep(retry.delay(attempt)).await
            }
            _ => break,
        }
    }
    if let Some(next) = timer.schedule.after(host.storage.now()) {
        save_status(
            host,
            function,
            timer,
            ScheduleStatus { last: Some(began), next, updated: host.storage.now() },
        );
    }
}

fn may_retry(retry: &Retry, attempt: u32) -> bool {
    retry.max_retries.is_none_or(|most| attempt <= most)
}

/// Runs the function as `POST /admin/functions/{function}` does.
pub(super) async fn run_manually(host: &Instance, function: &Function) -> Result<Invocation, String> {
    let Trigger::Timer(timer) = &function.trigger else {
        return Err(format!("{} is not run by a timer", function.name));
    };
    let status = host.storage.status(&function.name).filter(|_| timer.use_monitor);
    let payload = payload::timer(&function.name, &function.input, status, false, host.storage.now());
    let ran = host.invoke(function, &payload).await;
    let (invocation, _) = ran.into_invocation(function, Cause::Admin, 1);
    host.log.write(invocation.clone());
    Ok(invocation)
}
