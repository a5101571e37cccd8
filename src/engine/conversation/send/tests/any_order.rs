//! Whatever is asked, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::conversation::ContactCommand;

/// A step of one side, which sends one envelope at a time.
#[derive(Clone, Debug)]
enum Step {
    Say,
    SendNext,
    Retransmit(prop::sample::Index),
    RetransmitNow(prop::sample::Index),
    Acknowledge,
    Offer,
    /// The envelope on its way is published, and arrives or is lost.
    Publish(bool),
    /// The other side sends what it has to send.
    Hear,
    Cancel(prop::sample::Index),
    Restart,
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(Step::Say),
        6 => Just(Step::SendNext),
        2 => index().prop_map(Step::Retransmit),
        3 => index().prop_map(Step::RetransmitNow),
        1 => Just(Step::Acknowledge),
        1 => Just(Step::Offer),
        8 => any::<bool>().prop_map(Step::Publish),
        2 => Just(Step::Hear),
        2 => index().prop_map(Step::Cancel),
        1 => Just(Step::Restart),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_asked_one_envelope_of_a_message_is_kept_and_each_number_is_used_for_one(
        steps in proptest::collection::vec(any_step(), 1..80),
    ) {
        let (mut one, mut other) = established(200);
        let mut ids: Vec<MessageId> = Vec::new();
        let mut on_its_way: Option<OutgoingRecord> = None;
        // The message of each number that left.
        let mut left: BTreeMap<u64, MessageId> = BTreeMap::new();
        for step in steps {
            let pick = |index: prop::sample::Index| {
                if ids.is_empty() { MessageId(0) } else { ids[index.index(ids.len())] }
            };
            let job = match step {
                Step::SendNext => Some(ContactJob::SendNext),
                Step::Retransmit(index) => Some(ContactJob::Retransmit(pick(index))),
                Step::RetransmitNow(index) => Some(ContactJob::RetransmitNow(pick(index))),
                Step::Acknowledge => Some(ContactJob::Acknowledge),
                Step::Offer => Some(ContactJob::Offer),
                Step::Say => {
                    ids.push(one.say("text"));
                    None
                }
                Step::Publish(arrives) => {
                    if let Some(record) = on_its_way.take() {
                        let withdrawn = !one.store.contains(&Record::Outgoing(record.clone()));
                        let payload = other.peek(&record);
                        one.publish(&record);
                        let left_for = (withdrawn, record.purpose);
                        if let (false, EnvelopePurpose::Message(_, id)) = left_for {
                            let number = payload.and_then(|payload| payload.number);
                            let number = number.expect("a number in the session of both");
                            prop_assert_eq!(*left.entry(number).or_insert(id), id);
                        }
                        if arrives && !withdrawn {
                            other.receive(&record);
                        }
                    }
                    None
                }
                Step::Hear => {
                    other.wait(Millis(60_000));
                    other.send().iter().for_each(|record| one.receive(record));
                    None
                }
                Step::Cancel(index) => {
                    let cancelled = one.command(ContactCommand::Cancel(pick(index)));
                    if cancelled.is_ok() {
                        prop_assert!(!left.values().any(|id| *id == pick(index)));
                    }
                    None
                }
                Step::Restart => {
                    one.restart();
                    None
                }
                Step::Wait => {
                    one.wait(Millis(300_000));
                    None
                }
            };
            if let (Some(job), None) = (job, &on_its_way) {
                on_its_way = one.begin(job);
            }
            for &id in &ids {
                let purpose = EnvelopePurpose::Message(one.conversation.id, id);
                prop_assert!(kept(&one, purpose) <= 1);
            }
            prop_assert!(kept(&one, EnvelopePurpose::Offer(one.conversation.id)) <= 1);
            // No number but that of the envelope on its way was given and did not leave.
            let next = one.conversation.sent.sequence().next;
            prop_assert!(left.keys().copied().eq(0..left.len() as u64));
            prop_assert!((left.len() as u64..=left.len() as u64 + 1).contains(&next));
            prop_assert_eq!(one.stored.as_ref().map(|stored| stored.sent.next), Some(next));
        }
        let mut each: Vec<MessageId> = left.values().copied().collect();
        each.sort_unstable();
        each.dedup();
        prop_assert_eq!(each.len(), left.len(), "no message has two numbers");
    }
}
