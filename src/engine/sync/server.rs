//! The server: neighbours catch up with us, within our upload budget (`proto/sync.md`, "Limits").

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BEGIN_EVERY;
use super::malformed::MalformedSyncMessage;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{NeighbourId, SyncResponseId};
use crate::engine::price::SaidSteps;
use crate::engine::relay::pool::Pool;
use crate::engine::settings::SyncMode;
use crate::engine::sync::wire::{self, CHUNK, SyncRequest, SyncResponse};
use crate::engine::sync::{
    EnvelopeSet, PEER_BYTES, ResponseBody, ServerSession, ServerStep, SketchSalt, Snapshot,
    SyncQuery, TOTAL_BYTES, UploadBudget, append_envelope,
};
use crate::engine::turn::{Effect, Turn};

/// The life of a set, shared by all sessions that begin meanwhile: however many begin, sorting it
/// and making its cells costs the same.
const SET_LIFE: Millis = Millis::from_secs(30);

/// Clients served at once. Each costs a queue of ids and at worst a set of its own age. A guess.
const MAX_SERVED: usize = 8;

/// A session without a request for so long is dropped.
const IDLE: Millis = Millis::from_secs(60);

/// Neighbours whose spending is remembered. A guess, far above what a node has; the total budget
/// holds in any case.
const MAX_ACCOUNTS: usize = 256;

/// All clients that catch up with us, and what they may cost.
#[derive(Debug)]
pub(super) struct SyncServer {
    served: BTreeMap<NeighbourId, Served>,
    accounts: BTreeMap<NeighbourId, PeerAccount>,
    total: UploadBudget,
    snapshot: Option<(Millis, Arc<Snapshot>)>,
}

/// A neighbour that catches up with us.
#[derive(Debug)]
struct Served {
    session: ServerSession,
    at: Millis,
}

/// The account of one neighbour.
#[derive(Debug)]
struct PeerAccount {
    budget: UploadBudget,
    last_begun: Option<Millis>,
    at: Millis,
}

impl Default for SyncServer {
    fn default() -> Self {
        let total = UploadBudget::new(TOTAL_BYTES, Millis(0));
        Self { served: BTreeMap::new(), accounts: BTreeMap::new(), total, snapshot: None }
    }
}

impl SyncServer {
    /// Forgets all but these neighbours' sessions.
    pub(super) fn keep(&mut self, peers: &[NeighbourId]) {
        self.served.retain(|peer, _| peers.contains(peer));
    }

    /// The set that clients compare with, made anew if the last one is too old.
    fn snapshot(
        &mut self,
        env: &mut Env<'_>,
        members: impl Iterator<Item = (UnixSeconds, EnvelopeId)>,
    ) -> Arc<Snapshot> {
        let fresh = self.snapshot.as_ref().filter(|(made, _)| made.plus(SET_LIFE) > env.mono);
        if let Some((_, snapshot)) = fresh {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(Snapshot::new(EnvelopeSet::new(members), SketchSalt(env.draw())));
        self.snapshot = Some((env.mono, Arc::clone(&snapshot)));
        snapshot
    }

    /// Drops idle sessions, and a set that is too old to begin with.
    pub(super) fn forget_idle(&mut self, now: Millis) {
        self.served.retain(|_, served| served.at.plus(IDLE) > now);
        self.snapshot.take_if(|(made, _)| made.plus(SET_LIFE) <= now);
    }

    /// A neighbour's account; the one longest unused makes room.
    fn account(&mut self, peer: NeighbourId, now: Millis) -> &mut PeerAccount {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&peer) {
            let oldest = self.accounts.iter().min_by_key(|(_, account)| account.at);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.accounts.remove(&oldest);
            }
        }
        let fresh = || PeerAccount {
            budget: UploadBudget::new(PEER_BYTES, now),
            last_begun: None,
            at: now,
        };
        let account = self.accounts.entry(peer).or_insert_with(fresh);
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

impl SyncServer {
    /// Responds to a request, within the budget; every response says these steps.
    pub(super) fn on_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (pool, steps): (&Pool, SaidSteps),
        (from, id): (NeighbourId, SyncResponseId),
        bytes: &[u8],
    ) {
        self.forget_idle(turn.env.mono);
        let request = SyncRequest::decode(bytes);
        if request == Ok(SyncRequest::Steps) {
            // A few bytes, and nothing to compare: for everybody, whatever the budget says.
            let (bytes, stored) = respond(turn.env, (pool, steps), &ServerStep::Done);
            turn.effect(Effect::SyncResponse { id, bytes, stored });
            return;
        }
        let next = request.and_then(|request| self.next_step(turn, pool, from, request));
        let step = match next {
            Ok(step) => step,
            Err(MalformedSyncMessage) => {
                // Responded to like a busy server's: every request gets one response, and this one
                // tells nothing.
                turn.effect(Effect::Penalize(from));
                ServerStep::Busy
            }
        };
        match step {
            // The client begins anew after either, so nothing of the session is needed any more.
            ServerStep::Done | ServerStep::Busy => drop(self.served.remove(&from)),
            ServerStep::Query { .. } | ServerStep::MoreCells | ServerStep::Envelopes(_) => {}
        }
        let (bytes, stored) = respond(turn.env, (pool, steps), &step);
        let stored_bytes: usize = stored
            .iter()
            .filter_map(|id| pool.size(id, turn.env.wall))
            .map(|size| wire::LENGTH + size)
            .sum();
        self.spend(from, turn.env.mono, bytes.len() + stored_bytes);
        turn.effect(Effect::SyncResponse { id, bytes, stored });
    }

