//! Senders, recipients, language and looks of mails.

use std::{env::current_exe, path::PathBuf, sync::Arc};

use serde::Serialize;
use uuid::Uuid;

use super::reader::{self, Parsed, SettingsReader};
use crate::{
    address::Address,
    brand::{Brand, Color, Image, InlineImage, MAX_IMAGE},
    environment::Environment,
    templates::{ENGLISH, FOLDER, TemplateFiles},
};

const TEMPLATES: &str = "MAIL_TEMPLATES";

/// The folder of templates: that of the setting, or `templates/` beside the program, or in the working directory.
pub(super) fn folder(env: &Environment) -> PathBuf {
    let beside = || Some(current_exe().ok()?.parent()?.join(FOLDER)).filter(|folder| folder.is_dir());
    env.get(TEMPLATES).map(PathBuf::from).or_else(beside).unwrap_or_else(|| PathBuf::from(FOLDER))
}

fn brand(read: &mut SettingsReader<'_>, templates: &TemplateFiles) -> Brand {
    let default = Brand::default();
    let image = |content_id: &'static str| {
        move |text: &str| -> Parsed<Image> {
            if text.contains("://") {
                return reader::https_url(text).map(Image::At);
            }
            let bytes = templates
                .image(text, MAX_IMAGE)
                .map_err(|error| format!("cannot be read: {error}: \"{text}\""))?;
            Ok(Image::Inline(Arc::new(InlineImage::new(content_id, text, bytes)?)))
        }
    };
    Brand {
        logo: read.optional("LOGO", "logo.png", image("logo")),
        footer_image: read.optional("FOOTER_IMAGE", "footer.png", image("footer")),
        footer_link: read.optional("FOOTER_LINK", "https://www.contoso.com", reader::https_url),
        accent: read.or("ACCENT_COLOR", "#0b57a4", default.accent, Color::readable),
        text: read.or("TEXT_COLOR", "#1f2933", default.text, Color::readable),
    }
}

/// What the joiner will sign in on first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// A browser, on a computer or a phone.
    #[default]
    Browser,
    /// A Windows PC that is joined to Entra and has web sign-in.
    Windows,
    /// A new Windows PC that sets itself up after the sign-in.
    Autopilot,
    /// A PC that is joined to Active Directory too, whose sign-in takes no pass: a browser.
    Hybrid,
    /// A Windows PC with web sign-in, or a browser where it has not come yet.
    Both,
}

impl Device {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Browser, Self::Windows, Self::Autopilot, Self::Hybrid, Self::Both];

    /// The word in `DEVICE_STEPS` and in the templates.
    pub fn word(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Windows => "windows",
            Self::Autopilot => "autopilot",
            Self::Hybrid => "hybrid",
            Self::Both => "both",
        }
    }

    /// Whether a pass is needed more than once: the PC may ask again after a restart, or a browser and the PC both ask.
    pub(crate) fn needs_several_uses(self) -> bool {
        matches!(self, Self::Autopilot | Self::Both)
    }
}

/// What joiners sign in on first: everybody, and the members of some groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceSteps {
    /// For whoever is in none of the groups.
    pub default: Device,
    /// For the members of a group; the first that somebody is in decides.
    pub by_group: Vec<(Uuid, Device)>,
}

impl DeviceSteps {
    const NAME: &str = "DEVICE_STEPS";
    const EXAMPLE: &str = "browser, 0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11=autopilot";

    fn read(read: &mut SettingsReader<'_>) -> Self {
        let items = read.list(Self::NAME, Self::EXAMPLE, vec![], Self::item);
        let defaults: Vec<Device> =
            items.iter().filter(|(group, _)| group.is_none()).map(|(_, device)| *device).collect();
        if defaults.len() > 1 {
            let detail = "names two devices without a group".to_owned();
            read.problem(Self::NAME, detail, Self::EXAMPLE).unwrap_or(())
        }
        let by_group = items.into_iter().filter_map(|(group, device)| Some((group?, device))).collect();
        Self { default: defaults.first().copied().unwrap_or_default(), by_group }
    }

