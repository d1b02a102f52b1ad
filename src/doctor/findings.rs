//! What an examination found, in the order of the checks.

use std::fmt::Display;

use serde_json::Map;

use crate::ledger::{Finding, Level};

/// The checks, in the order in which an admin mends what they find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The settings.
    Settings,
    /// The app's token.
    Token,
    /// The permissions in it.
    Permissions,
    /// The policy of Temporary Access Passes.
    PassPolicy,
    /// The policies of what a joiner registers.
    Passkeys,
    /// Conditional Access.
    ConditionalAccess,
    /// Where joiners come from.
    Joiners,
    /// The mailbox that sends.
    Sender,
    /// Who starts in the next days.
    People,
    /// The ledger.
    Ledger,
    /// The queue of jobs.
    Queue,
    /// The notifications of the on-demand group.
    Notifications,
    /// The languages of the mails.
    Templates,
    /// The clock.
    Clock,
    /// The last sweep.
    Sweep,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Settings,
        Self::Token,
        Self::Permissions,
        Self::PassPolicy,
        Self::Passkeys,
        Self::ConditionalAccess,
        Self::Joiners,
        Self::Sender,
        Self::People,
        Self::Ledger,
        Self::Queue,
        Self::Notifications,
        Self::Templates,
        Self::Clock,
        Self::Sweep,
    ];

    /// As the document has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Token => "token",
            Self::Permissions => "permissions",
            Self::PassPolicy => "pass-policy",
            Self::Passkeys => "passkeys",
            Self::ConditionalAccess => "conditional-access",
            Self::Joiners => "joiners",
            Self::Sender => "sender",
            Self::People => "people",
            Self::Ledger => "ledger",
            Self::Queue => "queue",
            Self::Notifications => "notifications",
            Self::Templates => "templates",
            Self::Clock => "clock",
            Self::Sweep => "sweep",
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(Check, Finding)>);

impl Report {
    fn add(&mut self, check: Check, level: Level, what: impl Display, to_do: Option<String>) {
        let (what, user) = (what.to_string(), None);
        self.0.push((
            check,
            Finding { check: check.name().to_owned(), level, user, what, to_do, unknown: Map::new() },
        ));
    }

    pub(super) fn ok(&mut self, check: Check, what: impl Display) {
        self.add(check, Level::Ok, what, None);
    }

    pub(super) fn warn(&mut self, check: Check, what: impl Display, to_do: impl Display) {
        self.add(check, Level::Warn, what, Some(to_do.to_string()));
    }

    pub(super) fn fail(&mut self, check: Check, what: impl Display, to_do: impl Display) {
        self.add(check, Level::Fail, what, Some(to_do.to_string()));
    }

    pub(super) fn not_asked(&mut self, check: Check, what: impl Display) {
        self.add(check, Level::NotAsked, what, None);
    }

    /// A finding about one person.
    pub(super) fn warn_of(&mut self, user: String, what: impl Display, to_do: impl Display) {
        self.warn(Check::People, what, to_do);
        if let Some((_, finding)) = self.0.last_mut() {
            finding.user = Some(user);
        }
    }

    /// Whether `check` has found nothing to mend, and nothing of it was not asked.
    pub(super) fn is_well(&self, check: Check) -> bool {
        !self.0.iter().any(|(of, finding)| *of == check && finding.level != Level::Ok)
    }

    /// All findings, in the order of the checks.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|(check, _)| *check);
        self.0.into_iter().map(|(_, finding)| finding).collect()
    }
}
