//! The send window of one contact: the queue, the numbers, and the messages that are not
//! acknowledged.
//!
//! A message keeps its number while it is sent again and across sessions, so it is shown once and
//! in its place whatever the network does. The newest unacknowledged number is less than
//! [`SEND_WINDOW`] ahead of the oldest. Abandoning a message frees its number and lets the base pass
//! it, which tells the contact that the number will not come.
//!
//! Nothing here stores, emits or sets a timer: every method returns what happened.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::env::Millis;
use crate::engine::envelope::Lifetime;
use crate::engine::id::MessageId;
use crate::engine::price::Step;
use crate::engine::record::{MessageRecord, MessageState, SendSequence, StoredDirection};
use crate::engine::session::{Ack, SessionId};

/// How many numbers may be under way at once, from the oldest unacknowledged message on: more than
/// one person says in a day to somebody who is away. A guess, and a quarter of a chain's positions,
/// so that their repetitions find room in it too. A recipient keeps as many out of order.
pub const SEND_WINDOW: u64 = 256;

/// The send window of one contact.
#[derive(Debug)]
pub(super) struct SendWindow {
    pub(super) sequence: SendSequence,
    /// Our messages up to their acknowledgement, or their read receipt if one may come; and those
    /// that failed or were cancelled, which a person may still send.
    messages: BTreeMap<MessageId, MessageRecord>,
    /// Accepted and not encrypted yet, in order.
    pub(super) queue: VecDeque<MessageId>,
    /// Encrypted at least once and not acknowledged, by number.
    pub(super) unacked: BTreeMap<u64, MessageId>,
    /// The last sending of each of them in this process.
    pub(super) in_flight: BTreeMap<MessageId, Transmission>,
    /// The highest `next` of all acknowledgements: an older acknowledgement is one with a lower.
    peer_acked_up_to: u64,
    /// The base to announce, while an announcement is due.
    base_to_announce: Option<u64>,
    /// The next number when this process began. Lower ones were given by the stored state, so even
    /// an acknowledgement from before a rollback names the same messages by them.
    pub(super) restored_next: u64,
    /// One more than the highest number that an acknowledgement could name when
    /// [`super::reach::newly_within`] was asked last.
    pub(super) reached: u64,
    /// Messages that have not left.
    unsent: usize,
}

/// The last sending of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmission {
    pub(super) session: SessionId,
    /// Sendings since the process began or the message was numbered.
    count: u32,
    pub(super) sent_at: Millis,
    /// The step that the last one paid.
    pub(super) paid: Option<Step>,
}

/// The effect of an acknowledgement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acked {
    /// Messages acknowledged for the first time.
    pub(super) received: Vec<MessageId>,
    /// Unacknowledged messages below them that are probably lost.
    pub(super) overtaken: Vec<MessageId>,
}

/// The state of a message before it was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// It waited in the queue.
    Unnumbered,
    /// It was encrypted; its number is free again.
    Numbered,
}

impl SendWindow {
    pub(super) fn new(sequence: SendSequence) -> Self {
        Self {
            restored_next: sequence.next,
            reached: sequence.next.saturating_add(Ack::REACH + 1),
            sequence,
            messages: BTreeMap::new(),
            queue: VecDeque::new(),
            unacked: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            peer_acked_up_to: 0,
            base_to_announce: None,
            unsent: 0,
        }
    }

    /// The numbers, as they are stored with the contact.
    pub(super) const fn sequence(&self) -> &SendSequence {
        &self.sequence
    }

    pub(super) fn message(&self, id: MessageId) -> Option<&MessageRecord> {
        self.messages.get(&id)
    }

    /// The state of a message of ours.
    pub(super) fn state(&self, id: MessageId) -> Option<MessageState> {
        self.messages.get(&id).and_then(state)
    }

    /// Messages that have not left.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// Whether any message waits in the queue.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether the contact has not acknowledged everything, sent or not.
    pub(super) fn has_unfinished(&self) -> bool {
        self.has_queued() || !self.unacked.is_empty()
    }

    /// The longest lifetime of the messages that wait for a session or an acknowledgement.
    pub(super) fn longest_lifetime(&self) -> Option<Lifetime> {
        let waiting = self
            .messages
            .values()
            .filter(|message| state(message).is_some_and(MessageState::awaits_delivery));
        waiting.map(|message| message.postage.lifetime).max()
    }

