//! When a pass works.

use std::fmt;

use chrono::{
    DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, TimeDelta, TimeZone, Utc,
};

use crate::{
    graph::{NewPass, PassPolicy},
    ledger::{Purpose, is_same_start},
    settings::{FIRST_HOURS, PassSettings, PassStart},
    zone::{Country, JoinerZone, Tz},
};

/// When a pass works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it opens; whole seconds.
    pub opens_at: DateTime<Utc>,
    /// Whether it opens at once: then the request names no start, and Graph's clock decides.
    pub opens_now: bool,
    /// Minutes.
    pub lifetime_minutes: u32,
    /// Whether the pass works only once.
    pub one_time: bool,
    /// The joiner's zone, for texts.
    pub zone: Tz,
    /// If the joiner may be in several zones, and the policy does not allow a pass that works long enough in all of them.
    pub too_short: Option<TooShort>,
    /// The working day for whose morning another pass is made, if the policy does not let this one reach into it and nobody uses
    /// this one.
    pub follows_on: Option<NaiveDate>,
}

/// Why a window is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// The country in which the joiner is, in one of its zones.
    pub country: Country,
    /// The minutes that would be enough for all of them.
    pub needed: u32,
}

/// The default lifetime in minutes: a day. The policy may clamp it.
pub(super) const DEFAULT_LIFETIME: u32 = 1_440;
/// Who is first seen later than this on a working day needs a pass for the next one.
const WORK_ENDS: NaiveTime = NaiveTime::from_hms_opt(17, 0, 0).expect("17:00 is a time");
/// Of a joiner who may be in any of several zones, in minutes.
const WORKING_DAY: u32 = 480;

impl Window {
    /// The window of a joiner's pass: from day one at DAY_ONE_TIME in their zone, never in the past. If the zone is that of most
    /// people in a country, it is long enough for all zones of the country where the policy allows. If day one is no working day
    /// where the joiner is (`usage_location`), or its working hours are over, it reaches into the next working morning, likewise.
    pub(crate) fn for_joiner(
        day_one: NaiveDate,
        joiner_zone: JoinerZone,
        usage_location: Option<&str>,
        settings: &PassSettings,
        policy: &PassPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        let zone = joiner_zone.zone;
        let workday = first_workday(day_one, zone, usage_location, settings, now);
        let mornings = Mornings::of(day_one, joiner_zone, settings, policy);
        // What works now works in all zones whose morning has begun.
        let mornings = if mornings.last > now { mornings } else { Mornings { spread: None, ..mornings } };
        let from = |opens_at: DateTime<Utc>, default_lifetime| {
            let lifetime = settings.lifetime_minutes.unwrap_or(default_lifetime);
            let lifetime = lifetime.max(mornings.spread.map_or(0, |(_, needed)| needed));
            // Until the beginning of the first working day, in the last zone.
            let until =
                workday.map(|day| Mornings::of(day, joiner_zone, settings, policy).last).map(|morning| {
                    morning + TimeDelta::minutes(FIRST_HOURS.min(policy.maximum_lifetime_in_minutes).into())
                });
            let held = until.map_or(0, |until| minutes_between(opens_at.max(now), until));
            let holds = policy.clamp(held) >= held;
            let lifetime = if holds { lifetime.max(held) } else { lifetime };
            let window = Self::from(opens_at, lifetime, settings.one_time.unwrap_or(true), zone, policy, now);
            Self { too_short: mornings.too_short(policy), follows_on: workday.filter(|_| !holds), ..window }
        };
        let opening = mornings.opening(policy);
        if settings.start == PassStart::Now {
            let at_once = from(now, minutes_between(now, opening).saturating_add(DEFAULT_LIFETIME));
            // A pass that ends before the joiner arrives is useless.
            let useful_until = match mornings.spread {
                Some((_, needed)) if mornings.too_short(policy).is_none() => {
                    opening + TimeDelta::minutes(needed.into())
                }
                _ => opening + TimeDelta::seconds(1),
            };
            if at_once.ends_at() >= useful_until {
                return at_once;
            }
        }
        from(opening, DEFAULT_LIFETIME)
    }

    /// When a joiner's pass for `day` opens if it does not open at once.
    pub(super) fn opening_for_joiner(
        day: NaiveDate,
        joiner_zone: JoinerZone,
        settings: &PassSettings,
        policy: &PassPolicy,
    ) -> DateTime<Utc> {
        Mornings::of(day, joiner_zone, settings, policy).opening(policy)
    }

