//! Untrusted text, and the sanitizers of the sinks it may be shown in.
//!
//! Sanitizing happens where text leaves, once for each sink; the store keeps text as it was
//! written. Nothing is dropped in silence: a character that could move a cursor, hide or reverse
//! text becomes a visible mark, and [`Sanitized::changes`] counts how often. This module does not
//! judge content, nor tell letters that look alike apart from each other, beyond [`Scripts::Mixed`]
//! for names.

#[cfg(test)]
mod tests;

use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A string somebody else chose. It has no `Display`, no `Deref` and no `Into<String>`: the only
/// way out is through the sanitizer of a sink.
#[derive(Clone, PartialEq, Eq)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// Takes text as it came.
    #[must_use]
    pub const fn new(raw: String) -> Self {
        Self(raw)
    }

    /// Gives the text back as it came, for the store and for sending it again. Nothing a person or
    /// a terminal sees may come from here.
    #[must_use]
    pub fn into_raw(self) -> String {
        self.0
    }

    /// For a grid of cells: newlines stay, every grapheme is at least one column wide.
    #[must_use]
    pub fn sanitize_for_cell(&self) -> Sanitized {
        sanitize(&self.0, Sink::Cell)
    }

    /// For a sink of single lines: newlines show as `⏎`.
    #[must_use]
    pub fn sanitize_for_line(&self) -> Sanitized {
        sanitize(&self.0, Sink::Line)
    }

    /// For exports and pipes: newlines stay, and so do the selectors that colour an emoji.
    #[must_use]
    pub fn sanitize_for_text(&self) -> Sanitized {
        sanitize(&self.0, Sink::Text)
    }

    /// For a name: one line without blanks at its ends, at most [`MAX_LABEL_GRAPHEMES`] long, never
    /// empty, and in quotes if it could be taken for a mark or a word of the program.
    #[must_use]
    pub fn sanitize_for_label(&self) -> SanitizedLabel {
        let Sanitized { text, changes } = self.sanitize_for_line();
        let mut short: String = text.trim().graphemes(true).take(MAX_LABEL_GRAPHEMES).collect();
        short.truncate(short.trim_end().len());
        if short.is_empty() {
            short.push(BLANK);
        }
        let scripts = scripts_of(&short);
        let text = if looks_like_the_program(&short) { format!("\"{short}\"") } else { short };
        SanitizedLabel { text, changes, scripts }
    }
}

impl core::fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UntrustedText({} bytes)", self.0.len())
    }
}

/// Text that is safe in the sink it was sanitized for.
#[derive(Clone, PartialEq, Eq)]
pub struct Sanitized {
    /// The text.
    pub text: String,
    /// How many characters were made visible or left out. A person should be shown that.
    pub changes: usize,
}

impl core::fmt::Debug for Sanitized {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { text, changes } = self;
        write!(f, "Sanitized({} bytes, {changes} changes)", text.len())
    }
}

/// A name that is safe to show beside the program's own words.
#[derive(Clone, PartialEq, Eq)]
pub struct SanitizedLabel {
    /// The name.
    pub text: String,
    /// How many characters were made visible or left out.
    pub changes: usize,
    /// Whether its letters come from alphabets with letters that look alike.
    pub scripts: Scripts,
}

impl core::fmt::Debug for SanitizedLabel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { text, changes, scripts } = self;
        write!(f, "SanitizedLabel({} bytes, {changes} changes, {scripts:?})", text.len())
    }
}

/// The alphabets of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// At most one of Latin, Greek and Cyrillic.
    Plain,
    /// More than one of them: a letter may not be the one it looks like.
    Mixed,
}

/// A name as it is stored and looked for, so that names that look the same are the same. Letters with
/// marks are composed (Unicode Standard Annex 15, form C): one keyboard writes `é` as one character and
/// another as two. The selectors of text and emoji form, which telephones put behind a heart, are left
/// out, as in every grid.
#[must_use]
pub fn spelled_name(name: &str) -> String {
    let letters = name.chars().filter(|character| !is_honest(*character));
    ComposingNormalizerBorrowed::new_nfc().normalize_iter(letters).collect()
}

/// Most graphemes of a name that are shown: what a line of a small screen has room for.
pub const MAX_LABEL_GRAPHEMES: usize = 64;

/// Most combining marks that may follow one character: no living orthography needs more.
const MAX_MARKS: usize = 4;

/// Most bytes of one grapheme: the longest family emoji has 25.
const MAX_GRAPHEME_BYTES: usize = 32;

/// Most blank lines in a row: more would let one message push all others off the screen. A guess.
const MAX_BLANK_LINES: usize = 8;

/// Columns a tab is worth, wherever it stands.
const TAB: &str = "    ";

/// Stands for a character that cannot be seen, or must not be.
const BLANK: char = '\u{2423}';

