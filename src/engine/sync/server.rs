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

/// The time in which half of what a range was sent is forgotten. A guess: several sessions.
const HALF_FORGOTTEN: Millis = Millis::from_secs(300);

/// While the total budget is at least so full, nobody has to hold back.
const PLENTY: u64 = TOTAL_BYTES / 2;

/// Below that, a range that was sent more than this part of what is left gets nothing more
/// until there is plenty again: whoever had much cannot take the rest, and a newcomer always finds a
/// megabyte or two, 300 envelopes twice over. The rule of shared buffers (Choudhury and Hahne 1998,
/// "Dynamic queue length thresholds"); the figure is a guess.
const SHARE_OF_REST: u64 = 8;

/// And below it, the bytes that all ranges of one network are sent in a minute: a network has many
/// ranges, of which each is new once. Two megabytes twice. A guess.
const SCARCE_BYTES: u64 = 4 << 20;

/// Sessions that begin from one range in a minute: as many as 64 neighbours there ask for, and
/// a third more. What a session makes us compute is bounded so, whatever number of keys begin one.
const BEGINS: u64 = 256;

/// Ranges, and networks, whose spending is remembered. A guess, far above what a node has; the total
/// budget holds in any case.
const MAX_ACCOUNTS: usize = 256;

/// Neighbours of which it is remembered when they began. A guess, likewise.
const MAX_BEGUN: usize = 256;

/// Keys in one street whose spending is remembered. A guess: some times as many as a node has neighbours,
/// or debts would be forgotten for those who come and go.
const MAX_KEYS: usize = 256;

/// Envelopes of the set that a client makes us look at cost what a byte does that it is sent: 35 ns each at
/// most were measured, so all together take a fifth of a core at most, and a street a tenth.
const LOOKED_AT_A_BYTE: usize = 10;

/// What has one account: a network of addresses and, in it, what one person can have without
/// effort. A transport key costs nothing, so a key has a part of its street's account alone.
type Street = [u64; 2];

