//! The tenant's policies, the source of joiners and the mailbox that sends.

use uuid::{Uuid, uuid};

use super::{
    Token,
    conditional_access::{Joiner, Obstacle, depends_on_groups, obstacle},
    findings::{Check, Report},
    people::{People, listed},
};
use crate::{
    app::App,
    graph::{
        GraphError, JoinerGroup, MethodPolicy, PassPolicy, PolicyOf,
        conditional_access::ConditionalAccessPolicy,
    },
    settings::{DeviceSteps, FIRST_HOURS, JoinerSource, PassStart, Settings},
};

/// The role with which Graph makes passes without the permission.
const AUTHENTICATION_ADMINISTRATOR: Uuid = uuid!("c4e39bd9-1100-46d3-8c65-fb160da0071f");

/// What was read of the tenant.
pub(super) struct TenantRead {
    pass_policy: Result<(PassPolicy, MethodPolicy), GraphError>,
    passkeys: Result<MethodPolicy, GraphError>,
    authenticator: Result<MethodPolicy, GraphError>,
    conditional_access: Result<Vec<ConditionalAccessPolicy>, GraphError>,
    /// `None` if joiners are found by hire date.
    group: Option<Result<Option<JoinerGroup>, GraphError>>,
    sender: Result<Option<Uuid>, GraphError>,
    /// Whether the app's identity holds the role; `None` if that was not read.
    pub(super) has_role: Option<bool>,
}

/// Reads it.
pub(super) async fn read(app: &App, token: Option<&Token>) -> TenantRead {
    let (graph, settings) = (&app.services.graph, &app.services.settings);
    let group = async {
        match settings.joiners {
            JoinerSource::Group(group) => Some(graph.joiner_group(group).await),
            JoinerSource::HireDate => None,
        }
    };
    let has_role = async {
        let own = token.filter(|token| token.is_own)?.claims.oid?;
        let roles = graph.roles_of(own).await.ok()?;
        Some(roles.iter().any(|role| role.id == AUTHENTICATION_ADMINISTRATOR))
    };
    let from = settings.mail.from.to_string();
    let (pass_policy, passkeys, authenticator, conditional_access, group, sender, has_role) = tokio::join!(
        graph.pass_policy(),
        graph.method_policy(PolicyOf::Passkeys),
        graph.method_policy(PolicyOf::Authenticator),
        graph.conditional_access(),
        group,
        graph.find_user(&from),
        has_role,
    );
    TenantRead { pass_policy, passkeys, authenticator, conditional_access, group, sender, has_role }
}

impl TenantRead {
    /// Compares it with the settings, and with who starts in the next days.
    pub(super) fn check(&self, settings: &Settings, people: &People, report: &mut Report) {
        self.passes(settings, people, report);
        self.passkeys(people, report);
        self.conditional_access(settings, people, report);
        self.joiners(settings, people, report);
        self.sender(settings, report);
    }

