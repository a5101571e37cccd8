//! The server: neighbours catch up with us, within our upload budget (`proto/sync.md`, "Limits").

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::accounts::UploadAccounts;
use super::client::MAX_SESSIONS;
use super::malformed::MalformedSyncMessage;
use super::patience::SessionPatience;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::EnvelopeId;
use crate::engine::id::{AddressPath, Neighbour, NeighbourId, SyncResponseId};
use crate::engine::price::SaidSteps;
use crate::engine::relay::pool::Pool;
use crate::engine::settings::SyncMode;
use crate::engine::shares::{Arrival, Placing, Shares};
use crate::engine::sync::wire::{self, SyncRequest, SyncResponse};
use crate::engine::sync::{
    EnvelopeSet, ResponseBody, ServerSession, ServerStep, SketchSalt, Snapshot, SyncQuery,
    append_envelope,
};
use crate::engine::turn::{Effect, Turn};

/// The life of a set, shared by all sessions that begin meanwhile: however many begin, sorting it
/// and making its cells costs the same.
const SET_LIFE: Millis = Millis::from_secs(30);

/// Clients served at once. Each costs a queue of ids, at most 256 KiB, and at worst a set of its own
/// age. A guess.
const MAX_SERVED: usize = 16;

/// The time that a session may let us wait in all, and no longer than this at once: with one request
/// in each minute it would keep its place for hours. The time of an exchange.
const PATIENCE: Millis = Millis::from_secs(20);

/// Sets that are compared with at a time: clients that take long would else hold one each. A guess:
/// with [`SET_LIFE`] a comparison may take a minute and a half.
const MAX_SETS: usize = 3;

/// The bytes that catching up takes of each envelope that is held: 40 in each set that is compared with,
/// and 16 for its sketch; and 40 in each of the sets by which this node catches up itself.
pub const COMPARED_EACH: usize = MAX_SETS * (40 + 16) + MAX_SESSIONS * 40;

/// And of all together: the cells of those sketches.
pub const COMPARED_CELLS: usize = MAX_SETS * (512 << 10);

/// Envelopes of the set that a client makes us look at cost what a byte does that it is sent: 35 ns each at
/// most were measured, so all together take a fifth of a core at most, and a street a tenth.
const LOOKED_AT_A_BYTE: usize = 10;

/// All clients that catch up with us, and what they may cost.
#[derive(Debug)]
pub(super) struct SyncServer {
    served: BTreeMap<NeighbourId, Served>,
    /// The places of those in `served`.
    places: Shares<NeighbourId, Millis, 3>,
    accounts: UploadAccounts,
    snapshot: Option<(Millis, Arc<Snapshot>)>,
    /// All sets that are compared with, the oldest first.
    sets: Vec<Weak<Snapshot>>,
}

/// A neighbour that catches up with us.
#[derive(Debug)]
struct Served {
    session: ServerSession,
    patience: SessionPatience,
}

impl Default for SyncServer {
    fn default() -> Self {
        let (places, accounts) = (Shares::new(MAX_SERVED), UploadAccounts::default());
        Self { served: BTreeMap::new(), places, accounts, snapshot: None, sets: Vec::new() }
    }
}

impl SyncServer {
    /// Forgets all but these neighbours' sessions.
    pub(super) fn keep(&mut self, neighbours: &[Neighbour]) {
        self.accounts.keep(neighbours);
        self.end_sessions(|server, peer, _| !server.accounts.is_neighbour(*peer));
    }

