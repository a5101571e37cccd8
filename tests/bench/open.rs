//! What a node does with an envelope that may be for it: look the topic up, open a message or an
//! offer, or find that it cannot.
//!
//! In budgets: a topic nobody waits for costs less than a tenth of a check; a message a few times
//! what its 2 KiB cost to hash; an offer to somebody else one multiplication for each identity.

use divan::{Bencher, black_box};

use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Entropy, Env, Millis};
use undertone::engine::envelope::Topic;
use undertone::engine::session::{
    Offer, Payload, ReceivedOffer, SealedBody, Session, TopicIndex, WINDOW, junk,
};

use super::NOW;

/// Numbers that never repeat: enough for a benchmark, for nothing else.
pub(crate) struct Counter(pub(crate) u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            for (to, from) in chunk.iter_mut().zip(self.0.to_be_bytes()) {
                *to = from;
            }
        }
    }
}

struct Scene {
    recipient: Identity,
    stranger: Identity,
    offer: SealedBody,
    theirs: Session,
    message: SealedBody,
}

impl Scene {
    fn new() -> Self {
        let mut counter = Counter(1);
        let mut env = Env::new(Millis(0), NOW, &mut counter);
        let sender = Identity::generate(&mut env);
        let recipient = Identity::generate(&mut env);
        let stranger = Identity::generate(&mut env);
        let (offer, ours) = Offer::new(&mut env, &sender, &recipient.public(), WINDOW);
        let offer = offer.seal(&mut env);
        let theirs = ReceivedOffer::open(&recipient, &offer.body).expect("an offer to them");
        let step = ours.encrypt(&mut env, &Payload::nothing()).expect("room in the window");
        let theirs = theirs.accept(&mut env, WINDOW);
        Self { recipient, stranger, offer, theirs, message: step.sealed }
    }
}

#[divan::bench]
fn a_topic_nobody_waits_for(bencher: Bencher<'_, '_>) {
    let mut index = TopicIndex::new();
    index.add(&Scene::new().theirs, undertone::engine::id::ContactId(1));
    bencher.bench(|| index.candidates(black_box(Topic([1, 2, 3, 4]))));
}

#[divan::bench]
fn a_message(bencher: Bencher<'_, '_>) {
    let Scene { recipient, theirs, message, .. } = Scene::new();
    let mut counter = Counter(3);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| {
        theirs.decrypt(&mut env, &recipient, message.topic, black_box(&message.body))
    });
}

#[divan::bench]
fn an_offer_to_us(bencher: Bencher<'_, '_>) {
    let Scene { recipient, offer, .. } = Scene::new();
    bencher.bench(|| ReceivedOffer::open(&recipient, black_box(&offer.body)));
}

#[divan::bench]
fn an_offer_to_somebody_else(bencher: Bencher<'_, '_>) {
    let Scene { stranger, offer, .. } = Scene::new();
    bencher.bench(|| ReceivedOffer::open(&stranger, black_box(&offer.body)));
}

#[divan::bench]
fn accepting_an_offer(bencher: Bencher<'_, '_>) {
    let Scene { recipient, offer, .. } = Scene::new();
    let received = ReceivedOffer::open(&recipient, &offer.body).expect("an offer to them");
    let mut counter = Counter(4);
    let mut env = Env::new(Millis(0), NOW, &mut counter);
    bencher.bench_local(|| black_box(&received).accept(&mut env, WINDOW));
}

#[divan::bench]
fn making_junk(bencher: Bencher<'_, '_>) {
    let mut counter = Counter(2);
    bencher.bench_local(|| junk(&mut Env::new(Millis(0), NOW, &mut counter)));
}
