//! A messenger that is started again at another relay, which is to learn nothing of what left at the
//! one before.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use undertone::calls::{ContactAdd, IdentityNew, MessageSend};
use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::Millis;
use undertone::engine::envelope::{Acceptance, Envelope};
use undertone::engine::node::input::Input;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::shell::net::{Multiaddr, Net, NetEvent};
use undertone::sim::SeededRng;
use undertone::{Client, HomeOptions, NodeOptions, Passphrase};
use zeroize::Zeroizing;

use crate::hosts::{net_settings, node_settings};
use crate::world::{drive, in_time, place};

/// The messenger of this home, at a relay.
async fn start(home: &tempfile::TempDir, relay: &Multiaddr) -> Client {
    let passphrase = Passphrase::new(Zeroizing::new("correct horse".to_owned())).expect("one");
    let home = HomeOptions::with_passphrase(home.path().join("home"), passphrase);
    // Sent again soon, or the test would take minutes; junk as well, of which nothing repeats either.
    let node = NodeSettings {
        retransmit_after: Millis::from_secs(3),
        junk: Some(Millis::from_secs(2)),
        ..node_settings(NodeRole::Messenger)
    };
    let net = Some(net_settings(None, &[relay]));
    let options = NodeOptions { node, net, ..NodeOptions::in_home(home) };
    in_time("a messenger", Client::start(options)).await.expect("a messenger")
}

/// Takes envelopes and drops them, until there are so many; their ids, topics and bodies.
async fn take(relay: Net, what: &str, count: usize) -> BTreeSet<Vec<u8>> {
    let (mut relays, mut taken, mut seen) = ([relay], 0, BTreeSet::new());
    drive(&mut relays, what, |_, event, net| {
        let NetEvent::Engine(Input::Gossip { from, id, bytes }) = event else { return None };
        net.report_validation(from, id, Acceptance::Ignore);
        let Envelope { topic, data, .. } = Envelope::decode(&bytes).expect("an envelope");
        seen.extend([id.0.to_vec(), topic.0.to_vec(), data.to_vec()]);
        taken += 1;
        (taken == count).then_some(())
    })
    .await;
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messenger_at_another_relay_brings_it_nothing_that_the_one_before_saw() {
    let home = tempfile::tempdir().expect("a folder");
    let places = [place(), place()];
    let relay = |at: usize| Net::new(net_settings(Some(&places[at]), &[])).expect("a relay");
    let mut relays = JoinSet::new();
    relays.spawn(take(relay(0), "an offer and five messages", 8));
    let messenger = start(&home, &places[0]).await;
    in_time("an identity", messenger.call(IdentityNew { name: "ann".to_owned() }))
        .await
        .expect("made");
    let stranger = Identity::generate(&mut SeededRng::new(7).turn()).public();
    let added = messenger.call(ContactAdd::new(invite::encode(&stranger), "ben"));
    in_time("a contact", added).await.expect("added");
    for number in 0..5 {
        let text = format!("message {number}");
        in_time("a message", messenger.call(MessageSend::new("ben", text))).await.expect("taken");
    }
    let before = relays.join_next().await.expect("it runs").expect("it ran to its end");
    in_time("its end", messenger.close()).await.expect("it ended");
    // Everything of it goes out again: the offer, the messages, and junk beside them.
    relays.spawn(take(relay(1), "as much again", 8));
    let messenger = start(&home, &places[1]).await;
    let after = relays.join_next().await.expect("it runs").expect("it ran to its end");
    assert!(before.is_disjoint(&after), "two relays saw the same");
    in_time("its end", messenger.close()).await.expect("it ended");
}
