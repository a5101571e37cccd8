//! Nodes that join at the same moment.

use undertone::shell::net::{Net, PublishOutcome};

use crate::attacker::{Attacker, Part};
use crate::world::{
    DEADLINE, TOPIC, accept, drive, envelope, in_time, meet, node, place, settings,
};

#[tokio::test]
async fn a_neighbour_in_the_flood_counts_once_it_says_that_it_passes_it_on() {
    let at = place();
    let mut alone = settings();
    alone.listen = vec![at.clone()];
    // Whoever never says so is not waited for so long elsewhere.
    alone.pace.greeting = DEADLINE;
    let mut net = Net::new(alone).expect("a node");
    let mut neighbour = Attacker::new(&at, TOPIC);
    neighbour.send(&[Part::Message(TOPIC.to_owned(), envelope(b"after joining"))]);
    in_time("what follows its joining", async {
        loop {
            tokio::select! {
                () = neighbour.parted() => panic!("parted with"),
                event = net.next() => if accept(&mut net, event).is_some() {
                    return;
                },
            }
        }
    })
    .await;
    assert_eq!(net.peers(), 0);
    neighbour.send(&[Part::graft(TOPIC)]);
    let mut nets = [net];
    tokio::select! {
        () = meet(&mut nets, &[1]) => {}
        () = neighbour.parted() => panic!("parted with"),
    }
}

#[tokio::test]
async fn whoever_is_told_of_a_neighbour_is_passed_on_to_by_it() {
    for round in 0..20_u8 {
        let at = place();
        let mut nets = [node(&at, &[]), node(&place(), &[&at]), node(&place(), &[&at])];
        // Told of the hub, whatever the hub was told.
        meet(&mut nets, &[0, 1, 1]).await;
        for author in [1, 2_u8] {
            let said = envelope(&[round, author]);
            assert_eq!(nets[usize::from(author)].publish(said), PublishOutcome::Sent);
        }
        let mut heard = [false; 3];
        drive(&mut nets, "what either says at the other", |index, event, net| {
            let content = accept(net, event)?;
            heard[index] |= index == 3 - usize::from(content[1]);
            (heard[1] && heard[2]).then_some(())
        })
        .await;
    }
}
