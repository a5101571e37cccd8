//! The receive window of one contact: the numbers received, a buffer for messages out of order, and
//! gaps.
//!
//! A contact begins another epoch after it lost its state, and messages of the one before may still
//! arrive, so a few epochs are remembered. Each takes two numbers, however many messages came in
//! it: everything below `next` was received, and the bits of `sack` say what was beyond it.
//!
//! As many messages are kept out of order as a sender has under way, which is more than the bits of
//! an acknowledgement reach. The numbers further ahead than that are not stored for themselves: after
//! a restart, the messages that are buffered tell them. A kind that is not understood is not
//! buffered, so its number is forgotten and it comes once more.
//!
//! Nothing here stores, emits or sets a timer: every method returns what happened.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::envelope::Lifetime;
use crate::engine::id::MessageId;
use crate::engine::record::{
    MAX_RECEIVE_SEQUENCES, MessageRecord, ReceiveSequence, StoredDirection,
};
use crate::engine::session::{Ack, SessionId};

use super::send_window::SEND_WINDOW;

/// After so many messages an acknowledgement goes without the usual delay, or more could have come
/// than the next one names: half of what one acknowledgement covers.
const MAX_RECEIVED_SINCE_ACK: u32 = 32;

/// Reports of one gap, within about an hour with the usual waits, and again after each start
/// (`proto/session.md`, "Gaps"). From then on the contact's own schedule has to do. A guess.
pub const MAX_GAP_REPORTS: u32 = 6;

/// The receive window of one contact.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    /// The epoch that the contact used last stands last; at most [`MAX_RECEIVE_SEQUENCES`].
    sequences: Vec<OpenSequence>,
    /// Messages that came before the ones they follow, by epoch and number; at most [`SEND_WINDOW`]
    /// of each epoch: 2 MB of a contact that means harm and uses all of them.
    reorder_buffer: BTreeMap<(u64, u64), MessageRecord>,
    /// Messages that were delivered in an unconfirmed session: a thief of our key could have
    /// written them.
    early: BTreeMap<MessageId, MessageRecord>,
    /// Messages received since our last acknowledgement, duplicates included.
    received_since_ack: u32,
    /// The longest lifetime of the envelopes they came in: the acknowledgement lives as long.
    ack_lifetime: Option<Lifetime>,
    reported_gap: Option<GapReport>,
}

/// The numbers received in one epoch: as they are stored, and those that lie further ahead.
#[derive(Debug)]
struct OpenSequence {
    stored: ReceiveSequence,
    /// Received, and more than [`Ack::REACH`] beyond the next; at most [`SEND_WINDOW`].
    further: BTreeSet<u64>,
}

/// A gap that is reported with every acknowledgement, and again by itself while it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GapReport {
    epoch: u64,
    /// Its first number.
    next: u64,
    /// How many times it was reported.
    count: u32,
}

/// The effect of a received number on its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It was the next. The sequence also passes those that followed it without a gap.
    InOrder,
    /// Others before it are missing.
    OutOfOrder,
    /// It was received before.
    Duplicate,
    /// It is further ahead than an honest sender goes. Nothing changed.
    OutOfWindow,
}

/// Whether there is another gap to report than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GapChange {
    /// The same, or none as before.
    Unchanged,
    /// Another one.
    Opened,
    /// None any more.
    Closed,
}

impl ReceiveWindow {
    pub(super) fn new(sequences: Vec<ReceiveSequence>) -> Self {
        Self {
            sequences: sequences.into_iter().map(OpenSequence::from).collect(),
            reorder_buffer: BTreeMap::new(),
            early: BTreeMap::new(),
            received_since_ack: 0,
            ack_lifetime: None,
            reported_gap: None,
        }
    }

    /// The numbers received in each epoch, as they are stored with the contact.
    pub(super) fn sequences(&self) -> Vec<ReceiveSequence> {
        self.sequences.iter().map(|sequence| sequence.stored.clone()).collect()
    }