    /// Takes in a message that was just written.
    pub(super) fn accept(&mut self, message: MessageRecord) {
        let id = message.id;
        self.insert(message);
        self.queue.push_back(id);
    }

    /// Takes back a stored message; returns whether it was under way.
    pub(super) fn restore(&mut self, message: MessageRecord) -> bool {
        let (id, number) = (message.id, message.number);
        let Some(state) = state(&message) else { return false };
        let mut under_way = false;
        match (state, number) {
            (MessageState::Queued, _) => self.queue.push_back(id),
            (
                MessageState::Mining | MessageState::Sent | MessageState::Unacknowledged,
                Some(number),
            ) => {
                self.unacked.insert(number, id);
                under_way = true;
            }
            // Abandoned. Asking to send it again clears `first_sent`, so one without it waits in
            // the queue.
            (MessageState::Unacknowledged, None) => {
                if message.delivery.first_sent.is_none() {
                    self.queue.push_back(id);
                }
            }
            // Kept, because a person may still send them.
            (MessageState::Failed | MessageState::Cancelled, _) => {}
            // Done with: no receipt is awaited over a restart.
            (
                MessageState::Mining
                | MessageState::Sent
                | MessageState::Delivered
                | MessageState::Read,
                _,
            ) => return false,
        }
        self.insert(message);
        under_way
    }

    /// Queues a message behind all others, unless it waits already.
    pub(super) fn enqueue(&mut self, id: MessageId) {
        if !self.queue.contains(&id) {
            self.queue.push_back(id);
        }
    }

    /// Queues a message before all others.
    pub(super) fn enqueue_first(&mut self, id: MessageId) {
        self.queue.push_front(id);
    }

    /// Takes a message out of the queue, if it waits there.
    pub(super) fn dequeue(&mut self, id: MessageId) {
        self.queue.retain(|&queued| queued != id);
    }

    /// The next message and the number it gets; `None` while the window is full.
    pub(super) fn next(&self) -> Option<(&MessageRecord, u64)> {
        let id = self.queue.front()?;
        let number = self.sequence.next;
        // The oldest decides, even if all after it were acknowledged: the recipient keeps no more out
        // of order.
        let oldest = self.unacked.keys().next().copied().unwrap_or(number);
        if number.saturating_sub(oldest) >= SEND_WINDOW {
            return None;
        }
        Some((self.messages.get(id)?, number))
    }

    /// Numbers the next message, which was encrypted in `session`.
    pub(super) fn number_next(&mut self, session: SessionId, now: Millis) -> Option<MessageId> {
        let id = self.queue.pop_front()?;
        let number = self.sequence.next;
        self.sequence.next = number.saturating_add(1);
        self.unacked.insert(number, id);
        self.in_flight.insert(id, Transmission { session, count: 0, sent_at: now, paid: None });
        self.messages.get_mut(&id)?.number = Some(number);
        Some(id)
    }

    /// Notes that a message was encrypted once more, in `session`.
    pub(super) fn encrypted_again(&mut self, id: MessageId, session: SessionId, now: Millis) {
        let before = self.in_flight.get(&id);
        let count = before.map_or(0, |transmission| transmission.count);
        let paid = before.and_then(|transmission| transmission.paid);
        self.in_flight.insert(id, Transmission { session, count, sent_at: now, paid });
    }

    /// Notes that a message was published; returns how often it was before.
    pub(super) fn transmitted(&mut self, id: MessageId, now: Millis) -> u32 {
        let Some(transmission) = self.in_flight.get_mut(&id) else { return 0 };
        let before = transmission.count;
        transmission.count = before.saturating_add(1);
        transmission.sent_at = now;
        before
    }

    /// The lowest number that may still come, for a payload that has `number` itself.
    pub(super) fn base(&self, number: Option<u64>) -> u64 {
        let oldest = self.unacked.keys().next().copied();
        oldest.or(number).unwrap_or(self.sequence.next)
    }

    /// The oldest unacknowledged message.
    pub(super) fn oldest_unacked(&self) -> Option<&MessageRecord> {
        self.messages.get(self.unacked.values().next()?)
    }

