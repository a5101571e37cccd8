//! The carrier of a node whose halves run on two threads: behind a lock that is held for
//! microseconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::carrier::{Carriage, Carrier, Handover, Market};
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{CheckedEnvelope, EnvelopeId, Topic};

/// A carrier that the network's thread drives and the user agent asks.
#[derive(Clone)]
pub(in crate::shell) struct SharedCarrier(Arc<Mutex<Carrier>>);

impl SharedCarrier {
    pub(in crate::shell) fn new(carrier: Carrier) -> Self {
        Self(Arc::new(Mutex::new(carrier)))
    }

    /// The carrier, to be let go soon: the other thread waits.
    pub(in crate::shell) fn lock(&self) -> MutexGuard<'_, Carrier> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody has it at this moment.
    #[cfg(test)]
    pub(in crate::shell) fn is_free(&self) -> bool {
        self.0.try_lock().is_ok()
    }
}

impl Carriage for SharedCarrier {
    fn hand_over(&mut self, most: usize) -> Handover {
        self.lock().hand_over(most)
    }

    fn market(&mut self, env: &Env<'_>) -> Market {
        self.lock().market(env)
    }

    fn is_price_known(&self, now: Millis) -> bool {
        self.lock().is_price_known(now)
    }

    fn admit_own(&mut self, env: &mut Env<'_>, envelope: CheckedEnvelope) {
        self.lock().admit_own(env, envelope);
    }

    fn by_topic(&self, topic: Topic) -> Vec<CheckedEnvelope> {
        self.lock().by_topic(topic)
    }

    fn held(&self) -> Vec<EnvelopeId> {
        self.lock().held()
    }

    fn envelope(&self, id: &EnvelopeId) -> Option<CheckedEnvelope> {
        self.lock().envelope(id)
    }
}
