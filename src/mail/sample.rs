//! Sample mails: each kind in every variant, for the check of templates and for `firstpass preview`.

use chrono::{DateTime, NaiveDate, Offset, TimeDelta, Utc};
use minijinja::{Value, context};

use super::{
    AlertMail, CodePlace, DigestMail, DigestPerson, HandoverMail, JoinerMail, Kind, MailError, Mailer,
    ManagerMail, Method, NoticeMail, Occasion, Onlooker, PassTimes, Reader, ReminderMail, Rendered, Steps,
    ToldMail,
};
use crate::{
    code::Code,
    language,
    settings::{Device, ServiceDesk},
    zone::{Place, Tz, joiner_zone},
};

/// The code of a sample. It is none that Entra would make, so that nobody takes it for one.
pub const CODE: &str = "SAMPLE+1";

/// The flags of each kind, and one more: whether what can be missing is there.
const FLAGS: u32 = 12;

/// Which variant of a kind: a set of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant(u32);

impl Variant {
    /// The usual mail: everything is there, and nothing is unusual.
    pub const USUAL: Self = Self(0);

    /// The usual one, that with every flag, and both with each flag turned.
    fn all() -> impl Iterator<Item = Self> {
        let every = (1 << FLAGS) - 1;
        let turned = |of: u32| (0..FLAGS).map(move |bit| Self(of ^ (1 << bit)));
        [Self(0), Self(every)].into_iter().chain(turned(0)).chain(turned(every))
    }

    fn is(self, flag: u32) -> bool {
        self.0 & (1 << flag) != 0
    }

    /// A value that is there unless `flag` is set.
    fn unless<T>(self, flag: u32, value: T) -> Option<T> {
        (!self.is(flag)).then_some(value)
    }
}

/// What a sample is about.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The language, one of [`Mailer::languages`] or one that is checked.
    pub language: &'a str,
    /// What the joiner signs in on.
    pub device: Device,
    /// What they set up.
    pub method: Method,
    /// Whether the code is in the joiner's mail.
    pub has_code: bool,
    /// Whether it works only once.
    pub one_time: bool,
}

impl<'a> Scene<'a> {
    /// The usual mail of a language.
    pub fn of(language: &'a str) -> Self {
        let Steps { device, method } = Steps::default();
        Self { language, device, method, has_code: true, one_time: true }
    }
}

fn at(day: u32, hour: u32) -> DateTime<Utc> {
    day_of(day).and_hms_opt(hour, 0, 0).unwrap_or_default().and_utc()
}

fn day_of(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 3, day).unwrap_or_default()
}

impl Mailer {
    /// A sample with a code that is none.
    ///
    /// # Errors
    /// When a template is broken.
    pub fn sample(&self, kind: Kind, scene: Scene<'_>) -> Result<Rendered, MailError> {
        let values = self.sample_values(kind, scene, Variant::USUAL)?;
        let is_mailed = has_code(kind, &values);
        Ok(if is_mailed {
            self.draft(kind, scene.language, values)?.with_code(&Code::new(CODE))
        } else {
            self.render(kind, scene.language, values)?
        })
    }

    /// What the templates of a kind get, in every variant, and whether the code is among it.
    pub(super) fn all_samples(&self, kind: Kind, language: &str) -> Result<Vec<(Value, bool)>, MailError> {
        let usual = Scene::of(language);
        let devices: &[Device] = match kind {
            Kind::Joiner => &Device::ALL,
            Kind::Reminder | Kind::Renamed => &[Device::Browser, Device::Windows],
            _ => &[Device::Browser],
        };
        let mut scenes = Vec::new();
        for &device in devices {
            for method in [Method::Passkey, Method::Authenticator] {
                scenes.push(Scene { device, method, ..usual });
                scenes.push(Scene { device, method, one_time: false, has_code: false, ..usual });
            }
        }
        let mut samples = Vec::new();
        for (index, scene) in scenes.into_iter().enumerate() {
            // Every variant on the first device; on the others only what the steps depend on.
            let variants = Variant::all().take(if index < 2 { usize::MAX } else { 2 });
            for variant in variants {
                let values = self.sample_values(kind, scene, variant)?;
                let has_code = has_code(kind, &values);
                samples.push((values, has_code));
            }
        }
        Ok(samples)
    }

