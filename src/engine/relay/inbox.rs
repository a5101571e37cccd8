//! The envelopes that the gate let through, until the user agent takes them.
//!
//! The carrier puts each in and goes on; it never waits. When there is no room it leaves envelopes
//! out and says so: what is in the pool is found there.

use std::collections::VecDeque;

use super::Source;
use crate::engine::envelope::CheckedEnvelope;

/// Envelopes that wait at most. A guess: four minutes of a line of 16 blocks a second.
pub(in crate::engine) const MOST_WAITING: usize = 4_096;

/// Bytes that wait at most: as many envelopes of messengers.
const MOST_BYTES: usize = 8 << 20;

/// An envelope that the gate let through.
#[derive(Debug)]
pub(in crate::engine) struct Passed {
    /// The envelope.
    pub(in crate::engine) envelope: CheckedEnvelope,
    /// The way it came.
    pub(in crate::engine) source: Source,
}

/// Envelopes that wait for the user agent, oldest first.
#[derive(Debug, Default)]
pub(in crate::engine) struct Inbox {
    waiting: VecDeque<Passed>,
    bytes: usize,
    overflow: Overflow,
}

/// Whether an envelope was left out for want of room since that was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Overflow {
    /// None was.
    #[default]
    None,
    /// One was, or more.
    LeftOut,
}

impl Inbox {
    /// Puts an envelope in, or leaves it out if there is no room.
    pub(super) fn push(&mut self, envelope: CheckedEnvelope, source: Source) {
        let bytes = self.bytes.saturating_add(envelope.bytes().len());
        if self.waiting.len() >= MOST_WAITING || bytes > MOST_BYTES {
            self.overflow = Overflow::LeftOut;
            return;
        }
        self.bytes = bytes;
        self.waiting.push_back(Passed { envelope, source });
    }

    /// Takes out the oldest, at most so many.
    pub(in crate::engine) fn take(&mut self, most: usize) -> Vec<Passed> {
        let taken: Vec<Passed> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        let bytes: usize = taken.iter().map(|passed| passed.envelope.bytes().len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }

    /// Whether any envelope was left out since this was asked last.
    pub(in crate::engine) fn take_overflow(&mut self) -> Overflow {
        core::mem::take(&mut self.overflow)
    }

    /// How many wait.
    pub(in crate::engine) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::envelope::{Draft, Floor, Lifetime, Topic, check};
    use crate::engine::testing::rng::NOW;

    fn checked(bytes: usize, number: u64) -> CheckedEnvelope {
        let mut data = vec![7; bytes];
        data.extend(number.to_le_bytes());
        let draft = Draft::new(NOW, Lifetime::Day, Topic([7; 4]), data).unwrap();
        check(draft.mine(&Floor::new(0), 0).unwrap().1, NOW, &Floor::new(0)).unwrap()
    }

    #[test]
    fn it_is_bounded_by_count_and_by_bytes_and_says_when_something_was_left_out() {
        for (bytes, most) in [(0, MOST_WAITING), (60_000, MOST_BYTES / 60_000)] {
            let mut inbox = Inbox::default();
            let envelopes: Vec<_> = (0..8).map(|number| checked(bytes, number)).collect();
            for number in 0..most + 8 {
                inbox.push(envelopes[number % 8].clone(), Source::Gossip);
            }
            assert!((most - 1..=most).contains(&inbox.len()), "{} of {most}", inbox.len());
            assert_eq!(inbox.take_overflow(), Overflow::LeftOut);
            assert_eq!(inbox.take_overflow(), Overflow::None);
            assert_eq!(inbox.take(3)[2].envelope.id(), envelopes[2].id(), "the oldest first");
            assert!(!inbox.take(usize::MAX).is_empty());
            assert_eq!((inbox.len(), inbox.bytes), (0, 0));
        }
    }
}
