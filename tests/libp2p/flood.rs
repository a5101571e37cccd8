//! What reaches whom.

use undertone::engine::envelope::Acceptance;
use undertone::engine::node::input::Input;
use undertone::shell::net::{DisconnectReason, Net, NetEvent, PublishOutcome};

use crate::world::{
    DEADLINE, accept, content, drive, envelope, id, meet, node, place, report_validation, settings,
};

/// Nodes in the larger tests.
const MANY: usize = 30;

/// A ring with chords: each node keeps three others.
fn many() -> Vec<Net> {
    let places: Vec<_> = (0..MANY).map(|_| place()).collect();
    let at = |index: usize| &places[index % MANY];
    let keeping = |index: usize| {
        let mut settings = settings();
        // Thirty nodes on a busy machine give no sign of life for seconds, and whoever is parted with
        // for that misses what was on its way: nothing here catches up.
        settings.pace.silence = 2 * DEADLINE;
        settings.listen = vec![at(index).clone()];
        settings.peers = [1, 5, 12].map(|step| at(index + step).clone()).to_vec();
        Net::new(settings).expect("a node")
    };
    (0..MANY).map(keeping).collect()
}

#[tokio::test]
async fn an_accepted_envelope_reaches_each_of_thirty_nodes_once() {
    let mut nets = many();
    meet(&mut nets, &[3; MANY]).await;
    assert_eq!(nets[0].publish(envelope(b"to all")), PublishOutcome::Sent);
    let mut heard = [0; MANY];
    drive(&mut nets, "the envelope everywhere", |index, event, net| {
        if let Some(bytes) = accept(net, event) {
            assert_eq!(bytes, b"to all");
            heard[index] += 1;
        }
        heard[1..].iter().all(|&count| count == 1).then_some(())
    })
    .await;
    assert_eq!(heard[0], 0, "nobody brings an author their own envelope");
}

