//! Rollback detection. Our state may be older than messages we already sent: a restored disk image, a
//! snapshot of a virtual machine, a cloned home.
//!
//! Nobody notices that from inside, and keys are safe without it, for each depends on a salt. But a
//! text would get a number that another text had, be taken for its repetition, and be acknowledged
//! without having been shown. The contact's acknowledgements give it away: they name numbers that
//! were never given. It goes unnoticed while we say more than we forgot before we hear of it.
//!
//! Acknowledgements of the time that was forgotten may still be carried, and who catches up gets them.
//! So what was fetched and may be older than this process is believed of the numbers it began with
//! alone, and of none that were given since ([`super::Provenance`]). If it was true all the same, the
//! message is sent once more than it had to be.

use crate::engine::id::MessageId;
use crate::engine::session::Ack;

use super::send_window::SendWindow;

impl SendWindow {
    /// Whether the contact acknowledges what this state never sent: it is older than what it did.
    pub(super) fn is_behind(&self, ack: &Ack) -> bool {
        ack.epoch == self.sequence.epoch && ack.end() > self.sequence.next
    }

    /// Begins another epoch. What this state had said before the process began is taken for
    /// acknowledged as far as it is; the rest gets the first numbers. Answers what was acknowledged.
    pub(super) fn start_epoch_after_rollback(&mut self, ack: &Ack, epoch: u64) -> Vec<MessageId> {
        // Once is enough: from here on every number was given by this process.
        let before = core::mem::take(&mut self.restored_next);
        let (received, rest): (Vec<_>, Vec<_>) = core::mem::take(&mut self.unacked)
            .into_iter()
            .partition(|&(number, _)| number < before && ack.covers(number));
        for (_, id) in &received {
            self.in_flight.remove(id);
        }
        self.renumber(epoch, rest.into_iter().map(|(_, id)| id));
        received.into_iter().map(|(_, id)| id).collect()
    }
}
