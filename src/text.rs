//! Which characters the names of people, and the addresses and other texts beside them, may have.
//!
//! They go into mails, alerts and log lines. A character that nobody sees, or that changes the direction of what follows, makes one
//! text look like another. Callers are told of such characters; in what HR systems and Graph hold they are removed.

use std::collections::BTreeSet;

use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, EmojiModifier, ExtendedPictographic,
        GeneralCategory, GeneralCategoryGroup, Ideographic, IndicSyllabicCategory, JoiningType, Script,
        VariationSelector,
    },
};

/// The longest name, in characters: that of a display name in Graph.
pub(crate) const MAX_NAME: usize = 256;

const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const SELECTORS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<VariationSelector>();
const IDEOGRAPHS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Ideographic>();
const EMOJI: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Emoji>();
const SKIN_TONES: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<EmojiModifier>();
const PICTOGRAPHS: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<ExtendedPictographic>();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
const JOINING: CodePointMapDataBorrowed<'static, JoiningType> = CodePointMapData::new();
const INDIC: CodePointMapDataBorrowed<'static, IndicSyllabicCategory> = CodePointMapData::new();
const COMBINING: CodePointMapDataBorrowed<'static, CanonicalCombiningClass> = CodePointMapData::new();
const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::new();

/// Whether the text has a character that a person does not see, a control character included.
pub(crate) fn hides_something(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (0..chars.len()).any(|at| chars[at].is_control() || is_separator(chars[at]) || is_hidden(&chars, at))
}

