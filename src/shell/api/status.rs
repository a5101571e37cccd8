//! The state of a node and its network, in totals: nothing here tells real traffic from cover.

use serde::{Deserialize, Serialize};

use super::wire;
use crate::engine::envelope::Lifetime;
use crate::engine::price::Step;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;
use crate::engine::sync::ClockSkew;

/// The state of the network.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Whether there is a neighbour to send to.
    pub ready: bool,
    /// Neighbours that take part in the flood.
    pub peers: usize,
    /// The name of the network.
    pub network: String,
    /// Addresses this node is reached at.
    pub listening: Vec<String>,
    /// A name of a peer that is not known, and why, if there is one. It is looked up again.
    #[serde(default)]
    pub names_trouble: Option<String>,
    /// Bytes of the places of the pool that are taken.
    pub pool_bytes: usize,
    /// Bytes of all places of the pool.
    pub pool_capacity: usize,
    /// Envelopes the pool holds.
    pub pool_items: usize,
    /// The steps that this node's room and line ask at the moment.
    pub steps: StepsStatus,
    /// The steps that a sender here pays at the moment for each life.
    pub price: PriceStatus,
    /// Who said what that follows from.
    pub price_from: PriceSource,
    /// How much of the room for each life is taken.
    pub fill: FillStatus,
    /// What is passed on.
    pub line: LineStatus,
    /// The least work that is carried: 2^`floor_bits` tries for a message that lives a day.
    pub floor_bits: u8,
    /// What of ours waits for a lower price.
    pub waiting: WaitingStatus,
    /// What of ours may be paid for, and waits its turn.
    #[serde(default)]
    pub in_line: WaitingStatus,
    /// Messages of ours that have not left, and wait until earlier ones are acknowledged.
    #[serde(default, rename = "waits_for_acknowledgement")]
    pub unanswered: usize,
    /// Junk envelopes a minute on average; `None` without cover.
    pub cover_per_minute: Option<f64>,
    /// Whether any is sent at the moment.
    pub cover: CoverStatus,
    /// The search for work that is going on.
    pub mining: Option<MiningStatus>,
    /// Envelopes of ours that have not left.
    pub queued: usize,
    /// Tries at work a second, as last measured; 0 while it is not known, which is written as none.
    #[serde(with = "wire::unless_zero")]
    pub rate: u64,
    /// How work is searched for.
    #[serde(default)]
    pub miner: MinerStatus,
    /// The difference between this machine's clock and those of its neighbours, in whole minutes,
    /// above 0 if ours is ahead; `None` if none of them gave theirs.
    pub clock_minutes: Option<i64>,
    /// How many neighbours gave theirs.
    pub clock_witnesses: usize,
    /// Envelopes fetched by catching up with neighbours, since the start.
    pub caught_up: u64,
    /// The state of the archive, if there is one.
    pub archive: Option<ArchiveStatus>,
}

opaque_debug!(struct NetworkStatus {
    ready, peers, network, listening, names_trouble, pool_bytes, pool_capacity, pool_items, steps,
    price, price_from, fill, line, floor_bits, waiting, in_line, unanswered, cover_per_minute, cover, mining, queued, rate, miner, clock_minutes, clock_witnesses, caught_up, archive,
});

impl NetworkStatus {
    /// The difference of the clocks, if any neighbour gave its own.
    #[must_use]
    pub fn clock(&self) -> Option<ClockSkew> {
        let witnesses = self.clock_witnesses;
        self.clock_minutes.map(|minutes| ClockSkew { minutes, witnesses })
    }
}

/// What is asked beyond the floor: how often its work is doubled, 0 to 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepsStatus {
    /// For what lives 6 hours.
    pub six_hours: u8,
    /// For what lives a day.
    pub day: u8,
    /// For what lives 7 days.
    pub week: u8,
    /// For whatever is to be passed on.
    pub line: u8,
}

/// Who said what is asked of senders here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// A neighbour there is, within the hour.
    Peers,
    /// Nobody: what others ask is not known.
    Own,
}

/// What a sender pays beyond the floor: how often its work is doubled, 0 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceStatus {
    /// For what lives 6 hours.
    pub six_hours: u8,
    /// For what lives a day.
    pub day: u8,
    /// For what lives 7 days.
    pub week: u8,
    /// The most that is paid for what nobody limited otherwise.
    pub highest: u8,
}

impl Default for PriceStatus {
    fn default() -> Self {
        Self { six_hours: 0, day: 0, week: 0, highest: DEFAULT_HIGHEST_STEP.get() }
    }
}

