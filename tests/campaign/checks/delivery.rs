//! Invariants 1 (nobody is lost), 2 (no stranger keeps a pass) and 3 (no orphan), at rest.

use firstpass::ledger::{Ledger, Purpose, Record};
use firstpass_sandbox::tenant::{Pass, Person};
use uuid::Uuid;

use super::{
    during::is_alive,
    oracle::{day_one_of, is_beyond, is_move, is_near, opening},
};
use crate::{
    evidence::{End, Evidence, Known, Maker, Run, escaped},
    plan::{Life, What},
    setup::Setup,
};

pub async fn check(setup: &Setup) {
    let ids = setup.ids.lock().unwrap().clone();
    for (user, actor) in ids.into_iter().zip(&setup.plan.cast) {
        let Some(person) = setup.sandbox.edit(|tenant| tenant.users.get(&user).cloned()) else { continue };
        let record = setup.ledger.inner.read(user).await.unwrap().map(|(record, _)| record);
        let case = Case::new(setup, &person, record.as_ref());
        let evidence = &mut *setup.evidence();
        for (invariant, verdict) in [
            (3, case.orphan(evidence)),
            (2, case.stranger(evidence)),
            (1, case.lost(setup, evidence)),
            (1, case.unanswered(setup, evidence)),
        ] {
            if let Err(what) = verdict {
                evidence.violated(invariant, format!("{}: {what}", actor.name));
            }
        }
    }
}

struct Case<'a> {
    setup: &'a Setup,
    person: &'a Person,
    record: Option<&'a Record>,
    /// The pass that they could sign in with, now or later.
    live: Option<Pass>,
    mails: Vec<String>,
}

impl<'a> Case<'a> {
    fn new(setup: &'a Setup, person: &'a Person, record: Option<&'a Record>) -> Self {
        let now = setup.now();
        let live =
            setup.sandbox.passes().into_iter().find(|pass| pass.user == person.id && is_alive(pass, now));
        let mails = setup.sandbox.mails().iter().map(|mail| mail.content().to_owned()).collect();
        Self { setup, person, record, live, mails }
    }

    fn is_delivered(&self, known: &Known) -> bool {
        let code = escaped(known.pass.code.reveal());
        known.handed || self.mails.iter().any(|mail| mail.contains(&code))
    }

    /// The live pass, if firstpass made it.
    fn live_of_ours(&self, evidence: &Evidence) -> Option<Known> {
        let known = evidence.known(self.live.as_ref()?.id)?;
        (known.maker != Maker::Person).then(|| known.clone())
    }

    /// Invariant 3: every working pass that we made is recorded and was delivered.
    fn orphan(&self, evidence: &Evidence) -> Result<(), String> {
        let Some(live) = self.live_of_ours(evidence) else { return Ok(()) };
        if !self.is_delivered(&live) {
            return Err(format!("the live pass {} was never delivered", live.pass.id));
        }
        let recorded = self.record.and_then(|r| r.delivered.as_ref()).map(|d| d.pass.pass_id.as_str());
        if recorded != Some(live.pass.id.to_string().as_str()) {
            return Err(format!("the live pass {} is not on record, but {recorded:?}", live.pass.id));
        }
        Ok(())
    }

    /// Invariant 1 for those who were added to the on-demand group: some job came to an end for them, or they were
    /// served, or a person was told that theirs was given up. Who left and came back may count as having been there
    /// all along.
    fn unanswered(&self, setup: &Setup, evidence: &Evidence) -> Result<(), String> {
        let user = self.person.id;
        let Some((at, is_told)) = evidence.joined.get(&user).copied() else { return Ok(()) };
        let is_member = setup.sandbox.edit(|tenant| tenant.members(setup.group, setup.now()).contains(&user));
        let is_seen = is_told || evidence.first_roster.is_some_and(|first| first < at);
        if !is_member || !is_seen || self.left(setup) {
            return Ok(());
        }
        let is_answer = |run: &&Run| {
            let ended = matches!(&run.end, End::Ended(outcome, _) if outcome != "failed");
            run.user == user && run.reason == "group-add" && ended && run.read_at >= at
        };
        let is_served = self.record.and_then(|record| record.on_demand_at).is_some_and(|served| served >= at);
        let theirs = format!("group-add/{user}/");
        let is_given_up = evidence.poison.iter().any(|(key, _)| key.starts_with(&theirs));
        if is_served || is_given_up || evidence.runs.iter().any(|run| is_answer(&run)) {
            return Ok(());
        }
        Err("was added to the on-demand group, and nobody took notice".into())
    }

