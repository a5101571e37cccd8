//! What a client is to reach: a node that runs, or one that it starts.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::engine::env::Millis;
use crate::engine::envelope::Floor;
use crate::engine::price::Step;
use crate::engine::relay::pool::{BodyStorage, PoolBounds};
use crate::engine::secret::opaque_debug;
use crate::engine::settings::{NodeRole, NodeSettings, RELAY_POOL};
use crate::shell::api::{Hello, StartOptions, Stay};
use crate::shell::archive::{self, ArchiveLabel, ArchiveOverflow};
use crate::shell::budget::NodeBudget;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::miner::MiningThreads;
use crate::shell::net::{LanDiscovery, Multiaddr, NetSettings, NetworkName, Transport};
use crate::shell::os::passphrase::Passphrase;
use crate::shell::store::{Store, StoreError};

/// The node that a client is to reach.
#[derive(Clone)]
pub enum Connect {
    /// One that it starts in its own process. A home folder in which a node runs already is an
    /// error.
    Start(NodeOptions),
    /// The one that runs in this home folder.
    Attach(PathBuf),
    /// The one that runs in the home folder of the options, else one that it starts.
    AttachOrStart(NodeOptions),
}

opaque_debug!(
    enum Connect {
        Start,
        Attach,
        AttachOrStart,
    }
);

impl Connect {
    /// The same for the node after another one of the same home. One that is started joins the
    /// network of the node before: whoever was attached to it must not find themselves in another
    /// one. It also goes on with the settings of that node, but for those that were said of it.
    /// `None` if that network has no name that there can be.
    pub(super) fn after(&self, before: &Hello) -> Option<Self> {
        Some(match self {
            Self::AttachOrStart(options) => Self::AttachOrStart(options.clone().following(before)?),
            Self::Start(_) | Self::Attach(_) => self.clone(),
        })
    }
}

/// A node to start: where it keeps its state, which network it joins, and how it behaves.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where its state is kept.
    pub store: StoreOptions,
    /// How it behaves.
    pub node: NodeSettings,
    /// The network it joins. One without works on the store alone, and a later node sends what it
    /// was told to.
    pub net: Option<NetSettings>,
    /// How long it runs. One that runs for long takes the place of one that runs for one command.
    pub stay: Stay,
    /// The archive that it keeps, if it keeps one; a relay's. [`NodeOptions::archive`] sets it.
    pub archive: Option<ArchiveOptions>,
    /// The most threads on which it searches for work.
    pub mining_threads: MiningThreads,
    /// What was said of it. A node that takes over from another one goes on with the other's
    /// settings but for these.
    pub given: BTreeSet<GivenOption>,
}

opaque_debug!(struct NodeOptions { store, node, net, stay, archive, mining_threads, given });

/// A setting of a node that the one after it goes on with, unless something else was said of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GivenOption {
    /// [`NodeOptions::peer`].
    Peer,
    /// [`NodeOptions::listen`].
    Listen,
    /// [`NodeOptions::lan`].
    Lan,
    /// [`NodeOptions::line`].
    Line,
    /// [`NodeOptions::junk`].
    Junk,
    /// [`NodeOptions::max_work`].
    MaxWork,
    /// [`NodeOptions::mining_threads`].
    MiningThreads,
}

impl GivenOption {
    /// All of them.
    const ALL: [Self; 7] = [
        Self::Peer,
        Self::Listen,
        Self::Lan,
        Self::Line,
        Self::Junk,
        Self::MaxWork,
        Self::MiningThreads,
    ];
}

/// An archive: envelopes that a relay keeps on disk until they expire.
#[derive(Clone)]
pub struct ArchiveOptions {
    /// The folder it lies in, made if there is none. No passphrase is needed: what others sent is
    /// encrypted.
    pub folder: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What becomes of envelopes that do not fit into a smaller size than it had before.
    pub overflow: ArchiveOverflow,
}

opaque_debug!(struct ArchiveOptions { folder, bytes, overflow });

