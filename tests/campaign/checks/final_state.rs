//! Invariants 1, 2, 3 and 8 after the calm days: eligible users have a pass, others have none, every pass was delivered,
//! and nobody who did not get in is forgotten.

use chrono::TimeDelta;
use firstpass::ledger::{Delivered, Ledger, Notice, Purpose, Record};
use firstpass_sandbox::tenant::{Pass, Person};
use uuid::Uuid;

use super::{
    immediate::is_live,
    oracle::{day_one_of, is_beyond_horizon, is_in_horizon, is_in_use, is_late, is_move, pass_start},
};
use crate::{
    events::last_sweep_at,
    scenario::{Action, Delivery, UserEvent},
    simulation::Simulation,
    trace::{Initiator, Invocation, InvocationResult, Trace, TrackedPass, html_escaped},
};

pub async fn check(sim: &Simulation) {
    let ids = sim.ids.lock().unwrap().clone();
    for (user, persona) in ids.into_iter().zip(&sim.scenario.personas) {
        let Some(person) = sim.sandbox.edit(|tenant| tenant.users.get(&user).cloned()) else { continue };
        let record = sim.ledger.inner.read(user).await.unwrap().map(|(record, _)| record);
        let state = UserState::new(sim, &person, record.as_ref());
        let trace = &mut *sim.trace();
        for (invariant, result) in [
            (3, state.check_pass_is_delivered(trace)),
            (2, state.check_no_pass_out_of_scope(trace)),
            (2, state.check_code_is_at_the_address(trace)),
            (1, state.check_joiner_has_pass(trace)),
            (1, state.check_group_add_is_handled(trace)),
            (8, state.check_nobody_is_let_go(trace)),
        ] {
            if let Err(message) = result {
                trace.violated(invariant, format!("{}: {message}", persona.name));
            }
        }
    }
}

/// The product's alert about a joiner whose pass ended.
const NOT_IN: &str = "A joiner's pass ended, and they are not in";
/// Its alert about one whose pass ended and is replaced.
const REPLACED: &str = "A joiner's pass ended unused, and they get a new one";
/// Its alert about one whose mails may not have arrived.
const UNCLEAR: &str = "A mail with a code may not have arrived";
/// Its alert about a job without a pass.
const NO_PASS: &str = "A user gets no pass";

struct UserState<'a> {
    sim: &'a Simulation,
    person: &'a Person,
    record: Option<&'a Record>,
    /// The pass that works now or later.
    live: Option<Pass>,
    mails: Vec<String>,
}

impl<'a> UserState<'a> {
    fn new(sim: &'a Simulation, person: &'a Person, record: Option<&'a Record>) -> Self {
        let now = sim.now();
        let live = sim.sandbox.passes().into_iter().find(|pass| pass.user == person.id && is_live(pass, now));
        let mails = sim.sent().into_iter().map(|sent| sent.content).collect();
        Self { sim, person, record, live, mails }
    }

    fn is_delivered(&self, tracked: &TrackedPass) -> bool {
        let code = html_escaped(tracked.pass.code.reveal());
        tracked.returned_to_caller || self.mails.iter().any(|mail| mail.contains(&code))
    }

    /// The live pass, if firstpass created it.
    fn own_live_pass(&self, trace: &Trace) -> Option<TrackedPass> {
        let tracked = trace.pass(self.live.as_ref()?.id)?;
        (tracked.created_by != Initiator::Person).then(|| tracked.clone())
    }

    /// Invariant 3: a live pass that firstpass created was delivered and is recorded.
    fn check_pass_is_delivered(&self, trace: &Trace) -> Result<(), String> {
        let Some(live) = self.own_live_pass(trace) else { return Ok(()) };
        if !self.is_delivered(&live) && !self.is_said_unclear(|d| d.pass.pass_id == live.pass.id.to_string())
        {
            return Err(format!("the live pass {} was never delivered", live.pass.id));
        }
        let recorded = self.record.and_then(|r| r.delivered.as_ref()).map(|d| d.pass.pass_id.as_str());
        if recorded != Some(live.pass.id.to_string().as_str()) {
            return Err(format!("the live pass is {}, but the record contains {recorded:?}", live.pass.id));
        }
        Ok(())
    }

