//! A test oracle: decides from the specification who may have a pass. It uses no rule of the product; only time zones
//! are shared.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::{ledger::Purpose, zone::Tz};
use firstpass_sandbox::tenant::{Person, samples::zone};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::{
    personas::{DEFAULT_ZONE, OFFICE_ZONE},
    scenario::{Config, HireDates},
    trace::Invocation,
};

/// The length of the horizon.
const LEAD_DAYS: u64 = 7;
/// The default of LATE_DAYS.
const LATE_DAYS: i64 = 14;
/// The default of JOINER_MAX_AGE_DAYS.
const MAX_AGE_DAYS: i64 = 90;
/// A day one that is this far from the announced one is another start, not a move.
const MAX_MOVE: TimeDelta = TimeDelta::days(30);
/// How many codes are mailed for one day one.
pub const MAX_CODES: u32 = 4;
/// Not a privileged role. Scenarios assign privileged roles only.
const DIRECTORY_READERS: Uuid = uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b");

fn zone_of(country: Option<&str>) -> Tz {
    match country {
        Some("GB") => zone("Europe/London"),
        Some("DE") => zone("Europe/Berlin"),
        Some("NZ") => zone("Pacific/Auckland"),
        Some("JP") => zone("Asia/Tokyo"),
        _ => zone(DEFAULT_ZONE),
    }
}

/// The later of the hire date in UTC and in the joiner's zone, or the date where HR writes it.
fn day_one(hire_date: DateTime<Utc>, zone: Tz, config: &Config) -> NaiveDate {
    match config.hire_dates {
        HireDates::Midnight => hire_date.date_naive().max(hire_date.with_timezone(&zone).date_naive()),
        HireDates::Noon => hire_date.date_naive(),
        HireDates::Office => hire_date.with_timezone(&self::zone(OFFICE_ZONE)).date_naive(),
    }
}

pub fn is_past(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    day < now.with_timezone(&zone).date_naive()
}

/// Whether the first day is past, and a joiner who was never sent a pass still gets one.
pub fn is_late(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    is_past(day, zone, now) && now.with_timezone(&zone).date_naive() - day <= TimeDelta::days(LATE_DAYS)
}

pub fn is_in_horizon(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    let today = now.with_timezone(&zone).date_naive();
    today <= day && day <= today + Days::new(LEAD_DAYS)
}

pub fn is_beyond_horizon(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    day > now.with_timezone(&zone).date_naive() + Days::new(LEAD_DAYS)
}

pub fn is_move(a: NaiveDate, b: NaiveDate) -> bool {
    (a - b).abs() < MAX_MOVE
}

/// The default of DAY_ONE_TIME: seven in the morning.
pub fn pass_start(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let seven = NaiveTime::from_hms_opt(7, 0, 0).unwrap();
    zone.from_local_datetime(&day.and_time(seven)).earliest().unwrap().to_utc()
}

/// Whether the account shows, to an app that may read sign-ins or not, that it is no new joiner's.
pub fn is_in_use(person: &Person, config: &Config, now: DateTime<Utc>) -> bool {
    let is_old = person.created.is_none_or(|created| (now - created).num_days() > MAX_AGE_DAYS);
    !person.methods.is_empty() || (config.sign_ins_readable && person.last_sign_in.is_some()) || is_old
}

pub fn day_one_of(person: &Person, config: &Config) -> Option<(NaiveDate, Tz)> {
    let zone = zone_of(person.usage_location.as_deref());
    Some((day_one(person.hire_date?, zone, config), zone))
}

/// Whether the invocation may create a pass, given what it has read; otherwise, why not.
pub fn check_eligibility(
    invocation: &Invocation,
    config: &Config,
    on_demand: Uuid,
    created_at: DateTime<Utc>,
) -> Result<(), String> {
    let part = |path: &str| match invocation.responses.get(path) {
        Some((200, body)) => Ok(body),
        Some((status, _)) => Err(format!("the read of {path} was answered with {status}")),
        None => Err(format!("{path} was never read")),
    };
    let user = part("me")?;
    if user["userType"] == "Guest" {
        return Err("the user is a guest".into());
    }
    let is_enabled = user["accountEnabled"] == true;
    if !is_enabled && !config.serve_disabled {
        return Err("the account is disabled, and SERVE_DISABLED is off".into());
    }
    let groups = values(part("me/transitiveMemberOf")?);
    check_privileges(&groups, part("/roleManagement/directory/roleAssignments")?)?;
    check_privileges(&[], part("/roleManagement/directory/roleEligibilityScheduleInstances")?)?;
    let is_member = groups.iter().any(|group| group["id"] == on_demand.to_string());
    match invocation.reason.as_str() {
        "http" => Ok(()),
        "group-add" if is_member => Ok(()),
        "group-add" => Err("the user is not a member of the on-demand group".into()),
        "recheck" if is_member => Ok(()),
        _ => check_joiner(invocation, user, config, is_enabled, created_at),
    }
}

