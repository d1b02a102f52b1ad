//! What happens in a story: to people, to requests, to workers.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use firstpass::pass::Job;
use firstpass_sandbox::tenant::{Fault, FaultKind, PassSpec, roles, samples::SERVICE_DESK};
use uuid::Uuid;

use crate::{
    checks::during,
    evidence::{Known, Maker},
    personas::person,
    plan::{Call, DAYS, GraphFault, LedgerFault, Life, Step, What, Who},
    setup::Setup,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// When the timer fires, after the moment that days are counted from.
const SWEEP_AT: Duration = Duration::from_secs(10);

/// Plays the whole story, and then two calm days.
pub async fn play(setup: &Arc<Setup>) {
    for day in 0..DAYS {
        let setup = setup.clone();
        setup.clone().spawn(async move {
            setup.until(DAY * u32::try_from(day).unwrap() + SWEEP_AT).await;
            setup.sweep().await;
        });
    }
    for step in &setup.plan.steps {
        setup.until(step.at).await;
        if is_over(setup) {
            return;
        }
        act(setup, step);
    }
    setup.until(DAY * u32::try_from(DAYS).unwrap()).await;
    calm(setup).await;
}

fn is_over(setup: &Setup) -> bool {
    !setup.evidence().violations.is_empty()
}

/// Faults stop. What is on its way lands, the queue runs empty, and two sweeps come at their usual time.
async fn calm(setup: &Arc<Setup>) {
    setup.say("calm");
    setup.sandbox.clear_faults();
    setup.ledger.clear();
    setup.crashes.lock().unwrap().clear();
    setup.tricks.lock().unwrap().clear();
    setup.settle().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    for _ in 0..2 {
        let days = u32::try_from(setup.elapsed().as_secs() / DAY.as_secs()).unwrap() + 1;
        setup.until(DAY * days + SWEEP_AT).await;
        if is_over(setup) {
            return;
        }
        setup.clone().sweep().await;
        setup.settle().await;
    }
    during::look(setup);
}

fn act(setup: &Arc<Setup>, step: &Step) {
    let armed = |line: String| setup.say(&line);
    match &step.what {
        What::Life(who, life) => happens(setup, *who, life),
        What::Graph(who, fault) => {
            armed(format!("{}: {fault:?}", setup.plan.cast[*who].name));
            inject(setup, *who, fault);
        }
        What::Ledger(who, fault) => {
            armed(format!("{}: ledger {fault:?}", setup.plan.cast[*who].name));
            let user = if *fault == LedgerFault::NoList { Uuid::nil() } else { setup.user(*who) };
            setup.ledger.arm(user, *fault);
        }
        What::Crash(who, crash) => {
            armed(format!("{}: {crash:?}", setup.plan.cast[*who].name));
            setup.crashes.lock().unwrap().push((setup.user(*who), *crash));
        }
        What::Queue(who, trick) => {
            armed(format!("{}: {trick:?}", setup.plan.cast[*who].name));
            setup.tricks.lock().unwrap().push((setup.user(*who), *trick));
        }
        What::SweepFault(kind, times) => {
            armed(format!("the sweep: {kind:?} x {times}"));
            setup.sandbox.inject(Fault::on("GET", "/v1.0/users?", kind.clone()).times(*times));
        }
        What::Sweep => setup.spawn(setup.clone().sweep()),
    }
}

fn inject(setup: &Setup, who: Who, fault: &GraphFault) {
    let user = setup.user(who);
    let passes = format!("{user}/authentication");
    let address = setup.plan.cast[who].address();
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
    setup.sandbox.inject(if kind == FaultKind::Stale {
        armed.lasting(Duration::from_secs(480))
    } else {
        armed
    });
}

fn happens(setup: &Arc<Setup>, who: Who, life: &Life) {
    let (actor, user, now) = (&setup.plan.cast[who], setup.user(who), setup.now());
    if actor.absent {
        return;
    }
    setup.say(&format!("{} ({user}): {life:?}", actor.name));
    let change = |change: &dyn Fn(&mut firstpass_sandbox::tenant::Person)| {
        setup.sandbox.edit(|tenant| tenant.change(user, change));
    };
    match life {
        Life::Moved(days) => change(&|person| person.hire_date = Some(actor.stamp(*days, now))),
        Life::Cancelled => change(&|person| person.hire_date = None),
        Life::Disabled => change(&|person| person.enabled = false),
        Life::Enabled => change(&|person| person.enabled = true),
        Life::Deleted => {
            person_ends(setup, user);
            setup.sandbox.edit(|tenant| tenant.delete(user));
        }
        Life::Rehired(days) => {
            let manager =
                setup.sandbox.edit(|tenant| tenant.find_user("grace.hall@contoso.example").map(|p| p.id));
            person_ends(setup, user);
            let id = setup.sandbox.edit(|tenant| {
                tenant.delete(user);
                let person = person(actor, now, manager.unwrap_or_default());
                let until = now + TimeDelta::seconds(90);
                tenant.add(person.hire_date(actor.stamp(*days, now)).replicating_until(until))
            });
            setup.ids.lock().unwrap()[who] = id;
            setup.say(&format!("{} is {id} now", actor.name));
        }
        Life::SignsIn => signs_in(setup, user),
        Life::Helpdesk(minutes) => {
            if setup.sandbox.edit(|tenant| tenant.users.contains_key(&user)) {
                person_ends(setup, user);
                let spec = PassSpec::opening(now).lasting(*minutes);
                setup.sandbox.edit(|tenant| tenant.add_pass(user, spec));
                let pass = setup.sandbox.passes().into_iter().find(|pass| pass.user == user).unwrap();
                let known = Known { pass, maker: Maker::Person, gone: None, handed: false };
                setup.evidence().passes.push(known);
            }
        }
        Life::PassDeleted => {
            person_ends(setup, user);
            setup.sandbox.edit(|tenant| tenant.delete_pass(user));
        }
        Life::CreateTap => setup.spawn(setup.clone().create_tap(user)),
        Life::JoinsGroup => {
            setup.sandbox.edit(|tenant| tenant.add_member(setup.group, user));
            // Now and then the notification is lost: the next sweep finds out.
            let is_told = now.timestamp() % 4 > 0;
            setup.evidence().joined.entry(user).or_insert((now, is_told));
            if is_told {
                setup.enqueue(Job::group_add(user, now, &now.timestamp().to_string()).to_message());
            }
        }
        Life::LeavesGroup => setup.sandbox.edit(|tenant| tenant.remove_member(setup.group, user)),
        Life::BecomesAdmin => {
            setup.sandbox.edit(|tenant| tenant.assign_role(user, roles::GLOBAL_ADMINISTRATOR));
        }
        Life::IsNoAdmin => setup.sandbox.edit(|tenant| tenant.roles.retain(|held| held.principal != user)),
    }
}

/// Somebody is about to end the user's pass, if there is one.
fn person_ends(setup: &Setup, user: Uuid) {
    during::look(setup);
    let pass = setup.sandbox.passes().into_iter().find(|pass| pass.user == user);
    if let Some(pass) = pass {
        setup.evidence().end_pass(pass.id, Maker::Person);
    }
}

/// They try the youngest code that they were sent.
fn signs_in(setup: &Setup, user: Uuid) {
    during::look(setup);
    let mails = setup.sandbox.mails();
    let sent = |known: &Known| {
        let code = crate::evidence::escaped(known.pass.code.reveal());
        known.pass.user == user && mails.iter().any(|mail| mail.content().contains(&code))
    };
    let Some(pass) =
        setup.evidence().passes.iter().rev().find(|known| sent(known)).map(|known| known.pass.clone())
    else {
        return;
    };
    let held = setup.sandbox.passes().into_iter().find(|held| held.id == pass.id);
    let works = held.is_some_and(|held| held.is_usable(setup.now()));
    setup.say(if works { "and is in" } else { "and cannot" });
    if works {
        setup.used.lock().unwrap().insert(pass.id);
        setup.sandbox.edit(|tenant| tenant.use_pass(pass.id));
    }
}