    /// All unacknowledged messages, in the order of their numbers.
    pub(super) fn unacked(&self) -> Vec<MessageId> {
        self.unacked.values().copied().collect()
    }

    /// The unacknowledged messages that were last sent in another session than this one, or not
    /// since the start.
    pub(super) fn sent_elsewhere(&self, session: SessionId) -> Vec<MessageId> {
        let elsewhere = |id: &&MessageId| {
            self.in_flight.get(id).is_none_or(|transmission| transmission.session != session)
        };
        self.unacked.values().filter(elsewhere).copied().collect()
    }

    /// Takes an acknowledgement. Numbers from `believed` on are not believed. A message sent less
    /// than `in_flight` ago is late rather than lost, and so is one sent less than four times as long
    /// ago if the acknowledgement names nothing that was not acknowledged: every payload repeats it.
    pub(super) fn acknowledge(
        &mut self,
        ack: &Ack,
        believed: u64,
        in_flight: Millis,
        now: Millis,
    ) -> Acked {
        // Of an epoch before a rollback or another key: its numbers belong to other messages.
        if ack.epoch != self.sequence.epoch {
            return Acked::default();
        }
        let received: Vec<(u64, MessageId)> = self
            .unacked
            .iter()
            .filter(|&(&number, _)| number < believed && ack.covers(number))
            .map(|(&number, &id)| (number, id))
            .collect();
        // Whoever has read what left in this process has read what left before it, if it came.
        let newest_here = received.iter().rfind(|(_, id)| self.in_flight.contains_key(id));
        let newest_here = newest_here.map(|&(number, _)| number);
        for &(number, id) in &received {
            self.unacked.remove(&number);
            self.in_flight.remove(&id);
        }
        let late =
            if received.is_empty() { Millis(in_flight.0.saturating_mul(4)) } else { in_flight };
        let lost = |number: u64, id: MessageId| match self.in_flight.get(&id) {
            Some(last) => last.sent_at.plus(late) < now,
            // Restored and not sent since: due by its own timer, unless it was overtaken here.
            None => newest_here.is_some_and(|newest| number < newest),
        };
        let overtaken = self.unacked.range(..ack.end().min(believed));
        let overtaken = overtaken.filter(|&(&number, &id)| lost(number, id));
        let overtaken = overtaken.map(|(_, &id)| id).collect();
        Acked { received: received.into_iter().map(|(_, id)| id).collect(), overtaken }
    }

    /// Takes a read receipt for everything below `below`, which also acknowledges it; returns the
    /// messages acknowledged by that. `None` if it names another epoch, or numbers that were never
    /// given: it would cover messages yet to be written.
    pub(super) fn acknowledge_read(&mut self, epoch: u64, below: u64) -> Option<Vec<MessageId>> {
        if epoch != self.sequence.epoch || below > self.sequence.next {
            return None;
        }
        let later = self.unacked.split_off(&below);
        let received: Vec<MessageId> =
            core::mem::replace(&mut self.unacked, later).into_values().collect();
        for id in &received {
            self.in_flight.remove(id);
        }
        Some(received)
    }

    /// Whether the contact waits for a number that will never come, by its acknowledgement; returns
    /// the base to announce.
    pub(super) fn is_peer_stalled(&mut self, ack: &Ack) -> Option<u64> {
        // An older acknowledgement that arrives late says nothing of what the contact waits for
        // now.
        if ack.epoch != self.sequence.epoch || ack.next < self.peer_acked_up_to {
            return None;
        }
        self.peer_acked_up_to = ack.next;
        let base = self.base(None);
        // It has later messages, or they may all be beyond what it can name, and waits for one below
        // our base.
        let has_later = ack.sack != 0 || base.saturating_sub(ack.next) > Ack::REACH;
        (has_later && ack.next < base).then_some(base)
    }

    /// Makes an announcement of our base due.
    pub(super) const fn announce_base(&mut self, base: u64) {
        self.base_to_announce = Some(base);
    }

    /// Whether an announcement of our base is due.
    pub(super) const fn has_base_to_announce(&self) -> bool {
        self.base_to_announce.is_some()
    }

    /// Notes that a payload with this base is sent.
    pub(super) fn base_announced(&mut self, base: u64) {
        self.base_to_announce.take_if(|announced| *announced <= base);
    }

