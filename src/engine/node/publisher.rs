//! Job to publish, top to bottom: encrypt, store, search for work, check by our own gate, publish.
//!
//! One envelope is on its way at a time, and none is begun while no neighbour could take it. So at
//! most one message is encrypted and not published, it is always the last of its conversation, and
//! taking it back leaves no gap.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::env::Millis;
use crate::engine::envelope::{CheckedEnvelope, Draft, EnvelopeId, Lifetime, WorkNonce, check};
use crate::engine::id::{ContactId, MessageId, OutgoingId};
use crate::engine::session::{SealedBody, SessionId, junk};

use super::Node;
use super::catchup::SETTLE;
use crate::engine::id::NeighbourId;
use crate::engine::record::{
    EnvelopePurpose, MessageState, OutgoingRecord, Record, RecordKey, StoredDirection,
};
use crate::engine::turn::{Output, Timer, Turn};

/// Junk beyond this is not sent: it would only make real envelopes wait. A guess.
const MAX_JUNK_WAITING: usize = 8;

/// One thing to send. What it says is decided when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// The pending offer to a contact, sealed afresh.
    Offer(ContactId),
    /// The next queued message to a contact.
    SendNext(ContactId),
    /// A message that was not acknowledged, encrypted afresh.
    Retransmit(MessageId),
    /// The same because a person asked for it.
    RetransmitNow(MessageId),
    /// The answer to a contact's offer.
    AnswerOffer(ContactId, SessionId),
    /// What was received from a contact.
    Acknowledge(ContactId),
    /// An envelope that is encrypted already.
    PublishStored(OutgoingId),
    /// Nothing, for nobody.
    Junk,
}

/// What a node has to send, and what it sent and keeps until it is done with.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    jobs: VecDeque<Job>,
    kept: BTreeMap<OutgoingId, OutgoingRecord>,
    in_flight: Option<InFlight>,
}

/// The envelope that is on its way.
#[derive(Debug)]
struct InFlight {
    record: OutgoingRecord,
    stage: PublishStage,
}

#[derive(Debug)]
enum PublishStage {
    Mining { draft: Draft, bits: u8 },
    Mined { id: EnvelopeId },
}

impl Outbox {
    /// Appends a job that is not waiting already.
    pub(super) fn push(&mut self, job: Job) {
        if !self.jobs.contains(&job) {
            self.jobs.push_back(job);
        }
    }

    /// Appends junk. Several may wait, or a slow search would make it rarer than was asked.
    fn push_junk(&mut self) {
        let waiting = self.jobs.iter().filter(|job| **job == Job::Junk).count();
        if waiting < MAX_JUNK_WAITING {
            self.jobs.push_back(Job::Junk);
        }
    }

    /// Keeps an encrypted envelope and sends it when its turn comes.
    pub(super) fn push_encrypted(&mut self, record: OutgoingRecord) {
        self.jobs.push_back(Job::PublishStored(record.id));
        self.kept.insert(record.id, record);
    }

    /// Keeps a finished envelope, to publish it again with the first neighbour.
    pub(super) fn keep(&mut self, record: OutgoingRecord) {
        self.kept.insert(record.id, record);
    }

    /// Drops the jobs that `unwanted` names.
    pub(super) fn drop_jobs(&mut self, unwanted: impl Fn(&Job) -> bool) {
        self.jobs.retain(|job| !unwanted(job));
    }

    /// How much is being searched for, if anything is.
    pub(super) fn mining_bits(&self) -> Option<u8> {
        match self.in_flight.as_ref()?.stage {
            PublishStage::Mining { bits, .. } => Some(bits),
            PublishStage::Mined { .. } => None,
        }
    }

    /// Forgets every envelope `unwanted` names, and stops the search for one of them.
    pub(super) fn forget(
        &mut self,
        turn: &mut Turn<'_, '_>,
        unwanted: impl Fn(&OutgoingRecord) -> bool,
    ) {
        let mut gone: Vec<OutgoingId> =
            self.kept.values().filter(|record| unwanted(record)).map(|record| record.id).collect();
        for id in &gone {
            self.kept.remove(id);
        }
        self.jobs.retain(|job| !matches!(job, Job::PublishStored(id) if gone.contains(id)));
        if let Some(current) = self.in_flight.take_if(|current| unwanted(&current.record)) {
            turn.effect(Output::StopMining(current.record.id));
            gone.push(current.record.id);
        }
        gone.into_iter().for_each(|id| turn.erase(RecordKey::Outgoing(id)));
    }

    /// Whether this job waits for its turn.
    pub(super) fn is_waiting(&self, job: Job) -> bool {
        self.jobs.contains(&job)
    }

    /// Whether this message is encrypted and was never published.
    pub(super) fn is_unpublished(&self, message: MessageId) -> bool {
        let about = |record: &OutgoingRecord| matches!(record.purpose, EnvelopePurpose::Message(_, id) if id == message);
        self.in_flight.as_ref().is_some_and(|current| about(&current.record))
            || self.kept.values().any(|record| about(record) && record.envelope.is_none())
    }
}

