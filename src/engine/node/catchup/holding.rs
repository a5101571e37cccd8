//! The side that holds: neighbours catch up with us, within what we spend on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BEGIN_EVERY;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::EnvelopeId;
use crate::engine::node::Node;
use crate::engine::node::input::{NeighbourId, SyncResponseId};
use crate::engine::node::output::Output;
use crate::engine::node::settings::Sync;
use crate::engine::sync::wire::{self, CHUNK, MalformedSyncMessage, SyncRequest, SyncResponse};
use crate::engine::sync::{
    EnvelopeSet, PEER_BYTES, ResponseBody, ServerSession, ServerStep, SketchSalt, Snapshot,
    SyncQuery, TOTAL_BYTES, UploadBudget, append_envelope,
};

/// A set is made at most so often, and shared by all who begin meanwhile.
const SET_LIFE: Millis = Millis::from_secs(30);

/// Openers served at once. Each costs a queue of ids and at worst a set of its own age. A guess.
const MAX_HOLDERS: usize = 8;

/// An opener that asks nothing for so long has gone.
const IDLE: Millis = Millis::from_secs(60);

/// Neighbours whose spending is remembered. A guess, far above what a node has; the total is
/// bounded whoever they are.
const MAX_ACCOUNTS: usize = 256;

/// Everybody who catches up with us.
#[derive(Debug)]
pub(super) struct Holding {
    serving: BTreeMap<NeighbourId, Serving>,
    accounts: BTreeMap<NeighbourId, Account>,
    total: UploadBudget,
    told: Option<(Millis, Arc<Snapshot>)>,
}

/// A neighbour that catches up with us.
#[derive(Debug)]
struct Serving {
    holder: ServerSession,
    at: Millis,
}

/// What a neighbour cost us.
#[derive(Debug)]
struct Account {
    budget: UploadBudget,
    began: Option<Millis>,
    at: Millis,
}

impl Default for Holding {
    fn default() -> Self {
        let total = UploadBudget::new(TOTAL_BYTES, Millis(0));
        Self { serving: BTreeMap::new(), accounts: BTreeMap::new(), total, told: None }
    }
}

impl Holding {
    /// Forgets all but these neighbours' sessions.
    pub(super) fn keep(&mut self, peers: &[NeighbourId]) {
        self.serving.retain(|peer, _| peers.contains(peer));
    }

    /// The set others compare with, made if the last one is too old.
    fn told(
        &mut self,
        env: &mut Env<'_>,
        members: impl Iterator<Item = (UnixSeconds, EnvelopeId)>,
    ) -> Arc<Snapshot> {
        let fresh = self.told.as_ref().filter(|(made, _)| made.plus(SET_LIFE) > env.mono);
        if let Some((_, told)) = fresh {
            return Arc::clone(told);
        }
        let told = Arc::new(Snapshot::new(EnvelopeSet::new(members), SketchSalt(env.draw())));
        self.told = Some((env.mono, Arc::clone(&told)));
        told
    }

    /// Forgets openers that have gone quiet, and a set that is of no more use.
    pub(super) fn forget_idle(&mut self, now: Millis) {
        self.serving.retain(|_, serving| serving.at.plus(IDLE) > now);
        self.told.take_if(|(made, _)| made.plus(SET_LIFE) <= now);
    }

    /// A neighbour's account; the one longest unused makes room.
    fn account(&mut self, peer: NeighbourId, now: Millis) -> &mut Account {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&peer) {
            let oldest = self.accounts.iter().min_by_key(|(_, account)| account.at);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.accounts.remove(&oldest);
            }
        }
        let whole = || Account { budget: UploadBudget::new(PEER_BYTES, now), began: None, at: now };
        let account = self.accounts.entry(peer).or_insert_with(whole);
        account.at = now;
        account
    }

    /// Whether a whole chunk may be sent to a neighbour.
    fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let least = CHUNK as u64;
        self.account(peer, now).budget.left(now) >= least && self.total.left(now) >= least
    }

    fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: usize) {
        let bytes = bytes as u64;
        self.account(peer, now).budget.spend(bytes);
        self.total.spend(bytes);
    }
}

