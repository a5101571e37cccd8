//! The side that opens: whom we catch up with and when, and what we make of what comes.

use std::collections::BTreeMap;

use super::{BEGIN_EVERY, SETTLE};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::check;
use crate::engine::node::clock::Witnesses;
use crate::engine::node::inbound::Source;
use crate::engine::node::input::{NeighbourId, SyncRequestId};
use crate::engine::node::output::Output;
use crate::engine::node::settings::Sync;
use crate::engine::node::timers::Timer;
use crate::engine::node::{ClockSkew, Node};
use crate::engine::sync::wire::{self, MAX_MESSAGE, SyncRequest, SyncResponse};
use crate::engine::sync::{ClientSession, EnvelopeSet, FetchResult, ResponseBody, SessionEnd};

/// Half of the time to settle is enough for what we say we do not need, or whatever reached the holder a little
/// before us would be sent again. A flood takes seconds.
const HALF_SETTLED: Millis = Millis(SETTLE.0 / 2);

/// After joining, two neighbours: one may be malicious, or as new as we are.
const AT_JOINING: u8 = 2;

/// A session that cost so many bytes and brought nothing was not worth it.
const COSTLY: usize = 16 << 10;

/// The doublings of the time until a neighbour is asked again that was not worth it.
const MOST_REST: u32 = 4;

/// Our own catching up.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Our session, with whom, and the request that is out.
    session: Option<(NeighbourId, SyncRequestId, ClientSession)>,
    asks: u64,
    /// So many more neighbours are asked as soon as a session ends.
    wanted: u8,
    /// With whom to go on, or who is new.
    next: Option<NeighbourId>,
    /// Whom we have asked, and how it went; neighbours alone.
    known: BTreeMap<NeighbourId, Known>,
    witnesses: Witnesses,
    fetched: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Sessions in a row that were not worth it.
    lean: u32,
    rests_until: Millis,
}

impl Opening {
    pub(super) const fn fetched(&self) -> u64 {
        self.fetched
    }

    pub(super) fn skew(&self) -> Option<ClockSkew> {
        self.witnesses.skew()
    }

    /// Forgets all but these neighbours.
    fn keep(&mut self, peers: &[NeighbourId]) {
        self.known.retain(|peer, _| peers.contains(peer));
        self.next.take_if(|peer| !peers.contains(peer));
        self.session.take_if(|(peer, ..)| !peers.contains(peer));
    }
}

impl Node {
    /// Neighbours have come or gone: plans whom to catch up with. `before` are those there were.
    pub(in crate::engine::node) fn plan_catching_up(
        &mut self,
        env: &mut Env<'_>,
        before: &[NeighbourId],
    ) {
        let Sync::On(pace) = self.settings.sync else { return };
        let peers = &self.peers;
        self.catchup.opening.keep(peers);
        self.catchup.holding.keep(peers);
        if peers.is_empty() {
            for timer in [Timer::Join, Timer::CatchUp, Timer::CatchUpNext] {
                self.timers.clear(timer);
            }
            return;
        }
        if before.is_empty() {
            self.timers.set(Timer::Join, env.mono.plus(pace.joining));
            self.timers.set(Timer::CatchUp, env.mono.plus(around(env, pace.every)));
            self.catchup.opening.wanted = AT_JOINING;
        } else if let Some(peer) = peers.iter().find(|peer| !before.contains(peer)) {
            // It may be the way to a part of the network we were cut off from.
            if self.catchup.opening.next.is_none() {
                self.catchup.opening.next = Some(*peer);
                let wait = env.exponential(pace.newcomer);
                self.timers.set(Timer::CatchUpNext, env.mono.plus(wait));
            }
        }
        // With whom we were has gone: another will do.
        self.catch_up(env);
    }

    /// What was not settled when we joined is by now.
    pub(in crate::engine::node) fn on_join_due(&mut self, env: &mut Env<'_>) {
        self.catchup.opening.wanted = AT_JOINING;
        self.catch_up(env);
    }

    /// It is time for one neighbour, whichever.
    pub(in crate::engine::node) fn on_catch_up_due(&mut self, env: &mut Env<'_>) {
        let Sync::On(pace) = self.settings.sync else { return };
        self.catchup.holding.forget_idle(env.mono);
        self.catchup.opening.wanted = self.catchup.opening.wanted.max(1);
        self.timers.set(Timer::CatchUp, env.mono.plus(around(env, pace.every)));
        self.catch_up(env);
    }

    /// It is time for the neighbour that is new, or that has more for us.
    pub(in crate::engine::node) fn on_catch_up_next_due(&mut self, env: &Env<'_>) {
        if self.catchup.opening.session.is_some() {
            self.timers.set(Timer::CatchUpNext, env.mono.plus(BEGIN_EVERY));
            return;
        }
        if let Some(peer) = self.catchup.opening.next.take() {
            self.begin_with(env, peer);
        }
    }

    /// Begins with a neighbour chosen at random if one is wanted and no session is under way.
    fn catch_up(&mut self, env: &mut Env<'_>) {
        if self.catchup.opening.session.is_some() || self.catchup.opening.wanted == 0 {
            return;
        }
        self.catchup.opening.wanted -= 1;
        let rested: Vec<NeighbourId> =
            self.peers.iter().copied().filter(|peer| self.has_rested(*peer, env.mono)).collect();
        // Bias by the remainder: a few neighbours in 2^64.
        let chosen = env.draw_u64().checked_rem(rested.len() as u64);
        let chosen = chosen.and_then(|at| rested.get(usize::try_from(at).ok()?));
        if let Some(peer) = chosen {
            self.begin_with(env, *peer);
        } else {
            self.catchup.opening.wanted = 0;
        }
    }

