//! The sessions with one contact: which is preferred for sending, which are evicted, which are
//! over.
//!
//! Two would do for both sides offering at once; more make room for lost state. A session's state
//! is read through [`Session`] alone, and storing what changed is the conversation's part.

use std::collections::BTreeMap;

use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::check::CLOCK_TOLERANCE;
use crate::engine::envelope::wire::{GRID, MAX_TTL};
use crate::engine::session::{Session, SessionId, SessionRole};

/// Sessions with one contact. Two would do for both sides offering at once; the rest is room for
/// lost state. A guess.
pub const MAX_SESSIONS: usize = 8;

/// A day: how far two clocks may be apart before an offer is taken for a replay
/// (`proto/session.md`, "Offer").
pub(in crate::engine) const MAX_CLOCK_DIFFERENCE: Seconds = Seconds(86_400);

/// An hour and five minutes: how far ahead of our clock the date of a session is believed. Nothing
/// that a clock dates further ahead is carried by anybody.
pub(super) const BELIEVED_AHEAD: Seconds = Seconds(GRID.0 + CLOCK_TOLERANCE.0);

/// The order of preference: confirmed sessions first, then those the contact offered, then the
/// latest. Between confirmed ones the age alone decides, which both sides know alike, so both send
/// in the same one without comparing clocks. An offer made by a thief of our key is never
/// confirmed, so it takes nothing from a session that is.
type SessionPreference = (bool, bool, SessionAge);

/// The order in which sessions were made. The first says whether the date is believed: one that is
/// still to come is that of a clock that was ahead, and counts as the earliest, or what both sides
/// offered since would be passed over until then (`proto/session.md`, "Which session").
type SessionAge = (bool, UnixSeconds, SessionId);

/// All sessions with one contact.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sessions {
    sessions: BTreeMap<SessionId, Box<Session>>,
    /// What our clock showed last.
    clock: UnixSeconds,
}

/// The effect of age on a session.
#[derive(Debug)]
pub(super) enum Aged {
    /// It forgot skipped keys whose messages cannot arrive any more; this is its state before.
    Forgot(Box<Session>),
    /// It was idle for so long, or superseded so long ago, that nothing of it can still arrive.
    Over,
}

impl Sessions {
    /// Takes a reading of our clock, by which the dates of sessions are believed or not.
    pub(super) const fn set_clock(&mut self, now: UnixSeconds) {
        self.clock = now;
    }

    /// Adds a session and returns those evicted when there are too many: the least preferred, but
    /// never the newest, and never the `pending` one, whose offer can still be answered.
    pub(super) fn add(
        &mut self,
        session: Box<Session>,
        pending: Option<SessionId>,
    ) -> Vec<Session> {
        let newest = session.id();
        self.sessions.insert(newest, session);
        let stays = |id: SessionId| id == newest || Some(id) == pending;
        let mut by_preference: Vec<(SessionPreference, SessionId)> = self
            .sessions
            .values()
            .filter(|session| !stays(session.id()))
            .map(|session| (self.preference(session), session.id()))
            .collect();
        by_preference.sort_unstable();
        let excess = self.sessions.len().saturating_sub(MAX_SESSIONS);
        let over = by_preference.into_iter().take(excess);
        over.filter_map(|(_, id)| self.sessions.remove(&id)).map(|session| *session).collect()
    }

    /// Takes back a stored session.
    pub(super) fn restore(&mut self, session: Box<Session>) {
        self.sessions.insert(session.id(), session);
    }

