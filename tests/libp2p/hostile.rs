//! Neighbours that mean harm: what they can make a node hold, and that they leave.

use undertone::shell::net::{DisconnectReason, Net, NetEvent, PublishOutcome};

use crate::attacker::Attacker;
use crate::world::{TOPIC, accept, envelope, in_time, meet, node, place, settings};

#[tokio::test]
async fn whoever_reads_nothing_is_parted_with_and_nobody_else_is() {
    let at = place();
    let mut hub = settings();
    hub.listen = vec![at.clone()];
    let mut nets = [Net::new(hub).expect("a node"), node(&place(), &[&at])];
    meet(&mut nets, &[1, 1]).await;
    let mut deaf = Attacker::deaf(&at, TOPIC);
    tokio::select! {
        () = meet(&mut nets, &[2, 1]) => {}
        () = deaf.parted() => panic!("parted with before it did anything"),
    }
    let [hub, honest] = &mut nets;
    let (mut sent, mut heard, mut parted) = (0_u32, 0, Vec::new());
    in_time("the parting", async {
        while parted.is_empty() || heard < sent {
            // One after the other: an honest neighbour has time to take each.
            if heard == sent {
                let bytes = envelope(&[&sent.to_be_bytes()[..], &[7; 30_000]].concat());
                assert_eq!(hub.publish(bytes), PublishOutcome::Sent);
                sent += 1;
            }
            tokio::select! {
                event = hub.next() => if let NetEvent::Disconnected { why, .. } = event {
                    parted.push(why);
                },
                () = deaf.parted(), if parted.is_empty() => {}
                event = honest.next() => heard += u32::from(accept(honest, event).is_some()),
            }
        }
    })
    .await;
    assert_eq!(parted, [DisconnectReason::Stalled]);
    assert_eq!((hub.peers(), honest.peers()), (1, 1));
}
