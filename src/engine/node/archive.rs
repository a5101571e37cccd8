//! The archive of a relay that keeps its envelopes on disk: what to keep, what to discard, what is back.

use super::Node;
use crate::engine::env::{Env, Millis};
use crate::engine::envelope::{CheckedEnvelope, EnvelopeId, ValidationError, check};
use crate::engine::relay::pool::BodyStorage;
use crate::engine::turn::{Output, Turn};

impl Node {
    /// Takes back an envelope that the archive kept while the process was down. It was received long
    /// ago, so others may be told of it at once. Call before the first turn, once for each; carry out
    /// the outputs.
    ///
    /// # Errors
    /// Why it is not held: the archive should discard it.
    pub fn readmit(&mut self, env: &mut Env<'_>, bytes: Vec<u8>) -> Result<(), ValidationError> {
        let checked = check(bytes, env.wall, &self.settings.floor)?;
        let refusal = self.pool.admit(checked, env.wall, Millis(0)).error();
        self.in_turn(env, |node, turn| node.flush_evictions(turn));
        refusal.map_or(Ok(()), Err)
    }

    /// Has the archive keep what was just admitted, after what left for it.
    pub(super) fn archive(&mut self, turn: &mut Turn<'_, '_>, checked: &CheckedEnvelope) {
        self.flush_evictions(turn);
        match self.settings.body_storage() {
            BodyStorage::Inline => {}
            BodyStorage::External => {
                let (id, bytes) = (checked.id(), checked.bytes().to_vec());
                turn.effect(Output::Archive { id, bytes });
            }
        }
    }

    /// Has the archive discard what has left the pool.
    pub(super) fn flush_evictions(&mut self, turn: &mut Turn<'_, '_>) {
        let left = self.pool.take_evicted();
        if !left.is_empty() {
            turn.effect(Output::Discard(left));
        }
    }

    /// The archive does not have these. They were not refused, so they may be fetched again.
    pub(super) fn on_archive_missing(&mut self, ids: &[EnvelopeId]) {
        self.pool.mark_missing(ids);
    }
}
