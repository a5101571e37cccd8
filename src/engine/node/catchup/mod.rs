//! Catching up with neighbours, and letting them catch up with us: when, with whom, how much.
//!
//! `proto/sync.md` says what crosses the wire. What is fetched is checked, held and opened as what
//! the flood brings; it is not passed on, since whoever lacks it catches up too, and a node that
//! publishes what is old would stand out. Nothing here depends on identities, contacts or sessions.

mod holding;
mod opening;

use super::ClockSkew;
use crate::engine::env::Millis;
use holding::SyncServer;
use opening::SyncClient;

/// An envelope is advertised once it was here for a minute: by then the flood has been everywhere,
/// and that somebody holds it says nothing of where it came from.
pub(super) const SETTLE: Millis = Millis::from_secs(60);

/// How often one neighbour may begin with another.
const BEGIN_EVERY: Millis = Millis::from_secs(20);

/// Everything about catching up, on either side.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    server: SyncServer,
    client: SyncClient,
}

impl CatchUp {
    /// Envelopes fetched since the start.
    pub(super) const fn fetched(&self) -> u64 {
        self.client.fetched()
    }

    /// How our clock compares with those of neighbours.
    pub(super) fn skew(&self) -> Option<ClockSkew> {
        self.client.skew()
    }
}
