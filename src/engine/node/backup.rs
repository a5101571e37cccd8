//! The content of a backup: the records it carries, and what they become on the device that
//! restores them.
//!
//! A backup is a copy, and the copied device may have gone on: sent, received and drawn keys. So
//! nothing of a session is in it, nothing that was under way goes on by itself, and no message
//! claims more than is known.

use std::collections::BTreeSet;

use crate::engine::env::Env;
use crate::engine::session::{OfferId, SessionId};

use crate::engine::record::{
    ContactRecord, DeliveryLog, MessageRecord, MessageState, Record, SendSequence, StoredDirection,
};

/// Whether a backup carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Identities, contacts and messages.
    With,
    /// Identities and contacts alone.
    Without,
}

/// The part of these records that a backup carries, in their order. Every record that is not a
/// message must be among them at once; messages may come in parts.
///
/// Requests are left out, because the copied device may answer them as well. The memory of their
/// offers is left out with them, so that the same offer can ask again.
#[must_use]
pub fn portable(records: Vec<Record>, history: History) -> Vec<Record> {
    let waiting: BTreeSet<OfferId> = records
        .iter()
        .filter_map(|record| match record {
            Record::Request(request) => Some(request.offer.id()),
            Record::Identity(_)
            | Record::Contact(_)
            | Record::Session(_)
            | Record::Replay(_)
            | Record::Message(_)
            | Record::Outgoing(_) => None,
        })
        .collect();
    let kept = records.into_iter().filter_map(|record| match record {
        Record::Identity(_) => Some(record),
        Record::Contact(contact) => Some(Record::Contact(portable_contact(contact, history))),
        Record::Replay(seen) => (!waiting.contains(&seen.offer)).then_some(Record::Replay(seen)),
        Record::Message(message) => {
            (history == History::With).then(|| Record::Message(portable_message(message)))
        }
        Record::Session(_) | Record::Request(_) | Record::Outgoing(_) => None,
    });
    kept.collect()
}

/// A record of a backup as the restoring device stores it; `None` if no backup carries such a
/// record.
#[must_use]
pub fn restored(env: &mut Env<'_>, record: Record) -> Option<Record> {
    match record {
        Record::Identity(_) | Record::Replay(_) => Some(record),
        Record::Contact(contact) => {
            // Another epoch: the copied device goes on with the old one, and the same numbers would
            // be taken for repetitions.
            let sent = SendSequence { epoch: env.draw_u64(), next: 0 };
            let restored = Some(env.wall);
            Some(Record::Contact(ContactRecord { sent, offer: None, restored, ..contact }))
        }
        Record::Message(message) => Some(Record::Message(restored_message(message))),
        // A backup is hostile input like any file: a session in it could be a copy that another
        // device goes on with.
        Record::Session(_) | Record::Request(_) | Record::Outgoing(_) => None,
    }
}

/// The state of a message of ours as far as a device that did not send it can know.
///
/// A message that had not left is not sent by itself: the copied device may have done so since. A
/// person may send it again.
#[must_use]
pub const fn known_state(state: MessageState) -> MessageState {
    match state {
        MessageState::Queued | MessageState::Mining => MessageState::Failed,
        // The session in which it could be acknowledged is gone.
        MessageState::Sent => MessageState::Unacknowledged,
        MessageState::Delivered
        | MessageState::Failed
        | MessageState::Cancelled
        | MessageState::Unacknowledged
        | MessageState::Read => state,
    }
}

fn portable_contact(contact: ContactRecord, history: History) -> ContactRecord {
    let mut received = contact.received;
    if history == History::Without {
        // Buffered messages stay behind with the history. So they count as not received, and as
        // missing, instead of being lost in silence.
        for sequence in &mut received {
            sequence.sack = 0;
        }
    }
    let sent = SendSequence { epoch: 0, next: 0 };
    ContactRecord { received, sent, offer: None, ..contact }
}

fn portable_message(message: MessageRecord) -> MessageRecord {
    // The mark stays, without the session's id: a session that is gone is never confirmed.
    let early = message.early.map(|_| NO_SESSION);
    MessageRecord { early, ..message }
}

fn restored_message(message: MessageRecord) -> MessageRecord {
    let early = message.early.map(|_| NO_SESSION);
    match message.direction.state() {
        // A buffered message goes on waiting: the contact's epoch is known as far as it was, so it
        // is shown in its place, or when its place is given up.
        None => {
            let delivery = DeliveryLog::default();
            MessageRecord { early, delivery, ..message }
        }
        Some(state) => {
            let state = known_state(state);
            let number = message.number.filter(|_| is_acknowledged(state));
            MessageRecord { direction: StoredDirection::Outgoing(state), number, early, ..message }
        }
    }
}