    /// Invariant 1: for a user who was added to the on-demand group, a job ended, a pass was delivered, or a job was
    /// poisoned (invariant 6 requires an alert for that). A member who left and returned may count as known.
    fn check_group_add_is_handled(&self, trace: &Trace) -> Result<(), String> {
        let (sim, user) = (self.sim, self.person.id);
        let Some((at, is_notified)) = trace.added_to_group.get(&user).copied() else { return Ok(()) };
        let is_member = sim.sandbox.edit(|tenant| tenant.members(sim.group, sim.now()).contains(&user));
        // Members at the first sync count as known. Every successful sweep must have synced the group.
        let first_sync = trace.first_group_sync.or(trace.first_sweep);
        let is_detectable = is_notified || first_sync.is_some_and(|first| first < at);
        if !is_member || !is_detectable || self.was_removed_from_group() {
            return Ok(());
        }
        let has_ended = |invocation: &Invocation| {
            let has_succeeded = match &invocation.result {
                InvocationResult::Finished(outcome, _) => outcome != "failed",
                _ => false,
            };
            invocation.user == user
                && invocation.reason == "group-add"
                && has_succeeded
                && invocation.read_at >= at
        };
        let is_served = self.record.and_then(|record| record.on_demand_at).is_some_and(|served| served >= at);
        let prefix = format!("group-add/{user}/");
        let is_poisoned = trace.poisoned_jobs.iter().any(|job| job.key.starts_with(&prefix));
        if is_served || is_poisoned || trace.invocations.iter().any(has_ended) {
            return Ok(());
        }
        Err("was added to the on-demand group, and no job ended".into())
    }

    /// Invariant 8: two sweeps after the last delivered pass of a joiner ended, they got in, or a person was told.
    fn check_nobody_is_let_go(&self, trace: &Trace) -> Result<(), String> {
        let mine = |id: &str| trace.pass(id.parse().ok()?).filter(|t| t.pass.user == self.person.id);
        let deliveries = trace.deliveries.iter().filter_map(|d| Some((d, mine(&d.pass_id)?)));
        let Some((delivery, last)) = deliveries.max_by_key(|(d, _)| d.sequence) else { return Ok(()) };
        let ended_before_two_sweeps = last.pass.closes_at() <= last_sweep_at(self.sim) - TimeDelta::days(1);
        if delivery.purpose != Purpose::Joiner || !ended_before_two_sweeps || self.person.guest {
            return Ok(());
        }
        let is_another_start =
            day_one_of(self.person, &self.sim.scenario.config).is_some_and(|(day, zone)| {
                let (now, is_other) = (self.sim.now(), Some(day) != delivery.day_one);
                is_other && (is_in_horizon(day, zone, now) || is_beyond_horizon(day, zone, now))
            });
        let got_in = {
            let used = self.sim.used.lock().unwrap();
            trace.passes.iter().any(|t| t.pass.user == self.person.id && used.contains_key(&t.pass.id))
        };
        let was_revoked = matches!(last.ended_by, Some(Initiator::Invocation(_)));
        if is_another_start || got_in || was_revoked || !self.is_recorded(last.pass.id) || self.live.is_some()
        {
            return Ok(());
        }
        let log = self.sim.log();
        let names = self.sim.scenario.names_like(&self.person.user_principal_name);
        let is_alert = |line: &&str, headline: &str| {
            line.contains(" event=alert ") && line.contains(headline) && line.contains(names)
        };
        // A replacement that the mail of the pass had promised is no alert.
        let delivered = self.record.and_then(|record| record.delivered.as_ref());
        let was_promised = delivered.is_some_and(|delivered| delivered.follows_on.is_some());
        let of_replacement: Vec<&str> =
            log.lines().skip_while(|line| !was_promised && !is_alert(line, REPLACED)).skip(1).collect();
        let is_told = log.lines().any(|line| is_alert(&line, NOT_IN))
            // The pass was to be replaced, and that was refused, or the start withdrawn meanwhile.
            || of_replacement.iter().any(|line| is_alert(line, NO_PASS))
            || (self.out_of_scope().is_some() && log.lines().any(|line| is_alert(&line, REPLACED)));
        if is_told {
            Ok(())
        } else {
            Err(format!("the pass {} ended unused, and nobody was told", last.pass.id))
        }
    }

    /// Whether the record says of this delivery that its mail may not have arrived, and a person was told.
    fn is_said_unclear(&self, is_it: impl Fn(&Delivered) -> bool) -> bool {
        let Some(record) = self.record else { return false };
        let is_noted = record.notices.iter().any(|notice| notice.kind == Notice::MAIL_UNCLEAR);
        let is_alert = |line: &str| {
            let is_about_them = line.contains(&self.person.user_principal_name);
            line.contains(" event=alert ") && line.contains(UNCLEAR) && is_about_them
        };
        is_noted && record.delivered.as_ref().is_some_and(is_it) && self.sim.log().lines().any(is_alert)
    }

