//! One turn of one node, and everything it asks for carried out in order, as the shell does it.
//!
//! Nothing here decides when a turn comes; that is the queue's business in [`World`].

use super::{NodeIndex, PublishedEnvelope, SimEvent, World, skewed};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{Acceptance, EnvelopeId, MiningJob, WorkNonce, work};
use crate::engine::event::{Direction, Event, MessageView};
use crate::engine::id::NeighbourId;
use crate::engine::node::Node;
use crate::engine::node::input::Input;
use crate::engine::record::EnvelopePurpose;
use crate::engine::turn::{Effect, Output};

impl World {
    /// One turn, one drain, then the invariants.
    pub(super) fn turn(&mut self, index: NodeIndex, input: Input) {
        let (now, wall) = (self.now, self.wall());
        self.note(index, &input);
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        let Some(node) = &mut sim.node else { return };
        let mut env = Env::new(now, skewed(wall, sim.skew), &mut sim.entropy);
        node.handle(&mut env, input);
        self.drain(index);
        self.check(index);
    }

    pub(super) fn drain(&mut self, index: NodeIndex) {
        loop {
            let Some(sim) = self.nodes.get_mut(index.0) else { return };
            if sim.crash_after == Some(0) {
                return self.die(index);
            }
            let Some(output) = sim.node.as_mut().and_then(Node::poll_output) else { break };
            sim.crash_after = sim.crash_after.map(|left| left - 1);
            self.carry_out(index, output);
        }
        self.plan_wake(index);
    }

    fn die(&mut self, index: NodeIndex) {
        let downtime = self.links.downtime.get(&index).copied().unwrap_or(Millis(1_000));
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        sim.node = None;
        sim.crash_after = None;
        sim.wake = None;
        self.push(self.now.plus(downtime), SimEvent::Restart(index));
    }

    fn plan_wake(&mut self, index: NodeIndex) {
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        let Some(deadline) = sim.node.as_ref().and_then(Node::deadline) else { return };
        let at = deadline.max(self.now);
        if sim.wake.is_some_and(|planned| planned <= at) {
            return;
        }
        sim.wake = Some(at);
        self.push(at, SimEvent::Wake(index));
    }

    /// Carries one output out, as the shell does.
    fn carry_out(&mut self, index: NodeIndex, output: Output) {
        match output {
            Output::Commit(changes) => {
                if let Some(sim) = self.nodes.get_mut(index.0) {
                    sim.disk.commit(changes);
                }
            }
            Output::AuditNonce(pair) => {
                if !self.ledger.insert(pair) {
                    self.violate(index, "a key and nonce were used twice");
                }
            }
            Output::Effect(effect) => self.carry_out_effect(index, effect),
        }
    }

    fn carry_out_effect(&mut self, index: NodeIndex, effect: Effect) {
        match effect {
            Effect::ReportValidation { from, id, acceptance } => {
                self.report_validation(index, from, id, acceptance);
            }
            Effect::StartMining(job) => self.mine(index, &job),
            Effect::StopMining(outgoing) => {
                if let Some(sim) = self.nodes.get_mut(index.0) {
                    sim.mining.remove(&outgoing);
                }
            }
            Effect::Publish { id, bytes } => self.publish(index, id, &bytes),
            Effect::SyncRequest { to, id, bytes } => self.sync_request(index, to, id, bytes),
            Effect::SyncResponse { id, bytes, stored } => {
                self.sync_response(index, id, bytes, &stored);
            }
            Effect::Penalize(neighbour) => self.penalize(index, neighbour),
            Effect::Archive { id, bytes } => self.archive(index, id, bytes),
            Effect::Discard(ids) => self.discard(index, &ids),
            Effect::Reply { id, reply } => {
                if let Some(sim) = self.nodes.get_mut(index.0) {
                    sim.replies.insert(id, reply);
                }
            }
            Effect::Event(event) => self.tell(index, event),
        }
    }

    fn report_validation(
        &mut self,
        index: NodeIndex,
        from: NeighbourId,
        id: EnvelopeId,
        acceptance: Acceptance,
    ) {
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        let Some(bytes) = sim.under_validation.remove(&id) else {
            return self.violate(index, "a verdict on what was not asked, or was judged before");
        };
        let Ok(carrier) = usize::try_from(from.0).map(NodeIndex) else { return };
        let verdicts = sim.verdicts.entry(carrier).or_default();
        match acceptance {
            Acceptance::Accept => {
                verdicts.accepted += 1;
                self.flood(index, Some(carrier), id, &bytes);
            }
            Acceptance::Ignore => verdicts.ignored += 1,
            Acceptance::Reject => verdicts.rejected += 1,
        }
    }

    fn publish(&mut self, index: NodeIndex, id: EnvelopeId, bytes: &[u8]) {
        let at = self.now;
        self.envelopes.entry(id).or_insert_with(|| bytes.to_vec());
        if let Some(sim) = self.nodes.get_mut(index.0) {
            sim.duplicate_cache.insert(id);
            // What is not on disk before it is published is worth nothing to anyone.
            let purpose = sim.disk.purpose(bytes).unwrap_or(EnvelopePurpose::Junk);
            sim.sent.push(PublishedEnvelope { at, id, purpose });
        }
        if self.plaintexts.iter().rev().take(SEARCHED).any(|text| contains(bytes, text)) {
            self.violate(index, "what was said is readable on a link");
        }
        self.flood(index, None, id, bytes);
    }

