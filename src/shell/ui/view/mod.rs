//! Drawing: a model in, cells out. It changes nothing but the [`ViewState`], and decides nothing.

mod chat;
mod contacts;
mod help;
mod message_details;
mod network;
mod overlay;
mod qr;
mod search;
mod sidebar;
mod status_bar;
pub(in crate::shell) mod theme;
mod transcript;
pub(super) mod unlock;
mod verify;
mod wrap;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use theme::Theme;
use transcript::InFront;
pub use transcript::ViewState;

use super::keys::{self, UiPage};
use super::model::{Model, NodeLink, Overlay};
use crate::shell::calendar::{zone_clocks, zone_name};

/// Under so many columns or rows there is one honest line.
const SMALLEST: (u16, u16) = (40, 10);

/// From so many rows on there are a title and a hint line.
const ROWS_FOR_FRAME: u16 = 16;

/// From so many columns on there is a list beside the chat, and how wide it is.
const SIDEBARS: [(u16, u16); 2] = [(80, 25), (60, 18)];

/// Draws everything.
pub fn view(model: &Model, state: &mut ViewState, frame: &mut Frame<'_>) {
    // Until this drawing shows a message, none counts as seen.
    state.scroll_position = None;
    let area = frame.area();
    state.is_too_small = area.width < SMALLEST.0 || area.height < SMALLEST.1;
    if state.is_too_small {
        return too_small(model, frame);
    }
    let (title, body, hint) = split(area);
    if let Some(title) = title {
        status_bar::draw(model, frame, title);
    }
    let overlay = model.navigation.overlay.as_ref();
    let in_front = overlay.map_or(InFront::Nothing, |_| InFront::Overlay);
    state.turn_to((model.navigation.page, in_front));
    let mut composer = None;
    match model.navigation.page {
        UiPage::Chats if model.directory.has_no_identity() => overlay::welcome(model, frame, body),
        UiPage::Chats => composer = Some(chats(model, state, frame, body)),
        UiPage::Contacts => contacts::people(model, frame, body),
        UiPage::Identities => contacts::identities(model, frame, body),
        UiPage::Network => network::draw(model, state, frame, body),
        UiPage::Help => help::draw(model, state, frame, body),
    }
    overlay::draw(model, state, frame, body);
    if let Some(hint) = hint {
        line(frame, hint, status_bar::keys(model, hint.width));
    }
    if let Some(status) = status(model) {
        let theme = Theme::new(&model.options);
        say(frame, hint, composer.unwrap_or_else(|| bottom(body)), (&status, theme));
    }
}

/// The text of the hint line: a question first, then the end of the node, then the newest hint.
fn status(model: &Model) -> Option<String> {
    if let Some(Overlay::Confirm(confirm)) = &model.navigation.overlay {
        return Some(format!("y yes  n no: {}", confirm.question));
    }
    if model.node.link == NodeLink::Sought {
        return Some("the node stopped; looking for the next one".to_owned());
    }
    model.status.hint.as_ref().map(|(hint, _)| hint.clone())
}

/// Says something in the hint line if there is one and it fits, or else in as many rows as it takes
/// that end at `above`, so that what is being written stays in view.
fn say(frame: &mut Frame<'_>, hint: Option<Rect>, above: Rect, (text, theme): (&str, Theme)) {
    let fits = |area: &Rect| Line::raw(text).width() + 2 <= usize::from(area.width);
    // Over rows of the page rather than cut: nobody can answer half of a question.
    let end = hint.filter(fits).unwrap_or(above);
    let rows = wrap::wrap(text, usize::from(end.width).saturating_sub(2));
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    let y = end.bottom().saturating_sub(height).max(frame.area().y);
    let area = Rect { y, height: end.bottom().saturating_sub(y), ..end };
    let style = theme.call();
    let lines = rows.into_iter().map(|row| Line::styled(format!(" {row}"), style)).collect();
    frame.render_widget(ratatui::widgets::Clear, area);
    self::rows(frame, area, lines);
}

