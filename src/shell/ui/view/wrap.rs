//! Breaking and cutting text by columns, never inside a grapheme.
//!
//! It takes text that is clean already and draws nothing.

use core::ops::Range;

use unicode_linebreak::{BreakClass, break_property, linebreaks};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Breaks text into rows of at most `width` columns, where the Unicode line breaking algorithm
/// (UAX #14) lets a row end: no row begins with a full stop, and none ends with an opening quote. A
/// word that is longer than a row is broken between graphemes. Blanks at the end of a row are left
/// out.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrap_line(line, width.max(1))).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut start = Place::default();
    let mut columns = 0;
    // The last place of each kind, the best kind first.
    let mut ends: [Option<Place>; RowEnd::KINDS] = [None; RowEnd::KINDS];
    for (at, grapheme, end) in breakable(line) {
        let wide = grapheme.width();
        // A blank hangs over the end of its row, where nobody sees it.
        if let Some(end) = end {
            if let Some(last) = ends.get_mut(end as usize) {
                *last = Some(Place { at, columns });
            }
            while columns + wide - start.columns > width
                && let Some(end) = ends.iter().flatten().find(|end| end.at > start.at)
            {
                rows.push(row(line, start.at..end.at));
                start = *end;
            }
        }
        columns += wide;
    }
    rows.push(row(line, start.at..line.len()));
    rows
}

fn row(line: &str, bytes: Range<usize>) -> String {
    line.get(bytes).unwrap_or_default().trim_end().to_owned()
}

/// A place in a line, by the bytes and the columns before it.
#[derive(Clone, Copy, Default)]
struct Place {
    at: usize,
    columns: usize,
}

/// How well a row may end at some place.
#[derive(Clone, Copy)]
enum RowEnd {
    /// Lines end here in print.
    Allowed,
    /// Inside a word, but not between a letter and its full stop or quote.
    InWord,
    /// Anywhere else between two graphemes.
    Last,
}

impl RowEnd {
    const KINDS: usize = 3;
}

/// The graphemes of a line, each with its first byte and with how well a row may end before it. No
/// row begins with a blank.
fn breakable(line: &str) -> impl Iterator<Item = (usize, &str, Option<RowEnd>)> {
    let mut allowed = linebreaks(line).map(|(at, _)| at).peekable();
    let mut graphemes = line.grapheme_indices(true).peekable();
    let mut before = BreakClass::Space;
    // Whether nothing but hyphens and slashes came since the last blank.
    let mut is_prefix = false;
    core::iter::from_fn(move || {
        let (at, grapheme) = graphemes.next()?;
        let class = class_of(grapheme);
        // The algorithm goes by characters, and may break between those of one grapheme.
        while allowed.next_if(|allowed| *allowed < at).is_some() {}
        let is_allowed = allowed.peek() == Some(&at);
        let next = graphemes.peek().map_or(BreakClass::Space, |(_, next)| class_of(next));
        // It keeps " /" and " ." with the word before them. Here they mostly begin a word of their
        // own, as in "/retry" or "--wait", which stays whole.
        let begins_word = before == BreakClass::Space
            && matches!(class, BreakClass::Symbol | BreakClass::InfixSeparator)
            && next != BreakClass::Space
            && !is_closing(next);
        let end = if class == BreakClass::Space {
            None
        } else if begins_word || (is_allowed && !is_prefix) {
            Some(RowEnd::Allowed)
        } else if is_prefix || is_opening(before) || is_closing(class) {
            Some(RowEnd::Last)
        } else {
            Some(RowEnd::InWord)
        };
        is_prefix = matches!(class, BreakClass::Symbol | BreakClass::Hyphen)
            && (is_prefix || before == BreakClass::Space);
        before = class;
        Some((at, grapheme, end))
    })
}

/// The class of a grapheme in UAX #14; all blanks at which a row may end are `Space`.
fn class_of(grapheme: &str) -> BreakClass {
    let mut characters = grapheme.chars();
    let Some(first) = characters.next() else { return BreakClass::Space };
    let is_marked = characters.next().is_some();
    let class = break_property(u32::from(first));
    let is_blank = first.is_whitespace() && matches!(class, BreakClass::Space | BreakClass::After);
    match (is_blank, is_marked) {
        (false, _) => class,
        (true, false) => BreakClass::Space,
        // An accent makes a blank visible.
        (true, true) => BreakClass::Alphabetic,
    }
}

/// Whether a grapheme of this class stays with the one before it.
const fn is_closing(class: BreakClass) -> bool {
    matches!(
        class,
        BreakClass::CloseParenthesis
            | BreakClass::ClosePunctuation
            | BreakClass::Exclamation
            | BreakClass::InfixSeparator
            | BreakClass::Inseparable
            | BreakClass::NonStarter
            | BreakClass::Quotation
            | BreakClass::Symbol
    )
}

