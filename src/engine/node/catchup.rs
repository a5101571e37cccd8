//! Catching up with neighbours, and letting them catch up with us: when, with whom, how much.
//!
//! `proto/sync.md` says what crosses the wire. What is fetched is checked, held and opened as what
//! the flood brings; it is not passed on, since whoever lacks it catches up too, and a node that
//! publishes what is old would stand out. Nothing here depends on identities, contacts or sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::Witnesses;
use super::input::{PeerTag, SyncAsk, SyncTicket};
use super::output::Output;
use super::settings::Sync;
use super::timers::Timer;
use super::{ClockSkew, Node};
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::envelope::{Checked, EnvelopeId, Refusal, check};
use crate::engine::pool::Bodies;
use crate::engine::sync::wire::{self, CHUNK, MAX_MESSAGE, Malformed, Request, Response};
use crate::engine::sync::{
    Body, Budget, Holder, Missed, Opener, PEER_BYTES, Set, Step, Stop, TOTAL_BYTES, append_envelope,
};

/// An envelope is told of when it was here for a minute: by then the flood has been everywhere, and
/// that somebody holds it says nothing of where it came from.
pub(super) const SETTLE: Millis = Millis::from_secs(60);

/// Half of that is enough for what we say we do not need, or whatever reached the holder a little
/// before us would be sent again. A flood takes seconds.
const HALF_SETTLED: Millis = Millis(SETTLE.0 / 2);

/// A set is made at most so often, and shared by all who begin meanwhile.
const SET_LIFE: Millis = Millis::from_secs(30);

/// Openers served at once. Each costs a queue of ids and at worst a set of its own age. A guess.
const MAX_HOLDERS: usize = 8;

/// An opener that asks nothing for so long has gone.
const IDLE: Millis = Millis::from_secs(60);

/// How often one neighbour may begin.
const BEGIN_EVERY: Millis = Millis::from_secs(20);

/// Neighbours whose spending is remembered. A guess, far above what a node has; the total is
/// bounded whoever they are.
const MAX_ACCOUNTS: usize = 256;

/// After joining, two neighbours: one may be malicious, or as new as we are.
const AT_JOINING: u8 = 2;

/// A session that cost so many bytes and brought nothing was not worth it.
const COSTLY: usize = 16 << 10;

/// The doublings of the time until a neighbour is asked again that was not worth it.
const MOST_REST: u32 = 4;

/// Everything about catching up, on either side.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Our session, with whom, and the request that is out.
    session: Option<(PeerTag, SyncAsk, Opener)>,
    asks: u64,
    /// So many more neighbours are asked as soon as a session ends.
    wanted: u8,
    /// With whom to go on, or who is new.
    next: Option<PeerTag>,
    /// Whom we have asked, and how it went; neighbours alone.
    known: BTreeMap<PeerTag, Known>,
    witnesses: Witnesses,
    fetched: u64,
    holders: BTreeMap<PeerTag, Serving>,
    accounts: BTreeMap<PeerTag, Account>,
    total: Budget,
    set: Option<(Millis, Arc<Set>)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Sessions in a row that were not worth it.
    lean: u32,
    rests_until: Millis,
}

/// A neighbour that catches up with us.
#[derive(Debug)]
struct Serving {
    holder: Holder,
    at: Millis,
}

/// What a neighbour cost us.
#[derive(Debug)]
struct Account {
    budget: Budget,
    began: Option<Millis>,
    at: Millis,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self {
            session: None,
            asks: 0,
            wanted: 0,
            next: None,
            known: BTreeMap::new(),
            witnesses: Witnesses::default(),
            fetched: 0,
            holders: BTreeMap::new(),
            accounts: BTreeMap::new(),
            total: Budget::new(TOTAL_BYTES, Millis(0)),
            set: None,
        }
    }
}

impl CatchUp {
    /// Envelopes fetched since the start.
    pub(super) const fn fetched(&self) -> u64 {
        self.fetched
    }

    /// How our clock compares with those of neighbours.
    pub(super) fn skew(&self) -> Option<ClockSkew> {
        self.witnesses.skew()
    }

    /// The set others compare with, made if the last one is too old.
    fn set(
        &mut self,
        now: Millis,
        members: impl Iterator<Item = (UnixSeconds, EnvelopeId)>,
    ) -> Arc<Set> {
        let fresh = self.set.as_ref().filter(|(made, _)| made.plus(SET_LIFE) > now);
        if let Some((_, set)) = fresh {
            return Arc::clone(set);
        }
        let set = Arc::new(Set::new(members));
        self.set = Some((now, Arc::clone(&set)));
        set
    }

