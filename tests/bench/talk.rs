//! What a conversation costs: offers, messages, windows, and everybody else's envelopes.
//!
//! For comparison, Whisper (geth 1.9.7, one core of a similar machine) opened 450,000 symmetric and
//! 6,500 asymmetric envelopes a second, and tried 1,000 filters without topics in 1/6 s an envelope.

use divan::{Bencher, black_box};

use undertone::engine::crypto::keys::{EphemeralSecret, Identity, PublicKey};
use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::Topic;
use undertone::engine::session::{
    Content, Offer, Payload, ReceivedOffer, SealedBody, Session, TopicIndex, WINDOW, junk,
};

use super::NOW;
use super::open::Counter;

/// Two people whose exchange is complete, and one message of each kind between them.
pub(super) struct Talk {
    pub(super) ann: Identity,
    pub(super) ben: Identity,
    /// Ann's, who sends in a chain that Ben reads.
    pub(super) at_ann: Session,
    /// Ben's.
    pub(super) at_ben: Session,
    /// Ben's, before he opens the first message of Ann's chain: opening it begins two chains.
    pub(super) before: Session,
    /// The first of Ann's chain.
    pub(super) first: SealedBody,
    /// The next of it.
    pub(super) next: SealedBody,
    /// As it was sent.
    pub(super) offer: SealedBody,
    /// As Ben opened it.
    pub(super) received: ReceivedOffer,
}

impl Talk {
    pub(super) fn new() -> Self {
        let mut counter = Counter(1);
        let mut env = Env::new(Millis(0), NOW, &mut counter);
        let (ann, ben) = (Identity::generate(&mut env), Identity::generate(&mut env));
        let (offer, at_ann) = Offer::new(&mut env, &ann, &ben.public(), WINDOW);
        let offer = offer.seal(&mut env);
        let received = ReceivedOffer::open(&ben, &offer.body).expect("an offer to Ben");
        let before = received.accept(&mut env, WINDOW);
        let (before, answer) = encrypt(&mut env, &before);
        let (at_ann, _) = decrypt(&mut env, &at_ann, &ann, &answer);
        let (at_ann, first) = encrypt(&mut env, &at_ann);
        let (at_ann, next) = encrypt(&mut env, &at_ann);
        let (at_ben, _) = decrypt(&mut env, &before, &ben, &first);
        Self { ann, ben, at_ann, at_ben, before, first, next, offer, received }
    }
}

fn encrypt(env: &mut Env<'_>, session: &Session) -> (Session, SealedBody) {
    let step = session.encrypt(env, &said()).expect("room in the window");
    (step.session, step.sealed)
}

fn decrypt(
    env: &mut Env<'_>,
    session: &Session,
    own: &Identity,
    sealed: &SealedBody,
) -> (Session, Payload) {
    session.decrypt(env, own, sealed.topic, &sealed.body).expect("a message to them")
}

/// A text of usual length.
pub(super) fn said() -> Payload {
    let text = "the ferry leaves at noon; bring the papers, and something to read".to_owned();
    Payload { number: Some(7), content: Content::Text(text), ..Payload::nothing() }
}

/// The topics of so many sessions, each at the beginning of its two windows.
pub(super) fn watching(sessions: usize) -> TopicIndex {
    let mut counter = Counter(5);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    let talk = Talk::new();
    let mut index = TopicIndex::new();
    for _ in 0..sessions {
        let (offer, _) = Offer::new(&mut env, &talk.ann, &talk.ben.public(), WINDOW);
        let offer = offer.seal(&mut env);
        let received = ReceivedOffer::open(&talk.ben, &offer.body).expect("an offer to Ben");
        index.add(&received.accept(&mut env, WINDOW), undertone::engine::id::ContactId(1));
    }
    index
}

/// Topics of other people, and bodies that are none of our business.
pub(super) fn foreign(count: usize) -> Vec<SealedBody> {
    let mut counter = Counter(6);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    (0..count).map(|_| junk(&mut env)).collect()
}

/// What a node with one identity does with an envelope that passed every check: it looks its topic
/// up, and tries it as an offer. Answers whether it was for us.
pub(super) fn is_for_us(index: &TopicIndex, own: &Identity, sealed: &SealedBody) -> bool {
    // Both, always: a topic of four bytes may be one of ours by chance.
    let known = !index.candidates(sealed.topic).is_empty();
    ReceivedOffer::open(own, &sealed.body).is_some() || known
}

