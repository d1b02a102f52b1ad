//! The mails: those to joiners, to their managers, to the user of an account, and to admins.
//!
//! The texts are in `templates/`, which an admin can change ([`check`]). This module chooses the language
//! ([`Mailer::language_for`]), formats dates for the reader and withholds the code from the template engine ([`Draft`]).

mod check;
mod draft;
mod error;
mod html;
mod kind;
mod moment;
mod plain;
pub mod sample;
#[cfg(test)]
mod tests;
mod values;

use minijinja::{Value, context};

use self::draft::Marker;
pub(crate) use self::values::LISTED;
pub use self::{
    draft::{Draft, Rendered, Sender},
    error::MailError,
    kind::{
        AlertMail, CodePlace, DigestMail, DigestPerson, HandoverMail, JoinerMail, Kind, ManagerMail, Method,
        NoticeMail, Occasion, Onlooker, PassTimes, Reader, ReminderMail, Steps, ToldMail,
    },
    plain::plain_text,
};
use crate::{
    brand::Brand,
    cloud::Cloud,
    language,
    settings::{ServiceDesk, Settings},
    templates::{ENGLISH, TemplateFiles, TemplateProblem, Templates},
};

/// The settings of all mails.
#[derive(Debug, Clone, Default)]
pub struct MailOptions {
    /// The templates.
    pub templates: TemplateFiles,
    /// The company's name in the mails.
    pub company: Option<String>,
    /// The language (a BCP 47 tag) where the reader's is unknown or has no mails.
    pub default_language: String,
    /// The language (a BCP 47 tag) of mails to admins.
    pub alert_language: String,
    /// Where the joiner finds help.
    pub service_desk: ServiceDesk,
    /// The hosts that the address of a ticket can have.
    pub ticket_hosts: Vec<String>,
    /// The name beside the sender's address.
    pub sender_name: Option<String>,
    /// How the mails look.
    pub brand: Brand,
    /// The cloud of the tenant, which decides where the joiner signs in.
    pub cloud: Cloud,
}

impl MailOptions {
    /// Those of the settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            templates: settings.mail.templates.clone(),
            company: settings.mail.company.clone(),
            default_language: settings.mail.language.clone(),
            alert_language: settings.mail.alert_language.clone(),
            service_desk: settings.mail.service_desk.clone(),
            ticket_hosts: settings.create_tap.ticket_hosts.clone(),
            sender_name: settings.mail.sender_name.clone(),
            brand: settings.mail.brand.clone(),
            cloud: settings.cloud,
        }
    }
}

/// Renders mails.
#[derive(Debug, Clone)]
pub struct Mailer {
    options: MailOptions,
    templates: Templates,
    languages: Vec<String>,
    default_language: String,
    alert_language: String,
    problems: Vec<TemplateProblem>,
}

impl Mailer {
    /// A mailer with `options`. Languages with a broken template are left out ([`Self::problems`]), and English serves: that in the
    /// binary, if the folder's is broken too.
    ///
    /// # Errors
    /// When there are no mails in the default language or that of alerts, broken or not.
    pub fn new(options: MailOptions) -> Result<Self, MailError> {
        let available = options.templates.languages();
        let known = |tag: &str| match language::best_for_tag(&available, tag) {
            Some(language) => Ok(language.to_owned()),
            None => {
                Err(MailError::UnknownLanguage { language: tag.to_owned(), available: available.clone() })
            }
        };
        let tags = (known(&options.default_language)?, known(&options.alert_language)?);
        let (files, problems) = check::checked(&options);
        let languages = files.languages();
        let or_english =
            |language: String| if languages.contains(&language) { language } else { ENGLISH.to_owned() };
        let (default_language, alert_language) = (or_english(tags.0), or_english(tags.1));
        Ok(Self {
            templates: Templates::new(&files),
            languages,
            default_language,
            alert_language,
            problems,
            options,
        })
    }

    /// The same with other looks.
    pub(crate) fn with_brand(&self, brand: Brand) -> Self {
        let options = MailOptions { brand, ..self.options.clone() };
        Self { options, ..self.clone() }
    }

    /// Broken templates, sorted. Their languages are not used.
    pub fn problems(&self) -> &[TemplateProblem] {
        &self.problems
    }