    /// Forgets openers that have gone quiet, and a set that is of no more use.
    pub(super) fn forget_idle(&mut self, now: Millis) {
        self.holders.retain(|_, serving| serving.at.plus(IDLE) > now);
        self.set.take_if(|(made, _)| made.plus(SET_LIFE) <= now);
    }

    /// A neighbour's account; the one longest unused makes room.
    fn account(&mut self, peer: PeerTag, now: Millis) -> &mut Account {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&peer) {
            let oldest = self.accounts.iter().min_by_key(|(_, account)| account.at);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.accounts.remove(&oldest);
            }
        }
        let whole = || Account { budget: Budget::new(PEER_BYTES, now), began: None, at: now };
        let account = self.accounts.entry(peer).or_insert_with(whole);
        account.at = now;
        account
    }

    /// Whether a whole chunk may be sent to a neighbour.
    fn affords(&mut self, peer: PeerTag, now: Millis) -> bool {
        let least = CHUNK as u64;
        self.account(peer, now).budget.left(now) >= least && self.total.left(now) >= least
    }

    fn spend(&mut self, peer: PeerTag, now: Millis, bytes: usize) {
        let bytes = bytes as u64;
        self.account(peer, now).budget.spend(bytes);
        self.total.spend(bytes);
    }
}

// The side that holds.
impl Node {
    pub(super) fn on_sync_request(
        &mut self,
        env: &mut Env<'_>,
        from: PeerTag,
        ticket: SyncTicket,
        bytes: &[u8],
    ) {
        self.catchup.forget_idle(env.mono);
        let step = match self.next_step(env, from, bytes) {
            Ok(step) => step,
            Err(Malformed) => {
                self.outputs.push_back(Output::Blame(from));
                Step::Busy
            }
        };
        match step {
            Step::Done | Step::Busy => drop(self.catchup.holders.remove(&from)),
            Step::Query(_) | Step::Envelopes(_) => {}
        }
        let (bytes, stored) = self.respond(env, &step);
        let stored_bytes: usize = stored
            .iter()
            .filter_map(|id| self.pool.size(id, env.wall))
            .map(|size| wire::LENGTH + size)
            .sum();
        self.catchup.spend(from, env.mono, bytes.len() + stored_bytes);
        self.outputs.push_back(Output::SyncResponse { ticket, bytes, stored });
    }

    fn next_step(&mut self, env: &Env<'_>, from: PeerTag, bytes: &[u8]) -> Result<Step, Malformed> {
        let request = Request::decode(bytes)?;
        if !self.catchup.affords(from, env.mono) {
            return Ok(Step::Busy);
        }
        match request {
            Request::Begin => {
                if !self.begin_serving(env, from)? {
                    return Ok(Step::Busy);
                }
            }
            Request::Answer(_) | Request::More => {}
        }
        // A session that was dropped for its idleness is begun again; nobody is to blame.
        let Some(serving) = self.catchup.holders.get_mut(&from) else { return Ok(Step::Busy) };
        serving.at = env.mono;
        match request {
            Request::Begin => {}
            Request::Answer(answer) => serving.holder.answer(answer)?,
            Request::More => serving.holder.more()?,
        }
        Ok(serving.holder.step(|id| self.pool.size(id, env.wall)))
    }

    /// Begins to serve a neighbour, in place of what went before; answers whether there is time.
    fn begin_serving(&mut self, env: &Env<'_>, from: PeerTag) -> Result<bool, Malformed> {
        self.catchup.holders.remove(&from);
        let account = self.catchup.account(from, env.mono);
        let soon = account.began.is_some_and(|began| began.plus(BEGIN_EVERY) > env.mono);
        if soon || self.settings.sync == Sync::Off || self.catchup.holders.len() >= MAX_HOLDERS {
            return Ok(false);
        }
        self.catchup.account(from, env.mono).began = Some(env.mono);
        let set = self.catchup.set(env.mono, self.pool.told(env.wall, env.mono));
        let serving = Serving { holder: Holder::begin(set)?, at: env.mono };
        self.catchup.holders.insert(from, serving);
        Ok(true)
    }

    /// A response's bytes, and what the driver appends to them from the archive.
    fn respond(&self, env: &Env<'_>, step: &Step) -> (Vec<u8>, Vec<EnvelopeId>) {
        let (mut envelopes, mut stored) = (Vec::new(), Vec::new());
        let body = match step {
            Step::Query(query) => Body::Query(query),
            Step::Done => Body::Done,
            Step::Busy => Body::Busy,
            Step::Envelopes(ids) => {
                for id in ids {
                    match self.pool.get(id) {
                        Some(bytes) => append_envelope(&mut envelopes, bytes),
                        None => stored.push(*id),
                    }
                }
                Body::Envelopes(&envelopes)
            }
        };
        (Response { minutes: wire::minutes(env.wall), body }.encode(), stored)
    }

