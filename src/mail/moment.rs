//! Dates and times in the reader's format.

use std::{collections::BTreeMap, sync::LazyLock};

use chrono::{DateTime, Datelike, NaiveDate, Offset, Timelike, Utc};
use icu_calendar::{Date, Gregorian};
use icu_datetime::{
    FixedCalendarDateTimeFormatter, NoCalendarFormatter,
    fieldsets::{T, YMDE},
};
use icu_locale::{LanguageIdentifier, Locale, locale};
use icu_time::Time;
use serde::Serialize;

use super::MailError;
use crate::{templates::embedded, zone::Tz};

/// An instant in three parts. The template has the words between them ("at", "um … Uhr").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    /// With weekday and year: "Montag, 30. November 2026".
    date: String,
    /// To the minute, in the locale's 12 or 24 hours: "07:00".
    time: String,
    /// City and UTC offset at that instant: "Berlin, UTC+1".
    zone: String,
}

/// Formats dates for a locale and a time zone.
pub(super) struct Dates {
    date: FixedCalendarDateTimeFormatter<Gregorian, YMDE>,
    time: NoCalendarFormatter<T>,
    city: Option<String>,
    comma: &'static str,
    language: String,
    zone: Tz,
}

impl Dates {
    /// A formatter for `locale`, the language with the reader's country: dates in "en-GB" and "en-US" differ.
    pub(super) fn new(locale: Locale, zone: Tz) -> Result<Self, MailError> {
        // CLDR's dates with a weekday are half numeric in Portugal, where those of Brazil are written as well.
        let is_portuguese = locale.id.language.as_str() == "pt";
        let of_dates = if is_portuguese { locale!("pt-BR") } else { locale.clone() };
        let date = FixedCalendarDateTimeFormatter::try_new((&of_dates).into(), YMDE::long())?;
        let time = NoCalendarFormatter::try_new((&locale).into(), T::hm())?;
        let city = city(&locale, zone);
        let language = locale.id.language.to_string();
        let comma = match &*language {
            "ja" => "、",
            "zh" => "，",
            _ => ", ",
        };
        Ok(Self { date, time, city, comma, language, zone })
    }

    /// A calendar date with its weekday.
    pub(super) fn day(&self, day: NaiveDate) -> Result<String, MailError> {
        // A month is at most 12, a day at most 31: both fit.
        let date = Date::try_new_gregorian(day.year(), day.month() as u8, day.day() as u8)?;
        let written = self.date.format(&date).to_string();
        // What CLDR leaves out in dates with a weekday.
        Ok(match &*self.language {
            "fr" if day.day() == 1 => written.replacen(" 1 ", " 1er ", 1),
            "da" => written.replacen(' ', " den ", 1),
            _ => written,
        })
    }

    /// An instant, in the reader's time zone.
    pub(super) fn moment(&self, at: DateTime<Utc>) -> Result<Moment, MailError> {
        let local = at.with_timezone(&self.zone);
        let time = Time::try_new(local.hour() as u8, local.minute() as u8, 0, 0)?;
        let offset = utc_offset(local.offset().fix().local_minus_utc());
        Ok(Moment {
            date: self.day(local.date_naive())?,
            // CLDR has a narrow space before AM and PM, which mail clients omit.
            time: self.time.format(&time).to_string().replace('\u{202f}', "\u{a0}"),
            zone: match &self.city {
                Some(city) => format!("{city}{}{offset}", self.comma),
                None if self.zone == Tz::UTC => "UTC".to_owned(),
                None => offset,
            },
        })
    }
}

/// CLDR's names of cities that are not in a zone's name, by language (with a country where that has another name) and zone.
static CITIES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let text = embedded::inflated(include_bytes!(concat!(env!("OUT_DIR"), "/cities.deflate")));
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, city)| (name.to_owned(), city.to_owned())).collect()
});

/// The zone's city in the reader's language; `None` for a zone like UTC or Etc/GMT+5.
fn city(locale: &Locale, zone: Tz) -> Option<String> {
    let (name, last) = match zone.name().rsplit_once('/') {
        None | Some(("Etc", _)) => return None,
        Some((_, last)) => (zone.name(), last),
    };
    let of = |language: &LanguageIdentifier| CITIES.get(format!("{language} {name}").as_str());
    let without_country = LanguageIdentifier { region: None, ..locale.id.clone() };
    let city = of(&locale.id).or_else(|| of(&without_country));
    Some(city.map_or_else(|| last.replace('_', " "), |city| (*city).to_owned()))
}

