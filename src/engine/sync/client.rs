//! The client: which neighbour we catch up with and when, and how each session with a server ends
//! (`proto/sync.md`, "When").

use std::collections::BTreeMap;

use super::BEGIN_EVERY;
use super::patience::{self, SessionPatience};
use super::peer_clocks::PeerClocks;
use super::turns::{company, draw_shared};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::inspect_each;
use crate::engine::id::{AddressPath, Neighbour, NeighbourId, SyncRequestId};
use crate::engine::price::SaidSteps;
use crate::engine::relay::pool::Pool;
use crate::engine::relay::{FetchResult, Relay, SETTLE_TIME, SETTLED};
use crate::engine::settings::{SyncMode, SyncPace};
use crate::engine::sync::wire::{self, MAX_MESSAGE, SyncRequest, SyncResponse};
use crate::engine::sync::{
    ClientSession, ClockSkew, EnvelopeSet, MalformedSyncMessage, ResponseBody, SessionEnd,
};
use crate::engine::turn::{Effect, Timer, Turn};

/// By so much sooner than it counts for others, an envelope is listed as known: those that reached the
/// server a little before us would be sent again otherwise. A flood takes seconds.
const LISTED_SOONER: Millis = Millis(SETTLED.0 - SETTLE_TIME.0);

/// The most neighbours asked at joining and at each regular time. A guess.
const AT_EACH_TIME: usize = 8;

/// The most of those that come at joining and are asked beyond that, each from a network of which none
/// was asked: others may have come first with any number of keys. A guess.
const RESERVED: usize = 8;

/// The most late-comers that wait for their turn, each of another network. A guess.
const MAX_LATE: usize = 4;

/// The most neighbours asked for their steps at each time. A guess.
const ASKED_FOR_STEPS: usize = 8;

/// Sessions at a time: one, and those that are slow. Each has a set of what is known here, 40 bytes an
/// envelope. A guess.
pub(super) const MAX_SESSIONS: usize = 3;

/// The time in which a session has to bring envelopes, or another begins beside it: with eight
/// neighbours the last one's turn comes within 32 s.
const SLOW: Millis = Millis::from_secs(4);

/// The bytes that a session may cost and bring nothing before its neighbour is left alone for a
/// while.
const COSTLY: usize = 16 << 10;

/// Envelopes of a response that are hashed before the first of them is judged: two of every lane of
/// the widest processor. More would be more work for what a bad server sent behind its first fault.
const HASHED_AT_ONCE: usize = 16;

/// Doublings of the time for which such a neighbour is left alone.
const MAX_BACKOFF_DOUBLINGS: u32 = 4;

/// Sessions in a row that were slow, as far as they count.
const MAX_SLOW: u32 = 16;

/// Our own catching up.
#[derive(Debug, Default)]
pub(super) struct SyncClient {
    /// Our sessions, each with its server.
    sessions: BTreeMap<NeighbourId, RunningSession>,
    requests: u64,
    round: SyncRound,
    /// Neighbours to go on with, or new ones, in their order: one of each network.
    late: Vec<NeighbourId>,
    /// Where each present neighbour is.
    paths: BTreeMap<NeighbourId, AddressPath>,
    /// How sessions went with each present neighbour.
    histories: BTreeMap<NeighbourId, PeerHistory>,
    clocks: PeerClocks,
    fetched: u64,
    /// Requests for the steps of a neighbour that are out, of the last time.
    asked: BTreeMap<SyncRequestId, NeighbourId>,
}

/// A session that is under way.
#[derive(Debug)]
struct RunningSession {
    /// The request that is out.
    request: SyncRequestId,
    session: ClientSession,
    patience: SessionPatience,
    pace: SessionPace,
}

/// Whether a session brought something in time so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionPace {
    /// No other begins beside it.
    Good,
    /// It goes on beside others.
    Slow,
}

impl RunningSession {
    /// When it has to be looked at: it becomes slow, or its time is up.
    const fn due(&self) -> Millis {
        let ends = self.patience.ends();
        match self.pace {
            SessionPace::Good => Millis(ends.0.saturating_sub(patience::MOST.0 - SLOW.0)),
            SessionPace::Slow => ends,
        }
    }
}

