//! The names that the templates can use; docs/TRANSLATING.md explains them.

use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::{
    AlertMail, DigestMail, DigestPerson, HandoverMail, JoinerMail, MailError, Mailer, ManagerMail,
    NoticeMail, PassTimes, Reader, ReminderMail, ToldMail, moment::Dates,
};
use crate::{language, settings::ServiceDesk, zone::Tz};

/// The longest list of people in a digest.
pub(crate) const LISTED: usize = 50;

impl Mailer {
    pub(super) fn joiner_values(&self, mail: &JoinerMail<'_>) -> Result<Value, MailError> {
        let JoinerMail { reader, times, manager, day_one, follows_on, steps, code, .. } = mail;
        let (values, dates) = self.account_values(reader, times)?;
        let made_on = times.made_at.with_timezone(&times.zone).date_naive();
        let day_one = day_one.filter(|&day| made_on <= day);
        let manager = manager.filter(|manager| !manager.name.trim().is_empty());
        Ok(context! {
            first_day => day_one.map(|day| dates.day(day)).transpose()?,
            next_code_day => follows_on.map(|day| dates.day(day)).transpose()?,
            manager => manager.map(|manager| manager.name),
            manager_has_code => manager.is_some_and(|manager| manager.has_code),
            device => steps.device.word(),
            method => steps.method.word(),
            has_code => code.is_mail(),
            code_letters => code.letters(),
            code_from => code.giver(),
            ..values
        })
    }

    pub(super) fn handover_values(
        &self,
        mail: &HandoverMail<'_>,
        language: &str,
    ) -> Result<Value, MailError> {
        let &HandoverMail { name, joiner, times, day_one, is_new, joiner_is_told, letters } = mail;
        let about = ToldMail { name, joiner, times, day_one, is_new };
        Ok(context! { joiner_is_told, code_letters => letters, ..self.told_values(&about, language)? })
    }

    pub(super) fn told_values(&self, mail: &ToldMail<'_>, language: &str) -> Result<Value, MailError> {
        let &ToldMail { name, joiner, times, day_one, is_new } = mail;
        let (values, dates) = self.account_values(&Reader { language, ..joiner }, &times)?;
        Ok(context! {
            name => name.filter(|name| !name.trim().is_empty()),
            joiner => joiner.display_name,
            first_day => day_one.map(|day| dates.day(day)).transpose()?,
            is_new,
            ..values
        })
    }

    pub(super) fn notice_values(&self, notice: &NoticeMail<'_>) -> Result<Value, MailError> {
        let NoticeMail { reader, times, service_desk, ticket_url, manager } = notice;
        let (values, _) = self.account_values(reader, times)?;
        let (is_by_manager, service_desk) = (manager.is_some(), desk(service_desk));
        let manager = manager.filter(|manager| !manager.trim().is_empty());
        Ok(context! { service_desk, ticket_url, is_by_manager, manager, ..values })
    }

    pub(super) fn reminder_values(&self, mail: &ReminderMail<'_>) -> Result<Value, MailError> {
        let ReminderMail { reader, times, steps, code } = mail;
        let (values, _) = self.account_values(reader, times)?;
        let (has_code, code_from, device) = (code.is_mail(), code.giver(), steps.device.word());
        Ok(context! { has_code, code_from, device, ..values })
    }

    pub(super) fn address_values(&self, language: &str, usage_location: Option<&str>) -> Value {
        let direction = language::direction(&language::locale(language, usage_location));
        context! { service_desk => desk(&self.options.service_desk), ..self.frame(language, direction) }
    }

    pub(super) fn manager_values(&self, mail: &ManagerMail<'_>, language: &str) -> Result<Value, MailError> {
        let &ManagerMail { manager, usage_location, joiner, zone, is_disabled, is_new, has_code, .. } = mail;
        let locale = language::locale(language, usage_location);
        let frame = self.frame(language, language::direction(&locale));
        let dates = Dates::new(locale, zone)?;
        Ok(context! {
            name => manager.filter(|name| !name.trim().is_empty()),
            joiner,
            opens => Serde(dates.moment(mail.opens_at)?),
            closes => Serde(dates.moment(mail.closes_at)?),
            is_disabled,
            is_new,
            has_code,
            is_reminded => !is_disabled && !is_new,
            ..frame
        })
    }

    pub(super) fn alert_values(&self, alert: &AlertMail<'_>, language: &str) -> Value {
        let &AlertMail { headline, who, what_happened, what_to_do, reference, at } = alert;
        let at = at.format("%Y-%m-%d %H:%M UTC").to_string();
        let direction = language::direction(&language::locale(language, None));
        context! { headline, who, what_happened, what_to_do, reference, at, ..self.frame(language, direction) }
    }

