//! The archive of a node in the simulator: envelopes on its disk that it can hand out again.

use std::collections::BTreeMap;

use super::audit::Violation;
use crate::engine::envelope::EnvelopeId;
use crate::engine::sync::append_envelope;

/// Envelopes by their ids.
#[derive(Debug, Default)]
pub(super) struct SimArchive(BTreeMap<EnvelopeId, Vec<u8>>);

impl SimArchive {
    /// Puts an envelope into the archive.
    pub(super) fn keep(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Result<(), Violation> {
        // The pool refuses a duplicate, so the engine never archives one twice.
        if self.0.insert(id, bytes).is_some() {
            return Err(Violation("an envelope was archived twice"));
        }
        Ok(())
    }

    /// Takes envelopes out of the archive.
    pub(super) fn discard(&mut self, ids: &[EnvelopeId]) {
        for id in ids {
            self.0.remove(id);
        }
    }

    /// Appends archived envelopes to a response; returns the ids of those that are not there.
    pub(super) fn append_to(
        &self,
        response: &mut Vec<u8>,
        stored: &[EnvelopeId],
    ) -> Vec<EnvelopeId> {
        let mut missing = Vec::new();
        for id in stored {
            match self.0.get(id) {
                Some(envelope) => append_envelope(response, envelope),
                None => missing.push(*id),
            }
        }
        missing
    }

    /// The ids of all archived envelopes.
    pub(super) fn ids(&self) -> impl Iterator<Item = EnvelopeId> {
        self.0.keys().copied()
    }

    /// All archived envelopes.
    pub(super) fn envelopes(&self) -> Vec<Vec<u8>> {
        self.0.values().cloned().collect()
    }
}