/// Neighbours to catch up with one after the other.
#[derive(Debug, Default)]
struct SyncRound {
    /// Those still to be asked.
    waiting: Vec<NeighbourId>,
    /// Where those are that were asked.
    asked: Vec<AddressPath>,
    /// How many more of those that come are asked in it.
    room: usize,
    /// And how many beyond that, each from a network that nobody else in it is from.
    reserve: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct PeerHistory {
    /// Sessions in a row that cost much and brought nothing.
    fruitless: u32,
    /// Sessions in a row that were slow: whoever has most of them comes last.
    slow: u32,
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
    fn keep(&mut self, neighbours: &[Neighbour]) {
        self.paths = neighbours.iter().map(|neighbour| (neighbour.id, neighbour.path)).collect();
        let paths = &self.paths;
        self.histories.retain(|peer, _| paths.contains_key(peer));
        self.late.retain(|peer| paths.contains_key(peer));
        self.sessions.retain(|peer, _| paths.contains_key(peer));
        self.round.waiting.retain(|peer| paths.contains_key(peer));
        self.asked.retain(|_, peer| paths.contains_key(peer));
    }

    /// Where a neighbour is. One that has gone is alone.
    fn path(&self, peer: NeighbourId) -> AddressPath {
        self.paths.get(&peer).copied().unwrap_or(AddressPath([peer.0; 3]))
    }

    /// Whether one of these is in the network of a neighbour.
    fn is_among(&self, peer: NeighbourId, others: &[NeighbourId]) -> bool {
        let others: Vec<_> = others.iter().map(|other| self.path(*other)).collect();
        let [in_network, ..] = company(self.path(peer), &others);
        in_network > 0
    }

    /// Whether a neighbour's network has had no turn in this round and has none before it.
    fn is_new_in_round(&self, peer: NeighbourId) -> bool {
        let [asked, ..] = company(self.path(peer), &self.round.asked);
        asked == 0 && !self.is_among(peer, &self.round.waiting)
    }
}

impl SyncClient {
    /// Neighbours have come or gone: schedules catching up. `before` are those there were.
    pub(super) fn on_neighbours(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        before: &[NeighbourId],
        neighbours: &[Neighbour],
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        self.keep(neighbours);
        if neighbours.is_empty() {
            // Nobody to ask. The next neighbour counts as the first again.
            self.round = SyncRound::default();
            let timers =
                [Timer::SyncAfterJoin, Timer::Sync, Timer::SyncNext, Timer::SyncWait, Timer::Steps];
            for timer in timers {
                turn.timers.clear(timer);
            }
            return;
        }
        // From here we may lack anything: we were cut off, or have just started.
        if before.is_empty() {
            turn.timers.set(Timer::SyncAfterJoin, turn.env.mono.plus(pace.joining));
            turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
            turn.timers.set(Timer::Steps, turn.env.mono.plus(around(turn.env, pace.steps)));
            self.begin_round(turn, neighbours);
            self.round.room = AT_EACH_TIME.saturating_sub(self.round.waiting.len());
            self.round.reserve = RESERVED;
        } else {
            let ids = neighbours.iter().map(|neighbour| neighbour.id);
            for peer in ids.filter(|peer| !before.contains(peer)) {
                self.on_newcomer(turn, (pace, peer));
            }
        }
        // The server of our session may be gone: another one will do.
        self.go_on(turn, pool);
    }

    /// A neighbour has come later than the first.
    fn on_newcomer(&mut self, turn: &mut Turn<'_, '_>, (pace, peer): (SyncPace, NeighbourId)) {
        if self.round.room > 0 {
            // We have only just joined. The first neighbours may lie, be slow, or be as new as we are.
            self.round.room -= 1;
            self.round.waiting.push(peer);
        } else if self.round.reserve > 0 && self.is_new_in_round(peer) {
            self.round.reserve -= 1;
            self.round.waiting.push(peer);
        } else {
            // It may be the way to a part of the network that we were cut off from.
            self.come_later(turn, pace, (peer, Millis(0)));
        }
    }

    /// Lets a neighbour wait for its turn, so long at least. One of each network: others that come
    /// meanwhile are left to the regular times.
    fn come_later(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pace: SyncPace,
        (peer, least): (NeighbourId, Millis),
    ) {
        if self.late.len() >= MAX_LATE || self.is_among(peer, &self.late) {
            return;
        }
        // Whoever waits already does not wait for longer because others come.
        if self.late.is_empty() {
            let wait = least.plus(turn.env.exponential(pace.newcomer));
            turn.timers.set(Timer::SyncNext, turn.env.mono.plus(wait));
        }
        self.late.push(peer);
    }

    /// Something was missed a moment ago: catches up as after joining, when it has settled.
    pub(super) fn on_resumed(turn: &mut Turn<'_, '_>) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        if !turn.timers.is_set(Timer::SyncAfterJoin) {
            turn.timers.set(Timer::SyncAfterJoin, turn.env.mono.plus(pace.joining));
        }
    }

