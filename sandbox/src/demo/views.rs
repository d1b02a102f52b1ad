//! The page's data as one JSON document, without any code.

use chrono::{DateTime, Days, TimeDelta, Utc};
use firstpass::{pass::day_one::day_one, zone::Tz};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    history::{Event, EventDetail, Invocation, PassCreator, PassRecord, Removal},
    report::is_alert,
    setup::Setup,
    sweep::next_sweep,
};
use crate::tenant::{
    Fault, FaultKind, Mail, Person, Tenant,
    samples::{ON_DEMAND_GROUP, midnight},
};

pub(super) fn state(setup: &Setup) -> Value {
    let (sandbox, now) = (&setup.sandbox, setup.sandbox.now());
    let people: Vec<Person> = sandbox.edit(|tenant| {
        let users = tenant.users.values();
        users.filter(|person| !tenant.mailboxes.contains(&person.id)).cloned().collect()
    });
    let codes: Vec<String> = sandbox.codes().iter().map(|code| escaped(code)).collect();
    let mails: Vec<Value> = sandbox.mails().iter().map(|mail| mail_view(mail, &people, &codes)).collect();
    let people: Vec<Value> =
        sandbox.edit(|tenant| people.iter().map(|person| person_view(setup, tenant, person)).collect());
    let history = setup.history();
    json!({
        "company": setup.settings.mail.company,
        "version": env!("CARGO_PKG_VERSION"),
        "now": now,
        "nextSweep": next_sweep(now),
        "people": people,
        "mails": mails,
        "passes": history.passes.iter().map(|record| pass_view(setup, record)).collect::<Value>(),
        "events": history.events.iter().map(event_view).collect::<Value>(),
        "invocations": history.invocations.iter().map(invocation_view).collect::<Value>(),
        "requests": sandbox.requests(),
        "faults": sandbox.armed_faults().iter().map(fault_view).collect::<Value>(),
    })
}

fn person_view(setup: &Setup, tenant: &Tenant, person: &Person) -> Value {
    let zone = zone(setup, person);
    let rule = setup.settings.pass.hire_date_zone;
    let day = person.hire_date.map(|stamp| day_one(stamp, rule, setup.settings.pass.zone(person.place())));
    let on_demand = tenant.find_group(ON_DEMAND_GROUP).map(|group| group.id);
    let is_member = |group| tenant.members(group, setup.sandbox.now()).contains(&person.id);
    json!({
        "id": person.id,
        "name": person.display_name,
        "user": person.user_principal_name,
        "zone": zone.name(),
        "enabled": person.enabled,
        "onDemand": on_demand.is_some_and(is_member),
        "case": tenant.notes.get(&person.id),
        "dayOne": day.map(|day| json!({
            "date": day,
            "from": midnight(day, zone),
            "to": midnight(day.checked_add_days(Days::new(1)).unwrap_or(day), zone),
        })),
    })
}

fn zone(setup: &Setup, person: &Person) -> Tz {
    setup.settings.pass.zone(person.place()).zone
}

fn mail_view(mail: &Mail, people: &[Person], codes: &[String]) -> Value {
    let kind = if is_alert(&mail.message) {
        "alert"
    } else if codes.iter().any(|code| mail.content().contains(code)) {
        "pass"
    } else {
        "note"
    };
    let user = people.iter().find(|person| is_about(mail, person)).map(|person| person.id);
    json!({
        "at": mail.at,
        "kind": kind,
        "user": user,
        "from": mail.from,
        "to": mail.to(),
        "cc": mail.cc(),
        "subject": mail.subject(),
        "language": language(mail),
    })
}

/// The value of the mail's `lang` attribute.
fn language(mail: &Mail) -> Option<&str> {
    let (_, rest) = mail.content().split_once("<html lang=\"")?;
    rest.split_once('"').map(|(language, _)| language)
}

/// Whether a mail concerns the user: all but those to a manager contain the sign-in name.
fn is_about(mail: &Mail, person: &Person) -> bool {
    mail.content().contains(&escaped(&person.user_principal_name))
}

/// The text as mails show it.
pub(super) fn escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}

fn pass_view(setup: &Setup, record: &PassRecord) -> Value {
    let (pass, now) = (&record.pass, setup.sandbox.now());
    let zone = setup.sandbox.edit(|tenant| tenant.users.get(&pass.user).map(|person| zone(setup, person)));
    // The local time marked as UTC, so that the browser does not convert it.
    let local = |at: DateTime<Utc>| at.with_timezone(&zone.unwrap_or(Tz::UTC)).naive_local().and_utc();
    // As the mail tells them.
    let opens_at = pass.opens_by();
    let closes_at = opens_at + TimeDelta::minutes(pass.lifetime_minutes);
    let state = match (record.removal, pass.usability(now)) {
        (Some(Removal::Deleted), _) => "deleted",
        (Some(Removal::Replaced), _) => "replaced",
        (None, "EnabledByPolicy") => "works",
        (None, "NotYetValid") => "later",
        (None, "OneTimeUsed") => "used",
        (None, "Expired") => "expired",
        (None, _) => "disabled",
    };
    json!({
        "id": pass.id,
        "user": pass.user,
        "madeAt": pass.created_at,
        "opensAt": opens_at,
        "closesAt": closes_at,
        "opensLocal": local(opens_at),
        "closesLocal": local(closes_at),
        "oneTime": pass.one_time,
        "used": pass.used,
        "state": state,
        "by": match record.creator { PassCreator::Firstpass => "firstpass", PassCreator::Helpdesk => "helpdesk" },
    })
}

fn event_view(event: &Event) -> Value {
    let lines = event.lines.iter().map(|line| match line {
        EventDetail::Note(text) => json!({"note": text}),
        EventDetail::Job(row) => json!({"user": row.id, "outcome": row.outcome, "why": row.reason}),
    });
    json!({"at": event.at, "title": event.title, "user": event.user, "lines": lines.collect::<Value>()})
}

fn invocation_view(invocation: &Invocation) -> Value {
    // The log line has the form "reason/user/…: outcome: details", or is a sentence.
    let (key, message) = invocation.log.split_once(": ").unwrap_or(("", &invocation.log));
    let user: Option<Uuid> = key.split('/').nth(1).and_then(|id| id.parse().ok());
    json!({
        "at": invocation.at,
        "function": invocation.function,
        "delivery": invocation.delivery,
        "status": invocation.status,
        "user": user,
        "reason": user.and(key.split('/').next()),
        "said": if user.is_some() { message } else { &invocation.log },
        "first": invocation.requests.start,
        "end": invocation.requests.end,
    })
}

fn fault_view(fault: &Fault) -> String {
    let what = match &fault.kind {
        FaultKind::Throttle { .. } => "will be throttled".to_owned(),
        FaultKind::Unavailable { .. } => "is not available".to_owned(),
        FaultKind::LoseAnswer => "will lose its answer".to_owned(),
        other => format!("meets {other:?}"),
    };
    match fault.path_contains.as_str() {
        "sendMail" => format!("The next mail {what}"),
        "temporaryAccessPassMethods" => format!("The next request for a pass {what}"),
        path => format!("A request with {path:?} {what}"),
    }
}