    fn next_step(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        from: NeighbourId,
        request: SyncRequest<'_>,
    ) -> Result<ServerStep, MalformedSyncMessage> {
        // Before anything is compared: the budget bounds what a neighbour makes us compute, too.
        if !self.affords(from, turn.env.mono) {
            return Ok(ServerStep::Busy);
        }
        match request {
            SyncRequest::Begin => {
                if !self.begin_serving(turn, pool, from)? {
                    return Ok(ServerStep::Busy);
                }
            }
            SyncRequest::Answer(_)
            | SyncRequest::Sketch(_)
            | SyncRequest::More
            | SyncRequest::Steps => {}
        }
        // The session may have been dropped as idle. Busy makes the client begin again, and blames
        // nobody.
        let Some(served) = self.served.get_mut(&from) else {
            return Ok(ServerStep::Busy);
        };
        served.at = turn.env.mono;
        match request {
            SyncRequest::Begin | SyncRequest::Steps => {}
            SyncRequest::Answer(answer) => served.session.answer(answer)?,
            SyncRequest::Sketch(cells) => served.session.sketch(cells)?,
            SyncRequest::More => served.session.more()?,
        }
        Ok(served.session.step(|id| pool.size(id, turn.env.wall)))
    }

    /// Begins a session with a client, in place of an earlier one; returns whether there is room
    /// for it.
    fn begin_serving(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        from: NeighbourId,
    ) -> Result<bool, MalformedSyncMessage> {
        self.served.remove(&from);
        let account = self.account(from, turn.env.mono);
        let soon = account.last_begun.is_some_and(|began| began.plus(BEGIN_EVERY) > turn.env.mono);
        // All alike from outside: a client cannot tell a node that never serves from one that has
        // no time.
        if soon || turn.settings.sync == SyncMode::Off || self.served.len() >= MAX_SERVED {
            return Ok(false);
        }
        self.account(from, turn.env.mono).last_begun = Some(turn.env.mono);
        // Settled envelopes alone: a comparison must not show who was the first to have one.
        let members = pool.settled_ids(turn.env.wall, turn.env.mono);
        let snapshot = self.snapshot(turn.env, members);
        let served = Served { session: ServerSession::begin(snapshot)?, at: turn.env.mono };
        self.served.insert(from, served);
        Ok(true)
    }
}

/// A response's bytes, and the envelopes that the driver appends to them from the archive.
fn respond(
    env: &Env<'_>,
    (pool, steps): (&Pool, SaidSteps),
    step: &ServerStep,
) -> (Vec<u8>, Vec<EnvelopeId>) {
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
                match pool.get(id) {
                    Some(bytes) => append_envelope(&mut envelopes, bytes),
                    None => stored.push(*id),
                }
            }
            ResponseBody::Envelopes(&envelopes)
        }
    };
    let minutes = wire::minutes(env.wall);
    (SyncResponse { minutes, steps, body }.encode(), stored)
}