    /// The window from `opens_at`, but not in the past, within the policy.
    pub fn from(
        opens_at: DateTime<Utc>,
        lifetime_minutes: u32,
        one_time: bool,
        zone: Tz,
        policy: &PassPolicy,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            opens_at: opens_at.max(now).trunc_subsecs(0),
            opens_now: opens_at <= now,
            lifetime_minutes: policy.clamp(lifetime_minutes),
            one_time: one_time || policy.is_usable_once,
            zone,
            too_short: None,
            follows_on: None,
        }
    }

    /// When it ends.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.opens_at + TimeDelta::minutes(self.lifetime_minutes.into())
    }

    /// The pass to ask Graph for.
    pub(crate) fn as_new_pass(&self) -> NewPass {
        NewPass {
            opens_at: (!self.opens_now).then_some(self.opens_at),
            lifetime_minutes: self.lifetime_minutes,
            one_time: self.one_time,
        }
    }
}

/// The working day whose morning a pass for `day_one` should hold, if that is not day one itself: because nobody works then, or
/// because its working hours are over.
pub(super) fn first_workday(
    day_one: NaiveDate,
    zone: Tz,
    usage_location: Option<&str>,
    settings: &PassSettings,
    now: DateTime<Utc>,
) -> Option<NaiveDate> {
    let is_over = |day: &NaiveDate| opening(day.and_time(WORK_ENDS), zone) <= now;
    let mut days = settings.working_days.from(day_one, usage_location);
    // Of somebody late, the days since are working days that are over.
    let mut later = || {
        let today = now.with_timezone(&zone).date_naive();
        settings.working_days.from(today.max(day_one), usage_location).find(|day| !is_over(day))
    };
    days.find(|day| !is_over(day)).or_else(&mut later).filter(|day| *day != day_one)
}

/// The morning of a day in all zones in which a joiner may be.
#[derive(Clone, Copy)]
struct Mornings {
    /// In the joiner's zone, or that of most people in the country.
    here: DateTime<Utc>,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    /// The country, and the minutes from the first morning that are enough in all its zones: a working day in each, or as long as
    /// the pass would be.
    spread: Option<(Country, u32)>,
}

impl Mornings {
    fn of(
        day: NaiveDate,
        JoinerZone { zone, country, .. }: JoinerZone,
        settings: &PassSettings,
        policy: &PassPolicy,
    ) -> Self {
        let time = settings.opening_time(policy.maximum_lifetime_in_minutes);
        let in_zone = |zone| opening(day.and_time(time), zone);
        let all = || country.into_iter().flat_map(Country::zones).map(in_zone);
        let here = in_zone(zone);
        let (first, last) = (all().min().unwrap_or(here), all().max().unwrap_or(here));
        let lifetime = policy.clamp(settings.lifetime_minutes.unwrap_or(DEFAULT_LIFETIME));
        let needed = minutes_between(first, last).saturating_add(lifetime.min(WORKING_DAY));
        Self { here, first, last, spread: country.map(|country| (country, needed)) }
    }

    /// Why the policy does not allow a pass for all of them.
    fn too_short(self, policy: &PassPolicy) -> Option<TooShort> {
        let is_too_short = |(_, needed): &(Country, u32)| policy.clamp(*needed) < *needed;
        self.spread.filter(is_too_short).map(|(country, needed)| TooShort { country, needed })
    }

    /// When a pass for them opens. If not all can be served, most people come first.
    fn opening(self, policy: &PassPolicy) -> DateTime<Utc> {
        if self.too_short(policy).is_some() { self.here } else { self.first }
    }
}

/// Whether a pass that opened at `opened_at` served somebody whose first day is `day`: one for a start, or any from the day before.
pub(crate) fn serves(purpose: Purpose, opened_at: DateTime<Utc>, day: NaiveDate) -> bool {
    let is_of_day = opened_at.date_naive() >= day.pred_opt().unwrap_or(day);
    is_of_day || (purpose == Purpose::Joiner && is_same_start(opened_at, Some(day)))
}

/// The instant of a local time in a zone.
///
/// A time that does not exist (clocks go forward) becomes the end of the gap; a time that exists twice (clocks go back)
/// becomes the first of the two.
pub fn opening(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // No gap in the time zone database is longer than a day (Samoa skipped one).
    (0..=96)
        .map(|quarters| zone.from_local_datetime(&(local + TimeDelta::minutes(15 * quarters))))
        .find_map(LocalResult::earliest)
        .map_or_else(|| local.and_utc(), |time| time.to_utc())
}