    /// Takes back a stored message. One that came early in a session that is not `known` any more
    /// stays marked for good, and is not kept here.
    pub(super) fn restore(
        &mut self,
        message: MessageRecord,
        known: impl FnOnce(SessionId) -> bool,
    ) {
        let is_early = message.early.is_some_and(known);
        match (message.direction, message.number) {
            (StoredDirection::Buffered { epoch }, Some(number)) => {
                if let Some(sequence) = self.of_epoch(epoch) {
                    sequence.restore(number);
                }
                self.reorder_buffer.insert((epoch, number), message);
            }
            (StoredDirection::Delivered, _) if is_early => {
                self.early.insert(message.id, message);
            }
            (
                StoredDirection::Buffered { .. }
                | StoredDirection::Delivered
                | StoredDirection::Outgoing(_)
                | StoredDirection::AskedAgain,
                _,
            ) => {}
        }
    }

    /// Makes `epoch` the one that the contact uses; `base` is the lowest number that it still holds
    /// of it. An epoch not seen before starts there: the rest was acknowledged before we lost our
    /// state. Returns the messages buffered in other epochs, to be delivered: the gaps before them
    /// will not be filled.
    pub(super) fn open_epoch(&mut self, epoch: u64, base: u64) -> Vec<MessageRecord> {
        let known = self.sequences.iter().position(|sequence| sequence.stored.epoch == epoch);
        let mut waited = Vec::new();
        let sequence = match known {
            Some(index) => self.sequences.remove(index),
            None => {
                // At least one message before them is missing. How many cannot be known: the sender
                // has lost its count.
                waited = self.deliver(None, 1);
                ReceiveSequence { epoch, next: base, sack: 0, read_up_to: 0 }.into()
            }
        };
        if self.sequences.len() >= MAX_RECEIVE_SEQUENCES {
            // The epoch that was not used for longest.
            self.sequences.remove(0);
        }
        self.sequences.push(sequence);
        waited
    }

    /// Notes that `number` was received in the epoch opened last.
    pub(super) fn receive(&mut self, number: u64) -> Received {
        self.sequences.last_mut().map_or(Received::OutOfWindow, |sequence| sequence.receive(number))
    }

    /// Buffers a message until the ones before it have come.
    pub(super) fn buffer(&mut self, epoch: u64, number: u64, message: MessageRecord) {
        self.reorder_buffer.insert((epoch, number), message);
    }

    /// Notes that a message was delivered; kept only if it came early and may still be confirmed.
    pub(super) fn delivered(&mut self, message: MessageRecord) {
        if message.early.is_some() {
            self.early.insert(message.id, message);
        }
    }

    /// Takes the buffered messages that are in order now. The first of them is marked with
    /// `missing`, how many numbers before it were given up.
    pub(super) fn deliver_in_order(&mut self, epoch: u64, missing: u64) -> Vec<MessageRecord> {
        let Some(sequence) = self.of_epoch(epoch) else { return Vec::new() };
        let next = sequence.stored.next;
        self.deliver(Some((epoch, next)), missing)
    }

    /// Takes the messages buffered below a number of an epoch, or all of them.
    fn deliver(&mut self, below: Option<(u64, u64)>, missing: u64) -> Vec<MessageRecord> {
        let all = match below {
            Some((epoch, next)) => self.reorder_buffer.range((epoch, 0)..(epoch, next)),
            None => self.reorder_buffer.range(..),
        };
        let places: Vec<(u64, u64)> = all.map(|(&place, _)| place).collect();
        let mut missing = missing;
        let mut delivered = Vec::new();
        for place in places {
            let Some(mut message) = self.reorder_buffer.remove(&place) else { continue };
            message.direction = StoredDirection::Delivered;
            message.missing = core::mem::take(&mut missing);
            self.delivered(message.clone());
            delivered.push(message);
        }
        delivered
    }

