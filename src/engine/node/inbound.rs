//! Gossip to event, top to bottom: decode, check, queue, admit, judge, open.
//!
//! A relay's line ends after the verdict. Nothing is decrypted and nothing is stored before it.

use crate::engine::envelope::check::CLOCK_TOLERANCE;
use crate::engine::envelope::{
    Acceptance, CheckedEnvelope, Envelope, EnvelopeId, Lifetime, Topic, ValidationError, check,
    wire::{ENVELOPE_SIZE, expiry_quantum},
};
use crate::engine::relay::validation_queue::Enqueued;
use crate::engine::session::{Payload, ReceivedOffer, SessionId};

use super::catchup::SETTLE;
use super::{Node, VALIDATION_BATCH};
use crate::engine::id::NeighbourId;
use crate::engine::settings::NodeRole;
use crate::engine::turn::{Output, Turn};

/// How an envelope came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Handed over in the flood, soon after it was made.
    Gossip,
    /// Fetched, or held until it could be read: of any age.
    Sync,
}

/// Where a payload came from: the lifetime of its envelope, and whether it may predate this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provenance {
    /// How long it lives.
    pub(super) life: Lifetime,
    /// Whether it may be older than this process, and of a time that this state knows nothing of.
    pub(super) stale: bool,
}

impl Node {
    /// Checks what a neighbour brought and queues what holds; the rest is judged at once.
    pub(super) fn on_gossip(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        bytes: Vec<u8>,
    ) {
        let checked = match check(bytes, turn.env.wall, &self.settings.floor) {
            Ok(checked) => checked,
            Err(refusal) => return self.reject(turn, from, id, refusal),
        };
        if self.pool.contains(&id) {
            return self.reject(turn, from, id, ValidationError::Duplicate);
        }
        match self.validation_queue.push(checked, from) {
            Enqueued::Queued => {}
            Enqueued::Duplicate => self.reject(turn, from, id, ValidationError::Duplicate),
            Enqueued::QueueFull(..) => self.reject(turn, from, id, ValidationError::QueueFull),
            Enqueued::Evicted((other, carrier)) => {
                self.reject(turn, carrier, other.id(), ValidationError::QueueFull);
            }
        }
    }

    /// Takes a batch from the queue, highest rated first.
    pub(super) fn drain_queue(&mut self, turn: &mut Turn<'_, '_>) {
        for _ in 0..VALIDATION_BATCH {
            let Some((checked, from)) = self.validation_queue.pop() else { return };
            self.admit(turn, checked, from);
        }
    }

    fn admit(&mut self, turn: &mut Turn<'_, '_>, checked: CheckedEnvelope, from: NeighbourId) {
        let settled = turn.env.mono.plus(SETTLE);
        let refusal = self.pool.admit(checked.clone(), turn.env.wall, settled).error();
        match refusal {
            Some(refusal) => self.reject(turn, from, checked.id(), refusal),
            None => self.report_validation(turn, from, checked.id(), Acceptance::Accept),
        }
        self.dispatch(turn, &checked, refusal, Source::Gossip);
    }