/// Where sanitized text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sink {
    Cell,
    Line,
    Text,
}

fn sanitize(raw: &str, sink: Sink) -> Sanitized {
    let mut changes = 0;
    let mapped = map_characters(raw, sink, &mut changes);
    let sized = limit_graphemes(&mapped, &mut changes);
    let text = match sink {
        Sink::Line => sized,
        Sink::Cell | Sink::Text => limit_blank_lines(&sized, &mut changes),
    };
    Sanitized { text, changes }
}

/// Replaces each character that acts instead of being seen.
fn map_characters(raw: &str, sink: Sink, changes: &mut usize) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut before = CharContext::default();
    let mut rest = raw.chars().peekable();
    while let Some(character) = rest.next() {
        let next = rest.peek().copied();
        // A Windows line end is one line end. A lone carriage return would let text overwrite its
        // own line.
        if character == '\r' && next == Some('\n') {
            continue;
        }
        let action = action(character, &before, next, sink);
        match action {
            CharAction::Keep => text.push(character),
            CharAction::Tab => text.push_str(TAB),
            CharAction::Newline => text.push(if sink == Sink::Line { '⏎' } else { '\n' }),
            CharAction::Drop => {}
            CharAction::Picture(picture) => text.push(picture),
            CharAction::Code => text.push_str(&format!("‹{:02X}›", u32::from(character))),
        }
        if matches!(action, CharAction::Picture(_) | CharAction::Code)
            || action == CharAction::Drop && !is_honest(character)
        {
            *changes += 1;
        }
        before.step(character, action);
    }
    text
}

/// The characters so far, as far as they decide about the next one.
#[derive(Default)]
struct CharContext {
    /// The last character that is not a mark, a selector or a skin colour.
    base: Option<char>,
    /// The last character that was kept.
    last: Option<char>,
    /// How many marks have followed `base`.
    marks: usize,
}

impl CharContext {
    fn step(&mut self, character: char, action: CharAction) {
        match action {
            CharAction::Drop => {}
            CharAction::Keep if is_honest(character) => {}
            CharAction::Keep if is_mark(character) => {
                self.marks += 1;
                self.last = Some(character);
            }
            CharAction::Keep => {
                self.marks = 0;
                self.last = Some(character);
                if !is_skin_colour(character) {
                    self.base = Some(character);
                }
            }
            CharAction::Tab | CharAction::Newline | CharAction::Picture(_) | CharAction::Code => {
                *self = Self::default()
            }
        }
    }
}

/// The treatment of one character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CharAction {
    Keep,
    Tab,
    Newline,
    Drop,
    /// This one is shown in its place.
    Picture(char),
    /// Its number is shown in its place.
    Code,
}

fn action(character: char, before: &CharContext, next: Option<char>, sink: Sink) -> CharAction {
    match character {
        '\n' => return CharAction::Newline,
        '\t' => return CharAction::Tab,
        '\u{0}'..='\u{1F}' => return CharAction::Picture(control_picture(character)),
        '\u{7F}' => return CharAction::Picture('\u{2421}'),
        // Some terminals take these for the beginning of escape sequences.
        '\u{80}'..='\u{9F}' => return CharAction::Code,
        // Marks of direction: they can make a text read differently from its order, so its code is
        // shown.
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            return CharAction::Code;
        }
        // Letters and marks without a shape: text could be hidden or names made to look alike with
        // them.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' | '\u{34F}' | '\u{17B4}'
        | '\u{17B5}' => return CharAction::Picture(BLANK),
        '\u{FE0E}' | '\u{FE0F}' => return selector(before, sink),
        // Other variation selectors show nothing, and can carry hidden data.
        '\u{FE00}'..='\u{FE0D}' | '\u{E0100}'..='\u{E01EF}' => return CharAction::Picture(BLANK),
        '\u{200D}' => {
            // A joiner is honest between parts of one emoji alone.
            let joins = before.base.is_some_and(is_pictograph)
                && before.last.is_some_and(|last| is_pictograph(last) || is_skin_colour(last))
                && next.is_some_and(is_pictograph);
            return if joins { CharAction::Keep } else { CharAction::Picture(BLANK) };
        }
        '\u{200C}' => {
            // An invisible letter is shown as a blank, and nothing needs to be kept apart from
            // that.
            let seen = |next| is_mark(next) || next.width().is_some_and(|width| width > 0);
            let parts = before.last.is_some_and(wants_non_joiner)
                && next.is_some_and(|next| wants_non_joiner(next) && seen(next));
            return if parts { CharAction::Keep } else { CharAction::Picture(BLANK) };
        }
        _ => {}
    }
    by_category(character, before)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate; the rest is visible")]
