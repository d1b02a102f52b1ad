//! The digest: what happened since the last one, and who starts in the next 14 days.
//!
//! It reads what the ledger lists, the records that changed, and who starts, as the examination does. It changes nothing but when the
//! last one was sent. That is recorded before it is sent, so that it never comes twice; if its answer is lost, it is not repeated.

mod lists;

use std::{collections::BTreeMap, error::Error, pin::pin};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use self::lists::{Entry, Lists, has_changed};
use crate::{
    app::App,
    budget,
    doctor::people::{People, Starting},
    graph::{Names, OutgoingMail},
    ledger::{ETag, LedgerError, Record, Standing},
    mail::{DigestMail, DigestPerson, LISTED},
    mail_limiter::Content,
    pass::{
        Services,
        alert::{Alert, Sent},
        digest_due, ledger_tenant,
    },
};

/// The records that are read for one digest: those that changed last.
const RECORDS: usize = 2_000;
/// The records that are read at the same time.
const AT_ONCE: usize = 16;
/// How many of a list a card names: it has room for some.
const ON_CARD: usize = 10;

/// Sends the digest, if it is due and there is something to say. Returns what became of it, for the log.
///
/// # Errors
/// When the ledger is that of another tenant, or does not list the records. The next sweep asks for the digest again.
pub(crate) async fn run(app: &App) -> Result<&'static str, LedgerError> {
    let services = &app.services;
    ledger_tenant::check(services).await?;
    let Some(since) = digest_due::is_due(services).await else { return Ok("no digest is due") };
    let until = services.clock.now();
    let people = async {
        let read = timeout(budget::EXAMINED_PEOPLE, People::read(app, true)).await;
        read.unwrap_or_else(|_| People::unread("they could not be read in time".into()))
    };
    let (read, people) = tokio::join!(read(services, since), people);
    let (mut lists, left_out) = read?;
    if let Some(why) = people.why_unread() {
        tracing::warn!(
            event = "digest.without_starts",
            why,
            "The digest does not say who starts in the next days"
        );
    }
    let starting = people.starting(&services.settings);
    let is_empty = lists.is_empty() && left_out == 0 && starting.is_empty();
    let digest = mail(services, &mut lists, starting, left_out, since).await;
    send(services, &digest, is_empty, until).await
}

/// Reads the records that changed since then, and how many of them are left out.
async fn read(services: &Services, since: DateTime<Utc>) -> Result<(Lists, usize), LedgerError> {
    let now = services.clock.now();
    let mut changed = Vec::new();
    let mut keep = |user: Uuid, standing: Standing| {
        if has_changed(&standing, since) {
            changed.push((standing.changed_at, user));
        }
    };
    let listing = timeout(budget::LEDGER_LISTING, services.ledger.standings(&mut keep)).await;
    listing.unwrap_or_else(|_| Err(LedgerError::Unavailable("no answer in time".into())))?;
    let total = changed.len();
    changed.sort_unstable_by(|one, other| other.cmp(one));
    changed.truncate(RECORDS);
    let deadline = Instant::now() + budget::DIGEST_RECORDS;
    let reads: Vec<_> = changed.into_iter().map(|(_, user)| read_one(services, user)).collect();
    let reads = stream::iter(reads).buffer_unordered(AT_ONCE).take_until(sleep_until(deadline));
    let mut reads = pin!(reads);
    let (mut lists, mut told) = (Lists::default(), 0);
    while let Some((user, read)) = reads.next().await {
        match read {
            Ok(Some((record, _))) => lists.add(user, &record.seen_at(now), since),
            Ok(None) => {}
            Err(LedgerError::Unreadable(_)) => lists.add_unreadable(user),
            Err(_) => continue,
        }
        told += 1;
    }
    for list in lists.all_mut() {
        list.sort_unstable_by_key(|entry| (entry.day.is_none(), entry.day, entry.user));
    }
    Ok((lists, total - told))
}

async fn read_one(services: &Services, user: Uuid) -> (Uuid, Result<Option<(Record, ETag)>, LedgerError>) {
    (user, services.ledger.read(user).await)
}

/// The digest, with the names of those whom a mail names.
async fn mail(
    services: &Services,
    lists: &mut Lists,
    starting: Vec<Starting>,
    left_out: usize,
    since: DateTime<Utc>,
) -> DigestMail {
    let zone = services.settings.pass.time_zone;
    let (defective, fine): (Vec<Starting>, Vec<Starting>) =
        starting.into_iter().partition(|joiner| !joiner.missing.is_empty());
    let entry = |joiner: Starting| Entry {
        user: joiner.user,
        day: Some(joiner.day),
        why: Some(joiner.missing.join("; ")).filter(|missing| !missing.is_empty()),
    };
    let due: Vec<Entry> = fine.into_iter().map(entry).collect();
    let due_defects: Vec<Entry> = defective.into_iter().map(entry).collect();
    let mut named: Vec<Uuid> = Vec::new();
    for list in lists.all_mut().into_iter().map(|list| &*list).chain([&due, &due_defects]) {
        named.extend(list.iter().take(LISTED).map(|entry| entry.user));
    }
    named.sort_unstable();
    named.dedup();
    // Without them it has object ids.
    let read = timeout(budget::DIGEST_NAMES, services.graph.names(&named)).await;
    let names: BTreeMap<Uuid, Names> = read.ok().and_then(Result::ok).unwrap_or_default();
    let people = |list: &[Entry]| -> Vec<DigestPerson> {
        let person = |Entry { user, day, why }: &Entry| {
            let name = names
                .get(user)
                .and_then(|names| names.display_name.clone().or_else(|| names.user_principal_name.clone()));
            DigestPerson { name: name.unwrap_or_else(|| user.to_string()), day: *day, why: why.clone() }
        };
        list.iter().map(person).collect()
    };
    DigestMail {
        from: since.with_timezone(&zone).date_naive(),
        until: services.clock.now().with_timezone(&zone).date_naive(),
        mailed: people(&lists.mailed),
        arrived: people(&lists.arrived),
        known: lists.known,
        strong: lists.strong,
        weak: people(&lists.weak),
        blocked: people(&lists.blocked),
        moved: people(&lists.moved),
        revoked: people(&lists.revoked),
        due: people(&due),
        due_defects: people(&due_defects),
        left_out,
    }
}