/// Whether a grapheme of this class stays with the one after it. A straight quote may be either.
const fn is_opening(class: BreakClass) -> bool {
    matches!(class, BreakClass::OpenPunctuation | BreakClass::Quotation)
}

/// Cuts text to `width` columns; a `~` at its end says so.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut columns = 0;
    for grapheme in text.graphemes(true) {
        columns += grapheme.width();
        if columns + 1 > width {
            break;
        }
        short.push_str(grapheme);
    }
    if width > 0 {
        short.push('~');
    }
    short
}

/// Cuts or fills text to exactly `width` columns.
pub(super) fn fit(text: &str, width: usize) -> String {
    let mut fitted = cut(text, width);
    let missing = width.saturating_sub(fitted.width());
    fitted.extend(core::iter::repeat_n(' ', missing));
    fitted
}

/// Cuts text to `width` columns so that the first of the wanted words is in view, if it is there; a
/// `~` says where something was left out.
pub(super) fn excerpt(text: &str, wanted: &str, width: usize) -> String {
    let word = wanted.split_whitespace().next().unwrap_or_default().to_lowercase();
    let at = text.grapheme_indices(true).map(|(at, _)| at).find(|at| {
        let rest = text.get(*at..).unwrap_or_default();
        let mut letters = rest.chars().flat_map(char::to_lowercase);
        word.chars().all(|wanted| letters.next() == Some(wanted))
    });
    let before = at.and_then(|at| text.get(..at)).unwrap_or_default();
    if before.width() + word.width() < width {
        return cut(text, width);
    }
    let mut hidden = 0;
    let mut columns = before.width();
    for grapheme in before.graphemes(true) {
        if columns <= width / 3 {
            break;
        }
        columns = columns.saturating_sub(grapheme.width());
        hidden += grapheme.len();
    }
    let rest = text.get(hidden..).unwrap_or_default();
    cut(&format!("~{rest}"), width)
}

