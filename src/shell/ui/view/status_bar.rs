//! The title, with the speaking identity and the state of the network, and the hint line, with
//! keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::keys::{
    self, BrowseAction, ChooseAction, CompareAction, EditAction, HeldAction, KeyAction, KeyContext,
    LeaveChoice, ListAction, RowAction, ScrollAction, UiPage, WriteAction,
};
use super::super::model::{ContactsTab, Model, Overlay, label};
use super::super::text::clock_skew;
use super::theme::Theme;
use crate::shell::api::{NetworkStatus, Persistence, UiMode};
use crate::shell::calendar::{Civil, zone_abbreviation};

/// Draws the title.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let speaking = model.navigation.speaking.and_then(|id| model.directory.identities.get(&id));
    let mode = match model.options.mode {
        UiMode::Normal => "",
        UiMode::Demo => " DEMO",
    };
    let who = speaking.map(|identity| label(&identity.name)).unwrap_or_default();
    let left = format!(" undertone{mode}  {who}");
    let room = usize::from(area.width).saturating_sub(Line::raw(left.as_str()).width() + 3);
    let right = network(model, room);
    let gap = room.saturating_sub(Line::raw(right.as_str()).width()) + 2;
    let spans = vec![
        Span::styled(left, theme.strong()),
        Span::raw(" ".repeat(gap)),
        Span::styled(right, theme.quiet()),
    ];
    frame.render_widget(Line::from(spans), area);
}

/// As much of the network as fits; what matters less is left out first.
fn network(model: &Model, room: usize) -> String {
    let mut parts = Vec::new();
    if model.node.persistence == Some(Persistence::MemoryOnly) {
        parts.push((0, "nothing is saved".to_owned()));
    }
    if let Some(network) = &model.node.network {
        parts.extend(clock_skew::brief(network.clock).map(|words| (0, words)));
        parts.extend(figures(network));
    }
    let zone = &model.options.zone;
    parts.push((1, Civil::at(model.status.now, zone).clock()));
    // All times of a screen are in the zone that stands here.
    let mut zone = format!(" {}", zone_abbreviation(model.status.now, zone));
    loop {
        let words: Vec<_> = parts.iter().map(|(_, word)| word.as_str()).collect();
        let text = words.join(" | ") + &zone;
        let least = parts.iter().map(|(rank, _)| *rank).max();
        if Line::raw(text.as_str()).width() <= room || least.is_none() {
            return text;
        }
        // Without room for both, the clock says more.
        if least == Some(1) && !zone.is_empty() {
            zone.clear();
            continue;
        }
        parts.retain(|(rank, _)| Some(*rank) != least);
    }
}

/// Each figure with its rank; the highest rank is left out first.
fn figures(network: &NetworkStatus) -> Vec<(u8, String)> {
    let peers = match network.peers {
        0 => "no peers".to_owned(),
        1 => "1 peer".to_owned(),
        more => format!("{more} peers"),
    };
    let junk = match network.cover_per_minute {
        Some(rate) => format!("junk {rate:.1}/min"),
        None => "junk off".to_owned(),
    };
    // Without peers nothing leaves, so their number is left out last.
    let mut parts = vec![
        (0, peers),
        (2, format!("pool {}%", share(network.pool_bytes, network.pool_capacity))),
        (4, format!("floor 2^{}", network.floor_bits)),
        (3, junk),
    ];
    if network.mining.is_some() {
        parts.push((5, "mining".to_owned()));
    }
    if network.queued > 0 {
        parts.push((6, format!("{} queued", network.queued)));
    }
    parts
}

/// A part of a whole in percent.
pub(super) fn share(part: usize, whole: usize) -> usize {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0).min(100)
}

/// The keys that matter most where one is, as many as fit.
pub(super) fn keys(model: &Model, width: u16) -> Line<'static> {
    let context = model.context();
    let mut text = String::new();
    for action in wanted(model, context) {
        let Some(binding) = keys::binding(context, action) else { continue };
        let part = format!(" {} {} ", binding.key(), binding.brief);
        if text.len() + part.len() > usize::from(width) {
            break;
        }
        text.push_str(&part);
    }
    Line::styled(text, Theme::new(&model.options).quiet())
}

