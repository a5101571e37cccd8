//! Nodes that join at the same moment.

use undertone::shell::net::PublishOutcome;

use crate::world::{accept, drive, envelope, meet, node, place};

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