/// Whether a message keeps the number it had. An acknowledgement of the epoch that begins with the
/// restoration must not be taken for one of a message that had its number in another.
const fn is_acknowledged(state: MessageState) -> bool {
    match state {
        MessageState::Delivered | MessageState::Read => true,
        MessageState::Queued
        | MessageState::Mining
        | MessageState::Sent
        | MessageState::Failed
        | MessageState::Cancelled
        | MessageState::Unacknowledged => false,
    }
}

/// Stands for a session that is gone. A session's id is a hash, and none is zero.
const NO_SESSION: SessionId = SessionId([0; 32]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::env::{Seconds, UnixSeconds};
    use crate::engine::envelope::{Lifetime, Topic};
    use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
    use crate::engine::price::ShownWork;
    use crate::engine::record::{
        ContactState, EnvelopePurpose, IdentityRecord, OutgoingRecord, PendingOffer,
        ReceiveSequence, ReplayRecord, RequestRecord, SessionRecord, Trust, VerificationMethod,
    };
    use crate::engine::session::{Offer, ReceivedOffer, WINDOW};
    use crate::engine::testing::rng::{NOW, SeededRng};

    /// One record of every kind but messages; two offers were seen, and the second still waits.
    fn everything() -> Vec<Record> {
        let mut seeded = SeededRng::new(1);
        let mut env = seeded.turn();
        let (own, their) = (Identity::generate(&mut env), Identity::generate(&mut env));
        let key = their.public();
        let (offer, session) = Offer::new(&mut env, &own, &key, WINDOW);
        let request = ReceivedOffer::open(&their, &offer.seal(&mut env).body).unwrap();
        let waiting = ReplayRecord { offer: request.id(), until: NOW };
        vec![
            Record::Identity(IdentityRecord {
                id: IdentityId(1),
                name: "nightjar".to_owned(),
                identity: own,
                created: NOW,
            }),
            Record::Contact(ContactRecord {
                id: ContactId(2),
                identity: IdentityId(1),
                key,
                petname: "mira".to_owned(),
                state: ContactState::Active,
                sent: SendSequence { epoch: 3, next: 4 },
                received: vec![ReceiveSequence { epoch: 5, next: 6, sack: 7, read_up_to: 2 }],
                offer: Some(Box::new(PendingOffer { offer, attempts: 2 })),
                trust: Trust::Verified { at: NOW, by: VerificationMethod::Sas },
                read_receipts: true,
                restored: None,
                highest: None,
            }),
            Record::Session(SessionRecord { contact: ContactId(2), session: Box::new(session) }),
            Record::Request(RequestRecord {
                id: RequestId(6),
                identity: IdentityId(1),
                offer: request,
                arrived: NOW,
                work: ShownWork::default(),
            }),
            Record::Replay(ReplayRecord { offer: OfferId([9; 32]), until: NOW }),
            Record::Replay(waiting),
            Record::Outgoing(OutgoingRecord {
                id: OutgoingId(7),
                purpose: EnvelopePurpose::Junk,
                topic: Topic([1, 2, 3, 4]),
                body: vec![1],
                ttl: Seconds(600),
                envelope: None,
            }),
        ]
    }

    fn any_message() -> impl Strategy<Value = MessageRecord> {
        let direction = prop_oneof![
            prop::sample::select(&MessageState::ALL[..]).prop_map(StoredDirection::Outgoing),
            Just(StoredDirection::Delivered),
            Just(StoredDirection::AskedAgain),
            any::<u64>().prop_map(|epoch| StoredDirection::Buffered { epoch }),
        ];
        let early = any::<Option<[u8; 32]>>().prop_map(|id| id.map(SessionId));
        (any::<[u64; 3]>(), direction, any::<Option<u64>>(), any::<String>(), early).prop_map(
            |([id, at, missing], direction, number, text, early)| MessageRecord {
                id: MessageId(id),
                contact: ContactId(2),
                direction,
                number,
                text,
                at: UnixSeconds(at),
                missing,
                early,
                postage: Lifetime::Week.into(),
                delivery: DeliveryLog::default(),
            },
        )
    }

    fn restore_all(seed: u64, records: Vec<Record>) -> Vec<Record> {
        let mut seeded = SeededRng::new(seed);
        let mut env = seeded.turn();
        records.into_iter().filter_map(|record| restored(&mut env, record)).collect()
    }

    fn the_contact(records: &[Record]) -> &ContactRecord {
        let contact = records.iter().find_map(|record| {
            let Record::Contact(contact) = record else { return None };
            Some(contact)
        });
        contact.unwrap()
    }

    #[test]
    fn a_backup_carries_identities_contacts_and_offers_seen_and_nothing_of_a_session() {
        for history in [History::With, History::Without] {
            let carried = portable(everything(), history);
            let kinds: Vec<String> = carried.iter().map(|record| format!("{record:?}")).collect();
            assert_eq!(kinds.len(), 3, "{kinds:?}");
            assert!(matches!(carried[0], Record::Identity(_)));
            let contact = the_contact(&carried);
            assert_eq!(contact.offer, None);
            assert_eq!(contact.sent, SendSequence { epoch: 0, next: 0 });
            assert!(matches!(contact.trust, Trust::Verified { .. }) && contact.read_receipts);
            assert!(matches!(&carried[2], Record::Replay(seen) if seen.offer == OfferId([9; 32])));
        }
    }

    #[test]
    fn received_numbers_are_carried_and_without_history_buffered_ones_count_as_not_received() {
        let sack = |history| the_contact(&portable(everything(), history)).received[0].sack;
        assert_eq!((sack(History::With), sack(History::Without)), (7, 0));
        let without = portable(everything(), History::Without);
        assert_eq!(
            (the_contact(&without).received[0].epoch, the_contact(&without).received[0].next),
            (5, 6)
        );
    }

    #[test]
    fn a_restored_contact_is_marked_and_begins_another_epoch() {
        let carried = portable(everything(), History::With);
        let (one, other) = (restore_all(1, carried.clone()), restore_all(2, carried));
        assert_ne!(the_contact(&one).sent.epoch, the_contact(&other).sent.epoch);
        assert_eq!(the_contact(&one).sent.next, 0);
        assert_eq!(the_contact(&one).restored, Some(NOW));
    }

    #[test]
    fn records_that_no_backup_carries_are_not_taken_from_one() {
        let taken = restore_all(1, everything());
        assert_eq!(taken.len(), 4, "{taken:?}");
        assert_eq!(the_contact(&taken).offer, None);
    }

    #[test]
    fn no_message_state_improves_and_none_goes_on_by_itself() {
        for state in MessageState::ALL {
            let known = known_state(state);
            let moving = [MessageState::Queued, MessageState::Mining, MessageState::Sent];
            assert!(!moving.contains(&known), "{state:?}");
            let acknowledged = [MessageState::Delivered, MessageState::Read];
            assert!(!acknowledged.contains(&known) || known == state, "{state:?}");
            // "Failed" is never said of what left.
            let left = [MessageState::Sent, MessageState::Unacknowledged];
            assert!(!left.contains(&state) || known == MessageState::Unacknowledged);
            assert_eq!(known_state(known), known);
        }
    }

    proptest! {
        #[test]
        fn messages_are_carried_with_history_alone_and_without_a_session_id(
            messages in proptest::collection::vec(any_message(), 0..8),
        ) {
            let records: Vec<Record> = messages.iter().cloned().map(Record::Message).collect();
            prop_assert!(portable(records.clone(), History::Without).is_empty());
            let carried = portable(records, History::With);
            prop_assert_eq!(carried.len(), messages.len());
            for (record, before) in carried.iter().zip(&messages) {
                let Record::Message(after) = record else { panic!("another kind") };
                prop_assert_eq!(after.early.is_some(), before.early.is_some());
                prop_assert!(after.early.is_none_or(|id| id == NO_SESSION));
                prop_assert_eq!(&after.text, &before.text);
                prop_assert_eq!(after.direction, before.direction);
            }
            prop_assert_eq!(portable(carried.clone(), History::With), carried);
        }

        #[test]
        fn a_restored_message_keeps_theirs_and_claims_no_more_of_ours(message in any_message()) {
            let after = restored_message(message.clone());
            prop_assert_eq!(restored_message(after.clone()), after.clone());
            prop_assert_eq!((after.id, &after.text, after.at), (message.id, &message.text, message.at));
            match (message.direction.state(), after.direction.state()) {
                (Some(before), Some(state)) => {
                    prop_assert_eq!(after.direction, StoredDirection::Outgoing(known_state(before)));
                    let acknowledged = matches!(state, MessageState::Delivered | MessageState::Read);
                    prop_assert!(acknowledged || after.number.is_none());
                }
                _ => prop_assert_eq!(after.direction, message.direction),
            }
        }
    }
}
