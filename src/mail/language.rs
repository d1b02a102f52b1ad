//! The choice of the reader's language.

use icu_locale::{
    LanguageIdentifier, Locale, LocaleCanonicalizer, LocaleDirectionality, LocaleExpander,
    subtags::{Region, language},
};

/// The language in `available` that is closest to the tag: for "de-AT", "de-AT" or else "de".
///
/// Systems that fill `preferredLanguage` write tags of several kinds: `de_AT`, `deu`, `de-DE-1996`, `de-DE_phoneb`. The language
/// counts, then the region.
///
/// `None` if the text begins with no language, or it is not available.
pub(super) fn best_for_tag(available: &[&'static str], tag: &str) -> Option<&'static str> {
    let tag = tag.trim().replace('_', "-");
    let first = tag.split(['-', '.', '@']).next().unwrap_or_default();
    let mut locale: Locale = tag.parse().or_else(|_| first.parse()).ok()?;
    // Also to the two letters of a language that has them.
    LocaleCanonicalizer::new_extended().canonicalize(&mut locale);
    locale.id.variants.clear();
    if locale.id.language.is_unknown() {
        return None;
    }
    best_fit(available, locale.id)
}

/// The language in `available` that is likely in a country: for "CH" and "AT", "de".
pub(super) fn best_for_country(available: &[&'static str], country: &str) -> Option<&'static str> {
    let mut id = LanguageIdentifier::from(Some(region(country)?));
    maximize(&mut id);
    // CLDR lists no country whose likely language is its own default, English.
    if id.language.is_unknown() {
        id.language = language!("en");
    }
    best_fit(available, id)
}

/// Tries the tag from the most to the least exact: "zh-TW" as "zh-Hant-TW", "zh-Hant" and "zh".
fn best_fit(available: &[&'static str], asked: LanguageIdentifier) -> Option<&'static str> {
    let mut full = asked;
    maximize(&mut full);
    let [mut no_region, mut no_script, mut bare] = [full.clone(), full.clone(), full.clone()];
    no_region.region = None;
    no_script.script = None;
    (bare.script, bare.region) = (None, None);

    [full, no_script, no_region, bare]
        .iter()
        .find_map(|id| available.iter().copied().find(|name| id.normalizing_eq(name)))
}

/// The locale of dates: the mail's language, in the reader's country if that is known.
pub(super) fn locale(language: &str, usage_location: Option<&str>) -> Locale {
    let mut locale: Locale = language.parse().unwrap_or(Locale::UNKNOWN);
    locale.id.region = usage_location.and_then(region).or(locale.id.region);
    locale
}

/// "rtl" or "ltr", for HTML's `dir`.
pub(super) fn direction(locale: &Locale) -> &'static str {
    if LocaleDirectionality::new_common().is_right_to_left(&locale.id) { "rtl" } else { "ltr" }
}

/// Adds the likely subtags. CLDR's common data has no language for Norway; the extended data has.
fn maximize(id: &mut LanguageIdentifier) {
    LocaleExpander::new_extended().maximize(id);
}

fn region(country: &str) -> Option<Region> {
    country.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_finds_the_closest_available_language() {
        let available = ["de", "en", "en-GB", "pt-BR", "zh-Hant"];
        for (tag, expected) in [
            ("de", Some("de")),
            ("de-AT", Some("de")),
            ("DE-ch", Some("de")),
            (" de-DE ", Some("de")),
            ("en-GB", Some("en-GB")),
            ("en-US", Some("en")),
            ("pt", Some("pt-BR")),
            ("pt-PT", None),
            ("zh-TW", Some("zh-Hant")),
            ("zh-CN", None),
            ("fr", None),
            ("", None),
            ("not a tag", None),
            ("de_AT", Some("de")),
            ("en_US", Some("en")),
            ("en_GB", Some("en-GB")),
            ("deu", Some("de")),
            ("ger", Some("de")),
            ("DEU-at", Some("de")),
            ("de-DE-1996", Some("de")),
            ("de-DE_phoneb", Some("de")),
            ("de_DE.UTF-8", Some("de")),
            ("de_DE@euro", Some("de")),
            ("zh_Hant_HK", Some("zh-Hant")),
            ("de-", Some("de")),
            ("1033", None),
            ("German", None),
        ] {
            assert_eq!(best_for_tag(&available, tag), expected, "{tag:?}");
        }
    }

    #[test]
    fn a_country_has_a_likely_language() {
        let available = ["de", "en", "hi", "nl"];
        for (country, expected) in [
            ("CH", Some("de")),
            ("at", Some("de")),
            ("LI", Some("de")),
            ("GB", Some("en")),
            ("US", Some("en")),
            ("BE", Some("nl")),
            ("IN", Some("hi")),
            ("ZA", Some("en")),
            ("NO", None),
            ("FR", None),
            ("Germany", None),
        ] {
            assert_eq!(best_for_country(&available, country), expected, "{country}");
        }
    }

    #[test]
    fn dates_follow_the_country_and_text_follows_the_script() {
        assert_eq!(locale("en", Some("gb")).to_string(), "en-GB");
        assert_eq!(locale("en", Some("nowhere")).to_string(), "en");
        assert_eq!(locale("pt-BR", None).to_string(), "pt-BR");
        assert_eq!(direction(&locale("de", Some("EG"))), "ltr");
        assert_eq!(direction(&locale("ar", None)), "rtl");
    }
}