impl Node {
    pub(in crate::engine::node) fn on_sync_request(
        &mut self,
        env: &mut Env<'_>,
        from: NeighbourId,
        id: SyncResponseId,
        bytes: &[u8],
    ) {
        self.catchup.holding.forget_idle(env.mono);
        let step = match self.next_step(env, from, bytes) {
            Ok(step) => step,
            Err(MalformedSyncMessage) => {
                self.outputs.push_back(Output::Penalize(from));
                ServerStep::Busy
            }
        };
        match step {
            ServerStep::Done | ServerStep::Busy => drop(self.catchup.holding.serving.remove(&from)),
            ServerStep::Query { .. } | ServerStep::MoreCells | ServerStep::Envelopes(_) => {}
        }
        let (bytes, stored) = self.respond(env, &step);
        let stored_bytes: usize = stored
            .iter()
            .filter_map(|id| self.pool.size(id, env.wall))
            .map(|size| wire::LENGTH + size)
            .sum();
        self.catchup.holding.spend(from, env.mono, bytes.len() + stored_bytes);
        self.outputs.push_back(Output::SyncResponse { id, bytes, stored });
    }

    fn next_step(
        &mut self,
        env: &mut Env<'_>,
        from: NeighbourId,
        bytes: &[u8],
    ) -> Result<ServerStep, MalformedSyncMessage> {
        let request = SyncRequest::decode(bytes)?;
        if !self.catchup.holding.affords(from, env.mono) {
            return Ok(ServerStep::Busy);
        }
        match request {
            SyncRequest::Begin => {
                if !self.begin_serving(env, from)? {
                    return Ok(ServerStep::Busy);
                }
            }
            SyncRequest::Answer(_) | SyncRequest::Sketch(_) | SyncRequest::More => {}
        }
        // A session that was dropped for its idleness is begun again; nobody is to blame.
        let Some(serving) = self.catchup.holding.serving.get_mut(&from) else {
            return Ok(ServerStep::Busy);
        };
        serving.at = env.mono;
        match request {
            SyncRequest::Begin => {}
            SyncRequest::Answer(answer) => serving.holder.answer(answer)?,
            SyncRequest::Sketch(cells) => serving.holder.sketch(cells)?,
            SyncRequest::More => serving.holder.more()?,
        }
        Ok(serving.holder.step(|id| self.pool.size(id, env.wall)))
    }

    /// Begins to serve a neighbour, in place of what went before; answers whether there is time.
    fn begin_serving(
        &mut self,
        env: &mut Env<'_>,
        from: NeighbourId,
    ) -> Result<bool, MalformedSyncMessage> {
        self.catchup.holding.serving.remove(&from);
        let account = self.catchup.holding.account(from, env.mono);
        let soon = account.began.is_some_and(|began| began.plus(BEGIN_EVERY) > env.mono);
        if soon
            || self.settings.sync == Sync::Off
            || self.catchup.holding.serving.len() >= MAX_HOLDERS
        {
            return Ok(false);
        }
        self.catchup.holding.account(from, env.mono).began = Some(env.mono);
        let members = self.pool.settled_ids(env.wall, env.mono);
        let told = self.catchup.holding.told(env, members);
        let serving = Serving { holder: ServerSession::begin(told)?, at: env.mono };
        self.catchup.holding.serving.insert(from, serving);
        Ok(true)
    }

    /// A response's bytes, and what the driver appends to them from the archive.
    fn respond(&self, env: &Env<'_>, step: &ServerStep) -> (Vec<u8>, Vec<EnvelopeId>) {
        let (mut envelopes, mut stored) = (Vec::new(), Vec::new());
        let body = match step {
            ServerStep::Query { salt, count, comparison } => {
                ResponseBody::Query(SyncQuery { salt: *salt, count: *count, comparison })
            }
            ServerStep::MoreCells => ResponseBody::MoreCells,
            ServerStep::Done => ResponseBody::Done,
            ServerStep::Busy => ResponseBody::Busy,
            ServerStep::Envelopes(ids) => {
                for id in ids {
                    match self.pool.get(id) {
                        Some(bytes) => append_envelope(&mut envelopes, bytes),
                        None => stored.push(*id),
                    }
                }
                ResponseBody::Envelopes(&envelopes)
            }
        };
        (SyncResponse { minutes: wire::minutes(env.wall), body }.encode(), stored)
    }
}
