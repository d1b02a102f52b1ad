//! Plays the steps of a scenario: events of users, and faults that wait for requests and workers.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::pass::Job;
use firstpass_sandbox::tenant::{
    Fault, FaultKind, Method, PassSpec, Person, SendDenial, roles, samples::SERVICE_DESK,
};
use uuid::Uuid;

use crate::{
    checks::immediate,
    personas::{COUNTRIES, Persona, account},
    scenario::{Action, DAYS, Delivery, GraphFault, LedgerFault, Operation, PersonaIndex, Step, UserEvent},
    simulation::Simulation,
    trace::{Initiator, TrackedPass, html_escaped},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The time of the daily sweep, from the start of the scenario's day.
const SWEEP_AT: Duration = Duration::from_secs(10);

/// Plays the whole scenario: the days with faults, and then the calm days.
pub async fn play(sim: &Arc<Simulation>) {
    let gap = &sim.scenario.config.without_sweeps;
    for day in (0..DAYS).filter(|day| !gap.contains(day)) {
        let sim = sim.clone();
        sim.clone().spawn(async move {
            sim.sleep_until(DAY * u32::try_from(day).unwrap() + SWEEP_AT).await;
            sim.sweep().await;
        });
    }
    for step in &sim.scenario.steps {
        sim.sleep_until(step.at).await;
        if has_failed(sim) {
            return;
        }
        perform(sim, step);
    }
    sim.sleep_until(DAY * u32::try_from(DAYS).unwrap()).await;
    play_calm_days(sim).await;
}

fn has_failed(sim: &Simulation) -> bool {
    !sim.trace().violations.is_empty()
}

/// The time of the last daily sweep.
pub fn last_sweep_at(sim: &Simulation) -> DateTime<Utc> {
    let since = (sim.elapsed().saturating_sub(SWEEP_AT).as_secs() % DAY.as_secs()).try_into().unwrap();
    sim.now() - TimeDelta::seconds(since)
}

/// Removes all faults, waits until the queue is empty, and runs two more daily sweeps.
async fn play_calm_days(sim: &Arc<Simulation>) {
    sim.add_line("end of faults");
    sim.sandbox.clear_faults();
    sim.sandbox.edit(|tenant| tenant.send_denied = None);
    sim.ledger.clear_faults();
    sim.crashes.lock().unwrap().clear();
    sim.queue_faults.lock().unwrap().clear();
    sim.wait_for_tasks().await;
    // Delayed requests take effect within this hour.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    for _ in 0..2 {
        let days = u32::try_from(sim.elapsed().as_secs() / DAY.as_secs()).unwrap() + 1;
        sim.sleep_until(DAY * days + SWEEP_AT).await;
        if has_failed(sim) {
            return;
        }
        sim.clone().sweep().await;
        sim.wait_for_tasks().await;
    }
    immediate::check_pass_events(sim);
}

fn perform(sim: &Arc<Simulation>, step: &Step) {
    let name = |persona: &PersonaIndex| sim.scenario.personas[*persona].name;
    match &step.action {
        Action::User(persona, event) => apply(sim, *persona, event),
        Action::Graph(persona, fault) => {
            sim.add_line(&format!("{}: {fault:?}", name(persona)));
            inject(sim, *persona, fault);
        }
        Action::Ledger(persona, fault) => {
            sim.add_line(&format!("{}: ledger {fault:?}", name(persona)));
            let user = if *fault == LedgerFault::ListFails { Uuid::nil() } else { sim.user_id(*persona) };
            sim.ledger.arm(user, *fault);
        }
        Action::Crash(persona, crash) => {
            sim.add_line(&format!("{}: {crash:?}", name(persona)));
            sim.crashes.lock().unwrap().push((sim.user_id(*persona), *crash));
        }
        Action::Queue(persona, fault) => {
            sim.add_line(&format!("{}: {fault:?}", name(persona)));
            sim.queue_faults.lock().unwrap().push((sim.user_id(*persona), *fault));
        }
        Action::SweepFault(kind, times) => {
            sim.add_line(&format!("the sweep: {kind:?} x {times}"));
            sim.sandbox.inject(Fault::on("GET", "/v1.0/users?", kind.clone()).times(*times));
        }
        Action::MailboxShut(lasts) => {
            sim.add_line(&format!("the mailbox is shut for {} minutes", lasts.as_secs() / 60));
            sim.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
            let (shut, lasts) = (sim.clone(), *lasts);
            tokio::spawn(async move {
                tokio::time::sleep(lasts).await;
                shut.sandbox.edit(|tenant| tenant.send_denied = None);
            });
        }
        Action::Sweep => {
            let day = sim.elapsed().as_secs() / DAY.as_secs();
            if !sim.scenario.config.without_sweeps.contains(&day) {
                sim.spawn(sim.clone().sweep());
            }
        }
    }
}

