//! Entries in the tenant that cannot be read: their people get no pass, and nobody would notice.

use super::{alert::Alert, cap::NAMES_IN_ALERT, condition, services::Services};
use crate::ledger::{ConditionName, Urgency};

/// Tells an admin, once a day, that the listing of joiners has entries which cannot be read. `malformed` has their ids.
pub(crate) async fn report(services: &Services, malformed: &[String], reference: String) {
    if malformed.is_empty() {
        return condition::end(services, ConditionName::JoinersMalformed).await;
    }
    let named: Vec<&str> = malformed.iter().take(NAMES_IN_ALERT).map(String::as_str).collect();
    let alert = Alert {
        kind: "joiners-malformed",
        headline: "Joiners cannot be read and get no pass".into(),
        who: named.join(", "),
        what_happened: format!(
            "Microsoft Graph lists {} accounts in a form that firstpass does not know. All others are served.",
            malformed.len()
        ),
        what_to_do: "Look at the accounts with these object ids: a value in them, such as the hire date, may be damaged. If they look \
                     right, report this to the makers of firstpass, and give these people a pass by hand meanwhile."
            .into(),
        reference,
    };
    condition::report(services, ConditionName::JoinersMalformed, Urgency::Now, &alert).await;
}
