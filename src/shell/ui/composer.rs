//! The composer, in which text is written: one or several lines, edited by grapheme, bounded in
//! bytes.
//!
//! It holds what its user typed and pasted; it sends nothing, draws nothing and knows no width
//! until [`Composer::layout`] is asked for one.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::engine::text::UntrustedText;

use super::keys::EditAction;

/// Text with a caret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Composer {
    text: String,
    /// A byte offset into `text`, always between two graphemes.
    caret: usize,
    lines: LineMode,
    limit: usize,
    /// The text that was erased last by word or line.
    erased: String,
}

/// How many lines a composer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineMode {
    One,
    Many,
}

/// The text would be longer than its bound; nothing was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ComposerFull;

/// Whether the caret could move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaretMove {
    Yes,
    /// It is on the first or last line already.
    Edge,
}

/// The text as rows of a given width.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ComposerLayout {
    /// At least one, each at most as wide as asked, clean for a grid.
    pub(super) rows: Vec<String>,
    /// Row of the caret.
    pub(super) row: usize,
    /// Columns before the caret.
    pub(super) column: usize,
}

impl Composer {
    /// An empty one that takes up to `limit` bytes.
    pub(super) const fn new(lines: LineMode, limit: usize) -> Self {
        Self { text: String::new(), caret: 0, lines, limit, erased: String::new() }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many bytes still fit.
    pub(super) const fn room(&self) -> usize {
        self.limit.saturating_sub(self.text.len())
    }

    /// Takes a typed character; what could act on a terminal is not taken.
    pub(super) fn insert_char(&mut self, character: char) -> Result<(), ComposerFull> {
        // A paste that a terminal types letter by letter may contain such characters.
        if character.is_control() || is_bidi(character) {
            return Ok(());
        }
        self.insert_raw(character.encode_utf8(&mut [0; 4]))
    }

    /// Takes a paste: line ends become newlines, the rest is cleaned as if a stranger had sent it.
    pub(super) fn paste(&mut self, pasted: &str) -> Result<(), ComposerFull> {
        // Terminals paste line ends as carriage returns.
        let unix = pasted.replace("\r\n", "\n").replace('\r', "\n");
        let text = UntrustedText::new(unix);
        let clean = match self.lines {
            LineMode::Many => text.sanitize_for_text().text,
            // A copied invite often has a line end or blanks around it.
            LineMode::One => text.sanitize_for_text().text.trim().replace('\n', " "),
        };
        self.insert_raw(&clean)
    }

    /// Starts a line, if there may be several.
    pub(super) fn newline(&mut self) -> Result<(), ComposerFull> {
        match self.lines {
            LineMode::One => Ok(()),
            LineMode::Many => self.insert_raw("\n"),
        }
    }

    fn insert_raw(&mut self, text: &str) -> Result<(), ComposerFull> {
        // All or nothing: half of a pasted text would be sent without anybody noticing.
        if text.len() > self.room() {
            return Err(ComposerFull);
        }
        self.text.insert_str(self.caret, text);
        self.settle(self.caret + text.len());
        Ok(())
    }

    /// Puts the caret at `wanted`, or behind the grapheme that `wanted` is inside of: text that
    /// arrives in pieces may join what stands beside it.
    fn settle(&mut self, wanted: usize) {
        self.caret = self
            .text
            .grapheme_indices(true)
            .map(|(start, _)| start)
            .find(|start| *start >= wanted)
            .unwrap_or(self.text.len());
    }

    /// Replaces everything; the caret stands behind it. Longer text is cut.
    pub(super) fn replace(&mut self, text: &str) {
        self.text = text
            .graphemes(true)
            .scan(0, |length, grapheme| {
                *length += grapheme.len();
                (*length <= self.limit).then_some(grapheme)
            })
            .collect();
        self.caret = self.text.len();
    }

    /// Puts a text on lines of its own in front of what is here, if it fits; the caret stays where it
    /// is in that.
    pub(super) fn put_in_front(&mut self, text: &str) {
        if !text.is_empty() && text.len() < self.room() {
            self.text.insert_str(0, &format!("{text}\n"));
            self.caret += text.len() + 1;
        }
    }

    /// Hands the text over and is empty after.
    pub(super) fn take(&mut self) -> String {
        self.caret = 0;
        core::mem::take(&mut self.text)
    }

    /// Changes the text or moves the caret.
    pub(super) fn edit(&mut self, edit: EditAction) -> Result<(), ComposerFull> {
        match edit {
            EditAction::Newline => return self.newline(),
            EditAction::PutBack => return self.put_back(),
            EditAction::Left => self.caret = self.previous(),
            EditAction::Right => self.caret = self.next(),
            EditAction::WordLeft => self.settle(self.word_start()),
            EditAction::WordRight => self.settle(self.word_end()),
            EditAction::LineStart => self.caret = self.line_start(),
            EditAction::LineEnd => self.caret = self.line_end(),
            // A single letter is not worth putting back; a word or a line is.
            EditAction::EraseBack => drop(self.erase(self.previous(), self.caret)),
            EditAction::EraseForward => drop(self.erase(self.caret, self.next())),
            EditAction::EraseWord => self.erased = self.erase(self.word_start(), self.caret),
            EditAction::EraseToStart => self.erased = self.erase(self.line_start(), self.caret),
            EditAction::EraseToEnd => self.erased = self.erase(self.caret, self.line_end()),
        }
        Ok(())
    }

    fn before(&self) -> &str {
        self.text.get(..self.caret).unwrap_or_default()
    }

    fn after(&self) -> &str {
        self.text.get(self.caret..).unwrap_or_default()
    }

    fn previous(&self) -> usize {
        self.caret - self.before().graphemes(true).next_back().map_or(0, str::len)
    }

    fn next(&self) -> usize {
        self.caret + self.after().graphemes(true).next().map_or(0, str::len)
    }

    fn line_start(&self) -> usize {
        self.before().rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self) -> usize {
        self.after().find('\n').map_or(self.text.len(), |newline| self.caret + newline)
    }

    fn word_start(&self) -> usize {
        let trimmed = self.before().trim_end();
        trimmed
            .char_indices()
            .rev()
            .find(|(_, character)| character.is_whitespace())
            .map_or(0, |(index, character)| index + character.len_utf8())
    }

    fn word_end(&self) -> usize {
        let after = self.after();
        let blank = after.len() - after.trim_start().len();
        let word = after.trim_start().find(char::is_whitespace);
        word.map_or(self.text.len(), |word| self.caret + blank + word)
    }

    /// Moves a written line up, keeping the column by graphemes.
    pub(super) fn up(&mut self) -> CaretMove {
        let start = self.line_start();
        if start == 0 {
            return CaretMove::Edge;
        }
        let column = self.column();
        self.caret = start - 1;
        self.caret = self.line_start();
        self.go_to_column(column);
        CaretMove::Yes
    }

    /// Moves a written line down, keeping the column by graphemes.
    pub(super) fn down(&mut self) -> CaretMove {
        let end = self.line_end();
        if end == self.text.len() {
            return CaretMove::Edge;
        }
        let column = self.column();
        self.caret = end + 1;
        self.go_to_column(column);
        CaretMove::Yes
    }

    fn column(&self) -> usize {
        self.text.get(self.line_start()..self.caret).unwrap_or_default().graphemes(true).count()
    }

    fn go_to_column(&mut self, column: usize) {
        let line = self.text.get(self.caret..self.line_end()).unwrap_or_default();
        self.caret += line.graphemes(true).take(column).map(str::len).sum::<usize>();
    }

    /// Puts back the text that was erased last by word or line.
    fn put_back(&mut self) -> Result<(), ComposerFull> {
        let erased = self.erased.clone();
        self.insert_raw(&erased)
    }

    fn erase(&mut self, from: usize, to: usize) -> String {
        let erased = self.text.drain(from..to).collect();
        self.settle(from);
        erased
    }

    /// Breaks the text into rows of at most `width` columns.
    pub(super) fn layout(&self, width: usize) -> ComposerLayout {
        let mut layout = ComposerLayout { rows: vec![String::new()], row: 0, column: 0 };
        let width = width.max(1);
        let mut columns = 0;
        for (start, grapheme) in self.text.grapheme_indices(true) {
            let shown = if grapheme == "\n" { String::new() } else { on_grid(grapheme) };
            // A grapheme that is wider than the row stands alone in one.
            if columns + shown.width() > width && columns > 0 {
                layout.rows.push(String::new());
                columns = 0;
            }
            if start == self.caret {
                (layout.row, layout.column) = (layout.rows.len() - 1, columns);
            }
            if grapheme == "\n" {
                layout.rows.push(String::new());
                columns = 0;
                continue;
            }
            columns += shown.width();
            if let Some(row) = layout.rows.last_mut() {
                row.push_str(&shown);
            }
        }
        if self.caret == self.text.len() {
            // Behind a full row the caret stands where the next letter goes.
            if columns >= width {
                layout.rows.push(String::new());
                columns = 0;
            }
            (layout.row, layout.column) = (layout.rows.len() - 1, columns);
        }
        layout
    }
}

impl core::fmt::Debug for Composer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Composer({} bytes)", self.text.len())
    }
}

