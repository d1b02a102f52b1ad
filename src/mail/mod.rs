//! The mails: a joiner's and the notice of a pass, in the reader's language, and the alerts for admins.
//!
//! The texts are in `templates/`. This module chooses the language ([`Mailer::language_for`]), formats dates for the
//! reader and withholds the code from the template engine ([`Draft`]).

mod draft;
mod error;
mod language;
mod moment;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use minijinja::{Value, context, value::Serde};

use self::{draft::Marker, moment::Dates};

pub use self::{
    draft::{Draft, Rendered},
    error::MailError,
};
use crate::{cloud::Cloud, settings::ServiceDesk, templates, zone::Tz};

/// All admins get the same alerts, in one language.
const ALERT_LANGUAGE: &str = "en";

/// The settings of all mails.
#[derive(Debug, Clone, Default)]
pub struct MailOptions {
    /// The company's name in the mails.
    pub company: Option<String>,
    /// The language (a BCP 47 tag) where the reader's is unknown or has no mails.
    pub default_language: String,
    /// Where the joiner finds help.
    pub service_desk: ServiceDesk,
    /// The cloud of the tenant, which decides where the joiner signs in.
    pub cloud: Cloud,
}

/// The reader of a mail.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// One of [`Mailer::languages`], chosen by [`Mailer::language_for`].
    pub language: &'a str,
    /// The country (ISO 3166-1), which decides the form of dates.
    pub usage_location: Option<&'a str>,
    /// The name in the greeting, if it is one.
    pub given_name: Option<&'a str>,
    /// The name in the greeting if the given name is none.
    pub display_name: &'a str,
    /// The account that the pass is for.
    pub user_principal_name: &'a str,
}

impl<'a> Reader<'a> {
    /// The name in the greeting; `None` if the account has only what an HR system puts where a name is missing.
    fn greeted_name(&self) -> Option<&'a str> {
        self.given_name.into_iter().chain([self.display_name]).find(|name| is_name(name))
    }
}

/// Whether it is a name: it has a letter that can be seen, and is no word for a missing one. FNU and LNU, "first name unknown"
/// and "last name unknown", are on visas of the United States.
fn is_name(text: &str) -> bool {
    const MISSING: [&str; 10] =
        ["n/a", "fnu", "lnu", "fnu lnu", "none", "null", "unknown", "undefined", "tbd", "tba"];
    let is_trimmed = |c: char| !c.is_alphanumeric();
    // A Hangul filler is a letter that cannot be seen.
    let has_letter = text
        .chars()
        .any(|c| c.is_alphabetic() && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'));
    has_letter && !MISSING.contains(&text.trim_matches(is_trimmed).to_lowercase().as_str())
}

/// When a pass works, and how often.
#[derive(Debug, Clone, Copy)]
pub struct PassTimes {
    /// The start of its validity.
    pub opens_at: DateTime<Utc>,
    /// Whether it works when the mail is sent.
    pub opens_now: bool,
    /// The end of its validity.
    pub closes_at: DateTime<Utc>,
    /// The reader's time zone, which the mail writes times in and names.
    pub zone: Tz,
    /// Whether it works only once.
    pub one_time: bool,
    /// The time of its creation.
    pub made_at: DateTime<Utc>,
}

/// The values of the mail that has the code.
#[derive(Debug, Clone, Copy)]
pub struct JoinerMail<'a> {
    /// The joiner.
    pub reader: Reader<'a>,
    /// The validity of the code.
    pub times: PassTimes,
    /// The display name of the manager, if the manager gets a copy.
    pub manager: Option<&'a str>,
    /// The first day. The mail welcomes the joiner if it is known and not over.
    pub day_one: Option<NaiveDate>,
    /// Whether it replaces an earlier mail, and why.
    pub occasion: Occasion,
    /// The day for which the joiner gets another code if nobody uses this one.
    pub follows_on: Option<NaiveDate>,
}

/// Why the mail with a code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// There was no earlier mail that the reader has to know of.
    First,
    /// The first day has moved.
    Moved,
    /// The private address was corrected.
    Corrected,
    /// The place of work has changed, and with it the time at which the code works.
    Retimed,
    /// The code of the earlier mail ended without being used.
    Again,
}

/// The values of the mail that reminds the joiner of a code, without the code.
#[derive(Debug, Clone, Copy)]
pub struct ReminderMail<'a> {
    /// The joiner.
    pub reader: Reader<'a>,
    /// The validity of the code. `made_at` is the time of the mail that has it.
    pub times: PassTimes,
}

