//! The messages of a conversation as rows, and the place of its reader among them.
//!
//! Peer text starts behind a gutter that belongs to the program, and so do its wrapped rows: nobody
//! can draw a mark, a name or a clock at the left edge. Days and the line above what is new are not
//! messages and cannot be chosen.

use std::collections::BTreeMap;

use ratatui::text::{Line, Span};

use crate::engine::event::{Direction, MessageView, WaitsFor};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::record::MessageState;

use super::super::keys::{ScrollAction, UiPage};
use super::super::model::{Chat, ContactChat, MINING_STEP_SECONDS, Model, ScrollPosition, label};
use super::message_details::by_clocks;
use super::theme::{MARK_COLUMNS, Theme};
use super::wrap::{fit, wrap};
use crate::shell::calendar::Civil;
use crate::shell::text::lifetime::{WorkCost, span};
use crate::shell::text::message_state;
use crate::shell::text::price::PriceHold;

/// Columns of a name beside its messages.
const NAME_COLUMNS: usize = 8;

/// Columns before the clock: where the chosen message is marked, the mark, and a blank.
const GUTTER_COLUMNS: usize = MARK_COLUMNS + 2;

/// Columns before a line of the program.
const NOTE_COLUMNS: usize = 3;

/// Under this width a name stands above its message.
const WIDE: usize = 52;

/// The places of readers, and the findings of the last drawing. Outside the model: they are a
/// matter of rows and columns.
#[derive(Debug, Default)]
pub struct ViewState {
    anchors: BTreeMap<ContactId, ScrollAnchor>,
    /// Columns and rows of the transcript when it was drawn last.
    pub(super) size: (usize, usize),
    /// First row of a page to read.
    page_top: usize,
    page_rows: usize,
    /// The page that was drawn last.
    page_place: Option<(UiPage, InFront)>,
    pub(super) scroll_position: Option<ScrollPosition>,
    /// Whether the last drawing had room only to say that it had none.
    pub(super) is_too_small: bool,
}

/// Whether an overlay stands in front of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFront {
    Nothing,
    Overlay,
}

/// The last row in view: `below` rows of this message are under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScrollAnchor {
    message: MessageId,
    below: usize,
}

/// A transcript made ready to draw.
pub(super) struct TranscriptRows {
    pub(super) rows: Vec<Line<'static>>,
    /// How many messages are under the last row.
    pub(super) newer: usize,
    pub(super) scroll_position: ScrollPosition,
}

impl ViewState {
    /// The part of the open chat that the last drawing showed.
    #[must_use]
    pub fn scroll_position(&self) -> ScrollPosition {
        self.scroll_position.unwrap_or(ScrollPosition::Elsewhere)
    }

    /// Whether the last drawing showed the question that waits, if one does.
    #[must_use]
    pub const fn shows_questions(&self) -> bool {
        !self.is_too_small
    }

    /// Moves what is in view.
    pub fn scroll(&mut self, model: &Model, scroll: ScrollAction) {
        // Two rows stay in view, so that a reader finds the place again.
        let page = self.page_rows.saturating_sub(2).max(1);
        match scroll {
            ScrollAction::Up => self.page_top = self.page_top.saturating_sub(page),
            ScrollAction::Down => self.page_top += page,
            ScrollAction::Newest => {}
        }
        if self.page_place != Some((UiPage::Chats, InFront::Nothing)) {
            return;
        }
        let Some(chat) = model.current() else { return };
        let (width, height) = self.size;
        let layout = TranscriptLayout { model, chat, width };
        let step = height.saturating_sub(2).max(1);
        let place = self.place(&chat);
        let moved = match scroll {
            ScrollAction::Up => layout.bounded(layout.up(place, step), height),
            ScrollAction::Down => layout.down(place, step),
            ScrollAction::Newest => layout.end(),
        };
        self.stand(&chat, &layout, moved);
    }