    /// Gives up on the numbers below `base`, which the contact does not hold any more. Returns how
    /// many of them were missing.
    pub(super) fn skip_to(&mut self, epoch: u64, base: u64) -> u64 {
        self.of_epoch(epoch).map_or(0, |sequence| sequence.skip_to(base))
    }

    fn of_epoch(&mut self, epoch: u64) -> Option<&mut OpenSequence> {
        self.sequences.iter_mut().find(|sequence| sequence.stored.epoch == epoch)
    }

    /// Lifts the mark from what came early in a session that is confirmed now. Returns those
    /// messages, in the order of their ids.
    pub(super) fn confirm(&mut self, session: SessionId) -> Vec<MessageRecord> {
        let mut confirmed = Vec::new();
        for message in self.reorder_buffer.values_mut() {
            if message.early.take_if(|early| *early == session).is_some() {
                confirmed.push(message.clone());
            }
        }
        let (early, others) = core::mem::take(&mut self.early)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, message)| message.early == Some(session));
        self.early = others;
        confirmed
            .extend(early.into_values().map(|message| MessageRecord { early: None, ..message }));
        confirmed.sort_unstable_by_key(|message| message.id);
        confirmed
    }

    /// Forgets the early messages of an erased session: they stay marked for good.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        self.early.retain(|_, message| message.early != Some(session));
    }

    /// Whether a message is buffered, and so not shown yet.
    pub(super) fn is_buffered(&self, id: MessageId) -> bool {
        self.reorder_buffer.values().any(|message| message.id == id)
    }

    /// Whether a message is held here: it is buffered, or came early.
    pub(super) fn holds(&self, id: MessageId) -> bool {
        self.early.contains_key(&id) || self.is_buffered(id)
    }

    /// Forgets a message that was delivered.
    pub(super) fn remove(&mut self, id: MessageId) {
        self.early.remove(&id);
    }

    /// The acknowledgement that every payload carries: of the epoch that the contact used last.
    pub(super) fn latest_ack(&self) -> Option<Ack> {
        let ReceiveSequence { epoch, next, sack, read_up_to: _ } = self.sequences.last()?.stored;
        Some(Ack { epoch, next, sack })
    }

    /// How many messages are known to exist and have not arrived.
    pub(super) fn missing(&self) -> u64 {
        self.sequences.last().map_or(0, OpenSequence::missing)
    }

    /// Notes that a person has read everything of the latest epoch up to the message with this
    /// number. Returns whether that is more than before.
    pub(super) fn read_up_to(&mut self, number: u64) -> bool {
        let Some(OpenSequence { stored: sequence, .. }) = self.sequences.last_mut() else {
            return false;
        };
        let read = number.saturating_add(1).min(sequence.next);
        let further = read > sequence.read_up_to;
        sequence.read_up_to = sequence.read_up_to.max(read);
        further
    }

    /// How far a person has read: the epoch, and the lowest number not read. `None` if nothing of
    /// the latest epoch was.
    pub(super) fn last_read(&self) -> Option<(u64, u64)> {
        let last = self.sequences.last().map(|last| &last.stored);
        let last = last.filter(|last| last.read_up_to > 0)?;
        Some((last.epoch, last.read_up_to))
    }

    /// Makes the next acknowledgement live at least as long as this.
    pub(super) fn extend_ack_lifetime(&mut self, lifetime: Lifetime) {
        self.ack_lifetime = self.ack_lifetime.max(Some(lifetime));
    }

    /// How long the next acknowledgement must live.
    pub(super) const fn ack_lifetime(&self) -> Option<Lifetime> {
        self.ack_lifetime
    }

    /// Notes that an acknowledgement is owed for an envelope of this lifetime; returns whether it
    /// must go at once.
    pub(super) fn owe_ack(&mut self, lifetime: Lifetime) -> bool {
        self.extend_ack_lifetime(lifetime);
        self.received_since_ack = self.received_since_ack.saturating_add(1);
        self.received_since_ack >= MAX_RECEIVED_SINCE_ACK
    }

    /// Whether an acknowledgement is owed.
    pub(super) const fn owes_ack(&self) -> bool {
        self.received_since_ack > 0
    }

    /// Notes that an envelope of this lifetime goes to the contact. Every payload acknowledges, so
    /// nothing is owed any more, if the envelope lives long enough for that (`proto/session.md`,
    /// "Lives").
    pub(super) fn ack_sent(&mut self, lifetime: Lifetime) {
        if self.ack_lifetime.is_none_or(|owed| owed <= lifetime) {
            (self.received_since_ack, self.ack_lifetime) = (0, None);
        }
    }

    /// Compares what is missing with the gap that is being reported.
    pub(super) fn update_gap_report(&mut self) -> GapChange {
        let last = self.sequences.last().filter(|sequence| sequence.missing() > 0);
        let gap = last.map(|sequence| (sequence.stored.epoch, sequence.stored.next));
        // A gap is named by its first number: filling its end leaves the schedule of reports alone,
        // filling its beginning starts it anew.
        if self.reported_gap.map(|report| (report.epoch, report.next)) == gap {
            return GapChange::Unchanged;
        }
        self.reported_gap = gap.map(|(epoch, next)| GapReport { epoch, next, count: 0 });
        if gap.is_some() { GapChange::Opened } else { GapChange::Closed }
    }

    /// Makes an acknowledgement due that reports the gap, though none may be owed; returns how many
    /// reports there were of it, or `None` if there is no gap.
    pub(super) fn report_gap(&mut self) -> Option<u32> {
        let report = self.reported_gap.as_mut()?;
        report.count = report.count.saturating_add(1);
        self.received_since_ack = self.received_since_ack.max(1);
        Some(report.count)
    }
}

