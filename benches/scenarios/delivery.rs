//! An intake: from the sweep that queues all joiners to the last accepted mail.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    figures::{Kind, Row},
    world::{Setup, World, address, tenant},
};

/// After this a joiner without a mail is lost.
const LIMIT: TimeDelta = TimeDelta::hours(48);
/// Of Exchange's mailboxes.
const MAILS_PER_MINUTE: f64 = 30.0;
/// In five days.
const DAY_ONE: &str = "2026-11-27";

/// The parameters of one intake.
#[derive(Clone, Copy, Debug)]
pub struct Intake {
    /// How many start.
    pub joiners: usize,
    /// The instances of the queue's function.
    pub instances: usize,
    /// The messages that each processes at a time.
    pub workers: usize,
    /// Whether the mailbox sends as many mails as it is asked to, and not Exchange's 30 a minute.
    pub unlimited: bool,
    /// How long it takes for one, in milliseconds.
    pub mail_millis: u64,
    /// Whether managers get a note of each code.
    pub notes: bool,
}

impl Default for Intake {
    fn default() -> Self {
        Self { joiners: 500, instances: 1, workers: 6, unlimited: false, mail_millis: 600, notes: false }
    }
}

/// When each joiner's first mail was accepted, and whether all is as it should be.
#[derive(Debug, Default)]
struct Deliveries {
    first: Vec<DateTime<Utc>>,
    mails: usize,
    notes: usize,
    last_note: Option<DateTime<Utc>>,
    wasted: usize,
    lost: usize,
    doubled: usize,
}

impl Intake {
    /// Plays it.
    pub async fn run(self, name: &'static str) -> Row {
        let (tenant, people) = tenant(self.joiners, DAY_ONE);
        let mut setup = Setup::new(tenant);
        (setup.instances, setup.workers) = (self.instances, self.workers);
        setup.mail_takes = Duration::from_millis(self.mail_millis);
        setup.settings.push(("MAIL_CC", if self.notes { "manager" } else { "none" }.to_owned()));
        let setup = if self.unlimited { setup.without_limits() } else { setup };
        let world = World::start(setup);
        let has_mail = |world: &World| served(world, self.joiners) == self.joiners;
        world.wait_until(LIMIT, |world| has_mail(world) && world.queue_length() == 0).await;
        self.row(name, &world, &people)
    }

    fn row(self, name: &'static str, world: &World, people: &[Uuid]) -> Row {
        let deliveries = deliveries(world, people);
        let (counts, tally) = (world.traffic.counts(), world.tally());
        let queued = tally.queued_at.unwrap();
        let mut waits: Vec<f64> =
            deliveries.first.iter().map(|at| (*at - queued).num_milliseconds() as f64 / 1000.0).collect();
        waits.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let rank = (waits.len() as f64 * share).ceil() as usize;
            waits.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        let row = Row::new(name)
            .parameter("joiners", self.joiners as f64)
            .parameter("instances", self.instances as f64)
            .parameter("at once", (self.instances * self.workers) as f64)
            .parameter("s a mail", self.mail_millis as f64 / 1000.0)
            .count("failed deliveries", tally.failed)
            .count("passes wasted", deliveries.wasted)
            .count("429s", counts.throttled)
            .count("poisoned", tally.poisoned)
            .count("lost", deliveries.lost)
            .count("doubled", deliveries.doubled)
            .count("mails", deliveries.mails)
            .count("deliveries", tally.deliveries)
            .count("requests", counts.graph)
            .with("elapsed s", percentile(1.0), Kind::Time)
            .with("bound s", self.bound(), Kind::Time)
            .with("p50 s", percentile(0.5), Kind::Time)
            .with("p95 s", percentile(0.95), Kind::Time)
            .with("p99 s", percentile(0.99), Kind::Time);
        if !self.notes {
            return row;
        }
        let last =
            deliveries.last_note.map_or(f64::NAN, |at| (at - queued).num_milliseconds() as f64 / 1000.0);
        row.count("notes", deliveries.notes).with("last note s", last, Kind::Time)
    }

    /// The least time in which the mailbox accepts all mails: four at a time, and so many in a minute.
    fn bound(self) -> f64 {
        const AT_ONCE: f64 = 4.0;
        let joiners = self.joiners as f64;
        let by_time = joiners / AT_ONCE * self.mail_millis as f64 / 1000.0;
        // The first thirty at once.
        let by_rate = if self.unlimited { 0.0 } else { (joiners / MAILS_PER_MINUTE).ceil() * 60.0 - 60.0 };
        by_time.max(by_rate)
    }
}

/// The joiners who have a mail.
fn served(world: &World, joiners: usize) -> usize {
    let mails = world.sandbox.mails();
    let to: std::collections::BTreeSet<&str> =
        mails.iter().flat_map(|mail| mail.to()).filter(|to| to.ends_with("@mail.example")).collect();
    to.len().min(joiners)
}

fn deliveries(world: &World, people: &[Uuid]) -> Deliveries {
    let (mails, passes) = (world.sandbox.mails(), world.sandbox.passes());
    let mut by_address: BTreeMap<&str, Vec<(DateTime<Utc>, String)>> = BTreeMap::new();
    for mail in &mails {
        for to in mail.to() {
            by_address.entry(to).or_default().push((mail.at, mail.content().to_owned()));
        }
    }
    let working: BTreeMap<Uuid, String> = passes
        .iter()
        .map(|pass| (pass.user, minijinja::HtmlEscape(pass.code.reveal()).to_string()))
        .collect();
    let made = world.sandbox.pass_events().iter().filter(|event| event.made.is_some()).count();
    let (to_joiners, notes): (Vec<_>, Vec<_>) =
        mails.iter().partition(|mail| mail.to().iter().any(|to| to.ends_with("@mail.example")));
    let (mut found, mut delivered) = (Deliveries { mails: to_joiners.len(), ..Deliveries::default() }, 0);
    (found.notes, found.last_note) = (notes.len(), notes.iter().map(|mail| mail.at).max());
    for (number, user) in people.iter().enumerate() {
        let sent = by_address.get(&*address(number)).map(Vec::as_slice).unwrap_or_default();
        found.first.extend(sent.first().map(|(at, _)| *at));
        found.doubled += sent.len().saturating_sub(1);
        let works = |(_, content): &(_, String)| working.get(user).is_some_and(|code| content.contains(code));
        found.lost += usize::from(!sent.last().is_some_and(works));
        delivered += sent.len();
    }
    found.wasted = made.saturating_sub(delivered);
    found
}