    pub(super) fn digest_values(&self, digest: &DigestMail, language: &str) -> Result<Value, MailError> {
        let locale = language::locale(language, None);
        let frame = self.frame(language, language::direction(&locale));
        let dates = Dates::new(locale, Tz::UTC)?;
        let people = |people: &[DigestPerson]| -> Result<Value, MailError> { People::of(people, &dates) };
        let arrived = context! {
            known => digest.known,
            strong => digest.strong,
            ..people(&digest.arrived)?
        };
        Ok(context! {
            from => dates.day(digest.from)?,
            until => dates.day(digest.until)?,
            mailed => people(&digest.mailed)?,
            arrived,
            weak => people(&digest.weak)?,
            blocked => people(&digest.blocked)?,
            moved => people(&digest.moved)?,
            revoked => people(&digest.revoked)?,
            due => people(&digest.due)?,
            due_defects => people(&digest.due_defects)?,
            left_out => digest.left_out,
            ..frame
        })
    }

    /// The names that the mails about an account have in common, and how dates are written in them.
    fn account_values(&self, reader: &Reader<'_>, times: &PassTimes) -> Result<(Value, Dates), MailError> {
        let locale = language::locale(reader.language, reader.usage_location);
        let frame = self.frame(reader.language, language::direction(&locale));
        let dates = Dates::new(locale, times.zone)?;
        let values = context! {
            name => reader.greeted_name(),
            user_principal_name => reader.user_principal_name,
            opens => Serde(dates.moment(times.opens_at)?),
            opens_now => times.opens_now,
            closes => Serde(dates.moment(times.closes_at)?),
            made => Serde(dates.moment(times.made_at)?),
            one_time => times.one_time,
            sign_in_page => self.options.cloud.security_info(),
            service_desk => desk(&self.options.service_desk),
            ..frame
        };
        Ok((values, dates))
    }

    /// The names that all mails have in common.
    fn frame(&self, language: &str, direction: &str) -> Value {
        let company = self.options.company.as_deref();
        context! { language, direction, company, brand => Serde(self.options.brand.values(company)) }
    }
}

/// The service desk, with the number to dial; nothing if no field is set.
pub(super) fn desk(desk: &ServiceDesk) -> Option<Value> {
    let values = context! { dial => desk.phone.as_deref().and_then(dial), ..Value::from(Serde(desk)) };
    desk.is_set().then_some(values)
}

/// A telephone number without what is only for the eye; `None` if it is more than a number.
fn dial(phone: &str) -> Option<String> {
    // In "+49 (0)30 …" the zero is for callers inside the country.
    let phone = if phone.trim_start().starts_with('+') { phone.replace("(0)", "") } else { phone.to_owned() };
    let dial: String = phone.chars().filter(|c| !" ()-./\u{a0}\u{2011}".contains(*c)).collect();
    let digits = dial.strip_prefix('+').unwrap_or(&dial);
    ((3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(dial)
}

/// The people of a list, the first of them by name.
#[derive(Serialize)]
struct People<'a> {
    count: usize,
    list: Vec<Person<'a>>,
    more: usize,
}

#[derive(Serialize)]
struct Person<'a> {
    name: &'a str,
    day: Option<String>,
    why: Option<&'a str>,
}

impl People<'_> {
    fn of(people: &[DigestPerson], dates: &Dates) -> Result<Value, MailError> {
        let mut list = Vec::new();
        for person in people.iter().take(LISTED) {
            let day = person.day.map(|day| dates.day(day)).transpose()?;
            list.push(Person { name: &person.name, day, why: person.why.as_deref() });
        }
        let more = people.len() - list.len();
        Ok(Value::from(Serde(&People { count: people.len(), list, more })))
    }
}

#[cfg(test)]
mod tests {
    use super::dial;

    #[test]
    fn a_number_can_be_dialled_if_it_is_nothing_else() {
        for (phone, expected) in [
            ("+49 30 1234 567", Some("+49301234567")),
            ("+49 (0)30 / 12.34-56", Some("+4930123456")),
            ("030 1234", Some("0301234")),
            ("(0)30 1234", Some("0301234")),
            ("112", Some("112")),
            ("12", None),
            ("+49 30 1234 ext. 5", None),
            ("4711 (mornings)", None),
            ("", None),
            ("+", None),
            ("1234567890123456", None),
            ("12+34", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(dial(phone).as_deref(), expected, "{phone:?}");
        }
    }
}