    /// Withdraws a message that was never published and frees its number. It is always the last
    /// that got one, because one envelope is on its way at a time, so that leaves no gap.
    pub(super) fn withdraw(&mut self, id: MessageId) -> Withdrawn {
        self.in_flight.remove(&id);
        let number = self.messages.get_mut(&id).and_then(|message| message.number.take());
        let Some(number) = number else {
            self.dequeue(id);
            return Withdrawn::Unnumbered;
        };
        self.unacked.remove(&number);
        self.sequence.next = number;
        Withdrawn::Numbered
    }

    /// Frees the number of a message that was published and not acknowledged. From then on no
    /// acknowledgement is believed for it: one that covers all below a number does not tell
    /// received from skipped. Returns the base if it has to be announced.
    pub(super) fn abandon(&mut self, id: MessageId) -> Option<u64> {
        let number = self.messages.get_mut(&id)?.number.take();
        self.in_flight.remove(&id);
        let Some(number) = number else {
            self.dequeue(id);
            return None;
        };
        self.unacked.remove(&number);
        let base = self.base(None);
        // No announcement without a later number, for which alone the contact would wait; nor while
        // an older one is unacknowledged, because the base has not moved. `is_peer_stalled` sees to
        // the latter.
        let waits = number < base && number.saturating_add(1) < self.sequence.next;
        waits.then_some(base)
    }

    /// Begins another epoch for the holder of another key, who has nothing of the one before: all
    /// unacknowledged messages come first in it.
    pub(super) fn start_epoch(&mut self, epoch: u64) {
        self.in_flight.clear();
        let unacked = core::mem::take(&mut self.unacked);
        self.renumber(epoch, unacked.into_values());
    }

    /// Begins `epoch`, in which these messages get the first numbers.
    pub(super) fn renumber(&mut self, epoch: u64, ids: impl Iterator<Item = MessageId>) {
        // All are numbers of the epoch before.
        (self.base_to_announce, self.peer_acked_up_to, self.reached) = (None, 0, 0);
        self.unacked = (0..).zip(ids).collect();
        for (&number, id) in &self.unacked {
            if let Some(message) = self.messages.get_mut(id) {
                message.number = Some(number);
            }
        }
        self.sequence = SendSequence { epoch, next: self.unacked.len() as u64 };
    }

    /// The number below which a stale envelope is believed: the next one when the process began.
    pub(super) const fn restored_next(&self) -> u64 {
        self.restored_next
    }

    /// Moves a message to another state, if that transition is allowed; returns it as it is then.
    /// The same state again is allowed: its delivery log may have changed.
    pub(super) fn advance(&mut self, id: MessageId, to: MessageState) -> Option<&MessageRecord> {
        let message = self.messages.get_mut(&id)?;
        let from = state(message)?;
        if from != to && !from.may_become(to) {
            return None;
        }
        message.direction = StoredDirection::Outgoing(to);
        self.unsent = self.unsent + usize::from(to.is_unsent()) - usize::from(from.is_unsent());
        Some(message)
    }

    /// Changes what is noted of a message, and not its state.
    pub(super) fn log(
        &mut self,
        id: MessageId,
        note: impl FnOnce(&mut MessageRecord),
    ) -> Option<&MessageRecord> {
        let message = self.messages.get_mut(&id)?;
        note(message);
        Some(message)
    }

    /// Drops a message that is done with.
    pub(super) fn remove(&mut self, id: MessageId) {
        if let Some(state) = self.messages.remove(&id).as_ref().and_then(state) {
            self.unsent -= usize::from(state.is_unsent());
        }
    }

    /// All messages held here, in the order of their ids.
    pub(super) fn ids(&self) -> Vec<MessageId> {
        self.messages.keys().copied().collect()
    }

    /// The messages that were encrypted and not published.
    pub(super) fn mining(&self) -> Vec<MessageId> {
        let mining = |message: &&MessageRecord| state(message) == Some(MessageState::Mining);
        self.messages.values().filter(mining).map(|message| message.id).collect()
    }

    fn insert(&mut self, message: MessageRecord) {
        self.remove(message.id);
        let unsent = state(&message).is_some_and(MessageState::is_unsent);
        self.unsent += usize::from(unsent);
        self.messages.insert(message.id, message);
    }
}

