//! Offers and answers of one contact, and every step of its sessions.
//!
//! A [`Handshake`] owns the sessions and the pending offer. It stores each step of a session with
//! the turn it is given, keeps the index of topics in step, and returns what happened to the
//! contact; when to offer, to answer and to close is the conversation's to decide.

use std::sync::Arc;

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::envelope::Topic;
use crate::engine::envelope::wire::MAX_TTL;
use crate::engine::event::SessionStatus;
use crate::engine::id::ContactId;
use crate::engine::record::{PendingOffer, Record, RecordKey, SessionRecord};
use crate::engine::secret::opaque_debug;
use crate::engine::session::{
    Offer, Payload, ReceivedOffer, SealedBody, Session, SessionId, SessionRole,
};
use crate::engine::turn::Turn;

use super::sessions::{Aged, BELIEVED_AHEAD, Sessions};

/// The sessions with one contact, and the offers and answers that begin them.
pub(in crate::engine) struct Handshake {
    contact: ContactId,
    own: Arc<Identity>,
    key: PublicKey,
    /// Our offer that waits for an answer; sealed afresh each time it is sent.
    pending: Option<Box<PendingOffer>>,
    /// Answers sent since the contact was last heard in a confirmed session; each doubles the next
    /// wait.
    answers_sent: u32,
    sessions: Sessions,
}

opaque_debug!(struct Handshake { contact, own, key, pending, answers_sent, sessions });

/// The session to encrypt in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendingSession {
    /// There is none.
    None,
    /// That of our pending offer, which leaves first.
    AfterOffer,
    /// This one.
    Ready(SessionId),
}

impl SendingSession {
    /// The session, if something can be sent in it.
    pub(super) const fn ready(self) -> Option<SessionId> {
        match self {
            Self::Ready(id) => Some(id),
            Self::None | Self::AfterOffer => None,
        }
    }
}

/// The pending offer when it is to be sent.
pub(super) enum SealedOffer {
    /// Sealed afresh.
    Sealed(SealedBody),
    /// It waited so long, or our clock was so wrong, that no responder would take it.
    OutOfDate,
}

impl Handshake {
    /// The handshake of `own` with the holder of `key`.
    pub(super) fn new(
        contact: ContactId,
        own: Arc<Identity>,
        key: PublicKey,
        pending: Option<Box<PendingOffer>>,
    ) -> Self {
        let sessions = Sessions::default();
        Self { contact, own, key, pending, answers_sent: 0, sessions }
    }

    /// Our identity.
    pub(super) fn own(&self) -> &Identity {
        &self.own
    }

    /// The contact's key.
    pub(super) const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Replaces the contact's key. Its sessions must have ended.
    pub(super) fn set_key(&mut self, key: PublicKey) {
        self.key = key;
    }

    /// Our offer that waits for an answer.
    pub(super) const fn pending(&self) -> Option<&PendingOffer> {
        match &self.pending {
            Some(pending) => Some(pending),
            None => None,
        }
    }

    /// All sessions, read-only.
    pub(in crate::engine) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The progress of the handshake, by the preferred session and the pending offer.
    pub(super) fn status(&self) -> SessionStatus {
        match (self.sessions.preferred(), &self.pending) {
            (Some(session), _) if session.confirmed() => SessionStatus::Established,
            (Some(session), _) if session.role() == SessionRole::Responder => {
                SessionStatus::AwaitingConfirmation
            }
            (_, Some(pending)) if pending.attempts == 0 => SessionStatus::OfferQueued,
            (_, Some(_)) => SessionStatus::OfferSent,
            (_, None) => SessionStatus::None,
        }
    }

    /// The session to encrypt in, or that there is none; none either while it is that of an offer
    /// of ours that never left, without which the contact can open nothing.
    pub(super) fn sending_session(&self) -> SendingSession {
        let Some(preferred) = self.sessions.preferred() else { return SendingSession::None };
        let is_unheard = |pending: &PendingOffer| {
            pending.attempts == 0 && SessionId::from(pending.offer.id()) == preferred.id()
        };
        match &self.pending {
            Some(pending) if is_unheard(pending) => SendingSession::AfterOffer,
            Some(_) | None => SendingSession::Ready(preferred.id()),
        }
    }

    /// The sessions in which a farewell is needed for the contact to go on with none: not that of an
    /// offer that never left, of which the contact knows nothing.
    pub(super) fn to_be_closed(&self) -> Vec<SessionId> {
        let unheard = self.pending.as_ref().filter(|pending| pending.attempts == 0);
        let unheard = unheard.map(|pending| SessionId::from(pending.offer.id()));
        let mut sessions = self.sessions.to_be_closed();
        sessions.retain(|session| Some(*session) != unheard);
        sessions
    }

