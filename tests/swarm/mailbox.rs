//! Two people whose envelopes are carried by hand: in any order, late, again, or never.

use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::{Draft, Envelope, Floor, Lifetime};
use undertone::engine::id::{ContactId, MessageId};
use undertone::engine::record::{EnvelopePurpose, Record};
use undertone::engine::session::{Offer, SealedBody, Session, SessionId, WINDOW};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::sim::link::Links;
use undertone::sim::{NodeIndex, PublishedEnvelope, SeededRng};

use crate::harness::{FLOOR, Town, settings};

/// Two messengers, each at a relay that is joined to nothing else.
pub(crate) struct Post {
    pub(crate) town: Town,
    boxes: [NodeIndex; 2],
    taken: [usize; 2],
    chance: SeededRng,
}

/// What somebody published.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) purpose: EnvelopePurpose,
    pub(crate) bytes: Vec<u8>,
}

impl Post {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, settings(NodeRole::Messenger))
    }

    pub(crate) fn with(seed: u64, messenger: NodeSettings) -> Self {
        let mut town = Town::new(seed, Links::calm(), 0, 0);
        let boxes = [(); 2].map(|()| town.world.add(settings(NodeRole::Relay)));
        for relay in boxes {
            town.settle(messenger, relay);
        }
        Self { town, boxes, taken: [0; 2], chance: SeededRng::lane(seed, u64::MAX) }
    }

    /// Two people in a confirmed session, and nothing on its way.
    pub(crate) fn introduced(seed: u64) -> (Self, [ContactId; 2]) {
        let mut post = Self::new(seed);
        let first = post.town.add(0, 1);
        post.exchange(Millis::from_secs(40));
        let second = post.town.accept(1);
        post.exchange(Millis::from_secs(120));
        (post, [first, second])
    }

    pub(crate) fn node(&self, who: usize) -> NodeIndex {
        self.town.people[who].node
    }

    /// How somebody calls the other.
    pub(crate) fn contact(&self, who: usize) -> ContactId {
        let contacts = &self.town.world.seen(self.node(who)).contacts;
        *contacts.keys().next().expect("a contact")
    }

    /// Lets time pass and carries nothing.
    pub(crate) fn pass(&mut self, span: Millis) {
        self.town.world.run_for(span);
    }

    /// Everything somebody published since this was asked last.
    pub(crate) fn take(&mut self, who: usize) -> Vec<Letter> {
        let sent = &self.town.world.machine(self.node(who)).sent()[self.taken[who]..];
        self.taken[who] += sent.len();
        let letter = |sent: &PublishedEnvelope| Letter {
            purpose: sent.purpose,
            bytes: self.town.world.audit().envelope(sent.id).expect("it was published").to_vec(),
        };
        sent.iter().map(letter).collect()
    }

    /// How much somebody published in all.
    pub(crate) fn published(&self, who: usize) -> usize {
        self.town.world.machine(self.node(who)).sent().len()
    }

    /// Hands somebody an envelope, and they look at it.
    pub(crate) fn hand(&mut self, to: usize, bytes: &[u8]) {
        self.town.world.inject(self.boxes[to], self.node(to), bytes.to_vec());
        self.pass(Millis(0));
    }

    /// Carries everything at once both ways, for so long.
    pub(crate) fn exchange(&mut self, span: Millis) {
        self.exchange_but(span, |_| false);
    }

    /// The same, but for what `lost` names.
    pub(crate) fn exchange_but(&mut self, span: Millis, lost: impl Fn(&Letter) -> bool) {
        const STEP: Millis = Millis::from_secs(1);
        for _ in 0..span.0 / STEP.0 {
            self.pass(STEP);
            for from in [0, 1] {
                for letter in self.take(from).into_iter().filter(|letter| !lost(letter)) {
                    self.hand(1 - from, &letter.bytes);
                }
            }
        }
    }

    /// The same body in an envelope of its own: what anybody can make of one.
    pub(crate) fn again(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Envelope { topic, data, .. } = Envelope::decode(bytes).expect("an envelope");
        self.wrap(&SealedBody { topic, body: data.to_vec() })
    }

    /// An envelope around a body, with its work.
    pub(crate) fn wrap(&mut self, sealed: &SealedBody) -> Vec<u8> {
        let SealedBody { topic, body } = sealed.clone();
        let wall = self.town.world.wall();
        let draft = Draft::new(wall, Lifetime::Day, topic, body).expect("a draft");
        let start = self.chance.below(u64::MAX);
        draft.mine(&Floor::new(FLOOR), start).expect("some nonce will do").1
    }

    /// One turn of somebody who is no node, at any time.
    pub(crate) fn turn(&mut self, wall: UnixSeconds) -> Env<'_> {
        Env::new(self.town.world.now(), wall, &mut self.chance)
    }

    /// An offer in somebody's name, made at any time, and the session it offers.
    pub(crate) fn offer(&mut self, from: usize, wall: UnixSeconds) -> (Vec<u8>, Session) {
        let (own, to) = (self.identity(from), self.town.people[1 - from].key);
        let mut env = self.turn(wall);
        let (offer, session) = Offer::new(&mut env, &own, &to, WINDOW);
        let sealed = offer.seal(&mut env);
        (self.wrap(&sealed), session)
    }

    /// The key of somebody's identity.
    pub(crate) fn identity(&self, who: usize) -> Identity {
        let mut records = self.town.world.machine(self.node(who)).records();
        let identity = records.find_map(|record| match record {
            Record::Identity(record) => Some(record.identity.clone()),
            _ => None,
        });
        identity.expect("everybody is somebody")
    }

    /// The sessions on somebody's disk.
    pub(crate) fn sessions(&self, who: usize) -> Vec<Session> {
        let records = self.town.world.machine(self.node(who)).records();
        let sessions = records.filter_map(|record| match record {
            Record::Session(record) => Some((*record.session).clone()),
            _ => None,
        });
        sessions.collect()
    }

    /// The confirmed session somebody sends in.
    pub(crate) fn preferred(&self, who: usize) -> Option<SessionId> {
        let confirmed = self.sessions(who).into_iter().filter(Session::confirmed);
        confirmed.max_by_key(|session| (session.created(), session.id())).map(|s| s.id())
    }
}

impl Letter {
    pub(crate) fn is_offer(&self) -> bool {
        matches!(self.purpose, EnvelopePurpose::Offer(_))
    }

    pub(crate) fn is_message(&self) -> bool {
        matches!(self.purpose, EnvelopePurpose::Message(..))
    }

    pub(crate) fn carries(&self, message: MessageId) -> bool {
        matches!(self.purpose, EnvelopePurpose::Message(_, id) if id == message)
    }

    /// How long it is to live.
    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime::covering(Envelope::decode(&self.bytes).expect("an envelope").ttl)
    }
}