impl From<ReceiveSequence> for OpenSequence {
    fn from(stored: ReceiveSequence) -> Self {
        Self { stored, further: BTreeSet::new() }
    }
}

impl OpenSequence {
    /// Notes again that a number was received whose message is buffered.
    fn restore(&mut self, number: u64) {
        let ahead = number.saturating_sub(self.stored.next);
        // The bits of the others are stored.
        if (Ack::REACH + 1..=SEND_WINDOW).contains(&ahead) {
            self.further.insert(number);
        }
    }

    /// Notes that `number` was received.
    fn receive(&mut self, number: u64) -> Received {
        // Everything below `next` was received or given up. Shown now, it would be out of its
        // place.
        let Some(ahead) = number.checked_sub(self.stored.next) else { return Received::Duplicate };
        if ahead == 0 {
            self.advance();
            return Received::InOrder;
        }
        // No honest sender leaves an unacknowledged message so far behind.
        if ahead > SEND_WINDOW {
            return Received::OutOfWindow;
        }
        let is_new = if ahead > Ack::REACH {
            self.further.insert(number)
        } else {
            let bit = 1_u64 << (ahead - 1);
            let is_new = self.stored.sack & bit == 0;
            self.stored.sack |= bit;
            is_new
        };
        if is_new { Received::OutOfOrder } else { Received::Duplicate }
    }

    /// Gives up on what is missing below `base`; returns how many numbers those are.
    fn skip_to(&mut self, base: u64) -> u64 {
        let mut missing = 0_u64;
        while self.stored.next < base {
            if self.stored.sack == 0 && self.further.is_empty() {
                // Nothing beyond was received. A hostile base may be 2^64 away, so it is reached in
                // one step; the loop takes at most one turn for each number of the window.
                missing = missing.saturating_add(base - self.stored.next);
                self.stored.next = base;
                break;
            }
            missing = missing.saturating_add(1);
            self.advance();
        }
        missing
    }