    /// Makes an offer, in place of a pending one. Returns the sessions evicted for its session.
    pub(super) fn offer(&mut self, turn: &mut Turn<'_, '_>) -> Vec<SessionId> {
        let (offer, session) = Offer::new(turn.env, &self.own, &self.key, turn.settings.window);
        self.pending = Some(Box::new(PendingOffer { offer, attempts: 0 }));
        self.add(turn, session)
    }

    /// Seals the pending offer afresh; `None` if there is none.
    pub(super) fn seal_offer(&self, turn: &mut Turn<'_, '_>) -> Option<SealedOffer> {
        let offer = &self.pending.as_ref()?.offer;
        let now = turn.env.wall;
        // Within what a responder accepts: not older than an envelope can be (`proto/session.md`,
        // "Offer"). Sending any other would be work for nothing. Nor dated by a clock that was ahead:
        // its session would come after all others until its date.
        let acceptable = now.minus(MAX_TTL)..=now.plus(BELIEVED_AHEAD);
        if !acceptable.contains(&offer.created()) {
            return Some(SealedOffer::OutOfDate);
        }
        Some(SealedOffer::Sealed(offer.seal(turn.env)))
    }

    /// Counts a sending of the offer; returns how many there were before.
    pub(super) fn offer_sent(&mut self) -> Option<u32> {
        let pending = self.pending.as_mut()?;
        let before = pending.attempts;
        pending.attempts = before.saturating_add(1);
        Some(before)
    }

    /// Counts a sending of the answer; returns how many there were before, since the contact was
    /// last heard.
    pub(super) const fn answer_sent(&mut self) -> u32 {
        let before = self.answers_sent;
        self.answers_sent = before.saturating_add(1);
        before
    }

    /// The contact sent a message in a confirmed session, so a pending offer is answered or not
    /// needed: takes it out.
    pub(super) fn on_peer_active(&mut self) -> Option<Box<PendingOffer>> {
        self.answers_sent = 0;
        self.pending.take()
    }

    /// Withdraws the pending offer.
    pub(super) fn withdraw_offer(&mut self) {
        self.pending = None;
    }

    /// Begins the session a contact offered. Returns its id, and the sessions evicted for it.
    pub(super) fn accept(
        &mut self,
        turn: &mut Turn<'_, '_>,
        offer: &ReceivedOffer,
    ) -> (SessionId, Vec<SessionId>) {
        let session = offer.accept(turn.env, turn.settings.window);
        let id = session.id();
        (id, self.add(turn, session))
    }

    /// Takes back a stored session.
    pub(super) fn restore(&mut self, turn: &mut Turn<'_, '_>, session: Box<Session>) {
        self.sessions.set_clock(turn.env.wall);
        turn.topics.add(&session, self.contact);
        self.sessions.restore(session);
    }

    fn add(&mut self, turn: &mut Turn<'_, '_>, session: Session) -> Vec<SessionId> {
        self.sessions.set_clock(turn.env.wall);
        turn.topics.add(&session, self.contact);
        let session = Box::new(session);
        turn.put(Record::Session(SessionRecord {
            contact: self.contact,
            session: session.clone(),
        }));
        // Without its session, nobody could read the answer to the pending offer: it is never
        // evicted.
        let pending = self.pending.as_ref().map(|pending| SessionId::from(pending.offer.id()));
        let gone = self.sessions.add(session, pending);
        gone.iter().for_each(|session| erase(turn, session));
        gone.iter().map(|session| session.id()).collect()
    }