    fn has_rested(&self, peer: NeighbourId, now: Millis) -> bool {
        self.catchup.opening.known.get(&peer).is_none_or(|known| known.rests_until <= now)
    }

    fn begin_with(&mut self, env: &Env<'_>, peer: NeighbourId) {
        let known = self.catchup.opening.known.entry(peer).or_default();
        known.rests_until = known.rests_until.max(env.mono.plus(BEGIN_EVERY));
        let had = EnvelopeSet::new(self.pool.known_ids(env.mono.plus(HALF_SETTLED)));
        self.request(peer, ClientSession::new(had), SyncRequest::Begin.encode());
    }

    fn request(&mut self, to: NeighbourId, opener: ClientSession, bytes: Vec<u8>) {
        self.catchup.opening.asks += 1;
        let id = SyncRequestId(self.catchup.opening.asks);
        self.catchup.opening.session = Some((to, id, opener));
        self.outputs.push_back(Output::SyncRequest { to, id, bytes });
    }

    pub(in crate::engine::node) fn on_sync_response(
        &mut self,
        env: &mut Env<'_>,
        id: SyncRequestId,
        bytes: Option<Vec<u8>>,
    ) {
        let session = self.catchup.opening.session.take_if(|(_, waits, _)| *waits == id);
        let Some((peer, _, mut opener)) = session else { return };
        let next = match &bytes {
            Some(bytes) => self.next_request(env, peer, &mut opener, bytes),
            // It has gone, or does not speak the protocol: others will do.
            None => Err(SessionEnd::Done),
        };
        match next {
            Ok(request) => self.request(peer, opener, request),
            Err(stop) => self.end_session(env, peer, &opener, stop),
        }
    }

    fn next_request(
        &mut self,
        env: &mut Env<'_>,
        peer: NeighbourId,
        opener: &mut ClientSession,
        bytes: &[u8],
    ) -> Result<Vec<u8>, SessionEnd> {
        if bytes.len() > MAX_MESSAGE {
            return Err(SessionEnd::Violation);
        }
        opener.add_received(bytes.len());
        let response = SyncResponse::decode(bytes)?;
        if opener.is_first() {
            self.catchup.opening.witnesses.hear(env, peer, response.minutes);
        }
        match response.body {
            ResponseBody::Done => Err(SessionEnd::Done),
            ResponseBody::Busy => Err(SessionEnd::More),
            ResponseBody::Query(query) => opener.answer(query),
            ResponseBody::MoreCells => opener.more_cells(),
            ResponseBody::Envelopes(envelopes) => {
                opener.accept_envelopes()?;
                for envelope in wire::envelopes(envelopes) {
                    let missed = self.admit_fetched(env, envelope?);
                    opener.record(missed)?;
                }
                opener.more()
            }
        }
    }

    /// Takes an envelope that we missed through the gate all envelopes pass.
    fn admit_fetched(&mut self, env: &mut Env<'_>, bytes: &[u8]) -> FetchResult {
        let checked = match check(bytes.to_vec(), env.wall, &self.settings.floor) {
            Ok(checked) => checked,
            Err(refusal) => {
                self.count_off_time(refusal);
                return FetchResult::Rejected(refusal);
            }
        };
        // It had settled where it came from. If it had not here, the next session would bring it again.
        let refusal = self.pool.admit(checked.clone(), env.wall, env.mono).error();
        self.dispatch(env, &checked, refusal, Source::Sync);
        match refusal {
            Some(refusal) => FetchResult::Rejected(refusal),
            None => {
                self.catchup.opening.fetched += 1;
                FetchResult::Fetched
            }
        }
    }

    fn end_session(
        &mut self,
        env: &mut Env<'_>,
        peer: NeighbourId,
        opener: &ClientSession,
        stop: SessionEnd,
    ) {
        let Sync::On(pace) = self.settings.sync else { return };
        let lean = opener.fetched() == 0 && opener.cost() > COSTLY;
        let known = self.catchup.opening.known.entry(peer).or_default();
        known.lean = if lean { (known.lean + 1).min(MOST_REST) } else { 0 };
        if lean {
            let rest = pace.every.0.saturating_mul(1 << known.lean);
            known.rests_until = env.mono.plus(Millis(rest));
        }
        match stop {
            SessionEnd::Violation => {
                // Not asked again while it stays.
                known.rests_until = Millis(u64::MAX);
                self.outputs.push_back(Output::Penalize(peer));
            }
            SessionEnd::More if opener.fetched() > 0 => {
                self.catchup.opening.next = Some(peer);
                let wait = BEGIN_EVERY.plus(env.exponential(pace.newcomer));
                self.timers.set(Timer::CatchUpNext, env.mono.plus(wait));
            }
            SessionEnd::Done | SessionEnd::More => {}
        }
        self.catch_up(env);
    }
}

/// A time within a quarter of `mean`, uniform: so that nodes that started together drift apart.
fn around(env: &mut Env<'_>, mean: Millis) -> Millis {
    let spread = mean.0 / 2;
    let drawn = env.draw_u64().checked_rem(spread.saturating_add(1)).unwrap_or(0);
    Millis(mean.0 - mean.0 / 4 + drawn)
}