    fn passes(&self, settings: &Settings, people: &People, report: &mut Report) {
        const CHECK: Check = Check::PassPolicy;
        const WHERE: &str = "Entra admin center, Authentication methods, Policies, Temporary Access Pass";
        let (policy, targets) = match &self.pass_policy {
            Ok(read) => read,
            Err(error) => return unread(CHECK, error, report),
        };
        if !policy.is_enabled() {
            report.fail(
                CHECK,
                "the tenant has Temporary Access Passes switched off",
                format!("enable them: {WHERE}"),
            );
            return;
        }
        let (minimum, maximum) = (policy.minimum_lifetime_in_minutes, policy.maximum_lifetime_in_minutes);
        if maximum < FIRST_HOURS {
            report.warn(
                CHECK,
                format!(
                    "the longest lifetime is {maximum} minutes: a pass ends before many joiners have a desk"
                ),
                format!("set the maximum lifetime to 8 hours or more: {WHERE}"),
            );
        }
        if let Some(wanted) = settings.pass.lifetime_minutes
            && policy.clamp(wanted) != wanted
        {
            report.warn(
                CHECK,
                format!(
                    "PASS_LIFETIME_MINUTES={wanted} is outside of the policy's {minimum} to {maximum} minutes"
                ),
                format!("change the setting, or the policy: {WHERE}"),
            );
        }
        if settings.pass.start == PassStart::Now && maximum < 24 * 60 * u32::from(settings.lead_days.max(1)) {
            report.warn(
                CHECK,
                format!("PASS_START=now, and the longest lifetime of {maximum} minutes does not reach from the mail to day one"),
                format!("set PASS_START=day-one, or a longer maximum lifetime: {WHERE}"),
            );
        }
        if policy.is_usable_once && settings.pass.one_time == Some(false) {
            report.warn(
                CHECK,
                "PASS_ONE_TIME=false, and the policy makes every pass work only once",
                format!("change the setting, or allow passes for several uses, which a sign-in to Windows needs: {WHERE}"),
            );
        }
        let DeviceSteps { default, by_group } = &settings.mail.device_steps;
        let mut devices = by_group.iter().map(|(_, device)| device).chain([default]);
        if policy.is_usable_once
            && let Some(device) = devices.find(|device| device.needs_several_uses())
        {
            report.warn(
                CHECK,
                format!(
                    "DEVICE_STEPS has {}, which can ask for a pass more than once, and the policy makes every pass work only once",
                    device.word()
                ),
                format!("allow passes for several uses, or choose other steps: {WHERE}"),
            );
        }
        let left_out = left_out(targets, people);
        if !left_out.is_empty() {
            report.warn(
                CHECK,
                format!("the policy is not for {}: their passes do not work", listed(&left_out)),
                format!("include them: {WHERE}"),
            );
        } else if !targets.is_for_all() && people.has_no_groups() {
            report.not_asked(
                CHECK,
                "the policy is for some groups, and which joiners are in them was not asked",
            );
        }
        if report.is_well(CHECK) {
            report.ok(CHECK, format!("passes are on, for {minimum} to {maximum} minutes"));
        }
    }

    fn passkeys(&self, people: &People, report: &mut Report) {
        const CHECK: Check = Check::Passkeys;
        const WHERE: &str = "Entra admin center, Authentication methods, Policies";
        let (passkeys, authenticator) = match (&self.passkeys, &self.authenticator) {
            (Ok(passkeys), Ok(authenticator)) => (passkeys, authenticator),
            (Err(error), _) | (_, Err(error)) => return unread(CHECK, error, report),
        };
        let enable = format!("enable passkeys (FIDO2) with self-service set-up for joiners: {WHERE}");
        let by_passkey = passkeys.is_enabled() && passkeys.is_self_service();
        if !by_passkey && !authenticator.is_enabled() {
            let what = "joiners can register neither a passkey nor Microsoft Authenticator: their pass leads nowhere";
            report.fail(CHECK, what, enable);
            return;
        }
        let with_groups = people.joiners.iter().filter_map(|joiner| Some((joiner.name(), joiner.ids()?)));
        let (mut without, mut only_authenticator) = (Vec::new(), Vec::new());
        for (name, ids) in with_groups {
            let passkey = by_passkey && passkeys.is_for(&ids);
            match (passkey, authenticator.is_enabled() && authenticator.is_for(&ids)) {
                (true, _) => {}
                (false, true) => only_authenticator.push(name),
                (false, false) => without.push(name),
            }
        }
        if !without.is_empty() {
            let what =
                "can register neither a passkey nor Microsoft Authenticator: the pass leads nowhere for";
            report.fail(CHECK, format!("{what} {}", listed(&without)), enable.clone());
        }
        if !passkeys.is_enabled() {
            let what =
                "passkeys are switched off: joiners register Microsoft Authenticator, which can be phished";
            report.warn(CHECK, what, enable);
        } else if !passkeys.is_self_service() {
            let what = "passkeys are on, and people may not register one themselves: joiners register Microsoft Authenticator";
            report.warn(CHECK, what, enable);
        } else if !only_authenticator.is_empty() {
            report.warn(
                CHECK,
                format!("the policy of passkeys is not for {}", listed(&only_authenticator)),
                enable,
            );
        }
        if by_passkey && !passkeys.is_for_all() && people.has_no_groups() {
            report.not_asked(
                CHECK,
                "passkeys are for some groups, and which joiners are in them was not asked",
            );
        }
        if report.is_well(CHECK) {
            report.ok(CHECK, "joiners may register a passkey");
        }
    }