fn inject(sim: &Simulation, persona: PersonaIndex, fault: &GraphFault) {
    let user = sim.user_id(persona);
    let passes = format!("{user}/authentication");
    let Persona { name, .. } = sim.scenario.personas[persona];
    let address = sim.scenario.personas[persona].address();
    let GraphFault { operation, kind, nth, times } = fault.clone();
    let fault = match operation {
        Operation::ReadUser => Fault::on("POST", "/$batch", kind.clone()).body(&user.to_string()),
        Operation::ReadPart(part) => Fault::on("GET", &format!("/users/{user}{part}"), kind.clone()),
        Operation::CreatePass => Fault::on("POST", &passes, kind.clone()),
        Operation::DeletePass => Fault::on("DELETE", &passes, kind.clone()),
        Operation::SendMail => match sim.scenario.config.delivery {
            Delivery::Mail => Fault::on("POST", "sendMail", kind.clone()).body(&address),
            Delivery::Split => {
                Fault::on("POST", "sendMail", kind.clone()).body(&format!("code for {name}: please"))
            }
            Delivery::Webhook => Fault::on("POST", "/delivery", kind.clone()).body(&user.to_string()),
        },
        Operation::SendNote => Fault::on("POST", "sendMail", kind.clone()).body(&format!("{name} has ")),
        Operation::SendAlert => Fault::on("POST", "sendMail", kind.clone()).body(SERVICE_DESK),
        Operation::WriteRecord => return,
    };
    let fault = fault.nth(nth).times(times);
    // The product assumes that replicas lag for less than ten minutes.
    sim.sandbox.inject(if kind == FaultKind::Stale {
        fault.lasting(Duration::from_secs(480))
    } else {
        fault
    });
}

fn apply(sim: &Arc<Simulation>, index: PersonaIndex, event: &UserEvent) {
    let (persona, user, now) = (&sim.scenario.personas[index], sim.user_id(index), sim.now());
    let hire_dates = sim.scenario.config.hire_dates;
    if persona.removed {
        return;
    }
    sim.add_line(&format!("{} ({user}): {event:?}", persona.name));
    let change = |change: &dyn Fn(&mut Person)| {
        sim.sandbox.edit(|tenant| tenant.change(user, change));
    };
    match event {
        UserEvent::DayOneMoved(days) => {
            change(&|person| person.hire_date = Some(persona.hire_date(*days, hire_dates, now)));
        }
        UserEvent::DayOneRemoved => change(&|person| person.hire_date = None),
        UserEvent::Disabled => change(&|person| person.enabled = false),
        UserEvent::Enabled => change(&|person| person.enabled = true),
        UserEvent::Deleted => {
            record_end_by_person(sim, user);
            sim.sandbox.edit(|tenant| tenant.delete(user));
        }
        UserEvent::Recreated(days) => recreate(sim, index, *days),
        UserEvent::SignsIn => sign_in(sim, user),
        UserEvent::HelpdeskPass(minutes) => {
            if sim.sandbox.edit(|tenant| tenant.users.contains_key(&user)) {
                record_end_by_person(sim, user);
                let spec = PassSpec::opening(now).lasting(*minutes);
                sim.sandbox.edit(|tenant| tenant.add_pass(user, spec));
                let pass = sim.sandbox.passes().into_iter().find(|pass| pass.user == user).unwrap();
                sim.trace().passes.push(TrackedPass {
                    pass,
                    created_by: Initiator::Person,
                    ended_by: None,
                    ended_at: None,
                    returned_to_caller: false,
                });
            }
        }
        UserEvent::PassDeleted => {
            record_end_by_person(sim, user);
            sim.sandbox.edit(|tenant| tenant.delete_pass(user));
        }
        UserEvent::CreateTap => sim.spawn(sim.clone().create_tap(user)),
        UserEvent::AddedToGroup => {
            sim.sandbox.edit(|tenant| tenant.add_member(sim.group, user));
            // One notification in four is lost; then the next sweep must find the new member.
            let is_notified = now.timestamp() % 4 > 0;
            sim.trace().added_to_group.entry(user).or_insert((now, is_notified));
            if is_notified {
                sim.enqueue(Job::group_add(user, now, &now.timestamp().to_string()).to_message());
            }
        }
        UserEvent::RemovedFromGroup => sim.sandbox.edit(|tenant| tenant.remove_member(sim.group, user)),
        UserEvent::AdminRoleAssigned => {
            sim.sandbox.edit(|tenant| tenant.assign_role(user, roles::GLOBAL_ADMINISTRATOR));
        }
        UserEvent::AddressChanged(index) => {
            let address = persona.address_at(*index);
            sim.addresses.lock().unwrap().insert((user, address.clone()));
            change(&|person| person.other_mails = vec![address.clone()]);
        }
        UserEvent::AddressRemoved => change(&|person| person.other_mails.clear()),
        UserEvent::Renamed(number) => change(&|person| {
            person.user_principal_name = persona.sign_in_name(*number);
        }),
        UserEvent::PlaceChanged(index) => {
            change(&|person| person.usage_location = Some(COUNTRIES[*index].0.to_owned()));
        }
        UserEvent::ManagerChanged => {
            let manager = sim.sandbox.edit(|tenant| {
                let known = tenant.find_user("ines.vogt@contoso.example").map(|person| person.id);
                known.unwrap_or_else(|| tenant.add_mailbox(Person::named("Ines Vogt")))
            });
            change(&|person| person.manager = Some(manager));
        }
        UserEvent::AdminRoleRemoved => {
            sim.sandbox.edit(|tenant| tenant.roles.retain(|held| held.principal != user));
        }
    }
}

