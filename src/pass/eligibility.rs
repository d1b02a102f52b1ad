//! Whether "this tenant has no Privileged Identity Management" can be true. It is the normal answer of most tenants, and means
//! that nobody is eligible for a role or a group; but not where the same tenant has just shown somebody who is.

use chrono::{DateTime, TimeDelta, Utc};

use crate::graph::{PrivilegeSnapshot, Unread};

/// How long what was shown contradicts the answer: longer than the jobs of a sweep take, and short enough that a licence may end.
const CURRENT: TimeDelta = TimeDelta::hours(1);

/// When this process last saw an assignment that can be activated, of any user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EligibilityShown {
    role: Option<DateTime<Utc>>,
    group: Option<DateTime<Utc>>,
}

impl EligibilityShown {
    /// Remembers what the privileges show of Privileged Identity Management. Makes them unreadable if Graph cannot be right that there
    /// are no eligible roles or groups. The two are set up apart, so only the licence, which both need, is contradicted by the other.
    pub(super) fn check(&mut self, privileges: &mut PrivilegeSnapshot, now: DateTime<Utc>) {
        self.role = self.role.max((!privileges.eligible.is_empty()).then_some(now));
        self.group = self.group.max(privileges.shows_eligible_group.then_some(now));
        let answers = [
            (&privileges.without_pim, self.role, self.group),
            (&privileges.groups_without_pim, self.group, self.role),
        ];
        for (error, own, other) in answers {
            let Some(error) = error else { continue };
            let shown = own.max(other.filter(|_| error.is_about_pim_licence()));
            if shown.is_some_and(|at| now - at < CURRENT) {
                let why = format!(
                    "{error}; but the tenant has shown somebody's eligible role or group within the last hour"
                );
                privileges.unknown.get_or_insert(Unread { why, is_permission: false });
            }
        }
    }
}
