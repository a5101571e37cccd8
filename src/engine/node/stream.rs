//! Which numbers of a contact were received: in order, without a set that grows.

use super::talk::ACK_WINDOW;
use crate::engine::record::ReceiveSequence;

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It was the next; those that followed it without a gap are passed too.
    InOrder,
    /// Others before it are missing.
    OutOfOrder,
    /// It was taken before.
    Duplicate,
    /// It is further ahead than an honest sender goes. Nothing changed.
    OutOfWindow,
}

impl ReceiveSequence {
    /// Notes that `number` was received.
    pub(super) fn receive(&mut self, number: u64) -> Received {
        let Some(ahead) = number.checked_sub(self.next) else { return Received::Duplicate };
        if ahead == 0 {
            self.advance();
            return Received::InOrder;
        }
        if ahead > ACK_WINDOW {
            return Received::OutOfWindow;
        }
        let bit = 1_u64 << (ahead - 1);
        if self.sack & bit != 0 {
            return Received::Duplicate;
        }
        self.sack |= bit;
        Received::OutOfOrder
    }

    /// Gives up on what is missing below `base`; answers how many those are.
    pub(super) fn skip_to(&mut self, base: u64) -> u64 {
        let mut missing = 0_u64;
        while self.next < base {
            if self.sack == 0 {
                missing = missing.saturating_add(base - self.next);
                self.next = base;
                break;
            }
            missing = missing.saturating_add(1);
            self.advance();
        }
        missing
    }

    fn advance(&mut self) {
        loop {
            self.next = self.next.saturating_add(1);
            let following = self.sack & 1 != 0;
            self.sack >>= 1;
            if !following {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sequence_agrees_with_a_plain_set_of_numbers(
            steps in proptest::collection::vec((0_u64..150, proptest::bool::weighted(0.05)), 1..300),
        ) {
            let mut sequence = ReceiveSequence::default();
            let mut have = BTreeSet::new();
            for (number, skip) in steps {
                if skip {
                    let missing = (0..number).filter(|n| !have.contains(n)).count() as u64;
                    prop_assert_eq!(sequence.skip_to(number), missing);
                    have.extend(0..number);
                } else {
                    let next = (0..).find(|n| !have.contains(n)).unwrap();
                    let expected = if have.contains(&number) {
                        Received::Duplicate
                    } else if number == next {
                        Received::InOrder
                    } else if number > next + ACK_WINDOW {
                        Received::OutOfWindow
                    } else {
                        Received::OutOfOrder
                    };
                    prop_assert_eq!(sequence.receive(number), expected);
                    if expected != Received::OutOfWindow {
                        have.insert(number);
                    }
                }
                let next = (0..).find(|n| !have.contains(n)).unwrap();
                prop_assert_eq!(sequence.next, next);
                for k in 0..64 {
                    prop_assert_eq!(sequence.sack >> k & 1 == 1, have.contains(&(next + 1 + k)));
                }
            }
        }
    }

    #[test]
    fn a_hostile_base_takes_no_time() {
        let mut sequence = ReceiveSequence { epoch: 1, next: 0, sack: 0b101, read_up_to: 0 };
        assert_eq!(sequence.skip_to(u64::MAX), u64::MAX - 2);
        assert_eq!(sequence.next, u64::MAX);
    }
}