fn on_grid(grapheme: &str) -> String {
    UntrustedText::new(grapheme.to_owned()).sanitize_for_cell().text
}

const fn is_bidi(character: char) -> bool {
    matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Composer {
        let mut composer = Composer::new(LineMode::Many, 1_000);
        composer.replace(text);
        composer
    }

    #[test]
    fn what_is_written_is_not_printed() {
        assert_eq!(format!("{:?}", written("good morning")), "Composer(12 bytes)");
    }

    #[test]
    fn one_backspace_erases_a_whole_family_and_a_whole_flag() {
        let mut composer = written("a👨\u{200d}👩\u{200d}👧🇺🇦");
        assert_eq!(composer.edit(EditAction::EraseBack), Ok(()));
        assert_eq!(composer.text(), "a👨\u{200d}👩\u{200d}👧");
        assert_eq!(composer.edit(EditAction::EraseBack), Ok(()));
        assert_eq!(composer.text(), "a");
    }

    #[test]
    fn a_paste_from_tmux_keeps_its_lines_and_loses_its_escapes() {
        let mut composer = Composer::new(LineMode::Many, 1_000);
        assert_eq!(composer.paste("one\rtwo\r\nthree\u{1b}[31m"), Ok(()));
        assert_eq!(composer.text(), "one\ntwo\nthree␛[31m");
    }

    #[test]
    fn a_field_of_one_line_stays_one_line() {
        let mut field = Composer::new(LineMode::One, 1_000);
        assert_eq!(field.paste(" UNDERTONE1QP\nZRY \n"), Ok(()));
        assert_eq!(field.newline(), Ok(()));
        assert_eq!(field.text(), "UNDERTONE1QP ZRY");
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut composer = Composer::new(LineMode::Many, 4);
        assert_eq!(composer.paste("12345"), Err(ComposerFull));
        assert!(composer.is_empty());
        assert_eq!(composer.paste("1234"), Ok(()));
        assert_eq!(composer.insert_char('5'), Err(ComposerFull));
        assert_eq!(composer.room(), 0);
    }

    #[test]
    fn words_and_lines_are_erased_and_put_back() {
        let mut composer = written("first line\nsecond line");
        assert_eq!(composer.edit(EditAction::EraseWord), Ok(()));
        assert_eq!(composer.text(), "first line\nsecond ");
        assert_eq!(composer.put_back(), Ok(()));
        assert_eq!(composer.edit(EditAction::EraseToStart), Ok(()));
        assert_eq!(composer.text(), "first line\n");
        assert_eq!(composer.edit(EditAction::Left), Ok(()));
        assert_eq!(composer.edit(EditAction::LineStart), Ok(()));
        assert_eq!(composer.edit(EditAction::EraseToEnd), Ok(()));
        assert_eq!(composer.text(), "\n");
    }

    #[test]
    fn up_and_down_keep_the_column_and_stop_at_the_edges() {
        let mut composer = written("abc\nd\nefg");
        assert_eq!(composer.edit(EditAction::Left), Ok(()));
        assert_eq!(composer.up(), CaretMove::Yes);
        assert_eq!(composer.up(), CaretMove::Yes);
        assert_eq!(composer.up(), CaretMove::Edge);
        assert_eq!(composer.insert_char('|'), Ok(()));
        assert_eq!(composer.text(), "a|bc\nd\nefg");
        assert_eq!(composer.down(), CaretMove::Yes);
        assert_eq!(composer.down(), CaretMove::Yes);
        assert_eq!(composer.down(), CaretMove::Edge);
    }

    #[test]
    fn a_full_row_pushes_the_caret_to_the_next_one() {
        let layout = written("日本語ab").layout(4);
        assert_eq!(layout.rows, ["日本", "語ab", ""]);
        assert_eq!((layout.row, layout.column), (2, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Type(char),
        Paste(String),
        Edit(EditAction),
        Up,
        Down,
    }

    const EDITS: [EditAction; 13] = [
        EditAction::Newline,
        EditAction::Left,
        EditAction::Right,
        EditAction::WordLeft,
        EditAction::WordRight,
        EditAction::LineStart,
        EditAction::LineEnd,
        EditAction::EraseBack,
        EditAction::EraseForward,
        EditAction::EraseWord,
        EditAction::EraseToStart,
        EditAction::EraseToEnd,
        EditAction::PutBack,
    ];

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop_oneof![
                any::<char>(),
                prop::sample::select(vec!['🇺', '\u{301}', '\u{200d}', '👩'])
            ]
            .prop_map(Step::Type),
            any::<String>().prop_map(Step::Paste),
            prop::sample::select(EDITS.to_vec()).prop_map(Step::Edit),
            Just(Step::Up),
            Just(Step::Down),
        ]
    }

    proptest! {
        #[test]
        fn no_editing_splits_a_grapheme_or_passes_the_bound(
            steps in prop::collection::vec(any_step(), 0..60),
            width in 1_usize..30,
        ) {
            let mut composer = Composer::new(LineMode::Many, 120);
            for step in steps {
                match step {
                    Step::Type(character) => drop(composer.insert_char(character)),
                    Step::Paste(text) => drop(composer.paste(&text)),
                    Step::Edit(edit) => drop(composer.edit(edit)),
                    Step::Up => drop(composer.up()),
                    Step::Down => drop(composer.down()),
                }
                prop_assert!(composer.text.len() <= 120);
                let boundary = composer.caret == composer.text.len()
                    || composer.text.grapheme_indices(true).any(|(at, _)| at == composer.caret);
                prop_assert!(boundary);
                let layout = composer.layout(width);
                prop_assert!(layout.row < layout.rows.len());
                prop_assert!(!layout.rows.iter().any(|row| row.contains(char::is_control)));
            }
        }
    }
}
