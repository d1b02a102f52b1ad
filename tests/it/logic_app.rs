//! The Logic App beside firstpass: the same tenant, the same bad luck, and what the joiner has in hand when they sit
//! down on day one. The table in docs/COMPARISON.md is made here.

mod cases;
mod model;

use std::fmt;

use self::cases::{Case, Flow, play};

/// What a joiner has at half past nine on day one, by their own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// The newest mail has a code that works; how long it worked before the day began.
    WorkingCode { mails: usize, days_before: i64 },
    /// The newest mail has a code that works right after they were added to the on-demand group.
    WorkingCodeAtOnce { mails: usize },
    /// The newest mail has a code that does not work.
    DeadCode,
    /// No mail.
    Nothing(Silence),
    /// Not all joiners have a working code; the others have nothing.
    OnlySome { served: usize, of: usize },
}

/// What there is instead of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing at all.
    Complete,
    /// A pass that can be signed in with, whose code is in no mail.
    WithAPassNobodyKnows,
    /// A mail to the service desk.
    WithAnAlert,
}

use Got::{DeadCode, Nothing, OnlySome, WorkingCode, WorkingCodeAtOnce};
use Silence::{Complete, WithAPassNobodyKnows, WithAnAlert};

/// One mail, and a code that opens on day one.
const AS_IT_SHOULD_BE: Got = WorkingCode { mails: 1, days_before: 0 };

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkingCode { mails: 1, days_before: 0 } => f.write_str("A code that works on day one."),
            WorkingCode { mails: 1, days_before } => {
                write!(f, "A code that works on day one, and for {days_before} days before.")
            }
            WorkingCode { mails, .. } => {
                write!(f, "{mails} mails; the code in the newest works on day one.")
            }
            WorkingCodeAtOnce { mails: 1 } => f.write_str("One mail, with a code that works at once."),
            WorkingCodeAtOnce { mails } => write!(f, "{mails} mails; the code in the newest works at once."),
            DeadCode => f.write_str("A code that is dead on day one."),
            Nothing(Complete) => f.write_str("Nothing."),
            Nothing(WithAPassNobodyKnows) => {
                f.write_str("Nothing; a working pass stays behind that nobody knows.")
            }
            Nothing(WithAnAlert) => f.write_str("Nothing; the service desk is told why."),
            OnlySome { served, of } => write!(f, "{served} of {of} get a code that works on day one."),
        }
    }
}

/// The same case in both worlds.
async fn assert_got(case: Case, logic_app: Got, firstpass: Got) {
    let there = play(case, Flow::LogicApp).await;
    let here = play(case, Flow::Firstpass).await;
    assert_eq!((there, here), (logic_app, firstpass), "{case:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_joiner_gets_a_working_code_from_both() {
    assert_got(Case::Ordinary, WorkingCode { mails: 1, days_before: 6 }, AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_fails_after_the_pass_was_made_is_lost_there_and_made_good_here() {
    assert_got(Case::MailDown, Nothing(WithAPassNobodyKnows), AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_without_a_manager_gets_nothing_there() {
    assert_got(Case::NoManager, Nothing(Complete), AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_without_an_address_gets_nothing_anywhere_but_here_somebody_hears_of_it() {
    assert_got(Case::NoAddress, Nothing(WithAPassNobodyKnows), Nothing(WithAnAlert)).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_pass_stands_in_the_way_there() {
    assert_got(Case::ExpiredPass, Nothing(Complete), AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn the_default_policy_refuses_the_lifetime_there() {
    assert_got(Case::DefaultPolicy, Nothing(Complete), AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_that_the_default_policy_allows_is_over_long_before_day_one_there() {
    assert_got(Case::DefaultPolicyHeeded, DeadCode, AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_hire_date_that_moves_by_three_days_leaves_a_dead_code_there() {
    assert_got(Case::Moved, DeadCode, WorkingCode { mails: 2, days_before: 0 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_who_turns_up_two_days_before_is_never_seen_there() {
    assert_got(Case::Late, Nothing(Complete), AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn of_101_joiners_there_are_100_served_there() {
    assert_got(Case::Many, OnlySome { served: 100, of: 101 }, AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn a_replayed_group_event_does_no_harm_in_either() {
    let one = WorkingCodeAtOnce { mails: 1 };
    assert_got(Case::ReplayedEvent, one, one).await;
}

#[tokio::test(start_paused = true)]
async fn in_los_angeles_the_code_dies_at_nine_on_day_one_there() {
    assert_got(Case::LosAngeles, DeadCode, AS_IT_SHOULD_BE).await;
}

#[tokio::test(start_paused = true)]
async fn in_auckland_both_codes_work() {
    assert_got(Case::Auckland, WorkingCode { mails: 1, days_before: 5 }, AS_IT_SHOULD_BE).await;
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COMPARISON.md");
const BEGIN: &str = "<!-- made by the test `the_comparison_says_what_happens` -->\n";
const END: &str = "<!-- end -->\n";

#[tokio::test(start_paused = true)]
async fn the_comparison_says_what_happens() {
    let mut table = String::from("| case | the Logic App | firstpass |\n|---|---|---|\n");
    for case in Case::ALL {
        let (there, here) = (play(case, Flow::LogicApp).await, play(case, Flow::Firstpass).await);
        let (title, why) = case.words();
        table += &format!("| {title} | {there} {why} | {here} |\n");
    }
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    #[expect(clippy::disallowed_methods, reason = "no setting of firstpass's, and only here")]
    if std::env::var_os("UPDATE_COMPARISON").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        written, table,
        "docs/COMPARISON.md is out of date: UPDATE_COMPARISON=1 cargo test --test it the_comparison"
    );
}
