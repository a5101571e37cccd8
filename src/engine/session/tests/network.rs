//! Whatever a network does: each message opens exactly once, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::engine::id::ContactId;

/// One thing that happens.
#[derive(Clone, Debug)]
enum NetworkStep {
    /// One end sends another message.
    Send(Speaker),
    /// One of the messages so far arrives, perhaps again.
    Deliver(prop::sample::Index),
    /// One arrives with a bit turned.
    Damage(prop::sample::Index, prop::sample::Index, u8),
    /// One arrives under another one's topic.
    Misplace(prop::sample::Index, prop::sample::Index),
    /// An end restarts from what it stored.
    Restart(Speaker),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Initiator,
    Responder,
}

fn end() -> impl Strategy<Value = Speaker> {
    prop_oneof![Just(Speaker::Initiator), Just(Speaker::Responder)]
}

fn event() -> impl Strategy<Value = NetworkStep> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => end().prop_map(NetworkStep::Send),
        5 => index().prop_map(NetworkStep::Deliver),
        1 => (index(), index(), 0..8_u8).prop_map(|(a, b, bit)| NetworkStep::Damage(a, b, bit)),
        1 => (index(), index()).prop_map(|(a, b)| NetworkStep::Misplace(a, b)),
        1 => end().prop_map(NetworkStep::Restart),
    ]
}

/// A pair, what it sent, and what an index was told of it.
struct FaultyNetwork {
    pair: Pair,
    speaks: Speaker,
    sent: Vec<(Speaker, SealedBody)>,
    opened: BTreeSet<usize>,
    /// The initiator's and the responder's.
    indexes: [TopicIndex; 2],
    ledger: BTreeSet<[u8; 16]>,
}

impl FaultyNetwork {
    fn new(seed: u64, window: u32) -> Self {
        let pair = Pair::narrow(seed, window);
        let mut indexes = [TopicIndex::new(), TopicIndex::new()];
        indexes[0].add(&pair.ours.session, ContactId(0));
        indexes[1].add(&pair.theirs.session, ContactId(1));
        let (sent, opened, ledger) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self { pair, speaks: Speaker::Initiator, sent, opened, indexes, ledger }
    }

    fn let_speak(&mut self, end: Speaker) {
        if self.speaks != end {
            self.pair.swap();
            self.speaks = end;
        }
    }

    fn send(&mut self, end: Speaker) {
        self.let_speak(end);
        let number = self.sent.len() as u64;
        let session = &self.pair.ours.session;
        let Ok(step) = session.encrypt(&mut self.pair.seeded.turn(), &text(number)) else { return };
        for line in step.ledger {
            assert!(self.ledger.insert(line), "a key and a nonce met twice");
        }
        self.pair.ours.session = step.session;
        self.sent.push((end, step.sealed));
    }

    /// Hands a message to the end that did not send it, and tells the index.
    fn hear(&mut self, from: Speaker, sealed: &SealedBody) -> Option<Payload> {
        self.let_speak(from);
        let before = self.pair.theirs.session.clone();
        let heard = self.pair.hear(sealed);
        let index = &mut self.indexes[usize::from(from == Speaker::Initiator)];
        index.update(&before, &self.pair.theirs.session);
        assert!(
            heard.is_some() || before == self.pair.theirs.session,
            "a refusal changed the state"
        );
        heard
    }

    fn restart(&mut self, end: Speaker) {
        self.let_speak(end);
        let read = restored(&stored(&self.pair.ours.session));
        assert_eq!(read, self.pair.ours.session);
        self.pair.ours.session = read;
    }

    fn happen(&mut self, event: NetworkStep) {
        let sent = self.sent.len();
        match event {
            NetworkStep::Send(end) => self.send(end),
            NetworkStep::Restart(end) => self.restart(end),
            NetworkStep::Deliver(which) if sent > 0 => self.deliver(which.index(sent)),
            NetworkStep::Damage(which, at, bit) if sent > 0 => {
                let (from, mut damaged) = self.sent[which.index(sent)].clone();
                damaged.body[at.index(BODY_SIZE)] ^= 1_u8 << bit;
                assert_eq!(self.hear(from, &damaged), None);
            }
            NetworkStep::Misplace(one, two) if sent > 0 => {
                let (from, one) = self.sent[one.index(sent)].clone();
                let (_, two) = self.sent[two.index(sent)].clone();
                if one.topic != two.topic {
                    let misplaced = SealedBody { topic: one.topic, body: two.body };
                    assert_eq!(self.hear(from, &misplaced), None);
                }
            }
            NetworkStep::Deliver(_) | NetworkStep::Damage(..) | NetworkStep::Misplace(..) => {}
        }
    }

    fn deliver(&mut self, which: usize) {
        let (from, sealed) = self.sent[which].clone();
        let heard = self.hear(from, &sealed);
        let expected = self.opened.insert(which).then(|| text(which as u64));
        assert_eq!(heard, expected, "message {which}");
    }

    /// Everything that is still on its way arrives, the latest first; and the indexes, which were
    /// only told of changes, know what an index from nothing knows.
    fn finish(mut self) {
        for which in (0..self.sent.len()).rev() {
            if !self.opened.contains(&which) {
                self.deliver(which);
            }
        }
        for (end, index) in [Speaker::Initiator, Speaker::Responder].into_iter().zip([0, 1]) {
            self.let_speak(end);
            let session = &self.pair.ours.session;
            assert_eq!(session.skipped(), 0, "every key of a late message was used");
            let topics: BTreeSet<Topic> = session.topics().collect();
            let index = &mut self.indexes[index];
            assert!(topics.iter().all(|&topic| {
                index.candidates(topic).iter().map(|(_, id)| *id).eq([session.id()])
            }));
            assert_eq!(format!("{index:?}"), format!("TopicIndex {{ topics: {} }}", topics.len()));
            index.remove(session);
            assert_eq!(format!("{index:?}"), "TopicIndex { topics: 0 }");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_message_opens_exactly_once_and_the_topic_index_agrees(
        seed in any::<u64>(),
        window in prop_oneof![3 => Just(8), 3 => Just(64), 1 => Just(WINDOW)],
        events in proptest::collection::vec(event(), 1..80),
    ) {
        let mut talk = FaultyNetwork::new(seed, window);
        for event in events {
            talk.happen(event);
        }
        talk.finish();
    }

    #[test]
    fn opening_anything_never_panics_and_changes_nothing(
        seed in any::<u64>(),
        body in proptest::collection::vec(any::<u8>(), 0..100),
        length in prop_oneof![Just(BODY_SIZE), 0..BODY_SIZE + 2],
    ) {
        let mut pair = Pair::narrow(seed, 8);
        let mut body = body;
        body.resize(length, 3);
        for topic in pair.theirs.session.topics().collect::<Vec<_>>() {
            let sealed = SealedBody { topic, body: body.clone() };
            prop_assert!(pair.try_hear(&sealed).is_none());
        }
        prop_assert!(ReceivedOffer::open(&pair.theirs.own, &body).is_none());
    }
}
