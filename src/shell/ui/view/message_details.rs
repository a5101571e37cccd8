//! The details of a message: its course, with times, and what happens next.

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::engine::env::UnixSeconds;
use crate::engine::event::{Direction, MessageView, WaitsFor};
use crate::engine::id::MessageId;
use crate::engine::record::MessageState;
use crate::engine::sync::ClockSkew;

use super::super::model::{ContactChat, Model, label};
use super::overlay::page;
use super::transcript::{ViewState, mining_words};
use crate::shell::api::NetworkStatus;
use crate::shell::calendar::Civil;
use crate::shell::text::contact;
use crate::shell::text::lifetime::{self, WorkCost};
use crate::shell::text::message_state;
use crate::shell::text::price::{AskedPrice, PriceHold};

/// Draws the page about one message.
pub(super) fn why(
    model: &Model,
    state: &mut ViewState,
    id: MessageId,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let Some(chat) = model.current() else { return };
    let Some(message) = chat.message(id) else { return };
    let name = label(&chat.contact.petname);
    let named = super::unsaid_zone(model, frame).map(|(name, _)| format!(" ({name})"));
    let named = named.unwrap_or_default();
    let text = match message.direction {
        Direction::Incoming => theirs(message, &name, (&model.options.zone, &named)),
        Direction::Outgoing(now) => ours(model, chat, (message, now), &named),
    };
    page(model, state, frame, area, (&format!("Message with {name}"), &text));
}

fn theirs(message: &MessageView, name: &str, (zone, named): (&TimeZone, &str)) -> String {
    let at = Civil::at(message.at, zone);
    format!(
        "Received from {name} on {} {}{named}.{}\n\nThe time is that of this computer. The message \
         was encrypted for this session, and its sender's key was checked.",
        at.date(),
        at.seconds_clock(),
        number(message)
    )
}

fn ours(
    model: &Model,
    chat: ContactChat<'_>,
    (message, now): (&MessageView, MessageState),
    named: &str,
) -> String {
    let zone = &model.options.zone;
    let at = Civil::at(message.at, zone);
    let mut text = format!(
        "Written on {}{named}.{} Lifetime {}.\n",
        at.date(),
        number(message),
        lifetime::words(message.lifetime)
    );
    for (when, what) in times(chat, (message, now), zone) {
        let clock = when.map(|when| moment(when, message.at, zone)).unwrap_or_default();
        text.push_str(&format!("\n  {clock:<16}  {what}"));
    }
    let next = next(model, chat, (message, now));
    let gap = if next.is_empty() { "" } else { " " };
    text.push_str(&format!(
        "\n\n{}: {}{gap}{}",
        message_state::words_of(message, now, model.status.now),
        message_state::meaning_of(message, now, by_clocks(model)),
        next.trim_end()
    ));
    text
}

/// What is known of other clocks, and what ours says.
pub(super) fn by_clocks(model: &Model) -> (Option<ClockSkew>, UnixSeconds) {
    (model.node.network.as_ref().and_then(NetworkStatus::clock), model.status.now)
}

/// The course of a message in order, and the parts that are not known.
fn times(
    chat: ContactChat<'_>,
    (message, now): (&MessageView, MessageState),
    zone: &TimeZone,
) -> Vec<(Option<UnixSeconds>, String)> {
    let name = label(&chat.contact.petname);
    let delivery = &message.delivery;
    let mut times = vec![(Some(message.at), "queued".to_owned())];
    if let Some(first) = delivery.first_sent {
        let again = match (delivery.attempts, delivery.last_sent) {
            (2.., Some(last)) => {
                let last = moment(last, message.at, zone);
                format!(", {} times so far, last {last}", delivery.attempts)
            }
            (_, _) => String::new(),
        };
        times.push((Some(first), format!("sent{again}")));
    }
    if let Some(delivered) = delivery.delivered {
        times.push((Some(delivered), format!("delivered: {name}'s device acknowledged it")));
    }
    match (delivery.read, now) {
        (Some(read), _) => times.push((Some(read), "read".to_owned())),
        (None, MessageState::Delivered) if chat.contact.read_receipts => {
            times.push((None, format!("not read yet, or {name} does not send read marks")));
        }
        (None, MessageState::Delivered) => {
            times.push((None, "read: unknown, read marks off (/readmarks on)".to_owned()));
        }
        (None, _) => {}
    }
    times
}

