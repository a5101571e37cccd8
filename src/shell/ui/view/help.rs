//! Help, written from the tables of keys and commands, so that it cannot say what is not so.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::keys;
use super::super::model::Model;
use super::super::slash::COMMANDS;
use super::theme::{MARK_COLUMNS, Theme};
use super::transcript::ViewState;
use super::wrap::{cut, fit, wrap};
use crate::shell::api::words::MESSAGE_STATES;
use crate::shell::text::message_state;

/// Columns of a key, beside what it does.
const KEY_COLUMNS: usize = 19;

/// Draws the page, from the row its reader is at.
pub(super) fn draw(model: &Model, state: &mut ViewState, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let rows = page(theme, usize::from(area.width));
    super::read(frame, state, area, rows);
}

fn page(theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut rows = vec![Line::styled(" Marks of your messages", theme.strong())];
    for state in MESSAGE_STATES {
        let mark = fit(theme.mark(state), MARK_COLUMNS);
        rows.push(Line::raw(format!("  {mark}  {}", message_state::words(state))));
    }
    for context in keys::HELP_ORDER {
        rows.push(Line::raw(""));
        rows.push(Line::styled(format!(" {}", context.title()), theme.strong()));
        for (keys, does) in keys::help(context) {
            rows.extend(entry(&keys, does, width));
        }
    }
    rows.push(Line::raw(""));
    rows.push(Line::styled(" Commands; first letters are enough", theme.strong()));
    for command in &COMMANDS {
        let name = format!("/{} {}", command.name, command.takes);
        rows.extend(entry(name.trim_end(), command.does, width));
    }
    rows.extend(entry("//text", "send a line that starts with a slash", width));
    let several = "no command; asks before the message is sent";
    rows.extend(entry("/text, many lines", several, width));
    rows
}

fn entry(key: &str, does: &str, width: usize) -> Vec<Line<'static>> {
    let (first, mut rows) = if key.len() <= KEY_COLUMNS {
        (key, Vec::new())
    } else {
        ("", vec![Line::raw(cut(&format!("  {key}"), width))])
    };
    let starts = core::iter::once(first).chain(core::iter::repeat(""));
    let text = wrap(does, width.saturating_sub(KEY_COLUMNS + 3));
    let lines = starts.zip(text).map(|(start, row)| format!("  {} {row}", fit(start, KEY_COLUMNS)));
    rows.extend(lines.map(Line::raw));
    rows
}
