//! A neighbour that pours envelopes into a relay, with real work behind them and with too little.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use undertone::engine::node::input::Input;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use undertone::calls::AnyReply;
use undertone::engine::command::Command;
use undertone::engine::envelope::{Acceptance, EnvelopeId, Lifetime};
use undertone::engine::event::SessionStatus;
use undertone::engine::price::Share;
use undertone::engine::record::MessageState;
use undertone::engine::relay::pool::PoolBounds;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::shell::net::{Multiaddr, Net, NetEvent, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use crate::hosts::{Company, LOW_FLOOR, net_settings, node_settings};
use crate::noise::noise;
use crate::world::{in_time, place};

/// What the flooded relay holds.
const SMALL: PoolBounds = PoolBounds { places: 64 };

/// What is poured in, and arrives at the far side of the relay.
const POURED: usize = 10 * SMALL.places;

/// A bare node at `relay`, under the rules of no engine.
fn bare(relay: &Multiaddr) -> Net {
    Net::new(net_settings(None, &[relay])).expect("a node")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_disconnects_a_neighbour_that_floods_envelopes_below_the_floor() {
    let at = place();
    let mut company = Company::new();
    let relay =
        company.subscribe(node_settings(NodeRole::Relay), net_settings(Some(&at), &[])).await;
    let (mut flooder, mut observer) = (bare(&at), bare(&at));
    in_time("the three to meet", async {
        while company.views[relay].peers() < 2 || flooder.peers() < 1 || observer.peers() < 1 {
            tokio::select! {
                _ = flooder.next() => {}
                _ = observer.next() => {}
                () = company.hear() => {}
            }
        }
    })
    .await;
    let mut chance = SeededRng::lane(51, 0);
    for _ in 0..20 {
        let published = flooder.publish(noise(&mut chance, wall(), LOW_FLOOR - 1));
        assert_eq!(published, PublishOutcome::Sent);
    }
    let (mut parted, mut others) = (false, 2);
    in_time("the flooder to be parted with", async {
        while !parted || others > 1 {
            tokio::select! {
                event = flooder.next() => parted |= matches!(event, NetEvent::Engine(Input::Peers(peers)) if peers.is_empty()),
                event = observer.next() => {
                    assert!(!matches!(event, NetEvent::Engine(Input::Gossip { .. })), "it was passed on");
                }
                () = company.hear() => others = company.views[relay].peers(),
            }
        }
    })
    .await;
    let line = company.views[relay].line.as_ref().expect("it told");
    assert_eq!((line.peers, line.pool_items), (1, 0));
}

/// Pours envelopes exactly at the floor into the relay at `at`, until whoever reads has gone.
async fn pour(at: Multiaddr, poured: mpsc::Sender<EnvelopeId>) {
    let mut flooder = bare(&at);
    let mut chance = SeededRng::lane(52, 0);
    loop {
        if flooder.peers() == 0 {
            flooder.next().await;
            continue;
        }
        let bytes = noise(&mut chance, wall(), LOW_FLOOR);
        let id = EnvelopeId::of(&bytes).expect("an envelope");
        if flooder.publish(bytes) == PublishOutcome::Sent && poured.send(id).await.is_err() {
            return;
        }
        // What is due is done; a flood does not wait for more.
        while let Some(event) = soon(&mut flooder).await {
            assert!(!matches!(event, NetEvent::Disconnected { .. }));
        }
    }
}

/// The next event, if there is one already.
async fn soon(net: &mut Net) -> Option<NetEvent> {
    tokio::select! {
        biased;
        event = net.next() => Some(event),
        () = tokio::task::yield_now() => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_through_a_relay_that_is_flooded_at_the_floor() {
    let at = place();
    let mut company = Company::new();
    // Wide enough for all of the flood: this is about the room.
    let line = NonZeroU32::new(100_000).expect("not 0");
    let small = NodeSettings { pool: SMALL, line, ..node_settings(NodeRole::Relay) };
    let relay = company.subscribe(small, net_settings(Some(&at), &[])).await;
    let first = company.messenger("first", &at).await;
    let second = company.messenger("second", &at).await;
    let (identity, _) = company.views[first].own.expect("an identity");
    let (_, key) = company.views[second].own.expect("an identity");
    let add = Command::AddContact { identity, key, petname: "second".to_owned(), highest: None };
    let AnyReply::ContactAdd(added) = company.ask(first, add).await else { panic!("no contact") };
    let contact = added.id;
    company.until("the request", |views| !views[second].seen.requests.is_empty()).await;
    let request = company.views[second].seen.requests[0].id;
    let accept = Command::AcceptRequest { request, petname: "first".to_owned() };
    company.ask(second, accept).await;
    let ready = |link: &SessionStatus| *link == SessionStatus::Established;
    company
        .until("the answer", |views| {
            views[first].seen.contacts.values().any(|(_, link)| ready(link))
        })
        .await;

    let (sender, mut poured) = mpsc::channel(64);
    let mut flood = JoinSet::new();
    flood.spawn(pour(at.clone(), sender));
    let mut observer = bare(&at);
    let (mut sent, mut passed, mut said) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    in_time("the flood and the conversation to get through", async {
        while passed.len() < POURED || company.views[second].seen.texts.len() < 20 {
            // A line for each twentieth of the flood.
            if said.len() < 20 && passed.len() * 20 >= said.len() * POURED {
                let text = format!("line {}", said.len());
                company
                    .ask(
                        first,
                        Command::Say { contact, text: text.clone(), postage: Lifetime::Day.into() },
                    )
                    .await;
                said.push(text);
            }
            tokio::select! {
                event = observer.next() => if let NetEvent::Engine(Input::Gossip { from, id, .. }) = event {
                    observer.report_validation(from, id, Acceptance::Accept);
                    if sent.contains(&id) {
                        passed.insert(id);
                    }
                },
                Some(id) = poured.recv() => {
                    sent.insert(id);
                }
                () = company.hear() => {}
            }
        }
    })
    .await;
    let heard: Vec<_> = company.views[second].seen.texts.iter().map(|(_, text)| text).collect();
    assert_eq!(heard, said.iter().collect::<Vec<_>>());
    company
        .until("the marks and the relay's last word", |views| {
            let delivered = |state: &MessageState| *state == MessageState::Delivered;
            // From three quarters on a share asks more than this flood pays.
            let enough = Share::Day.places(SMALL.places) * 3 / 4;
            let full = views[relay].line.as_ref().is_some_and(|line| line.pool_items >= enough);
            full && views[first].seen.states.values().all(delivered)
        })
        .await;
    let line = company.views[relay].line.as_ref().expect("it told");
    assert!(line.pool_bytes <= SMALL.bytes());
    assert_eq!(line.peers, 4, "who stays at the floor is a neighbour like any other");
}
