//! The mails: a joiner's and the notice of a pass, in their language, and the alerts for admins.
//!
//! The words are in `templates/`, the rest is here: choosing the language ([`Mailer::language_for`]), writing
//! dates for the reader, and keeping the code away from the template engine ([`Draft`]).

mod draft;
mod error;
mod language;
mod moment;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use self::{
    draft::Marker,
    moment::{Dates, Moment},
};

pub use self::{
    draft::{Draft, Rendered},
    error::MailError,
};
use crate::{settings::ServiceDesk, templates, zone::Tz};

/// Admins read each other's alerts: one language for all of them.
const ALERT_LANGUAGE: &str = "en";

/// What is the same in every mail.
#[derive(Debug, Clone, Default)]
pub struct MailOptions {
    /// The name that the joiner is welcomed with.
    pub company: Option<String>,
    /// For joiners whose language we do not know or do not have. A BCP 47 tag, like "en".
    pub default_language: String,
    /// Where the joiner finds help.
    pub service_desk: ServiceDesk,
}

/// What goes into the mail that brings a code.
#[derive(Debug, Clone)]
pub struct JoinerMail<'a> {
    /// One of [`Mailer::languages`], as [`Mailer::language_for`] chose it.
    pub language: &'a str,
    /// The country (ISO 3166-1). It decides how dates look.
    pub usage_location: Option<&'a str>,
    /// For the greeting.
    pub given_name: Option<&'a str>,
    /// For the greeting, if there is no given name.
    pub display_name: &'a str,
    /// What the joiner types to sign in.
    pub user_principal_name: &'a str,
    /// The display name of the manager, if they are in cc.
    pub manager: Option<&'a str>,
    /// The first day. The mail welcomes a joiner only if it is known and not over.
    pub day_one: Option<NaiveDate>,
    /// When the code begins to work.
    pub opens_at: DateTime<Utc>,
    /// Whether it works already.
    pub opens_now: bool,
    /// When the code stops working.
    pub closes_at: DateTime<Utc>,
    /// The joiner's time zone. All times in the mail are in this zone and say so.
    pub zone: Tz,
    /// Whether the code works only once.
    pub one_time: bool,
    /// When the code was made, or is about to be.
    pub made_at: DateTime<Utc>,
    /// The first day has moved, and this mail replaces an earlier one.
    pub moved: bool,
}

/// What goes into the mail that tells somebody of a pass for their account. It has no place for a code.
#[derive(Debug, Clone)]
pub struct NoticeMail<'a> {
    /// One of [`Mailer::languages`], as [`Mailer::language_for`] chose it.
    pub language: &'a str,
    /// The country (ISO 3166-1). It decides how dates look.
    pub usage_location: Option<&'a str>,
    /// For the greeting.
    pub given_name: Option<&'a str>,
    /// For the greeting, if there is no given name.
    pub display_name: &'a str,
    /// The account that the pass is for.
    pub user_principal_name: &'a str,
    /// When the pass begins to work.
    pub opens_at: DateTime<Utc>,
    /// Whether it works already.
    pub opens_now: bool,
    /// When it stops working.
    pub closes_at: DateTime<Utc>,
    /// The reader's time zone.
    pub zone: Tz,
    /// Whether it works only once.
    pub one_time: bool,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Whom to call if it was not the reader who asked for it.
    pub service_desk: ServiceDesk,
    /// The ticket that it was made for; an `https:` address.
    pub ticket_url: Option<&'a str>,
}

/// What goes into a mail to the admins. Never a code.
#[derive(Debug, Clone)]
pub struct AlertMail<'a> {
    /// A few words: the subject and the first line.
    pub headline: &'a str,
    /// The user, by name or user principal name.
    pub who: &'a str,
    /// One or two sentences.
    pub what_happened: &'a str,
    /// What the reader should do next.
    pub what_to_do: &'a str,
    /// What to search the logs for: Graph's request id, or the job's key.
    pub reference: &'a str,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// Writes mails. It sends nothing.
#[derive(Debug, Clone)]
pub struct Mailer {
    company: Option<String>,
    service_desk: ServiceDesk,
    default_language: &'static str,
}

impl Mailer {
    /// Fails if there are no mails in the default language.
    pub fn new(options: MailOptions) -> Result<Self, MailError> {
        let MailOptions { company, default_language: language, service_desk } = options;
        let available = Self::languages();
        match language::best_for_tag(&available, &language) {
            Some(default_language) => Ok(Self { company, service_desk, default_language }),
            None => Err(MailError::UnknownLanguage { language, available }),
        }
    }

