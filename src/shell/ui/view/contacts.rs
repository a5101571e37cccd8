//! The pages of people: contacts, requests of strangers, blocked contacts, and our identities.

use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::engine::crypto::keys::PublicKey;
use crate::engine::event::SendRoom;
use crate::engine::text::{Scripts, UntrustedText};

use super::super::model::{
    ContactChat, ContactFilter, ContactsTab, Model, Overlay, Prompt, PromptPurpose, label,
};
use super::theme::Theme;
use super::transcript::missing;
use super::wrap::{cut, fit, wrap};
use crate::shell::calendar::Civil;
use crate::shell::text::{contact, trust};

/// Columns of a name in a list.
const NAME_COLUMNS: usize = 20;

/// Rows of a list that what is said of the marked one leaves free.
const LEAST_ROWS: usize = 3;

/// How a key is written.
type KeyForm = fn(&PublicKey) -> String;

/// Draws contacts, requests and blocked people.
pub(super) fn people(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let width = usize::from(area.width);
    let zone = super::unsaid_zone(model, frame)
        .filter(|_| model.navigation.tab == ContactsTab::Requests && !model.strangers().is_empty());
    let zone = zone.map(|(name, _)| cut(&format!("  times are in {name}"), width));
    let under = Line::styled(zone.unwrap_or_default(), theme.quiet());
    super::rows(frame, area, vec![tabs(model, theme), under]);
    let draw = |key| match model.navigation.tab {
        ContactsTab::Contacts => contacts(model, ContactFilter::Listened, (width, key)),
        ContactsTab::Blocked => contacts(model, ContactFilter::Blocked, (width, key)),
        ContactsTab::Requests => requests(model, (width, key)),
    };
    let (rows, mut detail) = draw(whole_key);
    let room = usize::from(area.height).saturating_sub(2 + rows.len().clamp(1, LEAST_ROWS));
    if detail.len() > room {
        (_, detail) = draw(short_key);
    }
    let under = u16::try_from(detail.len().min(room)).unwrap_or(0);
    let list = Rect { y: area.y + 2, height: area.height.saturating_sub(under + 2), ..area };
    draw_list(model, frame, list, rows);
    let below = Rect { y: list.bottom(), height: under, ..area };
    super::rows(frame, below, detail);
}

fn tabs(model: &Model, theme: Theme) -> Line<'static> {
    let counts = [
        (ContactsTab::Contacts, "Contacts", model.contacts(ContactFilter::Listened).len()),
        (ContactsTab::Requests, "Requests", model.strangers().len()),
        (ContactsTab::Blocked, "Blocked", model.contacts(ContactFilter::Blocked).len()),
    ];
    let spans = counts.into_iter().flat_map(|(tab, name, count)| {
        let (text, style) = if tab == model.navigation.tab {
            (format!("[{name} {count}]"), theme.strong())
        } else {
            (format!(" {name} {count} "), Style::new())
        };
        [Span::raw(" "), Span::styled(text, style)]
    });
    spans.collect::<Vec<_>>().into()
}

type ListAndDetail = (Vec<String>, Vec<Line<'static>>);

fn contacts(model: &Model, kind: ContactFilter, (width, key): (usize, KeyForm)) -> ListAndDetail {
    let contacts = model.contacts(kind);
    if contacts.is_empty() {
        let text = match kind {
            ContactFilter::Listened => {
                "No contacts yet. + adds one by their invite; i shows your own."
            }
            ContactFilter::Blocked => "No blocked contacts.",
        };
        return (Vec::new(), sentences(text, width));
    }
    let rows = contacts.iter().map(|chat| {
        let unread = match chat.contact.unread {
            0 => String::new(),
            unread => format!("  {unread}"),
        };
        let name = fit(&label(&chat.contact.petname), NAME_COLUMNS);
        let trust = trust::mark(chat.contact.trust);
        format!("{name} {trust} {}{unread}", contact::link_words(chat.contact))
    });
    let zone = &model.options.zone;
    let detail =
        contacts.get(model.navigation.row).map(|chat| contact_detail(*chat, zone, (width, key)));
    (rows.collect(), detail.unwrap_or_default())
}

fn contact_detail(
    chat: ContactChat<'_>,
    zone: &TimeZone,
    (width, key): (usize, KeyForm),
) -> Vec<Line<'static>> {
    let mut text = format!(
        "{}: {}, {}.\nKey {}",
        label(&chat.contact.petname),
        contact::link_words(chat.contact),
        trust::words(chat.contact.trust, zone),
        key(&chat.contact.key),
    );
    let marks = contact::read_marks(chat.contact);
    text.push_str(&format!("\nRead marks {marks}."));
    let waiting = contact::held_back(&chat.contact.waiting);
    text.extend(waiting.map(|what| format!("\nWaiting for a lower price: {what}.")));
    let in_line = contact::held_back(&chat.contact.in_line);
    text.extend(in_line.map(|what| format!("\nIn line, leaving one by one: {what}.")));
    if chat.contact.room == SendRoom::Full {
        text.push_str("\nYour next messages wait until this contact acknowledges earlier ones.");
    }
    text.extend(missing(chat).map(|missing| format!("\n{missing}.")));
    text.extend(restored(chat, zone).map(|restored| format!("\n{restored}.")));
    let name = UntrustedText::new(chat.contact.petname.clone()).sanitize_for_label();
    // The one warning against letters that look alike: a Cyrillic "a" in a Latin name.
    if name.scripts == Scripts::Mixed {
        text.push_str("\nThe name mixes alphabets: a letter may not be the one it looks like.");
    }
    sentences(&text, width)
}

