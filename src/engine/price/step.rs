//! Steps: how often the floor's work is doubled.

/// How often the floor's work is doubled: 0 to 8, once to 256 times.
///
/// Doublings and nothing between, because an envelope shows what was paid for it: a price of one's
/// own would be a mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(u8);

impl Step {
    /// 256 times the floor: what is held leaves for no less.
    pub const MAX: Self = Self(8);

    /// So many doublings; more than [`Self::MAX`] are as many.
    #[must_use]
    pub const fn new(doublings: u8) -> Self {
        if doublings > Self::MAX.0 {
            return Self::MAX;
        }
        Self(doublings)
    }

    /// The step of so many times the floor's work; `None` if that is no step: 1, 2, 4 .. 256.
    #[must_use]
    pub fn of_times(times: u32) -> Option<Self> {
        (0..=Self::MAX.0).map(Self).find(|step| step.times() == times)
    }

    /// How many doublings.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// How many times the floor's work it is: 1 to 256.
    #[must_use]
    pub const fn times(self) -> u32 {
        1 << self.0
    }

    /// One more, at most [`Self::MAX`].
    #[must_use]
    pub const fn above(self) -> Self {
        self.above_by(1)
    }

    /// More by so many, at most [`Self::MAX`].
    #[must_use]
    pub const fn above_by(self, doublings: u8) -> Self {
        Self::new(self.0.saturating_add(doublings))
    }

    /// Fewer by so many, at least none.
    #[must_use]
    pub const fn below(self, doublings: u8) -> Self {
        Self(self.0.saturating_sub(doublings))
    }
}

/// The steps that a node says are asked: for each share of the room, and for the line; and how far
/// away that was measured. In three bytes: six hours, day, week and line, 4 bits each, the first in
/// the highest; then the hops (`proto/sync.md`).
///
/// 9 to 15 can be said, and count as 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaidSteps {
    /// What the share of each life asks, shortest life first.
    pub shares: [Step; 3],
    /// What the line asks.
    pub line: Step,
    /// Over how many nodes it was heard from one that has room for what the network holds: 0 from
    /// that one itself. [`Self::NOWHERE`] or more: from none, and the steps are those of a smaller
    /// room.
    pub hops: u8,
}

impl SaidSteps {
    /// How many bytes they take.
    pub const BYTES: usize = 3;

    /// So many hops are too many: nodes that say to one another what each heard from the other count
    /// up to it, and then know that nobody has measured anything.
    pub const NOWHERE: u8 = 8;

    /// Whether they come from a node that has room for what the network holds.
    #[must_use]
    pub const fn are_measured(self) -> bool {
        self.hops < Self::NOWHERE
    }

    /// The lower of both, each for itself.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        let [six_hours, day, week] = self.shares;
        let [also_six_hours, also_day, also_week] = other.shares;
        Self {
            shares: [six_hours.min(also_six_hours), day.min(also_day), week.min(also_week)],
            line: self.line.min(other.line),
            hops: self.hops.min(other.hops),
        }
    }

    /// Reads them. All bytes are some steps.
    #[must_use]
    pub const fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let [front, back, hops] = bytes;
        Self {
            shares: [Step::new(front >> 4), Step::new(front & 0xf), Step::new(back >> 4)],
            line: Step::new(back & 0xf),
            hops,
        }
    }

    /// Writes them.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::BYTES] {
        let Self { shares: [six_hours, day, week], line, hops } = self;
        [six_hours.get() << 4 | day.get(), week.get() << 4 | line.get(), hops]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    #[test]
    fn all_bytes_are_steps_and_what_is_written_reads_back() {
        for bytes in 0..=u16::MAX {
            let [front, back] = bytes.to_be_bytes();
            let said = SaidSteps::decode([front, back, back]);
            assert_eq!(SaidSteps::decode(said.encode()), said, "{bytes:04x}");
        }
        let said = SaidSteps::decode([0x1f, 0x08, 0xff]);
        assert_eq!(said.shares, [Step::new(1), Step::MAX, Step::new(0)]);
        assert_eq!(said.line, Step::MAX);
        assert!(said.hops == 255 && !said.are_measured());
        assert_eq!(said.encode(), [0x18, 0x08, 0xff]);
    }

    #[test]
    fn a_step_never_leaves_its_range() {
        assert_eq!(Step::MAX.above(), Step::MAX);
        assert_eq!(Step::default().below(1), Step::default());
        assert_eq!(Step::new(u8::MAX).times(), 256);
    }

    #[test]
    fn changed_at_random_three_bytes_are_still_steps() {
        each_case(&[vec![0x12, 0x38, 3], vec![0xff; 3]], |bytes| {
            let said = <[u8; SaidSteps::BYTES]>::try_from(bytes).map(SaidSteps::decode);
            assert!(
                said.is_err() || said.is_ok_and(|said| SaidSteps::decode(said.encode()) == said)
            );
            Reading::of(said)
        });
    }
}
