//! Rollback detection. Our state may be older than messages we already sent: a restored disk image,
//! a snapshot of a virtual machine, a cloned home.
//!
//! A process cannot see that from inside. Keys are safe all the same, for each depends on a random
//! salt. Numbers are not: a text gets a number that another text had, the contact takes it for a
//! repetition, and acknowledges it without showing it. The contact's acknowledgements reveal the
//! rollback, because they name numbers that this state never gave. It stays unnoticed if we send
//! more messages than were forgotten before the contact is heard.
//!
//! Acknowledgements of the forgotten time may still be carried, and catching up fetches them. So a
//! fetched envelope that may be older than this process is believed about the numbers that the
//! process began with, and about none that were given since ([`super::Provenance`]). A true one
//! that is not believed costs one more sending of the message.

use crate::engine::id::MessageId;
use crate::engine::session::Ack;

use super::send_window::SendWindow;

impl SendWindow {
    /// Whether the contact acknowledges numbers that this state never gave: the state is older than
    /// what it sent.
    pub(super) fn is_behind(&self, ack: &Ack) -> bool {
        ack.epoch == self.sequence.epoch && ack.end() > self.sequence.next
    }

    /// Begins another epoch. Messages that were numbered before the process began count as received
    /// where the acknowledgement covers them; all others get the first numbers. Returns the
    /// received ones.
    pub(super) fn start_epoch_after_rollback(&mut self, ack: &Ack, epoch: u64) -> Vec<MessageId> {
        // Zero from now on: this process gives every number of the new epoch, so no stale
        // acknowledgement is believed about any of them.
        let before = core::mem::take(&mut self.restored_next);
        let (received, rest): (Vec<_>, Vec<_>) = core::mem::take(&mut self.unacked)
            .into_iter()
            // A number given since then may be acknowledged for the forgotten message that had it
            // first.
            .partition(|&(number, _)| number < before && ack.covers(number));
        for (_, id) in &received {
            self.in_flight.remove(id);
        }
        self.renumber(epoch, rest.into_iter().map(|(_, id)| id));
        received.into_iter().map(|(_, id)| id).collect()
    }
}
