//! Catching up with neighbours, and letting them catch up with us: when, with whom, how much.
//!
//! `proto/sync.md` says what crosses the wire. What is fetched is checked, held and opened as what
//! the flood brings; it is not passed on, since whoever lacks it catches up too, and a node that
//! publishes what is old would stand out. Nothing here depends on identities, contacts or sessions.

use crate::engine::id::{NeighbourId, SyncRequestId, SyncResponseId};
use crate::engine::relay::pool::Pool;
use crate::engine::relay::{Recipient, Relay};
use crate::engine::settings::SyncMode;
use crate::engine::turn::Turn;

use super::ClockSkew;
use super::client::SyncClient;
use super::server::SyncServer;

/// Both sides of catching up.
#[derive(Debug, Default)]
pub(in crate::engine) struct CatchUp {
    server: SyncServer,
    client: SyncClient,
}

impl CatchUp {
    /// Envelopes fetched since the start.
    pub(in crate::engine) const fn fetched(&self) -> u64 {
        self.client.fetched()
    }

    /// How our clock compares with those of neighbours.
    pub(in crate::engine) fn skew(&self) -> Option<ClockSkew> {
        self.client.skew()
    }

    /// Neighbours have come or gone. `before` are those there were.
    pub(in crate::engine) fn on_neighbours(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        before: &[NeighbourId],
        neighbours: &[NeighbourId],
    ) {
        if turn.settings.sync != SyncMode::Off {
            self.server.keep(neighbours);
        }
        self.client.on_neighbours(turn, pool, before, neighbours);
    }

    /// What was not settled when we joined is by now.
    pub(in crate::engine) fn on_join_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        self.client.on_join_due(turn, pool, neighbours);
    }

    /// It is time for one neighbour, whichever.
    pub(in crate::engine) fn on_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[NeighbourId],
    ) {
        if turn.settings.sync != SyncMode::Off {
            self.server.forget_idle(turn.env.mono);
        }
        self.client.on_due(turn, pool, neighbours);
    }

    /// It is time for the neighbour that is new, or that has more for us.
    pub(in crate::engine) fn on_next_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        self.client.on_next_due(turn, pool);
    }

    /// A neighbour wants to catch up with us.
    pub(in crate::engine) fn on_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        from: (NeighbourId, SyncResponseId),
        bytes: &[u8],
    ) {
        self.server.on_request(turn, pool, from, bytes);
    }

    /// What came of a request of ours; what it brought goes through the gate to `recipient`.
    pub(in crate::engine) fn on_response(
        &mut self,
        turn: &mut Turn<'_, '_>,
        gate: (&mut Relay, &mut impl Recipient),
        response: (SyncRequestId, Option<Vec<u8>>),
        neighbours: &[NeighbourId],
    ) {
        self.client.on_response(turn, gate, response, neighbours);
    }
}
