//! Who may have a pass, worked out anew from the design and without a line of the product's code but its clocks.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::zone::Tz;
use firstpass_sandbox::tenant::{Person, samples::zone};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::{evidence::Run, personas::DEFAULT_ZONE, plan::House};

const LEAD_DAYS: u64 = 7;
/// A day one further away than this from the one that was told is another start, not a move.
const A_MOVE: TimeDelta = TimeDelta::days(30);
/// The one role in these tenants that gives no power would be Directory Readers.
const DIRECTORY_READERS: Uuid = uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b");

pub fn zone_of(country: Option<&str>) -> Tz {
    match country {
        Some("GB") => zone("Europe/London"),
        Some("DE") => zone("Europe/Berlin"),
        Some("NZ") => zone("Pacific/Auckland"),
        Some("JP") => zone("Asia/Tokyo"),
        _ => zone(DEFAULT_ZONE),
    }
}

/// The later of the stamp's date in UTC and in the joiner's zone.
pub fn day_one(stamp: DateTime<Utc>, zone: Tz) -> NaiveDate {
    stamp.date_naive().max(stamp.with_timezone(&zone).date_naive())
}

pub fn is_near(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    let today = now.with_timezone(&zone).date_naive();
    today <= day && day <= today + Days::new(LEAD_DAYS)
}

pub fn is_beyond(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> bool {
    day > now.with_timezone(&zone).date_naive() + Days::new(LEAD_DAYS)
}

pub fn is_move(a: NaiveDate, b: NaiveDate) -> bool {
    (a - b).abs() < A_MOVE
}

/// Seven in the morning of day one: DAY_ONE_TIME.
pub fn opening(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let seven = NaiveTime::from_hms_opt(7, 0, 0).unwrap();
    zone.from_local_datetime(&day.and_time(seven)).earliest().unwrap().to_utc()
}

pub fn day_one_of(person: &Person) -> Option<(NaiveDate, Tz)> {
    let zone = zone_of(person.usage_location.as_deref());
    Some((day_one(person.hire_date?, zone), zone))
}

/// Whether a run could make a pass at all, by its own reading.
pub fn reading_allows(
    run: &Run,
    house: &House,
    on_demand: Uuid,
    made_at: DateTime<Utc>,
) -> Result<(), String> {
    let part = |path: &str| match run.reading.get(path) {
        Some((200, body)) => Ok(body),
        Some((status, _)) => Err(format!("{path} was answered with {status}")),
        None => Err(format!("{path} was never read")),
    };
    let user = part("me")?;
    if user["userType"] == "Guest" {
        return Err("it was read as a guest".into());
    }
    let is_enabled = user["accountEnabled"] == true;
    if !is_enabled && !house.serve_disabled {
        return Err("it was read as disabled, and such accounts are not served".into());
    }
    let groups = values(part("me/transitiveMemberOf")?);
    guarded(&groups, part("/roleManagement/directory/roleAssignments")?)?;
    guarded(&[], part("/roleManagement/directory/roleEligibilityScheduleInstances")?)?;
    let in_group = groups.iter().any(|group| group["id"] == on_demand.to_string());
    match run.reason.as_str() {
        "http" => Ok(()),
        "group-add" if in_group => Ok(()),
        "group-add" => Err("it was read as no member of the on-demand group".into()),
        "recheck" if in_group => Ok(()),
        _ => joiner_in_scope(run, user, is_enabled, made_at),
    }
}

fn joiner_in_scope(run: &Run, user: &Value, is_enabled: bool, made_at: DateTime<Utc>) -> Result<(), String> {
    let stamp: DateTime<Utc> = user["employeeHireDate"]
        .as_str()
        .and_then(|stamp| stamp.parse().ok())
        .ok_or("it was read without a hire date")?;
    let zone = zone_of(user["usageLocation"].as_str());
    let day = day_one(stamp, zone);
    // A day may end between the reading and the decision.
    if !is_near(day, zone, run.read_at) && !is_near(day, zone, made_at) {
        return Err(format!("day one was read as {day}, out of the horizon"));
    }
    let told = run.record.as_ref().and_then(|record| record.announcement);
    if !is_enabled && told.is_some_and(|told| told.enabled && is_move(told.day_one, day)) {
        return Err("it was read as disabled after it had been told of its day".into());
    }
    Ok(())
}

fn guarded(groups: &[Value], roles: &Value) -> Result<(), String> {
    if groups.iter().any(|group| group["isAssignableToRole"] == true) {
        return Err("it was read as a member of a role-assignable group".into());
    }
    let of_groups = groups.iter().filter_map(|group| group["roleTemplateId"].as_str());
    let held = values(roles);
    let of_roles = held.iter().filter_map(|role| role["roleDefinitionId"].as_str());
    match of_groups.chain(of_roles).find(|role| role.parse() != Ok(DIRECTORY_READERS)) {
        Some(role) => Err(format!("it was read with the role {role}")),
        None => Ok(()),
    }
}

pub fn values(body: &Value) -> Vec<Value> {
    body["value"].as_array().cloned().unwrap_or_default()
}