/// All clients that catch up with us, and what they may cost.
#[derive(Debug)]
pub(super) struct SyncServer {
    served: BTreeMap<NeighbourId, Served>,
    /// The places of those in `served`.
    places: Shares<NeighbourId, Millis, 3>,
    paths: BTreeMap<NeighbourId, AddressPath>,
    streets: BTreeMap<Street, StreetAccount>,
    /// What each network was sent of what is kept for others.
    networks: BTreeMap<u64, UploadBudget>,
    /// When each neighbour began last.
    begun: BTreeMap<NeighbourId, Millis>,
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

/// The account of one range, whoever is in it.
#[derive(Debug)]
struct StreetAccount {
    budget: UploadBudget,
    /// Of sessions, not of bytes.
    begins: UploadBudget,
    had: Spending,
    /// Of those in it: what one had is not taken from the others as long as it has one key.
    keys: BTreeMap<NeighbourId, Spending>,
    at: Millis,
}

/// Bytes that somebody was sent, of which half are forgotten after a while.
#[derive(Clone, Copy, Debug)]
struct Spending {
    bytes: u64,
    halved: Millis,
}

impl Default for SyncServer {
    fn default() -> Self {
        let total = UploadBudget::new(TOTAL_BYTES, Millis(0));
        let (served, paths, begun) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (streets, networks) = (BTreeMap::new(), BTreeMap::new());
        let (places, snapshot, sets) = (Shares::new(MAX_SERVED), None, Vec::new());
        Self { served, places, paths, streets, networks, begun, total, snapshot, sets }
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

    /// Where a neighbour is. One that is not among the neighbours, any more or yet, is alone in a network,
    /// with all others of its kind.
    fn path(&self, peer: NeighbourId) -> AddressPath {
        self.paths.get(&peer).copied().unwrap_or(AddressPath([0; 3]))
    }

    /// The account of the range that a neighbour is in; the one that was sent least makes room, and of
    /// those the one longest unused: a debt is not forgotten because many new ranges come.
    fn account(&mut self, peer: NeighbourId, now: Millis) -> &mut StreetAccount {
        let AddressPath([network, street, _]) = self.path(peer);
        let street = [network, street];
        if self.streets.len() >= MAX_ACCOUNTS && !self.streets.contains_key(&street) {
            let least =
                self.streets.iter().min_by_key(|(_, account)| (account.had.bytes, account.at));
            if let Some(least) = least.map(|(street, _)| *street) {
                self.streets.remove(&least);
            }
        }
        let fresh = || StreetAccount {
            budget: UploadBudget::new(PEER_BYTES, now),
            begins: UploadBudget::new(BEGINS, now),
            had: Spending::none(now),
            keys: BTreeMap::new(),
            at: now,
        };
        let account = self.streets.entry(street).or_insert_with(fresh);
        account.at = now;
        account.had.forget(now);
        account
    }

    /// What the network that a neighbour is in may still be sent of what is kept for others; the one
    /// that took least of it makes room.
    fn reserve(&mut self, peer: NeighbourId, now: Millis) -> &mut UploadBudget {
        let AddressPath([network, ..]) = self.path(peer);
        if self.networks.len() >= MAX_ACCOUNTS && !self.networks.contains_key(&network) {
            let left = |budget: &UploadBudget| {
                let mut budget = *budget;
                budget.left(now)
            };
            let fullest = self.networks.iter().max_by_key(|(_, budget)| left(budget));
            if let Some(fullest) = fullest.map(|(network, _)| *network) {
                self.networks.remove(&fullest);
            }
        }
        self.networks.entry(network).or_insert_with(|| UploadBudget::new(SCARCE_BYTES, now))
    }

    /// Whether a whole chunk may be sent to a neighbour.
    fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let (least, left) = (CHUNK as u64, self.total.left(now));
        let reserved = self.reserve(peer, now).left(now);
        let account = self.account(peer, now);
        let shares = account.had.bytes <= left / SHARE_OF_REST && reserved >= least;
        (left >= PLENTY || shares) && left >= least && account.affords(peer, now)
    }

    fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: usize) {
        let bytes = bytes as u64;
        if self.total.left(now) < PLENTY {
            self.reserve(peer, now).spend(bytes);
        }
        self.account(peer, now).spend(peer, now, bytes);
        self.total.spend(bytes);
    }

    /// Whether a neighbour begins too soon: after its last time, or after too many where it is.
    fn begins_too_soon(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let soon = self.begun.get(&peer).is_some_and(|began| began.plus(BEGIN_EVERY) > now);
        soon || self.account(peer, now).begins.left(now) == 0
    }

    /// A neighbour begins. Those that began longer ago than counts are forgotten; if there are too many
    /// nevertheless, the one that began first.
    fn note_begin(&mut self, peer: NeighbourId, now: Millis) {
        self.begun.retain(|_, began| began.plus(BEGIN_EVERY) > now);
        if self.begun.len() >= MAX_BEGUN
            && let Some(first) = self.begun.iter().min_by_key(|(_, began)| **began)
        {
            let first = *first.0;
            self.begun.remove(&first);
        }
        self.begun.insert(peer, now);
        self.account(peer, now).begins.spend(1);
    }
}

impl StreetAccount {
    /// Whether a whole chunk may be sent to somebody here. As among streets: while there is not plenty,
    /// whoever had much waits, and whoever had little does not. Also if nobody else is here yet: whoever
    /// comes finds something.
    fn affords(&mut self, peer: NeighbourId, now: Millis) -> bool {
        let left = self.budget.left(now);
        let shares = self.key(peer, now).bytes <= left / SHARE_OF_REST;
        (left >= PEER_BYTES / 2 || shares) && left >= CHUNK as u64
    }

    fn spend(&mut self, peer: NeighbourId, now: Millis, bytes: u64) {
        self.budget.spend(bytes);
        self.had.add(bytes);
        self.key(peer, now).add(bytes);
    }

