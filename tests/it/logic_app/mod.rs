//! Compares the Logic App with firstpass on the same tenant with the same faults: what does the joiner have on day one?
//! This also makes the table in docs/COMPARISON.md.

mod cases;
mod model;

use std::fmt;

use self::cases::{Case, Flow, run};

/// What a joiner has at 09:30 on day one in their time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The newest mail has a code that works; it also worked for `days_before` days before day one.
    WorkingCode { mails: usize, days_before: i64 },
    /// The newest mail has a code that works right after the joiner was added to the on-demand group.
    WorkingCodeAtOnce { mails: usize },
    /// The newest mail has a code that does not work.
    ExpiredCode,
    /// There is no mail.
    Nothing(WithoutMail),
    /// Only some of the joiners have a working code; the others have nothing.
    OnlySome { served: usize, of: usize },
}

/// What there is instead of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutMail {
    NoTrace,
    /// A working pass whose code is in no mail.
    UnknownPass,
    /// A mail to the service desk.
    Alert,
}

use Received::{ExpiredCode, Nothing, OnlySome, WorkingCode, WorkingCodeAtOnce};
use WithoutMail::{Alert, NoTrace, UnknownPass};

/// One mail with a code that opens on day one.
const IDEAL: Received = WorkingCode { mails: 1, days_before: 0 };

impl fmt::Display for Received {
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
            ExpiredCode => f.write_str("A code that has expired on day one."),
            Nothing(NoTrace) => f.write_str("Nothing."),
            Nothing(UnknownPass) => f.write_str("Nothing; a working pass remains, and no mail has its code."),
            Nothing(Alert) => f.write_str("Nothing; the service desk gets an alert."),
            OnlySome { served, of } => write!(f, "{served} of {of} get a code that works on day one."),
        }
    }
}

/// Asserts what the joiner has in this case with each of them.
async fn assert_received(case: Case, logic_app: Received, firstpass: Received) {
    let received = (run(case, Flow::LogicApp).await, run(case, Flow::Firstpass).await);
    assert_eq!(received, (logic_app, firstpass), "{case:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_joiner_gets_a_working_code_from_both() {
    assert_received(Case::Ordinary, WorkingCode { mails: 1, days_before: 6 }, IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_mail_is_lost_by_the_logic_app_and_retried_by_firstpass() {
    assert_received(Case::MailDown, Nothing(UnknownPass), IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_without_a_manager_gets_no_mail_from_the_logic_app() {
    assert_received(Case::NoManager, Nothing(NoTrace), IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_without_an_address_is_alerted_only_by_firstpass() {
    assert_received(Case::NoAddress, Nothing(UnknownPass), Nothing(Alert)).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_pass_stops_the_logic_app() {
    assert_received(Case::ExpiredPass, Nothing(NoTrace), IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn the_default_policy_refuses_the_lifetime_of_the_logic_app() {
    assert_received(Case::DefaultPolicy, Nothing(NoTrace), IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_within_the_default_policy_expires_before_day_one_in_the_logic_app() {
    assert_received(Case::DefaultPolicyHeeded, ExpiredCode, IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_moved_hire_date_leaves_an_expired_code_in_the_logic_app() {
    assert_received(Case::Moved, ExpiredCode, WorkingCode { mails: 2, days_before: 0 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_created_two_days_ahead_is_missed_by_the_logic_app() {
    assert_received(Case::Late, Nothing(NoTrace), IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn the_logic_app_serves_100_of_101_joiners() {
    assert_received(Case::Many, OnlySome { served: 100, of: 101 }, IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeated_group_event_sends_one_mail_in_both() {
    let one = WorkingCodeAtOnce { mails: 1 };
    assert_received(Case::ReplayedEvent, one, one).await;
}

#[tokio::test(start_paused = true)]
async fn in_los_angeles_the_code_of_the_logic_app_expires_at_nine() {
    assert_received(Case::LosAngeles, ExpiredCode, IDEAL).await;
}

#[tokio::test(start_paused = true)]
async fn in_auckland_both_codes_work() {
    assert_received(Case::Auckland, WorkingCode { mails: 1, days_before: 5 }, IDEAL).await;
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COMPARISON.md");
const BEGIN: &str = "<!-- made by the test `the_comparison_page_is_current` -->\n";
const END: &str = "<!-- end -->\n";

#[tokio::test(start_paused = true)]
async fn the_comparison_page_is_current() {
    let mut table = String::from("| case | the Logic App | firstpass |\n|---|---|---|\n");
    for case in Case::ALL {
        let (logic_app, firstpass) = (run(case, Flow::LogicApp).await, run(case, Flow::Firstpass).await);
        let (title, why) = case.texts();
        table += &format!("| {title} | {logic_app} {why} | {firstpass} |\n");
    }
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a switch of this test only")]
    if std::env::var_os("UPDATE_COMPARISON").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        written, table,
        "docs/COMPARISON.md is out of date: UPDATE_COMPARISON=1 cargo test --test it the_comparison"
    );
}