/// The next step of a message, and what a person can do.
fn next(
    model: &Model,
    chat: ContactChat<'_>,
    (message, now): (&MessageView, MessageState),
) -> String {
    let zone = &model.options.zone;
    let hold = model.node.holding_back(message, chat.contact);
    // What is in the pool for its life needs no other copy: that is told beside it.
    if let Some(hold) = hold.filter(|_| now != MessageState::Sent) {
        return held_back(hold, now, model.status.now);
    }
    match now {
        MessageState::Queued => {
            if let Some(waits) = contact::obstacle(chat.contact) {
                return format!("{waits} c cancels it.");
            }
            let cost = model.node.cost(message.lifetime).map(WorkCost::words);
            let cost = cost.map(|cost| format!("It {cost}. ")).unwrap_or_default();
            format!("{cost}c cancels it.")
        }
        MessageState::Mining => {
            format!("{}. c cancels it.", mining_words(model, Some(message.id)))
        }
        MessageState::Sent if message_state::is_uncarried(message, now, by_clocks(model)) => {
            again(message, zone)
        }
        MessageState::Sent => {
            let until = message.delivery.last_sent.map(|last| {
                let end = last.0.saturating_add(u64::from(message.lifetime.ttl().0));
                let end = Civil::at(UnixSeconds(end), zone);
                format!("It is in the network until about {} {}. ", end.date(), end.clock())
            });
            let asked = model.node.asked(message.lifetime, None);
            let answers =
                asked.and_then(AskedPrice::answers_wait).map(|why| format!("Note: {why}. "));
            let (until, answers) = (until.unwrap_or_default(), answers.unwrap_or_default());
            let again = match hold {
                Some(hold) => format!(
                    "A further copy, in case this one is lost, waits for {}: {}. ",
                    hold.what(),
                    hold.reason(model.status.now)
                ),
                None => again(message, zone),
            };
            format!("{until}{answers}{again}")
        }
        MessageState::Unacknowledged => format!(
            "{}R sends it again now; the contact sees it only once. A late acknowledgement still counts.",
            again(message, zone)
        ),
        MessageState::Failed | MessageState::Cancelled => "R sends it.".to_owned(),
        MessageState::Delivered | MessageState::Read => "It is not sent again.".to_owned(),
    }
}

/// What is said of a message that is held back.
fn held_back(hold: PriceHold, state: MessageState, now: UnixSeconds) -> String {
    let (what, then) = if state.is_unsent() {
        ("It waits", "c cancels it.")
    } else {
        ("It is to be sent again, and waits", "A late acknowledgement still counts.")
    };
    let frees = match (hold.waits_for(), hold.freeing_limit()) {
        (WaitsFor::Price, Some(limit)) => format!("/work {} sends it now. ", limit.times()),
        (WaitsFor::Price, None) => "Its own limit stays as it is. ".to_owned(),
        (WaitsFor::Turn, _) if state == MessageState::Unacknowledged => {
            "R sends it again now. ".to_owned()
        }
        (WaitsFor::Turn | WaitsFor::Acknowledgement, _) => String::new(),
    };
    format!("{what} for {}: {}. {frees}{then}", hold.what(), hold.reason(now))
}

/// The end of automatic retransmission, if there is any.
fn again(message: &MessageView, zone: &TimeZone) -> String {
    let Some(until) = message.retransmits_until() else { return String::new() };
    format!(
        "It is retried automatically while this program runs, less and less often, until it is \
         acknowledged or until {}. ",
        Civil::at(until, zone).date()
    )
}

fn number(message: &MessageView) -> String {
    message.number.map(|number| format!(" Number {number}.")).unwrap_or_default()
}

/// A clock, or a day and a clock if it is another day than `day`.
fn moment(at: UnixSeconds, day: UnixSeconds, zone: &TimeZone) -> String {
    let (at, day) = (Civil::at(at, zone), Civil::at(day, zone));
    // The day stands above already.
    if at.day() == day.day() {
        return at.seconds_clock();
    }
    format!("{} {}", at.short_date(), at.clock())
}