    /// Searches at once and answers after the time it would have taken.
    fn mine(&mut self, index: NodeIndex, order: &MiningJob) {
        let from = WorkNonce(order.start);
        let Some(nonce) = work::search(order, from, u64::MAX) else { return };
        let span = self.chance.below(MINING_AT_MOST.0) + 1;
        if let Some(sim) = self.nodes.get_mut(index.0) {
            sim.mining.insert(order.outgoing);
        }
        let event = SimEvent::Mined { at: index, outgoing: order.outgoing, nonce };
        self.push(self.now.plus(Millis(span)), event);
    }

    fn flood(&mut self, from: NodeIndex, except: Option<NodeIndex>, id: EnvelopeId, bytes: &[u8]) {
        for to in self.links.neighbours(from) {
            if Some(to) == except {
                continue;
            }
            if let Some(latency) = self.links.carry(&mut self.chance) {
                let event = SimEvent::Arrive { to, from, id, bytes: bytes.to_vec() };
                let at = self.now.plus(latency);
                self.push(at, event);
                if let Some(later) = self.links.carry_again(&mut self.chance) {
                    let event = SimEvent::ArriveAgain { to, from, id, bytes: bytes.to_vec() };
                    self.push(at.plus(later), event);
                }
            }
        }
    }

    pub(super) fn tell(&mut self, index: NodeIndex, notice: Event) {
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        let seen = &mut sim.seen;
        match notice {
            Event::Identity(_) | Event::IdentityRemoved(_) => {}
            Event::Contact(view) => {
                seen.missing.insert(view.id, view.missing);
                if view.restored.is_some() {
                    seen.restored.insert(view.id);
                } else {
                    seen.restored.remove(&view.id);
                }
                seen.contacts.insert(view.id, (view.key, view.session));
            }
            Event::ContactRemoved(id) => {
                seen.contacts.remove(&id);
            }
            Event::Request(view) => {
                seen.requests.retain(|request| request.id != view.id);
                seen.requests.push(view);
            }
            Event::RequestRemoved(id) => seen.requests.retain(|request| request.id != id),
            Event::State { message, state, .. } => {
                let before = seen.states.insert(message, state);
                if before.is_some_and(|before| before != state && !before.may_become(state)) {
                    self.violate(index, "a message moved to a state it may not move to");
                }
            }
            Event::Confirmed { message, .. } => {
                seen.early.remove(&message);
            }
            Event::Message(view) => self.tell_message(index, view),
        }
    }

    fn tell_message(&mut self, index: NodeIndex, view: MessageView) {
        let Some(sim) = self.nodes.get_mut(index.0) else { return };
        match view.direction {
            Direction::Outgoing(state) => {
                sim.seen.states.insert(view.id, state);
            }
            Direction::Incoming => {
                if view.early {
                    sim.seen.early.insert(view.id);
                }
                sim.seen.texts.push((view.contact, view.text.into_raw()));
                if !sim.seen.shown.insert(view.id) {
                    self.violate(index, "a message was shown twice");
                }
            }
        }
    }

    fn check(&mut self, index: NodeIndex) {
        let Some(node) = self.node(index) else { return };
        let status = node.status();
        let over = status.pool_bytes > status.pool_bounds.bytes
            || status.pool_count > status.pool_bounds.count;
        if over {
            self.violate(index, "the pool is over its bound");
        }
    }

    pub(super) fn violate(&mut self, index: NodeIndex, what: &str) {
        let line = format!("SEED={} at {} ms, node {}: {what}", self.seed, self.now.0, index.0);
        self.violations.push(line);
    }

    /// Mixes a turn into the trace (FNV-1a over what identifies it).
    fn note(&mut self, index: NodeIndex, input: &Input) {
        let kind: u64 = match input {
            Input::Gossip { id, .. } => u64::from_le_bytes(first_eight(&id.0)),
            Input::Mined { nonce, .. } => nonce.0,
            Input::Peers(peers) => peers.len() as u64 ^ 0xA5,
            Input::SyncRequest { id: ticket, .. } => ticket.0 ^ 0x5C00,
            Input::SyncResponse { id: ask, .. } => ask.0 ^ 0x5D00,
            Input::ArchiveMissing(ids) => ids.len() as u64 ^ 0x5E00,
            Input::Command { id: ask, .. } => ask.0 ^ 0x5A00,
            Input::Tick => 0x7C,
        };
        for part in [self.now.0, index.0 as u64, kind] {
            self.trace.digest = (self.trace.digest ^ part).wrapping_mul(0x0100_0000_01b3);
        }
        self.trace.turns += 1;
    }
}

/// Envelopes are searched for so many of the texts said last: a search of all would be most of the
/// simulation.
const SEARCHED: usize = 16;

/// A search takes up to a second of virtual time.
const MINING_AT_MOST: Millis = Millis(1_000);

fn first_eight(bytes: &[u8; 32]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    eight
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