/// "UTC+1", "UTC−3:30" (with a minus sign, not a hyphen), "UTC+0".
fn utc_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '−' } else { '+' };
    let minutes = seconds.abs() / 60;
    match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use icu_datetime::fieldsets::zone::ExemplarCity;
    use icu_time::TimeZone;

    use super::*;
    use crate::zone::zone;

    /// Wherever the reader is, whatever the language.
    #[test]
    fn the_cities_are_those_of_icu() {
        for locale in [
            "de", "de-AT", "de-CH", "de-LI", "en", "en-GB", "en-AU", "en-IN", "en-CA", "en-ZA", "en-DE",
            "de-US",
        ] {
            let locale: Locale = locale.parse().unwrap();
            let formatter = NoCalendarFormatter::try_new((&locale).into(), ExemplarCity).unwrap();
            for zone in Tz::all() {
                let of_icu = TimeZone::from_iana_id(zone.name());
                if let Some(city) = city(&locale, zone)
                    && of_icu != TimeZone::UNKNOWN
                {
                    assert_eq!(
                        city,
                        formatter.format(&of_icu.without_offset()).to_string(),
                        "{locale} {zone}"
                    );
                }
            }
        }
    }

    /// 2026, at 06:00 UTC, in three parts.
    fn written(locale: &str, zone: Tz, month: u32, day: u32) -> [String; 3] {
        let at = NaiveDate::from_ymd_opt(2026, month, day).unwrap().and_hms_opt(6, 0, 0).unwrap().and_utc();
        let Moment { date, time, zone } =
            Dates::new(locale.parse().unwrap(), zone).unwrap().moment(at).unwrap();
        [date, time.replace('\u{a0}', " "), zone]
    }

    #[test]
    fn the_locale_decides_how_a_date_and_a_time_look() {
        for (locale, date, time) in [
            ("en", "Monday, November 30, 2026", "7:00 AM"),
            ("en-US", "Monday, November 30, 2026", "7:00 AM"),
            ("en-GB", "Monday, 30 November 2026", "07:00"),
            ("en-DE", "Monday, 30 November 2026", "07:00"),
            ("de-DE", "Montag, 30. November 2026", "07:00"),
            ("de-CH", "Montag, 30. November 2026", "07:00"),
            ("de-US", "Montag, 30. November 2026", "07:00"),
            ("fr-CA", "lundi 30 novembre 2026", "07 h 00"),
            ("da-DK", "mandag den 30. november 2026", "07.00"),
            ("ja-JP", "2026年11月30日月曜日", "7:00"),
            ("zh-CN", "2026年11月30日星期一", "07:00"),
            ("fi-FI", "maanantai 30. marraskuuta 2026", "7.00"),
            ("pt-BR", "segunda-feira, 30 de novembro de 2026", "07:00"),
            ("pt-PT", "segunda-feira, 30 de novembro de 2026", "07:00"),
        ] {
            assert_eq!(written(locale, zone("Europe/Berlin"), 11, 30)[..2], [date, time], "{locale}");
        }
    }

    #[test]
    fn the_first_of_a_month_is_an_ordinal_in_french() {
        let first = written("fr", zone("Europe/Paris"), 12, 1);
        assert_eq!(first[0], "mardi 1er décembre 2026");
        assert_eq!(written("fr", zone("Europe/Paris"), 12, 31)[0], "jeudi 31 décembre 2026");
    }

    #[test]
    fn an_instant_is_local_to_its_reader_on_both_sides_of_the_date_line() {
        let la = ["Sunday, November 29, 2026", "10:00 PM", "Los Angeles, UTC−8"];
        assert_eq!(written("en-US", zone("America/Los_Angeles"), 11, 30), la);
        let auckland = ["Monday, 30 November 2026", "7:00 pm", "Auckland, UTC+13"];
        assert_eq!(written("en-NZ", zone("Pacific/Auckland"), 11, 30), auckland);
        let kolkata = ["Montag, 30. November 2026", "11:30", "Kalkutta, UTC+5:30"];
        assert_eq!(written("de-DE", zone("Asia/Kolkata"), 11, 30), kolkata);
    }

    #[test]
    fn the_offset_is_the_one_of_that_instant() {
        for (zone, month, expected) in [
            (zone("Europe/Berlin"), 1, "Berlin, UTC+1"),
            (zone("Europe/Berlin"), 7, "Berlin, UTC+2"),
            (zone("Pacific/Auckland"), 1, "Auckland, UTC+13"),
            (zone("Pacific/Auckland"), 7, "Auckland, UTC+12"),
            (zone("Europe/London"), 1, "London, UTC+0"),
            (zone("America/St_Johns"), 1, "St. John’s, UTC−3:30"),
            (zone("America/Argentina/Buenos_Aires"), 7, "Buenos Aires, UTC−3"),
            (Tz::UTC, 7, "UTC"),
            (zone("Etc/GMT+5"), 7, "UTC−5"),
            (zone("EST5EDT"), 7, "UTC−4"),
        ] {
            assert_eq!(written("en", zone, month, 15)[2], expected, "{zone} in month {month}");
        }
    }

    #[test]
    fn every_zone_has_a_name() {
        let at = DateTime::UNIX_EPOCH;
        for zone in Tz::all() {
            let moment = Dates::new("en".parse().unwrap(), zone).unwrap().moment(at).unwrap();
            assert!(!moment.zone.contains("Unknown"), "{zone}: {moment:?}");
        }
    }
}
