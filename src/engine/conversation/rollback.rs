//! Rollback detection. Our state may be older than messages we already sent: a restored disk image,
//! a snapshot of a virtual machine, a cloned home.
//!
//! A process cannot see that from inside. Keys are safe all the same, for each depends on a random
//! salt. Numbers are not: a text gets a number that another text had, the contact takes it for a
//! repetition, and acknowledges it without showing it. The contact's acknowledgements reveal the
//! rollback, because they name numbers that this state never gave. It stays unnoticed if we send
//! more messages than were forgotten before the contact is heard.
//!
//! Acknowledgements of the forgotten time may still be carried, and catching up fetches them. So a
//! fetched envelope that may be older than this process is believed about the numbers that the
//! process began with, and about none that were given since ([`super::Provenance`]). A true one
//! that is not believed costs one more sending of the message.

use crate::engine::id::MessageId;
use crate::engine::session::Ack;

use super::send_window::SendWindow;

impl SendWindow {
    /// Whether the contact acknowledges numbers that this state never gave: the state is older than
    /// what it sent.
    pub(super) fn is_behind(&self, ack: &Ack) -> bool {
        ack.epoch == self.sequence.epoch && ack.end() > self.sequence.next
    }

    /// Begins another epoch. Messages that were numbered before the process began count as received
    /// where the acknowledgement covers them; all others get the first numbers. Returns the
    /// received ones.
    pub(super) fn start_epoch_after_rollback(&mut self, ack: &Ack, epoch: u64) -> Vec<MessageId> {
        // Zero from now on: this process gives every number of the new epoch, so no stale
        // acknowledgement is believed about any of them.
        let before = core::mem::take(&mut self.restored_next);
        let (received, rest): (Vec<_>, Vec<_>) = core::mem::take(&mut self.unacked)
            .into_iter()
            // A number given since then may be acknowledged for the forgotten message that had it
            // first.
            .partition(|&(number, _)| number < before && ack.covers(number));
        for (_, id) in &received {
            self.in_flight.remove(id);
        }
        self.renumber(epoch, rest.into_iter().map(|(_, id)| id));
        received.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::engine::conversation::tests::{Side, established, settle};
    use crate::engine::env::{Millis, UnixSeconds};
    use crate::engine::envelope::Lifetime;
    use crate::engine::id::ContactId;
    use crate::engine::record::{MessageRecord, MessageState, SendSequence, StoredDirection};
    use crate::engine::session::SessionId;

    const EPOCH: u64 = 5;
    const SESSION: SessionId = SessionId([1; 32]);

    fn message(id: u64) -> MessageRecord {
        let (contact, text) = (ContactId(1), String::new());
        MessageRecord::outgoing(MessageId(id), contact, text, Lifetime::Day.into(), UnixSeconds(0))
    }

    /// A window that begins with `next`, of whose numbers these are not acknowledged. The messages
    /// have their numbers as ids.
    fn restored(next: u64, unacked: &BTreeSet<u64>) -> SendWindow {
        let mut window = SendWindow::new(SendSequence { epoch: EPOCH, next });
        for &number in unacked {
            let direction = StoredDirection::Outgoing(MessageState::Sent);
            window.restore(MessageRecord { direction, number: Some(number), ..message(number) });
        }
        window
    }

    /// Encrypts one more message; returns its number.
    fn send(window: &mut SendWindow, id: u64) -> u64 {
        window.accept(message(id));
        let (_, number) = window.next().expect("room");
        window.number_next(SESSION, Millis(0));
        number
    }

    #[test]
    fn a_state_is_behind_once_the_contact_names_a_number_that_it_never_gave() {
        let window = restored(3, &BTreeSet::new());
        let ack = |next, sack| Ack { epoch: EPOCH, next, sack };
        assert!(!window.is_behind(&ack(3, 0)), "all that was given");
        assert!(window.is_behind(&ack(4, 0)));
        assert!(!window.is_behind(&ack(1, 0b1)), "the highest is 2");
        assert!(window.is_behind(&ack(1, 0b10)), "the highest is 3");
        assert!(!window.is_behind(&Ack { epoch: EPOCH + 1, next: 9, sack: 0 }), "of another epoch");
    }

    #[test]
    fn numbers_given_before_the_process_are_received_and_those_since_are_sent_again_as_the_first() {
        let mut window = restored(3, &BTreeSet::from([1, 2]));
        assert_eq!((send(&mut window, 10), send(&mut window, 11)), (3, 4));
        let ack = Ack { epoch: EPOCH, next: 2, sack: 0b11_1111 };
        assert_eq!(window.start_epoch_after_rollback(&ack, 6), [MessageId(1)]);
        assert_eq!(window.unacked(), [MessageId(2), MessageId(10), MessageId(11)]);
        let number = |id| window.message(MessageId(id)).and_then(|message| message.number);
        assert_eq!([2, 10, 11].map(number), [Some(0), Some(1), Some(2)]);
        assert_eq!((window.sequence().epoch, window.sequence().next), (6, 3));
        assert_eq!(window.restored_next(), 0, "a stale acknowledgement names no number of these");
        assert!(!window.in_flight.contains_key(&MessageId(1)));
        assert_eq!(send(&mut window, 12), 3);
    }

    proptest! {
        #[test]
        fn a_state_older_by_any_messages_uses_no_number_of_its_new_epoch_twice_and_loses_none(
            next in 0_u64..40,
            unacked in proptest::collection::btree_set(0_u64..40, 0..20),
            forgotten in 1_u64..40,
            since in 0_u64..20,
            sack in any::<u64>(),
            acked_up_to in 0_u64..40,
            later in 0_u64..10,
        ) {
            let given = |&number: &u64| number < next;
            let unacked: BTreeSet<u64> = unacked.into_iter().filter(given).collect();
            let mut window = restored(next, &unacked);
            // The contact has received these of all that was ever sent.
            let ack = Ack { epoch: EPOCH, next: acked_up_to.min(next + forgotten), sack };
            let mut waiting: Vec<u64> = unacked.iter().copied().collect();
            for id in 100..100 + since {
                send(&mut window, id);
                waiting.push(id);
            }
            let given = window.sequence().next;
            prop_assert_eq!(window.is_behind(&ack), ack.end() > given);
            prop_assume!(window.is_behind(&ack));
            let received = window.start_epoch_after_rollback(&ack, 6);
            let believed = |&id: &u64| id < next && ack.covers(id);
            let (expected, rest): (Vec<u64>, Vec<u64>) = waiting.into_iter().partition(believed);
            let expected: Vec<MessageId> = expected.into_iter().map(MessageId).collect();
            prop_assert_eq!(received, expected);
            prop_assert!(!window.is_behind(&ack), "once is enough");
            let mut used: BTreeMap<u64, MessageId> = BTreeMap::new();
            for id in window.unacked() {
                let number = window.message(id).and_then(|message| message.number);
                prop_assert_eq!(used.insert(number.expect("a number"), id), None);
            }
            prop_assert_eq!(used.values().map(|id| id.0).collect::<Vec<_>>(), rest);
            for id in 200..200 + later {
                let number = send(&mut window, id);
                prop_assert_eq!(used.insert(number, MessageId(id)), None);
            }
            prop_assert!(used.keys().copied().eq(0..window.sequence().next));
        }
    }

    /// Puts a disk back by `forgotten` messages and says one more: the contact has to be heard, and
    /// everything said to be shown, within two hours.
    fn put_back(before: usize, forgotten: usize, seed: u64) -> Result<(), TestCaseError> {
        let (mut one, mut other) = established(seed);
        let mut said = Vec::new();
        let say = |side: &mut Side, said: &mut Vec<String>| {
            let text = format!("text {}", said.len());
            side.say(&text);
            said.push(text);
        };
        for _ in 0..before {
            say(&mut one, &mut said);
        }
        settle(&mut one, &mut other);
        let disk = one.store.clone();
        for _ in 0..forgotten {
            say(&mut one, &mut said);
        }
        settle(&mut one, &mut other);
        let epoch = one.conversation.sent.sequence().epoch;
        one.store = disk;
        one.restart();
        // Fewer than were forgotten: it is noticed when the contact is heard, and that is once a
        // sending has a position of the chain that the contact has not opened. The sixth has, at
        // the latest: it comes 31 minutes after the first, or up to an eighth later each time.
        say(&mut one, &mut said);
        for _ in 0..120 {
            one.wait(Millis(60_000));
            other.wait(Millis(60_000));
            settle(&mut one, &mut other);
        }
        prop_assert_ne!(one.conversation.sent.sequence().epoch, epoch);
        say(&mut one, &mut said);
        settle(&mut one, &mut other);
        prop_assert_eq!(&other.shown, &said);
        prop_assert!(!one.conversation.sent.has_unfinished());
        Ok(())
    }

    /// Looked at each half hour for a day, the sixth sending of this one came after the day.
    #[test]
    fn a_disk_put_back_is_noticed_by_the_sixth_sending_however_late_chance_makes_it() {
        put_back(1, 5, 556).expect("noticed");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn a_disk_put_back_by_any_messages_is_noticed_and_everything_said_after_is_shown(
            before in 0_usize..4,
            forgotten in 2_usize..6,
            seed in 500_u64..600,
        ) {
            put_back(before, forgotten, seed)?;
        }
    }
}