/// One multiplication: what the asymmetric part of anything is made of.
pub(super) fn multiplication() -> impl FnMut() {
    let mut counter = Counter(9);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    let (ours, theirs): (EphemeralSecret, PublicKey) =
        (EphemeralSecret::draw(&mut env), EphemeralSecret::draw(&mut env).public());
    move || drop(black_box(ours.agree(black_box(&theirs))))
}

#[divan::bench]
fn a_multiplication(bencher: Bencher<'_, '_>) {
    bencher.bench_local(multiplication());
}

#[divan::bench]
fn making_and_sealing_an_offer(bencher: Bencher<'_, '_>) {
    let Talk { ann, ben, .. } = Talk::new();
    let mut counter = Counter(2);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| Offer::new(&mut env, &ann, &ben.public(), WINDOW).0.seal(&mut env));
}

#[divan::bench]
fn sealing_an_offer_again(bencher: Bencher<'_, '_>) {
    let Talk { ann, ben, .. } = Talk::new();
    let mut counter = Counter(2);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    let (offer, _) = Offer::new(&mut env, &ann, &ben.public(), WINDOW);
    bencher.bench_local(|| offer.seal(&mut env));
}

#[divan::bench]
fn encrypting_a_message(bencher: Bencher<'_, '_>) {
    let Talk { at_ann, .. } = Talk::new();
    let (payload, mut counter) = (said(), Counter(2));
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| at_ann.encrypt(&mut env, black_box(&payload)));
}

#[divan::bench]
fn decrypting_the_next_message_of_a_chain(bencher: Bencher<'_, '_>) {
    let Talk { ben, at_ben, next, .. } = Talk::new();
    let mut counter = Counter(2);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| at_ben.decrypt(&mut env, &ben, next.topic, black_box(&next.body)));
}

/// Two multiplications, and two rows: that of the chain after theirs, and copies of the old ones.
#[divan::bench]
fn decrypting_the_first_message_of_a_chain(bencher: Bencher<'_, '_>) {
    let Talk { ben, before, first, .. } = Talk::new();
    let mut counter = Counter(2);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| before.decrypt(&mut env, &ben, first.topic, black_box(&first.body)));
}

/// Two windows of 1,024 topics, computed when a stored session is read, and nothing else of weight.
#[divan::bench]
fn setting_two_windows_up(bencher: Bencher<'_, '_>) {
    let stored = stored(&Talk::new().at_ben);
    bencher.bench_local(|| restored(black_box(&stored)));
}

/// A session as the store keeps it: without its topics.
pub(super) fn stored(session: &Session) -> Vec<u8> {
    let config = bincode::config::standard();
    bincode::serde::encode_to_vec(session, config).expect("an encoding")
}

/// The session again, its topics computed.
pub(super) fn restored(stored: &[u8]) -> Session {
    let config = bincode::config::standard();
    bincode::serde::decode_from_slice(stored, config).expect("a session").0
}

#[divan::bench]
fn watching_a_session(bencher: Bencher<'_, '_>) {
    let session = Talk::new().at_ben;
    bencher.with_inputs(TopicIndex::new).bench_local_values(|mut index| {
        index.add(&session, undertone::engine::id::ContactId(1));
        index
    });
}

#[divan::bench(args = [10, 100, 1_000])]
fn looking_up_the_topic_of_a_stranger(bencher: Bencher<'_, '_>, sessions: usize) {
    let index = watching(sessions);
    let mut topic = 0_u32;
    bencher.bench_local(|| {
        topic = topic.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        index.candidates(black_box(Topic(topic.to_be_bytes())))
    });
}

#[divan::bench(args = [10, 100, 1_000])]
fn all_of_an_envelope_that_is_not_for_us(bencher: Bencher<'_, '_>, sessions: usize) {
    let (index, own) = (watching(sessions), Talk::new().ben);
    let strangers = foreign(64);
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % strangers.len();
        strangers.get(turn).map(|sealed| is_for_us(&index, &own, black_box(sealed)))
    });
}
