//! The user of a job, as logs and alerts name them.

use uuid::Uuid;

use super::day_one::day_one;
use crate::{
    graph::{DeletedUser, TenantSnapshot},
    ledger::Record,
    settings::PassSettings,
    text::{first, one_line},
};

/// The user of a job, as far as the job has read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The sign-in name, or the object id of an account that was not read.
    pub name: String,
    /// The same for a person who may not know the name: with display name, first day and manager.
    pub description: String,
}

impl Person {
    /// The longest display name, in characters; Graph allows 256. An alert has the description in its subject.
    const MAX_NAME: usize = 64;

    /// A user, or several, of whom nothing is known but `name`.
    pub fn known_as(name: String) -> Self {
        Self { description: name.clone(), name }
    }

    /// The user as the tenant has them.
    pub fn read(snapshot: &TenantSnapshot, settings: &PassSettings) -> Self {
        let TenantSnapshot { user, manager, .. } = snapshot;
        let name = user.user_principal_name.clone();
        let display_name = user.display_name.as_deref().and_then(line).filter(|display| *display != name);
        let zone = settings.zone(user.account.place());
        let day_one = |stamp| day_one(stamp, settings.hire_date_zone, zone);
        let first_day =
            user.account.employee_hire_date.map(|stamp| format!("first day {}", day_one(stamp).format(DATE)));
        let manager = manager.as_ref().and_then(|m| {
            let name = m.display_name.as_deref().and_then(line);
            name.or_else(|| m.mail.as_deref().and_then(line)).map(|name| format!("manager {name}"))
        });
        let parts = [display_name, Some(name.clone()), first_day, manager];
        Self { name, description: parts.into_iter().flatten().collect::<Vec<_>>().join(", ") }
    }

    /// A user whose account was deleted. The record has no name; it says when the person would have started. The tenant has the
    /// names for 30 days: `found`.
    pub(crate) fn deleted(user_id: Uuid, record: Option<&Record>, found: Option<DeletedUser>) -> Self {
        let found = found.map(|user| [user.display_name, user.user_principal_name]).unwrap_or_default();
        let [display_name, sign_in_name] = found.map(|name| name.as_deref().and_then(line));
        let announcement = record.and_then(|record| record.announcement.as_ref());
        let first_day = announcement.map(|told| format!("first day {}", told.day_one.format(DATE)));
        let delivered = record.and_then(|record| record.delivered.as_ref());
        let mailed = delivered.filter(|delivered| !delivered.recipients.is_empty());
        let mailed = mailed.map(|delivered| format!("pass mailed to {}", delivered.recipients.join(" and ")));
        let account = Some(format!("the account {user_id}"));
        let name = sign_in_name.clone().unwrap_or_else(|| user_id.to_string());
        let parts = [display_name, sign_in_name, account, first_day, mailed];
        Self { name, description: parts.into_iter().flatten().collect::<Vec<_>>().join(", ") }
    }
}

/// As in "Mon 30 November 2026".
const DATE: &str = "%a %-d %B %Y";

/// The text in one line of bounded length; `None` if nothing is left.
fn line(text: &str) -> Option<String> {
    let words = one_line(text);
    let cut = first(&words, Person::MAX_NAME);
    let dots = if words.chars().count() > Person::MAX_NAME { "…" } else { "" };
    (!words.is_empty()).then(|| cut + dots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::{
        graph::Manager,
        ledger::{Announcement, Delivered, PassRecord, Purpose, State},
        pass::fixtures,
        text::hides_something,
    };

    fn described(edit: impl FnOnce(&mut TenantSnapshot)) -> String {
        let mut snapshot = fixtures::snapshot();
        edit(&mut snapshot);
        let person = Person::read(&snapshot, &fixtures::pass_settings());
        assert_eq!(person.name, "emma@contoso.example");
        person.description
    }

    #[test]
    fn an_alert_says_what_is_known_of_the_person() {
        assert_eq!(described(|_| {}), "emma@contoso.example");
        assert_eq!(
            described(|s| s.user.display_name = Some("emma@contoso.example".into())),
            "emma@contoso.example"
        );
        let manager = |display_name: Option<&str>, mail: Option<&str>| {
            Some(Manager {
                display_name: display_name.map(str::to_owned),
                mail: mail.map(str::to_owned),
                ..Manager::default()
            })
        };
        let described_all = described(|s| {
            s.user.display_name = Some("Emma\r\nBrooks ".into());
            s.user.account.employee_hire_date = Some("2026-11-29T23:00:00Z".parse().unwrap());
            s.user.account.usage_location = Some("DE".into());
            s.manager = manager(Some("Ines Vogt"), Some("ines@contoso.example"));
        });
        assert_eq!(
            described_all,
            "Emma Brooks, emma@contoso.example, first day Mon 30 November 2026, manager Ines Vogt"
        );
        let nameless = described(|s| s.manager = manager(Some(" "), Some("ines@contoso.example")));
        assert_eq!(nameless, "emma@contoso.example, manager ines@contoso.example");
        assert_eq!(described(|s| s.manager = manager(None, None)), "emma@contoso.example");
    }

    #[test]
    fn of_a_deleted_account_the_record_says_what_it_knows() {
        let (now, id) = (fixtures::now(), Uuid::from_u128(7));
        let mut record = Record::new(State::Failed, Purpose::Joiner, now);
        assert_eq!(Person::deleted(id, None, None).description, format!("the account {id}"));
        let day_one = "2026-11-30".parse().unwrap();
        record.announcement = Some(Announcement::new(day_one, true, Some(now)));
        record.delivered = Some(Delivered {
            pass: PassRecord {
                pass_id: "p".into(),
                opens_at: now,
                ends_at: now,
                one_time: true,
                unknown: Map::new(),
            },
            at: now,
            purpose: Purpose::Joiner,
            day_one: Some(day_one),
            after_withdrawal: false,
            language: None,
            recipients: vec!["e***@mail.example".into()],
            address: None,
            follows_on: None,
            told_at: None,
            notes: None,
        });
        let known =
            format!("the account {id}, first day Mon 30 November 2026, pass mailed to e***@mail.example");
        assert_eq!(Person::deleted(id, Some(&record), None).description, known);
        let found = DeletedUser {
            display_name: Some("Emma\nBrooks".into()),
            user_principal_name: Some("emma@contoso.example".into()),
        };
        let person = Person::deleted(id, Some(&record), Some(found));
        assert_eq!(person.description, format!("Emma Brooks, emma@contoso.example, {known}"));
        assert_eq!(person.name, "emma@contoso.example");
    }

    proptest! {
        #[test]
        fn a_display_name_stays_in_one_short_line(name in ".*") {
            let description = described(|s| s.user.display_name = Some(name));
            prop_assert!(!hides_something(&description));
            prop_assert!(description.chars().count() <= Person::MAX_NAME + 1 + ", emma@contoso.example".len());
        }
    }
}