/// Where the state of a node is kept.
#[derive(Clone)]
pub enum StoreOptions {
    /// In memory alone.
    Memory,
    /// In a home folder, sealed by a passphrase.
    Home(HomeOptions),
}

opaque_debug!(
    enum StoreOptions {
        Memory,
        Home,
    }
);

/// A home folder and the way to open it.
#[derive(Clone)]
pub struct HomeOptions {
    /// The folder.
    pub path: PathBuf,
    /// Whether a store is made if there is none.
    pub create: CreateStore,
    passphrase: Arc<PassphraseOnce>,
}

opaque_debug!(struct HomeOptions { path, create, passphrase });

/// Whether a store is made if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateStore {
    /// It is.
    Yes,
    /// It is an error: a mistyped folder must not become an empty home.
    No,
}

/// A passphrase that is asked for when it is needed, once.
struct PassphraseOnce {
    ask: AskPassphrase,
    known: OnceLock<Passphrase>,
}

/// Reads or asks for a passphrase; told whether it is for a store that is to be made.
type AskPassphrase = Box<dyn Fn(CreateStore) -> Result<Passphrase, Failure> + Send + Sync>;

impl HomeOptions {
    /// A home folder whose passphrase is asked for when a store is opened or made there, and not
    /// before: a node that runs needs none. `ask` is called on a thread that may wait.
    #[must_use]
    pub fn new(
        path: PathBuf,
        create: CreateStore,
        ask: impl Fn(CreateStore) -> Result<Passphrase, Failure> + Send + Sync + 'static,
    ) -> Self {
        let passphrase = PassphraseOnce { ask: Box::new(ask), known: OnceLock::new() };
        Self { path, create, passphrase: Arc::new(passphrase) }
    }

    /// A home folder with this passphrase, made if there is none.
    #[must_use]
    pub fn with_passphrase(path: impl Into<PathBuf>, passphrase: Passphrase) -> Self {
        let options = Self::new(path.into(), CreateStore::Yes, |_| {
            Err(Failure::from(StoreError::WrongPassphrase))
        });
        // Never known before: it was made just now.
        drop(options.passphrase.known.set(passphrase));
        options
    }

    /// Opens the store, or makes one. Takes about a second on purpose.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        let makes = !Store::exists(&self.path)?;
        // Before the passphrase is asked for, which would be in vain.
        if makes && self.create == CreateStore::No {
            return Err(Store::absence(&self.path).into());
        }
        let create = if makes { CreateStore::Yes } else { CreateStore::No };
        let passphrase = match self.passphrase.known.get() {
            Some(passphrase) => passphrase,
            None => {
                let given = (self.passphrase.ask)(create)?;
                self.passphrase.known.get_or_init(|| given)
            }
        };
        match create {
            CreateStore::Yes => Ok(Store::create(&self.path, passphrase)?),
            CreateStore::No => Ok(Store::open(&self.path, passphrase)?),
        }
    }
}

