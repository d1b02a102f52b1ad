//! What holds for REPORT_ONLY and PAUSED: CreateTap, the on-demand group, what was delivered before; and PAUSED's daily alert.

use chrono::TimeDelta;

use super::*;
use crate::helpers::{JobEnd, log_capture::capture_log};

const BOTH: [((&str, &str), &str); 2] = [(REPORT_ONLY, "report-only"), (PAUSED, "paused")];

#[tokio::test(start_paused = true)]
async fn a_call_is_told_that_the_app_does_not_act() {
    for (setting, word) in BOTH {
        let town = town(&[setting]);
        let (status, problem) = town.app.create_tap("emma.brooks@contoso.example").await;
        assert_eq!((status, &problem["type"]), (503, &format!("urn:firstpass:{word}").into()), "{problem}");
        assert_eq!((passes_changed(&town.app), town.app.record(town.emma).await), (0, None));
        let town = town.with(&[]);
        assert_eq!(town.app.create_tap("emma.brooks@contoso.example").await.0, 201);
    }
}

/// However an addition is reported, and whenever, its user gets a pass when the app acts again.
#[tokio::test(start_paused = true)]
async fn additions_to_the_on_demand_group_are_served_afterwards() {
    for (setting, word) in BOTH {
        for (before_first_sweep, report) in
            [(true, "name"), (false, "name"), (true, "job"), (false, "job"), (false, "nothing")]
        {
            let case = format!("{word}, {report}, before the first sweep: {before_first_sweep}");
            let town = town(&[setting]);
            if !before_first_sweep {
                town.app.sweep().await;
                town.app.advance(TimeDelta::hours(1));
            }
            town.app.sandbox.edit(|t| t.add_member(town.group_id, town.kim));
            match report {
                "name" => {
                    let end = JobEnd::from(&town.app.host.deliver("kim@contoso.example", 1).await);
                    assert_eq!(end.outcome, "skipped", "{case}");
                }
                "job" => assert_eq!(town.app.run_group_add_job(town.kim).await.outcome, "skipped", "{case}"),
                _ => {}
            }
            for _ in 0..3 {
                town.app.advance(TimeDelta::hours(1));
                assert_eq!(town.app.sweep().await, [], "{case}");
            }
            assert_eq!((passes_changed(&town.app), town.app.record(town.kim).await), (0, None), "{case}");
            let town = town.with(&[]);
            town.app.sweep().await;
            // Ola was a member before firstpass came.
            assert_eq!(town.mailed(), names(&["emma.brooks", "noah", "kim"]), "{case}");
            town.app.advance(TimeDelta::hours(1));
            town.app.sweep().await;
            assert_eq!(town.mailed().len(), 3, "{case}");
        }
    }
}

/// Who was served before, left, and is added again in that time, between two sweeps.
#[tokio::test(start_paused = true)]
async fn whoever_is_added_again_meanwhile_is_served_again() {
    let town = town(&[]);
    town.app.sweep().await;
    town.app.sandbox.edit(|t| t.add_member(town.group_id, town.kim));
    town.app.advance(TimeDelta::minutes(30));
    town.app.sweep().await;
    assert_eq!(town.mailed(), names(&["emma.brooks", "noah", "kim"]));
    // The pass has ended.
    town.app.advance(TimeDelta::days(2));
    let town = town.with(&[PAUSED]);
    town.app.sandbox.edit(|t| t.remove_member(town.group_id, town.kim));
    town.app.sandbox.edit(|t| t.add_member(town.group_id, town.kim));
    assert_eq!(town.app.run_group_add_job(town.kim).await.outcome, "skipped");
    let town = town.with(&[]);
    town.app.sweep().await;
    let to_kim = town.app.pass_mails().iter().filter(|mail| to_address(mail) == "kim@mail.example").count();
    assert_eq!(to_kim, 2);
}