    /// What a key had; the one that had least makes room.
    fn key(&mut self, peer: NeighbourId, now: Millis) -> &mut Spending {
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(&peer) {
            let least = self.keys.iter().min_by_key(|(_, had)| had.bytes);
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.keys.remove(&least);
            }
        }
        let had = self.keys.entry(peer).or_insert_with(|| Spending::none(now));
        had.forget(now);
        had
    }
}

impl Spending {
    const fn none(now: Millis) -> Self {
        Self { bytes: 0, halved: now }
    }

    const fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn forget(&mut self, now: Millis) {
        let halvings = now.0.saturating_sub(self.halved.0) / HALF_FORGOTTEN.0;
        let left = u32::try_from(halvings).ok().and_then(|by| self.bytes.checked_shr(by));
        self.bytes = left.unwrap_or(0);
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
        self.spend(from, turn.env.mono, bytes.len() + stored_bytes + looked_at);
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
        let AddressPath(path) = self.path(from);
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
        let soon = self.begins_too_soon(from, turn.env.mono);
        // All alike from outside: a client cannot tell a node that never serves from one that has
        // no time.
        if soon || turn.settings.sync == SyncMode::Off || !self.has_place(from, turn.env.mono) {
            return Ok(false);
        }
        self.note_begin(from, turn.env.mono);
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

    /// Takes so many chunks, or all that it can; how many it got.
    fn take(server: &mut SyncServer, peer: u64, now: Millis, most: usize) -> usize {
        let mut taken = 0;
        while taken < most && server.affords(NeighbourId(peer), now) {
            server.spend(NeighbourId(peer), now, CHUNK);
            taken += 1;
        }
        taken
    }

    /// A server of these neighbours: each with its network and the street in it.
    fn serving(places: &[(u64, u64, u64)]) -> SyncServer {
        let mut server = SyncServer::default();
        let place = |&(peer, network, street): &(u64, u64, u64)| {
            let path = AddressPath([network, street, street]);
            Neighbour { path, ..Neighbour::alone(NeighbourId(peer)) }
        };
        server.keep(&places.iter().map(place).collect::<Vec<_>>());
        server
    }

    /// A server of so many neighbours, each alone.
    fn serving_each(peers: u64) -> SyncServer {
        serving(&(0..peers).map(|peer| (peer, 1 + peer, 1 + peer)).collect::<Vec<_>>())
    }

    #[test]
    fn fresh_keys_at_one_address_leave_a_newcomer_elsewhere_what_it_needs() {
        // Three a second, each of which takes all it can.
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, 1)).collect();
        let mut server = serving(&[&keys[..], &[(1, 2, 2)]].concat());
        let mut taken = 0;
        for key in 2..2_000 {
            taken += take(&mut server, key, Millis(key * 333), usize::MAX);
        }
        let (now, minutes) = (Millis(2_000 * 333), 13);
        assert!(taken * CHUNK <= usize::try_from(PEER_BYTES).unwrap() * minutes, "{taken} chunks");
        assert_eq!(take(&mut server, 1, now, 8), 8);
    }

    #[test]
    fn fresh_keys_in_all_streets_of_one_network_leave_a_newcomer_elsewhere_what_it_needs() {
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, key % 250)).collect();
        let newcomers: Vec<_> = (2_000..2_066).map(|key| (key, key, key)).collect();
        let mut server = serving(&[&keys[..], &newcomers[..]].concat());
        let mut newcomer = 2_000;
        for key in 2..2_000 {
            let now = Millis(key * 333);
            take(&mut server, key, now, usize::MAX);
            if key % 31 == 0 {
                assert_eq!(take(&mut server, newcomer, now, 3), 3, "{now:?}");
                newcomer += 1;
            }
        }
    }

    #[test]
    fn one_range_begins_no_more_sessions_in_a_minute_whatever_number_of_keys_it_has() {
        let keys: Vec<_> = (2..2_000).map(|key| (key, 1, 1)).collect();
        let mut server = serving(&[&keys[..], &[(1, 2, 2)]].concat());
        let mut begun = 0;
        for key in (2..2_000).map(NeighbourId) {
            if !server.begins_too_soon(key, Millis(0)) {
                server.note_begin(key, Millis(0));
                begun += 1;
            }
        }
        assert_eq!(begun, BEGINS);
        assert!(server.begun.len() <= MAX_BEGUN);
        assert!(!server.begins_too_soon(NeighbourId(1), Millis(0)));
    }

    #[test]
    fn neighbours_that_are_gone_have_one_account_together() {
        let mut server = SyncServer::default();
        let taken: usize =
            (1..2_000).map(|key| take(&mut server, key, Millis(0), usize::MAX)).sum();
        assert_eq!(taken * CHUNK, usize::try_from(PEER_BYTES).unwrap());
    }

    #[test]
    fn comparisons_that_cost_much_are_paid_like_bytes() {
        let held = 50_000_u64;
        let ids = (0..held).map(|number| (UnixSeconds(number), super::super::test_ids::id(number)));
        let snapshot = Arc::new(Snapshot::new(EnvelopeSet::new(ids), SketchSalt([9; 8])));
        let mut server = serving(&[(1, 1, 1)]);
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
            let now = server.account(NeighbourId(1), Millis(0)).had.bytes;
            let least = held / LOOKED_AT_A_BYTE as u64;
            assert!((had + least..had + least + 2_000).contains(&now), "{had} {now}");
            had = now;
        }
    }

    #[test]
    fn one_client_alone_gets_half_of_its_budget_at_once_and_all_of_it_within_the_minute() {
        let mut server = SyncServer::default();
        let chunks = usize::try_from(PEER_BYTES).unwrap() / CHUNK;
        assert_eq!(take(&mut server, 1, Millis(0), usize::MAX), chunks / 2 + 1);
        assert_eq!(take(&mut server, 1, Millis(30_000), usize::MAX), chunks / 2);
    }

    /// Whether newcomers find so many chunks, one after the other, beside each number of neighbours that
    /// take all they can.
    fn newcomers_find(most: usize, hogs: [u64; 4], serving: impl Fn() -> SyncServer) {
        for hogs in hogs {
            let (mut server, mut newcomer) = (serving(), 1_000);
            for second in 0..1_800 {
                let now = Millis::from_secs(second);
                for hog in 0..hogs {
                    take(&mut server, hog, now, usize::MAX);
                }
                // Until then those are newcomers themselves, and 64 want more than there is.
                if second >= 300 && second % 10 == 0 {
                    newcomer += 1;
                    let found = take(&mut server, newcomer, now, most);
                    assert_eq!(found, most, "{hogs} hogs, {second} s");
                }
            }
        }
    }

    #[test]
    fn a_newcomer_finds_what_300_envelopes_need_beside_any_number_that_take_all_they_can() {
        newcomers_find(3, [1, 2, 8, 64], || serving_each(1_200));
    }

    #[test]
    fn a_newcomer_finds_half_a_megabyte_also_beside_any_number_in_its_own_street() {
        let one_street: Vec<_> = (0..1_200).map(|peer| (peer, 1, 1)).collect();
        newcomers_find(2, [1, 2, 8, 63], || serving(&one_street));
    }

    #[test]
    fn a_debt_is_remembered_through_any_number_of_new_ranges_and_half_forgotten_in_time() {
        let mut server = serving_each(2_000);
        take(&mut server, 1, Millis(0), 8);
        for key in 2..2_000 {
            server.account(NeighbourId(key), Millis(1));
        }
        assert_eq!(server.streets.len(), MAX_ACCOUNTS);
        let had = |server: &mut SyncServer, now| server.account(NeighbourId(1), now).had.bytes;
        assert_eq!(had(&mut server, Millis(299_999)), 8 * CHUNK as u64);
        assert_eq!(had(&mut server, Millis(300_000)), 4 * CHUNK as u64);
        assert_eq!(had(&mut server, Millis(1_000_000)), CHUNK as u64);
        assert_eq!(had(&mut server, Millis(u64::MAX)), 0);
    }
}
