//! The client: which neighbour we catch up with and when, and how each session with a server ends
//! (`proto/sync.md`, "When").

use std::collections::BTreeMap;

use super::BEGIN_EVERY;
use super::peer_clocks::PeerClocks;
use crate::engine::env::{Env, Millis};
use crate::engine::id::{NeighbourId, SyncRequestId};
use crate::engine::price::SaidSteps;
use crate::engine::relay::pool::Pool;
use crate::engine::relay::{Relay, SETTLE_TIME};
use crate::engine::settings::SyncMode;
use crate::engine::sync::wire::{self, MAX_MESSAGE, SyncRequest, SyncResponse};
use crate::engine::sync::{
    ClientSession, ClockSkew, EnvelopeSet, FetchResult, ResponseBody, SessionEnd,
};
use crate::engine::turn::{Effect, Timer, Turn};

/// The age of an envelope that we list as known: half of the settle time, or envelopes that reached
/// the server a little before us would be sent again. A flood takes seconds.
const HALF_SETTLED: Millis = Millis(SETTLE_TIME.0 / 2);

/// Neighbours asked after joining. Two: one may be malicious, or as new as we are.
const AT_JOINING: u8 = 2;

/// The most neighbours asked at each regular time: as many as a mesh has.
const AT_EACH_TIME: u8 = 8;

/// The most neighbours asked for their steps at each time: as many as a mesh has.
const ASKED_FOR_STEPS: usize = 8;

/// The bytes that a session may cost and bring nothing before its neighbour is left alone for a
/// while.
const COSTLY: usize = 16 << 10;

/// Doublings of the time for which such a neighbour is left alone.
const MAX_BACKOFF_DOUBLINGS: u32 = 4;

/// Our own catching up.
#[derive(Debug, Default)]
pub(super) struct SyncClient {
    /// Our session: its server, the request that is out, and its state.
    session: Option<(NeighbourId, SyncRequestId, ClientSession)>,
    requests: u64,
    /// Neighbours still to be asked, one as soon as the session before ends.
    wanted: u8,
    /// The neighbour to go on with, or a new one.
    next: Option<NeighbourId>,
    /// How sessions went with each present neighbour.
    histories: BTreeMap<NeighbourId, PeerHistory>,
    clocks: PeerClocks,
    fetched: u64,
    /// Requests for the steps of a neighbour that are out, of the last time.
    asked: BTreeMap<SyncRequestId, NeighbourId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PeerHistory {
    /// Sessions in a row that cost much and brought nothing.
    fruitless: u32,
    backoff_until: Millis,
}

impl SyncClient {
    pub(super) const fn fetched(&self) -> u64 {
        self.fetched
    }

    pub(super) fn skew(&self) -> Option<ClockSkew> {
        self.clocks.skew()
    }

    /// Forgets all but these neighbours.
    fn keep(&mut self, peers: &[NeighbourId]) {
        self.histories.retain(|peer, _| peers.contains(peer));
        self.next.take_if(|peer| !peers.contains(peer));
        self.session.take_if(|(peer, ..)| !peers.contains(peer));
        self.asked.retain(|_, peer| peers.contains(peer));
    }
}

impl SyncClient {
    /// Neighbours have come or gone: schedules catching up. `before` are those there were.
    pub(super) fn on_neighbours(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        before: &[NeighbourId],
        neighbours: &[NeighbourId],
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        self.keep(neighbours);
        if neighbours.is_empty() {
            // Nobody to ask. The next neighbour counts as the first again.
            for timer in [Timer::SyncAfterJoin, Timer::Sync, Timer::SyncNext, Timer::Steps] {
                turn.timers.clear(timer);
            }
            return;
        }
        // From here we may lack anything: we were cut off, or have just started.
        if before.is_empty() {
            turn.timers.set(Timer::SyncAfterJoin, turn.env.mono.plus(pace.joining));
            turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
            turn.timers.set(Timer::Steps, turn.env.mono.plus(around(turn.env, pace.steps)));
            self.wanted = AT_JOINING;
        } else if let Some(peer) = neighbours.iter().find(|peer| !before.contains(peer)) {
            // A new neighbour may be the way to a part of the network that we were cut off from.
            // One at a time: others that come meanwhile are left to the regular times.
            if self.next.is_none() {
                self.next = Some(*peer);
                let wait = turn.env.exponential(pace.newcomer);
                turn.timers.set(Timer::SyncNext, turn.env.mono.plus(wait));
            }
        }
        // The server of our session may be gone: another one will do.
        self.sync_with_any(turn, pool, neighbours);
    }

