//! Additions to the on-demand group while messages end without a pass: nobody is lost, and nobody is served twice for one addition.

use chrono::TimeDelta;
use firstpass::pass::Job;

use super::*;
use crate::helpers::JobEnd;

fn to_kim(town: &Town) -> usize {
    town.app.pass_mails().iter().filter(|mail| to_address(mail) == "kim@mail.example").count()
}

impl Town {
    fn add_kim(&self) {
        self.app.sandbox.edit(|tenant| tenant.add_member(self.group_id, self.kim));
    }

    /// `user` leaves and is added again, between two sweeps.
    fn add_again(&self, user: Uuid) {
        self.app.sandbox.edit(|tenant| {
            tenant.remove_member(self.group_id, user);
            tenant.add_member(self.group_id, user);
        });
    }

    fn ola(&self) -> Uuid {
        self.app.sandbox.edit(|tenant| tenant.find_user("ola@contoso.example").unwrap().id)
    }

    /// A message about the addition of `user` now.
    fn addition(&self, user: Uuid) -> String {
        Job::group_add(user, self.app.sandbox.now(), "event").to_message()
    }

    async fn deliver(&self, message: &str, count: u32) -> String {
        JobEnd::from(&self.app.host.deliver(message, count).await).outcome
    }

    /// The first sweeps that act, some time later.
    async fn acts_again(self) -> Self {
        self.app.advance(TimeDelta::days(2));
        let town = self.with(&[]);
        town.app.sweep().await;
        town.app.advance(TimeDelta::hours(1));
        town.app.sweep().await;
        town
    }
}

/// A change of the setting restarts the app before the host has deleted the message of a job that is done: it comes again.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_delivered_again_is_not_served_again() {
    for setting in [None, Some(PAUSED), Some(REPORT_ONLY)] {
        for minutes in [5, 20, 40] {
            for message in ["of a sweep", "of an event", "without a time"] {
                let case = format!("{setting:?}, {message}, {minutes} minutes later");
                let town = town(&[]);
                town.app.sweep().await;
                town.add_kim();
                town.app.advance(TimeDelta::minutes(10));
                let message = match message {
                    "of a sweep" => {
                        let jobs = town.app.host.fire_timer().await.jobs();
                        jobs.into_iter().find(|job| job.contains(&town.kim.to_string())).expect("Kim's job")
                    }
                    "of an event" => town.addition(town.kim),
                    _ => {
                        format!(r#"{{"jobKey":"group-add/1","reason":"group-add","userId":"{}"}}"#, town.kim)
                    }
                };
                assert_eq!(town.deliver(&message, 1).await, "delivered", "{case}");
                let settings: Vec<_> = setting.into_iter().collect();
                let town = town.with(&settings);
                town.app.advance(TimeDelta::minutes(minutes));
                assert_eq!(town.deliver(&message, 2).await, "skipped", "{case}");
                let town = town.acts_again().await;
                assert_eq!(to_kim(&town), 1, "{case}");
            }
        }
    }
}

/// Kim was served by a message, and no sweep has seen her since.
#[tokio::test(start_paused = true)]
async fn a_message_about_one_member_does_not_serve_another_twice() {
    for (settings, outcome) in [(PAUSED, "skipped"), (REPORT_ONLY, "skipped"), (("SWEEP_MAX", "1"), "")] {
        let town = town(&[]);
        town.app.sweep().await;
        town.add_kim();
        assert_eq!(town.deliver(&town.addition(town.kim), 1).await, "delivered");
        town.app.advance(TimeDelta::hours(2));
        let town = town.with(&[settings]);
        let ola = town.ola();
        town.add_again(ola);
        if outcome.is_empty() {
            // Kim counts for a day.
            let answer = town.app.host.deliver("ola@contoso.example", 1).await;
            assert!(answer.log().contains("wait for an approval"), "{}", answer.log());
        } else {
            assert_eq!(town.deliver(&town.addition(ola), 1).await, outcome);
        }
        let town = town.acts_again().await;
        assert_eq!(to_kim(&town), 1, "{settings:?}");
        assert!(town.mailed().contains("ola@mail.example"), "{settings:?}");
    }
}

/// The addition that is kept has its own time, also if no sweep has seen the user, or one runs before the app acts.
#[tokio::test(start_paused = true)]
async fn whoever_was_served_before_and_is_added_again_is_served_again() {
    for is_known in [true, false] {
        for setting in [PAUSED, REPORT_ONLY] {
            let town = town(&[]);
            town.app.sweep().await;
            town.add_kim();
            assert_eq!(town.deliver(&town.addition(town.kim), 1).await, "delivered");
            if is_known {
                town.app.advance(TimeDelta::minutes(5));
                town.app.sweep().await;
            }
            town.app.advance(TimeDelta::days(1));
            let town = town.with(&[setting]);
            town.add_again(town.kim);
            assert_eq!(town.deliver(&town.addition(town.kim), 1).await, "skipped");
            town.app.sweep().await;
            let town = town.acts_again().await;
            assert_eq!(to_kim(&town), 2, "{setting:?}, known: {is_known}");
        }
    }
}