    /// The archive does not have these. They were not refused, so they may be fetched again.
    pub(super) fn on_lost(&mut self, ids: &[EnvelopeId]) {
        self.pool.lose(ids);
    }
}

// The side that opens.
impl Node {
    /// Neighbours have come or gone: plans whom to catch up with. `before` are those there were.
    pub(super) fn plan_catching_up(&mut self, env: &mut Env<'_>, before: &[PeerTag]) {
        let Sync::On(pace) = self.settings.sync else { return };
        let peers = &self.peers;
        self.catchup.known.retain(|peer, _| peers.contains(peer));
        self.catchup.holders.retain(|peer, _| peers.contains(peer));
        self.catchup.next.take_if(|peer| !peers.contains(peer));
        self.catchup.session.take_if(|(peer, ..)| !peers.contains(peer));
        if peers.is_empty() {
            for timer in [Timer::Join, Timer::CatchUp, Timer::CatchUpNext] {
                self.timers.clear(timer);
            }
            return;
        }
        if before.is_empty() {
            self.timers.set(Timer::Join, env.mono.plus(pace.joining));
            self.timers.set(Timer::CatchUp, env.mono.plus(around(env, pace.every)));
            self.catchup.wanted = AT_JOINING;
        } else if let Some(peer) = peers.iter().find(|peer| !before.contains(peer)) {
            // It may be the way to a part of the network we were cut off from.
            if self.catchup.next.is_none() {
                self.catchup.next = Some(*peer);
                let wait = env.exponential(pace.newcomer);
                self.timers.set(Timer::CatchUpNext, env.mono.plus(wait));
            }
        }
        // With whom we were has gone: another will do.
        self.catch_up(env);
    }

    /// What was not settled when we joined is by now.
    pub(super) fn on_join_due(&mut self, env: &mut Env<'_>) {
        self.catchup.wanted = AT_JOINING;
        self.catch_up(env);
    }

    /// It is time for one neighbour, whichever.
    pub(super) fn on_catch_up_due(&mut self, env: &mut Env<'_>) {
        let Sync::On(pace) = self.settings.sync else { return };
        self.catchup.forget_idle(env.mono);
        self.catchup.wanted = self.catchup.wanted.max(1);
        self.timers.set(Timer::CatchUp, env.mono.plus(around(env, pace.every)));
        self.catch_up(env);
    }

    /// It is time for the neighbour that is new, or that has more for us.
    pub(super) fn on_catch_up_next_due(&mut self, env: &mut Env<'_>) {
        if self.catchup.session.is_some() {
            self.timers.set(Timer::CatchUpNext, env.mono.plus(BEGIN_EVERY));
            return;
        }
        if let Some(peer) = self.catchup.next.take() {
            self.begin_with(env, peer);
        }
    }

    /// Begins with a neighbour chosen at random if one is wanted and no session is under way.
    fn catch_up(&mut self, env: &mut Env<'_>) {
        if self.catchup.session.is_some() || self.catchup.wanted == 0 {
            return;
        }
        self.catchup.wanted -= 1;
        let rested: Vec<PeerTag> =
            self.peers.iter().copied().filter(|peer| self.has_rested(*peer, env.mono)).collect();
        // Bias by the remainder: a few neighbours in 2^64.
        let chosen = env.draw_u64().checked_rem(rested.len() as u64);
        let chosen = chosen.and_then(|at| rested.get(usize::try_from(at).ok()?));
        if let Some(peer) = chosen {
            self.begin_with(env, *peer);
        } else {
            self.catchup.wanted = 0;
        }
    }

    fn has_rested(&self, peer: PeerTag, now: Millis) -> bool {
        self.catchup.known.get(&peer).is_none_or(|known| known.rests_until <= now)
    }

    fn begin_with(&mut self, env: &Env<'_>, peer: PeerTag) {
        let known = self.catchup.known.entry(peer).or_default();
        known.rests_until = known.rests_until.max(env.mono.plus(BEGIN_EVERY));
        let had = Set::new(self.pool.had(env.mono.plus(HALF_SETTLED)));
        self.request(peer, Opener::new(had), Request::Begin.encode());
    }

    fn request(&mut self, to: PeerTag, opener: Opener, bytes: Vec<u8>) {
        self.catchup.asks += 1;
        let ask = SyncAsk(self.catchup.asks);
        self.catchup.session = Some((to, ask, opener));
        self.outputs.push_back(Output::SyncRequest { to, ask, bytes });
    }