    /// Catches up once more, a while after joining: envelopes that had not settled at the first
    /// comparison have by now.
    pub(super) fn on_join_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[Neighbour],
    ) {
        self.begin_round(turn, neighbours);
        self.go_on(turn, pool);
    }

    /// Catches up with each neighbour, one after the other in random order, and sets the next time.
    pub(super) fn on_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[Neighbour],
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        turn.timers.set(Timer::Sync, turn.env.mono.plus(around(turn.env, pace.every)));
        self.begin_round(turn, neighbours);
        self.go_on(turn, pool);
    }

    /// Asks neighbours what they ask of senders, and sets the next time. Whatever this node is about
    /// to do, and as often: a request before sending would tell that it sends.
    pub(super) fn on_steps_due(&mut self, turn: &mut Turn<'_, '_>, neighbours: &[Neighbour]) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        turn.timers.set(Timer::Steps, turn.env.mono.plus(around(turn.env, pace.steps)));
        // Whoever has not answered by now counts no more.
        self.asked.clear();
        for to in draw_shared(turn.env, neighbours, ASKED_FOR_STEPS) {
            let id = self.next_id();
            self.asked.insert(id, to);
            let bytes = SyncRequest::Steps.encode();
            turn.effect(Effect::SyncRequest { to, id, bytes });
        }
    }

    /// Catches up with the neighbour that is new, or that has more for us.
    pub(super) fn on_next_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        if !self.round.waiting.is_empty() || self.is_waiting() {
            turn.timers.set(Timer::SyncNext, turn.env.mono.plus(BEGIN_EVERY));
            return;
        }
        let now = turn.env.mono;
        let (sessions, histories) = (&self.sessions, &self.histories);
        let open = |peer: &NeighbourId| {
            histories.get(peer).map_or(Millis(0), |history| history.backoff_until)
        };
        // Whoever is left alone for long keeps no place here.
        self.late.retain(|peer| open(peer) <= now.plus(BEGIN_EVERY));
        let is_ready = |peer: &NeighbourId| !sessions.contains_key(peer) && open(peer) <= now;
        if let Some(place) = self.late.iter().position(is_ready) {
            let peer = self.late.remove(place);
            self.sync_with(turn, pool, peer);
        }
        let SyncMode::On(pace) = turn.settings.sync else { return };
        if !self.late.is_empty() {
            let wait = turn.env.exponential(pace.newcomer);
            turn.timers.set(Timer::SyncNext, now.plus(wait));
        }
    }

    /// Looks after sessions that are slow, or whose time is up.
    pub(super) fn on_wait_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        let now = turn.env.mono;
        let over = self.sessions.iter().filter(|(_, running)| running.patience.is_over(now));
        for peer in over.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            // No blame: a line may be slow, and nobody here knows whose.
            if let Some(running) = self.sessions.remove(&peer) {
                self.end_session(turn, (peer, running), SessionEnd::Done);
            }
        }
        for running in self.sessions.values_mut().filter(|running| running.due() <= now) {
            running.pace = SessionPace::Slow;
        }
        self.go_on(turn, pool);
    }

    /// Draws the neighbours of a round: all, or so many of them, shared by range and else at random, that
    /// no neighbour can make itself one that we depend on.
    fn begin_round(&mut self, turn: &mut Turn<'_, '_>, neighbours: &[Neighbour]) {
        let waiting = draw_shared(turn.env, neighbours, AT_EACH_TIME);
        self.round = SyncRound { waiting, ..SyncRound::default() };
    }

    /// Whether a session is under way beside which no other begins.
    fn is_waiting(&self) -> bool {
        self.sessions.values().any(|running| running.pace == SessionPace::Good)
    }

    /// Begins with the next neighbour of the round unless a session is under way that is not slow.
    fn go_on(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        let now = turn.env.mono;
        while !self.is_waiting() {
            // Whoever is left alone for now, or has a session still, is left out of this round.
            let (sessions, histories) = (&self.sessions, &self.histories);
            let history = |peer: &NeighbourId| histories.get(peer).copied().unwrap_or_default();
            self.round
                .waiting
                .retain(|peer| !sessions.contains_key(peer) && history(peer).backoff_until <= now);
            let places = self.round.waiting.iter().enumerate();
            // Of those that were slow least often, one whose ranges had the fewest turns; of several the
            // first: they are in random order.
            let weight = |peer: &NeighbourId| {
                (history(peer).slow, company(self.path(*peer), &self.round.asked))
            };
            let Some((place, _)) = places.min_by_key(|(_, peer)| weight(peer)) else { break };
            let peer = self.round.waiting.remove(place);
            self.round.asked.push(self.path(peer));
            self.sync_with(turn, pool, peer);
        }
        self.watch(turn);
    }

    /// Sets the time to look after the sessions.
    fn watch(&self, turn: &mut Turn<'_, '_>) {
        match self.sessions.values().map(RunningSession::due).min() {
            Some(due) => turn.timers.set(Timer::SyncWait, due),
            None => turn.timers.clear(Timer::SyncWait),
        }
    }

    fn sync_with(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool, peer: NeighbourId) {
        let now = turn.env.mono;
        let ends = |running: &RunningSession| running.patience.ends();
        let least_patient = self.sessions.iter().min_by_key(|(_, running)| ends(running));
        if self.sessions.len() >= MAX_SESSIONS
            && let Some(slowest) = least_patient.map(|(peer, _)| *peer)
            && let Some(running) = self.sessions.remove(&slowest)
        {
            self.end_session(turn, (slowest, running), SessionEnd::Done);
        }
        let history = self.histories.entry(peer).or_default();
        // The server responds Busy to one that begins again sooner (`proto/sync.md`, "Limits").
        history.backoff_until = history.backoff_until.max(now.plus(BEGIN_EVERY));
        let was_slow = history.slow > 0;
        let known = EnvelopeSet::new(pool.known_ids(now.plus(LISTED_SOONER)));
        let session = ClientSession::new(known);
        let session = if was_slow { session.with_few_rounds() } else { session };
        let request = self.send_request(turn, peer, SyncRequest::Begin.encode());
        let patience = SessionPatience::new(patience::MOST, now);
        let running = RunningSession { request, session, patience, pace: SessionPace::Good };
        self.sessions.insert(peer, running);
        self.watch(turn);
    }

    fn send_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        to: NeighbourId,
        bytes: Vec<u8>,
    ) -> SyncRequestId {
        let id = self.next_id();
        turn.effect(Effect::SyncRequest { to, id, bytes });
        id
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
    ) -> Option<(NeighbourId, SaidSteps)> {
        if let Some(peer) = self.asked.remove(&id) {
            // Whatever it is a response to, it says the steps.
            let response = SyncResponse::decode(bytes.as_deref()?).ok()?;
            return Some((peer, response.steps));
        }
        // Otherwise it is a late response: the session was dropped, with its neighbour or without.
        let mut answered = self.sessions.iter().filter(|(_, running)| running.request == id);
        let peer = answered.next().map(|(peer, _)| *peer)?;
        let mut running = self.sessions.remove(&peer)?;
        running.patience.answered(turn.env.mono);
        let response = match &bytes {
            Some(bytes) => read(&mut running.session, bytes),
            // No blame: the neighbour may be busy, gone, or of another version.
            None => Err(SessionEnd::Done),
        };
        let said = response.as_ref().ok().map(|response| (peer, response.steps));
        let before = running.session.fetched();
        let next = response.and_then(|response| {
            let from = (peer, &mut running.session);
            self.next_request(turn, &mut *relay, from, response)
        });
        let brought = running.session.fetched().saturating_sub(before);
        running.patience.earn(u64::from(brought));
        match next {
            Ok(request) if !running.patience.is_over(turn.env.mono) => {
                running.request = self.send_request(turn, peer, request);
                self.sessions.insert(peer, running);
            }
            Ok(_) => self.end_session(turn, (peer, running), SessionEnd::Done),
            Err(end) => self.end_session(turn, (peer, running), end),
        }
        self.go_on(turn, relay.pool());
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
                let mut envelopes = wire::envelopes(envelopes).peekable();
                while envelopes.peek().is_some() {
                    let group = envelopes.by_ref().take(HASHED_AT_ONCE).collect::<Vec<_>>();
                    self.take_group(turn, &mut *relay, &mut *session, &group)?;
                }
                session.more()
            }
        }
    }

    /// Takes some envelopes of a response, up to the first fault.
    fn take_group(
        &mut self,
        turn: &mut Turn<'_, '_>,
        relay: &mut Relay,
        session: &mut ClientSession,
        group: &[Result<&[u8], MalformedSyncMessage>],
    ) -> Result<(), SessionEnd> {
        let whole: Vec<&[u8]> = group.iter().copied().map_while(Result::ok).collect();
        let inspected = inspect_each(&whole, &turn.settings.floor);
        for (envelope, inspected) in whole.into_iter().zip(inspected) {
            let result = relay.take_fetched(turn, envelope, inspected);
            self.fetched += u64::from(result == FetchResult::Fetched);
            session.record(result)?;
        }
        group.iter().try_for_each(|envelope| envelope.map(drop)).map_err(SessionEnd::from)
    }

    fn end_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (peer, running): (NeighbourId, RunningSession),
        end: SessionEnd,
    ) {
        let SyncMode::On(pace) = turn.settings.sync else { return };
        let session = &running.session;
        // A server cannot be blamed for having nothing new, but comparing with it costs bytes that
        // another is better asked for.
        let was_fruitless = session.fetched() == 0 && session.cost() > COSTLY;
        let history = self.histories.entry(peer).or_default();
        history.fruitless =
            if was_fruitless { (history.fruitless + 1).min(MAX_BACKOFF_DOUBLINGS) } else { 0 };
        history.slow = match running.pace {
            SessionPace::Good => 0,
            SessionPace::Slow => (history.slow + 1).min(MAX_SLOW),
        };
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
                self.come_later(turn, pace, (peer, BEGIN_EVERY));
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
