//! Whether "this tenant has no Privileged Identity Management" can be true. It is the normal answer of most tenants, and means
//! that nobody is eligible for a role; but not where the same tenant has just shown somebody who is.

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
    /// Remembers what the privileges show of Privileged Identity Management. Makes the eligible roles unreadable if Graph cannot be right
    /// that there are none. Roles and groups are set up apart, so only the licence, which both need, is contradicted by a group.
    pub(super) fn check(&mut self, privileges: &mut PrivilegeSnapshot, now: DateTime<Utc>) {
        self.role = self.role.max((!privileges.eligible.is_empty()).then_some(now));
        self.group = self.group.max(privileges.shows_eligible_group.then_some(now));
        let Some(error) = &privileges.without_pim else { return };
        let group = self.group.filter(|_| error.is_about_pim_licence());
        if self.role.max(group).is_some_and(|at| now - at < CURRENT) {
            let why = format!(
                "{error}; but the tenant has shown somebody's eligible role or group within the last hour"
            );
            privileges.unknown.get_or_insert(Unread { why, is_permission: false });
        }
    }
}
