//! A story before it is played: who is in it, and what happens when. A seed decides it all, so that steps can be left
//! out one by one while the rest stays as it is.

use std::{fmt, time::Duration};

use firstpass_sandbox::tenant::FaultKind;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    personas::{Actor, draw_cast},
    scenarios::draw_plot,
};

/// A place in the cast.
pub type Who = usize;

/// How many days a story has before it turns calm.
pub const DAYS: u64 = 5;
pub const DAY: u64 = 24 * 3_600_000;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Nothing happens but what joiners do.
    pub quiet: bool,
    pub house: House,
    pub cast: Vec<Actor>,
    pub steps: Vec<Step>,
}

/// How the tenant and firstpass are set up.
#[derive(Clone, Debug)]
pub struct House {
    pub start_now: bool,
    pub one_time: bool,
    pub serve_disabled: bool,
    pub refuse_when_exists: bool,
    pub latency: Duration,
    pub workers: usize,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// Since the story began; the first sweep comes ten seconds after that.
    pub at: Duration,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Something happens to a person.
    Life(Who, Life),
    /// Requests to Graph about a person go wrong.
    Graph(Who, GraphFault),
    /// So do calls to the ledger.
    Ledger(Who, LedgerFault),
    /// The next worker with a job for the person dies.
    Crash(Who, Crash),
    /// The queue plays tricks with the person's next message.
    Queue(Who, Trick),
    /// The sweep's own requests go wrong.
    SweepFault(FaultKind, u32),
    /// The timer fires once more.
    Sweep,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    /// Day one is now that many days from today.
    Moved(i64),
    Cancelled,
    Disabled,
    Enabled,
    Deleted,
    /// The same person again, with a new account that takes its time to reach all replicas.
    Rehired(i64),
    /// They sign in with the newest code in their mails, if it works.
    SignsIn,
    /// The helpdesk makes a pass in the portal, for that many minutes.
    Helpdesk(i64),
    PassDeleted,
    CreateTap,
    JoinsGroup,
    LeavesGroup,
    BecomesAdmin,
    IsNoAdmin,
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The batch that reads the person.
    Read,
    /// A part of it: `/users/{id}` followed by this.
    Part(&'static str),
    /// POST of a pass.
    Make,
    /// DELETE of a pass.
    Unmake,
    /// The mail to the person.
    Mail,
    /// The mail to the service desk.
    Alert,
    /// Not a request to Graph: a write to the ledger.
    Write,
}

#[derive(Clone, Debug)]
pub struct GraphFault {
    pub call: Call,
    pub kind: FaultKind,
    pub nth: u32,
    pub times: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFault {
    /// The `nth` read fails.
    NoRead(u32),
    /// The `nth` write fails before it is done.
    NoWrite(u32),
    /// The `nth` write is done and its answer lost.
    LostWrite(u32),
    /// The `nth` write finds another version than there is.
    Conflict(u32),
    /// The next list fails.
    NoList,
}

#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// So long after it began.
    After(Duration),
    /// Right before or after this, whichever time it is.
    At { call: Call, nth: u32, done: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Two copies.
    Twice,
    /// Visible that much later.
    Late(Duration),
    /// Delivered again while the first worker lives, so long after it began.
    Overlap(Duration),
}

impl Step {
    /// Whose fault it is, and how often it can go off.
    pub fn fault(&self) -> Option<(Option<Who>, u32)> {
        match &self.what {
            What::Life(..) | What::Sweep => None,
            // However many reads meet it, a replica that lags is one fault.
            What::Graph(who, GraphFault { kind: FaultKind::Stale, .. }) => Some((Some(*who), 1)),
            What::Graph(who, fault) => Some((Some(*who), fault.times)),
            What::Ledger(_, LedgerFault::NoList) => Some((None, 1)),
            What::Ledger(who, _) | What::Crash(who, _) | What::Queue(who, _) => Some((Some(*who), 1)),
            What::SweepFault(_, times) => Some((None, *times)),
        }
    }
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let quiet = seed.is_multiple_of(10);
        let house = House {
            start_now: one_in(&mut rng, 8),
            one_time: !one_in(&mut rng, 4),
            serve_disabled: !one_in(&mut rng, 6),
            refuse_when_exists: one_in(&mut rng, 5),
            latency: Duration::from_millis(*pick(&mut rng, &[0, 100, 700, 2_000])),
            workers: *pick(&mut rng, &[1, 2, 2, 4]),
        };
        let cast = draw_cast(&mut rng);
        let mut steps = daily_life(&cast);
        if !quiet {
            let (focus, day) = (rng.random_range(0..cast.len()), rng.random_range(0..DAYS));
            for _ in 0..rng.random_range(3..16) {
                let who = if one_in(&mut rng, 3) { rng.random_range(0..cast.len()) } else { focus };
                let day = if one_in(&mut rng, 2) { rng.random_range(0..DAYS) } else { day };
                steps.extend(draw_steps(&mut rng, who, day));
            }
        }
        // Stable, so that what was drawn first comes first.
        steps.sort_by_key(|step| step.at);
        Self { seed, quiet, house, cast, steps }
    }
}

pub fn one_in(rng: &mut StdRng, n: u32) -> bool {
    rng.random_range(0..n) == 0
}

pub fn pick<'a, T>(rng: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// What joiners and their departments do anyway: accounts are enabled in the morning of day one, and people sign in.
fn daily_life(cast: &[Actor]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (who, actor) in cast.iter().enumerate() {
        let Some(day) = actor.day_one.and_then(|day| u64::try_from(day).ok()) else { continue };
        let at = |hours: u64| Duration::from_millis(day * DAY) + Duration::from_secs(hours * 3_600);
        if actor.starts_disabled() {
            steps.push(Step { at: at(1), what: What::Life(who, Life::Enabled) });
        }
        if who % 2 == 0 {
            steps.push(Step { at: at(5), what: What::Life(who, Life::SignsIn) });
        }
    }
    steps
}

/// Something at any time of the day, or just before or after the sweep.
fn draw_steps(rng: &mut StdRng, who: Who, day: u64) -> Vec<Step> {
    let at = Duration::from_millis(match rng.random_range(0..4) {
        0 => day * DAY + rng.random_range(0..DAY),
        1 => day * DAY + 10_000 + rng.random_range(0..400_000),
        2 => day * DAY + 10_000 + rng.random_range(0..6_000),
        _ => day * DAY + rng.random_range(0..10_000),
    });
    // Faults lie in wait from before the sweep.
    let armed = Duration::from_millis(day * DAY + rng.random_range(0..9_000));
    let step = |at, what| vec![Step { at, what }];
    match rng.random_range(0..23) {
        0..9 => {
            let life = draw_life(rng);
            // Faults that meet what a person asks for, too.
            let mut steps = step(at, What::Life(who, life.clone()));
            if matches!(life, Life::CreateTap | Life::JoinsGroup) && one_in(rng, 2) {
                let what = if one_in(rng, 2) {
                    What::Graph(who, draw_graph_fault(rng))
                } else {
                    What::Crash(who, draw_crash(rng))
                };
                steps.insert(0, Step { at: at.saturating_sub(Duration::from_millis(5)), what });
            }
            steps
        }
        9..14 => step(armed, What::Graph(who, draw_graph_fault(rng))),
        14..16 => step(armed, What::Ledger(who, draw_ledger_fault(rng))),
        16..18 => step(armed, What::Crash(who, draw_crash(rng))),
        18 | 19 => {
            let trick = match rng.random_range(0..3) {
                0 => Trick::Twice,
                1 => Trick::Late(Duration::from_secs(rng.random_range(1..5_400))),
                // Soon, while it is at work; or when it should long be done.
                _ if one_in(rng, 3) => Trick::Overlap(Duration::from_millis(rng.random_range(0..400_000))),
                _ => Trick::Overlap(Duration::from_millis(rng.random_range(0..10_000))),
            };
            step(armed, What::Queue(who, trick))
        }
        20 | 21 => draw_plot(rng, who, day),
        _ if one_in(rng, 2) => {
            let kind = draw_kind(rng, Call::Read);
            step(armed, What::SweepFault(kind, rng.random_range(1..6)))
        }
        _ => step(at, What::Sweep),
    }
}

fn draw_life(rng: &mut StdRng) -> Life {
    match rng.random_range(0..20) {
        0..4 => Life::Moved(rng.random_range(0..9)),
        4 => Life::Moved(20),
        5 => Life::Cancelled,
        6 => Life::Disabled,
        7 => Life::Enabled,
        8 => Life::Deleted,
        9 => Life::Rehired(rng.random_range(1..6)),
        10 => Life::SignsIn,
        11 | 12 => Life::Helpdesk(*pick(rng, &[91, 119, 307])),
        13 => Life::PassDeleted,
        14 | 15 => Life::CreateTap,
        16 | 17 => Life::JoinsGroup,
        18 => Life::LeavesGroup,
        _ => pick(rng, &[Life::BecomesAdmin, Life::IsNoAdmin]).clone(),
    }
}

fn draw_graph_fault(rng: &mut StdRng) -> GraphFault {
    let call = *pick(
        rng,
        &[
            Call::Read,
            Call::Part(""),
            Call::Part("/authentication"),
            Call::Part("/transitiveMemberOf"),
            Call::Part("/manager"),
            Call::Make,
            Call::Make,
            Call::Make,
            Call::Unmake,
            Call::Mail,
            Call::Mail,
            Call::Mail,
            Call::Alert,
        ],
    );
    let kind = draw_kind(rng, call);
    let times = match kind {
        // A replica that lags does so for a while.
        FaultKind::Stale => 100,
        // Existing accounts are not hidden for longer than the flow waits for new ones; a token is renewed.
        FaultKind::Fail { status: 404 | 401, .. } => rng.random_range(1..3),
        _ => rng.random_range(1..6),
    };
    GraphFault { call, kind, nth: rng.random_range(1..3), times }
}

fn draw_kind(rng: &mut StdRng, call: Call) -> FaultKind {
    let changes = matches!(call, Call::Make | Call::Unmake | Call::Mail);
    let is_part = matches!(call, Call::Part(_));
    let throttle = |after: Option<&str>| FaultKind::Throttle { retry_after: after.map(str::to_owned) };
    let fail =
        |status, code: &str| FaultKind::Fail { status, code: code.into(), message: "not today".into() };
    let seconds = Duration::from_secs;
    match rng.random_range(0..16) {
        0 => throttle(None),
        1 => throttle(Some("2.128")),
        2 => throttle(Some("118")),
        3 => fail(*pick(rng, &[500, 502, 503, 504]), "generalException"),
        4 if call == Call::Read => fail(500, "InternalServerError"),
        4 => fail(404, "Request_ResourceNotFound"),
        5 => fail(401, "InvalidAuthenticationToken"),
        6 if changes => fail(*pick(rng, &[400, 403]), "badRequest"),
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
        0 => LedgerFault::NoRead(nth),
        1 | 2 => LedgerFault::NoWrite(nth),
        3 | 4 => LedgerFault::LostWrite(nth),
        5 => LedgerFault::Conflict(nth),
        _ => LedgerFault::NoList,
    }
}

fn draw_crash(rng: &mut StdRng) -> Crash {
    if one_in(rng, 3) {
        return Crash::After(Duration::from_millis(*pick(rng, &[0, 10, 100, 500, 2_000, 30_000])));
    }
    let call =
        *pick(rng, &[Call::Read, Call::Make, Call::Make, Call::Mail, Call::Mail, Call::Unmake, Call::Write]);
    let nth = if call == Call::Write { rng.random_range(1..4) } else { 1 };
    Crash::At { call, nth, done: one_in(rng, 2) }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", clock(self.at), self.what)
    }
}

/// Day and time of day since the story began.
pub fn clock(at: Duration) -> String {
    let ms = at.as_millis();
    let (day, h, m, s) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("day {day} +{h:02}:{m:02}:{s:02}.{:03}", ms % 1_000)
}