    /// Takes one step of a session's sending chain and stores the session's next state; the message
    /// may leave once that is durable. `None` if the session is gone, or its chain has filled all
    /// the positions that the contact waits at.
    pub(super) fn encrypt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: SessionId,
        payload: &Payload,
    ) -> Option<SealedBody> {
        let step = self.sessions.get(id)?.encrypt(turn.env, payload).ok()?;
        if cfg!(debug_assertions) {
            step.ledger.into_iter().for_each(|pair| turn.audit_nonce(pair));
        }
        // The old state is gone before the body is out of here: no second message can get its key.
        self.sessions.replace(step.session);
        self.store(turn, id);
        Some(step.sealed)
    }

    /// Decrypts on a copy of a session; only success replaces it. Storing it is up to the caller,
    /// who does so together with what the message changes.
    pub(super) fn decrypt(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: SessionId,
        (topic, body): (Topic, &[u8]),
    ) -> Option<Payload> {
        // Before what arrived is answered: a clock that was set right counts at once.
        self.sessions.set_clock(turn.env.wall);
        let session = self.sessions.get(id)?;
        let (later, payload) = session.decrypt(turn.env, &self.own, topic, body)?;
        turn.topics.update(session, &later);
        self.sessions.replace(later);
        Some(payload)
    }

    /// Stores a session with the next commit.
    pub(super) fn store(&self, turn: &mut Turn<'_, '_>, id: SessionId) {
        if let Some(session) = self.sessions.get(id) {
            let session = Box::new(session.clone());
            turn.put(Record::Session(SessionRecord { contact: self.contact, session }));
        }
    }

    /// Erases a session's keys and stops watching its topics.
    pub(super) fn end(&mut self, turn: &mut Turn<'_, '_>, id: SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            erase(turn, &session);
        }
    }

    /// Ages every session; returns those that ended.
    pub(super) fn age(&mut self, turn: &mut Turn<'_, '_>) -> Vec<SessionId> {
        let mut ended = Vec::new();
        for (id, aged) in self.sessions.age(turn.env.wall) {
            match aged {
                Aged::Forgot(before) => {
                    if let Some(session) = self.sessions.get(id) {
                        turn.topics.update(&before, session);
                    }
                    self.store(turn, id);
                }
                Aged::Over => {
                    self.end(turn, id);
                    ended.push(id);
                }
            }
        }
        ended
    }

    /// Forgets the oldest skipped keys, at most `most` and all of one session; returns how many.
    pub(super) fn forget_oldest_skipped(&mut self, turn: &mut Turn<'_, '_>, most: usize) -> usize {
        let Some((_, session)) = self.sessions.oldest_skipped() else { return 0 };
        let count = most.min(session.skipped());
        let later = session.without_oldest(count);
        turn.topics.update(session, &later);
        let id = later.id();
        self.sessions.replace(later);
        self.store(turn, id);
        count
    }
}