    /// Begins to draw a page: another one than before is read from its first row on.
    pub(super) fn turn_to(&mut self, place: (UiPage, InFront)) {
        if self.page_place != Some(place) {
            self.page_top = 0;
            self.page_place = Some(place);
        }
    }

    /// The rows of a page to read that are in view, at most `height` of them, and how many are below.
    pub(super) fn in_view(
        &mut self,
        rows: Vec<Line<'static>>,
        height: usize,
    ) -> (Vec<Line<'static>>, usize) {
        self.page_rows = height;
        let most = rows.len().saturating_sub(height);
        // The page may have been scrolled in a smaller window.
        self.page_top = self.page_top.min(most);
        let below = most - self.page_top;
        (rows.into_iter().skip(self.page_top).take(height).collect(), below)
    }

    fn place(&self, chat: &Chat) -> RowPosition {
        let last = chat.messages.len().saturating_sub(1);
        let newest = RowPosition { index: last, below: 0 };
        let Some(anchor) = self.anchors.get(&chat.id()) else { return newest };
        chat.messages
            .iter()
            .rposition(|message| message.id == anchor.message)
            // A message that is no longer held has no place: back to the newest.
            .map_or(newest, |index| RowPosition { index, below: anchor.below })
    }

    fn stand(&mut self, chat: &Chat, layout: &TranscriptLayout<'_>, place: RowPosition) {
        match chat.messages.get(place.index) {
            // Anywhere but at the end the place is held while messages arrive: moving it would take
            // the text from under its reader's eyes.
            Some(message) if place != layout.end() => {
                let anchor = ScrollAnchor { message: message.id, below: place.below };
                self.anchors.insert(chat.id(), anchor);
            }
            // At the end there is nothing to hold, and new messages come into view.
            Some(_) | None => {
                self.anchors.remove(&chat.id());
            }
        }
    }

    /// The rows to draw, at most `height` of them.
    pub(super) fn transcript(
        &mut self,
        model: &Model,
        chat: ContactChat<'_>,
        width: usize,
        height: usize,
    ) -> TranscriptRows {
        self.size = (width, height);
        self.page_rows = height;
        let layout = TranscriptLayout { model, chat, width };
        let mut place = layout.clamped(self.place(&chat));
        // Keys act on the chosen message, so it is in view: nobody cancels one that they do not
        // see.
        if let Some(chosen) = chat.chosen {
            place = layout.showing(place, chosen, height);
        }
        place = layout.bounded(place, height);
        self.stand(&chat, &layout, place);
        let (rows, reached_oldest) = layout.rows(place, height);
        let at_newest = place == layout.end();
        let scroll_position = match (reached_oldest, at_newest) {
            (true, true) => ScrollPosition::Whole,
            (true, false) => ScrollPosition::Oldest,
            (false, true) => ScrollPosition::Newest,
            (false, false) => ScrollPosition::Middle,
        };
        let newer = chat.messages.len().saturating_sub(place.index + 1);
        TranscriptRows { rows, newer, scroll_position }
    }
}

/// The last row in view, by the index of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowPosition {
    index: usize,
    below: usize,
}

struct TranscriptLayout<'a> {
    model: &'a Model,
    chat: ContactChat<'a>,
    width: usize,
}

