//! The open conversation: the contact, the messages, and the composer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::engine::envelope::Lifetime;
use crate::engine::event::SessionStatus;

use super::super::composer::Composer;
use super::super::model::{ContactChat, ContactFilter, Model, label};
use super::super::slash;
use super::contacts::{restored, short_key};
use super::theme::Theme;
use super::transcript::{ViewState, missing};
use super::wrap::{cut, grouped, wrap};
use crate::shell::text::{contact, lifetime, trust};

/// Columns of the contact's name that the state of the session leaves free.
const LEAST_NAME: usize = 8;

/// Most rows the composer takes, of those there are.
const fn composer_rows(height: usize) -> usize {
    match height {
        0..12 => 2,
        12..24 => 4,
        _ => 6,
    }
}

/// Draws the conversation, or what to do while there is none. Gives the row above the composer.
pub(super) fn draw(
    model: &Model,
    state: &mut ViewState,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Rect {
    let theme = Theme::new(&model.options);
    let composer = model.current().map_or(&model.scratch, |chat| &chat.chat.composer);
    if let Some(chat) = model.current().filter(|chat| chat.is_held()) {
        return held(model, state, chat, frame, area);
    }
    let prompt = 2;
    let layout = composer.layout(usize::from(area.width).saturating_sub(prompt));
    let rows = layout.rows.len().min(composer_rows(usize::from(area.height)));
    // The row of the caret is always among those that are drawn.
    let first = (layout.row + 1).saturating_sub(rows);
    let written = u16::try_from(rows).unwrap_or(1);
    let head = Rect { height: 1, ..area };
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(written + 2), ..area };
    let rule = Rect { y: body.bottom(), height: 1, ..area };
    let writing = Rect { y: rule.bottom(), height: written, ..area };

    match model.current() {
        Some(chat) => conversation(model, state, chat, frame, (head, body)),
        None => nobody(model, frame, Rect { height: body.height + 1, ..head }),
    }
    frame.render_widget(rule_line(model, composer, theme, usize::from(area.width)), rule);
    let lines = layout.rows.iter().skip(first).take(rows).enumerate().map(|(index, row)| {
        let start = if index == 0 && first == 0 { "> " } else { "  " };
        Line::from(vec![Span::styled(start, theme.quiet()), Span::raw(row.clone())])
    });
    super::rows(frame, writing, lines.collect());
    super::cursor(frame, writing, (prompt + layout.column, layout.row.saturating_sub(first)));
    rule
}

/// A conversation with a contact that is held: why stands where the composer would.
fn held(
    model: &Model,
    state: &mut ViewState,
    chat: ContactChat<'_>,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Rect {
    let theme = Theme::new(&model.options);
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let lines = super::verify::held(chat, theme, (width, composer_rows(height)));
    let written = u16::try_from(lines.len()).unwrap_or(1);
    let head = Rect { height: 1, ..area };
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(written + 2), ..area };
    let rule = Rect { y: body.bottom(), height: 1, ..area };
    let place = Rect { y: rule.bottom(), height: written, ..area };
    conversation(model, state, chat, frame, (head, body));
    frame.render_widget(Line::styled(theme.rule().repeat(width), theme.quiet()), rule);
    super::rows(frame, place, lines);
    super::cursor(frame, place, (0, 0));
    rule
}

