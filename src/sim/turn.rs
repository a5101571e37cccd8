//! One turn of one node, and all its outputs carried out in order, as the shell does it.
//!
//! Nothing here decides when a turn comes; that is the schedule's part.

use super::audit::Violation;
use super::machine::NextStep;
use super::network::{PendingResponse, SyncDelivery};
use super::schedule::SimEvent;
use super::{NodeIndex, World};
use crate::engine::env::Millis;
use crate::engine::envelope::EnvelopeId;
use crate::engine::event::Event;
use crate::engine::id::SyncResponseId;
use crate::engine::node::input::Input;
use crate::engine::sync::MAX_MESSAGE;
use crate::engine::turn::{Effect, Output};

impl World {
    /// Carries one planned event to the node it happens to.
    pub(super) fn happen(&mut self, event: SimEvent) {
        match event {
            SimEvent::Sync(delivery) => self.deliver_sync(delivery),
            SimEvent::ArchiveMissing(node, ids) => self.turn(node, Input::ArchiveMissing(ids)),
            SimEvent::Arrive { to, from, id, bytes } => {
                // gossipsub drops an envelope that it knows, and asks the engine about any other.
                let machine = self.machine_mut(to);
                if machine.node().is_some() && machine.gossip.is_new(id) {
                    self.validate(to, from, id, bytes);
                }
            }
            SimEvent::ArriveAgain { to, from, id, bytes } => self.validate(to, from, id, bytes),
            SimEvent::Mined { at, outgoing, nonce } => {
                // A search that was stopped, or that an earlier process began, has no result.
                if self.machine_mut(at).mining.remove(&outgoing) {
                    self.turn(at, Input::Mined { outgoing, nonce });
                }
            }
            SimEvent::Wake(node) => {
                let now = self.now();
                if self.machine_mut(node).take_wake(now) {
                    self.turn(node, Input::Tick);
                }
            }
            SimEvent::Restart(node) => self.start(node),
            SimEvent::SwitchOn(node) => {
                self.network.links.switch_on(node);
                self.start(node);
                let neighbours = self.network.links.neighbours(node);
                self.tell_peers(&neighbours);
            }
        }
    }

    /// One turn, its outputs, then the invariants.
    pub(super) fn turn(&mut self, index: NodeIndex, input: Input) {
        let now = self.now();
        self.trace.note(now, index, &input);
        if self.machine_mut(index).handle(now, input) {
            self.drain(index);
            let checked = self.machine(index).check_pool();
            self.note_violation(index, checked);
        }
    }

    /// Carries out a node's outputs, unless it crashes meanwhile.
    pub(super) fn drain(&mut self, index: NodeIndex) {
        loop {
            match self.machine_mut(index).next_step() {
                NextStep::Output(output) => self.carry_out(index, output),
                NextStep::Crash(downtime) => {
                    return self.network.schedule.plan_after(downtime, SimEvent::Restart(index));
                }
                NextStep::Done => break,
            }
        }
        let now = self.now();
        if let Some(at) = self.machine_mut(index).plan_wake(now) {
            self.network.schedule.plan(at, SimEvent::Wake(index));
        }
    }

    /// Shows an event to the person in front of a node.
    pub(super) fn show(&mut self, index: NodeIndex, event: Event) {
        let observed = self.machine_mut(index).seen.observe(event);
        self.note_violation(index, observed);
    }

    fn carry_out(&mut self, index: NodeIndex, output: Output) {
        match output {
            Output::Commit(changes) => self.machine_mut(index).disk.commit(changes),
            Output::AuditNonce(pair) => {
                let checked = self.audit.check_nonce(pair);
                self.note_violation(index, checked);
            }
            Output::Effect(effect) => self.carry_out_effect(index, effect),
        }
    }

