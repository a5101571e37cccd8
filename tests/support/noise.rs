//! Envelopes of noise, as a flooder makes them.

use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::wire::BODY_SIZE;
use undertone::engine::envelope::{Draft, EnvelopeId, Floor, Lifetime, Topic, WorkNonce, work};
use undertone::engine::price::Step;
use undertone::sim::SeededRng;

/// An envelope of noise that lives a day, and pays a floor of exactly `bits`.
pub(crate) fn noise(chance: &mut SeededRng, now: UnixSeconds, bits: u8) -> Vec<u8> {
    noise_of(chance, now, (Lifetime::Day, BODY_SIZE), bits)
}

/// An envelope of this life and so much noise, that pays a floor of `bits` and none that is one
/// higher.
pub(crate) fn noise_of(
    chance: &mut SeededRng,
    now: UnixSeconds,
    (lifetime, size): (Lifetime, usize),
    bits: u8,
) -> Vec<u8> {
    let mut data = vec![0; size];
    chance.fill_bytes(&mut data);
    let mut topic = [0; 4];
    chance.fill_bytes(&mut topic);
    let draft = Draft::new(now, lifetime, Topic(topic), data).expect("a draft");
    let target = |bits| draft.charge().target(Floor::new(bits), Step::default());
    let (least, digest) = (target(bits + 1)..target(bits), draft.digest());
    let shows =
        |nonce: &WorkNonce| least.contains(&EnvelopeId(work::digest(&digest, *nonce)).work());
    let nonce = (0..).map(WorkNonce).find(shows).expect("some nonce will do");
    draft.finish(nonce).1
}