    fn left(&self, setup: &Setup) -> bool {
        let ids = setup.ids.lock().unwrap();
        setup.plan.steps.iter().any(
            |step| matches!(&step.what, What::Life(who, Life::LeavesGroup) if ids[*who] == self.person.id),
        )
    }

    fn is_guarded(&self) -> bool {
        self.setup.sandbox.edit(|tenant| tenant.is_privileged(self.person.id, self.setup.now()))
    }

    /// Invariant 2: who is no joiner any more has no pass of a joiner. (Someone who became powerful meanwhile keeps
    /// theirs: a person was told, and decides.)
    fn stranger(&self, evidence: &Evidence) -> Result<(), String> {
        let Some(live) = self.live_of_ours(evidence) else { return Ok(()) };
        if evidence.settled_for(live.pass.id).is_some_and(|settled| settled.purpose != Purpose::Joiner) {
            return Ok(());
        }
        match self.out_of_scope() {
            Some(why) => Err(format!("{why}, but the pass {} is live", live.pass.id)),
            None => Ok(()),
        }
    }

    fn out_of_scope(&self) -> Option<&'static str> {
        let Some((day, zone)) = day_one_of(self.person) else { return Some("no hire date") };
        let told = self.record.and_then(|record| record.announcement);
        let is_told = told.is_some_and(|told| told.enabled && is_move(told.day_one, day));
        if self.person.guest {
            Some("a guest")
        } else if is_beyond(day, zone, self.setup.now()) {
            Some("beyond the horizon")
        } else if !self.person.enabled && (is_told || !self.setup.plan.house.serve_disabled) {
            Some("disabled")
        } else {
            None
        }
    }

    /// Invariant 1: the youngest code that an eligible joiner was sent is the live one, or was used, or is over, or
    /// a person replaced it.
    fn lost(&self, setup: &Setup, evidence: &Evidence) -> Result<(), String> {
        let now = setup.now();
        let Some((day, zone)) = day_one_of(self.person) else { return Ok(()) };
        let is_eligible = self.out_of_scope().is_none()
            && is_near(day, zone, now)
            && !self.is_guarded()
            && !self.person.other_mails.is_empty();
        if !is_eligible {
            return Ok(());
        }
        let mine = |known: &&Known| known.pass.user == self.person.id;
        let delivered: Vec<&Known> =
            evidence.passes.iter().filter(mine).filter(|known| self.is_delivered(known)).collect();
        if let Some(live) = &self.live {
            let is_ours = evidence.known(live.id).is_some_and(|known| known.maker != Maker::Person);
            let youngest = delivered.last().map(|known| known.pass.id);
            return if is_ours && youngest != Some(live.id) {
                Err(format!("the youngest code they have is of {youngest:?}, the live pass is {}", live.id))
            } else {
                Ok(())
            };
        }
        // Deleted again and again: a person was told, which invariant 6 sees to.
        if self.record.and_then(|record| record.cause.as_deref()) == Some("keeps-vanishing") {
            return Ok(());
        }
        let is_for_day_one = |id: Uuid| {
            evidence.settled_for(id).is_some_and(|s| s.purpose == Purpose::Joiner && s.day_one == Some(day))
        };
        let Some(last) = delivered.iter().rev().find(|known| is_for_day_one(known.pass.id)) else {
            return Err(format!("day one is {day}, and nothing was delivered for it"));
        };
        let was_used = setup.used.lock().unwrap().contains(&last.pass.id);
        let is_over = last.pass.closes_at() <= now;
        if was_used || last.gone == Some(Maker::Person) {
            return Ok(());
        }
        match last.gone {
            Some(Maker::Run(run)) if !self.replaced_by_a_delivered_one(evidence, last) => Err(format!(
                "their pass {} was killed by {}, and nothing came after it",
                last.pass.id, evidence.runs[run].key
            )),
            _ if is_over && last.pass.closes_at() <= opening(day, zone) => {
                Err(format!("their pass {} was over before day one", last.pass.id))
            }
            _ if is_over || last.gone.is_some() => Ok(()),
            _ => Err(format!("their pass {} is neither there nor gone", last.pass.id)),
        }
    }

    fn replaced_by_a_delivered_one(&self, evidence: &Evidence, last: &Known) -> bool {
        let mut mine = evidence.passes.iter().filter(|known| known.pass.user == self.person.id);
        mine.by_ref().find(|known| known.pass.id == last.pass.id);
        mine.any(|known| known.maker == Maker::Person || self.is_delivered(known))
    }
}
