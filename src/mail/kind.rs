//! The kinds of mails, and what each says.

use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    settings::{Device, ServiceDesk},
    zone::Tz,
};

/// A kind of mail: a template of each language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The joiner's: the code, or who hands it over, and what to do with it.
    Joiner,
    /// The joiner's, after the first day has moved.
    Moved,
    /// The joiner's, after a code ended without being used.
    Again,
    /// The joiner's, after the private address was corrected.
    Corrected,
    /// The joiner's, after the place of work was changed.
    Retimed,
    /// The code for whoever hands it over.
    Handover,
    /// That the joiner was sent a code, without it.
    Told,
    /// What keeps a joiner from signing in, for the manager.
    Manager,
    /// That a code waits to be used.
    Reminder,
    /// A new sign-in name for a code that was sent.
    Renamed,
    /// To an address that mails go to no longer.
    Address,
    /// That a pass was made for the reader's account.
    Notice,
    /// To the admins.
    Alert,
    /// What happened lately, to the admins.
    Digest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Joiner,
        Self::Moved,
        Self::Again,
        Self::Corrected,
        Self::Retimed,
        Self::Handover,
        Self::Told,
        Self::Manager,
        Self::Reminder,
        Self::Renamed,
        Self::Address,
        Self::Notice,
        Self::Alert,
        Self::Digest,
    ];

    /// The name of its two templates, before `.html.j2` and `.subject.txt.j2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Joiner => "joiner",
            Self::Moved => "moved",
            Self::Again => "again",
            Self::Corrected => "corrected",
            Self::Retimed => "retimed",
            Self::Handover => "handover",
            Self::Told => "told",
            Self::Manager => "manager",
            Self::Reminder => "reminder",
            Self::Renamed => "renamed",
            Self::Address => "address",
            Self::Notice => "notice",
            Self::Alert => "alert",
            Self::Digest => "digest",
        }
    }

    /// Whether it is one of the mails that give the joiner a code, or the steps for it.
    pub(super) fn is_joiners(self) -> bool {
        matches!(self, Self::Joiner | Self::Moved | Self::Again | Self::Corrected | Self::Retimed)
    }
}

/// The reader of a mail.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// One of [`super::Mailer::languages`], chosen by [`super::Mailer::language_for`].
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
    pub(super) fn greeted_name(&self) -> Option<&'a str> {
        // Where the family name comes first, the given name alone is for friends.
        let is_full = ["ja", "ko", "zh"].iter().any(|language| self.language.starts_with(language));
        let names = if is_full {
            [Some(self.display_name), self.given_name]
        } else {
            [self.given_name, Some(self.display_name)]
        };
        names.into_iter().flatten().find(|name| is_name(name))
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

/// What the joiner is told to set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// A passkey.
    #[default]
    Passkey,
    /// Microsoft Authenticator, where the tenant has no passkeys.
    Authenticator,
}

impl Method {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Authenticator => "authenticator",
        }
    }
}

/// What the steps in the joiner's mail depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// What they sign in on.
    pub device: Device,
    /// What they set up.
    pub method: Method,
}

/// Where the joiner has the code.
#[derive(Debug, Clone, Copy)]
pub enum CodePlace<'a> {
    /// In the mail. It has so many letters, which decides their size.
    Mail {
        /// 8 to 48.
        letters: u32,
    },
    /// Somebody hands it over: a name, if it is known.
    From(Option<&'a str>),
}

impl<'a> CodePlace<'a> {
    pub(super) fn is_mail(self) -> bool {
        matches!(self, Self::Mail { .. })
    }

    pub(super) fn giver(self) -> Option<&'a str> {
        if let Self::From(name) = self { name.filter(|name| !name.trim().is_empty()) } else { None }
    }

    pub(super) fn letters(self) -> u32 {
        if let Self::Mail { letters } = self { letters } else { 0 }
    }
}

/// Who else hears of a joiner's code.
#[derive(Debug, Clone, Copy)]
pub struct Onlooker<'a> {
    /// The display name of the manager.
    pub name: &'a str,
    /// Whether they get a copy of the mail with the code; otherwise a note without it.
    pub has_code: bool,
}