    fn conditional_access(&self, settings: &Settings, people: &People, report: &mut Report) {
        const CHECK: Check = Check::ConditionalAccess;
        let policies = match &self.conditional_access {
            Ok(policies) => policies,
            Err(error) if error.status == Some(403) => {
                report.not_asked(CHECK, "grant Policy.Read.ConditionalAccess to have the policies examined");
                return;
            }
            Err(error) => return unread(CHECK, error, report),
        };
        let one_time = settings.pass.one_time_on(settings.mail.device_steps.default)
            || self.pass_policy.as_ref().is_ok_and(|(policy, _)| policy.is_usable_once);
        let mut ids: Vec<Vec<Uuid>> = people.joiners.iter().filter_map(super::people::Joiner::ids).collect();
        // Without anybody who starts soon, of somebody who is in the group of joiners and in no other.
        let is_imagined = ids.is_empty();
        if is_imagined {
            ids.push(match settings.joiners {
                JoinerSource::Group(group) => vec![group],
                JoinerSource::HireDate => Vec::new(),
            });
        }
        for policy in policies {
            let stops = |ids: &Vec<Uuid>| obstacle(policy, Joiner { ids, has_one_time_pass: one_time });
            let Some(found) = ids.iter().find_map(stops) else { continue };
            if is_imagined && depends_on_groups(policy) {
                report.not_asked(
                    CHECK,
                    format!(
                        "whether the policy \"{}\" is for joiners: the groups of none are known",
                        found.policy
                    ),
                );
                continue;
            }
            let Obstacle { policy, asks, is_conditional, is_on_registration } = found;
            let what = format!(
                "the policy \"{policy}\" {asks}{}{}: somebody with nothing but a pass cannot {}",
                if is_on_registration { " for registering security information" } else { "" },
                if is_conditional { ", depending on the place or the device" } else { "" },
                if is_on_registration { "register a passkey" } else { "sign in to register a passkey" },
            );
            let to_do = "exclude joiners by a group until they are in, or let a Temporary Access Pass meet it (an \
                         authentication strength that includes it)";
            if is_conditional {
                report.warn(CHECK, what, to_do);
            } else {
                report.fail(CHECK, what, to_do);
            }
        }
        if report.is_well(CHECK) {
            report.ok(
                CHECK,
                format!("of {} policies none stops somebody with nothing but a pass", policies.len()),
            );
        }
    }

    fn joiners(&self, settings: &Settings, people: &People, report: &mut Report) {
        const CHECK: Check = Check::Joiners;
        if let Some(group) = &self.group {
            match group {
                Err(error) => return unread(CHECK, error, report),
                Ok(None) => {
                    report.fail(
                        CHECK,
                        "JOINER_GROUP_ID names no group of the tenant",
                        "set it to the object id of the group",
                    );
                    return;
                }
                Ok(Some(group)) => rule(group, settings, report),
            }
        }
        if people.is_unread() {
            report.not_asked(CHECK, "the joiners could not be read");
        } else if people.listed == 0 {
            let is_dynamic = matches!(&self.group, Some(Ok(Some(group))) if group.is_dynamic());
            match settings.joiners {
                _ if people.has_others || is_dynamic => {
                    report.ok(CHECK, "nobody starts in the next two weeks")
                }
                JoinerSource::Group(_) => {
                    report.warn(
                        CHECK,
                        "the group of joiners has no members",
                        "add the joiners, or set another group",
                    );
                }
                JoinerSource::HireDate => report.warn(
                    CHECK,
                    "nobody has a hire date within a year",
                    "have HR's system write employeeHireDate, or set JOINER_GROUP_ID",
                ),
            }
        } else if report.is_well(CHECK) {
            report.ok(CHECK, format!("{} people are listed", people.listed));
        }
    }