#[tokio::test]
async fn many_envelopes_from_all_nodes_reach_all_nodes() {
    let mut nets = many();
    meet(&mut nets, &[3; MANY]).await;
    for (index, net) in nets.iter_mut().enumerate() {
        for number in 0..4 {
            let content = format!("{number} from {index}");
            let published = net.publish(envelope(content.as_bytes()));
            assert_eq!(published, PublishOutcome::Sent);
        }
    }
    let mut missing = MANY * (MANY - 1) * 4;
    drive(&mut nets, "every envelope everywhere", |_, event, net| {
        missing -= usize::from(accept(net, event).is_some());
        (missing == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rejected_envelope_is_not_passed_on_and_its_carrier_is_blocked() {
    let (left, middle, right) = (place(), place(), place());
    let mut nets = [node(&left, &[&middle]), node(&middle, &[&right]), node(&right, &[])];
    meet(&mut nets, &[1, 2, 1]).await;
    for number in 0..4_u8 {
        assert_eq!(nets[0].publish(envelope(&[number; 64])), PublishOutcome::Sent);
    }
    drive(&mut nets, "the carrier to be blocked", |index, event, net| {
        if let NetEvent::Disconnected { why, .. } = event {
            assert_eq!((index, why), (1, DisconnectReason::Misbehaved));
            return Some(());
        }
        if let Some(bytes) = report_validation(net, event, Acceptance::Reject) {
            assert_eq!((index, bytes.len()), (1, 64), "what was refused went further");
        }
        None
    })
    .await;
    assert_eq!(nets[1].peers(), 1, "the carrier is still counted");
    // The last neighbour hears what follows, and nothing of what was refused came before it.
    assert_eq!(nets[1].publish(envelope(b"after")), PublishOutcome::Sent);
    drive(&mut nets, "the envelope after", |index, event, net| {
        let bytes = accept(net, event)?;
        assert_eq!((index, bytes.as_slice()), (2, b"after".as_slice()));
        Some(())
    })
    .await;
}

#[tokio::test]
async fn an_ignored_envelope_is_not_passed_on_and_not_counted_against_its_carrier() {
    let (left, middle, right) = (place(), place(), place());
    let mut nets = [node(&left, &[&middle]), node(&middle, &[&right]), node(&right, &[])];
    meet(&mut nets, &[1, 2, 1]).await;
    for number in 0..40_u8 {
        assert_eq!(nets[0].publish(envelope(&[number; 64])), PublishOutcome::Sent);
    }
    assert_eq!(nets[0].publish(envelope(b"last")), PublishOutcome::Sent);
    drive(&mut nets, "the last envelope at the far end", |index, event, net| {
        if let NetEvent::Disconnected { why, .. } = event {
            panic!("parted: {why:?}");
        }
        let NetEvent::Engine(Input::Gossip { from, id, bytes }) = event else { return None };
        let ignored = content(&bytes).len() == 64;
        assert!(index == 1 || !ignored, "what was ignored went further");
        let verdict = if ignored { Acceptance::Ignore } else { Acceptance::Accept };
        net.report_validation(from, id, verdict);
        (index == 2).then_some(())
    })
    .await;
    assert_eq!(nets[1].peers(), 2);
}

#[tokio::test]
async fn an_envelope_waits_for_its_verdict_before_it_is_passed_on() {
    let (left, middle, right) = (place(), place(), place());
    let mut nets = [node(&left, &[&middle]), node(&middle, &[&right]), node(&right, &[])];
    meet(&mut nets, &[1, 2, 1]).await;
    nets[0].publish(envelope(b"first"));
    let from = drive(&mut nets, "the first envelope", |index, event, _| {
        let NetEvent::Engine(Input::Gossip { from, .. }) = event else { return None };
        assert_eq!(index, 1);
        Some(from)
    })
    .await;
    nets[1].publish(envelope(b"second"));
    let mut heard = Vec::new();
    drive(&mut nets, "both at the far end", |index, event, net| {
        let bytes = accept(net, event)?;
        if index == 2 {
            heard.push(bytes);
        }
        (heard.len() == 1).then_some(())
    })
    .await;
    assert_eq!(heard, [b"second".to_vec()]);
    nets[1].report_validation(from, id(b"first"), Acceptance::Accept);
    drive(&mut nets, "the first at the far end", |index, event, net| {
        let bytes = accept(net, event)?;
        (index == 2 && bytes == b"first").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_id_handed_up_is_the_envelopes_own() {
    let (left, right) = (place(), place());
    let mut nets = [node(&left, &[&right]), node(&right, &[])];
    meet(&mut nets, &[1, 1]).await;
    nets[0].publish(envelope(&[7; 2016]));
    drive(&mut nets, "the envelope", |_, event, _| {
        let NetEvent::Engine(Input::Gossip { id: named, bytes, .. }) = event else { return None };
        assert!(named == id(&content(&bytes)));
        Some(())
    })
    .await;
}

#[tokio::test]
async fn publishing_returns_the_outcome() {
    let (left, right) = (place(), place());
    let mut nets = [node(&left, &[&right])];
    let bytes = envelope(&[1; 2016]);
    assert_eq!(nets[0].publish(bytes.clone()), PublishOutcome::NoPeers);
    assert_eq!(nets[0].publish(vec![1; 70_000]), PublishOutcome::TooLong);
    let [alone] = nets;
    let mut nets = [alone, node(&right, &[])];
    meet(&mut nets, &[1, 1]).await;
    assert_eq!(
        nets[0].publish(bytes.clone()),
        PublishOutcome::Sent,
        "nothing was kept of the first try"
    );
    assert_eq!(nets[0].publish(bytes.clone()), PublishOutcome::Known);
    drive(&mut nets, "the envelope", |_, event, net| accept(net, event)).await;
    assert_eq!(nets[1].publish(bytes), PublishOutcome::Known, "it came from there");
}