/// Gives the row above the composer.
fn chats(model: &Model, state: &mut ViewState, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let sidebar = SIDEBARS.iter().find(|(columns, _)| area.width >= *columns);
    let Some((_, wide)) = sidebar else { return chat::draw(model, state, frame, area) };
    let left = Rect { width: *wide, ..area };
    let right = Rect { x: area.x + wide, width: area.width - wide, ..area };
    sidebar::draw(model, frame, left);
    chat::draw(model, state, frame, right)
}

/// What the zone of the times on a page is called where there is no first row that says so.
fn unsaid_zone(model: &Model, frame: &Frame<'_>) -> Option<(String, String)> {
    let (now, zone) = (model.status.now, &model.options.zone);
    let is_unsaid = frame.area().height < ROWS_FOR_FRAME;
    is_unsaid.then(|| (zone_name(now, zone), zone_clocks(now, zone)))
}

fn split(area: Rect) -> (Option<Rect>, Rect, Option<Rect>) {
    // On few rows the messages and the composer are worth more than title and hints.
    if area.height < ROWS_FOR_FRAME {
        return (None, area, None);
    }
    let title = Rect { height: 1, ..area };
    let body = Rect { y: area.y + 1, height: area.height - 2, ..area };
    (Some(title), body, Some(bottom(area)))
}

/// The last row of an area.
fn bottom(area: Rect) -> Rect {
    Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area }
}

fn too_small(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let identities = model.directory.identities();
    let unread: u64 = identities.map(|identity| model.directory.unread_of(identity.id)).sum();
    let quit = keys::binding(keys::KeyContext::Everywhere, keys::KeyAction::Quit);
    let quit = quit.map(keys::KeyBinding::key).unwrap_or_default();
    let (columns, rows) = SMALLEST;
    let text = format!(
        "need {columns}x{rows}: the window has {}x{}\n{unread} unread. Nothing is lost.\n{quit} quits.",
        area.width, area.height
    );
    let rows: Vec<_> =
        wrap::wrap(&text, usize::from(area.width)).into_iter().map(Line::raw).collect();
    frame.render_widget(Paragraph::new(rows), area);
    cursor(frame, area, (0, 0));
}

/// Draws one row; what does not fit is cut.
fn line(frame: &mut Frame<'_>, area: Rect, line: Line<'static>) {
    frame.render_widget(ratatui::widgets::Clear, area);
    frame.render_widget(line, area);
}

/// Draws rows from the top; those that do not fit are left out.
fn rows(frame: &mut Frame<'_>, area: Rect, rows: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(rows), area);
}

/// A page to read, from the row its reader is at.
fn read(frame: &mut Frame<'_>, state: &mut ViewState, area: Rect, rows: Vec<Line<'static>>) {
    let (rows, below) = state.in_view(rows, usize::from(area.height));
    self::rows(frame, area, rows);
    // Elsewhere the last row names the keys.
    if frame.area().height < ROWS_FOR_FRAME {
        self::below(frame, bottom(area), below);
    }
    cursor(frame, area, (0, 0));
}

/// Says at the right end of a row that more is below.
fn below(frame: &mut Frame<'_>, row: Rect, below: usize) {
    if below > 0 {
        let text = format!(" {below} below  Down ");
        let columns = u16::try_from(text.len()).unwrap_or(0).min(row.width);
        let corner = Rect { x: row.right() - columns, width: columns, ..row };
        let style = Style::new().add_modifier(ratatui::style::Modifier::REVERSED);
        line(frame, corner, Line::styled(text, style));
    }
}

/// Puts the real cursor at a column and row of an area, or as near as the area allows.
fn cursor(frame: &mut Frame<'_>, area: Rect, (column, row): (usize, usize)) {
    let within = |offset: usize, size: u16| {
        u16::try_from(offset).unwrap_or(u16::MAX).min(size.saturating_sub(1))
    };
    frame.set_cursor_position(Position {
        x: area.x + within(column, area.width),
        y: area.y + within(row, area.height),
    });
}

/// A row, reversed over its whole width if it is the marked one.
fn list_row(text: &str, width: u16, style: Style) -> Line<'static> {
    Line::styled(wrap::fit(text, usize::from(width)), style)
}