    /// The languages that have mails, like "de" and "en", sorted.
    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    /// The preferred language (a BCP 47 tag) if it has mails, else the likely one of the country (ISO 3166-1), else the
    /// default.
    pub(crate) fn language_for(
        &self,
        preferred_language: Option<&str>,
        usage_location: Option<&str>,
    ) -> String {
        preferred_language
            .and_then(|tag| language::best_for_tag(&self.languages, tag))
            .or_else(|| {
                usage_location.and_then(|country| language::best_for_country(&self.languages, country))
            })
            .unwrap_or(&self.default_language)
            .to_owned()
    }

    /// The joiner's mail that has the code, as a draft without the code.
    ///
    /// # Errors
    /// When a template is broken. Render before a pass is made.
    pub fn joiner(&self, mail: &JoinerMail<'_>) -> Result<Draft, MailError> {
        self.draft(mail.occasion.kind(), mail.reader.language, self.joiner_values(mail)?)
    }

    /// The joiner's mail without a code, which somebody else hands over.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn welcome(&self, mail: &JoinerMail<'_>) -> Result<Rendered, MailError> {
        self.render(mail.occasion.kind(), mail.reader.language, self.joiner_values(mail)?)
    }

    /// The mail with the code for whoever hands it over, as a draft without the code.
    ///
    /// # Errors
    /// When a template is broken. Render before a pass is made.
    pub fn handover(&self, mail: &HandoverMail<'_>) -> Result<Draft, MailError> {
        let language = &self.default_language;
        self.draft(Kind::Handover, language, self.handover_values(mail, language)?)
    }

    /// The note that a joiner was sent a code, without it.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn told(&self, mail: &ToldMail<'_>) -> Result<Rendered, MailError> {
        let language = &self.default_language;
        self.render(Kind::Told, language, self.told_values(mail, language)?)
    }

    /// The mail that reports a pass without its code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn notice(&self, notice: &NoticeMail<'_>) -> Result<Rendered, MailError> {
        self.render(Kind::Notice, notice.reader.language, self.notice_values(notice)?)
    }

    /// The mail that reminds the joiner of a code, without the code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn reminder(&self, mail: &ReminderMail<'_>) -> Result<Rendered, MailError> {
        self.render(Kind::Reminder, mail.reader.language, self.reminder_values(mail)?)
    }

    /// The mail that tells the joiner a new sign-in name for a code that was mailed, without the code.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn renamed(&self, mail: &ReminderMail<'_>) -> Result<Rendered, MailError> {
        self.render(Kind::Renamed, mail.reader.language, self.reminder_values(mail)?)
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
        self.render(Kind::Address, language, self.address_values(language, usage_location))
    }

    /// The mail that tells a manager what keeps their joiner from signing in. It is in the default language: Graph says nothing
    /// of the language of a contact.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn manager(&self, mail: &ManagerMail<'_>) -> Result<Rendered, MailError> {
        let language = &self.default_language;
        self.render(Kind::Manager, language, self.manager_values(mail, language)?)
    }

    /// A mail to the admins. What happened and what to do is in English, as in the log.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn alert(&self, alert: &AlertMail<'_>) -> Result<Rendered, MailError> {
        let language = &self.alert_language;
        self.render(Kind::Alert, language, self.alert_values(alert, language))
    }

    /// The digest for the admins.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn digest(&self, digest: &DigestMail) -> Result<Rendered, MailError> {
        let language = &self.alert_language;
        self.render(Kind::Digest, language, self.digest_values(digest, language)?)
    }

    fn render(&self, kind: Kind, language: &str, values: Value) -> Result<Rendered, MailError> {
        Ok(Rendered {
            subject: self.templates.subject(language, kind.name(), values.clone())?,
            html: self.templates.html(language, kind.name(), values)?,
            sender: self.sender(),
        })
    }

    fn draft(&self, kind: Kind, language: &str, values: Value) -> Result<Draft, MailError> {
        let marker = Marker::new();
        // The subject is rendered without `code`: a template that uses it there fails.
        let subject = self.templates.subject(language, kind.name(), values.clone())?;
        let html =
            self.templates.html(language, kind.name(), context! { code => marker.as_str(), ..values })?;
        let body = marker
            .split(&html)
            .ok_or_else(|| MailError::NoCode { name: format!("{language}/{}.html.j2", kind.name()) })?;
        Ok(Draft::new(subject, language, body, self.sender()))
    }

    fn sender(&self) -> Sender {
        let MailOptions { sender_name, brand, .. } = &self.options;
        Sender { name: sender_name.clone(), images: brand.inline_images() }
    }
}
