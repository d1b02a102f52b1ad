//! Groups among the members of a group in the settings: their members are not listed there, and nobody would notice.

use uuid::Uuid;

use super::{alert::Alert, condition, services::Services};
use crate::ledger::{ConditionName, Urgency};

/// A group in the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GroupInSettings {
    /// JOINER_GROUP_ID.
    Joiners,
    /// ON_DEMAND_GROUP_ID.
    OnDemand,
}

/// Tells an admin once that `nested` groups are members of `group`.
pub(crate) async fn report(services: &Services, which: GroupInSettings, group: Uuid, nested: usize) {
    let (condition, kind, what, setting) = match which {
        GroupInSettings::Joiners => {
            (ConditionName::JoinerGroupNested, "joiner-group-nested", "the joiner group", "JOINER_GROUP_ID")
        }
        GroupInSettings::OnDemand => (
            ConditionName::OnDemandGroupNested,
            "on-demand-group-nested",
            "the on-demand group",
            "ON_DEMAND_GROUP_ID",
        ),
    };
    if nested == 0 {
        return condition::end(services, condition).await;
    }
    let groups = if nested == 1 { "1 group".to_owned() } else { format!("{nested} groups") };
    let alert = Alert {
        kind,
        headline: format!("There are groups in {what}: sweeps do not see their members"),
        who: format!("the members of {groups} in {what}, if they are not members of it themselves"),
        what_happened: format!(
            "{setting}, {group}, has {groups} among its members. firstpass reads the users who are members of it directly."
        ),
        what_to_do: "Add the people themselves, or make it a dynamic group whose rule finds them. If nobody in these groups needs \
                     a pass, there is nothing to do: this is said once."
            .into(),
        reference: group.to_string(),
    };
    condition::report(services, condition, Urgency::Once, &alert).await;
}
