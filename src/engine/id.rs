//! Ids that the engine and its drivers share: 64 random bits each.
//!
//! They are local to one store. None of them is ever sent, derived from a key, or logged.

use serde::{Deserialize, Serialize};

use super::env::Env;

macro_rules! local_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// Draws a fresh one; two of them meet with probability 2^-64.
            pub fn draw(env: &mut Env<'_>) -> Self {
                Self(env.draw_u64())
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

local_id!(
    /// One of our identities.
    IdentityId
);
local_id!(
    /// One contact of one of our identities.
    ContactId
);
local_id!(
    /// One message of a conversation, ours or theirs.
    MessageId
);
local_id!(
    /// A stranger's offer that waits for a decision.
    RequestId
);
local_id!(
    /// An envelope of ours between its making and its end.
    OutgoingId
);

/// A neighbour, as the driver numbers it. The engine never learns an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeighbourId(pub u64);

/// A range of addresses, as the driver numbers them: what one person can easily have several
/// neighbours in. The engine never learns an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange(pub u64);

/// The ranges of addresses that a neighbour is in, as the driver numbers them, the widest first: a
/// network, a part of it, one address. By these places are shared (`engine::shares`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressPath(pub [u64; 3]);

/// A neighbour, and the ranges of addresses it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// The neighbour.
    pub id: NeighbourId,
    /// Where it is, as one voice among others.
    pub range: AddressRange,
    /// Where it is, as one of those that want a place.
    pub path: AddressPath,
}

impl Neighbour {
    /// A neighbour alone in its range, as in simulations.
    #[must_use]
    pub const fn alone(id: NeighbourId) -> Self {
        Self { id, range: AddressRange(id.0), path: AddressPath([id.0; 3]) }
    }
}

/// The id of a neighbour's request to catch up, named again in the response. The driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncResponseId(pub u64);

/// The id of our request to catch up, named again in the response. The engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncRequestId(pub u64);

/// The id of a command, named again in its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

impl MessageId {
    /// All of its 16 hexadecimal digits, for people and programs on this machine.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.0)
    }

    /// The first 8 digits, for people to read. Among 1,000 messages two begin alike once in 8,600
    /// times.
    #[must_use]
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 32)
    }
}

/// The ids of messages that begin with the same digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdPrefix {
    /// The lowest of them.
    pub first: MessageId,
    /// The highest of them.
    pub last: MessageId,
}

impl IdPrefix {
    /// Reads the first digits of an id, 4 to 16 of them. `None` for anything else.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let open = 16_usize.checked_sub(digits.len()).filter(|open| *open <= 12)?;
        // `from_str_radix` would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let first =
            u64::from_str_radix(digits, 16).ok()?.checked_shl(4 * u32::try_from(open).ok()?)?;
        let below = u64::MAX.checked_shr(64 - 4 * u32::try_from(open).ok()?).unwrap_or(0);
        Some(Self { first: MessageId(first), last: MessageId(first | below) })
    }
}

impl core::fmt::Debug for IdPrefix {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { first: _, last: _ } = self;
        f.write_str("IdPrefix")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_text};

    proptest! {
        #[test]
        fn an_id_is_among_those_that_begin_as_it_does(id: u64, digits in 4_usize..=16) {
            let text = MessageId(id).hex();
            let begun: String = text.chars().take(digits).collect();
            let start = IdPrefix::parse(&begun).unwrap();
            prop_assert!((start.first.0..=start.last.0).contains(&id));
            prop_assert!(start.first.hex().starts_with(&begun));
            prop_assert!(start.last.hex().starts_with(&begun));
            prop_assert_eq!((start.last.0 - start.first.0).count_ones() as usize, 4 * (16 - digits));
            prop_assert!(text.starts_with(&MessageId(id).short()));
        }

        #[test]
        fn text_that_is_not_4_to_16_digits_is_no_id(text: String) {
            let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_start = digits && (4..=16).contains(&text.len());
            prop_assert_eq!(IdPrefix::parse(&text).is_some(), is_start);
        }
    }

    #[test]
    fn a_sign_is_no_digit() {
        assert_eq!(IdPrefix::parse("+123"), None);
        assert_eq!(IdPrefix::parse("123"), None);
        assert_eq!(IdPrefix::parse("00112233445566778"), None);
    }

    #[test]
    fn changed_at_random_digits_begin_ids_or_none() {
        each_text(&["0123", "fedcba9876543210", "ABCDEF"], |text| {
            let start = IdPrefix::parse(text);
            assert!(start.is_none_or(|start| start.first <= start.last));
            Reading::found(start)
        });
    }
}
