//! Draws a scenario from its seed.

use std::{ops::Range, time::Duration};

use firstpass_sandbox::tenant::FaultKind;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    personas::{COUNTRIES, Persona, draw_personas},
    races::draw_race,
    scenario::{
        Action, Config, Crash, DAY_MS, DAYS, Delivery, GraphFault, HireDates, LedgerFault, Operation,
        PersonaIndex, QueueFault, Scenario, Step, Told, UserEvent,
    },
};

/// The scenario of a seed. The order of the draws matters: a change to it gives every seed another scenario.
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = StdRng::seed_from_u64(seed);
    let quiet = seed.is_multiple_of(10);
    let config = Config {
        pass_starts_now: one_in(&mut rng, 8),
        one_time: !one_in(&mut rng, 4),
        serve_disabled: !one_in(&mut rng, 6),
        refuse_second_pass: one_in(&mut rng, 5),
        sign_ins_readable: one_in(&mut rng, 2),
        latency: Duration::from_millis(*pick(&mut rng, &[0, 100, 700, 2_000])),
        workers: *pick(&mut rng, &[1, 2, 2, 4]),
        hire_dates: *pick(
            &mut rng,
            &[HireDates::Midnight, HireDates::Midnight, HireDates::Noon, HireDates::Office],
        ),
        without_sweeps: draw_gap(&mut rng),
        told: if seed % 7 == 4 { Told::Copy } else { Told::Note },
        delivery: match seed % 7 {
            5 => Delivery::Split,
            6 => Delivery::Webhook,
            _ => Delivery::Mail,
        },
        mails_per_minute: if seed % 5 == 3 { 2 } else { 30 },
    };
    let personas = draw_personas(&mut rng);
    let mut steps = regular_events(&personas);
    if !quiet {
        // Most faults affect one persona on one day, so that they interact.
        let (focus, day) = (rng.random_range(0..personas.len()), rng.random_range(0..DAYS));
        for _ in 0..rng.random_range(3..16) {
            let persona = if one_in(&mut rng, 3) { rng.random_range(0..personas.len()) } else { focus };
            let day = if one_in(&mut rng, 2) { rng.random_range(0..DAYS) } else { day };
            steps.extend(draw_steps(&mut rng, persona, day));
        }
    }
    if seed % 4 == 3 && !quiet {
        steps.extend(draw_changes(seed, &personas));
    }
    if seed % 3 == 1 && !quiet {
        steps.extend(draw_note_faults(seed, &personas));
    }
    if seed % 5 == 2 && !quiet {
        steps.extend(draw_shut_mailbox(seed));
    }
    if seed % 4 == 1 || seed % 40 == 10 {
        steps.extend(frequent_sweeps());
    }
    // A stable sort keeps the drawn order of steps at the same time.
    steps.sort_by_key(|step| step.at);
    Scenario { seed, quiet, config, personas, steps }
}

/// In one of four scenarios, what mails rest on changes. These draws are apart, so that the others stay as they are.
fn draw_changes(seed: u64, personas: &[Persona]) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x000C_4A16_E5ED);
    let count = rng.random_range(1..7);
    let draw = |number| {
        let rng = &mut rng;
        let persona = if one_in(rng, 3) { rng.random_range(0..personas.len()) } else { 0 };
        let event = match rng.random_range(0..9) {
            0..4 => UserEvent::AddressChanged(rng.random_range(0..3)),
            4 => UserEvent::AddressRemoved,
            5 | 6 => UserEvent::Renamed(number),
            7 => UserEvent::PlaceChanged(rng.random_range(0..COUNTRIES.len())),
            _ => UserEvent::ManagerChanged,
        };
        let at = Duration::from_millis(rng.random_range(0..DAYS * DAY_MS));
        Step { at, action: Action::User(persona, event) }
    };
    (0..count).map(draw).collect()
}

/// In one of three scenarios, notes to the manager fail. These draws are apart, too.
fn draw_note_faults(seed: u64, personas: &[Persona]) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x0000_7E55);
    let count = rng.random_range(1..4);
    let draw = |_| {
        let rng = &mut rng;
        let kind = draw_fault_kind(rng, Operation::SendMail);
        let fault =
            GraphFault { operation: Operation::SendNote, kind, nth: 1, times: rng.random_range(1..12) };
        let at = Duration::from_millis(rng.random_range(0..DAYS * DAY_MS));
        Step { at, action: Action::Graph(rng.random_range(0..personas.len()), fault) }
    };
    (0..count).map(draw).collect()
}

