//! The sessions with one contact: which one to speak in, which give way, which are over.
//!
//! Two would do for both sides starting at once; more make room for lost state. What they hold is
//! never looked into here but through [`Session`], and storing what changed is the conversation's.

use std::collections::BTreeMap;

use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::wire::MAX_TTL;
use crate::engine::session::{Session, SessionId, SessionRole};

/// Two would do for both sides starting at once; the rest is room for lost state. A guess.
pub const MAX_SESSIONS: usize = 8;

/// A day: how far two clocks may be apart before an offer is taken for a replay
/// (`proto/session.md`, "Offer").
pub(in crate::engine) const MAX_CLOCK_DIFFERENCE: Seconds = Seconds(86_400);

/// How much a session is preferred: confirmed first, then offered by the contact, then the latest.
/// Both sides know all three, so they prefer the same one without comparing clocks. What somebody
/// offered who stole our key is never confirmed, so a session that is loses nothing to it.
type SessionPreference = (bool, bool, (UnixSeconds, SessionId));

/// All sessions with one contact.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sessions {
    sessions: BTreeMap<SessionId, Box<Session>>,
}

/// A session that has aged.
#[derive(Debug)]
pub(super) enum Aged {
    /// It forgot keys of messages that cannot arrive any more; this is what it was before.
    Forgot(Box<Session>),
    /// It was silent for so long, or was superseded so long ago, that nothing of it can still arrive.
    Over,
}

impl Sessions {
    /// Takes a session in and answers which give way when there are too many: the least preferred,
    /// never the newest, and never the one whose offer waits: it could be answered, and nobody would
    /// read the answer.
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
            .map(|session| (preference(session), session.id()))
            .collect();
        by_preference.sort_unstable();
        let excess = self.sessions.len().saturating_sub(MAX_SESSIONS);
        let over = by_preference.into_iter().take(excess);
        over.filter_map(|(_, id)| self.sessions.remove(&id)).map(|session| *session).collect()
    }

    /// A session that was stored.
    pub(super) fn restore(&mut self, session: Box<Session>) {
        self.sessions.insert(session.id(), session);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(|session| &**session)
    }

    /// The names of all of them.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// A session by its name.
    pub(in crate::engine) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).map(|session| &**session)
    }

    /// Replaces a session by a later state of it; answers the earlier one.
    pub(super) fn replace(&mut self, later: Session) -> Option<Session> {
        let session = self.sessions.get_mut(&later.id())?;
        Some(core::mem::replace(&mut **session, later))
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.sessions.remove(&id)
    }

    /// The session to send in: a confirmed one, else one the contact offered, else our own offer.
    pub(super) fn preferred(&self) -> Option<&Session> {
        self.iter().max_by_key(|session| preference(session))
    }

    /// The session to send in, if the contact was heard in it.
    pub(super) fn confirmed(&self) -> Option<&Session> {
        self.preferred().filter(|session| session.confirmed())
    }

    /// Whether the contact was heard in a session later than this one. They have no use for an answer
    /// in this one then, would not speak in it, and would be answered forever.
    pub(super) fn has_newer_confirmed(&self, than: &Session) -> bool {
        self.iter().any(|session| session.confirmed() && age(session) > age(than))
    }

    /// The sessions a contact offered that it has not confirmed: our answer may be lost.
    pub(in crate::engine) fn unanswered(&self) -> Vec<SessionId> {
        let unanswered =
            |session: &&Session| session.role() == SessionRole::Responder && !session.confirmed();
        self.iter().filter(unanswered).map(Session::id).collect()
    }

    /// What ends when a contact says that a session is over: it and every one before it. In one that
    /// is not confirmed it may not be the contact who says so, and that one ends alone.
    pub(super) fn ended_by_closing(&self, closed: SessionId) -> Vec<SessionId> {
        let Some(last) = self.get(closed) else { return Vec::new() };
        self.iter()
            .filter(|session| age(session) <= age(last))
            .map(Session::id)
            .filter(|&id| last.confirmed() || id == closed)
            .collect()
    }

    /// Ages every session; answers what became of those that changed or are over.
    pub(super) fn age(&mut self, now: UnixSeconds) -> Vec<(SessionId, Aged)> {
        let mut aged = Vec::new();
        let mut old = Vec::new();
        for (&id, session) in &mut self.sessions {
            if let Some(later) = session.age(now) {
                let before = core::mem::replace(&mut **session, later);
                aged.push((id, Aged::Forgot(Box::new(before))));
            }
            let idle = session.is_idle(now);
            // Whoever offered it with a clock a day ahead may be sending until its last envelope ends.
            let longest = session.created().plus(MAX_TTL).plus(MAX_CLOCK_DIFFERENCE);
            if idle || longest < now {
                old.push((id, idle));
            }
        }
        let preferred = self.preferred().map(Session::id);
        let superseded = |id: SessionId| preferred.is_some_and(|preferred| preferred != id);
        let over = old.into_iter().filter(|&(id, idle)| idle || superseded(id));
        aged.extend(over.map(|(id, _)| (id, Aged::Over)));
        aged
    }

    /// How many keys of messages that were passed over all of them keep.
    pub(in crate::engine) fn skipped(&self) -> usize {
        self.iter().map(Session::skipped).sum()
    }

    /// The session that keeps the oldest of those keys, with when it was passed over.
    pub(in crate::engine) fn oldest_skipped(&self) -> Option<(UnixSeconds, &Session)> {
        let keeping = self.iter().filter_map(|session| Some((session.oldest_skipped()?, session)));
        keeping.min_by_key(|&(oldest, session)| (oldest, session.id()))
    }
}

fn preference(session: &Session) -> SessionPreference {
    let offered_by_contact = session.role() == SessionRole::Responder && !session.confirmed();
    (session.confirmed(), offered_by_contact, age(session))
}

fn age(session: &Session) -> (UnixSeconds, SessionId) {
    (session.created(), session.id())
}
