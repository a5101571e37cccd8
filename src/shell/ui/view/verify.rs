//! The pages on which one compares with a contact, and the text in the composer's place while a
//! contact is on hold.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::SasWord;
use crate::engine::event::SasHalf;
use crate::engine::id::ContactId;
use crate::engine::record::{HoldReason, Trust};

use super::super::composer::Composer;
use super::super::model::{CompareMethod, ContactChat, Mismatch, Model, Remedy, Verify, label};
use super::contacts::whole_key;
use super::overlay::{inner_width, open_box, page};
use super::qr::QrDrawing;
use super::theme::Theme;
use super::transcript::ViewState;
use super::wrap::{cut, fit, wrap};

/// Columns of a word: the longest of the list has 8 letters.
const WORD_COLUMNS: usize = 8;

/// Groups of digits on a row, where there is room: half of them.
const GROUPS: usize = 6;

/// From so many rows on there is room to say why.
const ROWS_FOR_ADVICE: u16 = 18;

/// Draws the page on which one compares.
pub(super) fn compare(model: &Model, verify: &Verify, frame: &mut Frame<'_>, area: Rect) {
    let Some(chat) = model.directory.chat(verify.contact) else { return };
    let name = label(&chat.contact.petname);
    match (verify.way, chat.contact.sas) {
        (CompareMethod::Words, Some(own)) => words(model, verify, (&name, own), frame, area),
        (CompareMethod::Code, _) => code(model, (&name, &chat.contact.safety_number), frame, area),
        // The session with the words may have ended while this page was open.
        (CompareMethod::Words | CompareMethod::Digits | CompareMethod::Sent, _) => {
            line(model, verify, chat, frame, area)
        }
    }
}

/// A page that is put together: its rows, and where the caret stands in it.
struct PageBuilder {
    rows: Vec<Line<'static>>,
    caret: (usize, usize),
    width: usize,
}

impl PageBuilder {
    const fn new(width: usize) -> Self {
        Self { rows: Vec::new(), caret: (0, 0), width }
    }

    fn say(&mut self, text: &str) {
        self.rows.extend(wrap(text, self.width).into_iter().map(Line::raw));
    }

    fn show_error(&mut self, error: Option<&String>, theme: Theme) {
        let Some(text) = error else { return };
        let rows = wrap(text, self.width).into_iter();
        self.rows.extend(rows.map(|row| Line::styled(row, theme.call())));
    }

    fn blank(&mut self) {
        self.rows.push(Line::raw(""));
    }

    fn draw(self, model: &Model, title: &str, frame: &mut Frame<'_>, area: Rect) {
        let inner = open_box(model, frame, area, (title, self.rows.len()));
        super::rows(frame, inner, self.rows);
        super::cursor(frame, inner, self.caret);
    }
}

/// One half is shown, the other is asked for.
fn words(
    model: &Model,
    verify: &Verify,
    (name, own): (&str, SasHalf),
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = Theme::new(&model.options);
    let has_room = area.height >= ROWS_FOR_ADVICE;
    let mut builder = PageBuilder::new(usize::from(inner_width(area)));
    if has_room {
        builder.say(
            "Do this over a channel you already trust: in person, or a call where you know the \
             voice. Not through this chat.",
        );
        builder.blank();
    }
    builder.say(&format!("Read these three words to {name}:"));
    let read = own.words.iter().map(SasWord::to_string).collect::<Vec<_>>().join("   ");
    builder.rows.push(Line::styled(format!("   {read}"), theme.strong()));
    builder.say(&format!("Type the three words {name} reads to you:"));
    let first = own.half.other().first_number();
    let mut spans = Vec::new();
    let mut column = 0;
    for (place, field) in verify.words.iter().enumerate() {
        let start = format!(" {}: ", first + place);
        let (typed, caret) = field_row(field, WORD_COLUMNS + 1);
        if place == verify.at {
            builder.caret = (column + start.len() + caret, builder.rows.len());
        }
        let typed = fit(&typed, WORD_COLUMNS);
        column += start.len() + WORD_COLUMNS;
        spans.push(Span::raw(start));
        let style = if place == verify.at { theme.marked() } else { theme.strong() };
        spans.push(Span::styled(typed, style));
    }
    builder.rows.push(Line::from(spans));
    builder.show_error(verify.error.as_ref(), theme);
    if has_room {
        builder.blank();
        builder.say(&format!(
            "All correct: {name} becomes [v] verified, on this computer only.\nOne wrong: sending \
             is paused, and you see what to do next."
        ));
        builder.blank();
        builder.say("F7 compare 60 digits   F8 show a QR code   F9 paste what they sent");
        builder.say("Esc goes back and changes nothing.");
    }
    builder.draw(model, &format!("Verify {name}"), frame, area);
}

