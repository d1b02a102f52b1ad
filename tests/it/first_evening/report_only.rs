//! REPORT_ONLY: sweeps say who would get what. Afterwards everybody is served, as if there had been none.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::generate::generate;

use super::*;
use crate::helpers::{JobEnd, log_capture::capture_log};

#[tokio::test(start_paused = true)]
async fn for_days_sweeps_only_say_who_would_be_served_and_then_everybody_is_once() {
    let town = town(&[REPORT_ONLY]);
    let mut on = 0;
    for day in 0..4 {
        let (ends, log) = capture_log("info", town.app.sweep()).await;
        assert_eq!(ends, [], "day {day}");
        on += usize::from(log.contains("event=report_only.on"));
        let would: Vec<&str> = log.lines().filter(|line| line.contains("report_only.would")).collect();
        let emma = would.iter().find(|line| line.contains("emma.brooks@contoso.example")).unwrap();
        for part in ["would=issue", "opens=2026-11-27T07:00:00", "to=e…@mail.example", "day_one=2026-11-27"]
        {
            assert!(emma.contains(part), "{part}: {emma}");
        }
        assert!(log.contains("event=report_only.done") && !log.contains("emma.brooks@mail"), "{log}");
        // A second sweep of the day repeats the lines, and not that it only reports.
        let (_, again) = capture_log("info", town.app.sweep()).await;
        assert!(again.contains("report_only.would") && !again.contains("event=report_only.on"));
        town.app.advance(TimeDelta::days(1));
    }
    assert_eq!((on, passes_changed(&town.app), town.app.pass_mails().len()), (4, 0, 0));
    for user in [town.emma, town.noah, town.kim] {
        assert_eq!(town.app.record(user).await, None);
    }
    // Pia started before the first sweep: a person heard of her, and nobody of the others.
    let alerts = subjects(&town.app.alerts());
    assert!(alerts.len() == 1 && alerts[0].contains("1 person has started already"), "{alerts:?}");
    let town = town.with(&[]);
    let ends = town.app.sweep().await;
    assert_eq!(ends.iter().filter(|end| end.outcome == "delivered").count(), 2, "{ends:?}");
    // Noah's first day was in that time.
    assert_eq!(town.mailed(), names(&["emma.brooks", "noah"]));
    assert!(town.app.live_code(town.noah).is_some());
    town.app.sweep_hourly(2).await;
    assert_eq!(town.mailed(), names(&["emma.brooks", "noah"]));
    assert_eq!(town.app.alerts().len(), 1, "{:?}", subjects(&town.app.alerts()));
}

/// Whoever became too late in that time is named by the first sweep that acts.
#[tokio::test(start_paused = true)]
async fn whoever_is_too_late_afterwards_is_named() {
    let town = town(&[REPORT_ONLY, ("LATE_DAYS", "2")]);
    town.app.sweep().await;
    for _ in 0..6 {
        town.app.advance(TimeDelta::days(1));
        town.app.sweep().await;
    }
    assert_eq!(town.app.alerts().len(), 1);
    let town = town.with(&[("LATE_DAYS", "2")]);
    town.app.sweep().await;
    // Emma is a day late, Noah four.
    assert_eq!(town.mailed(), names(&["emma.brooks"]));
    let alerts = subjects(&town.app.alerts());
    assert!(alerts.len() == 2 && alerts[1].contains("started long ago"), "{alerts:?}");
    assert!(town.app.alerts()[1].to_string().contains("noah@contoso.example"));
}

/// Whoever waits for an approval is said to, and no list is kept before a sweep acts.
#[tokio::test(start_paused = true)]
async fn more_than_sweep_max_are_said_to_wait() {
    let town = town(&[REPORT_ONLY, ("SWEEP_MAX", "1")]);
    let (_, log) = capture_log("info", town.app.sweep()).await;
    assert_eq!(log.matches("would=held cause=too-many-joiners").count(), 2, "{log}");
    assert!(town.app.ledger().held_lists().await.unwrap().is_empty());
    assert!(subjects(&town.app.alerts()).iter().all(|subject| !subject.contains("Too many")));
}