impl PriceStatus {
    /// What is paid for this life.
    #[must_use]
    pub const fn of(self, lifetime: Lifetime) -> Step {
        Step::new(match lifetime {
            Lifetime::SixHours => self.six_hours,
            Lifetime::Day => self.day,
            Lifetime::Week => self.week,
        })
    }

    /// The most that is paid for what nobody limited otherwise.
    #[must_use]
    pub const fn usual_limit(self) -> Step {
        Step::new(self.highest)
    }
}

/// What of ours is held back, in totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingStatus {
    /// Messages that have not left.
    pub messages: usize,
    /// Messages that have left, and are to be sent again.
    pub retries: usize,
    /// Contact requests.
    pub requests: usize,
    /// Contacts to whom an acknowledgement or an answer waits.
    pub answers: usize,
}

/// Whether junk is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverStatus {
    /// The node was not told to.
    Off,
    /// It is.
    Runs,
    /// Not now: more is asked than the node pays for it.
    Rests,
}

/// How much of the room for each life is taken, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillStatus {
    /// By what lives 6 hours.
    pub six_hours: u8,
    /// By what lives a day.
    pub day: u8,
    /// By what lives 7 days.
    pub week: u8,
}

/// What is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineStatus {
    /// The most blocks of 2,048 bytes a second, on average over two minutes.
    pub blocks_per_second: u32,
    /// How much of what two minutes allow is left, in percent.
    pub percent_left: u8,
}

/// A search for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiningStatus {
    /// The tries that it takes on average.
    pub tries: u64,
    /// Tries a second; 0 while it is not known, which is written as none.
    #[serde(with = "wire::unless_zero")]
    pub hashes_per_second: u64,
}

/// How a node searches for work; nothing of it is known of one that does not say.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinerStatus {
    /// The most threads of a search. On battery it has half of them.
    pub threads: usize,
    /// Those that search at this moment; 0 while nothing is searched for.
    #[serde(default)]
    pub threads_now: usize,
    /// The code that makes the tries, by its name.
    pub kernel: String,
    /// Tries a second, as last measured; 0 while it is not known, which is written as none.
    #[serde(with = "wire::unless_zero")]
    pub tries_per_second: u64,
}

opaque_debug!(struct MinerStatus { threads, threads_now, kernel, tries_per_second });

/// The state of an archive.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// Bytes it takes on disk.
    pub bytes: u64,
    /// Envelopes it could not keep, since the start.
    pub missed: u64,
    /// The reason why nothing is kept at the moment, if so.
    pub trouble: Option<String>,
}

opaque_debug!(struct ArchiveStatus { bytes, missed, trouble });

/// Whether anything outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// In a store sealed by a passphrase.
    Sealed,
    /// In memory alone: the end of the process is the end of it.
    MemoryOnly,
}

/// The answer to `status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// The figures of the network.
    #[serde(flatten)]
    pub network: NetworkStatus,
    /// Whether the node joins the network; one without works on the store alone.
    pub online: bool,
    /// Whether anything outlives the node.
    pub persistence: Persistence,
    /// Clients that are connected, the asking one included.
    pub clients: usize,
}

#[cfg(test)]
pub(in crate::shell) mod tests {
    use super::*;

    /// Figures of a network in which nothing happens.
    pub(in crate::shell) fn network() -> NetworkStatus {
        NetworkStatus {
            ready: false,
            peers: 0,
            network: "test".to_owned(),
            listening: Vec::new(),
            names_trouble: None,
            pool_bytes: 0,
            pool_capacity: 0,
            pool_items: 0,
            steps: StepsStatus::default(),
            price: PriceStatus::default(),
            price_from: PriceSource::Peers,
            fill: FillStatus::default(),
            line: LineStatus::default(),
            floor_bits: 0,
            waiting: WaitingStatus::default(),
            in_line: WaitingStatus::default(),
            unanswered: 0,
            cover_per_minute: None,
            cover: CoverStatus::Off,
            mining: None,
            queued: 0,
            rate: 0,
            miner: MinerStatus::default(),
            clock_minutes: None,
            clock_witnesses: 0,
            caught_up: 0,
            archive: None,
        }
    }

    #[test]
    fn a_clock_that_nobody_compared_has_no_difference() {
        let (alone, compared) = (network(), NetworkStatus { clock_minutes: Some(-3), ..network() });
        assert_eq!(alone.clock(), None);
        assert_eq!(compared.clock().map(|clock| clock.minutes), Some(-3));
    }
}