fn by_category(character: char, before: &CharContext) -> CharAction {
    match character.general_category() {
        GeneralCategory::Format
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        | GeneralCategory::Unassigned
        | GeneralCategory::Control => CharAction::Picture(BLANK),
        GeneralCategory::NonspacingMark
        | GeneralCategory::EnclosingMark
        | GeneralCategory::SpacingMark
            if before.marks >= MAX_MARKS =>
        {
            CharAction::Drop
        }
        _ => CharAction::Keep,
    }
}

/// Terminals disagree about the width of what a selector follows, so a grid has none.
fn selector(before: &CharContext, sink: Sink) -> CharAction {
    let after_symbol = before.last.is_some_and(|last| is_pictograph(last) || is_keycap(last));
    if sink == Sink::Text && after_symbol { CharAction::Keep } else { CharAction::Drop }
}

/// The selectors of text and emoji form: with or without one, a person reads the same.
const fn is_honest(dropped: char) -> bool {
    matches!(dropped, '\u{FE0E}' | '\u{FE0F}')
}

fn control_picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or(BLANK)
}

fn is_mark(character: char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::NonspacingMark
            | GeneralCategory::EnclosingMark
            | GeneralCategory::SpacingMark
    )
}

const fn is_pictograph(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{23FF}' | '\u{2460}'..='\u{27BF}'
        | '\u{2900}'..='\u{2BFF}' | '\u{1F000}'..='\u{1F3FA}' | '\u{1F400}'..='\u{1FAFF}')
}

const fn is_skin_colour(character: char) -> bool {
    matches!(character, '\u{1F3FB}'..='\u{1F3FF}')
}

const fn is_keycap(character: char) -> bool {
    matches!(character, '0'..='9' | '#' | '*')
}

/// Letters and marks of Arabic and the Indic scripts, where U+200C is part of the spelling.
fn wants_non_joiner(character: char) -> bool {
    let script = matches!(character, '\u{620}'..='\u{77F}' | '\u{8A0}'..='\u{8E1}'
        | '\u{900}'..='\u{DFF}' | '\u{FB50}'..='\u{FDFB}' | '\u{FE70}'..='\u{FEFC}');
    script && (character.is_alphabetic() || is_mark(character))
}

/// Cuts graphemes that are too long to read, and shows invisible ones as blanks.
fn limit_graphemes(mapped: &str, changes: &mut usize) -> String {
    let mut text = String::with_capacity(mapped.len());
    for grapheme in mapped.graphemes(true) {
        if grapheme == "\n" {
            text.push('\n');
        } else if grapheme.width() == 0 {
            *changes += grapheme.chars().count();
            text.push(BLANK);
        } else if grapheme.len() > MAX_GRAPHEME_BYTES {
            *changes += 1;
            push_start(&mut text, grapheme);
        } else {
            text.push_str(grapheme);
        }
    }
    text
}

/// Adds as much of a grapheme as fits with [`BLANK`] behind it, which keeps the next character from
/// joining it.
fn push_start(text: &mut String, grapheme: &str) {
    let room = MAX_GRAPHEME_BYTES - BLANK.len_utf8();
    let mut length = 0;
    for character in grapheme.chars() {
        length += character.len_utf8();
        if length > room {
            break;
        }
        text.push(character);
    }
    // A joiner at the cut would join the blank.
    while text.ends_with('\u{200D}') {
        text.pop();
    }
    text.push(BLANK);
}

fn limit_blank_lines(sized: &str, changes: &mut usize) -> String {
    let mut text = String::with_capacity(sized.len());
    let mut blank = 0;
    for (index, line) in sized.split('\n').enumerate() {
        blank = if line.trim().is_empty() { blank + 1 } else { 0 };
        // Counted as a change, so that a person sees that something was left out.
        if blank > MAX_BLANK_LINES {
            *changes += 1;
            continue;
        }
        if index > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// Whether a name could be taken for the program's own output: a mark, its name, or a clock.
fn looks_like_the_program(name: &str) -> bool {
    const WORDS: [&str; 8] = ["me", "you", "undertone", "new", "[v]", "[?]", "[!]", "utc"];
    let lower = name.to_lowercase();
    let is_clock = lower.contains(':') && lower.chars().all(|c| c.is_ascii_digit() || c == ':');
    let is_marks = lower.chars().all(|c| !c.is_alphanumeric());
    WORDS.contains(&lower.as_str()) || is_clock || is_marks
}

fn scripts_of(name: &str) -> Scripts {
    let has = |of: fn(char) -> bool| usize::from(name.chars().any(of));
    let latin = has(|c| c.is_alphabetic() && matches!(c, 'A'..='z' | '\u{C0}'..='\u{24F}'));
    let greek = has(|c| c.is_alphabetic() && matches!(c, '\u{370}'..='\u{3FF}'));
    let cyrillic = has(|c| c.is_alphabetic() && matches!(c, '\u{400}'..='\u{52F}'));
    if latin + greek + cyrillic > 1 { Scripts::Mixed } else { Scripts::Plain }
}