fn conversation(
    model: &Model,
    state: &mut ViewState,
    chat: ContactChat<'_>,
    frame: &mut Frame<'_>,
    (head, body): (Rect, Rect),
) {
    let theme = Theme::new(&model.options);
    let width = usize::from(head.width);
    let link = contact::link_words(chat.contact);
    let mut key = short_key(&chat.contact.key);
    let petname = label(&chat.contact.petname);
    let columns = |text: &str| Line::raw(text).width();
    let brief = trust::brief(chat.contact.trust, &model.options.zone);
    // Why a contact is on hold gives way to nothing.
    let mark =
        if chat.is_held() { brief.clone() } else { trust::mark(chat.contact.trust).to_owned() };
    // Where nothing else says the zone, it stands in the place of the key.
    let zone = super::unsaid_zone(model, frame).map(|(name, clocks)| {
        key.clear();
        let all = columns(&petname) + mark.len() + link.len() + 6;
        format!("  {}", if all + name.len() <= width { name } else { clocks })
    });
    let zone = zone.unwrap_or_default();
    let least = columns(&petname).min(LEAST_NAME) + mark.len() + zone.len() + 4;
    let link = cut(link, width.saturating_sub(least));
    let room = width.saturating_sub(link.len() + 3);
    let name = cut(&petname, room.saturating_sub(mark.len() + zone.len() + 1));
    let who = columns(&name);
    // What is least missed is left out first: the key, then when it was verified.
    let trust = if who + brief.len() + zone.len() < room { brief } else { mark };
    let taken = who + trust.len() + zone.len() + 1;
    let fits = !key.is_empty() && taken + key.len() + 2 <= room;
    let key = if fits { format!("  {key}") } else { zone };
    let taken = who + trust.len() + 1;
    let gap = room.saturating_sub(taken + key.len()) + 1;
    let spans = vec![
        Span::raw(" "),
        Span::styled(name, theme.strong()),
        Span::raw(" "),
        Span::styled(trust, if chat.is_held() { theme.call() } else { theme.quiet() }),
        Span::styled(key, theme.quiet()),
        Span::raw(" ".repeat(gap)),
        Span::raw(link),
    ];
    frame.render_widget(Line::from(spans), head);

    let restored =
        restored(chat, &model.options.zone).map(|text| wrap(&text, width.saturating_sub(2)));
    let restored = restored.unwrap_or_default();
    // At most half of the page: the messages stay in view.
    let taken = u16::try_from(restored.len()).unwrap_or(0).min(body.height / 2);
    let banner = Rect { height: taken, ..body };
    let lines = restored.into_iter().map(|row| Line::styled(format!(" {row}"), theme.call()));
    super::rows(frame, banner, lines.collect());
    let body = Rect { y: banner.bottom(), height: body.height - taken, ..body };
    let transcript = state.transcript(model, chat, width, usize::from(body.height));
    state.scroll_position = Some(transcript.scroll_position);
    let mut rows = transcript.rows;
    if chat.messages.is_empty() {
        rows = advice(chat, width, theme);
        rows.extend(missing(chat).map(|text| Line::styled(format!("  {text}"), theme.quiet())));
    }
    let above = usize::from(body.height).saturating_sub(rows.len());
    rows.splice(0..0, core::iter::repeat_n(Line::raw(""), above));
    super::rows(frame, body, rows);
    if transcript.newer > 0 {
        let text = format!(" {} below  Ctrl+End ", transcript.newer);
        let columns = u16::try_from(text.len()).unwrap_or(0).min(body.width);
        let corner = Rect { x: body.right() - columns, width: columns, ..super::bottom(body) };
        super::line(frame, corner, Line::styled(text, theme.marked()));
    }
}

/// The advice in a conversation without messages.
fn advice(chat: ContactChat<'_>, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let text = match chat.contact.session {
        SessionStatus::Established => {
            "No messages yet. Write one; Enter sends it. The mark to the left of your message \
             shows its state; F1 explains the marks."
        }
        SessionStatus::OfferQueued | SessionStatus::OfferSent => {
            "The session is being set up. You can already write: what you write goes along with \
             your request, and could be read by whoever steals their key one day. What you write \
             once the session is ready could not."
        }
        SessionStatus::AwaitingConfirmation => {
            "The session is being set up. You can already write; Enter sends it."
        }
        SessionStatus::None => "There is no session. What you write waits until there is one.",
        SessionStatus::Blocked => "This contact is blocked. /unblock unblocks them.",
    };
    let rows = wrap(text, width.saturating_sub(4));
    rows.into_iter().map(|row| Line::styled(format!("  {row}"), theme.quiet())).collect()
}

/// The advice while no conversation is open.
fn nobody(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let text = if model.contacts(ContactFilter::Listened).is_empty() {
        "No contacts yet.\n\nTo write to someone you need their invite: press F3, then +, and \
         paste it. To let others write to you, give them your own: /invite shows it."
    } else {
        "No chat is open. Ctrl+P opens one."
    };
    let rows = wrap(text, usize::from(area.width).saturating_sub(4));
    let rows = rows.into_iter().map(|row| Line::styled(format!("  {row}"), theme.quiet()));
    super::rows(frame, area, core::iter::once(Line::raw("")).chain(rows).collect());
}