/// The text in one line, with one space between words, and without what a person does not see.
pub(crate) fn one_line(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let shown = |at: usize| match chars[at] {
        c if c.is_control() || is_separator(c) => Some(' '),
        c => (!is_hidden(&chars, at)).then_some(c),
    };
    let line: String = (0..chars.len()).filter_map(shown).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name as HR or Graph has it, in one line of bounded length; `None` if nothing is left.
pub(crate) fn name(text: &str) -> Option<String> {
    Some(first(&one_line(text), MAX_NAME)).filter(|name| !name.is_empty())
}

/// At most the first `count` characters of a line.
pub(crate) fn first(line: &str, count: usize) -> String {
    let cut: String = line.chars().take(count).collect();
    // The cut may have taken what a character at the end needs.
    one_line(&cut)
}

/// A line or paragraph separator.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether nobody sees the character at `at`, and no other one needs it.
fn is_hidden(chars: &[char], at: usize) -> bool {
    let (before, c, after) = (&chars[..at], chars[at], &chars[at + 1..]);
    // The marks around ruby text are not called ignorable, nor is the Braille pattern without dots.
    let is_odd = matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{2800}');
    let is_needed = match c {
        '\u{200d}' if joins_pictographs(before, after) => true,
        '\u{200c}' | '\u{200d}' => joins(before, after),
        c if SELECTORS.contains(c) => before.last().is_some_and(|of| has_variants(*of)),
        _ => false,
    };
    is_odd || (IGNORABLE.contains(c) && !is_needed)
}

/// Whether a joiner or non-joiner between these changes the form of letters, as in Persian and in the scripts of India. Between Latin
/// letters it changes nothing.
fn joins(before: &[char], after: &[char]) -> bool {
    let is_mark = |c: &&char| GeneralCategoryGroup::Mark.contains(CATEGORIES.get(**c));
    let is_joined = |c: &char| {
        let has_forms =
            JOINING.get(*c) != JoiningType::NonJoining || INDIC.get(*c) != IndicSyllabicCategory::Other;
        GeneralCategoryGroup::Letter.contains(CATEGORIES.get(*c)) && has_forms
    };
    // At the end of a word, Malayalam writes some letters with a virama and a joiner.
    let is_after_virama = before.last().is_some_and(|c| COMBINING.get(*c) == CanonicalCombiningClass::Virama);
    before.iter().rev().find(|c| !is_mark(c)).is_some_and(is_joined)
        && (is_after_virama || after.iter().find(|c| !is_mark(c)).is_some_and(is_joined))
}

/// Whether a joiner between these makes one emoji of two (UAX 29, rule GB11).
fn joins_pictographs(before: &[char], after: &[char]) -> bool {
    let is_part = |c: &&char| SELECTORS.contains(**c) || SKIN_TONES.contains(**c);
    before.iter().rev().find(|c| !is_part(c)).is_some_and(|c| PICTOGRAPHS.contains(*c))
        && after.first().is_some_and(|c| PICTOGRAPHS.contains(*c))
}

/// Whether a variation selector after `c` chooses one of its forms: of an ideograph in a Japanese name, a Mongolian letter, an emoji.
fn has_variants(c: char) -> bool {
    IDEOGRAPHS.contains(c) || SCRIPTS.get(c) == Script::Mongolian || (EMOJI.contains(c) && !c.is_ascii())
}

/// The scripts that are written together: Japanese, Chinese, Korean.
const EAST_ASIAN: [&[Script]; 3] = [
    &[Script::Han, Script::Hiragana, Script::Katakana],
    &[Script::Han, Script::Bopomofo],
    &[Script::Han, Script::Hangul],
];
/// The scripts with letters that look like Latin ones.
const LIKE_LATIN: [Script; 5] =
    [Script::Cyrillic, Script::Greek, Script::Coptic, Script::Cherokee, Script::Lisu];

/// Whether the word has letters of several scripts that are not written together. That is what UTS 39 calls less than moderately
/// restrictive; it is a rule for addresses, not for names.
pub(crate) fn mixes_scripts(word: &str) -> bool {
    let is_neutral = |script: &Script| [Script::Common, Script::Inherited].contains(script);
    let mut scripts: BTreeSet<Script> = word.chars().map(|c| SCRIPTS.get(c)).collect();
    scripts.retain(|script| !is_neutral(script));
    let has_latin = scripts.remove(&Script::Latin);
    match scripts.iter().collect::<Vec<_>>()[..] {
        [] => false,
        [only] => has_latin && LIKE_LATIN.contains(only),
        _ => !EAST_ASIAN.iter().any(|written| scripts.iter().all(|script| written.contains(script))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_removed() {
        for hidden in [
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2061}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e0100}',
        ] {
            let text = format!("Emma{hidden}Brooks{hidden}");
            assert!(hides_something(&text), "{hidden:?}");
            let without = one_line(&text);
            assert!(["EmmaBrooks", "Emma Brooks"].contains(&without.as_str()), "{hidden:?}: {without:?}");
        }
    }

    #[test]
    fn names_of_the_world_stay_as_they_are() {
        for name in [
            "Emma Brooks",
            "Siobhán O'Brien-Núñez",
            "Nguyễn Thị Minh Khai",
            // Persian, with non-joiners, one of them after a vowel sign.
            "علی‌رضا",
            "نَ‌ما",
            // Sinhala and Bengali, with joiners after a virama and before it.
            "ශ්‍රී ලංකා",
            "র‍্যাব",
            // Malayalam, with one at the end of a word.
            "അവന്‍",
            "क्‍ष क्‌ष",
            "山田 太郎",
            // Two ways to write the same Japanese name, told apart by variation selectors.
            "葛󠄀城",
            "渡邉󠄂",
            "김민준",
            "ᠮᠣᠩᠭᠣᠯ",
            "מרים שָׁלוֹם",
            "Ивáн Петров",
            "ສົມພອນ",
            "Service desk ☎️",
            "👩‍💻 IT",
            "👩🏽‍💻👨‍👩‍👧",
            "🏳️‍🌈 🏴‍☠️",
        ] {
            assert!(!hides_something(name), "{name}");
            assert_eq!(one_line(name), name);
        }
    }

    #[test]
    fn a_joiner_that_joins_nothing_is_removed() {
        for (text, cleaned) in [
            ("Em\u{200d}ma", "Emma"),
            ("\u{200c}علی", "علی"),
            ("علی\u{200c}", "علی"),
            ("علی\u{200c} رضا", "علی رضا"),
            ("علی\u{200c}\u{200c}رضا", "علیرضا"),
            ("e\u{301}\u{200d}m", "e\u{301}m"),
            ("7\u{200d}7", "77"),
            ("\u{1f469}\u{200d}", "\u{1f469}"),
            ("\u{1f469}\u{200d}\u{200d}\u{1f4bb}", "\u{1f469}\u{1f4bb}"),
            ("a\u{200d}\u{1f4bb}", "a\u{1f4bb}"),
        ] {
            assert!(hides_something(text), "{text:?}");
            assert_eq!(one_line(text), cleaned);
        }
    }

    #[test]
    fn a_name_is_one_line_of_at_most_256_characters_or_nothing() {
        assert_eq!(name(&"x".repeat(300)).map(|name| name.len()), Some(256));
        assert_eq!(name("  Emma\r\n\tBrooks "), Some("Emma Brooks".into()));
        assert_eq!(name("\u{200b} \u{2066}\u{3164}"), None);
        let cut = format!("{}\u{200c}{}", "ب".repeat(255), "ب");
        assert_eq!(name(&cut), Some("ب".repeat(255)), "a non-joiner at the end joins nothing");
    }

    #[test]
    fn only_scripts_that_are_not_written_together_are_mixed() {
        for (word, is_mixed) in [
            ("emma.brooks", false),
            ("müller", false),
            ("иван", false),
            ("иван.2026", false),
            ("γιώργος", false),
            ("аlice", true),
            ("alicе", true),
            ("αlice", true),
            ("ивαн", true),
            ("tanaka太郎", false),
            ("たなかタロウ太郎", false),
            ("김tanaka", false),
            ("김たなか", true),
            ("علی.reza", false),
            ("عליש", true),
            ("ⲁlice", true),
            ("", false),
        ] {
            assert_eq!(mixes_scripts(word), is_mixed, "{word}");
        }
    }

    fn odd_text() -> impl Strategy<Value = String> {
        let any = any::<char>();
        let odd = prop::sample::select(vec![
            '\u{200c}',
            '\u{200d}',
            '\u{200b}',
            '\u{e0100}',
            '\u{fe0f}',
            '\u{94d}',
            'क',
            'ب',
            '\u{64e}',
            '山',
            '\u{34f}',
            'a',
            ' ',
            '\n',
            '\u{1f469}',
            '\u{1f3fd}',
            '\u{202e}',
        ]);
        prop::collection::vec(prop_oneof![any, odd], 0..24).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_cleaned_hides_nothing_and_stays_so(text in odd_text()) {
            let cleaned = one_line(&text);
            prop_assert!(!hides_something(&cleaned), "{:?}", cleaned);
            prop_assert_eq!(one_line(&cleaned), cleaned.clone());
            if let Some(name) = name(&text) {
                prop_assert!(!hides_something(&name) && name.chars().count() <= MAX_NAME);
            }
            if !hides_something(&text) {
                prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), cleaned);
            }
        }

        /// What a reader sees is not changed: every letter and digit stays, in its order.
        #[test]
        fn nothing_that_is_seen_is_lost(text in "[\\p{Lu}\\p{Ll}\\p{Nd} \u{200b}\u{202e}\u{ad}]{0,40}") {
            let seen = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(seen(&one_line(&text)), seen(&text));
        }
    }
}