    fn item(text: &str) -> Parsed<(Option<Uuid>, Device)> {
        let (group, word) = match text.split_once('=') {
            Some((group, word)) => (Some(reader::guid(group.trim())?), word.trim()),
            None => (None, text),
        };
        let device = Device::ALL.into_iter().find(|device| device.word().eq_ignore_ascii_case(word));
        let words: Vec<&str> = Device::ALL.into_iter().map(Device::word).collect();
        let device = device.ok_or_else(|| format!("is none of {}: \"{word}\"", words.join(", ")))?;
        Ok((group, device))
    }

    /// What somebody in these groups signs in on.
    pub fn of(&self, groups: &[Uuid]) -> Device {
        let by_group = self.by_group.iter().find(|(group, _)| groups.contains(group));
        by_group.map_or(self.default, |(_, device)| *device)
    }
}

/// Senders, recipients and language of mails.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mailbox that sends all mails.
    pub from: Address,
    /// How many mails a minute the mailbox accepts, 1 to 100,000.
    pub per_minute: u32,
    /// The recipients of alerts.
    pub alert_to: Vec<Address>,
    /// The sources of the joiner's address, the first with an address wins.
    pub to: Vec<MailTo>,
    /// How a code gets to the joiner.
    pub delivery: Delivery,
    /// Who hands the code over, with [`Delivery::Split`].
    pub code_to: CodeTo,
    /// Who is told of a code that a joiner was sent.
    pub cc: Vec<MailCc>,
    /// Whether they get a copy of the mail with the code, and not a note without it.
    pub cc_code: bool,
    /// The tenant's domains, in ASCII and small letters: their mailboxes are no private addresses.
    pub tenant_domains: Vec<String>,
    /// How many people may have one private address; if more have it, none of them gets a code there.
    pub shared_by: usize,
    /// The addresses that any number of people may have.
    pub shared_allowed: Vec<Address>,
    /// The language of joiners whose own is unknown or has no mails.
    pub language: String,
    /// The language of mails to admins.
    pub alert_language: String,
    /// The templates of the mails.
    pub templates: TemplateFiles,
    /// The company's name in the mails.
    pub company: Option<String>,
    /// The name beside the address of the sender.
    pub sender_name: Option<String>,
    /// How the mails look.
    pub brand: Brand,
    /// What joiners sign in on first.
    pub device_steps: DeviceSteps,
    /// Where a joiner finds help.
    pub service_desk: ServiceDesk,
}

impl MailSettings {
    /// Reads what is about mails. Without MAIL_FROM there is nothing.
    pub(super) fn read(
        read: &mut SettingsReader<'_>,
        env: &Environment,
        templates: TemplateFiles,
        service_desk: ServiceDesk,
        from: Option<Address>,
    ) -> Option<Self> {
        if env.get(TEMPLATES).is_some() && !templates.exists() {
            let detail = "names no folder".to_owned();
            read.problem(TEMPLATES, detail, "templates").unwrap_or(())
        }
        let languages = templates.languages();
        let per_minute = read.or("MAILS_PER_MINUTE", "30", 30, |text| reader::number(text, 1..=100_000));
        let alert_to = read.list("ALERT_TO", "servicedesk@contoso.com", vec![], reader::address);
        let to = read.list("MAIL_TO", "otherMails", vec![MailTo::OtherMails], reader::mail_to);
        let delivery = read.or("DELIVERY", "split", Delivery::Mail, reader::delivery);
        let code_to = read.or("MAIL_CODE_TO", "manager", CodeTo::Manager, reader::code_to);
        if env.get("MAIL_CODE_TO").is_some() && delivery != Delivery::Split {
            let detail = "is for DELIVERY=split only: elsewhere nobody hands a code over".to_owned();
            read.problem("MAIL_CODE_TO", detail, "manager").unwrap_or(())
        }
        let cc = match env.get("MAIL_CC") {
            Some(none) if none.eq_ignore_ascii_case("none") => vec![],
            _ => read.list("MAIL_CC", "manager", vec![MailCc::Manager], reader::mail_cc),
        };
        let cc_code = read.or("MAIL_CC_CODE", "true", false, reader::boolean);
        if cc_code && delivery == Delivery::Webhook {
            let detail = "sends copies of a mail with the code, and DELIVERY=webhook sends none".to_owned();
            read.problem("MAIL_CC_CODE", detail, "false").unwrap_or(())
        }
        let tenant_domains = read.list("TENANT_DOMAINS", "contoso.com, contoso.de", vec![], reader::domain);
        let shared_by = read.or("ADDRESS_SHARED_BY", "2", 2, |text| reader::number(text, 1..=10_000));
        let shared_allowed =
            read.list("ADDRESS_SHARED_ALLOWED", "office@agency.example", vec![], reader::address);
        let language_of = |text: &str| reader::language(text, &languages);
        let language = read.or("LANGUAGE", "en", ENGLISH.to_owned(), language_of);
        let alert_language = read.or("ALERT_LANGUAGE", "de", ENGLISH.to_owned(), language_of);
        let company = read.optional("COMPANY_NAME", "Contoso", reader::text);
        let sender_name = read.optional("SENDER_NAME", "Contoso IT", reader::text);
        let (brand, device_steps) = (brand(read, &templates), DeviceSteps::read(read));
        Some(Self {
            from: from?,
            per_minute,
            alert_to,
            to,
            delivery,
            code_to,
            cc,
            cc_code,
            tenant_domains,
            shared_by,
            shared_allowed,
            language,
            alert_language,
            templates,
            company,
            sender_name,
            brand,
            device_steps,
            service_desk,
        })
    }