fn check_joiner(
    invocation: &Invocation,
    user: &Value,
    config: &Config,
    is_enabled: bool,
    created_at: DateTime<Utc>,
) -> Result<(), String> {
    let hire_date: DateTime<Utc> = user["employeeHireDate"]
        .as_str()
        .and_then(|date| date.parse().ok())
        .ok_or("the user has no hire date")?;
    let zone = zone_of(user["usageLocation"].as_str());
    let day = day_one(hire_date, zone, config);
    // The date can change between the read and the POST.
    let is_near = is_in_horizon(day, zone, invocation.read_at) || is_in_horizon(day, zone, created_at);
    let is_late = is_late(day, zone, invocation.read_at) && was_never_served(invocation, day);
    if !is_near && !is_late && !is_replacement(invocation, day) {
        return Err(format!("day one is {day}, outside the horizon"));
    }
    if codes(invocation, day) >= MAX_CODES {
        return Err(format!("four codes were mailed for {day}"));
    }
    check_is_new(invocation, user, day)?;
    let announcement = invocation.record.as_ref().and_then(|record| record.announcement.as_ref());
    if !is_enabled && announcement.is_some_and(|a| a.enabled && is_move(a.day_one, day)) {
        return Err("the account was disabled after the joiner got a pass".into());
    }
    Ok(())
}

/// Whether no delivered pass for a start had opened when the invocation read the record, nor any other since the day before.
fn was_never_served(invocation: &Invocation, day: NaiveDate) -> bool {
    let delivered = invocation.record.as_ref().and_then(|record| record.delivered.as_ref());
    delivered.is_none_or(|delivered| {
        let is_of_day = delivered.pass.opens_at.date_naive() >= day - Days::new(1);
        let is_about_start = delivered.purpose == Purpose::Joiner || is_of_day;
        delivered.pass.opens_at > invocation.read_at || !is_about_start
    })
}

/// Whether a pass for this day one was delivered and had ended when the invocation read it, within a week after the day.
fn is_replacement(invocation: &Invocation, day: NaiveDate) -> bool {
    let delivered = invocation.record.as_ref().and_then(|record| record.delivered.as_ref());
    let has_ended = delivered.is_some_and(|d| {
        d.purpose == Purpose::Joiner && d.day_one == Some(day) && d.pass.ends_at <= invocation.read_at
    });
    has_ended && invocation.read_at.date_naive() - day <= TimeDelta::days(7)
}

fn codes(invocation: &Invocation, day: NaiveDate) -> u32 {
    invocation.record.as_ref().and_then(|record| record.codes.get(&day).copied()).unwrap_or_default()
}

/// Whether the invocation read that the start that its user was told of is withdrawn, and no pass was made since.
pub fn is_withdrawn(invocation: &Invocation) -> bool {
    let Some((200, user)) = invocation.responses.get("me") else { return false };
    let Some(record) = &invocation.record else { return false };
    let is_withdrawn =
        user["employeeHireDate"].is_null() || user["accountEnabled"] == false || user["userType"] == "Guest";
    is_withdrawn
        && record.announcement.is_some()
        && !record.delivered.as_ref().is_some_and(|delivered| delivered.after_withdrawal)
}

/// Whether what was read shows no use of the account.
fn check_is_new(invocation: &Invocation, user: &Value, day: NaiveDate) -> Result<(), String> {
    const OF_NEW_ACCOUNTS: [&str; 2] = ["password", "temporaryAccessPass"];
    let Some((200, methods)) = invocation.responses.get("me/authentication/methods") else {
        return Err("the authentication methods were not read".into());
    };
    let is_other = |method: &Value| {
        let kind = method["@odata.type"].as_str().unwrap_or_default();
        !OF_NEW_ACCOUNTS.iter().any(|new| kind == format!("#microsoft.graph.{new}AuthenticationMethod"))
    };
    if values(methods).iter().any(is_other) {
        return Err("the account has an authentication method".into());
    }
    if let Some((200, account)) = invocation.responses.get("sign-ins")
        && account["signInActivity"]["lastSuccessfulSignInDateTime"].is_string()
    {
        return Err("someone has signed in to the account".into());
    }
    let created = user["createdDateTime"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    match created {
        Some(created) if (day - created.date_naive()).num_days() <= MAX_AGE_DAYS => Ok(()),
        _ => Err(format!("the account was created at {created:?}")),
    }
}

fn check_privileges(groups: &[Value], roles: &Value) -> Result<(), String> {
    if groups.iter().any(|group| group["isAssignableToRole"] == true) {
        return Err("the user is a member of a role-assignable group".into());
    }
    let from_groups = groups.iter().filter_map(|group| group["roleTemplateId"].as_str());
    let assigned = values(roles);
    let from_assignments = assigned.iter().filter_map(|role| role["roleDefinitionId"].as_str());
    match from_groups.chain(from_assignments).find(|role| role.parse() != Ok(DIRECTORY_READERS)) {
        Some(role) => Err(format!("the user has the role {role}")),
        None => Ok(()),
    }
}

/// The array `value` of a Graph list.
pub fn values(body: &Value) -> Vec<Value> {
    body["value"].as_array().cloned().unwrap_or_default()
}