    /// What follows the gate, whichever way an envelope came: a relay's archive keeps it, a
    /// messenger sees whether it is for us.
    pub(super) fn dispatch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: &CheckedEnvelope,
        refusal: Option<ValidationError>,
        source: Source,
    ) {
        if refusal.is_none() {
            self.archive(turn, checked);
        }
        let acceptance = refusal.map_or(Acceptance::Accept, ValidationError::acceptance);
        match self.settings.role {
            NodeRole::Messenger if acceptance == Acceptance::Accept => {
                self.try_open(turn, checked, source)
            }
            NodeRole::Messenger | NodeRole::Relay => {}
        }
    }

    fn reject(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        refusal: ValidationError,
    ) {
        self.count_off_time(refusal);
        self.report_validation(turn, from, id, refusal.acceptance());
    }

    /// Counts what came too late or too soon: many of them say that a clock is wrong.
    pub(super) fn count_off_time(&mut self, refusal: ValidationError) {
        match refusal {
            ValidationError::Expired => self.validation.expired += 1,
            ValidationError::TooFarInFuture => self.validation.early += 1,
            ValidationError::TooLarge
            | ValidationError::Malformed
            | ValidationError::InvalidTtl
            | ValidationError::UnalignedExpiry
            | ValidationError::InsufficientPow
            | ValidationError::Duplicate
            | ValidationError::PoolFull
            | ValidationError::QueueFull => {}
        }
    }

    fn report_validation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: NeighbourId,
        id: EnvelopeId,
        acceptance: Acceptance,
    ) {
        match acceptance {
            Acceptance::Accept => self.validation.accepted += 1,
            Acceptance::Ignore => self.validation.ignored += 1,
            Acceptance::Reject => self.validation.rejected += 1,
        }
        turn.effect(Output::ReportValidation { from, id, acceptance });
    }

    /// Sees whether an envelope is for us: first a session's topics, then one trial per identity.
    pub(super) fn try_open(
        &mut self,
        turn: &mut Turn<'_, '_>,
        checked: &CheckedEnvelope,
        source: Source,
    ) {
        let envelope = checked.envelope();
        for session in self.topic_index.candidates(checked.topic()) {
            if self.decrypt_and_apply(turn, session, checked, source) {
                return;
            }
        }
        if checked.bytes().len() != ENVELOPE_SIZE {
            return;
        }
        let identities =
            self.roster.identities.values().map(|record| (record.id, &record.identity));
        if let Some((identity, offer)) = ReceivedOffer::find(identities, envelope.data) {
            self.on_offer(turn, identity, offer, Lifetime::covering(envelope.ttl));
        }
    }

    /// Reads a message of a session, and what waited for it; answers whether it was one.
    pub(super) fn decrypt_and_apply(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        checked: &CheckedEnvelope,
        source: Source,
    ) -> bool {
        let confirmed = |node: &Self| {
            node.sessions.get(&session).is_some_and(|record| record.session.confirmed())
        };
        let before = confirmed(self);
        let (topic, envelope) = (checked.topic(), checked.envelope());
        let Some(payload) = self.decrypt(turn, session, topic, envelope.data) else { return false };
        let stale = source == Source::Sync && self.may_predate(checked);
        self.on_payload(
            turn,
            session,
            payload,
            Provenance { life: Lifetime::covering(envelope.ttl), stale },
        );
        if !before && confirmed(self) {
            // Messages of the answer's chain may have overtaken the answer.
            self.decrypt_waiting(turn, session);
            self.on_established(turn, session);
        }
        true
    }

    /// Whether an envelope may have been made before this process began, by a clock within the
    /// tolerance of ours.
    fn may_predate(&self, checked: &CheckedEnvelope) -> bool {
        let Envelope { expiry, ttl, .. } = checked.envelope();
        let earliest = expiry.minus(ttl).minus(expiry_quantum(ttl));
        earliest <= self.started_at.plus(CLOCK_TOLERANCE)
    }

    /// Reads the messages of a session that came before they could be opened: they wait in the
    /// pool, found by topic.
    pub(super) fn decrypt_waiting(&mut self, turn: &mut Turn<'_, '_>, session: SessionId) {
        let Some(record) = self.sessions.get(&session) else { return };
        let waiting: Vec<CheckedEnvelope> =
            record.session.topics().flat_map(|topic| self.pool.by_topic(topic)).cloned().collect();
        for checked in waiting {
            self.decrypt_and_apply(turn, session, &checked, Source::Sync);
        }
    }

    /// Decrypts on a copy of the session; only success replaces it.
    fn decrypt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: SessionId,
        topic: Topic,
        body: &[u8],
    ) -> Option<Payload> {
        let record = self.sessions.get_mut(&id)?;
        let contact = self.roster.contacts.get(&record.contact)?;
        let own = &self.roster.identities.get(&contact.identity)?.identity;
        let (next, payload) = record.session.decrypt(turn.env, own, topic, body)?;
        self.topic_index.update(&record.session, &next);
        *record.session = next;
        Some(payload)
    }
}
