//! `firstpass preview`: every mail in every language, to look at before anybody gets it.

mod page;
mod server;

use std::{fs, net::SocketAddr, path::PathBuf};

use clap::Args;
use serde_json::json;

use super::{Site, terminal};
use crate::{
    address::Address,
    environment::Environment,
    mail::{
        Kind, MailOptions, Mailer, Method, Rendered, Steps,
        sample::{self, Scene},
    },
    pass::sample_mail,
    settings::{Device, Settings},
    templates::TemplateProblem,
};

/// The options of `firstpass preview`.
#[derive(Debug, Args)]
pub struct Options {
    /// The languages, separated by commas; all by default
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    lang: Vec<String>,
    /// The kinds of mails, separated by commas; all by default
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// The folder that the mails and their index page are written to
    #[arg(long, value_name = "FOLDER", default_value = "preview")]
    out: PathBuf,
    /// Show them on this machine instead, and anew whenever a template is saved
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8090", conflicts_with = "out")]
    serve: Option<SocketAddr>,
    /// Send one of them, with a code that is none, from MAIL_FROM to this address in a domain of the tenant
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["out", "serve"])]
    send_to: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<(), String> {
    if let Some(address) = options.serve {
        if !address.ip().is_loopback() {
            return Err(format!(
                "--serve {address}: only an address of this machine, such as 127.0.0.1:8090"
            ));
        }
        let wanted = Wanted::read(options)?;
        return terminal::run(&site.env, server::serve(address, site.env.clone(), wanted));
    }
    let wanted = Wanted::read(options)?;
    if let Some(to) = &options.send_to {
        return terminal::run(&site.env, async {
            terminal::print(&send(&wanted, to, site, options.json).await?);
            Ok(())
        });
    }
    let mails = Mails::render(&site.env, &wanted)?;
    let mut files = Vec::new();
    for (name, content) in page::files(&mails) {
        let path = options.out.join(&name);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        files.push(name);
    }
    let index = options.out.join(page::INDEX);
    let problems: Vec<String> = mails.problems.iter().map(ToString::to_string).collect();
    if options.json {
        let languages = &mails.languages;
        terminal::print(
            &json!({"index": index, "languages": languages, "files": files, "problems": problems})
                .to_string(),
        );
    } else {
        for problem in &problems {
            terminal::print(problem);
        }
        terminal::print(&format!(
            "languages: {}; mails: {}; open {}",
            mails.languages.len(),
            mails.mails.len(),
            index.display()
        ));
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err("1 problem in the templates: its language is not used, and English serves".to_owned()),
        count => Err(format!(
            "{count} problems in the templates: their languages are not used, and English serves"
        )),
    }
}

/// What is to be shown.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    languages: Vec<String>,
    samples: Vec<Sample>,
}

/// A mail, and the joiner's in its forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    name: &'static str,
    kind: Kind,
    steps: Steps,
    has_code: bool,
}

impl Sample {
    fn all() -> Vec<Self> {
        let passkey = |device| Steps { device, method: Method::Passkey };
        let usual = Kind::ALL.map(|kind| Self {
            name: kind.name(),
            kind,
            steps: passkey(Device::Browser),
            has_code: true,
        });
        let joiner = |name, steps| Self { name, kind: Kind::Joiner, steps, has_code: true };
        let forms = [
            joiner("joiner-windows", passkey(Device::Windows)),
            joiner("joiner-autopilot", passkey(Device::Autopilot)),
            joiner("joiner-hybrid", passkey(Device::Hybrid)),
            joiner("joiner-both", passkey(Device::Both)),
            joiner("joiner-authenticator", Steps { device: Device::Browser, method: Method::Authenticator }),
            Self { has_code: false, ..joiner("joiner-split", passkey(Device::Browser)) },
        ];
        usual.into_iter().chain(forms).collect()
    }

    fn render(self, mailer: &Mailer, language: &str) -> Result<Rendered, String> {
        let Self { kind, steps: Steps { device, method }, has_code, .. } = self;
        let one_time = !device.needs_several_uses();
        let scene = Scene { language, device, method, has_code, one_time };
        mailer.sample(kind, scene).map_err(|error| error.to_string())
    }
}

impl Wanted {
    fn read(options: &Options) -> Result<Self, String> {
        let all = Sample::all();
        let mut samples = Vec::new();
        for name in &options.kind {
            let named = all.iter().filter(|sample| sample.name == name).copied();
            let before = samples.len();
            samples.extend(named);
            if samples.len() == before {
                let names: Vec<&str> = all.iter().map(|sample| sample.name).collect();
                return Err(format!("--kind {name}: there is no such mail; use one of {}", names.join(", ")));
            }
        }
        let samples = if samples.is_empty() { all } else { samples };
        Ok(Self { languages: options.lang.clone(), samples })
    }
}

/// Rendered mails.
pub(super) struct Mails {
    pub(super) languages: Vec<String>,
    /// The language, the name of the sample, and the mail.
    pub(super) mails: Vec<(String, &'static str, Rendered)>,
    pub(super) problems: Vec<TemplateProblem>,
}

impl Mails {
    /// Renders what is wanted, by the templates and settings of `env`. What only the functions need may be missing.
    ///
    /// # Errors
    /// A report on the settings, or the name of a language that has no mails.
    pub(super) fn render(env: &Environment, wanted: &Wanted) -> Result<Self, String> {
        let env = env.clone().or([
            ("MAIL_FROM", "preview@contoso.example"),
            ("LEDGER_URL", "http://127.0.0.1:10000/devstoreaccount1/ledger?sig=none"),
        ]);
        let settings = Settings::read_with_folder(&env).map_err(|report| report.to_string())?;
        let mailer = Mailer::new(MailOptions::of(&settings)).map_err(|error| error.to_string())?;
        let mut languages = Vec::new();
        for tag in &wanted.languages {
            let known = mailer.languages().iter().find(|language| language.eq_ignore_ascii_case(tag));
            let known = known.ok_or_else(|| {
                format!(
                    "--lang {tag}: there are no mails in it that can be used; use one of {}",
                    mailer.languages().join(", ")
                )
            });
            match known {
                Ok(language) => languages.push(language.clone()),
                // The problems say why.
                Err(_) if mailer.problems().iter().any(|problem| problem.is_about(tag)) => {}
                Err(why) => return Err(why),
            }
        }
        if wanted.languages.is_empty() {
            languages = mailer.languages().to_vec();
        }
        let mut mails = Vec::new();
        for language in &languages {
            for sample in &wanted.samples {
                mails.push((language.clone(), sample.name, sample.render(&mailer, language)?));
            }
        }
        Ok(Self { languages, mails, problems: mailer.problems().to_vec() })
    }
}

/// Sends the first of the wanted mails.
async fn send(wanted: &Wanted, to: &str, site: &Site<'_>, as_json: bool) -> Result<String, String> {
    let to = Address::parse(to).map_err(|error| format!("--send-to {to}: {error}"))?;
    let app = site.app().await?;
    let mailer = &app.services.mailer;
    let language = wanted.languages.first().map_or("en", String::as_str);
    let Some(sample) = wanted.samples.first() else { return Err("there is no mail to send".to_owned()) };
    let mail = sample.render(mailer, language)?;
    let subject = mail.subject.clone();
    sample_mail::send(&app.services, to.clone(), mail).await?;
    Ok(if as_json {
        json!({"sent": true, "to": to.to_string(), "subject": subject, "code": sample::CODE}).to_string()
    } else {
        format!(
            "Exchange accepted \"{subject}\" for {to}, with the code {}, which opens nothing. Whether it arrives, look there.",
            sample::CODE
        )
    })
}
