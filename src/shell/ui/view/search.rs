//! The results of a search: a row for each message, with the text around the words.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::engine::event::{Direction, MessageView};
use crate::engine::text::UntrustedText;

use super::super::model::{Model, Search, label};
use super::overlay::{inner_width, open_box};
use super::theme::Theme;
use super::wrap::{excerpt, fit};
use crate::shell::calendar::Civil;

/// Most rows of the list.
const RESULT_ROWS: usize = 16;

/// Columns of a name beside a result.
const NAME_COLUMNS: usize = 8;

/// Under this width the clock is left out.
const WIDE: usize = 56;

/// Draws the list so that the marked row is in view.
pub(super) fn found(model: &Model, search: &Search, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let width = usize::from(inner_width(area));
    let found = search.found.as_deref().unwrap_or_default();
    let last = match (&search.found, search.more) {
        (None, _) => "searching ..",
        (Some(found), false) if found.is_empty() => "nothing found",
        (Some(_), true) => "older results exist: add more words",
        (Some(_), false) => "",
    };
    let room = found.len().min(RESULT_ROWS).min(usize::from(area.height).saturating_sub(3));
    let first = (search.index + 1).saturating_sub(room);
    let shown = found.iter().enumerate().skip(first).take(room);
    let mut rows: Vec<_> = shown
        .map(|(index, message)| {
            let is_marked = index == search.index;
            let text = row(model, message, &search.words, width.saturating_sub(2));
            let arrow = if is_marked { ">" } else { " " };
            let style = if is_marked { theme.marked() } else { ratatui::style::Style::new() };
            Line::styled(fit(&format!("{arrow} {text}"), width), style)
        })
        .collect();
    let marked = search.index.saturating_sub(first);
    let zone = super::unsaid_zone(model, frame)
        .filter(|_| width.saturating_sub(2) >= WIDE && !found.is_empty());
    let zone = zone.map(|(name, _)| format!("times are in {name}"));
    let last: Vec<_> =
        zone.into_iter().chain([last.to_owned()]).filter(|said| !said.is_empty()).collect();
    rows.push(Line::styled(last.join("; "), theme.quiet()));
    let words = UntrustedText::new(search.words.clone()).sanitize_for_line().text;
    let title = fit(&format!("Results: {words}"), width.saturating_sub(2));
    let inner = open_box(model, frame, area, (title.trim_end(), rows.len()));
    super::rows(frame, inner, rows);
    super::cursor(frame, inner, (0, marked));
}

fn row(model: &Model, message: &MessageView, words: &str, width: usize) -> String {
    let at = Civil::at(message.at, &model.options.zone);
    let when = if width < WIDE { at.date() } else { format!("{} {}", at.date(), at.clock()) };
    let chat = model.directory.chat(message.contact);
    let name = chat.map(|chat| label(&chat.contact.petname)).unwrap_or_default();
    let who = match message.direction {
        Direction::Outgoing(_)
            if chat.is_some_and(|chat| model.navigation.open == Some(chat.id())) =>
        {
            "me".to_owned()
        }
        Direction::Outgoing(_) => format!("to {name}"),
        Direction::Incoming => name,
    };
    let start = format!("{when} {} ", fit(&who, NAME_COLUMNS));
    let room = width.saturating_sub(Line::raw(start.as_str()).width());
    // On one line: a text must not draw a row of its own among the results.
    let text = message.text.sanitize_for_line().text;
    format!("{start}{}", excerpt(&text, words, room))
}