/// The line above the composer: who speaks to whom, or the commands that fit what is written.
fn rule_line(model: &Model, composer: &Composer, theme: Theme, width: usize) -> Line<'static> {
    let letters = composer.text().strip_prefix('/');
    let commands = letters.filter(|letters| !letters.starts_with('/') && !letters.contains(' '));
    if let Some(letters) = commands {
        let names: Vec<_> = slash::starting_with(letters)
            .iter()
            .map(|entry| format!("/{} {}", entry.name, entry.takes).trim_end().to_owned())
            .collect();
        // A command that is being typed is not sent to anybody, so the line helps to complete it.
        if !names.is_empty() {
            return Line::styled(cut(&format!(" {}", names.join("  ")), width), theme.call());
        }
    }
    let speaking = model.navigation.speaking.and_then(|id| model.directory.identity(id));
    let me = speaking.map(|identity| label(&identity.name)).unwrap_or_default();
    let whom = model.current().map(|chat| label(&chat.contact.petname));
    let to = whom.map(|whom| format!("to {whom}"));
    let who = to.as_ref().map_or_else(|| format!("as {me}"), |to| format!("as {me} {to}"));
    let left = format!("{} left", grouped(composer.room()));
    let room = width.saturating_sub(left.len() + 8);
    let said = match model.current().and_then(|chat| price(model, chat)) {
        None => who,
        Some(PriceLine { long, brief, fewer, shortest }) => {
            let to = to.unwrap_or_default();
            // Fewer words where there is less room. The cost goes last: it stands here because it
            // is not the usual one.
            let choice = [
                format!("{who}: {long}"),
                format!("{who}: {brief}"),
                format!("{to}: {brief}"),
                brief,
            ];
            let fits = |text: &String| Line::raw(text.as_str()).width() <= room;
            choice.into_iter().chain(fewer).find(fits).unwrap_or(shortest)
        }
    };
    let start = format!("{0}{0} {1} ", theme.rule(), cut(&said, room));
    let columns = Line::raw(start.as_str()).width();
    let fill = theme.rule().repeat(width.saturating_sub(columns + left.len() + 4));
    Line::from(vec![Span::styled(
        format!("{start}{fill} {left} {0}{0}", theme.rule()),
        theme.quiet(),
    )])
}

/// The cost of the next message, in more words and in fewer.
struct PriceLine {
    long: String,
    brief: String,
    fewer: Vec<String>,
    shortest: String,
}

/// The cost of the next message where it is not the usual: another lifetime than a day, work that
/// takes long, or a price that it waits for.
fn price(model: &Model, chat: ContactChat<'_>) -> Option<PriceLine> {
    let asked = model.node.asked(chat.lifetime, chat.contact.highest);
    let asked = asked.filter(|asked| !asked.is_usual());
    if let Some(asked) = asked.filter(|asked| asked.is_too_high()) {
        let (now, most) = (asked.now().times(), asked.most().times());
        return Some(PriceLine {
            long: format!("busy, it will wait: {}", asked.excess()),
            brief: format!("busy, waits: {now} x usual work, {most} allowed"),
            fewer: vec![format!("waits: {now} x, max {most}")],
            shortest: format!("waits: {now} x"),
        });
    }
    let cost = model.node.cost(chat.lifetime);
    let takes_long =
        cost.and_then(lifetime::WorkCost::seconds).is_some_and(|all| all > LONG_SECONDS);
    if chat.lifetime == Lifetime::default() && !takes_long && asked.is_none() {
        return None;
    }
    let lifetime = lifetime::words(chat.lifetime);
    let times = asked.map(|asked| asked.now().times());
    let busy = times.map(|times| format!("busy ({times} x usual work), ")).unwrap_or_default();
    let words = cost.map(|cost| format!(", {}", cost.words())).unwrap_or_default();
    let about = cost.and_then(lifetime::WorkCost::about).map(|about| format!(", {about}"));
    let about = about.unwrap_or_default();
    // That it is busy goes last of all: what it costs is in F4, too, and why is said nowhere else.
    let (fewer, shortest) = match times.map(|times| format!("busy: {times} x")) {
        Some(busy) if chat.lifetime == Lifetime::default() => {
            (vec![format!("{busy}{about}")], busy)
        }
        Some(busy) => {
            (vec![format!("{busy}, {lifetime}{about}"), format!("{busy}, {lifetime}")], busy)
        }
        None => (vec![format!("{lifetime}{about}")], about.trim_start_matches(", ").to_owned()),
    };
    Some(PriceLine {
        long: format!("{busy}lifetime {lifetime}{words}"),
        brief: format!("{busy}lifetime {lifetime}{about}"),
        fewer,
        shortest,
    })
}

/// The cost of a message that takes more seconds than this is shown before it is sent. A guess:
/// less is no wait.
const LONG_SECONDS: u64 = 2;
