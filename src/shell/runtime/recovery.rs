//! The envelopes of an archive over a restart: read back, and counted by what became of them.

use crate::engine::env::Env;
use crate::engine::envelope::{EnvelopeId, ValidationError};
use crate::engine::turn::{Effect, Output};
use crate::shell::archive::{ArchiveLabel, ArchiveScan, Claimant, Disposition, Naming, Unfit};
use crate::shell::os::clock::{Clock, OsEntropy, wall};
use crate::shell::shared_carrier::SharedCarrier;

/// The result of reading back the envelopes that an archive kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveRecovery {
    /// Held.
    pub held: u64,
    /// Removed: expired.
    pub expired: u64,
    /// Removed for another reason: there is no room, or no node would carry it.
    pub refused: u64,
    /// Removed: damaged, each by itself.
    pub damaged: u64,
    /// Made later than this computer's clock allows: on disk, and not held before the next start.
    pub early: u64,
    /// How many were saved from the file, if it was damaged.
    pub salvaged: Option<u64>,
    /// What had become of the archive.
    pub history: ArchiveHistory,
    /// What it was for until now, if that was something else: another size, or another network of
    /// which it held nothing.
    pub was: Option<ArchiveLabel>,
}

/// What had become of an archive until it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveHistory {
    /// It is of this network, or new.
    #[default]
    Known,
    /// It did not say of which network it is, and was given to this one.
    Unnamed,
    /// The file was of an earlier version of the protocol, and was begun anew.
    Outdated,
}

/// Has the carrier of a node take over the envelopes of an archive.
pub(super) struct ArchiveReader {
    pub(super) clock: Clock,
    pub(super) carrier: SharedCarrier,
    pub(super) taken: TakenBack,
    /// Those that were held until better ones pushed them out.
    pub(super) left: Vec<EnvelopeId>,
}

impl Claimant for ArchiveReader {
    fn claim(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> Disposition {
        let mut entropy = OsEntropy;
        let mut env = Env::new(self.clock.mono(), wall(), &mut entropy);
        let mut carrier = self.carrier.lock();
        let readmitted = carrier.readmit(&mut env, (id, bytes));
        // Others may have to make room for it.
        while let Some(output) = carrier.poll_output() {
            if let Output::Effect(Effect::Discard(ids)) = output {
                self.left.extend(ids);
            }
        }
        self.taken.count(readmitted)
    }

    fn begin_again(&mut self) {
        // Not all that came before the damage was found need come again.
        self.carrier.lock().release_all();
        self.taken = TakenBack::default();
        self.left.clear();
    }
}

/// Envelopes of an archive, counted by what became of them.
#[derive(Default)]
pub(super) struct TakenBack {
    held: u64,
    expired: u64,
    early: u64,
    without_room: u64,
    below_floor: u64,
    invalid: u64,
}

impl TakenBack {
    fn count(&mut self, reheld: Result<(), ValidationError>) -> Disposition {
        let (counter, disposition) = match reheld {
            Ok(()) => (&mut self.held, Disposition::Held),
            // A row for each envelope: there is no other one of it.
            Err(ValidationError::Duplicate) => return Disposition::Held,
            Err(ValidationError::Expired) => (&mut self.expired, Disposition::Dropped),
            // It was in time when it came: the clock went back, as it does on machines that know
            // the time only once they are online.
            Err(ValidationError::TooFarInFuture) => (&mut self.early, Disposition::Left),
            Err(
                ValidationError::PoolFull | ValidationError::LineBusy | ValidationError::QueueFull,
            ) => (&mut self.without_room, Disposition::Dropped),
            Err(ValidationError::InsufficientPow) => (&mut self.below_floor, Disposition::Dropped),
            Err(
                ValidationError::TooLarge
                | ValidationError::Malformed
                | ValidationError::InvalidTtl
                | ValidationError::UnalignedExpiry,
            ) => (&mut self.invalid, Disposition::Dropped),
        };
        *counter += 1;
        disposition
    }

    /// Takes in those that were held until better ones pushed them out.
    pub(super) const fn push_out(&mut self, count: u64) {
        self.held = self.held.saturating_sub(count);
        self.without_room += count;
    }

    pub(super) const fn unfit(&self) -> Unfit {
        let Self { held, below_floor, without_room, .. } = *self;
        Unfit { below_floor, without_room, held }
    }

    pub(super) fn recovery(&self, found: ArchiveScan, naming: Naming) -> ArchiveRecovery {
        let ArchiveScan { damaged, salvaged, outdated } = found;
        let Self { held, expired, early, without_room, below_floor, invalid } = *self;
        let (history, was) = match naming {
            Naming::New => (ArchiveHistory::Unnamed, None),
            Naming::AsBefore => (ArchiveHistory::Known, None),
            Naming::Was(label) => (ArchiveHistory::Known, Some(label)),
        };
        let history = if outdated { ArchiveHistory::Outdated } else { history };
        let refused = without_room + below_floor + invalid;
        ArchiveRecovery { held, expired, refused, damaged, early, salvaged, history, was }
    }
}
