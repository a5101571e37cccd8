//! A bot that accepts every contact request and answers every message. A visitor in the same
//! process talks to it.
//!
//! `cargo run --example answering_bot`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use undertone::{Client, Event, EventFilter, Failure, From, NodeOptions, calls};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failure> {
    let here = NodeOptions::in_memory().network("example")?.floor(8);
    let bot = Client::start(here.clone().listen("/memory/4242")?).await?;
    let invite = bot.call(calls::IdentityNew::new("bot")).await?.invite();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(answer_everybody(bot));

    let visitor = Client::start(here.peer("/memory/4242")?).await?;
    let mut events = visitor.events(EventFilter::all(), From::Now).await?;
    visitor.call(calls::IdentityNew::new("visitor")).await?;
    visitor.call(calls::ContactAdd::new(invite, "bot")).await?;
    visitor.call(calls::MessageSend::new("bot", "what is six times seven")).await?;
    if let Some(answer) = events.incoming().await {
        println!("the bot says: {}", answer.text.sanitize_for_text().text);
    }
    visitor.close().await
}

/// The whole bot.
async fn answer_everybody(bot: Client) -> Result<(), Failure> {
    let mut events = bot.events(EventFilter::all(), From::Now).await?;
    while let Some(event) = events.event().await {
        if let Event::Request(request) = &event {
            bot.call(calls::RequestAccept::new(request, request.key.short())).await?;
        } else if let Event::Message(message) = &event
            && message.is_incoming()
        {
            let words = message.raw_text().split_whitespace().count();
            let answer = format!("{words} words; I will think about it");
            bot.call(calls::MessageSend::new(message.contact, answer)).await?;
        }
    }
    Ok(())
}