impl NodeOptions {
    /// A messenger that keeps its state in memory and joins the network `main` without peers.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(StoreOptions::Memory)
    }

    /// A messenger that keeps its state in a home folder and joins the network `main`.
    #[must_use]
    pub fn in_home(home: HomeOptions) -> Self {
        Self::new(StoreOptions::Home(home))
    }

    fn new(store: StoreOptions) -> Self {
        Self {
            store,
            node: NodeSettings::new(NodeRole::Messenger, Floor::DEFAULT),
            net: Some(NetSettings::new(NetworkName::default(), Floor::DEFAULT.bits())),
            stay: Stay::Long,
            archive: None,
            mining_threads: MiningThreads::default(),
            given: BTreeSet::new(),
        }
    }

    /// The same for a relay, which has no identity.
    #[must_use]
    pub const fn relay(mut self) -> Self {
        self.node.role = NodeRole::Relay;
        self
    }

    /// The same with room for so many bytes of envelopes, of ours and of others. Fewer than those of
    /// [`PoolBounds::LEAST`] count as so many.
    #[must_use]
    pub fn pool(mut self, bytes: usize) -> Self {
        let places = PoolBounds::of_bytes(bytes).places.max(PoolBounds::LEAST.places);
        self.node.pool = PoolBounds { places };
        self
    }

    /// The same with the room that a relay among strangers should have, in memory:
    /// [`RELAY_POOL`], about 0.6 GiB when it is full. Its bytes are the size of an
    /// [`archive`](Self::archive) with as much room.
    #[must_use]
    pub fn room_of_a_relay(self) -> Self {
        self.pool(RELAY_POOL.bytes())
    }

    /// The same, passing on at most so many blocks of 2,048 bytes a second; an envelope of a
    /// messenger is one.
    #[must_use]
    pub fn line(mut self, blocks_per_second: NonZeroU32) -> Self {
        self.given.insert(GivenOption::Line);
        self.node.line = blocks_per_second;
        self
    }

    /// The same with envelopes on disk, in this folder, until they expire, in place of memory: up
    /// to so many bytes. For a relay. An archive belongs to one network, and one that holds more
    /// than fits does not open.
    #[must_use]
    pub fn archive(mut self, folder: impl Into<PathBuf>, bytes: usize) -> Self {
        self.node.bodies = BodyStorage::External;
        let most = usize::try_from(archive::MOST_BYTES).unwrap_or(usize::MAX);
        let bytes = bytes.clamp(PoolBounds::LEAST.bytes(), most);
        let overflow = ArchiveOverflow::Refused;
        self.archive =
            Some(ArchiveOptions { folder: folder.into(), bytes: bytes as u64, overflow });
        self.pool(bytes)
    }

    /// The same with an archive that removes what does not fit into a smaller size than it had
    /// before; else it would not open.
    #[must_use]
    pub const fn shrink_archive(mut self) -> Self {
        if let Some(archive) = &mut self.archive {
            archive.overflow = ArchiveOverflow::Removed;
        }
        self
    }

    /// What its node takes of the machine once it is full; `None` without a network.
    pub(in crate::shell) fn budget(&self) -> Option<NodeBudget> {
        let archive = self.archive.as_ref().map(|archive| archive.bytes);
        self.net.as_ref().map(|net| NodeBudget::of(&self.node, archive, &net.limits))
    }

    /// What its archive is for, if it keeps one.
    pub(super) fn archive_label(&self) -> Option<ArchiveLabel> {
        let bytes = self.archive.as_ref()?.bytes;
        let network = self.net.as_ref().map(|net| net.network.clone()).unwrap_or_default();
        Some(ArchiveLabel { network, floor: self.node.floor, bytes })
    }

    /// The same in another network: 1 to 32 of the characters a-z, 0-9 and -.
    ///
    /// # Errors
    /// When the name has others.
    pub fn network(mut self, name: &str) -> Result<Self, Failure> {
        let name = name.parse().map_err(|error| bad_option(name, &format!("{error}")))?;
        self.net_mut().network = name;
        Ok(self)
    }

    /// The same with another least work, in bits for 2 KiB that live a day. Nodes with different
    /// ones exchange nothing. At most [`Floor::MAX_BITS`] count.
    #[must_use]
    pub fn floor(mut self, bits: u8) -> Self {
        self.node.floor = Floor::new(bits);
        self.net_mut().floor_bits = bits;
        self
    }

    /// The same, connected to this peer. Can be repeated.
    ///
    /// # Errors
    /// When it is no multiaddress, such as `/ip4/192.0.2.7/tcp/4141`.
    pub fn peer(mut self, address: &str) -> Result<Self, Failure> {
        let parsed = address.parse().map_err(|error| bad_option(address, &format!("{error}")))?;
        self.use_memory(address);
        self.given.insert(GivenOption::Peer);
        self.net_mut().peers.push(parsed);
        Ok(self)
    }

    /// The same, reached at this address. Can be repeated.
    ///
    /// # Errors
    /// When it is no multiaddress, such as `/ip4/0.0.0.0/tcp/4141`.
    pub fn listen(mut self, address: &str) -> Result<Self, Failure> {
        let parsed = address.parse().map_err(|error| bad_option(address, &format!("{error}")))?;
        self.use_memory(address);
        self.given.insert(GivenOption::Listen);
        self.net_mut().listen.push(parsed);
        Ok(self)
    }

    /// The same, found on the local network. Everybody on it can see that Undertone runs here.
    #[must_use]
    pub fn lan(mut self) -> Self {
        self.given.insert(GivenOption::Lan);
        self.net_mut().lan = LanDiscovery::On;
        self
    }

    /// The same, with junk at random times: one for each `mean` on average.
    #[must_use]
    pub fn junk(mut self, mean: core::time::Duration) -> Self {
        self.given.insert(GivenOption::Junk);
        self.node.junk = Some(Millis(u64::try_from(mean.as_millis()).unwrap_or(u64::MAX)));
        self
    }

    /// The same, doing at most this work for an envelope without a limit of its own: messages that
    /// name none, acknowledgements, requests and junk. While the network asks for more, they wait.
    #[must_use]
    pub fn max_work(mut self, highest: Step) -> Self {
        self.given.insert(GivenOption::MaxWork);
        self.node.highest_step = highest;
        self
    }

    /// The same, searching for work on at most so many threads, at the lowest priority: half of them
    /// while the machine runs on its battery. Without this it is all processors but one.
    ///
    /// # Errors
    /// When it is none, or there are not so many processors for this process.
    pub fn mining_threads(mut self, count: usize) -> Result<Self, Failure> {
        self.mining_threads = MiningThreads::new(count)?;
        self.given.insert(GivenOption::MiningThreads);
        Ok(self)
    }

    /// The same without a network.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.net = None;
        self
    }

    /// The same in the network of another node, and with its settings but for those that were given.
    /// One without a network stays without one, and so it stays as it is after a node without one.
    /// `None` if the name of the network is none.
    fn following(mut self, other: &Hello) -> Option<Self> {
        if !other.online || self.net.is_none() {
            return Some(self);
        }
        self = self.floor(other.floor);
        self.net_mut().network = other.network.parse().ok()?;
        let StartOptions { peers, listen, lan, line, junk_ms, max_work, mining_threads } =
            &other.start;
        let follows: Vec<GivenOption> =
            GivenOption::ALL.into_iter().filter(|option| !self.given.contains(option)).collect();
        for option in follows {
            match option {
                GivenOption::Peer => self.net_mut().peers = self.addresses(peers),
                GivenOption::Listen => self.net_mut().listen = self.addresses(listen),
                GivenOption::Lan if *lan => self.net_mut().lan = LanDiscovery::On,
                GivenOption::Lan => self.net_mut().lan = LanDiscovery::Off,
                GivenOption::Line => self.node.line = *line,
                GivenOption::Junk => self.node.junk = junk_ms.map(Millis),
                GivenOption::MaxWork => {
                    let usual = self.node.highest_step;
                    self.node.highest_step = Step::of_times(*max_work).unwrap_or(usual);
                }
                GivenOption::MiningThreads => {
                    let same = mining_threads.map(MiningThreads::up_to);
                    self.mining_threads = same.unwrap_or(self.mining_threads);
                }
            }
        }
        Some(self)
    }

    /// Addresses of another node, without those that are none.
    fn addresses(&mut self, others: &[String]) -> Vec<Multiaddr> {
        others.iter().for_each(|address| self.use_memory(address));
        others.iter().filter_map(|address| address.parse().ok()).collect()
    }

    /// What the node is told at its start, for its clients.
    pub(in crate::shell) fn start(&self) -> StartOptions {
        let words = |all: &[Multiaddr]| all.iter().map(ToString::to_string).collect();
        let net = self.net.as_ref();
        StartOptions {
            peers: net.map(|net| words(&net.peers)).unwrap_or_default(),
            listen: net.map(|net| words(&net.listen)).unwrap_or_default(),
            lan: net.is_some_and(|net| net.lan == LanDiscovery::On),
            line: self.node.line,
            junk_ms: self.node.junk.map(|Millis(mean)| mean),
            max_work: self.node.highest_step.times(),
            mining_threads: Some(self.mining_threads.get()),
        }
    }

    fn net_mut(&mut self) -> &mut NetSettings {
        let bits = self.node.floor.bits();
        self.net.get_or_insert_with(|| NetSettings::new(NetworkName::default(), bits))
    }

    /// An address `/memory/N` is one of this process, and needs its transport.
    fn use_memory(&mut self, address: &str) {
        if address.starts_with("/memory/") {
            self.net_mut().transport = Transport::Memory;
        }
    }

    /// The home folder, if the state is kept in one.
    pub(super) const fn home(&self) -> Option<&PathBuf> {
        match &self.store {
            StoreOptions::Memory => None,
            StoreOptions::Home(home) => Some(&home.path),
        }
    }
}