    fn sample_values(&self, kind: Kind, scene: Scene<'_>, variant: Variant) -> Result<Value, MailError> {
        let Scene { language, device, method, has_code, one_time } = scene;
        let region = language::likely_country(language);
        let zone =
            joiner_zone(Place { usage_location: region.as_deref(), ..Place::default() }, &[], Tz::UTC).zone;
        let reader = Reader {
            language,
            usage_location: region.as_deref(),
            given_name: variant.unless(0, "Ada"),
            display_name: if variant.is(0) { "N/A" } else { "Ada Lovelace" },
            user_principal_name: "ada.lovelace@contoso.example",
        };
        let offset = at(1, 7).with_timezone(&zone).offset().fix().local_minus_utc();
        let opens_at = at(1, 7) - TimeDelta::seconds(offset.into());
        let made_at = at(1, 7) - TimeDelta::days(7);
        let times = PassTimes {
            opens_at,
            opens_now: variant.is(1),
            closes_at: opens_at + TimeDelta::days(1),
            zone,
            one_time: one_time != variant.is(2),
            made_at,
        };
        let steps = Steps { device, method };
        let code = if has_code {
            CodePlace::Mail { letters: 8 }
        } else {
            CodePlace::From(variant.unless(3, "Charles Babbage"))
        };
        let day_one = variant.unless(4, day_of(1));
        let manager = variant.unless(5, "Charles Babbage");
        let occasion = match kind {
            Kind::Moved => Occasion::Moved,
            Kind::Again => Occasion::Again,
            Kind::Corrected => Occasion::Corrected,
            Kind::Retimed => Occasion::Retimed,
            _ => Occasion::First,
        };
        let values = match kind {
            Kind::Joiner | Kind::Moved | Kind::Again | Kind::Corrected | Kind::Retimed => self
                .joiner_values(&JoinerMail {
                    reader,
                    times,
                    // Whoever hands the code over is not told of it.
                    manager: manager
                        .filter(|_| has_code)
                        .map(|name| Onlooker { name, has_code: variant.is(6) }),
                    day_one,
                    occasion,
                    follows_on: variant.is(7).then(|| day_of(2)),
                    steps,
                    code,
                })?,
            Kind::Handover => self.handover_values(
                &HandoverMail {
                    name: manager,
                    joiner: reader,
                    times,
                    day_one,
                    is_new: variant.is(6),
                    joiner_is_told: !variant.is(7),
                    letters: 8,
                },
                language,
            )?,
            Kind::Told => self.told_values(
                &ToldMail { name: manager, joiner: reader, times, day_one, is_new: variant.is(6) },
                language,
            )?,
            Kind::Manager => self.manager_values(
                &ManagerMail {
                    manager,
                    usage_location: region.as_deref(),
                    joiner: "Ada Lovelace",
                    opens_at,
                    closes_at: times.closes_at,
                    zone,
                    is_disabled: variant.is(6),
                    is_new: variant.is(7),
                    has_code: variant.is(3),
                },
                language,
            )?,
            Kind::Reminder | Kind::Renamed => {
                self.reminder_values(&ReminderMail { reader, times, steps, code })?
            }
            Kind::Address => self.address_values(language, region.as_deref()),
            Kind::Notice => {
                let host = self.options.ticket_hosts.first();
                let ticket = host.map(|host| format!("https://{host}/tickets/4711"));
                self.notice_values(&NoticeMail {
                    reader,
                    times,
                    service_desk: self.options.service_desk.clone(),
                    ticket_url: ticket.as_deref().filter(|_| !variant.is(3)),
                    manager: variant.is(6).then_some(if variant.is(5) { "" } else { "Charles Babbage" }),
                })?
            }
            Kind::Alert => self.alert_values(
                &AlertMail {
                    headline: "A user gets no pass",
                    who: "Ada Lovelace (ada.lovelace@contoso.example)",
                    what_happened: "There is no address to send the pass to.\nNothing was created.",
                    what_to_do: "Give the account a private address. The next sweep takes it up.",
                    reference: "joiner/00000000-0000-0000-0000-000000000000/2027-03-01",
                    at: at(1, 5),
                },
                language,
            ),
            Kind::Digest => self.digest_values(&digest(variant), language)?,
        };
        // What the settings leave out or put in.
        let missing = Value::from(());
        let values = if variant.is(8) {
            context! { company => missing.clone(), ..values }
        } else {
            values
        };
        Ok(if variant.is(9) {
            context! { service_desk => missing, ..values }
        } else if variant.is(10) && self.options.service_desk.phone.is_none() {
            let phone = ServiceDesk { phone: Some("12".to_owned()), ..ServiceDesk::default() };
            context! { service_desk => super::values::desk(&phone), ..values }
        } else {
            values
        })
    }
}

/// Whether the mail with these values has the code.
fn has_code(kind: Kind, values: &Value) -> bool {
    kind == Kind::Handover
        || kind.is_joiners() && values.get_attr("has_code").is_ok_and(|value| value.is_true())
}

fn digest(variant: Variant) -> DigestMail {
    let person = |name: &str, day: u32, why: &str| DigestPerson {
        name: name.to_owned(),
        day: variant.unless(0, day_of(day)),
        why: Some(why.to_owned()).filter(|why| !why.is_empty()),
    };
    let people = |flag: u32, people: Vec<DigestPerson>| if variant.is(flag) { Vec::new() } else { people };
    let many = (0..60).map(|_| person("Ada Lovelace", 8, ""));
    DigestMail {
        from: day_of(1),
        until: day_of(7),
        mailed: people(1, vec![person("Grace Hopper", 8, ""), person("Alan Turing", 9, "")]),
        arrived: people(
            2,
            vec![person("Ada Lovelace", 1, "passkey"), person("Charles Babbage", 1, "password")],
        ),
        known: if variant.is(2) { 0 } else { 2 },
        strong: usize::from(!variant.is(2)),
        weak: people(3, vec![person("Charles Babbage", 1, "password")]),
        blocked: people(4, vec![person("Emma Larsen", 2, "there is no address to send the pass to")]),
        moved: people(5, vec![person("Kurt Gödel", 15, "")]),
        revoked: people(6, vec![person("Emmy Noether", 3, "the hire date was removed")]),
        due: if variant.is(7) { many.collect() } else { vec![person("Grace Hopper", 8, "")] },
        due_defects: people(8, vec![person("Edsger Dijkstra", 10, "no private address")]),
        left_out: if variant.is(7) { 12 } else { 0 },
    }
}
