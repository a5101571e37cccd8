//! The client: whom we catch up with and when, and what we make of what comes.

use std::collections::BTreeMap;

use super::BEGIN_EVERY;
use super::peer_clocks::PeerClocks;
use crate::engine::env::{Env, Millis};
use crate::engine::id::{NeighbourId, SyncRequestId};
use crate::engine::relay::pool::Pool;
use crate::engine::relay::{Recipient, Relay, SETTLE_TIME};
use crate::engine::settings::SyncMode;
use crate::engine::sync::wire::{self, MAX_MESSAGE, SyncRequest, SyncResponse};
use crate::engine::sync::{
    ClientSession, ClockSkew, EnvelopeSet, FetchResult, ResponseBody, SessionEnd,
};
use crate::engine::turn::{Effect, Timer, Turn};

/// Half of the time to settle is enough for what we say we do not need, or whatever reached the server
/// a little before us would be sent again. A flood takes seconds.
const HALF_SETTLED: Millis = Millis(SETTLE_TIME.0 / 2);

/// After joining, two neighbours: one may be malicious, or as new as we are.
const AT_JOINING: u8 = 2;

/// A session that cost so many bytes and brought nothing was not worth it.
const COSTLY: usize = 16 << 10;

/// The doublings of the time until a neighbour is asked again that was not worth it.
const MAX_BACKOFF_DOUBLINGS: u32 = 4;

/// Our own catching up.
#[derive(Debug, Default)]
pub(super) struct SyncClient {
    /// Our session, with whom, and the request that is out.
    session: Option<(NeighbourId, SyncRequestId, ClientSession)>,
    requests: u64,
    /// So many more neighbours are asked as soon as a session ends.
    wanted: u8,
    /// With whom to go on, or who is new.
    next: Option<NeighbourId>,
    /// Whom we have asked, and how it went; neighbours alone.
    histories: BTreeMap<NeighbourId, PeerHistory>,
    clocks: PeerClocks,
    fetched: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct PeerHistory {
    /// Sessions in a row that were not worth it.
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
    }
}

impl SyncClient {
    /// Neighbours have come or gone: plans whom to catch up with. `before` are those there were.
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
            for timer in [Timer::SyncAfterJoin, Timer::Sync, Timer::SyncNext] {
                turn.timers.clear(timer);
            }
            return;
        }
        if before.is_empty() {
            turn.timers.set(Timer::SyncAfterJoin, turn.env.mono.plus(pace.joining));
            turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
            self.wanted = AT_JOINING;
        } else if let Some(peer) = neighbours.iter().find(|peer| !before.contains(peer)) {
            // It may be the way to a part of the network we were cut off from.
            if self.next.is_none() {
                self.next = Some(*peer);
                let wait = turn.env.exponential(pace.newcomer);
                turn.timers.set(Timer::SyncNext, turn.env.mono.plus(wait));
            }
        }
        // With whom we were has gone: another will do.
        self.sync_with_any(turn, pool, neighbours);
    }

    /// What was not settled when we joined is by now.
    pub(super) fn on_join_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        self.wanted = AT_JOINING;
        self.sync_with_any(turn, pool, neighbours);
    }

    /// It is time for one neighbour, whichever.
    pub(super) fn on_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        self.wanted = self.wanted.max(1);
        turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
        self.sync_with_any(turn, pool, neighbours);
    }

    /// It is time for the neighbour that is new, or that has more for us.
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
            self.wanted = 0;
        }
    }

    fn is_backoff_over(&self, peer: NeighbourId, now: Millis) -> bool {
        self.histories.get(&peer).is_none_or(|history| history.backoff_until <= now)
    }

    fn sync_with(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool, peer: NeighbourId) {
        let history = self.histories.entry(peer).or_default();
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
        self.requests += 1;
        let id = SyncRequestId(self.requests);
        self.session = Some((to, id, session));
        turn.effect(Effect::SyncRequest { to, id, bytes });
    }

    /// What came of our request; nothing if the neighbour did not answer in time, is gone or does not
    /// speak the protocol.
    pub(super) fn on_response(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (relay, recipient): (&mut Relay, &mut impl Recipient),
        (id, bytes): (SyncRequestId, Option<Vec<u8>>),
        neighbours: &[NeighbourId],
    ) {
        let session = self.session.take_if(|(_, waits, _)| *waits == id);
        let Some((peer, _, mut session)) = session else { return };
        let next = match &bytes {
            Some(bytes) => {
                let from = (peer, &mut session);
                self.next_request(turn, (relay, recipient), from, bytes)
            }
            // Others will do.
            None => Err(SessionEnd::Done),
        };
        match next {
            Ok(request) => self.send_request(turn, peer, session, request),
            Err(end) => {
                self.end_session(turn, peer, &session, end);
                self.sync_with_any(turn, relay.pool(), neighbours);
            }
        }
    }

    fn next_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (relay, recipient): (&mut Relay, &mut impl Recipient),
        (peer, session): (NeighbourId, &mut ClientSession),
        bytes: &[u8],
    ) -> Result<Vec<u8>, SessionEnd> {
        if bytes.len() > MAX_MESSAGE {
            return Err(SessionEnd::Violation);
        }
        session.add_received(bytes.len());
        let response = SyncResponse::decode(bytes)?;
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
                    session.record(match relay.take_fetched(turn, envelope?, recipient) {
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
                // Not asked again while it stays.
                history.backoff_until = Millis(u64::MAX);
                turn.effect(Effect::Penalize(peer));
            }
            SessionEnd::More if session.fetched() > 0 => {
                self.next = Some(peer);
                let wait = BEGIN_EVERY.plus(turn.env.exponential(pace.newcomer));
                turn.timers.set(Timer::SyncNext, turn.env.mono.plus(wait));
            }
            SessionEnd::Done | SessionEnd::More => {}
        }
    }
}

/// A time within a quarter of `mean`, uniform: so that nodes that started together drift apart.
fn around(env: &mut Env<'_>, mean: Millis) -> Millis {
    let spread = mean.0 / 2;
    let drawn = env.draw_u64().checked_rem(spread.saturating_add(1)).unwrap_or(0);
    Millis(mean.0 - mean.0 / 4 + drawn)
}
