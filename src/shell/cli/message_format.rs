//! Messages as lines of text and as pages of details.
//!
//! Texts of others are sanitized and never begin a line: a text cannot pretend to be another
//! message.

use core::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::engine::env::UnixSeconds;
use crate::engine::event::{Direction, SessionStatus};
use crate::engine::id::MessageId;
use crate::engine::record::MessageState;
use crate::engine::sync::ClockSkew;
use crate::shell::api::{Contact, Message, PriceStatus};
use crate::shell::calendar::{Civil, zone_name};
use crate::shell::cli::args::HistoryArgs;
use crate::shell::text::contact::{awaited_decision, obstacle};
use crate::shell::text::price::{AskedPrice, PriceHold};
use crate::shell::text::{lifetime, marks, message_state};

/// A message and its contact.
#[derive(Clone, Copy)]
pub(super) struct MessageFormatter<'a> {
    pub(super) message: &'a Message,
    pub(super) contact: &'a Contact,
    /// Whether marks are ASCII.
    pub(super) ascii: bool,
    /// In which people read its times; programs get UTC.
    pub(super) zone: &'a TimeZone,
    /// The present.
    pub(super) now: UnixSeconds,
    /// What is paid for messages, if a node knows.
    pub(super) price: Option<PriceStatus>,
    /// How our clock differs from those of others, if a node knows.
    pub(super) clock: Option<ClockSkew>,
}