/// The values of the mail that tells a manager what keeps their joiner from signing in.
#[derive(Debug, Clone, Copy)]
pub struct ManagerMail<'a> {
    /// The manager's display name.
    pub manager: Option<&'a str>,
    /// The joiner's country (ISO 3166-1), which decides the form of dates.
    pub usage_location: Option<&'a str>,
    /// The joiner's display name.
    pub joiner: &'a str,
    /// The start of the joiner's pass.
    pub opens_at: DateTime<Utc>,
    /// The end of the joiner's pass.
    pub closes_at: DateTime<Utc>,
    /// The joiner's time zone.
    pub zone: Tz,
    /// Whether the account is disabled.
    pub is_disabled: bool,
    /// Whether the joiner is theirs since the mail with the code. Otherwise the pass was not used yet.
    pub is_new: bool,
    /// Whether the mail with the code went to the manager.
    pub has_code: bool,
}

/// The values of the mail that reports a pass for the reader's account, without its code.
#[derive(Debug, Clone)]
pub struct NoticeMail<'a> {
    /// The account's user.
    pub reader: Reader<'a>,
    /// The validity of the pass.
    pub times: PassTimes,
    /// Whom to call if the reader did not ask for the pass.
    pub service_desk: ServiceDesk,
    /// The ticket that the pass was made for; an `https:` address.
    pub ticket_url: Option<&'a str>,
    /// The name of the reader's manager, if they had the pass made; empty if it is unknown.
    pub manager: Option<&'a str>,
}

/// The values of a mail to the admins, without a code.
#[derive(Debug, Clone)]
pub struct AlertMail<'a> {
    /// The subject and the first line.
    pub headline: &'a str,
    /// The user, by name or user principal name.
    pub who: &'a str,
    /// One or two sentences.
    pub what_happened: &'a str,
    /// The reader's next step.
    pub what_to_do: &'a str,
    /// The text to search the logs for: Graph's request id, or the job's key.
    pub reference: &'a str,
    /// The time of the event.
    pub at: DateTime<Utc>,
}

/// Renders mails.
#[derive(Debug, Clone)]
pub struct Mailer {
    company: Option<String>,
    service_desk: ServiceDesk,
    default_language: &'static str,
    cloud: Cloud,
}

impl Mailer {
    /// A mailer with `options`.
    ///
    /// # Errors
    /// When there are no mails in the default language.
    pub fn new(options: MailOptions) -> Result<Self, MailError> {
        let MailOptions { company, default_language: language, service_desk, cloud } = options;
        let available = Self::languages();
        match language::best_for_tag(&available, &language) {
            Some(default_language) => Ok(Self { company, service_desk, default_language, cloud }),
            None => Err(MailError::UnknownLanguage { language, available }),
        }
    }