/// In one of five scenarios, Exchange denies the app to send, once or twice. These draws are apart, too.
fn draw_shut_mailbox(seed: u64) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5_4417);
    let count = rng.random_range(1..3);
    let draw = |_| {
        let (at, minutes) = (rng.random_range(0..DAYS * DAY_MS), rng.random_range(1..3_000));
        let shut = Action::MailboxShut(Duration::from_secs(minutes * 60));
        Step { at: Duration::from_millis(at), action: shut }
    };
    (0..count).map(draw).collect()
}

/// In one of six scenarios, the timer stops for two or three days.
fn draw_gap(rng: &mut StdRng) -> Range<u64> {
    if !one_in(rng, 6) {
        return 0..0;
    }
    let first = rng.random_range(1..3);
    first..first + rng.random_range(2..4)
}

pub fn one_in(rng: &mut StdRng, n: u32) -> bool {
    rng.random_range(0..n) == 0
}

pub fn pick<'a, T>(rng: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// A sweep every three hours, besides the daily one.
fn frequent_sweeps() -> impl Iterator<Item = Step> {
    (1..DAYS * 8).filter(|n| n % 8 > 0).map(|n| {
        let at = Duration::from_millis(n * DAY_MS / 8) + Duration::from_secs(10);
        Step { at, action: Action::Sweep }
    })
}

/// What happens without faults: one hour into day one, disabled accounts are enabled; four hours later, every second
/// person signs in.
pub fn regular_events(personas: &[Persona]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, persona) in personas.iter().enumerate() {
        let Some(day) = persona.day_one.and_then(|day| u64::try_from(day).ok()) else { continue };
        let at = |hours: u64| Duration::from_millis(day * DAY_MS) + Duration::from_secs(hours * 3_600);
        if persona.starts_disabled() {
            steps.push(Step { at: at(1), action: Action::User(index, UserEvent::Enabled) });
        }
        if index % 2 == 0 {
            steps.push(Step { at: at(5), action: Action::User(index, UserEvent::SignsIn) });
        }
    }
    steps
}

fn draw_steps(rng: &mut StdRng, persona: PersonaIndex, day: u64) -> Vec<Step> {
    // At any time of the day, or shortly before or after the sweep.
    let at = Duration::from_millis(match rng.random_range(0..4) {
        0 => day * DAY_MS + rng.random_range(0..DAY_MS),
        1 => day * DAY_MS + 10_000 + rng.random_range(0..400_000),
        2 => day * DAY_MS + 10_000 + rng.random_range(0..6_000),
        _ => day * DAY_MS + rng.random_range(0..10_000),
    });
    // Faults are armed before the sweep.
    let armed_at = Duration::from_millis(day * DAY_MS + rng.random_range(0..9_000));
    let step = |at, action| vec![Step { at, action }];
    match rng.random_range(0..23) {
        0..9 => {
            let event = draw_user_event(rng);
            let mut steps = step(at, Action::User(persona, event.clone()));
            // A request for a pass gets a fault of its own in half of the cases.
            if matches!(event, UserEvent::CreateTap | UserEvent::AddedToGroup) && one_in(rng, 2) {
                let action = if one_in(rng, 2) {
                    Action::Graph(persona, draw_graph_fault(rng))
                } else {
                    Action::Crash(persona, draw_crash(rng))
                };
                steps.insert(0, Step { at: at.saturating_sub(Duration::from_millis(5)), action });
            }
            steps
        }
        9..14 => step(armed_at, Action::Graph(persona, draw_graph_fault(rng))),
        14..16 => step(armed_at, Action::Ledger(persona, draw_ledger_fault(rng))),
        16..18 => step(armed_at, Action::Crash(persona, draw_crash(rng))),
        18 | 19 => {
            let fault = match rng.random_range(0..3) {
                0 => QueueFault::Duplicated,
                1 => QueueFault::Delayed(Duration::from_secs(rng.random_range(1..5_400))),
                // After the first delivery should have ended, or (more often) while it runs.
                _ if one_in(rng, 3) => {
                    QueueFault::Redelivered(Duration::from_millis(rng.random_range(0..400_000)))
                }
                _ => QueueFault::Redelivered(Duration::from_millis(rng.random_range(0..10_000))),
            };
            step(armed_at, Action::Queue(persona, fault))
        }
        20 | 21 => draw_race(rng, persona, day),
        _ if one_in(rng, 2) => {
            let kind = draw_fault_kind(rng, Operation::ReadUser);
            step(armed_at, Action::SweepFault(kind, rng.random_range(1..6)))
        }
        _ => step(at, Action::Sweep),
    }
}

