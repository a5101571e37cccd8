//! The upload budget of a server: catching up never takes most of its line (`proto/sync.md`,
//! "Limits").

use crate::engine::env::Millis;

/// Bytes sent to one neighbour in a minute: a full pool of the default size in four. A guess; a
/// third of what an uplink of 6 Mbit/s carries.
pub const PEER_BYTES: u64 = 16 << 20;

/// Bytes sent to all neighbours together in a minute: two at a time at their full pace. A guess.
pub const TOTAL_BYTES: u64 = 32 << 20;

/// The time in which a spent budget is whole again.
const REFILL: Millis = Millis::from_secs(60);

/// A budget of bytes a minute, saved up for a minute at most.
#[derive(Clone, Copy, Debug)]
pub struct UploadBudget {
    most: u64,
    left: u64,
    at: Millis,
}

impl UploadBudget {
    /// A whole budget of `most` bytes a minute.
    #[must_use]
    pub const fn new(most: u64, now: Millis) -> Self {
        Self { most, left: most, at: now }
    }

    /// The bytes that may be spent at this moment.
    pub fn left(&mut self, now: Millis) -> u64 {
        let since = now.0.saturating_sub(self.at.0).min(REFILL.0);
        let earned = self.most.saturating_mul(since) / REFILL.0;
        // Less than a byte is not earned yet: taking the time without it would let frequent calls
        // earn nothing at all.
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(self.most);
            self.at = now;
        }
        self.left
    }

    /// Spends bytes. The budget never goes below 0: a large response costs no more than what is
    /// left.
    pub fn spend(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_is_whole_again_after_a_minute_and_never_larger() {
        let mut budget = UploadBudget::new(6_000, Millis(0));
        budget.spend(6_000);
        assert_eq!(budget.left(Millis(0)), 0);
        assert_eq!(budget.left(Millis(10_000)), 1_000);
        budget.spend(9_999);
        assert_eq!(budget.left(Millis(500_000)), 6_000);
    }
}