    pub(super) fn on_sync_response(
        &mut self,
        env: &mut Env<'_>,
        ask: SyncAsk,
        bytes: Option<Vec<u8>>,
    ) {
        let session = self.catchup.session.take_if(|(_, waits, _)| *waits == ask);
        let Some((peer, _, mut opener)) = session else { return };
        let next = match &bytes {
            Some(bytes) => self.next_request(env, peer, &mut opener, bytes),
            // It has gone, or does not speak the protocol: others will do.
            None => Err(Stop::Done),
        };
        match next {
            Ok(request) => self.request(peer, opener, request),
            Err(stop) => self.end_session(env, peer, &opener, stop),
        }
    }

    fn next_request(
        &mut self,
        env: &mut Env<'_>,
        peer: PeerTag,
        opener: &mut Opener,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Stop> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Stop::Blame);
        }
        opener.receive(bytes.len());
        let response = Response::decode(bytes)?;
        if opener.is_first() {
            self.catchup.witnesses.hear(env, peer, response.minutes);
        }
        match response.body {
            Body::Done => Err(Stop::Done),
            Body::Busy => Err(Stop::More),
            Body::Query(query) => opener.answer(query),
            Body::Envelopes(envelopes) => {
                opener.take()?;
                for envelope in wire::envelopes(envelopes) {
                    let missed = self.take_missed(env, envelope?);
                    opener.count(missed)?;
                }
                opener.more()
            }
        }
    }

    /// Takes an envelope that we missed through the gate all envelopes pass.
    fn take_missed(&mut self, env: &mut Env<'_>, bytes: &[u8]) -> Missed {
        let checked = match check(bytes.to_vec(), env.wall, &self.settings.floor) {
            Ok(checked) => checked,
            Err(refusal) => {
                self.tally_off_time(refusal);
                return Missed::Refused(refusal);
            }
        };
        let settled = env.mono.plus(SETTLE);
        let refusal = self.pool.admit(checked.clone(), env.wall, settled).refusal();
        self.receive(env, &checked, refusal);
        match refusal {
            Some(refusal) => Missed::Refused(refusal),
            None => {
                self.catchup.fetched += 1;
                Missed::Fetched
            }
        }
    }

    fn end_session(&mut self, env: &mut Env<'_>, peer: PeerTag, opener: &Opener, stop: Stop) {
        let Sync::On(pace) = self.settings.sync else { return };
        let lean = opener.fetched() == 0 && opener.cost() > COSTLY;
        let known = self.catchup.known.entry(peer).or_default();
        known.lean = if lean { (known.lean + 1).min(MOST_REST) } else { 0 };
        if lean {
            let rest = pace.every.0.saturating_mul(1 << known.lean);
            known.rests_until = env.mono.plus(Millis(rest));
        }
        match stop {
            Stop::Blame => {
                // Not asked again while it stays.
                known.rests_until = Millis(u64::MAX);
                self.outputs.push_back(Output::Blame(peer));
            }
            Stop::More if opener.fetched() > 0 => {
                self.catchup.next = Some(peer);
                let wait = BEGIN_EVERY.plus(env.exponential(pace.newcomer));
                self.timers.set(Timer::CatchUpNext, env.mono.plus(wait));
            }
            Stop::Done | Stop::More => {}
        }
        self.catch_up(env);
    }
}

// The archive.
impl Node {
    /// Takes back an envelope that the archive kept while the process was down. It was received long
    /// ago, so others may be told of it at once. Call before the first turn, once for each; carry out
    /// the outputs.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub fn rehold(&mut self, env: &Env<'_>, bytes: Vec<u8>) -> Result<(), Refusal> {
        let checked = check(bytes, env.wall, &self.settings.floor)?;
        let refusal = self.pool.admit(checked, env.wall, Millis(0)).refusal();
        self.discard_left();
        refusal.map_or(Ok(()), Err)
    }

    /// Has the archive keep what was just admitted, after what left for it.
    pub(super) fn archive(&mut self, checked: &Checked) {
        self.discard_left();
        match self.settings.kept() {
            Bodies::Memory => {}
            Bodies::Archive => {
                let (id, bytes) = (checked.id(), checked.bytes().to_vec());
                self.outputs.push_back(Output::Archive { id, bytes });
            }
        }
    }

    /// Has the archive discard what has left the pool.
    pub(super) fn discard_left(&mut self) {
        let left = self.pool.take_left();
        if !left.is_empty() {
            self.outputs.push_back(Output::Discard(left));
        }
    }
}

/// A time within a quarter of `mean`, uniform: so that nodes that started together drift apart.
fn around(env: &mut Env<'_>, mean: Millis) -> Millis {
    let spread = mean.0 / 2;
    let drawn = env.draw_u64().checked_rem(spread.saturating_add(1)).unwrap_or(0);
    Millis(mean.0 - mean.0 / 4 + drawn)
}