/// A part of a conversation, oldest first. `cut` is its oldest message if there are older ones.
pub(super) fn conversation(
    shown: &[MessageFormatter<'_>],
    args: &HistoryArgs,
    contact: &Contact,
    cut: Option<MessageId>,
) -> String {
    let mut lines = Vec::new();
    if let Some(oldest) = cut {
        lines.push(format!("-- older messages: add --before {} --", oldest.short()));
    }
    lines.extend(shown.iter().map(MessageFormatter::lines));
    if shown.is_empty() {
        let none = if args.search.is_some() { "no messages found" } else { "no messages" };
        lines.push(format!("-- {none} --"));
    }
    // At the newest end alone: what is missing belongs to no older page and to no search.
    if contact.missing > 0 && args.before.is_none() && args.search.is_none() {
        let count = messages(contact.missing);
        let again =
            if contact.session == SessionStatus::Blocked { "" } else { "; requested again" };
        lines.push(format!("-- {count} missing{again} --"));
    }
    if let Some(newest) = shown.last() {
        let zone = zone_name(newest.message.at, newest.zone);
        lines.push(format!("-- times are in {zone} --"));
    }
    lines.join("\n")
}

impl MessageFormatter<'_> {
    /// A line with time, id, author and text; further lines of the text are indented.
    fn lines(&self) -> String {
        let view = self.message;
        let mut lines = String::new();
        if view.missing > 0 {
            let gap = messages(view.missing);
            push(&mut lines, format_args!("-- {gap} before this one will never arrive --\n"));
        }
        let at = self.local(view.at);
        push(&mut lines, format_args!("{at} {} {}", view.id.short(), self.author()));
        // Said beside the name, because until then somebody else may have used it.
        if view.early {
            lines.push_str(" [not confirmed: someone who stole your key could have written it]");
        }
        lines.push_str(": ");
        let cleaned = view.text.sanitize_for_text();
        lines.push_str(&cleaned.text.replace('\n', INDENTED));
        // A reader who compares or copies a text must know that it is not quite the one that was
        // sent.
        if cleaned.changes > 0 {
            push(
                &mut lines,
                format_args!("{INDENTED}({} characters made visible or removed)", cleaned.changes),
            );
        }
        lines
    }

    fn local(&self, at: UnixSeconds) -> String {
        Civil::at(at, self.zone).sortable()
    }

    fn minute(&self, at: UnixSeconds) -> String {
        Civil::at(at, self.zone).sortable_minute()
    }

    fn moment(&self, at: Option<UnixSeconds>, none: &str) -> String {
        at.map_or_else(|| none.to_owned(), |at| self.local(at))
    }

    fn author(&self) -> String {
        match self.message.direction {
            Direction::Incoming => self.contact.petname.clone(),
            Direction::Outgoing(state) => format!("you [{}]", self.state(state)),
        }
    }

    /// Mark and word.
    fn state(&self, state: MessageState) -> String {
        let mark = marks::of_message(state);
        let mark = if self.ascii { mark.ascii } else { mark.unicode };
        format!("{mark} {}", message_state::words_of(self.message, state, self.now))
    }

    /// Everything that is known about the message.
    pub(super) fn details(&self) -> String {
        let view = self.message;
        let name = &self.contact.petname;
        let mut details = DetailsBuilder(String::new());
        match view.direction {
            Direction::Incoming => {
                details.0 = format!("message {} from {name}", view.id.short());
                details.row("received", &self.local(view.at));
                if view.missing > 0 {
                    let gap = messages(view.missing);
                    details.row("before it", &format!("{gap} will never arrive"));
                }
                if view.early {
                    details.row("not confirmed", "it arrived before its session was confirmed:");
                    details.row("", "someone who stole your key could have written it");
                }
            }
            Direction::Outgoing(state) => {
                details.0 = format!("message {} to {name}", view.id.short());
                details.row("state", &self.state(state));
                details.row("", message_state::meaning_of(view, state, (self.clock, self.now)));
                details.row("queued", &self.local(view.at));
                self.attempts(state, &mut details);
                // An imported message has a state and no times.
                let unacknowledged = match state {
                    MessageState::Delivered | MessageState::Read => "not recorded",
                    MessageState::Queued
                    | MessageState::Mining
                    | MessageState::Sent
                    | MessageState::Unacknowledged
                    | MessageState::Failed
                    | MessageState::Cancelled => "no acknowledgement yet",
                };
                details.row("delivered", &self.moment(view.delivery.delivered, unacknowledged));
                // Without read marks none can arrive, and "not yet" would be waited for.
                let no_mark = if state == MessageState::Read {
                    "not recorded"
                } else if self.contact.read_receipts {
                    "no read mark yet"
                } else {
                    "unknown: read marks are off for this contact"
                };
                details.row("read", &self.moment(view.delivery.read, no_mark));
                details.row("lifetime", lifetime::words(view.lifetime));
                details.row("next", &self.prospect(state));
            }
        }
        details.row("id", &view.id.hex());
        details
            .row("text", &view.text.sanitize_for_text().text.replace('\n', "\n                "));
        let zone = zone_name(view.at, self.zone);
        push(&mut details.0, format_args!("\n  Times are those of this computer, in {zone}."));
        details.0
    }

    fn attempts(&self, state: MessageState, details: &mut DetailsBuilder) {
        let delivery = self.message.delivery;
        match (delivery.first_sent, delivery.last_sent) {
            (None, None) => {
                let sent = match state {
                    MessageState::Queued | MessageState::Mining => "not yet",
                    MessageState::Failed | MessageState::Cancelled => "no",
                    MessageState::Sent
                    | MessageState::Unacknowledged
                    | MessageState::Delivered
                    | MessageState::Read => "not recorded",
                };
                details.row("sent", sent);
            }
            (first, last) => {
                let times = match delivery.attempts {
                    1 => "once".to_owned(),
                    times => format!("{times} times, each time newly encrypted"),
                };
                details.row("sent", &times);
                details.row("first", &self.moment(first, "not recorded"));
                details.row("last", &self.moment(last, "not recorded"));
            }
        }
    }

    /// The next thing that happens to it without the user.
    fn prospect(&self, state: MessageState) -> String {
        match state {
            MessageState::Queued | MessageState::Mining => self
                .hold()
                .map(|hold| format!("it waits for {}: {}", hold.what(), hold.reason(self.now)))
                .or_else(|| obstacle(self.contact))
                .unwrap_or_else(|| "it is sent automatically while a node runs".to_owned()),
            MessageState::Sent
                if message_state::is_uncarried(self.message, state, (self.clock, self.now)) =>
            {
                format!("{}: set the clock; {}", message_state::WRONG_CLOCK, self.again())
            }
            MessageState::Sent => {
                let until = match self.message.delivery.last_sent {
                    // An envelope names only an hour, and was made a moment before it was sent.
                    Some(last) => {
                        let end = last.plus(self.message.lifetime.ttl());
                        format!("about {}", self.minute(end))
                    }
                    None => "it expires".to_owned(),
                };
                let asked =
                    self.price.map(|price| AskedPrice::of(price, self.message.lifetime, None));
                let answers = asked.and_then(AskedPrice::answers_wait);
                let answers = answers.map(|why| format!("; {why}")).unwrap_or_default();
                let again = match self.hold() {
                    // Nothing depends on it: the promise of its mark stands.
                    Some(hold) if awaited_decision(self.contact).is_none() => format!(
                        "a further copy, in case this one is lost, waits for {}: {}",
                        hold.what(),
                        hold.reason(self.now)
                    ),
                    Some(_) | None => self.again(),
                };
                format!("in the network until {until}; {again}{answers}")
            }
            MessageState::Unacknowledged if self.message.is_not_for_long(self.now) => {
                format!("{}; {}", message_state::NOT_FOR_LONG, self.again())
            }
            MessageState::Unacknowledged => {
                format!("expired in the network; {}; a late answer still counts", self.again())
            }
            MessageState::Failed | MessageState::Cancelled => {
                "it is not sent unless you retry it".to_owned()
            }
            MessageState::Delivered | MessageState::Read => "it is not sent again".to_owned(),
        }
    }

    /// What holds it back, if the price or its turn does.
    fn hold(&self) -> Option<PriceHold> {
        PriceHold::of(self.price?, self.message, self.contact)
    }

    /// The end of automatic retries.
    fn again(&self) -> String {
        match (self.message.retransmits_until(), awaited_decision(self.contact)) {
            (Some(_), Some(decision)) => format!("it is not retried until {decision}"),
            (Some(until), None) => {
                let until = self.minute(until);
                if let Some(hold) = self.hold() {
                    let (what, why) = (hold.what(), hold.reason(self.now));
                    return format!("to be sent again until {until}: it waits for {what}: {why}");
                }
                format!("retried automatically, less and less often, until {until}")
            }
            (None, _) => "it is not sent again unless you retry it".to_owned(),
        }
    }
}

