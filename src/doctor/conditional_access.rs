//! Conditional Access policies that stop somebody with nothing but a pass from registering a passkey.
//!
//! Such a person signs in on a device that the tenant may not know, at a place that it may not trust, and the pass is their only
//! method: it counts as multifactor authentication, and as no other strength unless that names it
//! (<https://learn.microsoft.com/entra/identity/authentication/howto-authentication-temporary-access-pass>).

use uuid::Uuid;

use crate::graph::conditional_access::ConditionalAccessPolicy;

const REGISTRATION: &str = "urn:user:registersecurityinfo";
/// The page on which security information is registered (Microsoft's list of first-party applications: My Signins).
const MY_SIGN_INS: &str = "19db86c3-b2b9-44cc-b339-36da233a3be2";
/// The operating systems that joiners have.
const PLATFORMS: [&str; 5] = ["android", "iOS", "windows", "macOS", "linux"];

/// What a policy does to a joiner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// The policy's name.
    pub policy: String,
    /// What it asks for that the joiner does not have.
    pub asks: String,
    /// Whether it depends on the place or the device.
    pub is_conditional: bool,
    /// Whether it is about registration alone.
    pub is_on_registration: bool,
}

/// Who the joiner is, and how often their pass works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiner<'a> {
    /// Their own id, and those of all groups that they are in.
    pub ids: &'a [Uuid],
    /// Whether the pass works only once.
    pub has_one_time_pass: bool,
}

/// What stops the joiner; `None` if the policy does not.
pub(crate) fn obstacle(policy: &ConditionalAccessPolicy, joiner: Joiner<'_>) -> Option<Obstacle> {
    let is_on = policy.text("/state").is_some_and(|state| state.eq_ignore_ascii_case("enabled"));
    let client_apps = policy.list("/conditions/clientAppTypes");
    let is_in_browser = client_apps.is_empty() || has(&client_apps, "all") || has(&client_apps, "browser");
    if !is_on || !is_in_browser || !is_for(policy, joiner.ids) || depends_on_risk(policy) {
        return None;
    }
    let is_on_registration = is_about_registration(policy)?;
    let Unmet { asks, is_about_device } = unmet(policy, joiner.has_one_time_pass)?;
    let platforms = platforms(policy);
    if platforms == 0 {
        return None;
    }
    // "All" without an exception is everywhere.
    let has_places = policy.has("/conditions/locations")
        && (!policy.list("/conditions/locations/excludeLocations").is_empty()
            || !has(&policy.list("/conditions/locations/includeLocations"), "All"));
    let has_devices = policy.has("/conditions/devices/deviceFilter") || platforms < PLATFORMS.len();
    Some(Obstacle {
        policy: policy.name("/displayName").unwrap_or_else(|| "without a name".to_owned()),
        asks,
        is_conditional: has_places || has_devices || is_about_device,
        is_on_registration,
    })
}

/// Whether it depends on groups for whom the policy is.
pub(crate) fn depends_on_groups(policy: &ConditionalAccessPolicy) -> bool {
    let has_some = |pointer| !policy.list(pointer).is_empty();
    has_some("/conditions/users/includeGroups") || has_some("/conditions/users/excludeGroups")
}

fn has(list: &[&str], word: &str) -> bool {
    list.iter().any(|item| item.eq_ignore_ascii_case(word))
}

/// Nobody who is new is at risk yet; the flows of devices and of transfers are not the browser's.
fn depends_on_risk(policy: &ConditionalAccessPolicy) -> bool {
    !policy.list("/conditions/userRiskLevels").is_empty()
        || !policy.list("/conditions/signInRiskLevels").is_empty()
        || policy.has("/conditions/insiderRiskLevels")
        || policy.has("/conditions/authenticationFlows")
}

fn is_for(policy: &ConditionalAccessPolicy, ids: &[Uuid]) -> bool {
    let names = |pointer| policy.list(pointer).iter().any(|id| id.parse().is_ok_and(|id| ids.contains(&id)));
    let is_included = has(&policy.list("/conditions/users/includeUsers"), "All")
        || names("/conditions/users/includeUsers")
        || names("/conditions/users/includeGroups");
    is_included && !names("/conditions/users/excludeUsers") && !names("/conditions/users/excludeGroups")
}