impl Node {
    /// Begins the next job when nothing is on its way and somebody could take it.
    pub(super) fn drive_publisher(&mut self, turn: &mut Turn<'_, '_>) {
        while !self.peers.is_empty() {
            if let Some(current) = self.outbox.in_flight.take() {
                match current.stage {
                    PublishStage::Mining { .. } => {
                        self.outbox.in_flight = Some(current);
                        return;
                    }
                    PublishStage::Mined { id } => self.publish(turn, current.record, id),
                }
                continue;
            }
            let Some(job) = self.outbox.jobs.pop_front() else { return };
            if let Some(record) = self.begin(turn, job) {
                self.start_mining(turn, record);
            }
        }
    }

    /// Turns a job into an encrypted envelope, stored; or into nothing when there is no need for it.
    fn begin(&mut self, turn: &mut Turn<'_, '_>, job: Job) -> Option<OutgoingRecord> {
        if self.is_job_on_hold(job) {
            return None;
        }
        match job {
            Job::Offer(contact) => self.begin_offer(turn, contact),
            Job::SendNext(contact) => self.begin_next_message(turn, contact),
            Job::Retransmit(message) => self.begin_retransmit(turn, message),
            Job::RetransmitNow(message) => self.begin_retransmit_now(turn, message),
            Job::AnswerOffer(contact, session) => self.begin_answer(turn, contact, session),
            Job::Acknowledge(contact) => self.begin_acknowledge(turn, contact),
            Job::PublishStored(id) => self.outbox.kept.remove(&id),
            Job::Junk => {
                let sealed = junk(turn.env);
                Some(self.outgoing(turn, EnvelopePurpose::Junk, sealed))
            }
        }
    }

    /// A record for a sealed body; storing it is up to the caller.
    pub(super) fn outgoing(
        &self,
        turn: &mut Turn<'_, '_>,
        purpose: EnvelopePurpose,
        sealed: SealedBody,
    ) -> OutgoingRecord {
        OutgoingRecord {
            id: OutgoingId::draw(turn.env),
            purpose,
            topic: sealed.topic,
            body: sealed.body,
            ttl: self.lifetime_of(purpose).ttl(),
            envelope: None,
        }
    }

    /// How long an envelope of ours is to live: a message's as long as its writer wanted, an offer's
    /// at least as long as what waits for it, an answer's or an acknowledgement's at least as long as
    /// what it answers, so that whoever sent that and went away still finds it.
    pub(super) fn lifetime_of(&self, purpose: EnvelopePurpose) -> Lifetime {
        let default = self.settings.life;
        match purpose {
            EnvelopePurpose::Junk => default,
            EnvelopePurpose::Message(_, message) => {
                self.open_messages.get(&message).map_or(default, |message| message.life)
            }
            EnvelopePurpose::Control(contact) => {
                let owed = self.conversations.get(&contact).and_then(|talk| talk.ack_lifetime);
                owed.map_or(default, |owed| owed.max(default))
            }
            EnvelopePurpose::Offer(contact) => {
                let waiting = self.open_messages.values().filter(|message| {
                    message.contact == contact && waits_for_session(message.direction)
                });
                waiting.map(|message| message.life).max().map_or(default, |life| life.max(default))
            }
        }
    }

    /// Dates an envelope and orders its work.
    fn start_mining(&mut self, turn: &mut Turn<'_, '_>, record: OutgoingRecord) {
        let drafted = Draft::new(turn.env.wall, record.ttl, record.topic, record.body.clone());
        let Ok(draft) = drafted else { return };
        let order = draft.mining_job(record.id, &self.settings.floor, turn.env.draw_u64());
        let bits = order.bits;
        turn.effect(Output::StartMining(order));
        self.outbox.in_flight =
            Some(InFlight { record, stage: PublishStage::Mining { draft, bits } });
    }

    /// Takes the found nonce; stores the finished envelope before it can be published.
    pub(super) fn on_mined(
        &mut self,
        turn: &mut Turn<'_, '_>,
        outgoing: OutgoingId,
        nonce: WorkNonce,
    ) {
        let Some(current) = self.outbox.in_flight.take_if(|current| current.record.id == outgoing)
        else {
            return;
        };
        let InFlight { mut record, stage } = current;
        let PublishStage::Mining { draft, .. } = stage else {
            self.outbox.in_flight = Some(InFlight { record, stage });
            return;
        };
        let (id, bytes) = draft.finish(nonce);
        if check(bytes.clone(), turn.env.wall, &self.settings.floor).is_err() {
            // The clock moved on while the search ran, or the miner was wrong: date it again.
            return self.start_mining(turn, record);
        }
        record.envelope = Some(bytes);
        match record.purpose {
            EnvelopePurpose::Junk => {}
            EnvelopePurpose::Offer(_)
            | EnvelopePurpose::Message(..)
            | EnvelopePurpose::Control(_) => {
                turn.put(Record::Outgoing(record.clone()));
                turn.settle();
            }
        }
        self.outbox.in_flight = Some(InFlight { record, stage: PublishStage::Mined { id } });
    }

