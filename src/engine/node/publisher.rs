//! Job to publish, top to bottom: encrypt, store, search for work, check by our own gate, publish.
//!
//! One envelope is on its way at a time, and none is begun while no neighbour could take it. So at
//! most one message is encrypted and not published, it is always the last of its conversation, and
//! taking it back leaves no gap.
//!
//! What waits and what is on its way is in the turn's outbox; [`Publisher`] is the way through it.

use crate::engine::env::Millis;
use crate::engine::envelope::{Draft, EnvelopeId, WorkNonce, check};
use crate::engine::id::OutgoingId;
use crate::engine::record::{EnvelopePurpose, OutgoingRecord, Record, RecordKey};
use crate::engine::relay::Relay;
use crate::engine::session::junk;
use crate::engine::turn::{Effect, InFlight, Job, PublishStage, Timer, Turn};

use super::messenger::{Messenger, Republished};

/// The way of an envelope of ours to the flood, past the gate and the conversations.
pub(super) struct Publisher<'n> {
    pub(super) relay: &'n mut Relay,
    pub(super) messenger: &'n mut Messenger,
}

impl Publisher<'_> {
    /// Begins the next job when nothing is on its way and somebody could take it.
    pub(super) fn drive(&mut self, turn: &mut Turn<'_, '_>) {
        loop {
            if let Some(in_flight) = turn.outbox.take_in_flight() {
                match in_flight.stage {
                    PublishStage::Mining { .. } => return turn.outbox.set_in_flight(in_flight),
                    PublishStage::Mined { id } => self.publish(turn, in_flight.record, id),
                }
                continue;
            }
            let Some(job) = turn.outbox.pop() else { return };
            if let Some(record) = self.begin(turn, job) {
                start_mining(turn, record);
            }
        }
    }

    /// Turns a job into an encrypted envelope; or into nothing when there is no need for it.
    fn begin(&mut self, turn: &mut Turn<'_, '_>, job: Job) -> Option<OutgoingRecord> {
        match job {
            Job::Contact(contact, job) => self.messenger.next_envelope(turn, contact, job),
            Job::PublishStored(contact, id) => turn.outbox.take_kept(contact, id),
            Job::Junk => {
                let sealed = junk(turn.env);
                Some(OutgoingRecord {
                    id: OutgoingId::draw(turn.env),
                    purpose: EnvelopePurpose::Junk,
                    topic: sealed.topic,
                    body: sealed.body,
                    ttl: turn.settings.lifetime.ttl(),
                    envelope: None,
                })
            }
        }
    }

    /// Hands a finished envelope to the flood and notes what that means for whom it carries.
    fn publish(&mut self, turn: &mut Turn<'_, '_>, record: OutgoingRecord, id: EnvelopeId) {
        let Some(bytes) = record.envelope.clone() else { return };
        let Ok(checked) = check(bytes.clone(), turn.env.wall, &turn.settings.floor) else {
            // It waited too long for a neighbour: the same body is dated again.
            return start_mining(turn, OutgoingRecord { envelope: None, ..record });
        };
        self.relay.admit_own(turn, checked);
        self.relay.count_published();
        turn.effect(Effect::Publish { id, bytes });
        let purpose = record.purpose;
        match purpose {
            EnvelopePurpose::Junk => {}
            EnvelopePurpose::Control(_) => {
                // Published before it is erased: a crash between the two publishes it once more.
                turn.erase(RecordKey::Outgoing(record.id));
                turn.settle();
            }
            EnvelopePurpose::Offer(contact) | EnvelopePurpose::Message(contact, _) => {
                turn.outbox.keep(contact, record);
                self.messenger.on_published(turn, contact, purpose);
            }
        }
    }

    /// The first neighbour has come: what may have reached nobody is published again, byte for byte.
    pub(super) fn republish_all(&mut self, turn: &mut Turn<'_, '_>) {
        for record in turn.outbox.finished() {
            self.republish(turn, &record);
        }
    }

    fn republish(&mut self, turn: &mut Turn<'_, '_>, record: &OutgoingRecord) {
        let Some(bytes) = &record.envelope else { return };
        let outcome = match check(bytes.clone(), turn.env.wall, &turn.settings.floor) {
            Ok(checked) => {
                let id = checked.id();
                self.relay.admit_own(turn, checked);
                turn.effect(Effect::Publish { id, bytes: bytes.clone() });
                Republished::Published
            }
            Err(_) => Republished::Expired,
        };
        match record.purpose {
            EnvelopePurpose::Message(contact, message) => {
                self.messenger.on_republished(turn, (contact, message), outcome);
            }
            // An acknowledgement or a farewell is done with, whether it went or was too old to go.
            EnvelopePurpose::Control(contact) => {
                turn.outbox.take_kept(contact, record.id);
                turn.erase(RecordKey::Outgoing(record.id));
                turn.settle();
            }
            EnvelopePurpose::Offer(_) | EnvelopePurpose::Junk => {}
        }
    }
}

/// Dates an envelope and has its work searched for.
fn start_mining(turn: &mut Turn<'_, '_>, record: OutgoingRecord) {
    let drafted = Draft::new(turn.env.wall, record.ttl, record.topic, record.body.clone());
    let Ok(draft) = drafted else { return };
    let job = draft.mining_job(record.id, &turn.settings.floor, turn.env.draw_u64());
    let bits = job.bits;
    turn.effect(Effect::StartMining(job));
    turn.outbox.set_in_flight(InFlight { record, stage: PublishStage::Mining { draft, bits } });
}

/// Takes the found nonce; stores the finished envelope before it can be published.
pub(super) fn on_mined(turn: &mut Turn<'_, '_>, outgoing: OutgoingId, nonce: WorkNonce) {
    let Some(in_flight) = turn.outbox.take_in_flight_if(outgoing) else { return };
    let InFlight { mut record, stage } = in_flight;
    let PublishStage::Mining { draft, .. } = stage else {
        return turn.outbox.set_in_flight(InFlight { record, stage });
    };
    let (id, bytes) = draft.finish(nonce);
    if check(bytes.clone(), turn.env.wall, &turn.settings.floor).is_err() {
        // The clock moved on while the search ran, or the miner was wrong: date it again.
        return start_mining(turn, record);
    }
    record.envelope = Some(bytes);
    match record.purpose {
        EnvelopePurpose::Junk => {}
        EnvelopePurpose::Offer(_) | EnvelopePurpose::Message(..) | EnvelopePurpose::Control(_) => {
            turn.put(Record::Outgoing(record.clone()));
            turn.settle();
        }
    }
    turn.outbox.set_in_flight(InFlight { record, stage: PublishStage::Mined { id } });
}

/// Sends a junk envelope and draws the time of the next.
pub(super) fn on_junk_due(turn: &mut Turn<'_, '_>) {
    turn.outbox.push_junk();
    schedule_junk(turn);
}

/// Draws the time of the next junk envelope: the intervals of a Poisson process.
pub(super) fn schedule_junk(turn: &mut Turn<'_, '_>) {
    let Some(mean) = turn.settings.junk else { return };
    let wait = turn.env.exponential(mean).0.max(1);
    turn.timers.set(Timer::Junk, turn.env.mono.plus(Millis(wait)));
}