    /// Whether the record says that this pass was delivered. A revocation removes it, and invariant 6 requires an alert.
    fn is_recorded(&self, pass: Uuid) -> bool {
        let delivered = self.record.and_then(|record| record.delivered.as_ref());
        delivered.is_some_and(|delivered| delivered.pass.pass_id == pass.to_string())
    }

    /// Whether the address is also that of two deleted accounts of the same person, and a person was told: their records may not say
    /// that they were deleted.
    fn shares_address_with_earlier_accounts(&self) -> bool {
        const SHARED: &str = "Joiners share one private address and get no pass";
        let ids = self.sim.ids.lock().unwrap();
        let recreated = self.sim.scenario.steps.iter().filter(|step| {
            let Action::User(persona, UserEvent::Recreated(_)) = step.action else { return false };
            ids[persona] == self.person.id
        });
        let log = self.sim.log();
        recreated.count() >= 2
            && log.lines().any(|line| {
                line.contains(" event=alert ")
                    && line.contains(SHARED)
                    && line.contains(&self.person.user_principal_name)
            })
    }

    fn was_removed_from_group(&self) -> bool {
        self.had(|event| *event == UserEvent::RemovedFromGroup)
    }

    /// Whether such an event happened to this person.
    fn had(&self, is_such: impl Fn(&UserEvent) -> bool) -> bool {
        let ids = self.sim.ids.lock().unwrap();
        self.sim.scenario.steps.iter().any(|step| {
            matches!(&step.action, Action::User(persona, event) if ids[*persona] == self.person.id && is_such(event))
        })
    }

    /// Invariant 2: the code of a joiner's live pass is in the mailbox that the account names, or in none that it ever named
    /// another in place of.
    fn check_code_is_at_the_address(&self, trace: &Trace) -> Result<(), String> {
        let Some(live) = self.own_live_pass(trace) else { return Ok(()) };
        let is_joiners = trace.delivery_of(live.pass.id).is_some_and(|d| d.purpose == Purpose::Joiner);
        if !is_joiners || !self.sim.can_be_reached(self.person) || self.out_of_scope().is_some() {
            return Ok(());
        }
        let manager =
            || self.person.manager.and_then(|id| self.sim.sandbox.edit(|t| t.users.get(&id)?.mail.clone()));
        let theirs = match self.sim.scenario.config.delivery {
            Delivery::Split => manager().into_iter().collect(),
            // The endpoint got none, or one that was removed since.
            Delivery::Mail | Delivery::Webhook if self.person.other_mails.is_empty() => return Ok(()),
            Delivery::Mail | Delivery::Webhook => self.person.other_mails.clone(),
        };
        let code = html_escaped(live.pass.code.reveal());
        let sent = self.sim.sent();
        let mut with_code = sent.iter().filter(|sent| sent.content.contains(&code)).flat_map(|sent| &sent.to);
        match with_code.find(|to| !theirs.contains(to)) {
            Some(to) => {
                Err(format!("the code of the live pass is at {to}, which is not their address any more"))
            }
            None => Ok(()),
        }
    }

    fn is_privileged(&self) -> bool {
        self.sim.sandbox.edit(|tenant| tenant.is_privileged(self.person.id, self.sim.now()))
    }

    /// Invariant 2: a user who is not a joiner in scope has no live joiner's pass. A user who became privileged after
    /// the delivery may keep it: the alert asks a person to decide.
    fn check_no_pass_out_of_scope(&self, trace: &Trace) -> Result<(), String> {
        let Some(live) = self.own_live_pass(trace) else { return Ok(()) };
        if trace.delivery_of(live.pass.id).is_some_and(|delivery| delivery.purpose != Purpose::Joiner) {
            return Ok(());
        }
        match self.out_of_scope() {
            Some(why) => Err(format!("{why}, but the pass {} is live", live.pass.id)),
            None => Ok(()),
        }
    }

