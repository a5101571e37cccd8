//! First datagrams of QUIC connections, as libp2p's clients write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use libp2p::{identity, tls};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::net::UdpSocket;

/// So many of them, each of another connection. They can be sent from any port: nothing in them names
/// one.
pub(crate) async fn first_datagrams(count: usize) -> Vec<Vec<u8>> {
    let catcher = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let at = catcher.local_addr().expect("its address");
    let key = identity::Keypair::generate_ed25519();
    let client = tls::make_client_config(&key, None).expect("TLS");
    let client = QuicClientConfig::try_from(client).expect("TLS 1.3");
    let client = quinn::ClientConfig::new(Arc::new(client));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address"));
    let endpoint = endpoint.expect("an endpoint");
    let (mut caught, mut datagram) = (BTreeMap::new(), [0; 2_048]);
    while caught.len() < count {
        let connecting = endpoint.connect_with(client.clone(), at, "l").expect("a connection");
        let before = caught.len();
        while caught.len() == before {
            let length = catcher.recv(&mut datagram).await.expect("a datagram");
            // Of one connection all begin with the same id, as long as nobody answers.
            caught.entry(connection(&datagram)).or_insert(datagram[..length].to_vec());
        }
        drop(connecting);
    }
    caught.into_values().collect()
}

/// The destination connection id of a long header (RFC 9000, section 17.2).
fn connection(datagram: &[u8]) -> Vec<u8> {
    let length = usize::from(datagram[5]);
    datagram[6..6 + length].to_vec()
}

/// Whether this says no more than that an address is to be proven (RFC 9000, section 17.2.5).
pub(crate) fn is_retry(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xb0 == 0xb0)
}
