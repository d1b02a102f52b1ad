//! The mailbox that sends: its limits, and what happens when it refuses all mails.

mod breaker;
mod limits;
mod permits;
mod shut;

use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::{
    functions_host::{FunctionsHost, Storage, encode_base64},
    tenant::{Person, SendDenial, Tenant, samples::SENDER},
};
use uuid::Uuid;

use crate::helpers::{PASS_PATH, TestApp, time};

/// A tenant with so many joiners, who start in five days and on the days after.
fn tenant(joiners: usize) -> (Tenant, Vec<Uuid>) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    let first = time("2026-11-27T00:00:00Z");
    let joiner = |n: usize| {
        Person::named(&format!("Joiner {n}"))
            .hire_date(first + TimeDelta::days((n * 3 / joiners) as i64))
            .usage_location("GB")
            .private_mail(&format!("joiner{n}@mail.example"))
    };
    let joiners = (0..joiners).map(|n| tenant.add(joiner(n))).collect();
    (tenant, joiners)
}

/// A function app on this tenant that runs no sweep by itself.
fn host(app: &TestApp) -> (FunctionsHost, Storage) {
    let storage = Storage::new(app.sandbox.clock());
    (app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 5 31 12 *")]), storage)
}

fn put(storage: &Storage, message: String) {
    storage.put("pass-jobs", encode_base64(&message)).unwrap();
}

/// When mails were accepted.
fn accepted(app: &TestApp) -> Vec<DateTime<Utc>> {
    app.sandbox.mails().iter().map(|mail| mail.at).collect()
}

/// The most mails in any 60 seconds.
fn most_in_a_minute(times: &[DateTime<Utc>]) -> usize {
    let since = |end: &DateTime<Utc>| {
        times.iter().filter(|at| *at <= end && *end - **at < TimeDelta::minutes(1)).count()
    };
    times.iter().map(since).max().unwrap_or_default()
}

/// How often the mailbox answered with this status.
fn answers(app: &TestApp, status: u16) -> usize {
    app.sandbox.requests().iter().filter(|r| r.url.contains("sendMail") && r.status == Some(status)).count()
}

/// The app may not send from the mailbox any more.
fn shut(app: &TestApp) {
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
}

/// It may again.
fn reopen(app: &TestApp) {
    app.sandbox.edit(|tenant| tenant.send_denied = None);
}

/// How many passes were made.
fn minted(app: &TestApp) -> usize {
    app.count_requests("POST", PASS_PATH)
}
