//! gossipsub's memory in one process: the envelopes it knows, and those that wait for their
//! verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::NodeIndex;
use super::audit::Violation;
use crate::engine::envelope::{Acceptance, EnvelopeId};

/// A node's verdicts on the envelopes of one neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// How many were passed on.
    pub accepted: u64,
    /// How many were dropped and not counted against the neighbour.
    pub ignored: u64,
    /// How many were dropped and counted against the neighbour.
    pub rejected: u64,
}

/// The duplicate cache, the envelopes under validation, and the counts of verdicts.
#[derive(Debug, Default)]
pub(super) struct GossipMemory {
    known: BTreeSet<EnvelopeId>,
    under_validation: BTreeMap<EnvelopeId, Vec<u8>>,
    /// Of the node's whole life, and not only of the process.
    verdicts: BTreeMap<NodeIndex, Verdicts>,
}

impl GossipMemory {
    /// Forgets all that lives in a process's memory.
    pub(super) fn restart(&mut self) {
        self.known.clear();
        self.under_validation.clear();
    }

    /// Takes an id into the duplicate cache; returns whether it is new there.
    pub(super) fn is_new(&mut self, id: EnvelopeId) -> bool {
        self.known.insert(id)
    }

    /// Keeps an envelope until its verdict comes; returns whether it was not waiting for one
    /// already.
    pub(super) fn begin_validation(&mut self, id: EnvelopeId, bytes: &[u8]) -> bool {
        let waits = self.under_validation.contains_key(&id);
        if !waits {
            self.under_validation.insert(id, bytes.to_vec());
        }
        !waits
    }

    /// Counts the verdict on an envelope of `carrier`; returns its bytes if it is to be passed on.
    pub(super) fn finish_validation(
        &mut self,
        carrier: NodeIndex,
        id: EnvelopeId,
        acceptance: Acceptance,
    ) -> Result<Option<Vec<u8>>, Violation> {
        // The real gossipsub takes one verdict for each message it asked about, and no other.
        let Some(bytes) = self.under_validation.remove(&id) else {
            return Err(Violation("a verdict on what was not asked, or was judged before"));
        };
        let verdicts = self.verdicts.entry(carrier).or_default();
        let count = match acceptance {
            Acceptance::Accept => &mut verdicts.accepted,
            Acceptance::Ignore => &mut verdicts.ignored,
            Acceptance::Reject => &mut verdicts.rejected,
        };
        *count += 1;
        Ok((acceptance == Acceptance::Accept).then_some(bytes))
    }

    /// The verdicts on the envelopes of `carrier`.
    pub(super) fn verdicts(&self, carrier: NodeIndex) -> Verdicts {
        self.verdicts.get(&carrier).copied().unwrap_or_default()
    }
}
