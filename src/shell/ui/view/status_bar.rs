//! The title, with the speaking identity and the state of the network, and the hint line, with
//! keys.

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::keys::{
    self, BrowseAction, ChooseAction, CompareAction, EditAction, HeldAction, KeyAction, KeyContext,
    LeaveChoice, ListAction, RowAction, ScrollAction, UiPage, WriteAction,
};
use super::super::model::{ContactsTab, Model, Overlay, label};
use super::super::options::UiMode;
use super::theme::Theme;
use super::wrap::cut;
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::price::Step;
use crate::shell::api::{CoverStatus, NetworkStatus, Persistence};
use crate::shell::calendar::{Civil, zone_clocks, zone_name};
use crate::shell::text::{clock_skew, junk};

/// Draws the first row in the richest layout that fits.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let width = usize::from(area.width);
    let speaking = model.navigation.speaking.and_then(|id| model.directory.identity(id));
    let who = speaking.map(|identity| label(&identity.name)).unwrap_or_default();
    for layout in LAYOUTS {
        let left = program(model, layout);
        let right = network(model, layout);
        let room = width.checked_sub(columns(&left) + columns(&right) + 3);
        let is_last = layout.name == 0;
        if !is_last && room.is_none_or(|room| room < columns(&who).min(layout.name)) {
            continue;
        }
        let room = room.unwrap_or(0);
        let left = format!("{left}{}", cut(&who, room));
        let right = cut(&right, width.saturating_sub(columns(&left) + 1));
        let gap = width.saturating_sub(columns(&left) + columns(&right) + 1);
        let spans = vec![
            Span::styled(left, theme.strong()),
            Span::raw(" ".repeat(gap)),
            Span::styled(right, theme.quiet()),
        ];
        return frame.render_widget(Line::from(spans), area);
    }
}

fn columns(text: &str) -> usize {
    Line::raw(text).width()
}

