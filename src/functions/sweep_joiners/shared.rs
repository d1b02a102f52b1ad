//! Private addresses that several accounts have: a placeholder of HR, or the recruiter's own. Whoever reads that mailbox would
//! collect the codes of all of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::standing::{COUNTED, Mailbox, Standings};
use crate::{
    address::Address,
    app::App,
    graph::users::Candidate,
    ledger::{ConditionName, Purpose, Record, Urgency},
    pass::{
        alert::Alert,
        cap::NAMES_IN_ALERT,
        condition,
        known_addresses::KnownAddresses,
        recipients::{mailbox, private_addresses},
    },
    settings::{Delivery, MailSettings},
};

/// A limit for the document that keeps them: the mailboxes of most people come first.
const MAX_SHARED: usize = 1_000;

/// What a sweep finds of them.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// What jobs have to know, with the mailboxes of several people.
    pub(super) known: KnownAddresses,
    /// Joiners without a pass who have no other address.
    pub(super) unserved: BTreeSet<Uuid>,
    /// Whether a person was told of some.
    pub(super) was_told: bool,
}

/// Counts the addresses of all `candidates`, and those that mails went to, before anyone is queued. `known` are the domains that are
/// known so far.
pub(super) fn find(
    settings: &MailSettings,
    mut known: KnownAddresses,
    candidates: &[Candidate],
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    standings: &Standings,
    now: DateTime<Utc>,
) -> Shared {
    let mut users: Vec<(Mailbox, Uuid)> = Vec::new();
    for user in candidates {
        let addresses = private_addresses(user, settings);
        users.extend(addresses.iter().map(|address| (Mailbox::read(&mailbox(address)), user.id)));
    }
    for (user, standing) in standings.iter() {
        // Whose account was deleted may have another one now.
        let is_deleted = standing.has_cause(Record::DELETED);
        let is_counted = !is_deleted && standing.mailed.is_some_and(|(_, at)| at > now - COUNTED);
        if let Some(mailbox) = standing.mailbox.filter(|_| is_counted) {
            users.push((mailbox, *user));
        }
    }
    users.sort_unstable();
    users.dedup();
    let allowed: Vec<String> = settings.shared_allowed.iter().map(mailbox).collect();
    let of_one = users.chunk_by(|(one, _), (other, _)| one == other);
    let counts = of_one.filter(|users| users.len() > settings.shared_by);
    let mut counts: Vec<(String, usize)> = counts
        .map(|users| (users[0].0.to_string(), users.len()))
        .filter(|(mailbox, _)| !allowed.contains(mailbox))
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    known.shared = counts.into_iter().take(MAX_SHARED).collect();
    let is_joiner: BTreeSet<Uuid> = joiners.iter().map(|(_, user)| *user).collect();
    let has_pass = |user: &Uuid| {
        let pass = standings.get(user).and_then(|standing| standing.pass.as_ref());
        pass.is_some_and(|pass| pass.purpose == Purpose::Joiner && pass.ends_at > now)
    };
    let has_shared_only = |user: &&Candidate| {
        let addresses = private_addresses(user, settings);
        let is_shared = addresses.iter().any(|address| known.shared.contains_key(&mailbox(address)));
        is_shared && !addresses.iter().any(|address| known.is_usable(address, user, settings))
    };
    // Without a private address the code goes to somebody else.
    let unserved = match settings.names_manager_as_recipient() || settings.delivery != Delivery::Mail {
        true => BTreeSet::new(),
        false => candidates
            .iter()
            .filter(|user| is_joiner.contains(&user.id) && !has_pass(&user.id))
            .filter(has_shared_only)
            .map(|user| user.id)
            .collect(),
    };
    Shared { known, unserved, was_told: false }
}

/// Tells a person once a day, as long as somebody gets no pass because of it.
pub(super) async fn report(app: &App, shared: &Shared, candidates: &[Candidate], now: DateTime<Utc>) {
    if shared.unserved.is_empty() {
        if shared.was_told {
            condition::end(&app.services, ConditionName::AddressesShared).await;
        }
        return;
    }
    let settings = &app.services.settings.mail;
    let mut people: BTreeMap<String, (Address, Vec<&Candidate>)> = BTreeMap::new();
    for user in candidates {
        for address in private_addresses(user, settings) {
            let mailbox = mailbox(&address);
            if shared.known.shared.contains_key(&mailbox) {
                people.entry(mailbox).or_insert_with(|| (address, Vec::new())).1.push(user);
            }
        }
    }
    let is_concerned = |user: &&Candidate| shared.unserved.contains(&user.id);
    let who: Vec<String> = people
        .iter()
        .filter(|(_, (_, users))| users.iter().any(is_concerned))
        .map(|(mailbox, (address, users))| {
            let count = shared.known.shared.get(mailbox).copied().unwrap_or_default();
            let concerned = users.iter().filter(|user| is_concerned(user));
            let names: Vec<String> = concerned.take(NAMES_IN_ALERT).map(|user| user.name()).collect();
            format!("{} of {count} people: {}", address.masked(), names.join(", "))
        })
        .collect();
    let alert = Alert {
        kind: "addresses-shared",
        headline: "Joiners share one private address and get no pass".into(),
        who: who.join("; "),
        what_happened: format!(
            "More than {} people have the same private address, so that whoever reads it would have the codes of all of them. \
             {} joiners have no other one and get no pass.",
            settings.shared_by,
            shared.unserved.len()
        ),
        what_to_do: "Put the address of each person into their account: the next sweep serves them. If this mailbox may have \
            the codes of all of them, name it in ADDRESS_SHARED_ALLOWED."
            .into(),
        reference: format!("sweep of {now:.0}"),
    };
    condition::report(&app.services, ConditionName::AddressesShared, Urgency::Now, &alert).await;
}
