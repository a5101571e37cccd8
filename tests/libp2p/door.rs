//! Who gets a place when many want one.

use core::net::Ipv4Addr;

use futures::future::select_all;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, Transport};

use crate::forward::{Forward, has_many_addresses, socket};
use crate::world::{accept, drive, envelope, in_time, settings};

/// An address that is not the one that everything else here comes from.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

fn internet() -> NetSettings {
    let mut settings = settings();
    settings.transport = Transport::Internet;
    settings
}

/// A node with these settings that listens at a TCP and a QUIC port, and both.
async fn listening(mut settings: NetSettings) -> (Net, Multiaddr, Multiaddr) {
    let at = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];
    settings.listen = at.map(|text| text.parse().expect("an address")).to_vec();
    let mut nets = [Net::new(settings).expect("a node")];
    let mut found = Vec::new();
    drive(&mut nets, "both addresses", |_, event, _| {
        if let NetEvent::Listening(address) = event {
            found.push(address);
        }
        (found.len() == 2).then_some(())
    })
    .await;
    found.sort_by_key(|address| address.to_string().contains("udp"));
    let quic = found.remove(1);
    let [net] = nets;
    (net, found.remove(0), quic)
}

/// A node that keeps this one.
fn newcomer(at: &Multiaddr) -> Net {
    let mut settings = internet();
    settings.peers = vec![at.clone()];
    Net::new(settings).expect("a node")
}

#[tokio::test]
async fn forty_behind_one_address_take_part_and_nobody_is_parted_with() {
    if !has_many_addresses() {
        return;
    }
    let (net, tcp, _) = listening(internet()).await;
    let behind = Forward::tcp(ELSEWHERE, socket(&tcp)).await;
    let mut nets = vec![net];
    nets.extend((0..40).map(|_| newcomer(&behind.at)));
    let mut wanted = vec![1; 41];
    wanted[0] = 40;
    let all = |nets: &[Net]| nets.iter().zip(&wanted).all(|(net, &count)| net.peers() == count);
    in_time("all to meet", async {
        while !all(&nets) {
            let (event, _, _) = select_all(nets.iter_mut().map(|net| Box::pin(net.next()))).await;
            if let NetEvent::Disconnected { why, .. } = event {
                panic!("parted: {why:?}");
            }
        }
    })
    .await;
    nets[1].publish(envelope(b"from behind"));
    drive(&mut nets, "the envelope", |index, event, net| {
        if let NetEvent::Disconnected { why, .. } = event {
            panic!("parted: {why:?}");
        }
        accept(net, event).filter(|_| index == 0)
    })
    .await;
}