/// What the first row has in it.
#[derive(Clone, Copy)]
struct Layout {
    /// Whether the program is named.
    program: ProgramName,
    /// The least columns of the identity's name, if it has as many.
    name: usize,
    /// The highest rank of a part.
    rank: u8,
    zone: fn(UnixSeconds, &TimeZone) -> String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProgramName {
    Shown,
    Hidden,
}

/// From the richest to the shortest. A figure gives way to the zone and to the name of the
/// identity, and everything to what must not be overlooked.
const LAYOUTS: [Layout; 12] = {
    let whole = Layout {
        program: ProgramName::Shown,
        name: usize::MAX,
        rank: RANK_QUEUED,
        zone: zone_name,
    };
    let clocks = Layout { rank: RANK_CLOCK, zone: zone_clocks, ..whole };
    let short_name = Layout { name: LEAST_NAME, ..clocks };
    let bare = Layout { program: ProgramName::Hidden, rank: RANK_DOUBT, ..short_name };
    [
        whole,
        Layout { rank: RANK_MINING, ..whole },
        Layout { rank: RANK_FLOOR, ..whole },
        Layout { rank: RANK_JUNK, ..whole },
        Layout { rank: RANK_POOL, ..whole },
        Layout { rank: RANK_CLOCK, ..whole },
        clocks,
        short_name,
        Layout { rank: RANK_PEERS, ..short_name },
        Layout { rank: RANK_DOUBT, ..short_name },
        bare,
        Layout { name: 0, ..bare },
    ]
};

/// Columns that a name keeps while there is anything that may give way to it.
const LEAST_NAME: usize = 6;

const RANK_DOUBT: u8 = 0;
const RANK_PEERS: u8 = 1;
const RANK_CLOCK: u8 = 2;
const RANK_POOL: u8 = 3;
const RANK_JUNK: u8 = 4;
const RANK_FLOOR: u8 = 5;
const RANK_MINING: u8 = 6;
const RANK_QUEUED: u8 = 7;

/// The left end, before the name of the identity.
fn program(model: &Model, layout: Layout) -> String {
    let mut words = Vec::new();
    if layout.program == ProgramName::Shown {
        words.push(" undertone");
    }
    if model.options.mode == UiMode::Demo {
        words.push(" DEMO");
    }
    let start = words.concat();
    if start.is_empty() { " ".to_owned() } else { start + "  " }
}

/// The right end.
fn network(model: &Model, layout: Layout) -> String {
    let mut parts = Vec::new();
    if model.node.persistence == Some(Persistence::MemoryOnly) {
        parts.push((RANK_DOUBT, "nothing is saved".to_owned()));
    }
    if let Some(network) = &model.node.network {
        parts.extend(clock_skew::brief(network.clock()).map(|words| (RANK_DOUBT, words)));
        parts.extend(figures(network));
    }
    // All times of a screen are in the zone that stands here.
    let (now, zone) = (model.status.now, &model.options.zone);
    let named = (layout.zone)(now, zone);
    let clock = Civil::at(now, zone).clock();
    parts.push(if layout.rank < RANK_CLOCK {
        (RANK_DOUBT, named)
    } else {
        (RANK_CLOCK, format!("{clock} {named}"))
    });
    parts.retain(|(rank, _)| *rank <= layout.rank);
    let words: Vec<_> = parts.into_iter().map(|(_, words)| words).collect();
    words.join(" | ")
}

/// Each figure with its rank; the highest rank is left out first.
fn figures(network: &NetworkStatus) -> Vec<(u8, String)> {
    let peers = match network.peers {
        0 => "no peers".to_owned(),
        1 => "1 peer".to_owned(),
        more => format!("{more} peers"),
    };
    let junk = match network.cover_per_minute {
        Some(_) if network.cover == CoverStatus::Rests => "junk rests".to_owned(),
        Some(rate) => format!("junk {}", junk::brief_rate(rate)),
        None => "junk off".to_owned(),
    };
    // Without peers nothing leaves, so their number is left out last.
    let mut parts = vec![
        (RANK_PEERS, peers),
        (RANK_POOL, format!("pool {}%", share(network.pool_bytes, network.pool_capacity))),
        (RANK_FLOOR, format!("floor 2^{}", network.floor_bits)),
        (RANK_JUNK, junk),
    ];
    let busy = network.price.of(Lifetime::Day);
    if busy > Step::default() {
        parts.push((RANK_POOL, format!("busy: {} x work", busy.times())));
    }
    if network.mining.is_some() {
        parts.push((RANK_MINING, "mining".to_owned()));
    }
    if network.queued > 0 {
        parts.push((RANK_QUEUED, format!("{} queued", network.queued)));
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
        let is_blocked = context == KeyContext::List
            && model.navigation.page == UiPage::Contacts
            && model.navigation.tab == ContactsTab::Blocked;
        let blocks = action == KeyAction::List(ListAction::Row(RowAction::Block));
        let brief = if blocks && is_blocked { "unblock" } else { binding.brief };
        let part = format!(" {} {brief} ", binding.key());
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
        KeyContext::List => wanted_in_contacts(model.navigation.tab),
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
        KeyContext::Page
            if model.navigation.page == UiPage::Network && model.navigation.overlay.is_none() =>
        {
            vec![KeyAction::Scroll(ScrollAction::Down), KeyAction::Back, HELP]
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

/// The same in the lists of contacts and requests.
fn wanted_in_contacts(tab: ContactsTab) -> Vec<KeyAction> {
    let actions: &[RowAction] = match tab {
        ContactsTab::Requests => &[RowAction::Accept, RowAction::Decline],
        ContactsTab::Contacts | ContactsTab::Blocked => &[
            RowAction::Open,
            RowAction::Verify,
            RowAction::Rename,
            RowAction::Block,
            RowAction::Remove,
        ],
    };
    let always = [
        KeyAction::List(ListAction::NextTab),
        KeyAction::List(ListAction::Add),
        KeyAction::List(ListAction::Invite),
        KeyAction::Back,
    ];
    let row = |action: &RowAction| KeyAction::List(ListAction::Row(*action));
    actions.iter().map(row).chain(always).collect()
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
