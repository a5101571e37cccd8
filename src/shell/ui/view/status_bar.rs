//! The first row, which says who speaks and how the network is, and the last, which names keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::keys::{
    self, Action, Browse, Choose, Compare, Context, Deed, Edit, Held, Leave, List, Place, Scroll,
    Write,
};
use super::super::model::{Model, Overlay, Tab, label};
use super::super::text::clock_skew;
use super::theme::Look;
use crate::shell::api::{NetworkStatus, Persistence, UiMode};
use crate::shell::calendar::Civil;

/// Draws the title.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let look = Look::new(&model.options);
    let speaking = model.speaking.and_then(|id| model.identities.get(&id));
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
        Span::styled(left, look.strong()),
        Span::raw(" ".repeat(gap)),
        Span::styled(right, look.quiet()),
    ];
    frame.render_widget(Line::from(spans), area);
}

/// As much of the network as fits; what matters less is left out first.
fn network(model: &Model, room: usize) -> String {
    let mut parts = Vec::new();
    if model.kept == Some(Persistence::MemoryOnly) {
        parts.push((0, "nothing is kept".to_owned()));
    }
    if let Some(network) = &model.network {
        parts.extend(clock_skew::brief(network.clock).map(|words| (0, words)));
        parts.extend(figures(network));
    }
    parts.push((1, Civil::at(model.now).clock()));
    loop {
        let words: Vec<_> = parts.iter().map(|(_, word)| word.as_str()).collect();
        let text = words.join(" | ");
        let least = parts.iter().map(|(rank, _)| *rank).max();
        if Line::raw(text.as_str()).width() <= room || least.is_none() {
            return text;
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
    let cover = match network.cover_per_minute {
        Some(rate) => format!("cover {rate:.1}/min"),
        None => "cover off".to_owned(),
    };
    let mut parts = vec![
        (0, peers),
        (2, format!("pool {}%", share(network.pool_bytes, network.pool_capacity))),
        (4, format!("floor 2^{}", network.floor_bits)),
        (3, cover),
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
    Line::styled(text, Look::new(&model.options).quiet())
}

fn wanted(model: &Model, context: Context) -> Vec<Action> {
    const HELP: Action = Action::Show(Place::Help);
    let row = |deed| Action::List(List::Row(deed));
    match context {
        Context::Typing if model.current().is_none() => vec![
            Action::Show(Place::Contacts),
            Action::Show(Place::Identities),
            Action::Show(Place::Network),
            HELP,
            Action::Quit,
        ],
        Context::Typing => vec![
            Action::Write(Write::Send),
            Action::Edit(Edit::Newline),
            Action::Write(Write::Browse),
            Action::GoTo,
            HELP,
            Action::Show(Place::Contacts),
            Action::Search,
            Action::Longer,
            Action::Quit,
        ],
        Context::Browsing => vec![
            Action::Browse(Browse::Type),
            Action::Browse(Browse::Why),
            Action::Browse(Browse::Cancel),
            Action::Browse(Browse::Retry),
            Action::Browse(Browse::Oldest),
            Action::Browse(Browse::Newest),
        ],
        Context::List if model.place == Place::Identities => vec![
            row(Deed::Open),
            Action::List(List::New),
            Action::List(List::Invite),
            row(Deed::Remove),
            Action::Back,
        ],
        Context::List => {
            let deeds = match model.tab {
                Tab::Requests => vec![row(Deed::Accept), row(Deed::Decline)],
                Tab::Contacts | Tab::Blocked => {
                    [Deed::Open, Deed::Verify, Deed::Rename, Deed::Block, Deed::Remove]
                        .map(row)
                        .to_vec()
                }
            };
            let always = [
                Action::List(List::NextTab),
                Action::List(List::Add),
                Action::List(List::Invite),
                Action::Back,
            ];
            deeds.into_iter().chain(always).collect()
        }
        Context::Field if model.overlay.is_none() => {
            vec![Action::Write(Write::Submit), HELP, Action::Show(Place::Network), Action::Quit]
        }
        Context::Field | Context::Editing => vec![Action::Write(Write::Submit), Action::Back],
        Context::Page if model.place == Place::Help => {
            vec![Action::Scroll(Scroll::Down), Action::Scroll(Scroll::Up), Action::Back]
        }
        Context::Page if matches!(model.overlay, Some(Overlay::Fatal(_))) => Vec::new(),
        Context::Page => vec![Action::Back, HELP],
        Context::Found => wanted_in_results(),
        Context::Comparing | Context::Choosing | Context::Code | Context::Held => {
            wanted_in_verifying(context)
        }
        Context::Leaving => wanted_in_leaving(),
        Context::Asking | Context::Everywhere => vec![HELP, Action::Quit],
    }
}

/// The same about leaving.
fn wanted_in_leaving() -> Vec<Action> {
    vec![Action::Leave(Leave::Wait), Action::Leave(Leave::Quit), Action::Back]
}

/// The same about what a search has found.
fn wanted_in_results() -> Vec<Action> {
    vec![
        Action::Choose(Choose::Down),
        Action::Choose(Choose::Up),
        Action::Choose(Choose::Take),
        Action::Search,
        Action::Back,
    ]
}

/// The same about verifying a contact.
fn wanted_in_verifying(context: Context) -> Vec<Action> {
    if context == Context::Code {
        return vec![Action::Invert, Action::Back];
    }
    if context == Context::Choosing {
        return vec![
            Action::Choose(Choose::Up),
            Action::Choose(Choose::Down),
            Action::Choose(Choose::Take),
            Action::Back,
        ];
    }
    if context == Context::Held {
        return vec![
            Action::Held(Held::Verify),
            Action::Held(Held::Accept),
            Action::Write(Write::Browse),
            Action::GoTo,
            Action::Show(Place::Help),
            Action::Quit,
        ];
    }
    vec![
        Action::Compare(Compare::Enter),
        Action::Compare(Compare::Complete),
        Action::Compare(Compare::Digits),
        Action::Compare(Compare::Code),
        Action::Compare(Compare::Sent),
        Action::Compare(Compare::Back),
    ]
}