/// Claims the period, and sends the digest by mail and to the webhook. What is not ready to be sent is not claimed: the next sweep asks
/// again.
async fn send(
    services: &Services,
    digest: &DigestMail,
    is_empty: bool,
    until: DateTime<Utc>,
) -> Result<&'static str, LedgerError> {
    const CLAIMED: &str = "another process sends the digest, or the ledger does not say that this one does";
    if is_empty {
        return Ok(if digest_due::claim(services, until).await {
            "there is nothing to say"
        } else {
            CLAIMED
        });
    }
    let from = &services.settings.mail.from;
    let content = match services.mailer.digest(digest) {
        Ok(content) => content,
        Err(error) => {
            report_unsent(&error);
            return Ok("its template is broken");
        }
    };
    let mut permit = None;
    if services.mails_alerts() {
        // The mailbox that sends refuses all mails, or has no time.
        let by = Instant::now() + budget::NOTE_PERMIT;
        let is_shut = services.mailbox_is_shut();
        permit = if is_shut { None } else { services.mail_permit(from, Content::Note, 1, by).await };
        if permit.is_none() {
            return Ok("the mailbox takes no mail now");
        }
    }
    if !digest_due::claim(services, until).await {
        return Ok(CLAIMED);
    }
    let deadline = Instant::now() + budget::ALERT;
    let card = card(digest, &content.subject);
    let mailing = async {
        let Some(permit) = &mut permit else { return false };
        let to = services.settings.mail.alert_to.clone();
        let message = OutgoingMail { to, cc: Vec::new(), content };
        let sent = services.send_mail_to_valid(permit, message, deadline).await;
        sent.map_err(|error| report_unsent(&error)).is_ok()
    };
    let (mailed, posted) = tokio::join!(mailing, services.post_alert(&card, deadline));
    tracing::info!(
        event = "digest.sent",
        mailed,
        posted = posted == Sent::Yes,
        passes = digest.mailed.len(),
        arrived = digest.arrived.len(),
        blocked = digest.blocked.len(),
        due = digest.due.len() + digest.due_defects.len(),
        left_out = digest.left_out,
        "The digest of the time since the last one was sent"
    );
    Ok("the digest was sent")
}

fn report_unsent(error: &(dyn Error + 'static)) {
    tracing::warn!(
        event = "digest.mail_failed",
        error,
        "The digest did not go out by mail for certain, and is not repeated"
    );
}

/// The digest as a card, in English.
fn card(digest: &DigestMail, subject: &str) -> Alert {
    let DigestMail { from, until, mailed, arrived, known, strong, .. } = digest;
    let mut lines = vec![
        format!("Sent a pass: {}", mailed.len()),
        format!("Signed in for the first time: {}", arrived.len()),
    ];
    if *known > 0 {
        lines.push(format!("Phishing-resistant on day one: {strong} of {known}"));
    }
    for (title, people) in [
        ("Need a person", &digest.blocked),
        ("Start within 14 days, and something is missing", &digest.due_defects),
        ("Signed in, with a password or a phone only", &digest.weak),
        ("The first day has moved", &digest.moved),
        ("The pass was taken back", &digest.revoked),
        ("Start within 14 days", &digest.due),
    ] {
        if people.is_empty() {
            continue;
        }
        lines.push(format!("{title}: {}", people.len()));
        lines.extend(people.iter().take(ON_CARD).map(line));
        if people.len() > ON_CARD {
            lines.push(format!("- and {} more", people.len() - ON_CARD));
        }
    }
    if digest.left_out > 0 {
        lines.push(format!(
            "Of {} more people the records were not read: firstpass status shows them",
            digest.left_out
        ));
    }
    Alert {
        kind: "digest",
        headline: String::from(subject.trim()),
        who: format!("joiners from {from} to {until}"),
        what_happened: lines.join("\n"),
        what_to_do: String::new(),
        reference: "event=digest.sent".to_owned(),
    }
}

fn line(DigestPerson { name, day, why }: &DigestPerson) -> String {
    let day = day.map(|day| format!(", {}", day.format("%-d %b %Y"))).unwrap_or_default();
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("- {name}{day}{why}")
}
