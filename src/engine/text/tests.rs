//! Tests of hostile text.

use proptest::prelude::*;

use super::*;
use crate::engine::testing::mutate::{Reading, each_text};

fn grid(raw: &str) -> Sanitized {
    UntrustedText::new(raw.to_owned()).sanitize_for_cell()
}

fn label(raw: &str) -> SanitizedLabel {
    UntrustedText::new(raw.to_owned()).sanitize_for_label()
}

/// Whether a terminal could take this character for an order, or a person could not see it.
fn is_dangerous(character: char) -> bool {
    matches!(character, '\u{0}'..='\u{9}' | '\u{B}'..='\u{1F}' | '\u{7F}'..='\u{9F}'
        | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FE0E}' | '\u{FE0F}'
        | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{10FFFF}')
}

/// Texts that similar programs were attacked with, and what has to be seen instead.
const HOSTILE: [(&str, &str); 26] = [
    ("\u{1b}[31mred", "␛[31mred"),
    ("\u{1b}]0;gotcha\u{7}", "␛]0;gotcha␇"),
    ("\u{1b}]52;c;ZXZpbA==\u{1b}\\", "␛]52;c;ZXZpbA==␛\\"),
    ("\u{1b}[2J\u{1b}[H", "␛[2J␛[H"),
    ("\u{9b}2J", "‹9B›2J"),
    ("\u{90}q\u{9c}", "‹90›q‹9C›"),
    ("good\rEVIL", "good␍EVIL"),
    ("abc\u{8}\u{8}xyz", "abc␈␈xyz"),
    ("nul\u{0}nul", "nul␀nul"),
    ("bell\u{7}\u{7}", "bell␇␇"),
    ("del\u{7f}", "del␡"),
    ("\u{202e}gpj.exe", "‹202E›gpj.exe"),
    ("\u{2067}a\u{2069}", "‹2067›a‹2069›"),
    ("\u{200f}\u{61c}", "‹200F›‹61C›"),
    ("pay\u{200b}pal", "pay␣pal"),
    ("\u{feff}bom", "␣bom"),
    ("soft\u{ad}hyphen", "soft␣hyphen"),
    ("a\u{200d}b", "a␣b"),
    ("tag\u{e0041}\u{e007f}", "tag␣␣"),
    ("line\u{2028}two\u{2029}", "line␣two␣"),
    ("\u{2800}\u{3164}\u{115f}\u{ffa0}", "␣␣␣␣"),
    ("\u{e000}\u{f8ff}", "␣␣"),
    ("a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", "a\u{301}\u{301}\u{301}\u{301}"),
    ("\u{34f}\u{17b4}", "␣␣"),
    ("\u{fffe}\u{fdd0}", "␣␣"),
    ("x\u{e0100}\u{fe01}", "x␣␣"),
];

#[test]
fn hostile_text_shows_what_it_is_and_says_so() {
    for (raw, shown) in HOSTILE {
        let cleaned = grid(raw);
        assert_eq!(cleaned.text, shown, "{}", raw.escape_unicode());
        assert!(cleaned.changes > 0, "{}", raw.escape_unicode());
    }
}

#[test]
fn honest_text_of_many_scripts_is_left_alone() {
    for raw in [
        "hello, world",
        "Zażółć gęślą jaźń",
        "नमस्ते क्षत्रिय",
        "می\u{200c}خواهم",
        "שלום",
        "مرحبا",
        "田中さん、こんにちは",
        "한국어",
        "Việt Nam",
        "👨\u{200d}👩\u{200d}👧",
        "👩🏽\u{200d}🚀 🇺🇦",
        "two\nlines",
    ] {
        assert_eq!(grid(raw), Sanitized { text: raw.to_owned(), changes: 0 });
    }
}

#[test]
fn every_scalar_alone_and_between_letters_comes_out_harmless() {
    for scalar in '\u{0}'..=char::MAX {
        for raw in [scalar.to_string(), format!("a{scalar}b")] {
            let text = grid(&raw).text;
            assert!(!text.contains(is_dangerous), "{}", raw.escape_unicode());
            assert!(
                text.split('\n').flat_map(|line| line.graphemes(true)).all(|g| g.width() > 0),
                "{}",
                raw.escape_unicode()
            );
        }
    }
}

#[test]
fn an_emoji_selector_is_dropped_from_a_grid_and_kept_in_an_export() {
    let heart = UntrustedText::new("❤\u{fe0f}".to_owned());
    assert_eq!(heart.sanitize_for_cell(), Sanitized { text: "❤".to_owned(), changes: 0 });
    assert_eq!(heart.sanitize_for_text().text, "❤\u{fe0f}");
}

#[test]
fn a_line_has_no_newline_and_a_windows_line_end_is_one() {
    let text = UntrustedText::new("a\r\nb\tc".to_owned());
    assert_eq!(text.sanitize_for_line().text, "a⏎b    c");
    assert_eq!(text.sanitize_for_cell(), Sanitized { text: "a\nb    c".to_owned(), changes: 0 });
}

#[test]
fn at_most_eight_blank_lines_follow_each_other() {
    let cleaned = grid(&format!("a{}b", "\n".repeat(60)));
    assert_eq!(cleaned.text, format!("a{}b", "\n".repeat(9)));
    assert_eq!(cleaned.changes, 51);
}