/// The values of the mail to the joiner.
#[derive(Debug, Clone, Copy)]
pub struct JoinerMail<'a> {
    /// The joiner.
    pub reader: Reader<'a>,
    /// The validity of the code.
    pub times: PassTimes,
    /// The manager, if they hear of the code.
    pub manager: Option<Onlooker<'a>>,
    /// The first day. The mail welcomes the joiner if it is known and not over.
    pub day_one: Option<NaiveDate>,
    /// Whether it replaces an earlier mail, and why.
    pub occasion: Occasion,
    /// The day for which the joiner gets another code if nobody uses this one.
    pub follows_on: Option<NaiveDate>,
    /// What the joiner has to do.
    pub steps: Steps,
    /// Where the code is.
    pub code: CodePlace<'a>,
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

impl Occasion {
    const ALL: [Self; 5] = [Self::First, Self::Moved, Self::Corrected, Self::Retimed, Self::Again];

    /// The word for it in records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Moved => "moved",
            Self::Corrected => "corrected",
            Self::Retimed => "retimed",
            Self::Again => "again",
        }
    }

    /// The one with this word; the first for one of a newer version.
    pub(crate) fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|occasion| occasion.word() == word).unwrap_or(Self::First)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::First => Kind::Joiner,
            Self::Moved => Kind::Moved,
            Self::Corrected => Kind::Corrected,
            Self::Retimed => Kind::Retimed,
            Self::Again => Kind::Again,
        }
    }
}

/// The values of the mail with a code for whoever hands it over.
#[derive(Debug, Clone, Copy)]
pub struct HandoverMail<'a> {
    /// Their name, if it is known.
    pub name: Option<&'a str>,
    /// The joiner. The mail is in the default language: Graph says nothing of the language of a manager.
    pub joiner: Reader<'a>,
    /// The validity of the code.
    pub times: PassTimes,
    /// The joiner's first day.
    pub day_one: Option<NaiveDate>,
    /// Whether it replaces a code that was sent before.
    pub is_new: bool,
    /// Whether the joiner gets a mail with the steps.
    pub joiner_is_told: bool,
    /// How many letters the code has.
    pub letters: u32,
}

/// The values of the note that a joiner was sent a code.
#[derive(Debug, Clone, Copy)]
pub struct ToldMail<'a> {
    /// The reader's name, if it is known.
    pub name: Option<&'a str>,
    /// The joiner. The mail is in the default language.
    pub joiner: Reader<'a>,
    /// The validity of the code.
    pub times: PassTimes,
    /// The joiner's first day.
    pub day_one: Option<NaiveDate>,
    /// Whether it replaces a code that was sent before.
    pub is_new: bool,
}

/// The values of the mail that reminds the joiner of a code, without the code.
#[derive(Debug, Clone, Copy)]
pub struct ReminderMail<'a> {
    /// The joiner.
    pub reader: Reader<'a>,
    /// The validity of the code. `made_at` is the time of the mail that has it.
    pub times: PassTimes,
    /// What the joiner has to do.
    pub steps: Steps,
    /// Where the code is.
    pub code: CodePlace<'a>,
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

/// A person in a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestPerson {
    /// Their name.
    pub name: String,
    /// Their first day.
    pub day: Option<NaiveDate>,
    /// What there is to say about them, in English.
    pub why: Option<String>,
}

/// What happened in some days, and what is due.
#[derive(Debug, Clone, Default)]
pub struct DigestMail {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub until: NaiveDate,
    /// Who was sent a pass.
    pub mailed: Vec<DigestPerson>,
    /// Who signed in for the first time, and with what.
    pub arrived: Vec<DigestPerson>,
    /// Of how many of them it is known with what.
    pub known: usize,
    /// How many of these have a method that resists phishing.
    pub strong: usize,
    /// Who has a password or a phone only.
    pub weak: Vec<DigestPerson>,
    /// Who gets no pass, or has not come in, and why.
    pub blocked: Vec<DigestPerson>,
    /// Whose first day has moved.
    pub moved: Vec<DigestPerson>,
    /// Whose pass was taken back, and why.
    pub revoked: Vec<DigestPerson>,
    /// Who starts within 14 days.
    pub due: Vec<DigestPerson>,
    /// Who starts within 14 days, and what is missing.
    pub due_defects: Vec<DigestPerson>,
    /// Of how many more people nothing was read.
    pub left_out: usize,
}
