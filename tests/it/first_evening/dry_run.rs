//! `firstpass sweep --dry-run` says what the sweep then does, and changes nothing.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use firstpass::{
    cli::sweep,
    functions::sweep_joiners::dry_run,
    pass::forecast::{LeaveOut, Would},
};
use firstpass_sandbox::tenant::{generate::generate, samples::ON_DEMAND_GROUP};
use serde_json::from_str;

use super::*;
use crate::helpers::JobEnd;

/// What HR and admins do between two sweeps, different in each round.
fn change(tenant: &mut Tenant, seed: u64, round: u64) {
    let users: Vec<Uuid> = tenant.users.keys().copied().collect();
    for (at, user) in users.iter().enumerate() {
        let person = tenant.users.get_mut(user).unwrap();
        match (at as u64 * 7 + seed + round * 3) % 23 {
            0 => person.hire_date = person.hire_date.map(|day| day + TimeDelta::days(2)),
            1 => person.hire_date = None,
            2 => person.other_mails = vec![format!("new-{at}-{round}@mail.example")],
            3 => person.enabled = false,
            4 => person.other_mails = vec!["hr@mail.example".into()],
            _ => {}
        }
    }
    let group = tenant.groups.values().find(|group| group.display_name == ON_DEMAND_GROUP).unwrap().id;
    for user in users.iter().skip(round as usize).step_by(17) {
        tenant.add_member(group, *user);
    }
}

/// Runs a sweep, and returns what became of each user's jobs, with their reasons: a second one can be on demand.
async fn sweep_really(app: &TestApp) -> BTreeMap<String, Vec<(String, JobEnd)>> {
    let names: BTreeMap<String, String> = app.sandbox.edit(|t| {
        t.users.iter().map(|(id, user)| (id.to_string(), user.user_principal_name.clone())).collect()
    });
    let mut ends: BTreeMap<String, Vec<(String, JobEnd)>> = BTreeMap::new();
    let (jobs, behind): (Vec<_>, Vec<_>) =
        app.host.fire_timer().await.jobs().into_iter().partition(|message| message.contains("jobKey"));
    for message in jobs {
        let job: Value = from_str(&message).unwrap();
        let name = names[job["userId"].as_str().unwrap()].clone();
        let reason = job["reason"].as_str().unwrap().to_owned();
        let end = JobEnd::from(&app.host.deliver(&message, 1).await);
        ends.entry(name).or_default().push((reason, end));
    }
    for message in behind {
        app.host.deliver(&message, 1).await;
    }
    ends
}

/// Whether the job ended as was said.
fn is_as_said(would: &Would, end: &JobEnd) -> bool {
    match would {
        Would::Issue(pass) => {
            let window = format!("open {}", pass.window);
            let is_in_window = pass.window.opens_now || end.why.contains(&window);
            end.outcome == "delivered" && end.why.contains(&format!("mailed to {},", pass.to)) && is_in_window
        }
        Would::Mail(_) => end.outcome == "skipped",
        Would::End(outcome) => {
            (outcome.name(), outcome.to_string()) == (end.outcome.as_str(), end.why.clone())
        }
        Would::Held(_) | Would::LeaveOut(_) | Would::NotAsked => false,
    }
}

#[tokio::test(start_paused = true)]
async fn the_sweep_does_what_the_dry_run_said_to_everybody_it_named_and_to_nobody_else() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 1..=4 {
        let tenant = generate(60, seed, time(NOW));
        let group = tenant.groups.values().find(|group| group.display_name == ON_DEMAND_GROUP).unwrap().id;
        let max = if seed % 2 == 0 { "12" } else { "1000" };
        let settings = [("ON_DEMAND_GROUP_ID", group.to_string()), ("SWEEP_MAX", max.to_owned())];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let app = TestApp::new(tenant, &settings);
        app.advance(TimeDelta::minutes(1));
        for round in 0..5 {
            let (before, requests) = (ledger(&app), changes(&app));
            let said = dry_run(&app.app, app.sandbox.now(), |_, _| {}).await.unwrap();
            assert_eq!(changes(&app), requests, "seed {seed}, round {round}");
            assert!(ledger(&app) == before, "seed {seed}, round {round}: the ledger was changed");
            assert!(said.failed.is_empty(), "{:?}", said.failed);
            let mut ends = sweep_really(&app).await;
            let jobs: BTreeMap<String, usize> =
                ends.iter().map(|(name, ends)| (name.clone(), ends.len())).collect();
            for person in said.people {
                *seen.entry(format!("{} {:?}", person.would.name(), person.would.cause())).or_default() += 1;
                let case =
                    format!("seed {seed}, round {round}: {} was said to: {}", person.who.name, person.would);
                match person.would {
                    Would::Held(_) | Would::LeaveOut(_) => {
                        let ends = ends.get(&person.who.name).into_iter().flatten();
                        let joiners: Vec<_> = ends.filter(|(reason, _)| reason != "group-add").collect();
                        assert!(joiners.is_empty(), "{case}; but {joiners:?}");
                    }
                    would => {
                        let ends = ends.get_mut(&person.who.name).unwrap_or_else(|| panic!("{case}"));
                        let at = ends.iter().position(|(_, end)| is_as_said(&would, end));
                        // The joiner's job goes first, and changes what the one on demand finds.
                        let is_second = jobs[&person.who.name] > 1;
                        match at {
                            Some(at) => drop(ends.remove(at)),
                            None => assert!(is_second && ends.pop().is_some(), "{case}; but {ends:?}"),
                        }
                    }
                }
            }
            ends.retain(|_, ends| !ends.is_empty());
            assert!(ends.is_empty(), "seed {seed}, round {round}: nothing was said of {ends:?}");
            app.advance(TimeDelta::days(1));
            app.sandbox.edit(|t| change(t, seed, round));
        }
    }
    for kind in [
        "issue None",
        "blocked Some(\"privileged\")",
        "held Some(\"too-many-joiners\")",
        "revoked Some(\"out-of-scope\")",
        "left-out Some(\"guest\")",
        "left-out Some(\"addresses-shared\")",
    ] {
        assert!(seen.contains_key(kind), "{kind} is not among {seen:?}");
    }
}

