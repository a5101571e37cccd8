//! Catching up with neighbours, and letting them catch up with us.

use super::Node;
use super::input::{PeerTag, SyncAsk, SyncTicket};
use super::output::Output;
use crate::engine::env::Env;
use crate::engine::envelope::EnvelopeId;

impl Node {
    pub(super) fn on_sync_request(
        &mut self,
        _env: &mut Env<'_>,
        _from: PeerTag,
        ticket: SyncTicket,
        _bytes: &[u8],
    ) {
        self.outputs.push_back(Output::SyncResponse {
            ticket,
            bytes: Vec::new(),
            stored: Vec::new(),
        });
    }

    pub(super) fn on_sync_response(
        &mut self,
        _env: &mut Env<'_>,
        _ask: SyncAsk,
        _bytes: Option<Vec<u8>>,
    ) {
    }

    pub(super) fn on_lost(&mut self, _ids: &[EnvelopeId]) {}
}
