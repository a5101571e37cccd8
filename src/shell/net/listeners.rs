//! The addresses that a node listens at, and listening again at one whose socket failed.
//!
//! A socket can fail for a moment's trouble of the system, as when it has no memory left. Whoever
//! dialled the node would be refused from then on, until it was started over.

use core::time::Duration;

use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use tokio::time::Instant;

use crate::engine::secret::opaque_debug;

/// The pause before an address is listened at again. A guess: a shortage of memory or of descriptors is
/// over or it is not, and looking costs nothing.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);

/// Where a node listens: as many addresses as it was given.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<(ListenerId, Multiaddr)>,
    /// Those that failed, and when each is tried again.
    failed: Vec<(Instant, Multiaddr)>,
}

opaque_debug!(struct Listeners { open, failed });

impl Listeners {
    /// Takes in a listener that was begun.
    pub(super) fn add(&mut self, id: ListenerId, address: Multiaddr) {
        self.open.push((id, address));
    }

    /// A listener has ended by a failure. It is tried again if it is one of ours.
    pub(super) fn failed(&mut self, id: ListenerId, now: Instant) {
        let ended = self.open.extract_if(.., |(open, _)| *open == id);
        self.failed.extend(ended.map(|(_, address)| (now + LISTEN_AGAIN, address)));
    }

    /// An address could not be listened at yet.
    pub(super) fn try_later(&mut self, address: Multiaddr, now: Instant) {
        self.failed.push((now + LISTEN_AGAIN, address));
    }

    /// Takes out the addresses to listen at again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Multiaddr> {
        self.failed.extract_if(.., |(at, _)| *at <= now).map(|(_, address)| address).collect()
    }

    /// Takes out all that listen.
    pub(super) fn take(&mut self) -> impl Iterator<Item = ListenerId> {
        self.open.drain(..).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use libp2p::swarm::SwarmEvent;
    use tokio::time::timeout;

    use super::super::{Net, NetEvent, NetSettings};
    use super::*;

    /// Waits until it listens; the address.
    async fn listening(net: &mut Net) -> Multiaddr {
        let heard = async {
            loop {
                if let NetEvent::Listening(address) = net.next().await {
                    return address;
                }
            }
        };
        timeout(Duration::from_secs(60), heard).await.expect("it listens nowhere")
    }

    #[tokio::test]
    async fn an_address_whose_socket_failed_is_listened_at_again() {
        let mut settings = NetSettings::new("listeners".parse().expect("a name"), 4);
        let at: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
        settings.listen.push(at.clone());
        settings.pace.tick = Duration::from_millis(10);
        let mut net = Net::new(settings).expect("a network");
        let before = listening(&mut net).await;
        let listener_id = net.listeners.open[0].0;
        // As the socket failing would.
        assert!(net.swarm.remove_listener(listener_id));
        let reason = Err(io::ErrorKind::OutOfMemory.into());
        net.on_swarm(SwarmEvent::ListenerClosed { listener_id, addresses: vec![before], reason });
        listening(&mut net).await;
        assert_eq!(net.listeners.open.len(), 1);
        assert_eq!(net.listeners.open[0].1, at);
    }

    #[test]
    fn a_failed_listener_is_due_after_a_pause_and_one_of_others_is_not() {
        let (mut listeners, now) = (Listeners::default(), Instant::now());
        let [one, other] = [ListenerId::next(), ListenerId::next()];
        listeners.add(one, "/memory/1".parse().expect("an address"));
        listeners.failed(other, now);
        assert!(listeners.due(now + LISTEN_AGAIN).is_empty());
        listeners.failed(one, now);
        assert!(listeners.due(now).is_empty());
        let due = listeners.due(now + LISTEN_AGAIN);
        assert_eq!(due.len(), 1);
        assert!(listeners.due(now + LISTEN_AGAIN).is_empty() && listeners.take().count() == 0);
        assert_eq!(format!("{listeners:?}"), "Listeners");
    }
}