fn draw_user_event(rng: &mut StdRng) -> UserEvent {
    match rng.random_range(0..20) {
        0..4 => UserEvent::DayOneMoved(rng.random_range(-4..9)),
        4 => UserEvent::DayOneMoved(*pick(rng, &[20, -20])),
        5 => UserEvent::DayOneRemoved,
        6 => UserEvent::Disabled,
        7 => UserEvent::Enabled,
        8 => UserEvent::Deleted,
        9 => UserEvent::Recreated(rng.random_range(-2..6)),
        10 => UserEvent::SignsIn,
        11 | 12 => UserEvent::HelpdeskPass(*pick(rng, &[91, 119, 307])),
        13 => UserEvent::PassDeleted,
        14 | 15 => UserEvent::CreateTap,
        16 | 17 => UserEvent::AddedToGroup,
        18 => UserEvent::RemovedFromGroup,
        _ => pick(rng, &[UserEvent::AdminRoleAssigned, UserEvent::AdminRoleRemoved]).clone(),
    }
}

fn draw_graph_fault(rng: &mut StdRng) -> GraphFault {
    let operation = *pick(
        rng,
        &[
            Operation::ReadUser,
            Operation::ReadPart(""),
            Operation::ReadPart("/authentication"),
            Operation::ReadPart("/transitiveMemberOf"),
            Operation::ReadPart("/manager"),
            Operation::CreatePass,
            Operation::CreatePass,
            Operation::CreatePass,
            Operation::DeletePass,
            Operation::SendMail,
            Operation::SendMail,
            Operation::SendMail,
            Operation::SendAlert,
        ],
    );
    let kind = draw_fault_kind(rng, operation);
    let times = match kind {
        // The fault's duration limits it, not its count.
        FaultKind::Stale => 100,
        // The flow retries a 404 for a limited time only, and renews its token once.
        FaultKind::Fail { status: 404 | 401, .. } => rng.random_range(1..3),
        _ => rng.random_range(1..6),
    };
    GraphFault { operation, kind, nth: rng.random_range(1..3), times }
}

fn draw_fault_kind(rng: &mut StdRng, operation: Operation) -> FaultKind {
    let is_write = matches!(operation, Operation::CreatePass | Operation::DeletePass | Operation::SendMail);
    let is_part = matches!(operation, Operation::ReadPart(_));
    let throttle = |after: Option<&str>| FaultKind::Throttle { retry_after: after.map(str::to_owned) };
    let fail = |status, code: &str| FaultKind::Fail { status, code: code.into(), message: "injected".into() };
    let seconds = Duration::from_secs;
    match rng.random_range(0..16) {
        0 => throttle(None),
        1 => throttle(Some("2.128")),
        2 => throttle(Some("118")),
        3 => fail(*pick(rng, &[500, 502, 503, 504]), "generalException"),
        4 if operation == Operation::ReadUser => fail(500, "InternalServerError"),
        4 => fail(404, "Request_ResourceNotFound"),
        5 => fail(401, "InvalidAuthenticationToken"),
        6 if is_write => fail(*pick(rng, &[400, 403]), "badRequest"),
        6 | 7 if is_part => FaultKind::Stale,
        7..9 => FaultKind::FailAfter { status: *pick(rng, &[500, 502, 504]) },
        9 => FaultKind::Refuse,
        10 => FaultKind::DelayAfter(seconds(*pick(rng, &[5, 29, 45]))),
        11 | 12 => FaultKind::Delay(seconds(*pick(rng, &[3, 29, 45, 400, 1_800]))),
        _ => FaultKind::LoseAnswer,
    }
}

fn draw_ledger_fault(rng: &mut StdRng) -> LedgerFault {
    let nth = rng.random_range(1..4);
    match rng.random_range(0..7) {
        0 => LedgerFault::ReadFails(nth),
        1 | 2 => LedgerFault::WriteFails(nth),
        3 | 4 => LedgerFault::WriteAnswerLost(nth),
        5 => LedgerFault::WriteConflicts(nth),
        _ => LedgerFault::ListFails,
    }
}

fn draw_crash(rng: &mut StdRng) -> Crash {
    if one_in(rng, 3) {
        return Crash::After(Duration::from_millis(*pick(rng, &[0, 10, 100, 500, 2_000, 30_000])));
    }
    let operation = *pick(
        rng,
        &[
            Operation::ReadUser,
            Operation::CreatePass,
            Operation::CreatePass,
            Operation::SendMail,
            Operation::SendMail,
            Operation::DeletePass,
            Operation::WriteRecord,
        ],
    );
    let nth = if operation == Operation::WriteRecord { rng.random_range(1..4) } else { 1 };
    Crash::At { operation, nth, when_done: one_in(rng, 2) }
}