/// The hand-over from another state to this one: what a live sweep has queued is found again.
#[tokio::test(start_paused = true)]
async fn jobs_that_were_queued_before_are_not_lost() {
    let town = town(&[]);
    let queued = town.app.host.fire_timer().await.jobs();
    let town = town.with(&[REPORT_ONLY]);
    for message in &queued {
        assert!(town.app.host.deliver(message, 1).await.is_success());
    }
    assert_eq!((passes_changed(&town.app), town.app.record(town.emma).await), (0, None));
    town.app.advance(TimeDelta::hours(1));
    let town = town.with(&[]);
    town.app.sweep().await;
    assert_eq!(town.mailed(), names(&["emma.brooks", "noah"]));
}

/// The first sweep that acts does the same with and without sweeps of the same day that only reported before it.
#[tokio::test(start_paused = true)]
async fn sweeps_that_only_report_leave_nothing_that_changes_a_later_one() {
    for seed in 1..=3 {
        let new = |settings: &[(&str, &str)]| TestApp::new(generate(60, seed, time(NOW)), settings);
        let sweep = async |app: &TestApp| {
            let mut ends: Vec<JobEnd> = app.sweep().await;
            ends.sort_by(|one, other| (&one.outcome, &one.why).cmp(&(&other.outcome, &other.why)));
            ends
        };
        let without = new(&[]);
        without.advance(TimeDelta::hours(5));
        let expected = sweep(&without).await;
        let with = new(&[REPORT_ONLY]);
        for _ in 0..5 {
            assert_eq!(with.sweep().await, []);
            with.advance(TimeDelta::hours(1));
        }
        assert_eq!((passes_changed(&with), with.pass_mails().len()), (0, 0));
        let with = with.with_settings(&[]);
        assert_eq!(sweep(&with).await, expected, "seed {seed}");
        assert!(expected.iter().filter(|end| end.outcome == "delivered").count() > 20, "{expected:?}");
        let to = |app: &TestApp| {
            let mails = app.pass_mails();
            let mut to: Vec<String> = mails.iter().map(|mail| to_address(mail).to_owned()).collect();
            to.sort_unstable();
            to
        };
        assert_eq!(to(&with), to(&without));
    }
}

/// What a live sweep of this day has told of itself does not keep the next one that acts from looking at everyone.
#[tokio::test(start_paused = true)]
async fn a_sweep_whose_jobs_were_skipped_did_not_look_at_everyone() {
    let town = town(&[]);
    town.app.sweep().await;
    town.app.advance(TimeDelta::days(1));
    let queued = town.app.host.fire_timer().await.jobs();
    assert!(queued.iter().any(|message| message.contains("dailyLook")), "{queued:?}");
    let town = town.with(&[REPORT_ONLY]);
    for message in &queued {
        assert!(town.app.host.deliver(message, 1).await.is_success());
    }
    let (conditions, _) = town.app.ledger().conditions().await.unwrap().unwrap();
    assert_eq!(conditions.looked_at, None);
}

/// Two hundred lines at most, and whoever starts soon comes before those whom no sweep serves.
#[tokio::test(start_paused = true)]
async fn the_lines_are_few_and_the_nearest_first_days_come_first() {
    let (mut tenant, _) = tenant_with_emma();
    for n in 0..150 {
        joiner(&mut tenant, &format!("Soon{n}"), "2026-11-26");
        joiner(&mut tenant, &format!("Past{n}"), "2026-11-12");
    }
    let app = TestApp::new(tenant, &[REPORT_ONLY, ("SWEEP_MAX", "1000")]);
    let (_, log) = capture_log("info", app.sweep()).await;
    let would: Vec<&str> = log.lines().filter(|line| line.contains("event=report_only.would")).collect();
    assert_eq!(would.len(), 200);
    assert!(would[..150].iter().all(|line| line.contains("user=soon")), "{}", would[..150].join("\n"));
    assert!(would[150].contains("emma.brooks"), "{}", would[150]);
    let done = log.lines().find(|line| line.contains("event=report_only.done")).unwrap();
    assert!(done.contains("due=151 issue=151") && done.contains("left_out=150"), "{done}");
}