/// The digits, or what was sent another way.
fn line(model: &Model, verify: &Verify, chat: ContactChat<'_>, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let name = label(&chat.contact.petname);
    let has_room = area.height >= ROWS_FOR_ADVICE;
    let mut builder = PageBuilder::new(usize::from(inner_width(area)));
    if verify.way == CompareMethod::Sent {
        builder.say(&format!(
            "Paste what {name} sent you over another channel that you trust: their three words, \
             or the 60 digits they see."
        ));
    } else {
        if has_room && chat.contact.sas.is_none() {
            builder.say("There are no words yet: they are available once a session is ready.");
            builder.blank();
        }
        if has_room {
            builder.say(&format!(
                "{name} sees the same digits, unless someone is intercepting your messages. \
                 Compare over a channel you already trust, not through this chat."
            ));
            builder.blank();
        }
        for row in digit_rows(&chat.contact.safety_number, builder.width) {
            builder.rows.push(Line::styled(row, theme.strong()));
        }
        builder.say(&format!("Type the digits {name} reads to you:"));
    }
    let (row, column) = field_row(&verify.line, builder.width.saturating_sub(2));
    builder.caret = (2 + column, builder.rows.len());
    builder.rows.push(Line::raw(format!("> {row}")));
    let found = verify.line.text().chars().filter(char::is_ascii_digit).count();
    match &verify.error {
        None if found > 0 => builder.say(&format!("{found} of 60")),
        error => builder.show_error(error.as_ref(), theme),
    }
    if has_room {
        builder.blank();
        builder.say("F7 60 digits   F8 show a QR code   F9 paste what they sent");
    }
    builder.draw(model, &format!("Verify {name}"), frame, area);
}

/// The row of a field in which the caret stands, and the column of the caret.
fn field_row(composer: &Composer, width: usize) -> (String, usize) {
    let layout = composer.layout(width);
    (layout.rows.get(layout.row).cloned().unwrap_or_default(), layout.column)
}

fn digit_rows(number: &SafetyNumber, width: usize) -> Vec<String> {
    let text = number.to_string();
    let groups: Vec<&str> = text.split(' ').collect();
    let rows = groups.chunks(GROUPS).map(|row| row.join(" "));
    rows.flat_map(|row| wrap(&row, width)).collect()
}

/// The digits as a code, for the contact's telephone.
fn code(model: &Model, (name, safety): (&str, &SafetyNumber), frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "Let {name} scan this with a phone: 60 digits, the same as on {name}'s own screen (F7), \
         unless someone is intercepting your messages. {name} can also paste them (F9).\n\n\
         i inverts a code that does not scan."
    );
    let title = format!("Safety number of you and {name}");
    with_code(model, (&title, &safety.digits(), &[]), &text, frame, area);
}

/// A page with a code: a title, rows at the left edge, the code, and beside it some text. Where the
/// code does not fit, it says how much is missing.
pub(super) fn with_code(
    model: &Model,
    (title, content, rows): (&str, &str, &[String]),
    text: &str,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let theme = Theme::new(&model.options);
    frame.render_widget(Clear, area);
    let mut above = vec![Line::styled(format!(" {title}"), theme.strong())];
    above.extend(rows.iter().map(|row| Line::raw(row.clone())));
    let used = u16::try_from(above.len()).unwrap_or(u16::MAX).min(area.height);
    super::rows(frame, area, above);
    super::cursor(frame, area, (0, 1));
    let under = Rect { y: area.y + used, height: area.height - used, ..area };
    let code = QrDrawing::new(content, &model.options, model.qr_polarity);
    let room = (usize::from(under.width), usize::from(under.height));
    let missing = code.as_ref().and_then(|code| missing(code, room));
    let (columns, note) = match (&code, missing) {
        (Some(code), None) => {
            super::rows(frame, under, code.lines());
            (code.columns(), None)
        }
        // A code that is cut does not scan, so none of it is drawn.
        (_, missing) => (0, missing),
    };
    let columns = u16::try_from(columns).unwrap_or(u16::MAX).min(under.width);
    let beside = Rect { x: under.x + columns, width: under.width - columns, ..under };
    let width = usize::from(beside.width).saturating_sub(2);
    let mut lines = vec![Line::raw("")];
    let note = note.into_iter().flat_map(|note| wrap(&note, width));
    lines.extend(note.map(|row| Line::styled(format!(" {row}"), theme.call())));
    lines.extend(wrap(text, width).into_iter().map(|row| Line::raw(format!(" {row}"))));
    super::rows(frame, beside, lines);
}