impl TranscriptLayout<'_> {
    fn end(&self) -> RowPosition {
        RowPosition { index: self.chat.messages.len().saturating_sub(1), below: 0 }
    }

    fn height(&self, index: usize) -> usize {
        self.block(index).len()
    }

    /// A place whose message still has the rows it had.
    fn clamped(&self, place: RowPosition) -> RowPosition {
        let most = self.height(place.index).saturating_sub(1);
        RowPosition { below: place.below.min(most), ..place }
    }

    fn up(&self, mut place: RowPosition, mut rows: usize) -> RowPosition {
        loop {
            let height = self.height(place.index);
            if place.below + rows < height || place.index == 0 {
                place.below = (place.below + rows).min(height.saturating_sub(1));
                return place;
            }
            rows -= height.saturating_sub(place.below).min(rows);
            place = RowPosition { index: place.index - 1, below: 0 };
        }
    }

    fn down(&self, mut place: RowPosition, mut rows: usize) -> RowPosition {
        loop {
            if rows <= place.below {
                place.below -= rows;
                return place;
            }
            if place.index + 1 >= self.chat.messages.len() {
                return self.end();
            }
            rows -= place.below;
            place.index += 1;
            place.below = self.height(place.index);
        }
    }

    /// Not further up than fills the screen from the oldest message on.
    fn bounded(&self, place: RowPosition, height: usize) -> RowPosition {
        let (rows, _) = self.rows(place, height);
        self.down(place, height.saturating_sub(rows.len()))
    }

    /// A place from which the chosen message is in view.
    fn showing(&self, place: RowPosition, chosen: MessageId, height: usize) -> RowPosition {
        let Some(index) = self.chat.messages.iter().position(|message| message.id == chosen) else {
            return place;
        };
        if index >= place.index {
            let whole = RowPosition { index, below: 0 };
            return if index == place.index && place.below == 0 { place } else { whole };
        }
        let mut rows = self.height(place.index).saturating_sub(place.below);
        for between in (index..place.index).rev() {
            rows += self.height(between);
            if rows > height {
                // Above the first row: it becomes the last message of the screen's upper half.
                let wanted = self.height(index);
                let under = height.saturating_sub(wanted) / 2;
                return self.down(RowPosition { index, below: 0 }, under);
            }
        }
        place
    }

    /// Up to `height` rows that end at `place`, and whether the oldest one is among them.
    fn rows(&self, place: RowPosition, height: usize) -> (Vec<Line<'static>>, bool) {
        let mut blocks = Vec::new();
        let mut count = 0;
        let mut index = place.index;
        let mut hidden = place.below;
        loop {
            let mut block = self.block(index);
            block.truncate(block.len().saturating_sub(hidden));
            hidden = 0;
            count += block.len();
            blocks.push(block);
            if index == 0 || count > height {
                break;
            }
            index -= 1;
        }
        let mut rows: Vec<_> = blocks.into_iter().rev().flatten().collect();
        let excess = rows.len().saturating_sub(height);
        rows.drain(..excess);
        (rows, index == 0 && excess == 0)
    }

    /// The rows of one message, with the day and the line above what is new.
    fn block(&self, index: usize) -> Vec<Line<'static>> {
        let Some(message) = self.chat.messages.get(index) else { return Vec::new() };
        let theme = Theme::new(&self.model.options);
        let mut rows = Vec::new();
        let zone = &self.model.options.zone;
        let day = Civil::at(message.at, zone);
        let before = index.checked_sub(1).and_then(|index| self.chat.messages.get(index));
        if before.is_none_or(|before| Civil::at(before.at, zone).day() != day.day()) {
            rows.push(self.rule(&day.date(), theme));
        }
        if let Some(fresh) = self.chat.fresh.filter(|fresh| fresh.first == message.id) {
            rows.push(self.rule(&format!("{} new", fresh.count), theme));
        }
        if message.missing > 0 {
            let text = match message.missing {
                1 => "1 message before this one will never arrive".to_owned(),
                more => format!("{more} messages before this one will never arrive"),
            };
            rows.extend(self.note(&text, theme));
        }
        self.message(message, theme, &mut rows);
        if message.early {
            rows.extend(
                self.note("not confirmed yet: it arrived with their contact request", theme),
            );
        }
        if index + 1 == self.chat.messages.len()
            && let Some(text) = missing(self.chat)
        {
            rows.extend(self.note(&text, theme));
        }
        rows
    }

    fn rule(&self, text: &str, theme: Theme) -> Line<'static> {
        let start = format!("{0}{0} {text} ", theme.rule());
        let columns = Line::raw(start.as_str()).width();
        let rest = theme.rule().repeat(self.width.saturating_sub(columns));
        Line::styled(format!("{start}{rest}"), theme.quiet())
    }

    /// Lines of the program under or above a message.
    fn note(&self, text: &str, theme: Theme) -> Vec<Line<'static>> {
        let lines = wrap(text, self.width.saturating_sub(NOTE_COLUMNS));
        let lines = lines.into_iter().enumerate().map(|(number, line)| {
            let start = if number == 0 { theme.note() } else { " " };
            Line::styled(format!(" {start} {line}"), theme.quiet())
        });
        lines.collect()
    }

    fn message(&self, message: &MessageView, theme: Theme, rows: &mut Vec<Line<'static>>) {
        // By an arrow and reversed: without colours, and read aloud, the arrow says it.
        let is_chosen = self.chat.chosen == Some(message.id);
        let body = if is_chosen { theme.marked() } else { ratatui::style::Style::new() };
        let clock = Civil::at(message.at, &self.model.options.zone).clock();
        let (mark, mark_style, name) = match message.direction {
            Direction::Outgoing(state) => {
                (theme.mark(state), theme.mark_style(state), "me".to_owned())
            }
            // Our own name for the contact: its owner cannot make it look like the name of another.
            Direction::Incoming => ("", body, label(&self.chat.contact.petname)),
        };
        let cleaned = message.text.sanitize_for_cell();
        let head = [
            Span::styled(if is_chosen { ">" } else { " " }, body),
            Span::styled(fit(mark, MARK_COLUMNS), mark_style),
            Span::raw(" "),
        ];
        if self.width >= WIDE {
            let who = format!("{clock} {} ", fit(&name, NAME_COLUMNS));
            let indent = GUTTER_COLUMNS + clock.len() + NAME_COLUMNS + 2;
            let text = wrap(&cleaned.text, self.width.saturating_sub(indent));
            for (number, row) in text.into_iter().enumerate() {
                let mut spans = Vec::new();
                if number == 0 {
                    spans.extend(head.clone());
                    spans.push(Span::styled(who.clone(), theme.quiet()));
                } else {
                    spans.push(Span::raw(" ".repeat(indent)));
                }
                spans.push(Span::styled(row, body));
                rows.push(Line::from(spans));
            }
        } else {
            let mut spans = head.to_vec();
            let who = format!("{clock} {}", fit(&name, self.width.saturating_sub(10)).trim_end());
            spans.push(Span::styled(who, theme.quiet()));
            rows.push(Line::from(spans));
            for row in wrap(&cleaned.text, self.width.saturating_sub(4)) {
                rows.push(Line::from(vec![Span::raw("    "), Span::styled(row, body)]));
            }
        }
        // Said under the text, where no text can say it or deny it.
        if cleaned.changes > 0 {
            let marks = if cleaned.changes == 1 { "character" } else { "characters" };
            let text = format!("{} {marks} made visible or removed", cleaned.changes);
            rows.extend(self.note(&text, theme));
        }
        if let Some(text) = self.progress(message) {
            rows.extend(self.note(&text, theme));
        }
    }

    /// The note on a message of ours that is under way, or was not sent or acknowledged.
    fn progress(&self, message: &MessageView) -> Option<String> {
        let Direction::Outgoing(state) = message.direction else { return None };
        if let Some(hold) = self.model.node.holding_back(message, self.chat.contact) {
            return match hold.waits_for() {
                WaitsFor::Price => Some(self.waiting_for_price(hold, state)),
                WaitsFor::Turn => self.waiting_for_turn(hold, state),
                WaitsFor::Acknowledgement => {
                    Some("waits until earlier messages are acknowledged".to_owned())
                }
            };
        }
        match state {
            MessageState::Queued if !self.chat.is_ready() => {
                Some("waits until the session is ready".to_owned())
            }
            MessageState::Mining => Some(mining_brief(self.model, message.id)),
            MessageState::Failed => Some("it was not sent. /retry sends it again".to_owned()),
            MessageState::Unacknowledged if message.is_not_for_long(self.model.status.now) => {
                Some(format!("{}; it is sent again", message_state::NOT_FOR_LONG))
            }
            MessageState::Unacknowledged => {
                Some("no acknowledgement. /retry sends it again".to_owned())
            }
            MessageState::Sent
                if message_state::is_uncarried(message, state, by_clocks(self.model)) =>
            {
                Some(message_state::WRONG_CLOCK.to_owned())
            }
            MessageState::Queued
            | MessageState::Sent
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Cancelled => None,
        }
    }

    /// The note on a message for which the price is too high, shorter where there is less room.
    fn waiting_for_price(&self, hold: PriceHold, state: MessageState) -> String {
        let asked = hold.asked();
        let (now, most) = (asked.now().times(), asked.most().times());
        let (waits, brief) = match state {
            // The promise of its mark stands.
            MessageState::Sent => {
                ("a further copy waits for a lower price", "a further copy waits")
            }
            MessageState::Unacknowledged => {
                ("waits for a lower price to be sent again", "waits to be sent again")
            }
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => ("waits for a lower price", "waits"),
        };
        let frees = |words: &str| {
            let limit = hold.freeing_limit();
            limit.map(|limit| format!(". /work {} {words}", limit.times())).unwrap_or_default()
        };
        let long = format!("{waits}: {}{}", asked.excess(), frees("sends it now"));
        let brief =
            format!("{brief}: {now} times the usual work, {most} allowed{}", frees("sends it"));
        let room = self.width.saturating_sub(NOTE_COLUMNS);
        if long.len() <= room * 2 { long } else { brief }
    }

    /// The note on a message that waits its turn; none on one that is in the pool for its life.
    fn waiting_for_turn(&self, hold: PriceHold, state: MessageState) -> Option<String> {
        let next = hold.reason(self.model.status.now);
        match state {
            MessageState::Queued | MessageState::Mining => Some(format!("waits its turn: {next}")),
            MessageState::Unacknowledged => {
                Some(format!("waits its turn to be sent again: {next}. /retry sends it now"))
            }
            MessageState::Sent
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => None,
        }
    }
}

