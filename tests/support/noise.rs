//! Envelopes of noise, as a flooder makes them.

use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::wire::{BODY_SIZE, ONE_DAY};
use undertone::engine::envelope::{Draft, Topic, WorkNonce, work};
use undertone::sim::SeededRng;

/// An envelope of noise that shows exactly `bits` of work.
pub(crate) fn noise(chance: &mut SeededRng, now: UnixSeconds, bits: u8) -> Vec<u8> {
    let mut data = vec![0; BODY_SIZE];
    chance.fill_bytes(&mut data);
    let mut topic = [0; 4];
    chance.fill_bytes(&mut topic);
    let draft = Draft::new(now, ONE_DAY, Topic(topic), data).expect("a draft");
    let digest = draft.digest();
    let shows = |nonce: &WorkNonce| work::measure(&digest, *nonce) == u32::from(bits);
    let nonce = (0..).map(WorkNonce).find(shows).expect("some nonce will do");
    draft.finish(nonce).1
}