fn erase(turn: &mut Turn<'_, '_>, session: &Session) {
    turn.topics.remove(session);
    turn.erase(RecordKey::Session(session.id()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::env::{Env, Millis, Seconds, UnixSeconds};
    use crate::engine::envelope::Floor;
    use crate::engine::session::Content;
    use crate::engine::settings::{NodeRole, NodeSettings};
    use crate::engine::testing::rng::SeededRng;
    use crate::engine::turn::Workspace;

    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    /// One side of a handshake, with what a turn needs.
    struct Side {
        handshake: Handshake,
        workspace: Workspace,
        rng: SeededRng,
        now: UnixSeconds,
    }

    impl Side {
        fn turn<R>(&mut self, step: impl FnOnce(&mut Handshake, &mut Turn<'_, '_>) -> R) -> R {
            let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(0));
            let mut env = Env::new(Millis(0), self.now, &mut self.rng);
            let mut turn = Turn::new(&mut env, &settings, &mut self.workspace);
            let result = step(&mut self.handshake, &mut turn);
            turn.settle();
            while self.workspace.poll_output().is_some() {}
            result
        }

        fn say(&mut self, id: SessionId, content: Content) -> SealedBody {
            let payload = Payload { content, ..Payload::nothing() };
            self.turn(|handshake, turn| handshake.encrypt(turn, id, &payload)).expect("a body")
        }

        fn hear(&mut self, id: SessionId, sealed: &SealedBody) -> Option<Payload> {
            let body = (sealed.topic, sealed.body.as_slice());
            self.turn(|handshake, turn| handshake.decrypt(turn, id, body))
        }
    }

    fn pair() -> [Side; 2] {
        let identity = |seed| Arc::new(Identity::generate(&mut SeededRng::new(seed).turn()));
        let [one, other] = [identity(1), identity(2)];
        let side = |own: &Arc<Identity>, key, seed| Side {
            handshake: Handshake::new(ContactId(3), Arc::clone(own), key, None),
            workspace: Workspace::default(),
            rng: SeededRng::new(seed),
            now: NOW,
        };
        [side(&one, other.public(), 4), side(&other, one.public(), 5)]
    }

    #[test]
    fn a_handshake_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", pair()[0].handshake), "Handshake");
    }

    #[test]
    fn an_offer_an_answer_and_a_confirmation_establish_a_session_on_both_sides() {
        let [mut one, mut other] = pair();
        assert_eq!(one.handshake.status(), SessionStatus::None);
        assert!(one.turn(Handshake::offer).is_empty());
        assert_eq!(one.handshake.status(), SessionStatus::OfferQueued);
        let sealed = match one.turn(|handshake, turn| handshake.seal_offer(turn)) {
            Some(SealedOffer::Sealed(sealed)) => sealed,
            Some(SealedOffer::OutOfDate) | None => panic!("a fresh offer"),
        };
        assert_eq!((one.handshake.offer_sent(), one.handshake.offer_sent()), (Some(0), Some(1)));
        assert_eq!(one.handshake.status(), SessionStatus::OfferSent);
        let offer = ReceivedOffer::open(other.handshake.own(), &sealed.body).expect("for it");
        let (id, gone) = other.turn(|handshake, turn| handshake.accept(turn, &offer));
        assert!(gone.is_empty());
        assert_eq!(other.handshake.status(), SessionStatus::AwaitingConfirmation);
        assert_eq!(other.handshake.sessions().unanswered(), [id]);
        let answer = other.say(id, Content::Answer);
        assert_eq!(other.workspace.topics.candidates(answer.topic), [], "ours to send at");
        assert_eq!(one.workspace.topics.candidates(answer.topic), [(ContactId(3), id)]);
        assert!(one.hear(id, &answer).is_some());
        assert_eq!(one.handshake.status(), SessionStatus::Established);
        assert!(one.handshake.on_peer_active().is_some(), "the offer is answered");
        let confirmation = one.say(id, Content::Nothing);
        assert!(other.hear(id, &confirmation).is_some());
        assert_eq!(other.handshake.status(), SessionStatus::Established);
        assert!(other.hear(id, &confirmation).is_none(), "a key opens one message");
    }

    #[test]
    fn an_offer_that_nobody_would_take_is_out_of_date() {
        let [mut one, _] = pair();
        one.turn(Handshake::offer);
        let day = Seconds(86_400);
        for now in [NOW.plus(MAX_TTL).plus(day), NOW.minus(BELIEVED_AHEAD).minus(Seconds(1))] {
            one.now = now;
            let sealed = one.turn(|handshake, turn| handshake.seal_offer(turn));
            assert!(matches!(sealed, Some(SealedOffer::OutOfDate)), "{now:?}");
        }
        one.now = NOW.minus(BELIEVED_AHEAD);
        let sealed = one.turn(|handshake, turn| handshake.seal_offer(turn));
        assert!(matches!(sealed, Some(SealedOffer::Sealed(_))));
    }

    #[test]
    fn topics_of_ended_sessions_are_not_watched_and_the_pending_offer_is_never_evicted() {
        let [mut one, _] = pair();
        one.turn(Handshake::offer);
        let pending = one.handshake.sessions().ids();
        for _ in 0..12 {
            // Offers of earlier sessions of ours: the pending one is always the last.
            one.turn(Handshake::offer);
        }
        let sessions = one.handshake.sessions();
        assert_eq!(sessions.ids().len(), super::super::sessions::MAX_SESSIONS);
        let waits = one.handshake.pending().map(|pending| SessionId::from(pending.offer.id()));
        assert!(waits.is_some_and(|id| sessions.get(id).is_some()));
        for id in sessions.ids().into_iter().chain(pending) {
            one.turn(|handshake, turn| handshake.end(turn, id));
        }
        assert!(one.handshake.sessions().is_empty());
        assert!(format!("{:?}", one.workspace.topics).contains("topics: 0"));
    }

    #[test]
    fn a_full_chain_encrypts_nothing_and_a_session_that_is_gone_neither() {
        let [mut one, _] = pair();
        one.turn(Handshake::offer);
        let id = one.handshake.sessions().ids()[0];
        let encrypt = |side: &mut Side, id| {
            let payload = Payload::nothing();
            side.turn(|handshake, turn| handshake.encrypt(turn, id, &payload)).is_some()
        };
        let mut sent = 0;
        while encrypt(&mut one, id) {
            sent += 1;
        }
        assert_eq!(sent, crate::engine::session::WINDOW);
        assert!(!encrypt(&mut one, SessionId([0; 32])));
    }

    #[test]
    fn a_body_that_does_not_decrypt_leaves_the_session_as_it_was() {
        let [mut one, mut other] = pair();
        one.turn(Handshake::offer);
        let id = one.handshake.sessions().ids()[0];
        let sealed = one.turn(|handshake, turn| handshake.seal_offer(turn));
        let Some(SealedOffer::Sealed(sealed)) = sealed else { panic!("a fresh offer") };
        let offer = ReceivedOffer::open(other.handshake.own(), &sealed.body).expect("for it");
        other.turn(|handshake, turn| handshake.accept(turn, &offer));
        let answer = other.say(id, Content::Answer);
        let before = one.handshake.sessions().get(id).cloned();
        let mut changed = answer.clone();
        changed.body[500] ^= 1;
        assert!(one.hear(id, &changed).is_none());
        assert!(one.handshake.sessions().get(id).cloned() == before);
        assert!(one.hear(id, &answer).is_some());
    }

    /// What travels between two sides.
    enum Packet {
        Offer(SealedBody),
        Body(SessionId, SealedBody),
    }

    /// One packet arrives; what it makes its recipient send is added.
    fn deliver(sides: &mut [Side; 2], packets: &mut Vec<(usize, Packet)>, index: usize) {
        let (to, packet) = packets.remove(index);
        let side = &mut sides[to];
        let reply = match packet {
            Packet::Offer(sealed) => {
                let offer = ReceivedOffer::open(side.handshake.own(), &sealed.body);
                let offer = offer.expect("for it");
                let (id, gone) = side.turn(|handshake, turn| handshake.accept(turn, &offer));
                assert!(gone.is_empty(), "there is room");
                Some(Packet::Body(id, side.say(id, Content::Answer)))
            }
            Packet::Body(id, sealed) => {
                let payload = side.hear(id, &sealed).expect("for it");
                // Only a confirmed session proves that the contact speaks.
                if side.handshake.sessions().get(id).is_some_and(Session::confirmed) {
                    side.handshake.on_peer_active();
                }
                // The first message of chain 2 confirms.
                let answered = payload.content == Content::Answer;
                answered.then(|| Packet::Body(id, side.say(id, Content::Nothing)))
            }
        };
        packets.extend(reply.map(|reply| (1 - to, reply)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn offers_that_cross_in_any_order_end_in_one_session_that_both_prefer(
            steps in proptest::collection::vec(
                (any::<prop::sample::Index>(), 0_u32..3, any::<bool>()),
                1..30,
            ),
            first in 0_usize..2,
        ) {
            let mut sides = pair();
            let mut packets: Vec<(usize, Packet)> = Vec::new();
            let mut offers = [0; 2];
            let mut offer = |sides: &mut [Side; 2], packets: &mut Vec<(usize, Packet)>, by: usize| {
                // As many as one side keeps sessions, so that none is evicted.
                if offers[by] == super::super::sessions::MAX_SESSIONS / 2 {
                    return;
                }
                offers[by] += 1;
                sides[by].turn(Handshake::offer);
                let sealed = sides[by].turn(|handshake, turn| handshake.seal_offer(turn));
                if let Some(SealedOffer::Sealed(sealed)) = sealed {
                    packets.push((1 - by, Packet::Offer(sealed)));
                }
            };
            offer(&mut sides, &mut packets, first);
            for (index, seconds, by_other) in steps {
                if seconds == 0 {
                    offer(&mut sides, &mut packets, usize::from(by_other));
                } else if !packets.is_empty() {
                    let index = index.index(packets.len());
                    deliver(&mut sides, &mut packets, index);
                }
                let clock = &mut sides[usize::from(by_other)].now;
                *clock = clock.plus(Seconds(seconds));
                for side in &sides {
                    if let Some(pending) = side.handshake.pending() {
                        let id = SessionId::from(pending.offer.id());
                        prop_assert!(side.handshake.sessions().get(id).is_some(), "answerable");
                    }
                }
            }
            while !packets.is_empty() {
                deliver(&mut sides, &mut packets, 0);
            }
            let preferred = |side: &Side| side.handshake.sessions().preferred().map(Session::id);
            prop_assert!(preferred(&sides[0]).is_some());
            prop_assert_eq!(preferred(&sides[0]), preferred(&sides[1]));
            for side in &sides {
                prop_assert_eq!(side.handshake.status(), SessionStatus::Established);
                prop_assert!(side.handshake.pending().is_none());
                prop_assert!(side.handshake.sessions().unanswered().is_empty());
            }
            // Both can say something in it.
            let id = preferred(&sides[0]).expect("a session");
            for by in [0, 1] {
                let sealed = sides[by].say(id, Content::Nothing);
                prop_assert!(sides[1 - by].hear(id, &sealed).is_some());
            }
        }
    }
}
