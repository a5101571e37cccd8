//! Catching up with neighbours, and serving those that catch up with us: when, with whom, how much.
//!
//! `proto/sync.md` specifies the bytes. A fetched envelope is checked, held and opened like one
//! that the flood brings. It is not passed on: neighbours that lack it catch up too, and a node
//! that publishes old envelopes would be seen to have come back. Nothing here depends on
//! identities, contacts or sessions.

use crate::engine::id::{Neighbour, NeighbourId, SyncRequestId, SyncResponseId};
use crate::engine::price::SaidSteps;
use crate::engine::relay::Relay;
use crate::engine::relay::pool::Pool;
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

    /// The difference between our clock and those of neighbours.
    pub(in crate::engine) fn skew(&self) -> Option<ClockSkew> {
        self.client.skew()
    }

    /// Neighbours have come or gone: those that catch up with us go on.
    pub(in crate::engine) fn keep_serving(
        &mut self,
        turn: &Turn<'_, '_>,
        neighbours: &[Neighbour],
    ) {
        if turn.settings.sync != SyncMode::Off {
            self.server.keep(neighbours);
        }
    }

    /// Neighbours have come or gone; `before` are those there were.
    pub(in crate::engine) fn on_neighbours(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        before: &[NeighbourId],
        neighbours: &[Neighbour],
    ) {
        self.client.on_neighbours(turn, pool, before, neighbours);
    }

    /// A while after joining: envelopes that had not settled at the first comparison have by now.
    pub(in crate::engine) fn on_join_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[Neighbour],
    ) {
        self.client.on_join_due(turn, pool, neighbours);
    }

    /// A neighbour passes the flood on again: what it did not pass on has settled after a while.
    pub(in crate::engine) fn on_resumed(turn: &mut Turn<'_, '_>) {
        SyncClient::on_resumed(turn);
    }

    /// The regular time to catch up with the neighbours.
    pub(in crate::engine) fn on_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        neighbours: &[Neighbour],
    ) {
        if turn.settings.sync != SyncMode::Off {
            self.server.forget_idle(turn.env.mono);
        }
        self.client.on_due(turn, pool, neighbours);
    }

    /// The regular time to ask neighbours for their steps.
    pub(in crate::engine) fn on_steps_due(
        &mut self,
        turn: &mut Turn<'_, '_>,
        neighbours: &[Neighbour],
    ) {
        self.client.on_steps_due(turn, neighbours);
    }

    /// The time to catch up with the neighbour that is new, or that has more for us.
    pub(in crate::engine) fn on_next_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        self.client.on_next_due(turn, pool);
    }

    /// The time to look after sessions that are slow.
    pub(in crate::engine) fn on_wait_due(&mut self, turn: &mut Turn<'_, '_>, pool: &Pool) {
        self.client.on_wait_due(turn, pool);
    }

    /// A neighbour's request to catch up with us; every response says these steps.
    pub(in crate::engine) fn on_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        ours: (&Pool, SaidSteps),
        from: (NeighbourId, SyncResponseId),
        bytes: &[u8],
    ) {
        self.server.on_request(turn, ours, from, bytes);
    }

    /// The response to a request of ours; the envelopes in it go through the gate.
    /// Returns who responded and the steps it said, unless these are no bytes of a response.
    pub(in crate::engine) fn on_response(
        &mut self,
        turn: &mut Turn<'_, '_>,
        relay: &mut Relay,
        response: (SyncRequestId, Option<Vec<u8>>),
    ) -> Option<(NeighbourId, SaidSteps)> {
        self.client.on_response(turn, relay, response)
    }
}