/// A number with thin groups: `1 042`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_where_they_fit() {
        assert_eq!(wrap("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("incomprehensible", 6), ["incomp", "rehens", "ible"]);
    }

    #[test]
    fn a_full_stop_stays_with_its_word() {
        assert_eq!(wrap("see you at noon.", 15), ["see you at", "noon."]);
        assert_eq!(wrap("is it noon (yet)?!", 17), ["is it noon", "(yet)?!"]);
        assert_eq!(wrap("noon ... or later", 8), ["noon ...", "or later"]);
    }

    #[test]
    fn an_opening_quote_stays_with_what_it_opens() {
        assert_eq!(wrap("He said \"yes\" to it", 9), ["He said", "\"yes\" to", "it"]);
        assert_eq!(wrap("He said (yes) to it", 9), ["He said", "(yes) to", "it"]);
        assert_eq!(wrap("„ja“ «oui» “yes”", 6), ["„ja“", "«oui»", "“yes”"]);
    }

    #[test]
    fn a_word_that_is_broken_keeps_its_punctuation() {
        assert_eq!(wrap("incomprehensible.", 8), ["incompre", "hensibl", "e."]);
        assert_eq!(wrap("so \"incomprehensible\"", 8), ["so", "\"incompr", "ehensibl", "e\""]);
        assert_eq!(wrap("(((a)))", 2), ["((", "(a", "))", ")"]);
    }

    #[test]
    fn commands_and_flags_stay_whole_and_paths_break_behind_a_slash() {
        assert_eq!(wrap("no answer came. /retry", 16), ["no answer came.", "/retry"]);
        assert_eq!(wrap("leave --memory out", 8), ["leave", "--memory", "out"]);
        assert_eq!(wrap("look at ~/.local/share", 15), ["look at", "~/.local/share"]);
        assert_eq!(wrap("https://example.org/path", 20), ["https://example.org/", "path"]);
    }

    #[test]
    fn a_grapheme_is_never_halved_and_each_has_a_row_of_one_column() {
        let family = "👩\u{200d}👩\u{200d}👧\u{200d}👦";
        let flags = "🇩🇪🇫🇷";
        for width in 0..3 {
            assert_eq!(wrap(&format!("{family}{family}"), width), [family, family]);
            assert_eq!(wrap(flags, width), ["🇩🇪", "🇫🇷"]);
        }
        assert_eq!(wrap("ab c", 1), ["a", "b", "c"]);
        // The algorithm would break between these, which are one grapheme.
        assert_eq!(wrap("\u{600}日\u{600}日", 1), ["\u{600}日", "\u{600}日"]);
        assert_eq!(wrap("a \u{301}b", 1), ["a", " \u{301}", "b"]);
    }

    #[test]
    fn blanks_hang_over_the_end_of_a_row_and_begin_none() {
        assert_eq!(wrap("a      b", 3), ["a", "b"]);
        assert_eq!(wrap("  indented", 10), ["  indented"]);
        assert_eq!(wrap("         a", 3), ["", "a"]);
        assert_eq!(wrap("two  words  ", 9), ["two", "words"]);
        assert_eq!(wrap("100\u{a0}km away", 8), ["100\u{a0}km", "away"]);
        assert_eq!(wrap("", 8), [""]);
    }

    #[test]
    fn long_lines_of_anything_are_broken_in_one_pass() {
        // Were the time to grow with the square of the length, each of these would take minutes.
        for unit in
            ["a", " ", ".", "\"", "(", "\u{301}", "\u{202e}", "🇩🇪", "a.", "a /", "👩\u{200d}"]
        {
            let text = unit.repeat((1 << 18) / unit.len());
            for width in [1, 40] {
                let rows = wrap(&text, width);
                let kept: usize = rows.iter().map(|row| row.trim().len()).sum();
                assert!(kept <= text.len());
            }
        }
    }

    #[test]
    fn a_wide_character_is_never_halved() {
        assert_eq!(wrap("日本語", 3), ["日", "本", "語"]);
        assert_eq!(cut("日本語", 4), "日~");
        assert_eq!(fit("日本語", 5), "日本~");
        assert_eq!(fit("ab", 4), "ab  ");
    }

    #[test]
    fn an_excerpt_shows_the_first_word_that_was_searched_for() {
        let text = "the boat leaves from the old pier at noon, as every Friday";
        assert_eq!(excerpt(text, "boat", 20), "the boat leaves fro~");
        assert_eq!(excerpt(text, "NOON pier", 20), "~er at noon, as eve~");
        assert_eq!(excerpt(text, "nothing", 20), "the boat leaves fro~");
    }

    #[test]
    fn numbers_have_groups_of_three() {
        assert_eq!([0, 999, 1_042, 1_000_000].map(grouped), ["0", "999", "1 042", "1 000 000"]);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_never_wider_than_asked(
            text in "[a-zA-Z日 👩é]{0,80}",
            wanted in "[a-z日é ]{0,4}",
            width in 0_usize..30,
        ) {
            prop_assert!(excerpt(&text, &wanted, width).width() <= width);
        }

        #[test]
        fn rows_are_as_wide_as_asked_and_whole_graphemes_in_their_order(
            text in prop_oneof![
                "[a-z日 \n👩é.,\"(/-]{0,80}",
                "(\u{600}|\u{301}|\u{200d}|👩|👍🏽|🇩|ㅎ|한|नि|\u{a0}|\u{3000}|\u{2028}|[a .“]){0,80}",
                ".{0,80}",
            ],
            width in 0_usize..20,
        ) {
            let rows = wrap(&text, width);
            for row in &rows {
                let columns: usize = row.graphemes(true).map(UnicodeWidthStr::width).sum();
                prop_assert!(columns <= width.max(1) || row.graphemes(true).count() == 1, "{row:?}");
            }
            let seen = |text: &str| -> Vec<String> {
                let graphemes = text.graphemes(true).map(|grapheme| grapheme.trim().to_owned());
                graphemes.filter(|grapheme| !grapheme.is_empty()).collect()
            };
            let shown: Vec<String> = rows.iter().flat_map(|row| seen(row)).collect();
            prop_assert_eq!(shown, seen(&text));
        }

        #[test]
        fn punctuation_is_never_torn_off_where_a_row_could_end_elsewhere(
            text in "([(\"]{0,2}[a-z]{1,9}[.,!?)\"]{0,3} {1,2}){1,8}",
            width in 1_usize..20,
        ) {
            let rows = wrap(&text, width);
            for pair in rows.windows(2) {
                let [row, next] = pair else { continue };
                if next.starts_with(['.', ',', '!', '?', ')']) {
                    let begun = row.trim_start_matches(['(', '"']);
                    let torn = begun.chars().skip(1).any(char::is_alphabetic);
                    prop_assert!(!torn, "{next:?} begins a row of {rows:?}");
                }
                if row.ends_with('(') {
                    let torn = row.chars().any(char::is_alphabetic);
                    prop_assert!(!torn, "{row:?} ends a row of {rows:?}");
                }
            }
        }

        #[test]
        fn a_fitted_text_is_exactly_as_wide_as_asked(text in "[a-z日 👩]{0,40}", width in 0_usize..30) {
            prop_assert_eq!(fit(&text, width).width(), width);
        }
    }
}