/// Whether it is about registration alone; `None` if it does not concern it.
fn is_about_registration(policy: &ConditionalAccessPolicy) -> Option<bool> {
    if has(&policy.list("/conditions/applications/includeUserActions"), REGISTRATION) {
        return Some(true);
    }
    let included = policy.list("/conditions/applications/includeApplications");
    let is_included = has(&included, "All") || has(&included, MY_SIGN_INS);
    let is_excluded = has(&policy.list("/conditions/applications/excludeApplications"), MY_SIGN_INS);
    (is_included && !is_excluded).then_some(false)
}

/// For how many of the [`PLATFORMS`] it is.
fn platforms(policy: &ConditionalAccessPolicy) -> usize {
    if !policy.has("/conditions/platforms") {
        return PLATFORMS.len();
    }
    let included = policy.list("/conditions/platforms/includePlatforms");
    let excluded = policy.list("/conditions/platforms/excludePlatforms");
    let is_in = |list: &[&str], name: &str| has(list, name) || has(list, "all");
    PLATFORMS.iter().filter(|name| is_in(&included, name) && !is_in(&excluded, name)).count()
}

/// What a joiner with nothing but a pass does not meet.
struct Unmet {
    /// In words.
    asks: String,
    /// Whether it is the device alone: the joiner's company may have given them one that does.
    is_about_device: bool,
}

