//! Breaking and cutting text by columns, never inside a grapheme.
//!
//! It takes text that is clean already and draws nothing.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Breaks text into rows of at most `width` columns, at blanks where there are any.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrap_line(line, width.max(1))).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut columns = 0;
    for word in line.split_word_bounds() {
        let wide = word.width();
        if columns + wide <= width {
            row.push_str(word);
            columns += wide;
            continue;
        }
        if word.trim().is_empty() {
            // A blank where the row ends is the break itself.
            rows.push(core::mem::take(&mut row));
            columns = 0;
            continue;
        }
        if wide <= width {
            rows.push(row.trim_end().to_owned());
            row = word.to_owned();
            columns = wide;
            continue;
        }
        for grapheme in word.graphemes(true) {
            let wide = grapheme.width();
            if columns + wide > width && columns > 0 {
                rows.push(core::mem::take(&mut row));
                columns = 0;
            }
            row.push_str(grapheme);
            columns += wide;
        }
    }
    rows.push(row);
    rows
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
        fn no_row_is_wider_than_asked_and_no_letter_is_lost(
            text in "[a-z日 \n👩é]{0,80}",
            width in 2_usize..20,
        ) {
            let rows = wrap(&text, width);
            prop_assert!(rows.iter().all(|row| row.width() <= width));
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&rows.concat()), letters(&text));
        }

        #[test]
        fn a_fitted_text_is_exactly_as_wide_as_asked(text in "[a-z日 👩]{0,40}", width in 0_usize..30) {
            prop_assert_eq!(fit(&text, width).width(), width);
        }
    }
}
