//! The runtime by itself: commands, the flood beside it, its end, and its archive.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::archive_thread::Disk;
use super::*;
use crate::engine::crypto::invite;
use crate::engine::crypto::keys::Identity;
use crate::engine::env::{Env, Seconds, UnixSeconds};
use crate::engine::envelope::{Envelope, EnvelopeId, Floor, Topic, WorkNonce, inspect};
use crate::engine::id::{Neighbour, NeighbourId};
use crate::engine::relay::pool::BodyStorage;
use crate::engine::session::testing::offer;
use crate::engine::settings::{NodeRole, SyncMode};
use crate::engine::testing::rng::SeededRng;
use crate::shell::api::ArchiveStatus;
use crate::shell::api::calls::{Call as _, ContactAdd, ContactRef, ContactRekey, IdentityNew};
use crate::shell::archive::{ArchiveLabel, ArchiveOverflow, Unfit};
use crate::shell::net::{Multiaddr, Net, NetEvent, NetworkName, Transport};
use crate::shell::os::clock::wall;

const FLOOR: Floor = Floor::new(4);

#[tokio::test]
async fn a_runtime_shows_nothing_of_itself() {
    let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
    let runtime = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
    assert_eq!(format!("{runtime:?}"), "Runtime");
}

/// Asks a node; what it answers, and whether it goes on.
fn ask(node: &mut Runtime, call: AnyCall) -> (Result<AnyReply, Failure>, Result<(), Failure>) {
    let (answer, mut answered) = oneshot::channel();
    let ended = node.on_call(NodeCall { call, answer });
    (answered.try_recv().unwrap(), ended)
}

/// A message was called refused for want of room when only its envelope was not stored.
#[tokio::test]
async fn what_is_said_of_a_command_during_which_the_disk_ran_full_is_what_the_store_has() {
    let [ben, stranger] = [7, 8].map(|seed| Identity::generate(&mut SeededRng::new(seed).turn()));
    let (name, invite) = ("ben".to_owned(), invite::encode(&ben.public()));
    let add = ContactAdd { identity: None, invite, name: name.clone(), max_work: None };
    // Their request waits, and is accepted with the key.
    let invite = invite::encode(&stranger.public());
    let rekey = ContactRekey { contact: ContactRef::Name(name), invite };
    let [add, rekey] = [add.into_any(), rekey.into_any()];
    let (mut kept, mut refused) = (0, 0);
    for (first, call) in [(None, &add), (Some(&add), &rekey)] {
        for room in 0.. {
            let mut node = asked_by(&stranger);
            if let Some(first) = first {
                ask(&mut node, first.clone()).0.unwrap();
            }
            let before = node.durable.store().load().unwrap();
            node.durable.store().refuse_records_after(room);
            let (answer, ended) = ask(&mut node, call.clone());
            let after = node.durable.store().load().unwrap();
            let Err(why) = ended else {
                answer.unwrap();
                break;
            };
            assert_eq!(why.code(), Some(FailureCode::Store), "{room}");
            match answer {
                Ok(_) => {
                    assert_ne!(after, before, "{room}: accepted, and not stored");
                    kept += 1;
                }
                Err(_) => {
                    assert_eq!(after, before, "{room}: refused, and a part was stored");
                    refused += 1;
                }
            }
        }
    }
    assert!(kept > 0 && refused > 0, "{kept} {refused}");
}

/// A node beside a neighbour, with an identity that a stranger made an offer. What it has to
/// send is encrypted at once.
fn asked_by(stranger: &Identity) -> Runtime {
    // Without a catching up, nothing waits for its end.
    let usual = NodeSettings::new(NodeRole::Messenger, FLOOR);
    let settings = NodeSettings { sync: SyncMode::Off, ..usual };
    let mut node = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
    let new = IdentityNew { name: "ann".to_owned() };
    ask(&mut node, new.into_any()).0.unwrap();
    let key = node.directory.identities().next().unwrap().key;
    let mut entropy = OsEntropy;
    let mut env = Env::new(node.durable.clock().mono(), wall(), &mut entropy);
    let (id, bytes) = offer(&mut env, stranger, &key, FLOOR);
    let from = NeighbourId(1);
    let inputs = [
        Input::Peers(vec![Neighbour::alone(from)]),
        Input::Gossip { from, id, bytes },
        Input::Tick,
    ];
    for input in inputs {
        node.durable.carrier().lock().handle(&mut env, input);
    }
    node.gather().unwrap();
    node
}

/// An envelope that lives a day and ends so many hours after the one before the last.
fn ending_in(hours: u64) -> (EnvelopeId, Vec<u8>) {
    let expiry = UnixSeconds((wall().0 / 3_600 - 2 + hours) * 3_600);
    let (ttl, topic) = (Seconds(86_400), Topic([1, 2, 3, 4]));
    let encoded =
        |nonce| Envelope { expiry, ttl, topic, data: b"data", nonce: WorkNonce(nonce) }.encode();
    let paid = (0..).map(encoded).find(|bytes| inspect(bytes, &FLOOR).is_ok()).unwrap();
    (EnvelopeId::of(&paid).unwrap(), paid)
}

fn relay(net: Option<NetSettings>) -> Runtime {
    let settings =
        NodeSettings { bodies: BodyStorage::External, ..NodeSettings::new(NodeRole::Relay, FLOOR) };
    Runtime::start(settings, net, Store::in_memory().unwrap()).unwrap()
}

fn open_archive(home: &Path) -> Archive {
    let label = ArchiveLabel { network: NetworkName::default(), floor: FLOOR, bytes: 1 << 20 };
    Archive::open(home, label, ArchiveOverflow::Refused).unwrap()
}