    /// The languages that we have, like "de" and "en": the folders in `templates/`.
    pub fn languages() -> Vec<&'static str> {
        templates::languages()
    }

    /// The joiner's language: the preferred one (a BCP 47 tag) if we have it, else the likely one of the country
    /// (ISO 3166-1), else the default.
    pub fn language_for(&self, preferred_language: Option<&str>, usage_location: Option<&str>) -> String {
        let available = Self::languages();
        preferred_language
            .and_then(|tag| language::best_for_tag(&available, tag))
            .or_else(|| usage_location.and_then(|country| language::best_for_country(&available, country)))
            .unwrap_or(self.default_language)
            .to_owned()
    }

    /// The mail that brings a code, complete but for the code.
    ///
    /// Fails if a template is broken, so render before a pass is made.
    pub fn joiner(&self, mail: &JoinerMail<'_>) -> Result<Draft, MailError> {
        let name = if mail.moved { "moved" } else { "joiner" };
        let values = Value::from(Serde(self.joiner_values(mail)?));
        let marker = Marker::new();
        // The subject is rendered without `code`: a template that tries to put it there fails.
        let subject = templates::subject(mail.language, name, values.clone())?;
        let html = templates::html(mail.language, name, context! { code => marker.as_str(), ..values })?;
        let body = marker
            .split(&html)
            .ok_or_else(|| MailError::NoCode { name: format!("{}/{name}.html.j2", mail.language) })?;
        Ok(Draft::new(subject, mail.language, body))
    }

    /// The mail that tells of a pass and cannot hold its code.
    pub fn notice(&self, notice: &NoticeMail<'_>) -> Result<Rendered, MailError> {
        let language = notice.language;
        let locale = language::locale(language, notice.usage_location);
        let direction = language::direction(&locale);
        let dates = Dates::new(locale, notice.zone)?;
        let values = Value::from(Serde(NoticeValues {
            language,
            direction,
            company: self.company.as_deref(),
            name: greeted(notice.given_name, notice.display_name),
            user_principal_name: notice.user_principal_name,
            opens: dates.moment(notice.opens_at)?,
            opens_now: notice.opens_now,
            closes: dates.moment(notice.closes_at)?,
            made: dates.moment(notice.made_at)?,
            one_time: notice.one_time,
            service_desk: notice.service_desk.is_set().then_some(&notice.service_desk),
            ticket_url: notice.ticket_url,
        }));
        Ok(Rendered {
            subject: templates::subject(language, "notice", values.clone())?,
            html: templates::html(language, "notice", values)?,
        })
    }

    /// A mail to the admins, in English.
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

    fn joiner_values<'a>(&'a self, mail: &JoinerMail<'a>) -> Result<JoinerValues<'a>, MailError> {
        let locale = language::locale(mail.language, mail.usage_location);
        let direction = language::direction(&locale);
        let dates = Dates::new(locale, mail.zone)?;
        let made_on = mail.made_at.with_timezone(&mail.zone).date_naive();
        let day_one = mail.day_one.filter(|&day| made_on <= day);
        Ok(JoinerValues {
            language: mail.language,
            direction,
            company: self.company.as_deref(),
            name: greeted(mail.given_name, mail.display_name),
            user_principal_name: mail.user_principal_name,
            manager: mail.manager,
            first_day: day_one.map(|day| dates.day(day)).transpose()?,
            opens: dates.moment(mail.opens_at)?,
            opens_now: mail.opens_now,
            closes: dates.moment(mail.closes_at)?,
            made: dates.moment(mail.made_at)?,
            one_time: mail.one_time,
            service_desk: self.service_desk.is_set().then_some(&self.service_desk),
        })
    }
}

/// How the reader is greeted.
fn greeted<'a>(given_name: Option<&'a str>, display_name: &'a str) -> &'a str {
    given_name.filter(|name| !name.trim().is_empty()).unwrap_or(display_name)
}

/// The names that a notice's template can use.
#[derive(Serialize)]
struct NoticeValues<'a> {
    language: &'a str,
    direction: &'a str,
    company: Option<&'a str>,
    name: &'a str,
    user_principal_name: &'a str,
    opens: Moment,
    opens_now: bool,
    closes: Moment,
    made: Moment,
    one_time: bool,
    service_desk: Option<&'a ServiceDesk>,
    ticket_url: Option<&'a str>,
}

/// The names that a joiner's template can use, besides `code`. `docs/TRANSLATING.md` explains them.
#[derive(Serialize)]
struct JoinerValues<'a> {
    language: &'a str,
    direction: &'a str,
    company: Option<&'a str>,
    name: &'a str,
    user_principal_name: &'a str,
    manager: Option<&'a str>,
    first_day: Option<String>,
    opens: Moment,
    opens_now: bool,
    closes: Moment,
    made: Moment,
    one_time: bool,
    service_desk: Option<&'a ServiceDesk>,
}
