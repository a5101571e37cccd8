//! The addresses that were reached, until they are stored: a neighbour that says many addresses, all
//! of which answer, must not command a write to the disk for each.

use crate::engine::secret::opaque_debug;
use crate::shell::store::MAX_PEERS;

/// The addresses that were reached since some were stored last.
#[derive(Default)]
pub(super) struct ReachedAddresses {
    /// The last one was reached last.
    waiting: Vec<String>,
    /// Seconds until the next may be stored.
    rests: u32,
}

opaque_debug!(struct ReachedAddresses { waiting, rests });

impl ReachedAddresses {
    /// An address was reached just now.
    pub(super) fn add(&mut self, address: String) {
        self.waiting.retain(|known| *known != address);
        self.waiting.push(address);
        // No more are stored, either.
        let over = self.waiting.len().saturating_sub(MAX_PEERS);
        self.waiting.drain(..over);
    }

    /// The addresses to store now, in one commit; none while that was done a short while ago. Call it
    /// every second.
    pub(super) fn take_due(&mut self) -> Vec<String> {
        self.rests = self.rests.saturating_sub(1);
        if self.rests > 0 || self.waiting.is_empty() {
            return Vec::new();
        }
        self.rests = STORE_EVERY;
        self.take_all()
    }

    /// All of them: the node ends.
    pub(super) fn take_all(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }
}

/// Seconds from one commit of addresses to the next. A guess: whoever is killed forgets no more than
/// this, and finds others.
const STORE_EVERY: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stored_once_a_minute_the_newest_last_and_no_more_than_are_kept() {
        let mut reached = ReachedAddresses::default();
        assert!(reached.take_due().is_empty());
        for address in ["a", "b", "a"] {
            reached.add(address.to_owned());
        }
        assert_eq!(reached.take_due(), ["b", "a"], "the first are not kept waiting");
        let mut commits = 0;
        for second in 0..600 {
            for number in 0..3 {
                reached.add(format!("{second} {number}"));
            }
            let due = reached.take_due();
            assert!(due.len() <= MAX_PEERS);
            commits += usize::from(!due.is_empty());
        }
        assert_eq!(commits, 10);
        assert_eq!(format!("{reached:?}"), "ReachedAddresses");
        reached.add("last".to_owned());
        assert_eq!(reached.take_all().last().map(String::as_str), Some("last"));
    }
}
