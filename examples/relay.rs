//! A relay as a library: it forwards a conversation that it cannot decrypt.
//!
//! It listens at an address of this process, so that everything here is one process; give it one
//! such as `/ip4/0.0.0.0/tcp/4141`, and it serves the world.
//!
//! `cargo run --example relay`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use undertone::{Client, Event, EventFilter, EventKind, Failure, From, NodeOptions, calls};

const ADDRESS: &str = "/memory/4141";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failure> {
    let example = NodeOptions::in_memory().network("example")?.floor(8);
    let relay = Client::start(example.clone().relay().listen(ADDRESS)?).await?;
    let ann = Client::start(example.clone().peer(ADDRESS)?).await?;
    let bob = Client::start(example.peer(ADDRESS)?).await?;

    let invite = bob.call(calls::IdentityNew::new("bob")).await?.invite();
    let mut bobs = bob.events(EventFilter::all(), From::Now).await?;
    ann.call(calls::IdentityNew::new("ann")).await?;
    ann.call(calls::ContactAdd::new(invite, "bob")).await?;
    ann.call(calls::MessageSend::new("bob", "hello through the relay")).await?;
    while let Some(event) = bobs.event().await {
        if let Event::Request(request) = &event {
            bob.call(calls::RequestAccept::new(request, "ann")).await?;
        } else if let Event::Message(message) = &event
            && message.is_incoming()
        {
            println!("bob reads: {}", message.text.sanitize_for_text().text);
            break;
        }
    }
    let figures = EventFilter::of(&[EventKind::Network]);
    let mut figures = relay.events(figures, From::Now).await?;
    while let Some(event) = figures.event().await {
        if let Event::Network(network) = event
            && network.pool_items > 0
        {
            println!("the relay holds {} envelopes, all alike", network.pool_items);
            break;
        }
    }
    for client in [ann, bob, relay] {
        client.close().await?;
    }
    Ok(())
}