/// An alert a day; nothing is made, mailed or revoked; then everybody is served, and what was withdrawn is revoked.
#[tokio::test(start_paused = true)]
async fn a_pause_of_three_days_is_said_daily_and_loses_nobody() {
    let town = town(&[]);
    town.app.sandbox.edit(|t| t.users.get_mut(&town.noah).unwrap().hire_date = None);
    town.app.sweep().await;
    assert_eq!(town.mailed(), names(&["emma.brooks"]));
    let alerts = town.app.alerts().len();
    town.app.advance(TimeDelta::hours(1));
    let town = town.with(&[PAUSED]);
    town.app.sandbox.edit(|t| {
        t.users.get_mut(&town.noah).unwrap().hire_date = Some(time("2026-11-24T00:00:00Z"));
        t.users.get_mut(&town.emma).unwrap().hire_date = None;
    });
    let before = passes_changed(&town.app);
    for day in 0..3 {
        for _ in 0..4 {
            let (ends, log) = capture_log("info", town.app.sweep()).await;
            assert_eq!(ends, []);
            assert!(
                log.contains("event=sweep.paused waiting=1 held=0 added=0 revocations=1"),
                "{day}: {log}"
            );
            town.app.advance(TimeDelta::hours(6));
        }
    }
    assert_eq!(passes_changed(&town.app), before);
    assert!(town.app.live_code(town.emma).is_some(), "the data may be what the admin paused for");
    let told = town.app.alerts().split_off(alerts);
    assert_eq!(told.len(), 3, "{:?}", subjects(&told));
    for alert in &told {
        let text = alert["body"]["content"].as_str().unwrap();
        assert!(alert["subject"].as_str().unwrap().contains("firstpass is paused"), "{alert}");
        assert!(
            text.contains("1 people; the next is noah@contoso.example, who starts on 2026-11-24"),
            "{text}"
        );
        assert!(text.contains("1 passes that were mailed would be taken back"), "{text}");
        assert!(text.contains("and still work: emma.brooks@contoso.example"), "{text}");
    }
    let town = town.with(&[]);
    let ends = town.app.sweep().await;
    let outcomes: BTreeSet<&str> = ends.iter().map(|end| end.outcome.as_str()).collect();
    assert_eq!(outcomes, BTreeSet::from(["delivered", "revoked"]), "{ends:?}");
    assert_eq!(town.app.live_code(town.emma), None);
    assert_eq!(town.mailed(), names(&["emma.brooks", "noah"]));
    // The next pause is said at once.
    let town = town.with(&[PAUSED]);
    let alerts = town.app.alerts().len();
    town.app.sweep().await;
    assert_eq!(town.app.alerts().len(), alerts + 1);
}

/// Stopped for longer than sweeps look back: a person hears of whoever was not served, as after as long a time without sweeps.
#[tokio::test(start_paused = true)]
async fn after_weeks_whoever_is_too_late_is_named() {
    for setting in [None, Some(PAUSED), Some(REPORT_ONLY)] {
        let town = town(&[]);
        town.app.sweep().await;
        let mia = town.app.sandbox.edit(|tenant| joiner(tenant, "Mia", "2026-12-03"));
        let settings: Vec<_> = setting.into_iter().collect();
        let town = town.with(&settings);
        for _ in 0..60 {
            town.app.advance(TimeDelta::days(1));
            if setting.is_some() {
                town.app.sweep().await;
            }
        }
        let alerts = town.app.alerts().len();
        let town = town.with(&[]);
        for _ in 0..2 {
            town.app.sweep().await;
            town.app.advance(TimeDelta::days(1));
        }
        let told = town.app.alerts().split_off(alerts);
        // What was collected during the pause comes with the next alert.
        let words = ["started long ago", "There was no sweep"];
        let names_mia = subjects(&told).into_iter().filter(|subject| {
            words.iter().any(|word| subject.contains(word)) && subject.contains("mia@contoso.example")
        });
        assert_eq!(names_mia.count(), 1, "{setting:?}: {:?}", subjects(&told));
        assert_eq!(town.app.record(mia).await, None);
    }
}
