//! What happens in a story: to people, to requests, to workers.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use firstpass::pass::Job;
use firstpass_sandbox::tenant::{Fault, FaultKind, PassSpec, roles, samples::SERVICE_DESK};
use uuid::Uuid;

use crate::{
    cast::person,
    checks::during,
    evidence::{Known, Maker},
    plan::{Call, DAYS, GraphFault, LedgerFault, Life, Step, What, Who},
    stage::Stage,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// When the timer fires, after the moment that days are counted from.
const SWEEP_AT: Duration = Duration::from_secs(10);

/// Plays the whole story, and then two calm days.
pub async fn play(stage: &Arc<Stage>) {
    for day in 0..DAYS {
        let stage = stage.clone();
        stage.clone().spawn(async move {
            stage.until(DAY * u32::try_from(day).unwrap() + SWEEP_AT).await;
            stage.sweep().await;
        });
    }
    for step in &stage.plan.steps {
        stage.until(step.at).await;
        if is_over(stage) {
            return;
        }
        act(stage, step);
    }
    stage.until(DAY * u32::try_from(DAYS).unwrap()).await;
    calm(stage).await;
}

fn is_over(stage: &Stage) -> bool {
    !stage.evidence().violations.is_empty()
}

/// Faults stop. What is on its way lands, the queue runs empty, and two sweeps come at their usual time.
async fn calm(stage: &Arc<Stage>) {
    stage.say("calm");
    stage.sandbox.clear_faults();
    stage.ledger.clear();
    stage.crashes.lock().unwrap().clear();
    stage.tricks.lock().unwrap().clear();
    stage.settle().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    for _ in 0..2 {
        let days = u32::try_from(stage.elapsed().as_secs() / DAY.as_secs()).unwrap() + 1;
        stage.until(DAY * days + SWEEP_AT).await;
        if is_over(stage) {
            return;
        }
        stage.clone().sweep().await;
        stage.settle().await;
    }
    during::look(stage);
}

fn act(stage: &Arc<Stage>, step: &Step) {
    let armed = |line: String| stage.say(&line);
    match &step.what {
        What::Life(who, life) => happens(stage, *who, life),
        What::Graph(who, fault) => {
            armed(format!("{}: {fault:?}", stage.plan.cast[*who].name));
            inject(stage, *who, fault);
        }
        What::Ledger(who, fault) => {
            armed(format!("{}: ledger {fault:?}", stage.plan.cast[*who].name));
            let user = if *fault == LedgerFault::NoList { Uuid::nil() } else { stage.user(*who) };
            stage.ledger.arm(user, *fault);
        }
        What::Crash(who, crash) => {
            armed(format!("{}: {crash:?}", stage.plan.cast[*who].name));
            stage.crashes.lock().unwrap().push((stage.user(*who), *crash));
        }
        What::Queue(who, trick) => {
            armed(format!("{}: {trick:?}", stage.plan.cast[*who].name));
            stage.tricks.lock().unwrap().push((stage.user(*who), *trick));
        }
        What::SweepFault(kind, times) => {
            armed(format!("the sweep: {kind:?} x {times}"));
            stage.sandbox.inject(Fault::on("GET", "/v1.0/users?", kind.clone()).times(*times));
        }
        What::Sweep => stage.spawn(stage.clone().sweep()),
    }
}

fn inject(stage: &Stage, who: Who, fault: &GraphFault) {
    let user = stage.user(who);
    let passes = format!("{user}/authentication");
    let address = stage.plan.cast[who].address();
    let GraphFault { call, kind, nth, times } = fault.clone();
    let armed = match call {
        Call::Read => Fault::on("POST", "/$batch", kind.clone()).body(&user.to_string()),
        Call::Part(part) => Fault::on("GET", &format!("/users/{user}{part}"), kind.clone()),
        Call::Make => Fault::on("POST", &passes, kind.clone()),
        Call::Unmake => Fault::on("DELETE", &passes, kind.clone()),
        Call::Mail => Fault::on("POST", "sendMail", kind.clone()).body(&address),
        Call::Alert => Fault::on("POST", "sendMail", kind.clone()).body(SERVICE_DESK),
        Call::Write => return,
    };
    let armed = armed.nth(nth).times(times);
    // Nothing that firstpass does counts on replicas that lag for longer than ten minutes.
    stage.sandbox.inject(if kind == FaultKind::Stale {
        armed.lasting(Duration::from_secs(480))
    } else {
        armed
    });
}

fn happens(stage: &Arc<Stage>, who: Who, life: &Life) {
    let (actor, user, now) = (&stage.plan.cast[who], stage.user(who), stage.now());
    if actor.absent {
        return;
    }
    stage.say(&format!("{} ({user}): {life:?}", actor.name));
    let change = |change: &dyn Fn(&mut firstpass_sandbox::tenant::Person)| {
        stage.sandbox.edit(|tenant| tenant.change(user, change));
    };
    match life {
        Life::Moved(days) => change(&|person| person.hire_date = Some(actor.stamp(*days, now))),
        Life::Cancelled => change(&|person| person.hire_date = None),
        Life::Disabled => change(&|person| person.enabled = false),
        Life::Enabled => change(&|person| person.enabled = true),
        Life::Deleted => {
            person_ends(stage, user);
            stage.sandbox.edit(|tenant| tenant.delete(user));
        }
        Life::Rehired(days) => {
            let manager =
                stage.sandbox.edit(|tenant| tenant.find_user("grace.hall@contoso.example").map(|p| p.id));
            person_ends(stage, user);
            let id = stage.sandbox.edit(|tenant| {
                tenant.delete(user);
                let person = person(actor, now, manager.unwrap_or_default());
                let until = now + TimeDelta::seconds(90);
                tenant.add(person.hire_date(actor.stamp(*days, now)).replicating_until(until))
            });
            stage.ids.lock().unwrap()[who] = id;
            stage.say(&format!("{} is {id} now", actor.name));
        }
        Life::SignsIn => signs_in(stage, user),
        Life::Helpdesk(minutes) => {
            if stage.sandbox.edit(|tenant| tenant.users.contains_key(&user)) {
                person_ends(stage, user);
                let spec = PassSpec::opening(now).lasting(*minutes);
                stage.sandbox.edit(|tenant| tenant.add_pass(user, spec));
                let pass = stage.sandbox.passes().into_iter().find(|pass| pass.user == user).unwrap();
                let known = Known { pass, maker: Maker::Person, gone: None, handed: false };
                stage.evidence().passes.push(known);
            }
        }
        Life::PassDeleted => {
            person_ends(stage, user);
            stage.sandbox.edit(|tenant| tenant.delete_pass(user));
        }
        Life::CreateTap => stage.spawn(stage.clone().create_tap(user)),
        Life::JoinsGroup => {
            stage.sandbox.edit(|tenant| tenant.add_member(stage.group, user));
            // Now and then the notification is lost: the next sweep finds out.
            let is_told = now.timestamp() % 4 > 0;
            stage.evidence().joined.entry(user).or_insert((now, is_told));
            if is_told {
                stage.enqueue(Job::group_add(user, now, &now.timestamp().to_string()).to_message());
            }
        }
        Life::LeavesGroup => stage.sandbox.edit(|tenant| tenant.remove_member(stage.group, user)),
        Life::BecomesAdmin => {
            stage.sandbox.edit(|tenant| tenant.assign_role(user, roles::GLOBAL_ADMINISTRATOR));
        }
        Life::IsNoAdmin => stage.sandbox.edit(|tenant| tenant.roles.retain(|held| held.principal != user)),
    }
}

/// Somebody is about to end the user's pass, if there is one.
fn person_ends(stage: &Stage, user: Uuid) {
    during::look(stage);
    let pass = stage.sandbox.passes().into_iter().find(|pass| pass.user == user);
    if let Some(pass) = pass {
        stage.evidence().end_pass(pass.id, Maker::Person);
    }
}

/// They try the youngest code that they were sent.
fn signs_in(stage: &Stage, user: Uuid) {
    during::look(stage);
    let mails = stage.sandbox.mails();
    let sent = |known: &Known| {
        let code = crate::evidence::escaped(known.pass.code.reveal());
        known.pass.user == user && mails.iter().any(|mail| mail.content().contains(&code))
    };
    let Some(pass) =
        stage.evidence().passes.iter().rev().find(|known| sent(known)).map(|known| known.pass.clone())
    else {
        return;
    };
    let held = stage.sandbox.passes().into_iter().find(|held| held.id == pass.id);
    let works = held.is_some_and(|held| held.is_usable(stage.now()));
    stage.say(if works { "and is in" } else { "and cannot" });
    if works {
        stage.used.lock().unwrap().insert(pass.id);
        stage.sandbox.edit(|tenant| tenant.use_pass(pass.id));
    }
}
