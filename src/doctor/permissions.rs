//! The permissions in the app's token: too few, and too many.

use chrono::DateTime;

use super::{
    Token,
    findings::{Check, Report},
};
use crate::settings::{Callers, Settings, SignInCheck};

/// A permission that the app uses.
struct Needed {
    name: &'static str,
    for_what: &'static str,
    /// Permissions that include it.
    greater: &'static [&'static str],
}

const PASSES: &str = "UserAuthMethod-TAP.ReadWrite.All";

const fn needed(name: &'static str, for_what: &'static str, greater: &'static [&'static str]) -> Needed {
    Needed { name, for_what, greater }
}

/// Permissions with which whoever has the app's identity could do much more than the app does, and what to grant instead.
const TOO_MUCH: [(&str, &str); 12] = [
    (
        "Mail.Send",
        "sends as every mailbox of the tenant. Remove it, and grant the mailbox of MAIL_FROM in Exchange (infra/Grant-MailSend.ps1)",
    ),
    ("Mail.ReadWrite", "reads every mailbox of the tenant. Remove it"),
    (
        "UserAuthenticationMethod.ReadWrite.All",
        "changes every authentication method of everybody. Grant UserAuthMethod-TAP.ReadWrite.All and UserAuthenticationMethod.Read.All instead",
    ),
    ("User.ReadWrite.All", "changes every account. Grant User.Read.All instead"),
    ("Directory.Read.All", "reads the whole directory. Grant User.Read.All and GroupMember.Read.All instead"),
    (
        "Directory.ReadWrite.All",
        "changes the whole directory. Grant User.Read.All and GroupMember.Read.All instead",
    ),
    ("Group.ReadWrite.All", "changes every group. Grant GroupMember.Read.All instead"),
    ("GroupMember.ReadWrite.All", "changes the members of every group. Grant GroupMember.Read.All instead"),
    ("RoleManagement.ReadWrite.Directory", "grants every role. Grant RoleManagement.Read.Directory instead"),
    ("AppRoleAssignment.ReadWrite.All", "grants every permission. Remove it"),
    ("Application.ReadWrite.All", "takes over every application. Remove it"),
    (
        "Policy.ReadWrite.AuthenticationMethod",
        "changes the policy of authentication methods. Grant Policy.Read.AuthenticationMethod instead",
    ),
];

/// What the settings need.
fn all_needed(settings: &Settings) -> Vec<Needed> {
    const METHODS: &[&str] = &["UserAuthenticationMethod.ReadWrite.All"];
    const MEMBERS: &[&str] = &[
        "Group.Read.All",
        "Group.ReadWrite.All",
        "GroupMember.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ];
    let mut all = vec![
        needed(
            "User.Read.All",
            "reading joiners and their managers",
            &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
        ),
        needed(PASSES, "making passes", METHODS),
        needed(
            "Policy.Read.AuthenticationMethod",
            "reading the policy of passes",
            &["Policy.ReadWrite.AuthenticationMethod"],
        ),
        needed(
            "RoleManagement.Read.Directory",
            "telling privileged accounts from others",
            &["RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All"],
        ),
        needed("GroupMember.Read.All", "reading groups, of joiners and of privileged accounts", MEMBERS),
    ];
    let are_managers_callers = matches!(settings.create_tap.callers, Callers::Listed { managers: true, .. });
    if settings.joiner_check.methods || are_managers_callers {
        let read = needed(
            "UserAuthenticationMethod.Read.All",
            "telling new accounts from accounts in use (JOINER_CHECK, or managers as callers)",
            METHODS,
        );
        all.push(read);
    }
    if are_managers_callers
        || settings.joiner_check.registration
        || settings.joiner_check.sign_ins == SignInCheck::Required
    {
        all.push(needed(
            "AuditLog.Read.All",
            "reading registrations and sign-ins (JOINER_CHECK, or managers as callers)",
            &[],
        ));
    }
    if settings.partner_topic.is_some() {
        let why = "subscribing to the on-demand group (EVENT_GRID_PARTNER_TOPIC)";
        all.push(needed("Group.Read.All", why, &["Group.ReadWrite.All"]));
    }
    all
}

/// Compares the token with what the settings need. `has_role` says whether the app's identity is an Authentication Administrator.
pub(super) fn check(settings: &Settings, token: Option<&Token>, has_role: Option<bool>, report: &mut Report) {
    let Some(Token { claims, is_own: true }) = token else {
        report.not_asked(Check::Permissions, "which permissions the app has shows only its own token");
        return;
    };
    let roles = claims.roles.as_deref().unwrap_or_default();
    let has = |name: &str| roles.iter().any(|role| role == name);
    let time = |at: Option<i64>| at.and_then(|at| DateTime::from_timestamp(at, 0));
    for needed in all_needed(settings) {
        if has(needed.name) || needed.greater.iter().any(|greater| has(greater)) {
            continue;
        }
        let cached = match (time(claims.iat), time(claims.exp)) {
            (Some(from), Some(until)) => format!(
                ". If it was granted after {from:.0}, wait: Azure uses the token of that time until {until:.0}"
            ),
            _ => String::new(),
        };
        let instead = match (needed.name == PASSES, has_role) {
            // With the role, Graph makes passes without the permission.
            (true, Some(true)) => continue,
            (true, _) => ", or give the app's identity the role Authentication Administrator",
            (false, _) => "",
        };
        report.fail(
            Check::Permissions,
            format!("the permission {} is not in the token; it is for {}", needed.name, needed.for_what),
            format!("grant it (infra/grant-permissions.sh){instead}{cached}"),
        );
    }
    for (name, why) in TOO_MUCH.iter().filter(|(name, _)| has(name)) {
        report.warn(
            Check::Permissions,
            format!("the app has the permission {name}, which it does not need"),
            format!("{name} {why}"),
        );
    }
    if report.is_well(Check::Permissions) {
        report.ok(
            Check::Permissions,
            "the app has what its settings need, and none of the permissions that do harm",
        );
    }
}
