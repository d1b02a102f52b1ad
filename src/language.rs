//! The choice of the reader's language.

use icu_locale::{
    LanguageIdentifier, Locale, LocaleCanonicalizer, LocaleDirectionality, LocaleExpander, langid,
    subtags::{Region, language},
};

/// The language in `available` that is closest to the tag: for "de-AT", "de-AT" or else "de".
///
/// Systems that fill `preferredLanguage` write tags of several kinds: `de_AT`, `deu`, `de-DE-1996`, `de-DE_phoneb`. The language
/// counts, then the region.
///
/// `None` if the text begins with no language, or it is not available.
pub(crate) fn best_for_tag<'a>(available: &'a [String], tag: &str) -> Option<&'a str> {
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
pub(crate) fn best_for_country<'a>(available: &'a [String], country: &str) -> Option<&'a str> {
    let mut id = LanguageIdentifier::from(Some(region(country)?));
    maximize(&mut id);
    // CLDR lists no country whose likely language is its own default, English.
    if id.language.is_unknown() {
        id.language = language!("en");
    }
    best_fit(available, id)
}

/// Tries the tag from the most to the least exact: "zh-TW" as "zh-Hant-TW", "zh-Hant" and "zh".
fn best_fit(available: &[String], asked: LanguageIdentifier) -> Option<&str> {
    let mut full = asked;
    maximize(&mut full);
    let [mut no_region, mut no_script, mut bare] = [full.clone(), full.clone(), full.clone()];
    no_region.region = None;
    no_script.script = None;
    (bare.script, bare.region) = (None, None);

    let known =
        |id: &LanguageIdentifier| available.iter().map(String::as_str).find(|name| id.normalizing_eq(name));
    // Norwegian is written as bokmål, as a rule; Portuguese outside of Brazil as in Portugal (CLDR's parent locales).
    let relative = match full.language.as_str() {
        "no" | "nn" => langid!("nb"),
        "pt" => langid!("pt-PT"),
        _ => bare.clone(),
    };
    [full, no_script, no_region, bare, relative].iter().find_map(known)
}

/// The locale of dates: the mail's language, in the reader's country if that is known.
pub(crate) fn locale(language: &str, usage_location: Option<&str>) -> Locale {
    let mut locale: Locale = language.parse().unwrap_or(Locale::UNKNOWN);
    locale.id.region = usage_location.and_then(region).or(locale.id.region);
    locale
}

/// "rtl" or "ltr", for HTML's `dir`.
pub(crate) fn direction(locale: &Locale) -> &'static str {
    if LocaleDirectionality::new_common().is_right_to_left(&locale.id) { "rtl" } else { "ltr" }
}

/// The country in which a language is likely spoken: for "de", "DE".
pub(crate) fn likely_country(language: &str) -> Option<String> {
    let mut id: LanguageIdentifier = language.parse().ok()?;
    maximize(&mut id);
    Some(id.region?.to_string())
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
        let available = ["de", "en", "en-GB", "pt-BR", "zh-Hant"].map(str::to_owned);
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

    /// As the systems of real tenants write them, for the languages that there are.
    #[test]
    fn every_spelling_finds_the_language() {
        let available = [
            "cs", "da", "de", "en", "es", "fi", "fr", "it", "ja", "nb", "nl", "pl", "pt-BR", "pt-PT", "sv",
            "zh-Hans",
        ]
        .map(str::to_owned);
        for (tags, expected) in [
            (&["no", "no-NO", "nb", "nb_NO", "nob", "nor", "nn", "nn-NO"][..], Some("nb")),
            (&["pt", "pt-BR", "PT_br", "por"], Some("pt-BR")),
            (&["pt-PT", "pt-AO", "pt_MZ"], Some("pt-PT")),
            (&["zh", "zh-CN", "zh-Hans", "zh_Hans_CN", "zh-SG", "zho", "chi"], Some("zh-Hans")),
            (&["zh-TW", "zh-HK", "zh-Hant", "ko", "tlh", "und", "*", "x-klingon", "-"], None),
            (&["es", "es-419", "es-MX", "spa"], Some("es")),
            (&["cz", "cs-CZ", "ces", "cze"], Some("cs")),
            (&["fr-CA", "fra", "fre", "FR"], Some("fr")),
            (&["en", "en-001", "eng", "en-GB"], Some("en")),
            (&["ja-JP", "jpn", "ja-JP-u-ca-japanese"], Some("ja")),
            (&["dut", "nld", "nl_BE"], Some("nl")),
        ] {
            for tag in tags {
                let expected = if *tag == "cz" { None } else { expected };
                assert_eq!(best_for_tag(&available, tag), expected, "{tag:?}");
            }
        }
        for (country, expected) in [
            ("NO", Some("nb")),
            ("BR", Some("pt-BR")),
            ("AO", Some("pt-PT")),
            ("CN", Some("zh-Hans")),
            ("TW", None),
            ("MX", Some("es")),
        ] {
            assert_eq!(best_for_country(&available, country), expected, "{country}");
        }
    }

    #[test]
    fn a_country_has_a_likely_language() {
        let available = ["de", "en", "hi", "nl"].map(str::to_owned);
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