#[test]
fn a_name_cannot_pass_for_a_word_of_the_program() {
    for name in ["me", " Me ", "✓", "10:44", "[v]", "UTC", "..."] {
        assert!(label(name).text.starts_with('"'), "{name}");
    }
    assert_eq!(label("  mira ").text, "mira");
    assert_eq!(label("a\nb").text, "a⏎b");
    assert_eq!(label(" \n").text, "\"⏎\"");
}

#[test]
fn a_name_is_never_empty_and_never_long() {
    assert_eq!(label("").text, "\"␣\"");
    assert_eq!(label("   ").text, "\"␣\"");
    assert_eq!(label(&"x".repeat(500)).text.len(), MAX_LABEL_GRAPHEMES);
}

#[test]
fn a_cyrillic_letter_among_latin_ones_is_noticed() {
    assert_eq!(label("p\u{430}ypal").scripts, Scripts::Mixed);
    assert_eq!(label("paypal").scripts, Scripts::Plain);
    assert_eq!(label("мира").scripts, Scripts::Plain);
}

#[test]
fn debug_shows_a_length_and_nothing_else() {
    assert_eq!(format!("{:?}", UntrustedText::new("secret".to_owned())), "UntrustedText(6 bytes)");
}

#[test]
fn a_non_joiner_before_a_letter_without_width_is_made_visible() {
    let once = grid("क\u{200c}\u{d4e}");
    assert_eq!(once.text, "क␣␣");
    assert_eq!(grid(&once.text).text, once.text);
}

fn any_text() -> impl Strategy<Value = String> {
    let troublesome = prop::sample::select(vec![
        '\n', '\r', '\t', '\u{1b}', '\u{200d}', '\u{200c}', '\u{fe0f}', '\u{301}', '\u{94d}', 'क',
        'a', '👩', '🏽', '🇺', '\u{1100}', '\u{1161}', '\u{11a8}', '\u{d4e}', '\u{202e}', ' ',
    ]);
    prop::collection::vec(prop_oneof![troublesome, any::<char>()], 0..120)
        .prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn no_text_comes_out_dangerous_too_tall_or_invisible(raw in any_text()) {
        let text = grid(&raw).text;
        prop_assert!(!text.contains(is_dangerous));
        for grapheme in text.split('\n').flat_map(|line| line.graphemes(true)) {
            prop_assert!(grapheme.len() <= MAX_GRAPHEME_BYTES);
            prop_assert!(grapheme.width() > 0);
        }
        prop_assert!(!UntrustedText::new(raw).sanitize_for_line().text.contains('\n'));
    }

    #[test]
    fn sanitizing_sanitized_text_changes_nothing(raw in any_text()) {
        let once = grid(&raw);
        prop_assert_eq!(grid(&once.text), Sanitized { text: once.text, changes: 0 });
    }

    #[test]
    fn a_label_is_one_short_visible_line(raw in any_text()) {
        let label = label(&raw).text;
        prop_assert!(!label.contains('\n') && label.trim() == label && label.width() > 0);
        prop_assert!(label.graphemes(true).count() <= MAX_LABEL_GRAPHEMES + 2);
    }
}

#[test]
fn changed_at_random_a_text_acts_nowhere_and_hides_nothing() {
    let honest =
        ["hello, world", "می\u{200c}خواهم", "👨\u{200d}👩\u{200d}👧 👩🏽\u{200d}🚀 ❤\u{fe0f}"];
    let seeds: Vec<&str> = HOSTILE.iter().map(|(raw, _)| *raw).chain(honest).collect();
    each_text(&seeds, |raw| {
        let text = UntrustedText::new(raw.to_owned());
        // An emoji keeps its colour in an export.
        let export = text.sanitize_for_text().text.replace(['\u{fe0e}', '\u{fe0f}'], "");
        let cells = text.sanitize_for_cell().text;
        assert!(cells.split('\n').flat_map(|line| line.graphemes(true)).all(|g| g.width() > 0));
        let (line, label) = (text.sanitize_for_line().text, text.sanitize_for_label().text);
        assert!(![&line, &label].into_iter().any(|text| text.contains('\n')));
        assert!(![export, cells, line, label].iter().any(|text| text.contains(is_dangerous)));
        Reading::Taken
    });
}

#[test]
fn names_that_look_the_same_are_spelled_the_same_and_others_are_not() {
    for (one, other) in [
        ("Jos\u{e9}", "Jose\u{301}"),
        ("\u{c5}sa", "\u{212b}sa"),
        ("Anna \u{2764}\u{fe0f}", "Anna \u{2764}"),
        ("1\u{fe0f}\u{20e3}", "1\u{20e3}"),
        ("e\u{fe0e}\u{301}", "\u{e9}"),
        ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
    ] {
        assert_eq!(spelled_name(one), spelled_name(other), "{one} {other}");
        let spelled = spelled_name(one);
        assert_eq!(UntrustedText::new(spelled.clone()).sanitize_for_label().text, spelled);
    }
    for (one, other) in [("Jose", "Jos\u{e9}"), ("bob", "Bob"), ("a b", "ab"), ("\u{fb01}", "fi")] {
        assert_ne!(spelled_name(one), spelled_name(other));
    }
}