fn wanted(model: &Model, context: KeyContext) -> Vec<KeyAction> {
    const HELP: KeyAction = KeyAction::Show(UiPage::Help);
    let row = |action| KeyAction::List(ListAction::Row(action));
    match context {
        KeyContext::Typing if model.current().is_none() => vec![
            KeyAction::Show(UiPage::Contacts),
            KeyAction::Show(UiPage::Identities),
            KeyAction::Show(UiPage::Network),
            HELP,
            KeyAction::Quit,
        ],
        KeyContext::Typing => wanted_in_typing(),
        KeyContext::Browsing => wanted_in_browsing(),
        KeyContext::List if model.navigation.page == UiPage::Identities => vec![
            row(RowAction::Open),
            KeyAction::List(ListAction::New),
            KeyAction::List(ListAction::Invite),
            row(RowAction::Remove),
            KeyAction::Back,
        ],
        KeyContext::List => {
            let actions = match model.navigation.tab {
                ContactsTab::Requests => vec![row(RowAction::Accept), row(RowAction::Decline)],
                ContactsTab::Contacts | ContactsTab::Blocked => [
                    RowAction::Open,
                    RowAction::Verify,
                    RowAction::Rename,
                    RowAction::Block,
                    RowAction::Remove,
                ]
                .map(row)
                .to_vec(),
            };
            let always = [
                KeyAction::List(ListAction::NextTab),
                KeyAction::List(ListAction::Add),
                KeyAction::List(ListAction::Invite),
                KeyAction::Back,
            ];
            actions.into_iter().chain(always).collect()
        }
        KeyContext::Field if model.navigation.overlay.is_none() => {
            vec![
                KeyAction::Write(WriteAction::Submit),
                HELP,
                KeyAction::Show(UiPage::Network),
                KeyAction::Quit,
            ]
        }
        KeyContext::Field | KeyContext::Editing => {
            vec![KeyAction::Write(WriteAction::Submit), KeyAction::Back]
        }
        KeyContext::Page if model.navigation.page == UiPage::Help => {
            vec![
                KeyAction::Scroll(ScrollAction::Down),
                KeyAction::Scroll(ScrollAction::Up),
                KeyAction::Back,
            ]
        }
        KeyContext::Page if matches!(model.navigation.overlay, Some(Overlay::Fatal(_))) => {
            Vec::new()
        }
        KeyContext::Page => vec![KeyAction::Back, HELP],
        KeyContext::Found => wanted_in_results(),
        KeyContext::Comparing | KeyContext::Choosing | KeyContext::Code | KeyContext::Held => {
            wanted_in_verifying(context)
        }
        KeyContext::Leaving => wanted_in_leaving(),
        KeyContext::Asking | KeyContext::Everywhere => vec![HELP, KeyAction::Quit],
    }
}

/// The same in the composer of a chat.
fn wanted_in_typing() -> Vec<KeyAction> {
    vec![
        KeyAction::Write(WriteAction::Send),
        KeyAction::Edit(EditAction::Newline),
        KeyAction::Write(WriteAction::Browse),
        KeyAction::GoTo,
        KeyAction::Show(UiPage::Help),
        KeyAction::Show(UiPage::Contacts),
        KeyAction::Search,
        KeyAction::Quit,
        KeyAction::Longer,
    ]
}

/// The same while a message is chosen.
fn wanted_in_browsing() -> Vec<KeyAction> {
    vec![
        KeyAction::Browse(BrowseAction::Type),
        KeyAction::Browse(BrowseAction::Why),
        KeyAction::Browse(BrowseAction::Cancel),
        KeyAction::Browse(BrowseAction::Retry),
        KeyAction::Browse(BrowseAction::Oldest),
        KeyAction::Browse(BrowseAction::Newest),
    ]
}

/// The same about leaving.
fn wanted_in_leaving() -> Vec<KeyAction> {
    vec![KeyAction::Leave(LeaveChoice::Wait), KeyAction::Leave(LeaveChoice::Quit), KeyAction::Back]
}

/// The same about what a search has found.
fn wanted_in_results() -> Vec<KeyAction> {
    vec![
        KeyAction::Choose(ChooseAction::Down),
        KeyAction::Choose(ChooseAction::Up),
        KeyAction::Choose(ChooseAction::Take),
        KeyAction::Search,
        KeyAction::Back,
    ]
}

/// The same about verifying a contact.
fn wanted_in_verifying(context: KeyContext) -> Vec<KeyAction> {
    if context == KeyContext::Code {
        return vec![KeyAction::Invert, KeyAction::Back];
    }
    if context == KeyContext::Choosing {
        return vec![
            KeyAction::Choose(ChooseAction::Up),
            KeyAction::Choose(ChooseAction::Down),
            KeyAction::Choose(ChooseAction::Take),
            KeyAction::Back,
        ];
    }
    if context == KeyContext::Held {
        return vec![
            KeyAction::Held(HeldAction::Verify),
            KeyAction::Held(HeldAction::Accept),
            KeyAction::Write(WriteAction::Browse),
            KeyAction::GoTo,
            KeyAction::Show(UiPage::Help),
            KeyAction::Quit,
        ];
    }
    vec![
        KeyAction::Compare(CompareAction::Enter),
        KeyAction::Compare(CompareAction::Complete),
        KeyAction::Compare(CompareAction::Digits),
        KeyAction::Compare(CompareAction::Code),
        KeyAction::Compare(CompareAction::Sent),
        KeyAction::Compare(CompareAction::Back),
    ]
}
