//! The days on which people work: by country, or as WORKING_DAYS says.

use chrono::{Datelike, NaiveDate, Weekday};
use icu_calendar::{
    types::Weekday as IcuWeekday,
    week::{WeekInformation, WeekPreferences},
};
use icu_locale::{LanguageIdentifier, Locale, subtags::Region};

/// Monday to Sunday.
const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

/// The days on which people work. 1 January is never one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkingDays {
    /// Empty: by country.
    weekdays: Vec<Weekday>,
    off: Vec<DayOff>,
}

/// A day on which nobody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayOff {
    Once(NaiveDate),
    /// Month and day.
    Yearly(u32, u32),
}

/// A part of WORKING_DAYS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkingDaysItem {
    Weekdays(Vec<Weekday>),
    Off(NaiveDate),
    OffYearly(u32, u32),
}

impl WorkingDaysItem {
    /// Reads `mon-fri`, `sat`, `!2026-12-24` or `!12-25`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("is none of mon, mon-fri, !2026-12-24, !12-25: \"{text}\"");
        let Some(off) = text.strip_prefix('!') else {
            let day = |name: &str| name.trim().parse::<Weekday>().map_err(|_| form());
            return match text.split_once('-') {
                None => Ok(Self::Weekdays(vec![day(text)?])),
                Some((from, to)) => Ok(Self::Weekdays(span(day(from)?, day(to)?))),
            };
        };
        if let Ok(date) = off.trim().parse() {
            return Ok(Self::Off(date));
        }
        let (month, day) = off.trim().split_once('-').ok_or_else(form)?;
        match (month.parse(), day.parse()) {
            // A leap year has every day.
            (Ok(month), Ok(day)) if NaiveDate::from_ymd_opt(2024, month, day).is_some() => {
                Ok(Self::OffYearly(month, day))
            }
            _ => Err(form()),
        }
    }
}

/// The weekdays from `from` to `to`, over Sunday if need be.
fn span(from: Weekday, to: Weekday) -> Vec<Weekday> {
    let length = to.days_since(from) as usize + 1;
    WEEK.into_iter().cycle().skip(from.num_days_from_monday() as usize).take(length).collect()
}

impl FromIterator<WorkingDaysItem> for WorkingDays {
    fn from_iter<T: IntoIterator<Item = WorkingDaysItem>>(items: T) -> Self {
        let mut all = Self::default();
        for item in items {
            match item {
                WorkingDaysItem::Weekdays(days) => all.weekdays.extend(days),
                WorkingDaysItem::Off(date) => all.off.push(DayOff::Once(date)),
                WorkingDaysItem::OffYearly(month, day) => all.off.push(DayOff::Yearly(month, day)),
            }
        }
        all
    }
}

impl WorkingDays {
    /// The working days from `first` on, for people in `country` (ISO 3166-1). None for a week of settings without one.
    pub(crate) fn from(&self, first: NaiveDate, country: Option<&str>) -> impl Iterator<Item = NaiveDate> {
        let weekdays = if self.weekdays.is_empty() { working_week(country) } else { self.weekdays.clone() };
        // Three weeks hold the longest holidays; later, something is wrong with the setting.
        first.iter_days().take(21).filter(move |day| weekdays.contains(&day.weekday()) && !self.is_off(*day))
    }

    fn is_off(&self, day: NaiveDate) -> bool {
        let is_this = |off: &DayOff| match *off {
            DayOff::Once(date) => date == day,
            DayOff::Yearly(month, of_month) => (month, of_month) == (day.month(), day.day()),
        };
        (day.month(), day.day()) == (1, 1) || self.off.iter().any(is_this)
    }
}

/// The working week: Monday to Friday, or, where the weekend has no Sunday (CLDR), all other days.
fn working_week(country: Option<&str>) -> Vec<Weekday> {
    let weekend = country.and_then(weekend).filter(|weekend| !weekend.contains(&Weekday::Sun));
    let weekend = weekend.unwrap_or_else(|| vec![Weekday::Sat, Weekday::Sun]);
    WEEK.into_iter().filter(|day| !weekend.contains(day)).collect()
}

fn weekend(country: &str) -> Option<Vec<Weekday>> {
    let region: Region = country.trim().parse().ok()?;
    let locale = Locale::from(LanguageIdentifier { region: Some(region), ..LanguageIdentifier::UNKNOWN });
    let week = WeekInformation::try_new(WeekPreferences::from(&locale)).ok()?;
    let day = |day: IcuWeekday| match day {
        IcuWeekday::Monday => Weekday::Mon,
        IcuWeekday::Tuesday => Weekday::Tue,
        IcuWeekday::Wednesday => Weekday::Wed,
        IcuWeekday::Thursday => Weekday::Thu,
        IcuWeekday::Friday => Weekday::Fri,
        IcuWeekday::Saturday => Weekday::Sat,
        IcuWeekday::Sunday => Weekday::Sun,
    };
    Some(week.weekend().map(day).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> WorkingDays {
        text.split(',').map(|item| WorkingDaysItem::parse(item.trim()).unwrap()).collect()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// The first working day from this Saturday on.
    fn after_saturday(days: &WorkingDays, country: Option<&str>) -> String {
        days.from(date("2026-11-28"), country).next().map(|day| day.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_week_is_that_of_the_country() {
        for (country, first) in [
            (None, "2026-11-30"),
            (Some("DE"), "2026-11-30"),
            (Some(" us "), "2026-11-30"),
            // Sunday alone is no working week of six days.
            (Some("IN"), "2026-11-30"),
            (Some("AE"), "2026-11-30"),
            (Some("SA"), "2026-11-29"),
            (Some("IL"), "2026-11-29"),
            (Some("EG"), "2026-11-29"),
            (Some("IR"), "2026-11-28"),
            (Some("??"), "2026-11-30"),
        ] {
            assert_eq!(after_saturday(&WorkingDays::default(), country), first, "{country:?}");
        }
        let from_friday = WorkingDays::default().from(date("2026-11-27"), Some("SA")).next();
        assert_eq!(from_friday, Some(date("2026-11-29")));
    }

    #[test]
    fn a_setting_names_weekdays_and_days_off() {
        for (setting, first) in [
            ("mon-fri", "2026-11-30"),
            ("sat-wed", "2026-11-28"),
            ("sun - thu", "2026-11-29"),
            ("tue,thu", "2026-12-01"),
            ("!2026-11-30", "2026-12-01"),
            ("!11-30, !2026-12-01", "2026-12-02"),
            ("mon, !2026-11-30", "2026-12-07"),
        ] {
            assert_eq!(after_saturday(&days(setting), Some("DE")), first, "{setting}");
        }
        let new_year: Vec<NaiveDate> =
            WorkingDays::default().from(date("2027-01-01"), None).take(1).collect();
        assert_eq!(new_year, [date("2027-01-04")]);
        for text in ["", "monday-", "fri-", "!", "!13-01", "!02-30", "2026-12-24", "workdays"] {
            assert!(WorkingDaysItem::parse(text).is_err(), "{text}");
        }
    }
}
