//! Settings of a node, fixed at its start.

use core::num::NonZeroU32;

use crate::engine::env::Millis;
use crate::engine::envelope::{Floor, Lifetime};
use crate::engine::price::{Step, line};
use crate::engine::relay::pool::{BodyStorage, PoolBounds};
use crate::engine::session::WINDOW;

/// How a node behaves.
#[derive(Clone, Copy, Debug)]
pub struct NodeSettings {
    /// Messenger or relay.
    pub role: NodeRole,
    /// The least work this network carries.
    pub floor: Floor,
    /// The bounds of its pool.
    pub pool: PoolBounds,
    /// The blocks a second that it passes on at most.
    pub line: NonZeroU32,
    /// Where the bytes of its envelopes are. A relay's choice: a messenger keeps them in its pool,
    /// where it finds again those it could not open at once.
    pub bodies: BodyStorage,
    /// Whether it catches up with neighbours, and lets them catch up with it.
    pub sync: SyncMode,
    /// How long its own envelopes live at least: all but those that carry a message, which live as
    /// long as the writer chose. Junk lives exactly so long.
    pub lifetime: Lifetime,
    /// The highest step it pays for what it sends by itself, and for messages whose writer did not
    /// say; at a higher price it waits.
    pub highest_step: Step,
    /// The mean time between two junk envelopes; none are made while it is `None`.
    pub junk: Option<Millis>,
    /// The mean delay of envelopes that a node sends by itself: acknowledgements, and by
    /// [`NodeSettings::handshake_delay`] those of a handshake. Exponential, so that the time of sending tells little of the time of arrival.
    pub reply_delay: Millis,
    /// The delay before an unacknowledged message is sent again; doubles each time.
    pub retransmit_after: Millis,
    /// Positions of a session's chains: [`WINDOW`], on which both sides must agree. Simulations of
    /// bad networks use fewer, at most as many.
    pub window: u32,
}

impl NodeSettings {
    /// The defaults of a node with this role, in a network with this floor.
    #[must_use]
    pub const fn new(role: NodeRole, floor: Floor) -> Self {
        Self {
            role,
            floor,
            pool: DEFAULT_POOL,
            line: line::DEFAULT,
            highest_step: DEFAULT_HIGHEST_STEP,
            bodies: BodyStorage::Inline,
            sync: SyncMode::On(SyncPace::USUAL),
            lifetime: Lifetime::Day,
            junk: None,
            reply_delay: DEFAULT_REPLY_DELAY,
            retransmit_after: DEFAULT_RETRANSMIT_AFTER,
            window: WINDOW,
        }
    }
}

impl NodeSettings {
    /// The mean delay of what completes a handshake: the answer, the confirmation, and what waited for
    /// the session. Two fifths of that of a reply, since the three come one after the other: with five
    /// seconds each, what an unblocked contact had said took longer than 25 seconds in two of five trials.
    #[must_use]
    pub const fn handshake_delay(&self) -> Millis {
        Millis(self.reply_delay.0 / 5 * 2)
    }

    /// Where the bytes of its envelopes are, by its role.
    #[must_use]
    pub const fn body_storage(&self) -> BodyStorage {
        match self.role {
            NodeRole::Messenger => BodyStorage::Inline,
            NodeRole::Relay => self.bodies,
        }
    }
}

/// Whether a node catches up with neighbours, and lets them catch up with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Both, at this pace.
    On(SyncPace),
    /// Neither: for tests of the flood alone.
    Off,
}

/// How often a node catches up. The same for all nodes, or one could be recognised by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPace {
    /// The time from one round of all neighbours to the next, give or take a quarter.
    pub every: Millis,
    /// The time after joining when it catches up once more, with envelopes that had not settled
    /// before.
    pub joining: Millis,
    /// The mean delay before it catches up with a neighbour that came later: exponential, so that
    /// not all ask a newcomer at once.
    pub newcomer: Millis,
    /// The time from asking all neighbours for their steps to the next, give or take a quarter.
    pub steps: Millis,
}

impl SyncPace {
    /// Five minutes, as store nodes of Waku do; a hundred seconds, as envelopes take 65 to settle and a
    /// server's set is up to 30 old; ten seconds, a guess; a minute: what is sent in a flood's first
    /// minute is not dear enough, and is sent again after that.
    pub const USUAL: Self = Self {
        every: Millis(300_000),
        joining: Millis(100_000),
        newcomer: Millis(10_000),
        steps: Millis(60_000),
    };
}

/// The role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It has identities, encrypts and decrypts.
    Messenger,
    /// It holds no identity and decrypts nothing.
    Relay,
}

/// 64 MiB. A guess that fits a small machine.
pub const DEFAULT_POOL: PoolBounds = PoolBounds::of_bytes(64 << 20);

/// The places that a relay has unless told otherwise: at three quarters of its day share, a day of
/// 1,000 people who write 60 messages a day, with acknowledgements, probes and resends (1.3 x):
/// 165,000 of 220,000 places. What a node of at least so many says it asks, counts as what is.
pub const RELAY_POOL: PoolBounds = PoolBounds { places: 293_000 };

/// 8 times the floor: at the default floor some 11 seconds of one core with AVX2 for a message that
/// lives a day. A guess: as long as people wait at all.
pub const DEFAULT_HIGHEST_STEP: Step = Step::new(3);

/// Five seconds: long enough that an answer is not a reflex, short enough for talk. A guess.
pub const DEFAULT_REPLY_DELAY: Millis = Millis(5_000);

/// A minute: longer than eight mean reply delays, the longest an acknowledgement is held back.
pub const DEFAULT_RETRANSMIT_AFTER: Millis = Millis(60_000);