    /// Whether the manager is told of a code that the joiner was sent.
    pub(crate) fn tells_manager(&self) -> bool {
        self.cc.contains(&MailCc::Manager)
    }

    /// The setting that says whether it can.
    pub(crate) fn manager_setting(&self) -> &'static str {
        if self.delivery == Delivery::Split { "MAIL_CODE_TO" } else { "MAIL_TO" }
    }

    /// Whether a mail with a code can go to the manager instead of the joiner.
    pub(crate) fn names_manager_as_recipient(&self) -> bool {
        match self.delivery {
            Delivery::Mail => self.to.contains(&MailTo::Manager),
            Delivery::Split => self.code_to == CodeTo::Manager,
            Delivery::Webhook => false,
        }
    }
}

/// The service desk. The mail shows the fields that are set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServiceDesk {
    /// Its name, like "IT Service Desk".
    pub name: Option<String>,
    /// Its mail address.
    pub email: Option<String>,
    /// Its phone number, shown unchanged.
    pub phone: Option<String>,
    /// Its page, an `https:` URL, shown as a link.
    pub portal_url: Option<String>,
}

impl ServiceDesk {
    pub(super) fn read(read: &mut SettingsReader<'_>) -> Self {
        let address = read.optional("SERVICE_DESK_EMAIL", "it@contoso.com", reader::address);
        Self {
            name: read.optional("SERVICE_DESK_NAME", "IT Service Desk", reader::text),
            email: address.map(|address| address.to_string()),
            phone: read.optional("SERVICE_DESK_PHONE", "+44 20 7946 0000", reader::text),
            portal_url: read.optional(
                "SERVICE_DESK_PORTAL_URL",
                "https://help.contoso.com",
                reader::https_url,
            ),
        }
    }

    /// Whether a field is set.
    pub fn is_set(&self) -> bool {
        [&self.name, &self.email, &self.phone, &self.portal_url].into_iter().any(Option::is_some)
    }
}

/// How a code gets to the joiner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// In a mail to the joiner.
    #[default]
    Mail,
    /// Somebody gets it by mail and hands it over, and a mail without it tells the joiner how to sign in.
    Split,
    /// By the endpoint of another system, DELIVERY_WEBHOOK_URL.
    Webhook,
}

/// Who hands a code over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodeTo {
    /// The joiner's manager.
    #[default]
    Manager,
    /// The same mailbox for all joiners.
    Address(Address),
}

/// A source of a joiner's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTo {
    /// The first of `otherMails` that is not the account's own address.
    OtherMails,
    /// `onPremisesExtensionAttributes/extensionAttribute1` to 15.
    ExtensionAttribute(u8),
    /// The mailbox of the manager, who gives the pass to the joiner.
    Manager,
}

/// Who is told of a joiner's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailCc {
    /// The joiner's manager, if there is one with a mailbox.
    Manager,
    /// A fixed address.
    Address(Address),
}