    /// The languages that have mails, like "de" and "en": the folders in `templates/`.
    pub(crate) fn languages() -> Vec<&'static str> {
        templates::languages()
    }

    /// The preferred language (a BCP 47 tag) if it has mails, else the likely one of the country (ISO 3166-1), else the
    /// default.
    pub(crate) fn language_for(
        &self,
        preferred_language: Option<&str>,
        usage_location: Option<&str>,
    ) -> String {
        let available = Self::languages();
        preferred_language
            .and_then(|tag| language::best_for_tag(&available, tag))
            .or_else(|| usage_location.and_then(|country| language::best_for_country(&available, country)))
            .unwrap_or(self.default_language)
            .to_owned()
    }

    /// The mail that has the code, as a draft without the code.
    ///
    /// # Errors
    /// When a template is broken. Render before a pass is made.
    pub fn joiner(&self, mail: &JoinerMail<'_>) -> Result<Draft, MailError> {
        let language = mail.reader.language;
        let name = match mail.occasion {
            Occasion::First => "joiner",
            Occasion::Moved => "moved",
            Occasion::Corrected => "corrected",
            Occasion::Retimed => "retimed",
            Occasion::Again => "again",
        };
        let values = self.joiner_values(mail)?;
        let marker = Marker::new();
        // The subject is rendered without `code`: a template that uses it there fails.
        let subject = templates::subject(language, name, values.clone())?;
        let html = templates::html(language, name, context! { code => marker.as_str(), ..values })?;
        let body = marker
            .split(&html)
            .ok_or_else(|| MailError::NoCode { name: format!("{language}/{name}.html.j2") })?;
        Ok(Draft::new(subject, language, body))
    }

    /// The mail that reports a pass without its code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn notice(&self, notice: &NoticeMail<'_>) -> Result<Rendered, MailError> {
        let NoticeMail { reader, times, service_desk, ticket_url, manager } = notice;
        let (values, _) = self.values(reader, times, service_desk)?;
        let values = context! { ticket_url, is_by_manager => manager.is_some(), manager, ..values };
        Ok(Rendered {
            subject: templates::subject(reader.language, "notice", values.clone())?,
            html: templates::html(reader.language, "notice", values)?,
        })
    }

    /// The mail that reminds the joiner of a code, without the code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn reminder(&self, mail: &ReminderMail<'_>) -> Result<Rendered, MailError> {
        self.about_code("reminder", mail)
    }

    /// The mail that tells the joiner a new sign-in name for a code that was mailed, without the code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn renamed(&self, mail: &ReminderMail<'_>) -> Result<Rendered, MailError> {
        self.about_code("renamed", mail)
    }

    fn about_code(&self, name: &str, mail: &ReminderMail<'_>) -> Result<Rendered, MailError> {
        let language = mail.reader.language;
        let (values, _) = self.values(&mail.reader, &mail.times, &self.service_desk)?;
        Ok(Rendered {
            subject: templates::subject(language, name, values.clone())?,
            html: templates::html(language, name, values)?,
        })
    }

    /// The note to an address that a code was mailed to, after mails go to another one. It names nobody: whoever reads it may be a
    /// stranger.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn address_changed(
        &self,
        language: &str,
        usage_location: Option<&str>,
    ) -> Result<Rendered, MailError> {
        let direction = language::direction(&language::locale(language, usage_location));
        let service_desk = self.service_desk.is_set().then_some(Serde(&self.service_desk));
        let values = context! { language, direction, company => self.company.as_deref(), service_desk };
        Ok(Rendered {
            subject: templates::subject(language, "address", values.clone())?,
            html: templates::html(language, "address", values)?,
        })
    }

    /// The mail that tells a manager what keeps their joiner from signing in. It is in the default language: Graph says nothing
    /// of the language of a contact.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn manager(&self, mail: &ManagerMail<'_>) -> Result<Rendered, MailError> {
        let &ManagerMail { manager, usage_location, joiner, zone, is_disabled, is_new, has_code, .. } = mail;
        let language = self.default_language;
        let locale = language::locale(language, usage_location);
        let direction = language::direction(&locale);
        let dates = Dates::new(locale, zone)?;
        let opens = Serde(dates.moment(mail.opens_at)?);
        let closes = Serde(dates.moment(mail.closes_at)?);
        let (name, company) = (manager.filter(|name| !name.trim().is_empty()), self.company.as_deref());
        let values = context! {
            language, direction, company, name, joiner, opens, closes, is_disabled, is_new, has_code
        };
        Ok(Rendered {
            subject: templates::subject(language, "manager", values.clone())?,
            html: templates::html(language, "manager", values)?,
        })
    }

    /// A mail to the admins, in English.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn alert(&self, alert: &AlertMail<'_>) -> Result<Rendered, MailError> {
        let &AlertMail { headline, who, what_happened, what_to_do, reference, at } = alert;
        let at = at.format("%Y-%m-%d %H:%M UTC").to_string();
        let (language, direction) = (ALERT_LANGUAGE, "ltr");
        let values =
            context! { language, direction, headline, who, what_happened, what_to_do, reference, at };
        Ok(Rendered {
            subject: templates::subject(language, "alert", values.clone())?,
            html: templates::html(language, "alert", values)?,
        })
    }

    /// The names that a joiner's templates can use, besides `code`; docs/TRANSLATING.md explains them.
    fn joiner_values(&self, mail: &JoinerMail<'_>) -> Result<Value, MailError> {
        let JoinerMail { reader, times, manager, day_one, follows_on, .. } = mail;
        let (values, dates) = self.values(reader, times, &self.service_desk)?;
        let made_on = times.made_at.with_timezone(&times.zone).date_naive();
        let day_one = day_one.filter(|&day| made_on <= day);
        let first_day = day_one.map(|day| dates.day(day)).transpose()?;
        let next_code_day = follows_on.map(|day| dates.day(day)).transpose()?;
        Ok(context! { manager, first_day, next_code_day, ..values })
    }

    /// The names that the templates of joiners and notices have in common.
    fn values(
        &self,
        reader: &Reader<'_>,
        times: &PassTimes,
        service_desk: &ServiceDesk,
    ) -> Result<(Value, Dates), MailError> {
        let locale = language::locale(reader.language, reader.usage_location);
        let direction = language::direction(&locale);
        let dates = Dates::new(locale, times.zone)?;
        let values = context! {
            language => reader.language,
            direction,
            company => self.company.as_deref(),
            name => reader.greeted_name(),
            user_principal_name => reader.user_principal_name,
            opens => Serde(dates.moment(times.opens_at)?),
            opens_now => times.opens_now,
            closes => Serde(dates.moment(times.closes_at)?),
            made => Serde(dates.moment(times.made_at)?),
            one_time => times.one_time,
            sign_in_page => self.cloud.security_info(),
            service_desk => service_desk.is_set().then_some(Serde(service_desk)),
        };
        Ok((values, dates))
    }
}