    /// Hands a finished envelope to the flood and notes what that means for whom it carries.
    fn publish(&mut self, turn: &mut Turn<'_, '_>, record: OutgoingRecord, id: EnvelopeId) {
        let Some(bytes) = record.envelope.clone() else { return };
        let Ok(checked) = check(bytes.clone(), turn.env.wall, &self.settings.floor) else {
            // It waited too long for a neighbour: the same body is dated again.
            return self.start_mining(turn, OutgoingRecord { envelope: None, ..record });
        };
        // Our own gate: what comes back from the flood is a duplicate, and a full pool treats our
        // envelopes like anyone's.
        self.admit_own(turn, checked);
        self.validation.published += 1;
        turn.effect(Output::Publish { id, bytes });
        match record.purpose {
            EnvelopePurpose::Junk => {}
            EnvelopePurpose::Control(_) => {
                turn.erase(RecordKey::Outgoing(record.id));
                turn.settle();
            }
            EnvelopePurpose::Offer(contact) => {
                self.outbox.kept.insert(record.id, record);
                self.on_offer_sent(turn, contact);
            }
            EnvelopePurpose::Message(contact, message) => {
                self.outbox.kept.insert(record.id, record);
                self.on_message_sent(turn, contact, message);
            }
        }
    }

    /// Holds an envelope of ours like anyone's. Others may be told of it a while after it was handed
    /// to the flood, as of all envelopes: if they were not, it would be the one that only we lack.
    fn admit_own(&mut self, turn: &mut Turn<'_, '_>, checked: CheckedEnvelope) {
        let settled = turn.env.mono.plus(SETTLE);
        if self.pool.admit(checked.clone(), turn.env.wall, settled).error().is_none() {
            self.archive(turn, &checked);
        }
    }

    /// The neighbours changed. With the first one, what may have reached nobody is
    /// published again, byte for byte.
    pub(super) fn on_peers(&mut self, turn: &mut Turn<'_, '_>, peers: Vec<NeighbourId>) {
        let before = core::mem::replace(&mut self.peers, peers);
        self.schedule_sync(turn, &before);
        let alone = before.is_empty();
        if !alone || self.peers.is_empty() {
            return;
        }
        let finished = |record: &&OutgoingRecord| record.envelope.is_some();
        let kept: Vec<OutgoingRecord> =
            self.outbox.kept.values().filter(finished).cloned().collect();
        for record in kept {
            self.republish(turn, &record);
        }
    }

    fn republish(&mut self, turn: &mut Turn<'_, '_>, record: &OutgoingRecord) {
        let Some(bytes) = &record.envelope else { return };
        if let Ok(checked) = check(bytes.clone(), turn.env.wall, &self.settings.floor) {
            let id = checked.id();
            self.admit_own(turn, checked);
            turn.effect(Output::Publish { id, bytes: bytes.clone() });
            if let EnvelopePurpose::Message(contact, message) = record.purpose
                && self.is_uncounted(message)
            {
                self.on_message_sent(turn, contact, message);
            }
        } else if let EnvelopePurpose::Message(_, message) = record.purpose {
            self.on_expired_unsent(turn, message);
        }
        // An acknowledgement or a farewell is done with, whether it went or was too old to go.
        if let EnvelopePurpose::Control(_) = record.purpose {
            self.outbox.kept.remove(&record.id);
            turn.erase(RecordKey::Outgoing(record.id));
            turn.settle();
        }
    }

    /// Sends a junk envelope and draws the time of the next.
    pub(super) fn on_junk_due(&mut self, turn: &mut Turn<'_, '_>) {
        self.outbox.push_junk();
        self.schedule_junk(turn);
    }

    /// Draws the time of the next junk envelope: the intervals of a Poisson process.
    pub(super) fn schedule_junk(&mut self, turn: &mut Turn<'_, '_>) {
        let Some(mean) = self.settings.junk else { return };
        let wait = turn.env.exponential(mean).0.max(1);
        self.timers.set(Timer::Junk, turn.env.mono.plus(Millis(wait)));
    }

    /// Messages of ours that have not left.
    pub(super) fn queued_messages(&self) -> usize {
        self.open_messages
            .values()
            .filter(|message| {
                matches!(
                    message.direction,
                    StoredDirection::Outgoing(MessageState::Queued | MessageState::Mining)
                )
            })
            .count()
    }
}

/// Whether a message of ours goes in the next session if there is none.
const fn waits_for_session(direction: StoredDirection) -> bool {
    match direction {
        StoredDirection::Outgoing(state) => match state {
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Sent
            | MessageState::Unacknowledged => true,
            MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => false,
        },
        StoredDirection::Delivered | StoredDirection::Buffered { .. } => false,
    }
}