/// As an admin sees it.
#[tokio::test(start_paused = true)]
async fn the_table_says_who_gets_what_when_and_why_not() {
    let town = town(&[REPORT_ONLY]);
    let show = async |date: Option<&str>, as_json| {
        sweep::dry_run(&town.app.app, date.map(|date| date.parse().unwrap()), as_json, |_, _| {}).await
    };
    town.app.sandbox.edit(|t| {
        let lee = joiner(t, "Lee", "2026-11-25");
        t.users.get_mut(&lee).unwrap().other_mails.clear();
        joiner(t, "Mia", "2026-12-09");
    });
    let table = show(None, false).await.unwrap();
    let line = |table: &str, name: &str| table.lines().find(|line| line.contains(name)).map(str::to_owned);
    let emma = line(&table, "emma.brooks@").unwrap();
    for part in
        ["2026-11-27", "get a pass", "2026-11-27 07:00 to 15:00 Europe/London", "e…@mail.example, note to g"]
    {
        assert!(emma.contains(part), "{part}: {table}");
    }
    assert!(line(&table, "lee@").unwrap().contains("get no pass"), "{table}");
    assert!(line(&table, "pia@").unwrap().contains("started before the first sweep"), "{table}");
    assert!(
        table.contains("a sweep would mail 2 passes") && table.contains("Nothing was changed."),
        "{table}"
    );
    assert!(table.contains("REPORT_ONLY is set") && table.contains("No sweep has run yet"), "{table}");
    assert_eq!(line(&table, "mia@"), None, "beyond the horizon");
    let later = show(Some("2026-12-02"), false).await.unwrap();
    assert!(line(&later, "mia@").unwrap().contains("get a pass"), "{later}");
    assert_eq!(line(&later, "emma.brooks@"), None, "the sweeps until then serve her");
    let json: Value = from_str(&show(None, true).await.unwrap()).unwrap();
    let of = |name: &str| {
        let people = json["people"].as_array().unwrap();
        people.iter().find(|person| person["user"].as_str().unwrap().starts_with(name)).unwrap().clone()
    };
    assert_eq!(
        (&of("emma")["would"], &of("emma")["pass"]["to"]),
        (&"issue".into(), &"e…@mail.example".into())
    );
    assert_eq!((&of("lee")["would"], &of("lee")["cause"]), (&"blocked".into(), &"no-address".into()));
    assert!(of("lee")["advice"].is_string());
    assert_eq!(
        (&json["reportOnly"], &json["paused"], &json["firstSweep"]),
        (&true.into(), &false.into(), &true.into())
    );
    let past = show(Some("2026-11-01"), false).await.unwrap_err();
    assert!(past.contains("is past"), "{past}");
    assert_eq!(
        (passes_changed(&town.app), town.app.alerts().len(), ledger(&town.app)),
        (0, 0, ledger(&super::town(&[]).app))
    );
}

/// A late joiner, one who is too late, and an address of several people are in it.
#[tokio::test(start_paused = true)]
async fn late_joiners_and_shared_addresses_are_in_it() {
    let town = town(&[("LATE_DAYS", "3"), ("ADDRESS_SHARED_BY", "1")]);
    town.app.sweep().await;
    town.app.advance(TimeDelta::hours(2));
    town.app.sandbox.edit(|t| {
        for (name, day) in
            [("Late", "2026-11-21"), ("Old", "2026-11-12"), ("One", "2026-11-26"), ("Two", "2026-11-26")]
        {
            let user = joiner(t, name, day);
            if day == "2026-11-26" {
                t.users.get_mut(&user).unwrap().other_mails = vec!["hr@mail.example".into()];
            }
        }
    });
    let said = dry_run(&town.app.app, town.app.sandbox.now(), |_, _| {}).await.unwrap();
    let of = |name: &str| {
        said.people.iter().find(|person| person.who.name.starts_with(name)).map(|person| &person.would)
    };
    assert!(matches!(of("late@"), Some(Would::Issue(pass)) if pass.is_late), "{said:?}");
    assert!(matches!(of("old@"), Some(Would::LeaveOut(LeaveOut::TooLate))), "{said:?}");
    for name in ["one@", "two@"] {
        assert!(matches!(of(name), Some(Would::LeaveOut(LeaveOut::AddressShared))), "{said:?}");
    }
    assert_eq!(town.app.alerts().len(), 1, "only the first sweep's");
}