    fn advance(&mut self) {
        loop {
            self.stored.next = self.stored.next.saturating_add(1);
            let following = self.stored.sack & 1 != 0;
            self.stored.sack >>= 1;
            // The one that the last bit reaches now.
            if self.further.remove(&self.stored.next.saturating_add(Ack::REACH)) {
                self.stored.sack |= 1 << (Ack::REACH - 1);
            }
            if !following {
                return;
            }
        }
    }

    /// How many numbers below the highest received one are missing.
    fn missing(&self) -> u64 {
        let ReceiveSequence { epoch: _, next, sack, read_up_to: _ } = self.stored;
        let within = u64::from(u64::BITS - sack.leading_zeros());
        let span = self.further.last().map_or(within, |furthest| furthest.saturating_sub(next));
        let received = u64::from(sack.count_ones()) + self.further.len() as u64;
        // `next` itself is missing, and has no bit: hence one more than the highest bit.
        if span == 0 { 0 } else { (span + 1).saturating_sub(received) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::id::ContactId;
    use crate::engine::record::DeliveryLog;

    const EARLY: SessionId = SessionId([3; 32]);

    fn message(id: u64, early: Option<SessionId>) -> MessageRecord {
        MessageRecord {
            id: MessageId(id),
            contact: ContactId(1),
            direction: StoredDirection::Buffered { epoch: 5 },
            number: Some(id),
            text: "text".to_owned(),
            at: UnixSeconds(9),
            missing: 0,
            early,
            postage: Lifetime::Day.into(),
            delivery: DeliveryLog::default(),
        }
    }

    /// A window in which epoch 5 was opened, and which has buffered these numbers.
    fn buffered(numbers: &[u64]) -> ReceiveWindow {
        let mut window = ReceiveWindow::new(Vec::new());
        assert!(window.open_epoch(5, 0).is_empty());
        for &number in numbers {
            assert_eq!(window.receive(number), Received::OutOfOrder);
            window.buffer(5, number, message(number, None));
        }
        window
    }

    fn numbers(messages: &[MessageRecord]) -> Vec<u64> {
        messages.iter().filter_map(|message| message.number).collect()
    }

    #[test]
    fn buffered_messages_are_delivered_in_order_when_the_gap_is_filled() {
        let mut window = buffered(&[2, 1, 4]);
        assert_eq!(window.receive(0), Received::InOrder);
        let delivered = window.deliver_in_order(5, 0);
        assert_eq!(numbers(&delivered), [1, 2]);
        assert!(delivered.iter().all(|message| message.direction == StoredDirection::Delivered));
        assert_eq!((window.missing(), window.deliver_in_order(5, 0).len()), (1, 0));
    }

    #[test]
    fn the_first_after_a_gap_that_will_not_be_filled_says_how_many_are_missing() {
        let mut window = buffered(&[3, 4]);
        assert_eq!(window.skip_to(5, 3), 3);
        let delivered = window.deliver_in_order(5, 3);
        assert_eq!(numbers(&delivered), [3, 4]);
        assert_eq!(delivered.iter().map(|message| message.missing).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(window.skip_to(6, 9), 0, "an epoch that was never opened");
    }

    #[test]
    fn another_epoch_delivers_the_messages_buffered_in_others_and_forgets_the_oldest_of_five() {
        let mut window = buffered(&[7]);
        assert_eq!(numbers(&window.open_epoch(6, 40)), [7]);
        assert_eq!(window.receive(40), Received::InOrder);
        for epoch in 7..10 {
            window.open_epoch(epoch, 0);
        }
        let epochs: Vec<u64> = window.sequences().iter().map(|known| known.epoch).collect();
        assert_eq!(epochs, [6, 7, 8, 9]);
        window.open_epoch(6, 0);
        assert_eq!(window.latest_ack(), Some(Ack { epoch: 6, next: 41, sack: 0 }));
    }

    #[test]
    fn an_early_message_is_confirmed_with_its_session_and_stays_marked_without_it() {
        let early = || {
            let mut window = buffered(&[]);
            window.delivered(MessageRecord {
                direction: StoredDirection::Delivered,
                ..message(9, Some(EARLY))
            });
            window.receive(3);
            window.buffer(5, 3, message(3, Some(EARLY)));
            window
        };
        let mut window = early();
        let confirmed = window.confirm(EARLY);
        assert_eq!(numbers(&confirmed), [3, 9]);
        assert!(confirmed.iter().all(|message| message.early.is_none()));
        assert!(window.holds(MessageId(3)) && !window.holds(MessageId(9)));
        assert!(window.confirm(EARLY).is_empty(), "once");
        let mut window = early();
        window.forget_session(EARLY);
        assert!(window.is_buffered(MessageId(3)) && !window.holds(MessageId(9)));
    }

    #[test]
    fn a_gap_is_reported_anew_when_it_is_another_one() {
        let mut window = buffered(&[2]);
        assert_eq!(window.update_gap_report(), GapChange::Opened);
        assert_eq!(window.update_gap_report(), GapChange::Unchanged);
        assert_eq!((window.report_gap(), window.report_gap()), (Some(1), Some(2)));
        assert!(window.owes_ack(), "a report is an acknowledgement");
        assert_eq!(window.receive(0), Received::InOrder);
        assert_eq!(window.update_gap_report(), GapChange::Opened, "1 is missing now");
        assert_eq!(window.report_gap(), Some(1));
        assert_eq!(window.receive(1), Received::InOrder);
        assert_eq!(window.update_gap_report(), GapChange::Closed);
        assert_eq!(window.report_gap(), None);
    }

    #[test]
    fn an_acknowledgement_is_owed_until_one_leaves_that_lives_as_long() {
        let mut window = buffered(&[]);
        assert!(!window.owe_ack(Lifetime::Week));
        window.ack_sent(Lifetime::Day);
        assert!(window.owes_ack());
        window.ack_sent(Lifetime::Week);
        assert!(!window.owes_ack() && window.ack_lifetime().is_none());
        let at_once = (0..MAX_RECEIVED_SINCE_ACK).map(|_| window.owe_ack(Lifetime::Day));
        assert_eq!(at_once.filter(|at_once| *at_once).count(), 1, "the last of them");
    }

    #[test]
    fn the_read_mark_never_passes_the_delivered_messages_and_never_goes_back() {
        let mut window = buffered(&[]);
        (0..5).for_each(|number| assert_eq!(window.receive(number), Received::InOrder));
        assert!(window.read_up_to(2));
        assert_eq!(window.last_read(), Some((5, 3)));
        assert!(!window.read_up_to(1));
        assert!(window.read_up_to(u64::MAX));
        assert_eq!(window.last_read(), Some((5, 5)));
    }

    #[test]
    fn a_hostile_base_takes_no_time() {
        let stored = ReceiveSequence { epoch: 1, next: 0, sack: 0b101, read_up_to: 0 };
        let mut sequence = OpenSequence::from(stored);
        assert_eq!(sequence.receive(200), Received::OutOfOrder);
        assert_eq!(sequence.skip_to(u64::MAX), u64::MAX - 3);
        assert_eq!(sequence.stored.next, u64::MAX);
    }

    #[test]
    fn what_is_further_ahead_than_an_acknowledgement_reaches_is_kept_and_not_named_by_it() {
        let mut window = buffered(&[64, 65, 256]);
        assert_eq!(window.receive(257), Received::OutOfWindow);
        assert_eq!(window.receive(256), Received::Duplicate);
        let reach = Some(Ack { epoch: 5, next: 0, sack: 1 << 63 });
        assert_eq!(window.latest_ack(), reach, "65 and 256 count as not heard of");
        assert_eq!(window.missing(), 254);
        for number in 0..64 {
            window.receive(number);
        }
        assert_eq!(numbers(&window.deliver_in_order(5, 0)), [64, 65]);
        assert_eq!(window.latest_ack(), Some(Ack { epoch: 5, next: 66, sack: 0 }));
        for number in 66..256 {
            window.receive(number);
        }
        assert_eq!(numbers(&window.deliver_in_order(5, 0)), [256]);
        assert_eq!((window.missing(), window.latest_ack().map(|ack| ack.next)), (0, Some(257)));
    }

    #[test]
    fn after_a_restart_the_buffered_messages_tell_what_was_received_further_ahead() {
        let before = buffered(&[3, 65, 200]);
        let mut window = ReceiveWindow::new(before.sequences());
        for message in before.reorder_buffer.into_values() {
            window.restore(message, |_| true);
        }
        assert_eq!(window.missing(), 198);
        for number in [3, 65, 200] {
            assert_eq!(window.receive(number), Received::Duplicate);
        }
        let missing: Vec<u64> = (0..200).filter(|number| ![3, 65].contains(number)).collect();
        assert!(missing.iter().all(|number| window.receive(*number) != Received::Duplicate));
        assert_eq!(numbers(&window.deliver_in_order(5, 0)), [3, 65, 200]);
    }

    proptest! {
        #[test]
        fn a_sequence_agrees_with_a_plain_set_of_numbers(
            steps in proptest::collection::vec((0_u64..600, proptest::bool::weighted(0.02)), 1..500),
        ) {
            let mut sequence = OpenSequence::from(ReceiveSequence::default());
            let mut have = BTreeSet::new();
            for (number, skip) in steps {
                if skip {
                    let missing = (0..number).filter(|n| !have.contains(n)).count() as u64;
                    prop_assert_eq!(sequence.skip_to(number), missing);
                    have.extend(0..number);
                } else {
                    let next = (0..).find(|n| !have.contains(n)).unwrap();
                    let expected = if have.contains(&number) {
                        Received::Duplicate
                    } else if number == next {
                        Received::InOrder
                    } else if number > next + SEND_WINDOW {
                        Received::OutOfWindow
                    } else {
                        Received::OutOfOrder
                    };
                    prop_assert_eq!(sequence.receive(number), expected);
                    if expected != Received::OutOfWindow {
                        have.insert(number);
                    }
                }
                let next = (0..).find(|n| !have.contains(n)).unwrap();
                prop_assert_eq!(sequence.stored.next, next);
                for k in 0..64 {
                    let bit = sequence.stored.sack >> k & 1 == 1;
                    prop_assert_eq!(bit, have.contains(&(next + 1 + k)));
                }
                let further = have.range(next + 65..).copied();
                prop_assert!(sequence.further.iter().copied().eq(further));
                prop_assert!(sequence.further.len() as u64 <= SEND_WINDOW);
            }
        }

        #[test]
        fn missing_counts_the_numbers_not_received_below_the_highest(
            numbers in proptest::collection::btree_set(0_u64..256, 0..256),
        ) {
            let mut sequence = OpenSequence::from(ReceiveSequence::default());
            for &number in &numbers {
                sequence.receive(number);
            }
            let below = numbers.last().map_or(0, |last| last + 1);
            prop_assert_eq!(sequence.missing(), below - numbers.len() as u64);
        }

        #[test]
        fn whatever_the_order_every_message_is_delivered_once_and_in_its_place(
            arrivals in proptest::collection::vec(0_u64..250, 1..600),
        ) {
            let mut window = buffered(&[]);
            let mut delivered = Vec::new();
            for number in &arrivals {
                match window.receive(*number) {
                    Received::InOrder => {
                        delivered.push(*number);
                        window.delivered(message(*number, None));
                        delivered.extend(numbers(&window.deliver_in_order(5, 0)));
                    }
                    Received::OutOfOrder => window.buffer(5, *number, message(*number, None)),
                    Received::Duplicate | Received::OutOfWindow => {}
                }
            }
            let first_missing = (0..).find(|number| !arrivals.contains(number)).unwrap();
            prop_assert_eq!(delivered, (0..first_missing).collect::<Vec<_>>());
        }
    }
}
