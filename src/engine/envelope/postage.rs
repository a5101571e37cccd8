//! The postage of a message: how long its envelopes live, and how much work each may cost.

use serde::{Deserialize, Serialize};

use super::lifetime::Lifetime;
use crate::engine::price::Step;

/// How long the envelopes of a message live, and the highest price that is paid for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredPostage", into = "StoredPostage")]
pub struct Postage {
    /// How long its envelopes live.
    pub lifetime: Lifetime,
    /// The highest step to pay; at a higher price the message waits. `None`: as the node's settings
    /// say ([`crate::engine::settings::NodeSettings::highest_step`]).
    pub highest: Option<Step>,
}

/// Postage as homes store it. The first four are the lifetimes of version 1; a highest step came
/// with version 2.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum StoredPostage {
    TenMinutes,
    SixHours,
    Day,
    Week,
    SixHoursUpTo(u8),
    DayUpTo(u8),
    WeekUpTo(u8),
}

impl From<Lifetime> for Postage {
    fn from(lifetime: Lifetime) -> Self {
        Self { lifetime, highest: None }
    }
}

impl From<StoredPostage> for Postage {
    fn from(stored: StoredPostage) -> Self {
        let up_to = |lifetime, step| Self { lifetime, highest: Some(Step::new(step)) };
        match stored {
            // No node carries ten minutes any more: the shortest life that covers them.
            StoredPostage::TenMinutes | StoredPostage::SixHours => Lifetime::SixHours.into(),
            StoredPostage::Day => Lifetime::Day.into(),
            StoredPostage::Week => Lifetime::Week.into(),
            StoredPostage::SixHoursUpTo(step) => up_to(Lifetime::SixHours, step),
            StoredPostage::DayUpTo(step) => up_to(Lifetime::Day, step),
            StoredPostage::WeekUpTo(step) => up_to(Lifetime::Week, step),
        }
    }
}

impl From<Postage> for StoredPostage {
    fn from(Postage { lifetime, highest }: Postage) -> Self {
        match (lifetime, highest) {
            (Lifetime::SixHours, None) => Self::SixHours,
            (Lifetime::Day, None) => Self::Day,
            (Lifetime::Week, None) => Self::Week,
            (Lifetime::SixHours, Some(step)) => Self::SixHoursUpTo(step.get()),
            (Lifetime::Day, Some(step)) => Self::DayUpTo(step.get()),
            (Lifetime::Week, Some(step)) => Self::WeekUpTo(step.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Postage> {
        let config = bincode::config::standard();
        let (read, used) = bincode::serde::decode_from_slice(bytes, config).ok()?;
        (used == bytes.len()).then_some(read)
    }

    #[test]
    fn postage_is_stored_as_version_1_stored_lifetimes_and_ten_minutes_become_six_hours() {
        assert_eq!(read(&[0]), Some(Lifetime::SixHours.into()));
        for (byte, lifetime) in (1..).zip(Lifetime::ALL) {
            let postage = Postage::from(lifetime);
            let stored = bincode::serde::encode_to_vec(postage, bincode::config::standard());
            assert_eq!(stored.unwrap(), [byte]);
            assert_eq!(read(&[byte]), Some(postage));
        }
        assert_eq!(read(&[7]), None);
    }

    #[test]
    fn a_highest_step_is_stored_with_its_lifetime_and_never_above_eight() {
        for (byte, lifetime) in (4..).zip(Lifetime::ALL) {
            for step in 0..=Step::MAX.get() {
                let postage = Postage { lifetime, highest: Some(Step::new(step)) };
                let stored = bincode::serde::encode_to_vec(postage, bincode::config::standard());
                assert_eq!(stored.unwrap(), [byte, step]);
                assert_eq!(read(&[byte, step]), Some(postage));
            }
            let highest = read(&[byte, 200]).unwrap().highest;
            assert_eq!(highest, Some(Step::MAX));
        }
    }
}