    fn end_sessions(&mut self, ends: impl Fn(&Self, &NeighbourId, &Served) -> bool) {
        let over = self.served.iter().filter(|(peer, served)| ends(self, peer, served));
        for peer in over.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.end_session(peer);
        }
    }

    fn end_session(&mut self, peer: NeighbourId) {
        self.served.remove(&peer);
        self.places.leave(&peer);
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
        self.snapshot = None;
        self.sets.retain(|set| set.strong_count() > 0);
        while self.sets.len() >= MAX_SETS {
            // Whoever compares for longest begins anew, and finds what it fetched since.
            let oldest = self.sets.remove(0);
            self.end_sessions(|_, _, served| served.session.compares_with(&oldest));
        }
        let snapshot = Arc::new(Snapshot::new(EnvelopeSet::new(members), SketchSalt(env.draw())));
        self.sets.push(Arc::downgrade(&snapshot));
        self.snapshot = Some((env.mono, Arc::clone(&snapshot)));
        snapshot
    }

    /// Drops sessions that let us wait for too long, and a set that is too old to begin with.
    pub(super) fn forget_idle(&mut self, now: Millis) {
        self.end_sessions(|_, _, served| served.patience.is_over(now));
        self.snapshot.take_if(|(made, _)| made.plus(SET_LIFE) <= now);
    }

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
        let looked_at = self.served.get_mut(&from).map_or(0, |served| served.session.looked_at());
        match step {
            // The client begins anew after either, so nothing of the session is needed any more.
            ServerStep::Done | ServerStep::Busy => self.end_session(from),
            ServerStep::Query { .. } | ServerStep::MoreCells | ServerStep::Envelopes(_) => {}
        }
        let (bytes, stored) = respond(turn.env, (pool, steps), &step);
        let stored_bytes: usize = stored
            .iter()
            .filter_map(|id| pool.size(id, turn.env.wall))
            .map(|size| wire::LENGTH + size)
            .sum();
        let looked_at = looked_at / LOOKED_AT_A_BYTE;
        self.accounts.spend(from, turn.env.mono, bytes.len() + stored_bytes + looked_at);
        turn.effect(Effect::SyncResponse { id, bytes, stored });
    }

    fn next_step(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        from: NeighbourId,
        request: SyncRequest<'_>,
    ) -> Result<ServerStep, MalformedSyncMessage> {
        // Before anything is compared: the budget bounds what a range makes us compute, too.
        if !self.accounts.affords(from, turn.env.mono) {
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
        // The session may have been dropped as idle, or for another. Busy makes the client begin
        // again, and blames nobody.
        let Some(served) = self.served.get_mut(&from) else {
            return Ok(ServerStep::Busy);
        };
        let now = turn.env.mono;
        served.patience.answered(now);
        match request {
            SyncRequest::Begin | SyncRequest::Steps => {}
            SyncRequest::Answer(answer) => served.session.answer(answer)?,
            SyncRequest::Sketch(cells) => served.session.sketch(cells)?,
            SyncRequest::More => served.session.more()?,
        }
        let step = served.session.step(|id| pool.size(id, turn.env.wall));
        if let ServerStep::Envelopes(sent) = &step {
            // Whoever takes envelopes makes use of its place; comparing alone is free.
            self.places.touch(&from, now);
            served.patience.earn(sent.len() as u64);
        }
        Ok(step)
    }

    /// Gives a client a place; if all are taken, in place of one at the heaviest addresses that has
    /// taken no envelope for longest.
    fn has_place(&mut self, from: NeighbourId, now: Millis) -> bool {
        let AddressPath(path) = self.accounts.path(from);
        // Without a lease: each neighbour begins once in a while, and nobody is to be refused then.
        let arrival = Arrival { guest: from, path, now, lease: now };
        match self.places.admit(arrival, |_| false) {
            Placing::Full => false,
            Placing::Place => true,
            Placing::InPlaceOf(other) => {
                self.served.remove(&other);
                true
            }
        }
    }

    /// Begins a session with a client, in place of an earlier one; returns whether there is room
    /// for it.
    fn begin_serving(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        from: NeighbourId,
    ) -> Result<bool, MalformedSyncMessage> {
        self.end_session(from);
        let soon = self.accounts.begins_too_soon(from, turn.env.mono);
        // All alike from outside: a client cannot tell a node that never serves from one that has
        // no time.
        if soon || turn.settings.sync == SyncMode::Off || !self.has_place(from, turn.env.mono) {
            return Ok(false);
        }
        self.accounts.note_begin(from, turn.env.mono);
        // Settled envelopes alone: a comparison must not show who was the first to have one.
        let members = pool.settled_ids(turn.env.wall, turn.env.mono);
        let snapshot = self.snapshot(turn.env, members);
        let session = ServerSession::begin(snapshot)?;
        let served = Served { session, patience: SessionPatience::new(PATIENCE, turn.env.mono) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::envelope::Floor;
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::engine::testing::rng::SeededRng;
    use crate::engine::turn::Workspace;

    #[test]
    fn comparisons_that_cost_much_are_paid_like_bytes() {
        let held = 50_000_u64;
        let ids = (0..held).map(|number| (UnixSeconds(number), super::super::test_ids::id(number)));
        let snapshot = Arc::new(Snapshot::new(EnvelopeSet::new(ids), SketchSalt([9; 8])));
        let mut server = SyncServer::default();
        let mut chance = SeededRng::new(1);
        let settings = NodeSettings::new(NodeRole::Relay, Floor::new(0));
        let mut workspace = Workspace::default();
        let pool = Pool::new(settings.pool, settings.floor, settings.bodies);
        let wrong = [&[0x61, 0, 0, 1][..], &[7; 16]].concat();
        let wrong = SyncRequest::Answer(&wrong).encode();
        let mut had = 0;
        for number in 0..3 {
            let mut session = ServerSession::begin(Arc::clone(&snapshot)).unwrap();
            session.step(|_| None);
            let patience = SessionPatience::new(PATIENCE, Millis(0));
            server.served.insert(NeighbourId(1), Served { session, patience });
            let mut env = chance.turn();
            let mut turn = Turn::new(&mut env, &settings, &mut workspace);
            let from = (NeighbourId(1), SyncResponseId(number));
            server.on_request(&mut turn, (&pool, SaidSteps::default()), from, &wrong);
            let now = server.accounts.had(NeighbourId(1), Millis(0));
            let least = held / LOOKED_AT_A_BYTE as u64;
            assert!((had + least..had + least + 2_000).contains(&now), "{had} {now}");
            had = now;
        }
    }
}