fn bad_option(given: &str, why: &str) -> Failure {
    let text = FailureText {
        what: "the node was not started",
        why: &format!("{given:?}: {why}"),
        safe: "nothing was done",
        next: "correct it",
    };
    Failure::new(FailureCode::BadRequest, text)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn options_print_neither_a_folder_nor_a_passphrase() {
        let passphrase = Passphrase::new(Zeroizing::new("correct horse".to_owned())).unwrap();
        let home = HomeOptions::with_passphrase("/home/ann", passphrase);
        assert_eq!(format!("{home:?}"), "HomeOptions");
        let store = StoreOptions::Home(home.clone());
        assert_eq!(format!("{store:?}"), "StoreOptions::Home");
        let node = NodeOptions::in_home(home).relay().archive("/srv/relay", 1 << 30);
        assert_eq!(format!("{node:?}"), "NodeOptions");
        assert_eq!(format!("{:?}", node.archive), "Some(ArchiveOptions)");
        assert_eq!(format!("{:?}", Connect::AttachOrStart(node)), "Connect::AttachOrStart");
    }

    #[test]
    fn a_pool_is_never_smaller_than_its_shares_need_and_a_relays_room_is_all_of_it() {
        let places = |options: NodeOptions| options.node.pool.places;
        let least = PoolBounds::LEAST.places;
        for bytes in [0, 1, PoolBounds::LEAST.bytes() - 1, PoolBounds::LEAST.bytes()] {
            assert_eq!(places(NodeOptions::in_memory().pool(bytes)), least, "{bytes}");
        }
        assert_eq!(places(NodeOptions::in_memory().room_of_a_relay()), RELAY_POOL.places);
        let small = NodeOptions::in_memory().relay().archive("/srv/relay", 1);
        assert_eq!(small.archive.as_ref().map(|kept| kept.bytes), Some(688_128));
        assert_eq!(places(small), least);
    }

    #[test]
    fn as_many_threads_search_as_were_said_and_a_number_that_cannot_be_is_refused() {
        let usual = NodeOptions::in_memory();
        assert_eq!(usual.start().mining_threads, Some(MiningThreads::default().get()));
        let one = usual.clone().mining_threads(1).unwrap();
        assert_eq!(one.start().mining_threads, Some(1));
        assert!(one.given.contains(&GivenOption::MiningThreads));
        for count in [0, MiningThreads::most().get() + 1] {
            let refused = usual.clone().mining_threads(count).unwrap_err();
            assert_eq!(refused.code(), Some(FailureCode::BadRequest));
        }
    }

    #[test]
    fn an_address_or_a_name_that_is_none_is_refused_and_named() {
        let named = [
            NodeOptions::in_memory().network("A network").unwrap_err(),
            NodeOptions::in_memory().peer("A network").unwrap_err(),
            NodeOptions::in_memory().listen("A network").unwrap_err(),
        ];
        for failure in named {
            assert_eq!(failure.code(), Some(FailureCode::BadRequest));
            assert!(failure.why.contains("\"A network\""), "{}", failure.why);
        }
    }
}