/// The columns and rows that a code lacks, for a person who can make the window larger.
fn missing(code: &QrDrawing, (columns, rows): (usize, usize)) -> Option<String> {
    let counted = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 more {one}")),
        more => Some(format!("{more} more {one}s")),
    };
    let parts: Vec<String> = [
        counted(code.columns().saturating_sub(columns), "column"),
        counted(code.rows().saturating_sub(rows), "row"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| format!("The QR code needs {}.", parts.join(" and ")))
}

/// The page about a comparison that failed, with its remedies.
pub(super) fn mismatch(model: &Model, mismatch: &Mismatch, frame: &mut Frame<'_>, area: Rect) {
    let Some(chat) = model.directory.chat(mismatch.contact) else { return };
    let theme = Theme::new(&model.options);
    let name = label(&chat.contact.petname);
    let mut builder = PageBuilder::new(usize::from(inner_width(area)));
    let has_room = area.height >= ROWS_FOR_ADVICE;
    match &mismatch.word {
        Some((number, typed)) => builder.say(&format!(
            "You typed word {number} as \"{typed}\". It does not match this session."
        )),
        None => builder.say("The digits do not match your two keys."),
    }
    if has_room {
        builder.blank();
        builder.say("Either you misheard it, or someone is intercepting your messages.");
    }
    builder.say(&format!("Sending to {name} is paused. Nothing you typed here was sent."));
    if has_room {
        builder.blank();
    }
    for (row, remedy) in mismatch.remedies().iter().enumerate() {
        let (what, note) = remedy_words(*remedy, mismatch.left);
        let text = if has_room { format!("{what:26}{note}") } else { what };
        let text = cut(&text, builder.width.saturating_sub(2));
        if row == mismatch.row {
            builder.caret = (0, builder.rows.len());
            builder.rows.push(Line::styled(format!("> {text}"), theme.marked()));
        } else {
            builder.rows.push(Line::raw(format!("  {text}")));
        }
    }
    if has_room {
        builder.blank();
        builder.say("Up/Down choose   Enter continue   Esc leave sending paused");
    }
    let title = match mismatch.word {
        Some(_) => "The words do not match",
        None => "The digits do not match",
    };
    builder.draw(model, title, frame, area);
}

/// A remedy in words, and a note on it where there is room.
fn remedy_words(remedy: Remedy, left: u8) -> (String, &'static str) {
    match (remedy, left) {
        (Remedy::Again, 0) => ("Compare the 60 digits".to_owned(), "the session was erased"),
        (Remedy::Again, 1) => ("Try again (1 try left)".to_owned(), "then the session is erased"),
        (Remedy::Again, left) => {
            (format!("Try again ({left} tries left)"), "then the session is erased")
        }
        (Remedy::Close, _) => {
            ("Erase this session".to_owned(), "a new one is set up, messages stay")
        }
        (Remedy::Keys, _) => ("Show both keys".to_owned(), "to compare them in another way"),
    }
}

/// Both keys, as fingerprints and whole.
pub(super) fn keys(
    model: &Model,
    state: &mut ViewState,
    contact: ContactId,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let Some(chat) = model.directory.chat(contact) else { return };
    let Some(own) = model.directory.identity(chat.contact.identity) else { return };
    let name = label(&chat.contact.petname);
    let text = format!(
        "Your key:\n{}\n{name}'s key, as this computer knows it:\n{}\n\n{name} sees the same two \
         keys, in the other order, unless someone is intercepting your messages.",
        whole_key(&own.key),
        whole_key(&chat.contact.key),
    );
    page(model, state, frame, area, (&format!("Your key and that of {name}"), &text));
}

/// The text in the place of the composer, in at most so many rows.
pub(super) fn held(
    chat: ContactChat<'_>,
    theme: Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let name = label(&chat.contact.petname);
    let waiting = match chat.unsent() {
        0 => String::new(),
        1 => " 1 message waits.".to_owned(),
        more => format!(" {more} messages wait."),
    };
    let why = match chat.contact.trust {
        Trust::OnHold { reason: HoldReason::KeyChanged { .. }, .. } => {
            "their key has changed: a new device, or an attacker."
        }
        Trust::OnHold { reason: HoldReason::Mismatch, .. }
        | Trust::Unverified
        | Trust::Verified { .. } => "the words or digits did not match.",
    };
    let keys = "v verify again  a accept unverified  or leave it paused";
    let long = format!("[!] Sending to {name} is paused: {why}{waiting}");
    let short = "[!] Sending paused. v verify  a accept".to_owned();
    let mut text = [wrap(&long, width), wrap(keys, width)].concat();
    // On few rows the reason gives way to the keys, which are the way on.
    if text.len() > rows {
        text = wrap(&short, width);
    }
    text.into_iter().map(|row| Line::styled(row, theme.call())).collect()
}