/// The note on messages of theirs that are missing and may still come.
pub(super) fn missing(chat: ContactChat<'_>) -> Option<String> {
    match chat.contact.missing {
        0 => None,
        1 => Some("1 message is missing; requested again".to_owned()),
        more => Some(format!("{more} messages are missing; requested again")),
    }
}

/// The work that is searched for, if any is.
fn mined(model: &Model) -> Option<WorkCost> {
    let network = model.node.network.as_ref()?;
    let mining = network.mining?;
    let rate = if mining.hashes_per_second > 0 { mining.hashes_per_second } else { network.rate };
    Some(WorkCost::of_tries(mining.tries, rate))
}

/// The time that the search for a message's work has taken, in steps, if that is known.
fn taken(model: &Model, message: MessageId) -> Option<String> {
    let (mined, since) = model.status.mining?;
    let seconds = model.status.now.0.saturating_sub(since.0);
    let steps = seconds / MINING_STEP_SECONDS * MINING_STEP_SECONDS;
    (mined == message && steps > 0).then(|| format!("{} so far", span(steps)))
}

/// The search for the work of a message, in one row.
fn mining_brief(model: &Model, message: MessageId) -> String {
    let about = mined(model).and_then(WorkCost::about).map(|about| format!(", {about}"));
    let taken = taken(model, message).map(|taken| format!(", {taken}"));
    format!("mining{}{}. /cancel", about.unwrap_or_default(), taken.unwrap_or_default())
}

/// The search for the work of a message, with all that is known of it.
pub(super) fn mining_words(model: &Model, message: Option<MessageId>) -> String {
    let expected = mined(model).map(|cost| format!(" {}", cost.expectation()));
    let taken = message.and_then(|message| taken(model, message));
    let taken = taken.map(|taken| format!("; {taken}"));
    format!("mining{}{}", expected.unwrap_or_default(), taken.unwrap_or_default())
}
