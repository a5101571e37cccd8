//! Connections that come from chosen addresses of this machine.
//!
//! libp2p binds what it dials from to no address, so on one machine everybody would be 127.0.0.1.
//! Here somebody dials a port of ours, and the other half goes on from any address of 127/8. Where
//! the system has only 127.0.0.1 (macOS), there is none.

use core::net::{Ipv4Addr, SocketAddr};
use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use undertone::shell::net::Multiaddr;

/// A port of this machine, and the way from there. Dropping it ends all connections through it.
pub(crate) struct Forward {
    /// What to dial.
    pub(crate) at: Multiaddr,
    _tasks: JoinSet<()>,
}

impl Forward {
    /// Everything that is dialled at its port goes on to `to`, from the address `from`.
    pub(crate) async fn tcp(from: Ipv4Addr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                links.spawn(async move {
                    if let Ok(mut far) = connect(from, to).await {
                        // However it ends, both ends are closed then.
                        copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        });
        let at = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address");
        Self { at, _tasks: tasks }
    }

    /// The same over UDP, for one who dials.
    pub(crate) async fn quic(from: Ipv4Addr, to: SocketAddr) -> Self {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = near.local_addr().expect("its address").port();
        let far = UdpSocket::bind((from, 0)).await.expect("a port there");
        far.connect(to).await.expect("a way there");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut there, mut back, mut dialler) = ([0; 2_048], [0; 2_048], None);
            loop {
                // What cannot be sent is lost, as on any network.
                tokio::select! {
                    Ok((length, who)) = near.recv_from(&mut there) => {
                        dialler = Some(who);
                        far.send(&there[..length]).await.ok();
                    }
                    Ok(length) = far.recv(&mut back) => if let Some(dialler) = dialler {
                        near.send_to(&back[..length], dialler).await.ok();
                    },
                }
            }
        });
        let at = format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().expect("an address");
        Self { at, _tasks: tasks }
    }
}

/// Connects from a chosen address of this machine.
pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Whether this machine has other loopback addresses than 127.0.0.1.
pub(crate) fn has_many_addresses() -> bool {
    std::net::TcpListener::bind("127.9.0.1:0").is_ok()
}

/// The socket address in a TCP or UDP address of libp2p.
pub(crate) fn socket(address: &Multiaddr) -> SocketAddr {
    let text = address.to_string();
    let parts: Vec<&str> = text.split('/').collect();
    format!("{}:{}", parts[2], parts[4]).parse().expect("an address with a port")
}
