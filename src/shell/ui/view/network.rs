//! The page of the network: totals of this computer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::engine::text::UntrustedText;

use super::super::model::Model;
use super::super::options::UiMode;
use super::status_bar::share;
use super::theme::Theme;
use super::transcript::{ViewState, mining_words};
use super::wrap::{cut, grouped, wrap};
use crate::shell::api::{CoverStatus, NetworkStatus, Persistence};
use crate::shell::text::{clock_skew, junk, price, size};

/// Columns before a figure.
const LABEL_COLUMNS: usize = 13;

/// Columns of the gauge, which is drawn where it fits.
const GAUGE: usize = 20;

/// Draws the page.
pub(super) fn draw(model: &Model, state: &mut ViewState, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let width = usize::from(area.width);
    let mut rows = vec![Line::styled(" Network", theme.strong()), Line::raw("")];
    rows.extend(figures(model, width).into_iter().map(|row| Line::raw(cut(&row, width))));
    rows.push(Line::raw(""));
    let note = "These figures stay on this computer.";
    let note = wrap(note, width.saturating_sub(2));
    rows.extend(note.into_iter().map(|row| Line::styled(format!(" {row}"), theme.quiet())));
    super::read(frame, state, area, rows);
}

/// What is asked, paid and held back, where anything is.
fn prices(network: &NetworkStatus, width: usize, rows: &mut Vec<String>) {
    let waiting = price::held_back(network.waiting);
    let in_line = price::held_back(network.in_line);
    let all = [
        ("Asks", price::own_steps(network.steps)),
        ("Price", price::busy(network.price)),
        ("Waiting", waiting.map(|what| format!("for a lower price: {what}"))),
        ("In line", in_line.map(|what| format!("leaving one by one: {what}"))),
        ("Waiting", price::unanswered(network.unanswered)),
    ];
    for (name, words) in all {
        rows.extend(words.into_iter().flat_map(|words| figure(name, &words, width)));
    }
}

fn figures(model: &Model, width: usize) -> Vec<String> {
    let mode = match (model.options.mode, model.node.persistence) {
        (UiMode::Demo, _) => "  Saved      nothing; this is a demo",
        (UiMode::Normal, Some(Persistence::MemoryOnly)) => {
            "  Saved      nothing; lost when you quit"
        }
        (UiMode::Normal, Some(Persistence::Sealed)) => "  Saved      encrypted with a passphrase",
        (UiMode::Normal, None) => "  Saved      not known yet",
    };
    let mut rows = vec![mode.to_owned()];
    let Some(network) = &model.node.network else {
        rows.push("  Peers      starting".to_owned());
        return rows;
    };
    rows.push(format!("  Network    {}", clean(&network.network)));
    rows.push(match network.peers {
        0 => "  Peers      none; messages wait here".to_owned(),
        peers => format!("  Peers      {peers}"),
    });
    if let Some(trouble) = &network.names_trouble {
        rows.extend(figure("Names", &clean(trouble), width));
    }
    let clock = network.clock().map_or_else(|| "not compared yet".to_owned(), clock_skew::words);
    rows.extend(figure("Clock", &clock, width));
    let full = share(network.pool_bytes, network.pool_capacity);
    let filled = full * GAUGE / 100;
    let gauge = "#".repeat(filled) + &".".repeat(GAUGE.saturating_sub(filled));
    let pool = format!(
        "{full}%  {} of {}  {} envelopes",
        size::words(network.pool_bytes as u64),
        size::words(network.pool_capacity as u64),
        grouped(network.pool_items),
    );
    let drawn = format!("  Pool       [{gauge}] {pool}");
    // The gauge says nothing that the figures do not say, so it gives way first.
    if Line::raw(drawn.as_str()).width() <= width {
        rows.push(drawn);
    } else {
        rows.extend(figure("Pool", &pool, width));
    }
    rows.extend(figure("Room", &price::fill(network.fill), width));
    rows.extend(figure("Line", &price::line(network.line), width));
    prices(network, width, &mut rows);
    let floor = format!("2^{} tries for a lifetime of 1 day", network.floor_bits);
    rows.extend(figure("Floor", &floor, width));
    let work = match network.mining {
        None => format!("none  {} queued", network.queued),
        Some(mining) => format!(
            "{}  {} tries/s  {} queued",
            mining_words(model, None),
            grouped(usize::try_from(mining.hashes_per_second).unwrap_or(usize::MAX)),
            network.queued
        ),
    };
    rows.extend(figure("Work", &work, width));
    let junk = match network.cover_per_minute {
        None => "off; an observer of your connection sees when you write".to_owned(),
        Some(_) if network.cover == CoverStatus::Rests => price::no_junk(network.price),
        Some(rate) => format!("{} on average", junk::rate(rate)),
    };
    rows.extend(figure("Junk", &junk, width));
    let fetched = grouped(usize::try_from(network.caught_up).unwrap_or(usize::MAX));
    let caught_up = format!("{fetched} envelopes fetched from peers since the start");
    rows.extend(figure("Catch-up", &caught_up, width));
    for (index, address) in network.listening.iter().enumerate() {
        let name = if index == 0 { "Listening" } else { "" };
        rows.push(format!("  {name:9}  {}", clean(address)));
    }
    rows
}

/// A figure in as many rows as it takes.
fn figure(name: &str, text: &str, width: usize) -> Vec<String> {
    let rows = wrap(text, width.saturating_sub(LABEL_COLUMNS)).into_iter().enumerate();
    let label = |number| if number == 0 { name } else { "" };
    rows.map(|(number, row)| format!("  {:9}  {row}", label(number))).collect()
}

fn clean(text: &str) -> String {
    UntrustedText::new(text.to_owned()).sanitize_for_line().text
}