    fn out_of_scope(&self) -> Option<&'static str> {
        let Some((day, zone)) = day_one_of(self.person, &self.sim.scenario.config) else {
            return Some("no hire date");
        };
        let announcement = self.record.and_then(|record| record.announcement.as_ref());
        let is_announced = announcement.is_some_and(|a| a.enabled && is_move(a.day_one, day));
        if self.person.guest {
            Some("a guest")
        } else if is_beyond_horizon(day, zone, self.sim.now()) {
            Some("beyond the horizon")
        } else if !self.person.enabled && (is_announced || !self.sim.scenario.config.serve_disabled) {
            Some("disabled")
        } else {
            None
        }
    }

    /// Invariant 1: the newest code that an eligible joiner received belongs to the live pass. Without a live pass, the
    /// last delivered one was used, expired after day one began, was ended by a person, or has a successor.
    fn check_joiner_has_pass(&self, trace: &Trace) -> Result<(), String> {
        let now = self.sim.now();
        let Some((day, zone)) = day_one_of(self.person, &self.sim.scenario.config) else { return Ok(()) };
        // The first sweep serves nobody who has started before.
        let is_late = is_late(day, zone, now) && !self.has_started_before(trace) && !self.was_served(trace);
        let is_eligible = self.out_of_scope().is_none()
            && (is_in_horizon(day, zone, now) || is_late)
            && !self.is_privileged()
            && !is_in_use(self.person, &self.sim.scenario.config, now)
            && self.sim.can_be_reached(self.person);
        if !is_eligible {
            return Ok(());
        }
        let is_mine = |tracked: &&TrackedPass| tracked.pass.user == self.person.id;
        let delivered: Vec<&TrackedPass> =
            trace.passes.iter().filter(is_mine).filter(|tracked| self.is_delivered(tracked)).collect();
        if let Some(live) = &self.live {
            let is_own = trace.pass(live.id).is_some_and(|tracked| tracked.created_by != Initiator::Person);
            let newest = delivered.last().map(|tracked| tracked.pass.id);
            let is_said = self.is_said_unclear(|d| d.pass.pass_id == live.id.to_string());
            return if is_own && newest != Some(live.id) && !is_said {
                Err(format!("the newest delivered code is of {newest:?}, but the live pass is {}", live.id))
            } else {
                Ok(())
            };
        }
        if self.is_said_unclear(|d| d.day_one == Some(day)) {
            return Ok(());
        }
        // The product stops here on purpose; invariant 6 requires an alert.
        if self.record.and_then(|record| record.cause.as_deref()) == Some("too-many-codes") {
            return Ok(());
        }
        if self.shares_address_with_earlier_accounts() {
            return Ok(());
        }
        let is_held = self.record.and_then(|record| record.held_for).is_some_and(|held| is_move(held, day));
        let is_change = |event: &UserEvent| match self.sim.scenario.config.delivery {
            Delivery::Split => *event == UserEvent::ManagerChanged,
            Delivery::Mail | Delivery::Webhook => matches!(event, UserEvent::AddressChanged(_)),
        };
        if is_held && self.had(is_change) {
            return Ok(());
        }
        let is_for_day_one = |id: Uuid| {
            trace.delivery_of(id).is_some_and(|d| d.purpose == Purpose::Joiner && d.day_one == Some(day))
        };
        let Some(last) = delivered.iter().rev().find(|tracked| is_for_day_one(tracked.pass.id)) else {
            return Err(format!("day one is {day}, but no pass was delivered for it"));
        };
        let was_used = self.sim.used.lock().unwrap().contains_key(&last.pass.id);
        let has_expired = last.pass.closes_at() <= now;
        if was_used || last.ended_by == Some(Initiator::Person) {
            return Ok(());
        }
        // The place may have become known after the pass.
        let has_moved_place = self.had(|event| matches!(event, UserEvent::PlaceChanged(_)));
        match last.ended_by {
            Some(Initiator::Invocation(id)) if !self.has_later_pass(trace, last) => Err(format!(
                "{} ended the pass {}, and no later pass was delivered",
                trace.invocations[id].job_key, last.pass.id
            )),
            _ if has_expired && last.pass.closes_at() <= pass_start(day, zone) && !has_moved_place => {
                Err(format!("the pass {} expired before day one", last.pass.id))
            }
            _ if has_expired || last.ended_by.is_some() => Ok(()),
            _ => Err(format!("the pass {} has disappeared without being ended", last.pass.id)),
        }
    }

    fn has_started_before(&self, trace: &Trace) -> bool {
        trace.started_before.as_ref().is_none_or(|started| started.contains(&self.person.id))
    }

    /// Whether a delivered pass has opened, whatever it was for.
    fn was_served(&self, trace: &Trace) -> bool {
        let has_opened = |tracked: &TrackedPass| {
            tracked.pass.user == self.person.id && tracked.pass.opens_at <= self.sim.now()
        };
        trace.passes.iter().any(|tracked| has_opened(tracked) && self.is_delivered(tracked))
    }

    /// Whether a person created a pass after this one, or firstpass delivered one.
    fn has_later_pass(&self, trace: &Trace, pass: &TrackedPass) -> bool {
        let mut mine = trace.passes.iter().filter(|tracked| tracked.pass.user == self.person.id);
        mine.by_ref().find(|tracked| tracked.pass.id == pass.pass.id);
        mine.any(|tracked| tracked.created_by == Initiator::Person || self.is_delivered(tracked))
    }
}