    /// Catches up once more, a while after joining: envelopes that had not settled at the first
    /// comparison have by now.
    pub(super) fn on_join_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        self.wanted = AT_JOINING;
        self.sync_with_any(turn, pool, neighbours);
    }

    /// Catches up with each neighbour, one after the other in random order, and sets the next time.
    pub(super) fn on_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        let all = u8::try_from(neighbours.len()).unwrap_or(u8::MAX);
        self.wanted = self.wanted.max(all.min(AT_EACH_TIME));
        turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
        self.sync_with_any(turn, pool, neighbours);
    }

    /// Asks neighbours what they ask of senders, and sets the next time. Whatever this node is about
    /// to do, and as often: a request before sending would tell that it sends.
    pub(super) fn on_steps_due(&mut self, turn: &mut Turn<'_, '_>, neighbours: &[NeighbourId]) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        turn.timers.set(Timer::Steps, turn.env.mono.plus(around(turn.env, pace.steps)));
        // Whoever has not answered by now counts no more.
        self.asked.clear();
        let mut others = neighbours.to_vec();
        while self.asked.len() < ASKED_FOR_STEPS && !others.is_empty() {
            // At random, as in `sync_with_any`.
            let drawn = turn.env.draw_u64().checked_rem(others.len() as u64).unwrap_or_default();
            let to = others.swap_remove(usize::try_from(drawn).unwrap_or_default());
            let id = self.next_id();
            self.asked.insert(id, to);
            let bytes = SyncRequest::Steps.encode();
            turn.effect(Effect::SyncRequest { to, id, bytes });
        }
    }

    /// Catches up with the neighbour that is new, or that has more for us.
    pub(super) fn on_next_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        if self.session.is_some() {
            turn.timers.set(Timer::SyncNext, turn.env.mono.plus(BEGIN_EVERY));
            return;
        }
        if let Some(peer) = self.next.take() {
            self.sync_with(turn, pool, peer);
        }
    }

    /// Begins with a neighbour chosen at random if one is wanted and no session is under way.
    fn sync_with_any(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool, neighbours: &[NeighbourId]) {
        if self.session.is_some() || self.wanted == 0 {
            return;
        }
        // At random, so that no neighbour can make itself the one we depend on.
        self.wanted -= 1;
        let rested: Vec<NeighbourId> = neighbours
            .iter()
            .copied()
            .filter(|peer| self.is_backoff_over(*peer, turn.env.mono))
            .collect();
        // Bias by the remainder: a few neighbours in 2^64.
        let chosen = turn.env.draw_u64().checked_rem(rested.len() as u64);
        let chosen = chosen.and_then(|at| rested.get(usize::try_from(at).ok()?));
        if let Some(peer) = chosen {
            self.sync_with(turn, pool, *peer);
        } else {
            // All are left alone for now; the next timer asks again.
            self.wanted = 0;
        }
    }

    fn is_backoff_over(&self, peer: NeighbourId, now: Millis) -> bool {
        self.histories.get(&peer).is_none_or(|history| history.backoff_until <= now)
    }

    fn sync_with(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool, peer: NeighbourId) {
        let history = self.histories.entry(peer).or_default();
        // The server responds Busy to one that begins again sooner (`proto/sync.md`, "Limits").
        history.backoff_until = history.backoff_until.max(turn.env.mono.plus(BEGIN_EVERY));
        let known = EnvelopeSet::new(pool.known_ids(turn.env.mono.plus(HALF_SETTLED)));
        self.send_request(turn, peer, ClientSession::new(known), SyncRequest::Begin.encode());
    }

    fn send_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        to: NeighbourId,
        session: ClientSession,
        bytes: Vec<u8>,
    ) {
        let id = self.next_id();
        self.session = Some((to, id, session));
        turn.effect(Effect::SyncRequest { to, id, bytes });
    }

    const fn next_id(&mut self) -> SyncRequestId {
        self.requests += 1;
        SyncRequestId(self.requests)
    }

    /// Takes the response to our request; `None` if the neighbour did not answer in time, is gone
    /// or does not speak the protocol. Returns who responded, with the steps it said, unless these
    /// are no bytes of a response.
    pub(super) fn on_response(
        &mut self,
        turn: &mut Turn<'_, '_>,
        relay: &mut Relay,
        (id, bytes): (SyncRequestId, Option<Vec<u8>>),
        neighbours: &[NeighbourId],
    ) -> Option<(NeighbourId, SaidSteps)> {
        if let Some(peer) = self.asked.remove(&id) {
            // Whatever it is a response to, it says the steps.
            let response = SyncResponse::decode(bytes.as_deref()?).ok()?;
            return Some((peer, response.steps));
        }
        // Otherwise it is a late response: the session was dropped with its neighbour.
        let (peer, _, mut session) = self.session.take_if(|(_, waits, _)| *waits == id)?;
        let response = match &bytes {
            Some(bytes) => read(&mut session, bytes),
            // No blame: the neighbour may be busy, gone, or of another version.
            None => Err(SessionEnd::Done),
        };
        let said = response.as_ref().ok().map(|response| (peer, response.steps));
        let next = response.and_then(|response| {
            let from = (peer, &mut session);
            self.next_request(turn, &mut *relay, from, response)
        });
        match next {
            Ok(request) => self.send_request(turn, peer, session, request),
            Err(end) => {
                self.end_session(turn, peer, &session, end);
                self.sync_with_any(turn, relay.pool(), neighbours);
            }
        }
        said
    }

    fn next_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        relay: &mut Relay,
        (peer, session): (NeighbourId, &mut ClientSession),
        response: SyncResponse<'_>,
    ) -> Result<Vec<u8>, SessionEnd> {
        if session.is_first() {
            self.clocks.report(turn.env, peer, response.minutes);
        }
        match response.body {
            ResponseBody::Done => Err(SessionEnd::Done),
            ResponseBody::Busy => Err(SessionEnd::More),
            ResponseBody::Query(query) => session.answer(query),
            ResponseBody::MoreCells => session.more_cells(),
            ResponseBody::Envelopes(envelopes) => {
                session.accept_envelopes()?;
                for envelope in wire::envelopes(envelopes) {
                    session.record(match relay.take_fetched(turn, envelope?) {
                        Ok(()) => {
                            self.fetched += 1;
                            FetchResult::Fetched
                        }
                        Err(error) => FetchResult::Rejected(error),
                    })?;
                }
                session.more()
            }
        }
    }

    fn end_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: NeighbourId,
        session: &ClientSession,
        end: SessionEnd,
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        // A server cannot be blamed for having nothing new, but comparing with it costs bytes that
        // another is better asked for.
        let was_fruitless = session.fetched() == 0 && session.cost() > COSTLY;
        let history = self.histories.entry(peer).or_default();
        history.fruitless =
            if was_fruitless { (history.fruitless + 1).min(MAX_BACKOFF_DOUBLINGS) } else { 0 };
        if was_fruitless {
            let backoff = pace.every.0.saturating_mul(1 << history.fruitless);
            history.backoff_until = turn.env.mono.plus(Millis(backoff));
        }
        match end {
            SessionEnd::Violation => {
                // Not asked again while it is a neighbour.
                history.backoff_until = Millis(u64::MAX);
                turn.effect(Effect::Penalize(peer));
            }
            // The same server again, for it has what we lack. One that is only busy is left to
            // chance, or it could keep us waiting for it.
            SessionEnd::More if session.fetched() > 0 => {
                self.next = Some(peer);
                let wait = BEGIN_EVERY.plus(turn.env.exponential(pace.newcomer));
                turn.timers.set(Timer::SyncNext, turn.env.mono.plus(wait));
            }
            SessionEnd::Done | SessionEnd::More => {}
        }
    }
}

/// Reads a response, and counts what it cost.
fn read<'a>(session: &mut ClientSession, bytes: &'a [u8]) -> Result<SyncResponse<'a>, SessionEnd> {
    if bytes.len() > MAX_MESSAGE {
        // More than any server of this protocol writes.
        return Err(SessionEnd::Violation);
    }
    session.add_received(bytes.len());
    Ok(SyncResponse::decode(bytes)?)
}

/// A time within a quarter of `mean`, uniform, so that nodes that started together drift apart.
fn around(env: &mut Env<'_>, mean: Millis) -> Millis {
    let spread = mean.0 / 2;
    let drawn = env.draw_u64().checked_rem(spread.saturating_add(1)).unwrap_or(0);
    Millis(mean.0 - mean.0 / 4 + drawn)
}
