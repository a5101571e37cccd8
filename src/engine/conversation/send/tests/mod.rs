//! The send path alone: jobs become envelopes, and published ones schedule what follows.

mod again;
mod any_order;
mod chains;
mod control;
mod offers;
mod prices;

use super::*;
use crate::engine::conversation::tests::{Side, established};
use crate::engine::env::UnixSeconds;
use crate::engine::record::{HoldReason, Trust};
use crate::engine::turn::Timer;

/// The envelope of a job that there is a need for.
fn begun(side: &mut Side, job: ContactJob) -> OutgoingRecord {
    side.begin(job).expect("an envelope")
}

/// A message that was published and reached nobody.
fn lost(side: &mut Side, text: &str) -> MessageId {
    let id = side.say(text);
    let record = begun(side, ContactJob::SendNext);
    side.publish(&record);
    id
}

fn is_set(side: &Side, timer: ContactTimer) -> bool {
    side.workspace.timers.is_set(Timer::Contact(timer, side.conversation.id))
}

fn waits(side: &Side, job: ContactJob) -> bool {
    side.workspace.outbox.waits(side.conversation.id, job)
}

/// How many stored envelopes are for this.
fn kept(side: &Side, wanted: EnvelopePurpose) -> usize {
    let is_wanted =
        |kept: &&Record| matches!(kept, Record::Outgoing(kept) if kept.purpose == wanted);
    side.store.iter().filter(is_wanted).count()
}

fn number(side: &Side, id: MessageId) -> Option<u64> {
    side.conversation.sent.message(id).and_then(|message| message.number)
}

#[test]
fn no_job_sends_anything_while_the_contact_is_on_hold() {
    let (mut one, mut other) = established(51);
    let sent = lost(&mut one, "sent");
    one.say("queued");
    other.say("to acknowledge");
    other.send().iter().for_each(|record| one.receive(record));
    let hold = Trust::OnHold { since: UnixSeconds(1), reason: HoldReason::Mismatch, attempts: 1 };
    one.conversation.verification.decide(hold);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    let session = one.session();
    for job in [
        ContactJob::Offer,
        ContactJob::SendNext,
        ContactJob::Retransmit(sent),
        ContactJob::RetransmitNow(sent),
        ContactJob::AnswerOffer(session),
        ContactJob::Acknowledge,
    ] {
        assert!(one.begin(job).is_none(), "{job:?}");
    }
    one.turn(queue_farewells);
    one.conversation.verification.decide(Trust::Unverified);
    assert!(one.begin(ContactJob::Acknowledge).is_some(), "it was owed all the time");
}
