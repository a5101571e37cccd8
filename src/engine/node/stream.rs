//! Which numbers of a contact were received: in order, without a set that grows.

use super::record::PeerStream;
use super::talk::SPAN;

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was the next; those that followed it without a gap are passed too.
    Next,
    /// Others before it are missing.
    Beyond,
    /// It was taken before.
    Known,
    /// It is further ahead than an honest sender goes. Nothing changed.
    TooFar,
}

impl PeerStream {
    /// Notes that `number` was received.
    pub(super) fn take(&mut self, number: u64) -> Taken {
        let Some(ahead) = number.checked_sub(self.next) else { return Taken::Known };
        if ahead == 0 {
            self.advance();
            return Taken::Next;
        }
        if ahead > SPAN {
            return Taken::TooFar;
        }
        let bit = 1_u64 << (ahead - 1);
        if self.beyond & bit != 0 {
            return Taken::Known;
        }
        self.beyond |= bit;
        Taken::Beyond
    }

    /// Gives up on what is missing below `base`; answers how many those are.
    pub(super) fn skip_to(&mut self, base: u64) -> u64 {
        let mut missing = 0_u64;
        while self.next < base {
            if self.beyond == 0 {
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
            let following = self.beyond & 1 != 0;
            self.beyond >>= 1;
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
        fn a_stream_agrees_with_a_plain_set_of_numbers(
            steps in proptest::collection::vec((0_u64..150, proptest::bool::weighted(0.05)), 1..300),
        ) {
            let mut stream = PeerStream::default();
            let mut have = BTreeSet::new();
            for (number, skip) in steps {
                if skip {
                    let missing = (0..number).filter(|n| !have.contains(n)).count() as u64;
                    prop_assert_eq!(stream.skip_to(number), missing);
                    have.extend(0..number);
                } else {
                    let next = (0..).find(|n| !have.contains(n)).unwrap();
                    let expected = if have.contains(&number) {
                        Taken::Known
                    } else if number == next {
                        Taken::Next
                    } else if number > next + SPAN {
                        Taken::TooFar
                    } else {
                        Taken::Beyond
                    };
                    prop_assert_eq!(stream.take(number), expected);
                    if expected != Taken::TooFar {
                        have.insert(number);
                    }
                }
                let next = (0..).find(|n| !have.contains(n)).unwrap();
                prop_assert_eq!(stream.next, next);
                for k in 0..64 {
                    prop_assert_eq!(stream.beyond >> k & 1 == 1, have.contains(&(next + 1 + k)));
                }
            }
        }
    }

    #[test]
    fn a_hostile_base_takes_no_time() {
        let mut stream = PeerStream { stream: 1, next: 0, beyond: 0b101, read: 0 };
        assert_eq!(stream.skip_to(u64::MAX), u64::MAX - 2);
        assert_eq!(stream.next, u64::MAX);
    }
}