    fn carry_out_effect(&mut self, index: NodeIndex, effect: Effect) {
        match effect {
            Effect::ReportValidation { from, id, acceptance } => {
                let Some(carrier) = NodeIndex::of(from) else { return };
                let gossip = &mut self.machine_mut(index).gossip;
                match gossip.finish_validation(carrier, id, acceptance) {
                    Ok(Some(bytes)) => self.network.flood(index, Some(carrier), id, &bytes),
                    Ok(None) => {}
                    Err(violation) => self.note_violation(index, Err(violation)),
                }
            }
            Effect::StartMining(job) => {
                if self.network.schedule.plan_mined(index, &job) {
                    self.machine_mut(index).mining.insert(job.outgoing);
                }
            }
            Effect::StopMining(outgoing) => {
                self.machine_mut(index).mining.remove(&outgoing);
            }
            Effect::Publish { id, bytes } => self.publish(index, id, &bytes),
            Effect::SyncRequest { to, id, bytes } => {
                if let Some(to) = NodeIndex::of(to) {
                    let incarnation = self.machine(index).incarnation;
                    let request = PendingResponse { client: index, incarnation, id };
                    self.network.request(request, to, bytes);
                }
            }
            Effect::SyncResponse { id, bytes, stored } => {
                self.send_sync_response(index, id, bytes, &stored);
            }
            // Neighbours are never blocked here, so blaming one changes nothing.
            Effect::Penalize(_) => {}
            Effect::Archive { id, bytes } => {
                let kept = self.machine_mut(index).archive.keep(id, bytes);
                self.note_violation(index, kept);
            }
            Effect::Discard(ids) => self.machine_mut(index).archive.discard(&ids),
            Effect::Reply { id, reply } => self.machine_mut(index).keep_reply(id, reply),
            Effect::Event(event) => self.show(index, event),
        }
    }

    /// Asks the engine about an envelope, unless it was asked and has not answered yet.
    fn validate(&mut self, to: NodeIndex, from: NodeIndex, id: EnvelopeId, bytes: Vec<u8>) {
        let machine = self.machine_mut(to);
        if machine.node().is_some() && machine.gossip.begin_validation(id, &bytes) {
            self.turn(to, Input::Gossip { from: from.neighbour(), id, bytes });
        }
    }

    fn publish(&mut self, index: NodeIndex, id: EnvelopeId, bytes: &[u8]) {
        let now = self.now();
        self.machine_mut(index).note_published(now, id, bytes);
        let checked = self.audit.check_published(id, bytes);
        self.note_violation(index, checked);
        self.network.flood(index, None, id, bytes);
    }

    fn send_sync_response(
        &mut self,
        server: NodeIndex,
        id: SyncResponseId,
        mut bytes: Vec<u8>,
        stored: &[EnvelopeId],
    ) {
        let missing = self.machine(server).archive.append_to(&mut bytes, stored);
        if bytes.len() > MAX_MESSAGE {
            self.note_violation(server, Err(Violation("a response is too long")));
        }
        if !missing.is_empty() {
            // Reported when this turn is over, as the runtime does.
            let event = SimEvent::ArchiveMissing(server, missing);
            self.network.schedule.plan_after(Millis(0), event);
        }
        self.network.respond(server, id, bytes);
    }

    fn deliver_sync(&mut self, delivery: SyncDelivery) {
        match delivery {
            SyncDelivery::Request { to, id, bytes } => {
                if let Some(client) = self.network.client(id) {
                    self.turn(to, Input::SyncRequest { from: client.neighbour(), id, bytes });
                }
            }
            SyncDelivery::Response { id, bytes } => {
                let Some(request) = self.network.take_pending(id) else { return };
                // A restarted process never made the request, and must not see the response.
                if self.machine(request.client).incarnation == request.incarnation {
                    self.turn(request.client, Input::SyncResponse { id: request.id, bytes });
                }
            }
        }
    }

    fn note_violation(&mut self, index: NodeIndex, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            let now = self.now();
            self.audit.record(now, index, violation);
        }
    }
}