/// Rows of a label and a value.
struct DetailsBuilder(String);

impl DetailsBuilder {
    fn row(&mut self, name: &str, text: &str) {
        push(&mut self.0, format_args!("\n  {name:<14}{text}"));
    }
}

fn push(text: &mut String, more: core::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    text.write_fmt(more).unwrap_or_default();
}

pub(super) fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}

/// The start of a further line of a text.
const INDENTED: &str = "\n    ";

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::crypto::keys::PublicKey;
    use crate::engine::crypto::safety_number::SafetyNumber;
    use crate::engine::event::{ContactView, HeldBack, SendRoom};
    use crate::engine::id::{ContactId, IdentityId};
    use crate::engine::record::{DeliveryLog, HoldReason, Trust};
    use crate::shell::api::testing::ours;

    pub(in crate::shell::cli) fn contact(session: SessionStatus, trust: Trust) -> Contact {
        // Two points with the same x, which is 1.
        let key = |sign| {
            let mut bytes = [0; 33];
            (bytes[0], bytes[32]) = (sign, 1);
            PublicKey::from_bytes(&bytes).unwrap()
        };
        let view = ContactView {
            id: ContactId(1),
            identity: IdentityId(1),
            petname: "ben".to_owned(),
            key: key(2),
            session,
            trust,
            safety_number: SafetyNumber::of(&key(2), &key(3)),
            sas: None,
            missing: 0,
            read_receipts: true,
            restored: None,
            highest: None,
            room: SendRoom::Free,
            waiting: Arc::default(),
            in_line: Arc::default(),
            next_look: None,
        };
        Contact { view, unread: 0 }
    }

    const PAUSED: Trust =
        Trust::OnHold { since: UnixSeconds(1), reason: HoldReason::Mismatch, attempts: 1 };

    fn page(contact: &Contact, message: &Message) -> String {
        page_at(UnixSeconds(1_000_000), None, (contact, message))
    }

    fn page_at(
        now: UnixSeconds,
        price: Option<PriceStatus>,
        (contact, message): (&Contact, &Message),
    ) -> String {
        let zone = &TimeZone::UTC;
        MessageFormatter { message, contact, ascii: true, zone, now, price, clock: None }.details()
    }

    #[test]
    fn a_message_that_waits_for_a_lower_price_says_what_is_asked_and_what_is_allowed() {
        let busy = Some(PriceStatus { day: 4, ..PriceStatus::default() });
        let page = |message: &Message, waiting: &[HeldBack], price| {
            let mut contact = contact(SessionStatus::Established, Trust::Unverified);
            contact.view.waiting = Arc::new(waiting.iter().copied().collect());
            page_at(UnixSeconds(2_000), price, (&contact, message))
        };
        let why = "waits for a lower price: a day costs 16 times the usual work now, at most 8 times \
                   is allowed; the price is looked at again at random times, four hours apart on average";
        let told = format!("it {why}");
        let queued = ours(MessageState::Queued, DeliveryLog::default());
        let waiting = page(&queued, &[HeldBack::Messages], busy);
        assert!(waiting.contains(&told), "{waiting}");
        // The price has fallen since the node told: no limit is in the way.
        let fallen = Some(PriceStatus { day: 3, ..PriceStatus::default() });
        let fallen = page(&queued, &[HeldBack::Messages], fallen);
        assert!(fallen.contains("it waits for its turn: what is for this contact"), "{fallen}");
        assert!(!fallen.contains("lower price") && !fallen.contains("allowed"), "{fallen}");
        // By what the node says, and not by the price.
        let other = [HeldBack::Again(queued.id), HeldBack::Answers];
        let ready = page(&queued, &other, busy);
        assert!(!ready.contains("lower price"), "{ready}");
        let sent = DeliveryLog { first_sent: Some(UnixSeconds(2_000)), ..DeliveryLog::default() };
        let failed = ours(MessageState::Unacknowledged, sent);
        let again = page(&failed, &[HeldBack::Again(failed.id)], busy);
        assert!(again.contains("to be sent again until "), "{again}");
        assert!(again.contains(&told) && !again.contains("automatically"), "{again}");
        for state in [MessageState::Sent, MessageState::Unacknowledged] {
            let other = page(&ours(state, sent), &[HeldBack::Messages], busy);
            assert!(other.contains("retried automatically"), "{other}");
        }
        // What says that one can go offline does not say beside it that something is to be done.
        let sent = ours(MessageState::Sent, sent);
        let copy = page(&sent, &[HeldBack::Again(sent.id)], busy);
        assert!(copy.contains("You can go offline now."), "{copy}");
        let further = format!("a further copy, in case this one is lost, {why}");
        assert!(copy.contains(&further) && !copy.contains("to be sent again"), "{copy}");
    }

    #[test]
    fn a_message_that_left_under_a_wrong_clock_says_that_others_do_not_carry_it() {
        let (now, zone) = (UnixSeconds(1_800_000_000), &TimeZone::UTC);
        let contact = &contact(SessionStatus::Established, Trust::Unverified);
        let left = DeliveryLog {
            attempts: 1,
            first_sent: Some(now),
            last_sent: Some(now),
            ..DeliveryLog::default()
        };
        let message = &ours(MessageState::Sent, left);
        let page = |minutes| {
            let clock = Some(ClockSkew { minutes, witnesses: 2 });
            MessageFormatter { message, contact, ascii: true, zone, now, price: None, clock }
                .details()
        };
        for minutes in [120, -3 * 1_440] {
            let page = page(minutes);
            assert!(
                page.contains("others do not carry it") && page.contains("set the clock"),
                "{page}"
            );
            assert!(!page.contains("go offline") && !page.contains("in the network"), "{page}");
        }
        assert!(page(1).contains("You can go offline now."));
    }

    #[test]
    fn a_message_that_only_waits_its_turn_says_when_the_next_leaves_and_names_no_price() {
        let quiet = Some(PriceStatus { day: 1, ..PriceStatus::default() });
        let mut contact = contact(SessionStatus::Established, Trust::Unverified);
        contact.view.in_line = Arc::new([HeldBack::Messages].into());
        contact.view.next_look = Some(UnixSeconds(2_000 + 170));
        let queued = ours(MessageState::Queued, DeliveryLog::default());
        let page = page_at(UnixSeconds(2_000), quiet, (&contact, &queued));
        let told = "it waits for its turn: what is for this contact leaves one by one, the next \
                    within 3 minutes";
        assert!(page.contains(told) && !page.contains("price"), "{page}");
    }

    #[test]
    fn what_was_sent_says_that_its_acknowledgement_may_wait_for_a_lower_price() {
        let sent = DeliveryLog {
            attempts: 1,
            first_sent: Some(UnixSeconds(2_000)),
            last_sent: Some(UnixSeconds(2_000)),
            ..DeliveryLog::default()
        };
        let message = ours(MessageState::Sent, sent);
        let contact = contact(SessionStatus::Established, Trust::Unverified);
        let at = |day| {
            let price = Some(PriceStatus { day, ..PriceStatus::default() });
            page_at(UnixSeconds(3_000), price, (&contact, &message))
        };
        let told = "the acknowledgement waits for a lower price, too, unless the contact allows";
        assert!(at(4).contains(told), "{}", at(4));
        assert!(!at(3).contains(told), "{}", at(3));
    }

    #[test]
    fn what_was_sent_for_less_than_was_asked_is_not_said_to_have_expired_while_it_lives() {
        let contact = contact(SessionStatus::Established, Trust::Unverified);
        let delivery = DeliveryLog {
            attempts: 1,
            first_sent: Some(UnixSeconds(2_000)),
            last_sent: Some(UnixSeconds(2_000)),
            ..DeliveryLog::default()
        };
        let message = ours(MessageState::Unacknowledged, delivery);
        let at = |now| page_at(UnixSeconds(now), None, (&contact, &message));
        let fresh = at(2_000 + 86_399);
        assert!(fresh.contains("? in the pool, not for long\n"), "{fresh}");
        assert!(fresh.contains("retried automatically") && !fresh.contains("expired"), "{fresh}");
        let expired = at(2_000 + 86_400);
        assert!(expired.contains("? not acknowledged\n"), "{expired}");
        assert!(expired.contains("expired in the network"), "{expired}");
    }

    #[test]
    fn what_is_to_come_is_told_to_the_minute() {
        let contact = contact(SessionStatus::Established, Trust::Unverified);
        // 1970-01-01 00:33:20.
        let sent = Some(UnixSeconds(2_000));
        let delivery = DeliveryLog {
            attempts: 1,
            first_sent: sent,
            last_sent: sent,
            ..DeliveryLog::default()
        };
        let page = page(&contact, &ours(MessageState::Sent, delivery));
        let next = "  next          in the network until about 1970-01-02 00:33; retried \
                    automatically, less and less often, until 1970-01-31 00:33\n";
        assert!(page.contains(next), "{page}");
        assert!(page.ends_with("Times are those of this computer, in UTC."), "{page}");
    }

    #[test]
    fn times_that_are_not_known_do_not_contradict_the_state() {
        let contact = contact(SessionStatus::Established, Trust::Unverified);
        let rows = [
            (MessageState::Queued, "not yet", "no acknowledgement yet", "no read mark yet"),
            (MessageState::Failed, "no", "no acknowledgement yet", "no read mark yet"),
            (MessageState::Sent, "not recorded", "no acknowledgement yet", "no read mark yet"),
            (MessageState::Delivered, "not recorded", "not recorded", "no read mark yet"),
            (MessageState::Read, "not recorded", "not recorded", "not recorded"),
        ];
        for (state, sent, delivered, read) in rows {
            // As it is imported: a state, and no times.
            let page = page(&contact, &ours(state, DeliveryLog::default()));
            for (label, told) in [("sent", sent), ("delivered", delivered), ("read", read)] {
                assert!(page.contains(&format!("\n  {label:<14}{told}\n")), "{label} in {page}");
            }
        }
    }

    #[test]
    fn what_holds_a_message_back_is_what_its_details_say_comes_next() {
        let sent = DeliveryLog {
            attempts: 1,
            first_sent: Some(UnixSeconds(2_000)),
            last_sent: Some(UnixSeconds(2_000)),
            ..DeliveryLog::default()
        };
        let all = [
            (SessionStatus::Established, PAUSED, "until you verify or accept this contact"),
            (SessionStatus::Blocked, Trust::Unverified, "until you unblock this contact"),
            (SessionStatus::Blocked, PAUSED, "until you unblock this contact"),
        ];
        for (session, trust, waits) in all {
            let contact = contact(session, trust);
            for message in [
                ours(MessageState::Queued, DeliveryLog::default()),
                ours(MessageState::Sent, sent),
                ours(MessageState::Unacknowledged, sent),
            ] {
                let page = page(&contact, &message);
                assert!(page.contains(waits) && !page.contains("automatically"), "{page}");
            }
        }
        let queued = ours(MessageState::Queued, DeliveryLog::default());
        let without = page(&contact(SessionStatus::OfferSent, Trust::Unverified), &queued);
        assert!(without.contains("It waits for the session: waiting for their answer."));
        let ready = page(&contact(SessionStatus::Established, Trust::Unverified), &queued);
        assert!(ready.contains("it is sent automatically while a node runs"), "{ready}");
    }
}