/// The note on a contact that came out of a backup.
pub(super) fn restored(chat: ContactChat<'_>, zone: &TimeZone) -> Option<String> {
    let at = Civil::at(chat.contact.restored?, zone);
    Some(format!("restored from a backup on {}: a new session is being set up", at.date()))
}

fn requests(model: &Model, (width, key): (usize, KeyForm)) -> ListAndDetail {
    let requests = model.strangers();
    let rows = requests.iter().map(|request| {
        let arrived = Civil::at(request.arrived, &model.options.zone);
        format!("{}  {} {}", short_key(&request.key), arrived.date(), arrived.clock())
    });
    // The one that is asked about is said in the question; who stands behind it by now is not.
    let asked = match &model.navigation.overlay {
        Some(Overlay::Prompt(Prompt { purpose: PromptPurpose::Accept(id), .. })) => Some(*id),
        Some(_) | None => None,
    };
    let marked = requests.get(model.navigation.row);
    if asked.is_some() && marked.map(|request| request.id) != asked {
        return (rows.collect(), Vec::new());
    }
    let text = match marked {
        None => "No contact requests. Strangers who have your invite appear here.".to_owned(),
        Some(request) => format!(
            "A stranger wants to contact you. Nothing has been sent back: they cannot see that you \
             are online. a accepts, d declines silently.\nTheir key {}",
            key(&request.key)
        ),
    };
    (rows.collect(), sentences(&text, width))
}

/// Draws one's identities. Each is unlinkable to the others, so their contacts never share a list.
pub(super) fn identities(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let title = vec![Line::styled(" Identities", theme.strong()), Line::raw("")];
    super::rows(frame, area, title);
    let rows = model.directory.identities().map(|identity| {
        let used = if model.navigation.speaking == Some(identity.id) { "in use" } else { "" };
        let unread = match model.directory.unread_of(identity.id) {
            0 => String::new(),
            unread => format!("{unread} unread"),
        };
        format!("{} {used:8}{unread}", fit(&label(&identity.name), NAME_COLUMNS))
    });
    let text = "Enter switches to an identity. No message shows that two of them are yours; their \
                contacts are never listed together.";
    let detail = sentences(text, usize::from(area.width));
    let under = u16::try_from(detail.len()).unwrap_or(0).min(area.height / 2);
    let list = Rect { y: area.y + 2, height: area.height.saturating_sub(under + 2), ..area };
    draw_list(model, frame, list, rows.collect());
    super::rows(frame, Rect { y: list.bottom(), height: under, ..area }, detail);
}

/// Draws a list so that its marked row is in view; the cursor stands on it.
fn draw_list(model: &Model, frame: &mut Frame<'_>, area: Rect, rows: Vec<String>) {
    let theme = Theme::new(&model.options);
    let height = usize::from(area.height);
    // The marked row is the last one in view.
    let first = (model.navigation.row + 1).saturating_sub(height);
    let lines = rows.iter().enumerate().skip(first).take(height).map(|(index, row)| {
        let (arrow, style) =
            if index == model.navigation.row { (">", theme.marked()) } else { (" ", Style::new()) };
        super::list_row(&format!("{arrow} {row}"), area.width, style)
    });
    super::rows(frame, area, lines.collect());
    super::cursor(frame, area, (0, model.navigation.row.saturating_sub(first)));
}

fn sentences(text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width.saturating_sub(2))
        .into_iter()
        .map(|row| Line::raw(format!(" {row}")))
        .collect()
}

/// The ends of a key, to tell people apart at a glance. Not enough to verify one.
pub(super) fn short_key(key: &PublicKey) -> String {
    let hex = key.hex();
    let start: String = hex.chars().take(8).collect();
    let end: String = hex.chars().skip(62).collect();
    format!("{start}..{end}")
}

/// A key in groups of four digits.
pub(super) fn whole_key(key: &PublicKey) -> String {
    let groups: Vec<String> = key.to_bytes().chunks(2).map(|pair| HEXLOWER.encode(pair)).collect();
    groups.join(" ")
}