fn unmet(policy: &ConditionalAccessPolicy, has_one_time_pass: bool) -> Option<Unmet> {
    const STRENGTH: &str = "/grantControls/authenticationStrength";
    // Terms of use are accepted in the browser.
    let (mut met, mut devices) = (policy.list("/grantControls/termsOfUse").len(), 0);
    let mut unmet: Vec<String> = Vec::new();
    for control in policy.list("/grantControls/builtInControls") {
        match control {
            "block" => return Some(Unmet { asks: "blocks".to_owned(), is_about_device: false }),
            "mfa" => met += 1,
            "compliantDevice" => {
                devices += 1;
                unmet.push("a compliant device".to_owned());
            }
            "domainJoinedDevice" => {
                devices += 1;
                unmet.push("a hybrid joined device".to_owned());
            }
            "approvedApplication" | "compliantApplication" => {
                unmet.push("an app with a protection policy".to_owned());
            }
            "passwordChange" => unmet.push("a change of the password".to_owned()),
            other => unmet.push(format!("the control {other}")),
        }
    }
    if policy.has(STRENGTH) {
        let own =
            if has_one_time_pass { "temporaryAccessPassOneTime" } else { "temporaryAccessPassMultiUse" };
        if has(&policy.list("/grantControls/authenticationStrength/allowedCombinations"), own) {
            met += 1;
        } else {
            let name = policy.name("/grantControls/authenticationStrength/displayName");
            let name = name.unwrap_or_else(|| "without a name".to_owned());
            unmet.push(format!("the authentication strength \"{name}\", which does not include {own}"));
        }
    }
    if !policy.list("/grantControls/customAuthenticationFactors").is_empty() {
        unmet.push("a factor of another provider".to_owned());
    }
    let is_any =
        !policy.text("/grantControls/operator").is_some_and(|operator| operator.eq_ignore_ascii_case("AND"));
    if unmet.is_empty() || (is_any && met > 0) {
        return None;
    }
    let asks = format!("asks for {}", unmet.join(if is_any { " or " } else { " and " }));
    Some(Unmet { asks, is_about_device: devices == unmet.len() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const CREW: Uuid = Uuid::from_u128(2);

    /// A policy for everybody and everything that asks for MFA, with what `change` makes of it.
    fn policy(change: impl FnOnce(&mut Value)) -> ConditionalAccessPolicy {
        let mut policy = json!({
            "displayName": "Policy",
            "state": "enabled",
            "conditions": {
                "clientAppTypes": ["all"],
                "applications": {"includeApplications": ["All"], "excludeApplications": [], "includeUserActions": []},
                "users": {"includeUsers": ["All"], "excludeUsers": [], "includeGroups": [], "excludeGroups": []},
                "locations": null,
                "devices": null,
                "userRiskLevels": [],
                "signInRiskLevels": [],
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"], "authenticationStrength": null},
        });
        change(&mut policy);
        from_value(policy).unwrap()
    }

    fn stops(change: impl FnOnce(&mut Value)) -> Option<String> {
        let joiner = Joiner { ids: &[ANN, CREW], has_one_time_pass: true };
        obstacle(&policy(change), joiner).map(|obstacle| {
            let condition = if obstacle.is_conditional { " somewhere" } else { "" };
            format!("{}{condition}", obstacle.asks)
        })
    }

    fn controls(policy: &mut Value, controls: Value) {
        policy["grantControls"]["builtInControls"] = controls;
    }

    #[test]
    fn a_pass_counts_as_mfa_and_as_no_device_and_no_passkey() {
        let strength = |combinations: Value| {
            move |policy: &mut Value| {
                controls(policy, json!([]));
                policy["grantControls"]["authenticationStrength"] =
                    json!({"displayName": "Strong", "allowedCombinations": combinations});
            }
        };
        assert_eq!(stops(|_| {}), None);
        assert_eq!(stops(|p| controls(p, json!(["block"]))).unwrap(), "blocks");
        assert_eq!(
            stops(|p| controls(p, json!(["compliantDevice"]))).unwrap(),
            "asks for a compliant device somewhere"
        );
        assert_eq!(stops(|p| controls(p, json!(["compliantDevice", "mfa"]))), None);
        let both = |p: &mut Value| {
            controls(p, json!(["compliantDevice", "mfa"]));
            p["grantControls"]["operator"] = "AND".into();
        };
        assert_eq!(stops(both).unwrap(), "asks for a compliant device somewhere");
        assert!(stops(strength(json!(["fido2", "windowsHelloForBusiness"]))).unwrap().contains("\"Strong\""));
        assert_eq!(stops(strength(json!(["fido2", "temporaryAccessPassOneTime"]))), None);
        // A pass for one use is another method than one for several.
        assert!(stops(strength(json!(["fido2", "temporaryAccessPassMultiUse"]))).is_some());
        assert_eq!(stops(|p| p["grantControls"] = Value::Null), None);
    }

    #[test]
    fn who_is_left_out_and_what_is_off_is_not_stopped() {
        let block = |pointer: &'static str, value: Value| {
            move |policy: &mut Value| {
                controls(policy, json!(["block"]));
                *policy.pointer_mut(pointer).unwrap() = value;
            }
        };
        let all = Some("blocks".to_owned());
        for (pointer, value, expected) in [
            ("/state", json!("enabledForReportingButNotEnforced"), None),
            ("/state", json!("disabled"), None),
            ("/conditions/users/excludeGroups", json!([CREW]), None),
            ("/conditions/users/excludeUsers", json!([ANN]), None),
            ("/conditions/users/includeUsers", json!(["None"]), None),
            ("/conditions/users/includeUsers", json!([ANN]), all.clone()),
            ("/conditions/users/excludeGroups", json!([Uuid::nil()]), all.clone()),
            (
                "/conditions/applications/includeApplications",
                json!(["00000003-0000-0ff1-ce00-000000000000"]),
                None,
            ),
            ("/conditions/applications/includeApplications", json!([MY_SIGN_INS]), all.clone()),
            ("/conditions/applications/excludeApplications", json!([MY_SIGN_INS]), None),
            ("/conditions/clientAppTypes", json!(["exchangeActiveSync", "other"]), None),
            ("/conditions/userRiskLevels", json!(["high"]), None),
            ("/conditions/locations", json!({"includeLocations": ["All"], "excludeLocations": []}), all),
            (
                "/conditions/locations",
                json!({"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}),
                Some("blocks somewhere".to_owned()),
            ),
        ] {
            assert_eq!(stops(block(pointer, value.clone())), expected, "{pointer} {value}");
        }
        let action =
            json!({"includeApplications": [], "includeUserActions": ["urn:user:registersecurityinfo"]});
        assert!(stops(block("/conditions/applications", action)).is_some());
        let device = json!({"includeApplications": [], "includeUserActions": ["urn:user:registerdevice"]});
        assert_eq!(stops(block("/conditions/applications", device)), None);
    }
}