/// In a network of its own, at a place in memory.
fn at(place: &Multiaddr) -> NetSettings {
    let mut settings = NetSettings::new("stopped".parse().unwrap(), FLOOR.bits());
    settings.transport = Transport::Memory;
    settings.peers = vec![place.clone()];
    settings
}

/// Where a node of a test listens, in a network that is all there.
fn listening(place: &Multiaddr) -> Option<NetSettings> {
    Some(NetSettings { listen: vec![place.clone()], peers: Vec::new(), ..at(place) })
}

/// Waits until an envelope that one neighbour of a node publishes has come to another.
async fn is_passed_on_at(place: &Multiaddr) {
    let (mut one, mut two) = (Net::new(at(place)).unwrap(), Net::new(at(place)).unwrap());
    let (id, bytes) = ending_in(14);
    let mut attempts = interval(Duration::from_millis(100));
    let passed_on = async {
        loop {
            tokio::select! {
                event = two.next() => {
                    if let NetEvent::Engine(Input::Gossip { id: heard, .. }) = event {
                        return heard;
                    }
                }
                event = one.next() => drop(event),
                // It has an effect once a neighbour takes it.
                _ = attempts.tick() => {
                    one.publish(bytes.clone());
                }
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), passed_on).await;
    assert_eq!(heard.expect("it was passed on"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messenger_whose_user_agent_is_stopped_for_good_passes_the_flood_on() {
    let place: Multiaddr = "/memory/700077".parse().unwrap();
    let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
    let store = Store::in_memory().unwrap();
    let mut messenger = Runtime::start(settings, listening(&place), store).unwrap();
    // The network moves; opening, the store and the clients never do.
    messenger.thread.begin(None::<Archive>, 0).unwrap();
    is_passed_on_at(&place).await;
}

/// A message was said to be sent, and its node ended before a peer had it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_just_before_the_end_of_a_node_is_with_its_neighbour() {
    let place: Multiaddr = "/memory/700079".parse().unwrap();
    let settings = NodeSettings::new(NodeRole::Messenger, FLOOR);
    let store = Store::in_memory().unwrap();
    let mut messenger = Runtime::start(settings, listening(&place), store).unwrap();
    messenger.thread.begin(None::<Archive>, 0).unwrap();
    let mut neighbour = Net::new(at(&place)).unwrap();
    let mut looks = interval(Duration::from_millis(50));
    let met = async {
        while messenger.durable.carrier().lock().peers() == 0 || neighbour.peers() == 0 {
            tokio::select! {
                event = neighbour.next() => drop(event),
                _ = looks.tick() => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), met).await.expect("they met");
    let (id, bytes) = ending_in(14);
    messenger.thread.publish(bytes);
    let heard = async {
        loop {
            let NetEvent::Engine(input) = neighbour.next().await else { continue };
            if let Input::Gossip { id: heard, .. } = input {
                return Some(heard);
            }
            // The other has left.
            if matches!(&input, Input::Peers(peers) if peers.is_empty()) {
                return None;
            }
        }
    };
    let both = async { tokio::join!(heard, messenger.thread.end()) };
    let both = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert_eq!(both.expect("it ends").0, Some(id));
}

/// A disk that does not answer any more.
struct Stopped(std::sync::mpsc::Receiver<()>);

impl Disk for Stopped {
    fn keep(&mut self, _: EnvelopeId, _: &[u8]) {
        // Until the end of the test.
        self.0.recv().ok();
    }

    fn discard(&mut self, _: &[EnvelopeId]) {}

    fn get(&mut self, _: &EnvelopeId) -> Option<Vec<u8>> {
        None
    }

    fn take_lost(&mut self) -> Vec<EnvelopeId> {
        Vec::new()
    }

    fn beat(&mut self) {}

    fn status(&self) -> ArchiveStatus {
        ArchiveStatus { bytes: 0, missed: 0, trouble: None }
    }
}

/// A relay told of 75 envelopes, was killed, and had 74 at its next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_disk_stands_still_passes_the_flood_on_and_tells_of_nothing_unwritten() {
    let place: Multiaddr = "/memory/700078".parse().unwrap();
    let mut relay = relay(listening(&place));
    let (goes_on, stands_still) = std::sync::mpsc::channel();
    relay.thread.begin(Some(Stopped(stands_still)), 0).unwrap();
    is_passed_on_at(&place).await;
    assert_eq!(relay.durable.carrier().lock().pool().count(), 1);
    relay.tell_network();
    assert_eq!(relay.state.borrow().network.pool_items, 0);
    drop(goes_on);
}

#[tokio::test]
async fn an_archive_is_told_of_at_once_and_keeps_what_a_wrong_clock_takes_for_the_future() {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    let open = || open_archive(home.path());
    // Expired, in time, and made a day from now.
    let envelopes = [0, 14, 62].map(ending_in);
    let mut archive = open();
    archive.begin(Unfit::default()).unwrap();
    envelopes.iter().for_each(|(id, bytes)| archive.keep(*id, bytes));
    drop(archive);
    let early = ArchiveRecovery { held: 1, early: 1, ..ArchiveRecovery::default() };
    for expired in [1, 0] {
        let mut relay = relay(None);
        let recovery = relay.attach_archive(open()).unwrap();
        assert_eq!(recovery.expired, expired);
        assert_eq!(recovery, ArchiveRecovery { expired, ..early.clone() });
        assert_eq!(relay.state.borrow().network.pool_items, 1);
        if let Some(archive) = &mut relay.archive {
            archive.beat();
            assert!(archive.get(&envelopes[2].0).as_ref() == Some(&envelopes[2].1));
        }
    }
}