    fn sender(&self, settings: &Settings, report: &mut Report) {
        const CHECK: Check = Check::Sender;
        let from = &settings.mail.from;
        match &self.sender {
            Err(error) => return unread(CHECK, error, report),
            Ok(None) => {
                report.fail(
                    CHECK,
                    format!("MAIL_FROM names no account of the tenant: {from}"),
                    "set it to the sign-in name of the mailbox's account; an alias does not do",
                );
            }
            Ok(Some(_)) => {}
        }
        if from.domain().ends_with("onmicrosoft.com") {
            report.warn(
                CHECK,
                "MAIL_FROM is in onmicrosoft.com: Exchange sends 100 mails a day from there to other companies",
                "send from a domain of your own",
            );
        }
    }
}

/// Whether the rule of a dynamic group lets joiners in, and early enough.
fn rule(group: &JoinerGroup, settings: &Settings, report: &mut Report) {
    const CHECK: Check = Check::Joiners;
    let name = group.display_name.as_deref().unwrap_or("of JOINER_GROUP_ID");
    // A group that was dynamic keeps its rule.
    let Some(rule) = group.membership_rule.as_ref().filter(|_| group.is_dynamic()) else { return };
    if group.membership_rule_processing_state.as_deref() == Some("Paused") {
        report.fail(
            CHECK,
            format!("the rule of the group {name} is paused: nobody new gets in"),
            "resume it in the Entra admin center: Groups, the group, Dynamic membership rules",
        );
    }
    if let Some(days) = days_ahead(rule)
        && days < u32::from(settings.lead_days)
    {
        report.warn(
            CHECK,
            format!(
                "the rule of the group {name} lets people in {days} days before day one, and LEAD_DAYS is {}",
                settings.lead_days
            ),
            "change the rule, or LEAD_DAYS",
        );
    }
}

/// The days in `-le system.now -plus p7d` of a rule, the most of them: how early somebody gets in.
fn days_ahead(rule: &str) -> Option<u32> {
    let rule = rule.to_ascii_lowercase();
    let bounds = ["-le system.now -plus p", "-lt system.now -plus p"];
    let days = |rest: &str| rest.split_once('d')?.0.parse::<u32>().ok();
    bounds.iter().flat_map(|bound| rule.split(bound).skip(1).filter_map(days)).max()
}

/// Those who start soon and whom the policy is not for.
fn left_out(policy: &MethodPolicy, people: &People) -> Vec<String> {
    if policy.is_for_all() {
        return Vec::new();
    }
    let is_out = |joiner: &&super::people::Joiner| joiner.ids().is_some_and(|ids| !policy.is_for(&ids));
    people.joiners.iter().filter(is_out).map(super::people::Joiner::name).collect()
}

fn unread(check: Check, error: &GraphError, report: &mut Report) {
    report.not_asked(check, format!("it could not be read: {error}"));
}

#[cfg(test)]
mod tests {
    use super::days_ahead;

    #[test]
    fn the_days_of_a_rule_are_read() {
        for (rule, days) in [
            (
                "(user.employeeHireDate -ge system.now -minus p1d) -and (user.employeeHireDate -le system.now -plus p7d)",
                Some(7),
            ),
            (
                "user.employeehiredate -le system.now -plus P14D -or user.employeeHireDate -le system.now -plus p3d",
                Some(14),
            ),
            ("user.department -eq \"Sales\"", None),
            // Microsoft's example. Whoever starts tomorrow or at any later time: everybody is in early enough.
            ("user.employeehiredate -ge system.now -plus p1d", None),
            ("user.employeeHireDate -le system.now -plus pt5h", None),
        ] {
            assert_eq!(days_ahead(rule), days, "{rule}");
        }
    }
}
