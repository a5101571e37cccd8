//! The names of numberings: which one a number was given in, and how numberings follow each other.
//!
//! A state may be older than what it did: a disk that was put back, the copy of a directory.
//! Nobody notices that from inside, and keys are safe without it, for each depends on a salt. But a
//! text would get a number that another text had, be taken for its repetition, and be acknowledged
//! without having been shown. So after each start what is said first begins another numbering, which
//! counts on from the one before. What has a number keeps it, and the name it was given under.
//!
//! A name is 64 bits: 12 of the line of numberings it belongs to, 24 of its own, both drawn, and the
//! 28 of the number it starts with. All numberings of a line count on from each other.

use super::record::OwnStream;
use crate::engine::env::Env;

const START_BITS: u32 = 28;
const OWN_BITS: u32 = 24;

/// The number that a numbering starts with; lower ones were given in others of its line.
pub(super) const fn start(stream: u64) -> u64 {
    stream & ((1 << START_BITS) - 1)
}

/// Whether two numberings belong to one line.
pub(super) const fn same_line(one: u64, other: u64) -> bool {
    (one ^ other) >> (START_BITS + OWN_BITS) == 0
}

impl OwnStream {
    /// A numbering of a line of its own, from random bits. Nothing was said in it.
    #[must_use]
    pub const fn first(random: u64) -> Self {
        Self { stream: random >> START_BITS << START_BITS, next: 0, before: Vec::new() }
    }

    /// Begins another numbering of the same line. Of those before, the ones stay whose numbers are
    /// still `held`. After 2^28 messages it goes on in the one there is.
    pub(super) fn go_on<'a>(&mut self, env: &mut Env<'_>, held: impl Iterator<Item = &'a u64>) {
        if self.next >> START_BITS != 0 {
            return;
        }
        let mut before: Vec<u64> = held.map(|&number| self.name_of(number)).collect();
        before.dedup();
        let line = self.stream >> (START_BITS + OWN_BITS) << OWN_BITS;
        let own = env.draw_u64() >> (u64::BITS - OWN_BITS);
        let stream = (line | own) << START_BITS | self.next;
        *self = Self { stream, next: self.next, before };
    }

    /// The numbering that a number was given in: the last one that starts at it or below. What was
    /// named before names told the start belongs to the first.
    pub(super) fn name_of(&self, number: u64) -> u64 {
        let mut names = self.before.iter().rev();
        if start(self.stream) <= number || self.before.is_empty() {
            return self.stream;
        }
        let first = self.before.first().copied().unwrap_or(self.stream);
        names.find(|&&name| start(name) <= number).copied().unwrap_or(first)
    }

    /// Whether a name is one of ours.
    pub(super) fn is_ours(&self, stream: u64) -> bool {
        self.stream == stream || self.before.contains(&stream)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::crypto::seeded::Seeded;

    proptest! {
        #[test]
        fn a_number_keeps_the_name_it_was_given_under(
            first in any::<u64>(),
            told in any::<bool>(),
            lives in proptest::collection::vec(1_u64..6, 1..12),
            seed in any::<u64>(),
        ) {
            let mut seeded = Seeded::new(seed);
            let mut env = seeded.turn();
            // A name that another version drew tells no start.
            let mut ours = OwnStream::first(first);
            if !told {
                ours.stream = first;
            }
            let mut given = Vec::new();
            for said in lives {
                for _ in 0..said {
                    given.push(ours.stream);
                    ours.next += 1;
                }
                let held: Vec<u64> = (0..ours.next).collect();
                let before = ours.stream;
                ours.go_on(&mut env, held.iter());
                prop_assert!(same_line(before, ours.stream));
                prop_assert_eq!(start(ours.stream), ours.next);
                for (number, name) in (0..).zip(&given) {
                    prop_assert_eq!(ours.name_of(number), *name);
                    prop_assert!(ours.is_ours(*name));
                }
                prop_assert_eq!(ours.name_of(ours.next), ours.stream);
            }
            ours.go_on(&mut env, [].iter());
            prop_assert!(ours.before.is_empty());
        }
    }

    #[test]
    fn numberings_that_count_too_far_are_not_followed_by_another() {
        let mut seeded = Seeded::new(1);
        let mut env = seeded.turn();
        let mut ours = OwnStream::first(u64::MAX);
        ours.next = 1 << START_BITS;
        let before = ours.clone();
        ours.go_on(&mut env, [].iter());
        assert!(ours == before);
    }
}
