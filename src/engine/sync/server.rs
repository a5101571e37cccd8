//! The server: neighbours catch up with us, within our upload budget (`proto/sync.md`, "Limits").

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::BEGIN_EVERY;
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
use crate::engine::sync::wire::{self, CHUNK, SyncRequest, SyncResponse};
use crate::engine::sync::{
    EnvelopeSet, PEER_BYTES, ResponseBody, ServerSession, ServerStep, SketchSalt, Snapshot,
    SyncQuery, TOTAL_BYTES, UploadBudget, append_envelope,
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

/// The time in which half of what a neighbour was sent is forgotten. A guess: several sessions.
const HALF_FORGOTTEN: Millis = Millis::from_secs(300);

/// While the total budget is at least so full, nobody has to hold back.
const PLENTY: u64 = TOTAL_BYTES / 2;

/// Below that, a neighbour that was sent more than this part of what is left gets nothing more
/// until there is plenty again: whoever had much cannot take the rest, and a newcomer always finds a
/// megabyte or two, 300 envelopes twice over. The rule of shared buffers (Choudhury and Hahne 1998,
/// "Dynamic queue length thresholds"); the figure is a guess.
const SHARE_OF_REST: u64 = 8;

/// Neighbours whose spending is remembered. A guess, far above what a node has; the total budget
/// holds in any case.
const MAX_ACCOUNTS: usize = 256;

/// All clients that catch up with us, and what they may cost.
#[derive(Debug)]
pub(super) struct SyncServer {
    served: BTreeMap<NeighbourId, Served>,
    /// The places of those in `served`.
    places: Shares<NeighbourId, Millis, 3>,
    paths: BTreeMap<NeighbourId, AddressPath>,
    accounts: BTreeMap<NeighbourId, PeerAccount>,
    total: UploadBudget,
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

/// The account of one neighbour.
#[derive(Debug)]
struct PeerAccount {
    budget: UploadBudget,
    /// Bytes sent to it, of which half are forgotten after a while.
    had: u64,
    halved: Millis,
    last_begun: Option<Millis>,
    at: Millis,
}

impl Default for SyncServer {
    fn default() -> Self {
        let total = UploadBudget::new(TOTAL_BYTES, Millis(0));
        let (served, paths, accounts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (places, snapshot, sets) = (Shares::new(MAX_SERVED), None, Vec::new());
        Self { served, places, paths, accounts, total, snapshot, sets }
    }
}

impl SyncServer {
    /// Forgets all but these neighbours' sessions.
    pub(super) fn keep(&mut self, neighbours: &[Neighbour]) {
        self.paths = neighbours.iter().map(|neighbour| (neighbour.id, neighbour.path)).collect();
        self.end_sessions(|server, peer, _| !server.paths.contains_key(peer));
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

    /// A neighbour's account; the one that was sent least makes room, and of those the one longest
    /// unused: a debt is not forgotten because many new keys come.
    fn account(&mut self, peer: NeighbourId, now: Millis) -> &mut PeerAccount {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&peer) {
            let least = self.accounts.iter().min_by_key(|(_, account)| (account.had, account.at));
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.accounts.remove(&least);
            }
        }
        let fresh = || PeerAccount {
            budget: UploadBudget::new(PEER_BYTES, now),
            had: 0,
            halved: now,
            last_begun: None,
            at: now,
        };
        let account = self.accounts.entry(peer).or_insert_with(fresh);
        account.at = now;
        account.forget(now);
        account
    }

    /// Whether a whole chunk may be sent to a neighbour.
    fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let (least, left) = (CHUNK as u64, self.total.left(now));
        let account = self.account(peer, now);
        let shares = left >= PLENTY || account.had <= left / SHARE_OF_REST;
        shares && left >= least && account.budget.left(now) >= least
    }

    fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: usize) {
        let bytes = bytes as u64;
        let account = self.account(peer, now);
        account.budget.spend(bytes);
        account.had = account.had.saturating_add(bytes);
        self.total.spend(bytes);
    }
}

impl PeerAccount {
    fn forget(&mut self, now: Millis) {
        let halvings = now.0.saturating_sub(self.halved.0) / HALF_FORGOTTEN.0;
        self.had =
            u32::try_from(halvings).ok().and_then(|by| self.had.checked_shr(by)).unwrap_or(0);
        self.halved =
            Millis(self.halved.0.saturating_add(halvings.saturating_mul(HALF_FORGOTTEN.0)));
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
            ServerStep::Done | ServerStep::Busy => self.end_session(from),
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
        // One that is not among the neighbours is alone where it is.
        let AddressPath(path) = self.paths.get(&from).copied().unwrap_or(AddressPath([from.0; 3]));
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
        let account = self.account(from, turn.env.mono);
        let soon = account.last_begun.is_some_and(|began| began.plus(BEGIN_EVERY) > turn.env.mono);
        // All alike from outside: a client cannot tell a node that never serves from one that has
        // no time.
        if soon || turn.settings.sync == SyncMode::Off || !self.has_place(from, turn.env.mono) {
            return Ok(false);
        }
        self.account(from, turn.env.mono).last_begun = Some(turn.env.mono);
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

    /// Takes so many chunks, or all that it can; how many it got.
    fn take(server: &mut SyncServer, peer: u64, now: Millis, most: usize) -> usize {
        let mut taken = 0;
        while taken < most && server.affords(NeighbourId(peer), now) {
            server.spend(NeighbourId(peer), now, CHUNK);
            taken += 1;
        }
        taken
    }

    #[test]
    fn one_client_alone_gets_its_whole_budget_at_once() {
        let mut server = SyncServer::default();
        let chunks = usize::try_from(PEER_BYTES).unwrap() / CHUNK;
        assert_eq!(take(&mut server, 1, Millis(0), usize::MAX), chunks);
        assert_eq!(take(&mut server, 1, Millis(30_000), usize::MAX), chunks / 2);
    }

    #[test]
    fn a_newcomer_finds_what_300_envelopes_need_beside_any_number_that_take_all_they_can() {
        for hogs in [1, 2, 8, 64] {
            let mut server = SyncServer::default();
            let mut newcomer = 1_000;
            for second in 0..1_800 {
                let now = Millis::from_secs(second);
                for hog in 0..hogs {
                    take(&mut server, hog, now, usize::MAX);
                }
                // Until then those are newcomers themselves, and 64 want more than there is.
                if second >= 300 && second % 10 == 0 {
                    newcomer += 1;
                    assert_eq!(take(&mut server, newcomer, now, 3), 3, "{hogs} hogs, {second} s");
                }
            }
        }
    }

    #[test]
    fn a_debt_is_remembered_through_any_number_of_new_keys_and_half_forgotten_in_time() {
        let mut server = SyncServer::default();
        take(&mut server, 1, Millis(0), 8);
        for key in 2..2_000 {
            server.account(NeighbourId(key), Millis(1));
        }
        assert_eq!(server.accounts.len(), MAX_ACCOUNTS);
        let had = |server: &mut SyncServer, now| server.account(NeighbourId(1), now).had;
        assert_eq!(had(&mut server, Millis(299_999)), 8 * CHUNK as u64);
        assert_eq!(had(&mut server, Millis(300_000)), 4 * CHUNK as u64);
        assert_eq!(had(&mut server, Millis(1_000_000)), CHUNK as u64);
        assert_eq!(had(&mut server, Millis(u64::MAX)), 0);
    }
}
