//! The list beside the chat: the contacts of one identity, never those of two.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::keys::{self, KeyAction, KeyContext, UiPage};
use super::super::model::{ContactChat, ContactFilter, Model, label};
use super::theme::{Theme, link_mark};
use super::wrap::{cut, fit};
use crate::shell::text::trust;

/// Draws the list.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let width = usize::from(area.width).saturating_sub(2);
    let height = usize::from(area.height);
    let footer = footer(model, theme, width);
    let room = height.saturating_sub(footer.len() + 1);
    let contacts = model.contacts(ContactFilter::Listened);
    let open =
        contacts.iter().position(|chat| Some(chat.id()) == model.navigation.open).unwrap_or(0);
    let first = (open + 1).saturating_sub(room);
    let mut rows = vec![head("Chats", UiPage::Chats, theme, width)];
    rows.extend(contacts.iter().skip(first).take(room).map(|chat| row(model, *chat, theme, width)));
    if contacts.is_empty() {
        rows.push(Line::styled(" none: F3, then +", theme.quiet()));
    }
    rows.resize(height.saturating_sub(footer.len()), Line::raw(""));
    rows.extend(footer);
    super::rows(frame, Rect { width: area.width.saturating_sub(1), ..area }, rows);
    let bars = vec![Line::styled(theme.bar(), theme.quiet()); height];
    let bar = Rect { x: area.right().saturating_sub(1), width: 1, ..area };
    super::rows(frame, bar, bars);
}

fn head(text: &str, place: UiPage, theme: Theme, width: usize) -> Line<'static> {
    let key = keys::binding(KeyContext::Everywhere, KeyAction::Show(place));
    let key = key.map(keys::KeyBinding::key).unwrap_or_default();
    let text = fit(text, width.saturating_sub(key.len()));
    Line::styled(format!("{text}{key}"), theme.strong())
}

fn row(model: &Model, chat: ContactChat<'_>, theme: Theme, width: usize) -> Line<'static> {
    let is_open = model.navigation.open == Some(chat.id());
    let unread = match (chat.contact.unread, chat.contact.missing) {
        (0, 0) => String::new(),
        // Unread messages lead to the chat anyway, where the gap is seen.
        (0, _) => " gap".to_owned(),
        (unread, _) => format!(" {unread}"),
    };
    let name = label(&chat.contact.petname);
    let name = fit(&name, width.saturating_sub(6 + unread.len()));
    let arrow = if is_open { ">" } else { " " };
    let text = format!(
        "{arrow}{}{} {name}{unread}",
        link_mark(chat.contact.session),
        trust::mark(chat.contact.trust)
    );
    let style = match (is_open, chat.contact.unread) {
        (true, _) => theme.marked(),
        (false, 0) => ratatui::style::Style::new(),
        (false, _) => theme.call(),
    };
    Line::styled(text, style)
}

fn footer(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let requests = model.strangers().len();
    let mut rows = Vec::new();
    if requests > 0 {
        rows.push(head(&format!("Requests {requests}"), UiPage::Contacts, theme, width));
    }
    rows.push(head("Identity", UiPage::Identities, theme, width));
    let speaking = model.navigation.speaking.and_then(|id| model.directory.identity(id));
    let name = speaking.map(|identity| label(&identity.name)).unwrap_or_default();
    rows.push(Line::raw(format!("    {}", cut(&name, width.saturating_sub(4)))));
    let elsewhere =
        model.directory.identities().filter(|one| Some(one.id) != model.navigation.speaking);
    // A count and no names: contacts of two identities never share a list.
    let unread: u64 = elsewhere.map(|one| model.directory.unread_of(one.id)).sum();
    if unread > 0 {
        rows.push(Line::styled(format!("    {unread} unread elsewhere"), theme.quiet()));
    }
    rows
}
