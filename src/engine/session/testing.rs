//! Sealed bodies in envelopes, as others send them, for tests.

use super::{Offer, WINDOW};
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::Env;
use crate::engine::envelope::{Draft, EnvelopeId, Floor, Lifetime};

/// An offer of this identity to the holder of the key, made at the moment of `env`.
pub(crate) fn offer(
    env: &mut Env<'_>,
    from: &Identity,
    to: &PublicKey,
    floor: Floor,
) -> (EnvelopeId, Vec<u8>) {
    let sealed = Offer::new(env, from, to, WINDOW).0.seal(env);
    let draft = Draft::new(env.wall, Lifetime::Day, sealed.topic, sealed.body).unwrap();
    draft.mine(&floor, 0).unwrap()
}