/// The state of a message, if it is ours.
const fn state(message: &MessageRecord) -> Option<MessageState> {
    message.direction.state()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reach;
    use super::*;
    use crate::engine::env::UnixSeconds;
    use crate::engine::id::ContactId;

    const SESSION: SessionId = SessionId([7; 32]);

    fn message(id: u64) -> MessageRecord {
        let text = "text".to_owned();
        let postage = Lifetime::Day.into();
        MessageRecord::outgoing(MessageId(id), ContactId(1), text, postage, UnixSeconds(9))
    }

    fn window() -> SendWindow {
        SendWindow::new(SendSequence { epoch: 5, next: 0 })
    }

    /// A window that has sent so many messages, named like their numbers.
    fn sent(count: u64) -> SendWindow {
        let mut window = window();
        for id in 0..count {
            window.accept(message(id));
            assert_eq!(window.number_next(SESSION, Millis(0)), Some(MessageId(id)));
            assert!(window.advance(MessageId(id), MessageState::Mining).is_some());
            assert!(window.advance(MessageId(id), MessageState::Sent).is_some());
        }
        window
    }

    #[test]
    fn the_window_is_full_when_256_are_under_way_and_has_room_again_once_the_oldest_came() {
        let mut window = sent(255);
        window.accept(message(997));
        assert_eq!(window.next().map(|(_, number)| number), Some(255));
        window.number_next(SESSION, Millis(0));
        window.accept(message(999));
        assert!(window.next().is_none() && reach::room(&window) == 0);
        let later = Ack { epoch: 5, next: 0, sack: u64::MAX };
        assert_eq!(window.acknowledge(&later, 256, Millis(1), Millis(0)).received.len(), 64);
        assert!(window.next().is_none(), "the oldest decides");
        let oldest = Ack { epoch: 5, next: 1, sack: 0 };
        window.acknowledge(&oldest, 256, Millis(1), Millis(0));
        assert_eq!(window.next().map(|(_, number)| number), Some(256));
        assert_eq!(reach::room(&window), 65, "from 65 on none is acknowledged");
    }

    #[test]
    fn what_no_acknowledgement_can_name_comes_within_reach_when_the_oldest_is_acknowledged() {
        let mut window = sent(200);
        let ids = |range: core::ops::Range<u64>| range.map(MessageId).collect::<Vec<_>>();
        assert!(reach::newly_within(&mut window).is_empty(), "the first have been all the time");
        assert!(
            reach::is_within(&window, MessageId(64)) && !reach::is_within(&window, MessageId(65))
        );
        let all_it_can_name = Ack { epoch: 5, next: 0, sack: u64::MAX };
        window.acknowledge(&all_it_can_name, u64::MAX, Millis(1), Millis(0));
        assert!(reach::newly_within(&mut window).is_empty(), "the oldest is still missing");
        window.acknowledge(&Ack { epoch: 5, next: 70, sack: 0 }, u64::MAX, Millis(1), Millis(0));
        assert_eq!(reach::newly_within(&mut window), ids(70..135));
        window.abandon(MessageId(70));
        assert_eq!(reach::newly_within(&mut window), ids(135..136));
        window.start_epoch(6);
        assert_eq!(reach::newly_within(&mut window), ids(71..136), "under the first numbers");
        assert!(reach::newly_within(&mut window).is_empty());
    }

    #[test]
    fn a_peer_is_stalled_too_when_all_it_has_is_further_than_it_can_say() {
        let mut window = sent(100);
        for id in 0..70 {
            window.abandon(MessageId(id));
        }
        assert_eq!(window.is_peer_stalled(&Ack { epoch: 5, next: 0, sack: 0 }), Some(70));
        assert_eq!(window.is_peer_stalled(&Ack { epoch: 5, next: 6, sack: 0 }), None);
    }

    #[test]
    fn a_message_overtaken_long_ago_is_lost_and_one_overtaken_just_now_is_late() {
        let mut window = sent(3);
        let ack = Ack { epoch: 5, next: 0, sack: 0b10 };
        assert_eq!(window.transmitted(MessageId(0), Millis(900)), 0);
        let acked = window.acknowledge(&ack, u64::MAX, Millis(500), Millis(1_000));
        assert_eq!(acked, Acked { received: vec![MessageId(2)], overtaken: vec![MessageId(1)] });
    }

    #[test]
    fn what_is_still_missing_when_nothing_new_came_is_lost_once_it_had_more_time() {
        let mut window = sent(3);
        let ack = Ack { epoch: 5, next: 0, sack: 0b11 };
        let mut hear = |now| window.acknowledge(&ack, u64::MAX, Millis(500), Millis(now)).overtaken;
        assert!(hear(400).is_empty(), "it is in flight");
        assert!(hear(2_000).is_empty(), "each payload says the same");
        assert_eq!(hear(2_001), [MessageId(0)]);
    }

    #[test]
    fn an_acknowledgement_of_another_epoch_says_nothing() {
        let mut window = sent(2);
        let ack = Ack { epoch: 6, next: 2, sack: 0 };
        assert_eq!(window.acknowledge(&ack, 9, Millis(0), Millis(9)), Acked::default());
        assert_eq!(window.acknowledge_read(6, 2), None);
        assert_eq!(window.acknowledge_read(5, 3), None, "a number that no message has");
        assert_eq!(window.acknowledge_read(5, 2), Some(vec![MessageId(0), MessageId(1)]));
    }

    #[test]
    fn a_withdrawn_message_leaves_no_gap_and_an_abandoned_one_lets_the_base_pass() {
        let mut window = sent(3);
        assert_eq!(window.withdraw(MessageId(2)), Withdrawn::Numbered);
        assert_eq!(window.sequence().next, 2);
        let mut window = sent(3);
        assert_eq!(window.abandon(MessageId(0)), Some(1));
        assert_eq!(window.base(None), 1);
    }

    #[test]
    fn the_base_is_announced_again_to_a_peer_that_waits_for_an_abandoned_number() {
        let mut window = sent(3);
        window.abandon(MessageId(0));
        let waits = Ack { epoch: 5, next: 0, sack: 0b1 };
        assert_eq!(window.is_peer_stalled(&waits), Some(1));
        let older = Ack { epoch: 5, next: 2, sack: 0 };
        assert_eq!(window.is_peer_stalled(&older), None);
        assert_eq!(window.is_peer_stalled(&waits), None, "older than one read before");
    }

    #[test]
    fn restored_messages_go_on_where_they_were() {
        let stored = |id: u64, state, number| MessageRecord {
            direction: StoredDirection::Outgoing(state),
            number,
            ..message(id)
        };
        let mut window = SendWindow::new(SendSequence { epoch: 5, next: 9 });
        assert!(!window.restore(stored(1, MessageState::Queued, None)));
        assert!(window.restore(stored(2, MessageState::Mining, Some(7))));
        assert!(window.restore(stored(3, MessageState::Unacknowledged, Some(8))));
        assert!(!window.restore(stored(4, MessageState::Unacknowledged, None)), "was asked for");
        assert!(!window.restore(stored(5, MessageState::Failed, None)));
        assert!(!window.restore(stored(6, MessageState::Delivered, Some(3))));
        assert_eq!(window.unacked(), [MessageId(2), MessageId(3)]);
        assert_eq!((window.unsent(), window.base(None)), (2, 7));
        assert_eq!(window.state(MessageId(6)), None, "delivered is done with");
        assert_eq!(
            window.next().map(|(message, number)| (message.id, number)),
            Some((MessageId(1), 9))
        );
        assert_eq!(window.restored_next(), 9);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Accept,
        Number,
        Ack { next: u64, sack: u64 },
        WithdrawLast,
        Abandon(u64),
        NewEpoch,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => Just(Step::Accept),
            6 => Just(Step::Number),
            2 => (0_u64..300, any::<u64>()).prop_map(|(next, sack)| Step::Ack { next, sack }),
            1 => Just(Step::WithdrawLast),
            1 => (0_u64..300).prop_map(Step::Abandon),
            1 => Just(Step::NewEpoch),
        ]
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_two_plain_lists(
            steps in proptest::collection::vec(any_step(), 1..700),
        ) {
            let mut window = window();
            // Waiting messages in order, and numbered ones with their numbers.
            let (mut queue, mut numbered): (Vec<u64>, Vec<(u64, u64)>) = (Vec::new(), Vec::new());
            let (mut next, mut made, mut epoch) = (0_u64, 0_u64, 5_u64);
            for step in steps {
                match step {
                    Step::Accept => {
                        window.accept(message(made));
                        queue.push(made);
                        made += 1;
                    }
                    Step::Number => {
                        let oldest = numbered.first().map_or(next, |(number, _)| *number);
                        let fits = next - oldest < SEND_WINDOW && !queue.is_empty();
                        prop_assert_eq!(window.next().is_some(), fits);
                        if fits {
                            let id = queue.remove(0);
                            prop_assert_eq!(
                                window.number_next(SESSION, Millis(0)),
                                Some(MessageId(id))
                            );
                            window.advance(MessageId(id), MessageState::Mining);
                            numbered.push((next, id));
                            next += 1;
                        }
                    }
                    Step::Ack { next: below, sack } => {
                        let ack = Ack { epoch, next: below, sack };
                        let (received, kept): (Vec<_>, Vec<_>) =
                            numbered.into_iter().partition(|(number, _)| ack.covers(*number));
                        numbered = kept;
                        let expected: Vec<MessageId> =
                            received.into_iter().map(|(_, id)| MessageId(id)).collect();
                        let acked = window.acknowledge(&ack, u64::MAX, Millis(1), Millis(0));
                        prop_assert_eq!(&acked.received, &expected);
                        expected.into_iter().for_each(|id| window.remove(id));
                    }
                    Step::WithdrawLast => {
                        // What was not published is always the last that got a number.
                        if let Some((number, id)) =
                            numbered.pop_if(|(number, _)| *number + 1 == next)
                        {
                            prop_assert_eq!(window.withdraw(MessageId(id)), Withdrawn::Numbered);
                            window.remove(MessageId(id));
                            next = number;
                        }
                    }
                    Step::Abandon(number) => {
                        if let Some(at) = numbered.iter().position(|(n, _)| *n == number) {
                            let (_, id) = numbered.remove(at);
                            let base = numbered.first().map_or(next, |(number, _)| *number);
                            let waits = number < base && number + 1 < next;
                            let told = window.abandon(MessageId(id));
                            prop_assert_eq!(told, waits.then_some(base));
                            window.remove(MessageId(id));
                        }
                    }
                    Step::NewEpoch => {
                        epoch += 1;
                        window.start_epoch(epoch);
                        numbered = (0..).zip(numbered.into_iter().map(|(_, id)| id)).collect();
                        next = numbered.len() as u64;
                    }
                }
                prop_assert_eq!(window.sequence(), &SendSequence { epoch, next });
                let base = numbered.first().map_or(next, |(number, _)| *number);
                prop_assert_eq!(window.base(None), base);
                let ids: Vec<MessageId> = numbered.iter().map(|(_, id)| MessageId(*id)).collect();
                prop_assert_eq!(window.unacked(), ids);
                prop_assert_eq!(window.unsent(), queue.len() + numbered.len());
                prop_assert_eq!(window.has_queued(), !queue.is_empty());
            }
        }

        #[test]
        fn after_a_rollback_acknowledged_messages_are_done_and_the_rest_are_numbered_anew(
            before in 0_u64..40,
            after in 0_u64..20,
            next in 0_u64..80,
            sack in any::<u64>(),
        ) {
            let mut window = sent(before);
            window.restored_next = window.sequence.next;
            for id in before..before + after {
                window.accept(message(id));
                window.number_next(SESSION, Millis(0));
            }
            let ack = Ack { epoch: 5, next, sack };
            let behind = ack.end() > before + after;
            prop_assert_eq!(window.is_behind(&ack), behind);
            // What this process said has numbers that the forgotten time gave to others.
            let done = |id: &u64| *id < before && ack.covers(*id);
            let received = window.start_epoch_after_rollback(&ack, 77);
            let expected: Vec<MessageId> = (0..before).filter(done).map(MessageId).collect();
            prop_assert_eq!(received, expected);
            let rest: Vec<MessageId> =
                (0..before + after).filter(|id| !done(id)).map(MessageId).collect();
            prop_assert_eq!(window.sequence().next, rest.len() as u64);
            prop_assert_eq!(window.unacked(), rest);
            prop_assert_eq!(window.restored_next(), 0);
        }
    }
}