fn minutes_between(from: DateTime<Utc>, to: DateTime<Utc>) -> u32 {
    u32::try_from((to - from).num_minutes().max(0)).unwrap_or(u32::MAX)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [opens, ends] = [self.opens_at, self.ends_at()].map(|time| time.with_timezone(&self.zone));
        let ends_on = if opens.date_naive() == ends.date_naive() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        write!(f, "{} to {} {}", opens.format("%Y-%m-%d %H:%M"), ends.format(ends_on), self.zone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{pass::fixtures, zone::zone};

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn opening_survives_daylight_saving() {
        for (local, name, utc) in [
            ("2026-11-30T07:00:00", "Europe/Berlin", "2026-11-30T06:00:00Z"),
            ("2026-07-01T07:00:00", "Europe/Berlin", "2026-07-01T05:00:00Z"),
            ("2026-11-30T07:00:00", "America/Los_Angeles", "2026-11-30T15:00:00Z"),
            ("2026-11-30T07:00:00", "Pacific/Auckland", "2026-11-29T18:00:00Z"),
            ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            ("2011-12-30T07:00:00", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(
                opening(at(local), zone(name)),
                utc.parse::<DateTime<Utc>>().unwrap(),
                "{local} {name}"
            );
        }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The window of a pass that starts now, five days before an opening at 07:00, where the policy allows `maximum`.
    fn from_now_on(maximum: u32) -> Window {
        let settings = PassSettings { start: PassStart::Now, ..fixtures::pass_settings() };
        let policy = PassPolicy {
            default_length: 8,
            state: "enabled".into(),
            minimum_lifetime_in_minutes: 60,
            maximum_lifetime_in_minutes: maximum,
            is_usable_once: false,
        };
        let day_one = "2026-11-27".parse().unwrap();
        Window::for_joiner(
            day_one,
            JoinerZone::from(Tz::UTC),
            None,
            &settings,
            &policy,
            utc("2026-11-22T07:00:00Z"),
        )
    }

    #[test]
    fn a_pass_that_starts_now_lasts_until_a_day_after_day_one_begins() {
        let window = from_now_on(43_200);
        assert!(window.opens_now);
        assert_eq!(window.ends_at(), utc("2026-11-28T07:00:00Z"));
    }

    #[test]
    fn a_pass_that_would_end_before_day_one_opens_on_day_one() {
        let five_days = 5 * DEFAULT_LIFETIME;
        assert_eq!(from_now_on(five_days).opens_at, utc("2026-11-27T07:00:00Z"), "over at that very moment");
        assert!(from_now_on(five_days + 1).opens_now);
    }

    #[test]
    fn a_window_shows_local_times_and_the_end_date_if_it_is_another_day() {
        let window = |lifetime_minutes| Window {
            opens_at: utc("2026-11-27T06:00:00Z"),
            opens_now: false,
            lifetime_minutes,
            one_time: true,
            zone: zone("Europe/Berlin"),
            too_short: None,
            follows_on: None,
        };
        assert_eq!(window(480).to_string(), "2026-11-27 07:00 to 15:00 Europe/Berlin");
        assert_eq!(
            window(DEFAULT_LIFETIME).to_string(),
            "2026-11-27 07:00 to 2026-11-28 07:00 Europe/Berlin"
        );
    }

    fn policy() -> impl Strategy<Value = PassPolicy> {
        (10_u32..43_200, 10_u32..43_200, any::<bool>()).prop_map(|(a, b, once)| PassPolicy {
            default_length: 8,
            state: "enabled".into(),
            minimum_lifetime_in_minutes: a.min(b),
            maximum_lifetime_in_minutes: a.max(b),
            is_usable_once: once,
        })
    }

    proptest! {
        #[test]
        fn a_window_is_never_in_the_past_and_always_within_policy(
            now in 1_700_000_000_i64..1_900_000_000, ahead in 0_u64..30, policy in policy(),
            zone in proptest::sample::select(Tz::all().collect::<Vec<_>>()),
            lifetime in proptest::option::of(10_u32..=43_200), start_now in any::<bool>(), one_time in any::<bool>(),
        ) {
            let now = DateTime::from_timestamp(now, 0).unwrap();
            let day_one = now.with_timezone(&zone).date_naive() + chrono::Days::new(ahead);
            let start = if start_now { PassStart::Now } else { PassStart::DayOne };
            let settings = PassSettings { start, lifetime_minutes: lifetime, one_time: Some(one_time), ..fixtures::pass_settings() };
            let window = Window::for_joiner(day_one, JoinerZone::from(zone), None, &settings, &policy, now);
            prop_assert!(window.opens_at >= now);
            prop_assert_eq!(window.opens_now, window.opens_at == now);
            prop_assert!(window.lifetime_minutes >= policy.minimum_lifetime_in_minutes);
            prop_assert!(window.lifetime_minutes <= policy.maximum_lifetime_in_minutes);
            let opening = opening(day_one.and_time(settings.day_one_time), zone);
            prop_assert!(window.ends_at() > opening.min(now), "over before day one");
            prop_assert!(window.one_time || !(one_time || policy.is_usable_once));
            if !start_now && ahead > 1 {
                prop_assert_eq!(window.opens_at.with_timezone(&zone).date_naive(), day_one);
            }
        }
    }
}