/// Deletes the account and creates a new one, which replicas show after 90 seconds.
fn recreate(sim: &Simulation, index: PersonaIndex, days: i64) {
    let (persona, user, now) = (&sim.scenario.personas[index], sim.user_id(index), sim.now());
    let manager = sim.sandbox.edit(|tenant| tenant.find_user("grace.hall@contoso.example").map(|p| p.id));
    record_end_by_person(sim, user);
    let id = sim.sandbox.edit(|tenant| {
        tenant.delete(user);
        let hire_dates = sim.scenario.config.hire_dates;
        let person = account(persona, &sim.scenario.config, now, manager.unwrap_or_default());
        let until = now + TimeDelta::seconds(90);
        tenant.add(person.hire_date(persona.hire_date(days, hire_dates, now)).replicating_until(until))
    });
    sim.ids.lock().unwrap()[index] = id;
    sim.earlier_ids.lock().unwrap().push((index, user));
    sim.add_line(&format!("{} has the new account {id}", persona.name));
}

/// Records that a person is about to end the user's pass, if there is one.
fn record_end_by_person(sim: &Simulation, user: Uuid) {
    immediate::check_pass_events(sim);
    let pass = sim.sandbox.passes().into_iter().find(|pass| pass.user == user);
    if let Some(pass) = pass {
        sim.trace().end_pass(pass.id, Initiator::Person, sim.now());
    }
}

/// Signs in with the newest code that the user was mailed, if its pass works.
fn sign_in(sim: &Simulation, user: Uuid) {
    immediate::check_pass_events(sim);
    let sent = sim.sent();
    let was_mailed = |tracked: &TrackedPass| {
        let code = html_escaped(tracked.pass.code.reveal());
        tracked.pass.user == user && sent.iter().any(|sent| sent.content.contains(&code))
    };
    let newest = sim.trace().passes.iter().rev().find(|tracked| was_mailed(tracked)).map(|t| t.pass.clone());
    let Some(pass) = newest else { return };
    let current = sim.sandbox.passes().into_iter().find(|current| current.id == pass.id);
    let works = current.is_some_and(|current| current.is_usable(sim.now()));
    sim.add_line(if works { "sign-in succeeded" } else { "sign-in failed" });
    if works {
        let now = sim.now();
        sim.used.lock().unwrap().insert(pass.id, now);
        sim.sandbox.edit(|tenant| {
            tenant.use_pass(pass.id, now);
            // Graph gives the Authenticator no date.
            tenant.change(user, |person| person.methods.push(Method::of("microsoftAuthenticator")));
        });
    }
}
