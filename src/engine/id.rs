//! Names by which the engine and its drivers call the things they share: 64 random bits each.
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
    /// A person one of our identities knows.
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