    /// Whether there are no sessions.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// All sessions.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(|session| &**session)
    }

    /// The ids of all sessions.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// The session with this id.
    pub(in crate::engine) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).map(|session| &**session)
    }

    /// Replaces a session by a later state of it; returns the earlier one.
    pub(super) fn replace(&mut self, later: Session) -> Option<Session> {
        let session = self.sessions.get_mut(&later.id())?;
        Some(core::mem::replace(&mut **session, later))
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.sessions.remove(&id)
    }

    /// The session to send in: a confirmed one, else one the contact offered, else our own offer.
    pub(super) fn preferred(&self) -> Option<&Session> {
        self.iter().max_by_key(|session| self.preference(session))
    }

    /// The session to send in, if it is confirmed.
    pub(super) fn confirmed(&self) -> Option<&Session> {
        self.preferred().filter(|session| session.confirmed())
    }

    /// Whether a session later than this one is confirmed. The contact sends in that one and never
    /// confirms this one, so answering it would never end.
    pub(super) fn has_newer_confirmed(&self, than: &Session) -> bool {
        self.iter().any(|session| session.confirmed() && self.age_of(session) > self.age_of(than))
    }

    /// The sessions the contact offered and has not confirmed: our answer may be lost.
    pub(in crate::engine) fn unanswered(&self) -> Vec<SessionId> {
        let unanswered =
            |session: &&Session| session.role() == SessionRole::Responder && !session.confirmed();
        self.iter().filter(unanswered).map(Session::id).collect()
    }

    /// The sessions that end when the contact closes one: it and every one before it. A close in an
    /// unconfirmed session may be a thief's, and ends that one alone (`proto/session.md`, "Which
    /// session").
    pub(super) fn ended_by_closing(&self, closed: SessionId) -> Vec<SessionId> {
        let Some(last) = self.get(closed) else { return Vec::new() };
        // By the dates as they are: both sides have to end the same ones, whatever their clocks show.
        let date = |session: &Session| (session.created(), session.id());
        self.iter()
            .filter(|session| date(session) <= date(last))
            .map(Session::id)
            .filter(|&id| last.confirmed() || id == closed)
            .collect()
    }

    /// The sessions that no other one's close would end: the preferred one, and if that is confirmed
    /// those after it, else all.
    pub(super) fn to_be_closed(&self) -> Vec<SessionId> {
        let Some(preferred) = self.preferred() else { return Vec::new() };
        let ended = self.ended_by_closing(preferred.id());
        let others = self.iter().map(Session::id).filter(|id| !ended.contains(id));
        core::iter::once(preferred.id()).chain(others).collect()
    }

    /// Ages every session; returns those that changed or are over.
    pub(super) fn age(&mut self, now: UnixSeconds) -> Vec<(SessionId, Aged)> {
        self.set_clock(now);
        let mut aged = Vec::new();
        let mut old = Vec::new();
        for (&id, session) in &mut self.sessions {
            if let Some(later) = session.age(now) {
                let before = core::mem::replace(&mut **session, later);
                aged.push((id, Aged::Forgot(Box::new(before))));
            }
            let idle = session.is_idle(now);
            // Counted from the offer, by its maker's clock, which may be a day ahead. A session
            // that was superseded at once may still bring envelopes for so long; what an older one
            // still brings is sent again in the preferred one.
            let longest = session.created().plus(MAX_TTL).plus(MAX_CLOCK_DIFFERENCE);
            if idle || longest < now {
                old.push((id, idle));
            }
        }
        let preferred = self.preferred().map(Session::id);
        // Age alone ends no session: the preferred one lives as long as messages open in it.
        let superseded = |id: SessionId| preferred.is_some_and(|preferred| preferred != id);
        let over = old.into_iter().filter(|&(id, idle)| idle || superseded(id));
        aged.extend(over.map(|(id, _)| (id, Aged::Over)));
        aged
    }

    /// How many skipped keys all sessions keep.
    pub(in crate::engine) fn skipped(&self) -> usize {
        self.iter().map(Session::skipped).sum()
    }

    /// The session with the oldest skipped key, and when that was skipped.
    pub(in crate::engine) fn oldest_skipped(&self) -> Option<(UnixSeconds, &Session)> {
        let keeping = self.iter().filter_map(|session| Some((session.oldest_skipped()?, session)));
        keeping.min_by_key(|&(oldest, session)| (oldest, session.id()))
    }

    fn preference(&self, session: &Session) -> SessionPreference {
        // Between confirmed sessions the role must not count: it is the other one on the other side,
        // and both sides have to prefer the same session.
        let offered_by_contact = session.role() == SessionRole::Responder && !session.confirmed();
        (session.confirmed(), offered_by_contact, self.age_of(session))
    }

    fn age_of(&self, session: &Session) -> SessionAge {
        let is_believed = session.created() <= self.clock.plus(BELIEVED_AHEAD);
        (is_believed, session.created(), session.id())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::keys::Identity;
    use crate::engine::env::{Env, Millis};
    use crate::engine::session::{IDLE, Offer, ReceivedOffer, WINDOW};
    use crate::engine::testing::rng::SeededRng;

    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    /// A session of ours, or one that the contact offered, made so many seconds after the start.
    fn session(seed: u64, role: SessionRole, later: u32) -> Box<Session> {
        let mut rng = SeededRng::new(seed);
        let mut env = Env::new(Millis(0), NOW.plus(Seconds(later)), &mut rng);
        let (own, their) = (Identity::generate(&mut env), Identity::generate(&mut env));
        let (offer, ours) = Offer::new(&mut env, &own, &their.public(), WINDOW);
        Box::new(match role {
            SessionRole::Initiator => ours,
            SessionRole::Responder => {
                let sealed = offer.seal(&mut env);
                let offer = ReceivedOffer::open(&their, &sealed.body).unwrap();
                offer.accept(&mut env, WINDOW)
            }
        })
    }

    #[test]
    fn the_contacts_offers_are_preferred_to_ours_and_the_latest_of_each() {
        let mut sessions = Sessions::default();
        assert!(sessions.preferred().is_none() && sessions.confirmed().is_none());
        let made = [
            (1, SessionRole::Initiator, 50),
            (2, SessionRole::Responder, 10),
            (3, SessionRole::Responder, 20),
        ];
        let ids = made.map(|(seed, role, later)| {
            let session = session(seed, role, later);
            let id = session.id();
            assert!(sessions.add(session, None).is_empty());
            id
        });
        assert_eq!(sessions.preferred().map(Session::id), Some(ids[2]));
        let mut unanswered = vec![ids[1], ids[2]];
        unanswered.sort_unstable();
        assert_eq!(sessions.unanswered(), unanswered);
        assert!(sessions.remove(ids[2]).is_some());
        assert_eq!(sessions.preferred().map(Session::id), Some(ids[1]));
        assert_eq!(sessions.ended_by_closing(ids[1]), [ids[1]], "it is not confirmed: alone");
        let mut closed = sessions.to_be_closed();
        assert_eq!(closed.remove(0), ids[1]);
        assert_eq!(closed, [ids[0]], "no other close ends it");
    }

    #[test]
    fn an_idle_session_is_over_and_a_superseded_one_is_over_sooner() {
        let mut sessions = Sessions::default();
        let old = session(1, SessionRole::Responder, 0);
        let new = session(2, SessionRole::Responder, 86_400);
        let ids = [old.id(), new.id()];
        for session in [old, new] {
            sessions.add(session, None);
        }
        let over = |sessions: &mut Sessions, at: UnixSeconds| -> Vec<SessionId> {
            let aged = sessions.age(at).into_iter();
            aged.filter(|(_, aged)| matches!(aged, Aged::Over)).map(|(id, _)| id).collect()
        };
        let superseded = NOW.plus(MAX_TTL).plus(MAX_CLOCK_DIFFERENCE).plus(Seconds(1));
        assert!(over(&mut sessions, NOW).is_empty());
        assert_eq!(over(&mut sessions, superseded), [ids[0]]);
        let mut all = ids.to_vec();
        all.sort_unstable();
        assert_eq!(over(&mut sessions, NOW.plus(IDLE).plus(Seconds(86_400))), all);
    }

    #[test]
    fn a_session_that_a_clock_dated_ahead_gives_way_to_those_made_since_until_its_date() {
        const DAY: u32 = 86_400;
        let mut sessions = Sessions::default();
        let ahead = session(1, SessionRole::Responder, 3 * DAY);
        let since = session(2, SessionRole::Responder, 60);
        let ids = [ahead.id(), since.id()];
        for session in [ahead, since] {
            sessions.add(session, None);
        }
        for (now, preferred) in
            [(3 * DAY, ids[0]), (60, ids[1]), (2 * DAY, ids[1]), (3 * DAY - 3_900, ids[0])]
        {
            sessions.set_clock(NOW.plus(Seconds(now)));
            assert_eq!(sessions.preferred().map(Session::id), Some(preferred), "{now}");
        }
        // A clock that fell back to 1970 believes neither, and so changes nothing.
        sessions.set_clock(UnixSeconds(0));
        assert_eq!(sessions.preferred().map(Session::id), Some(ids[0]));
        // Both sides end the same ones at a farewell, whatever their clocks show.
        for now in [NOW, NOW.plus(Seconds(3 * DAY))] {
            sessions.set_clock(now);
            assert_eq!(sessions.to_be_closed().len(), 2);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_least_preferred_are_evicted_and_never_the_newest_nor_the_pending_one(
            made in proptest::collection::vec((any::<bool>(), 0_u32..1_000), 1..24),
            pending in any::<prop::sample::Index>(),
        ) {
            let mut sessions = Sessions::default();
            let mut model: Vec<(SessionPreference, SessionId)> = Vec::new();
            let pending = pending.index(made.len());
            let mut waits = None;
            for (number, (ours, later)) in made.into_iter().enumerate() {
                let role = if ours { SessionRole::Initiator } else { SessionRole::Responder };
                let session = session(number as u64, role, later);
                let id = session.id();
                if number == pending {
                    waits = Some(id);
                }
                model.push((sessions.preference(&session), id));
                let gone: Vec<SessionId> =
                    sessions.add(session, waits).iter().map(Session::id).collect();
                let mut expected = Vec::new();
                while model.len() > MAX_SESSIONS {
                    let mut may_go: Vec<_> = model
                        .iter()
                        .filter(|(_, other)| *other != id && Some(*other) != waits)
                        .copied()
                        .collect();
                    may_go.sort_unstable();
                    expected.push(may_go[0].1);
                    model.retain(|(_, other)| *other != may_go[0].1);
                }
                prop_assert_eq!(gone, expected);
                let best = model.iter().max().map(|(_, id)| *id);
                prop_assert_eq!(sessions.preferred().map(Session::id), best);
            }
        }
    }
}
