//! What a message costs, as a person who sends it is told.

use std::io::IsTerminal as _;

use crate::engine::envelope::Lifetime;
use crate::engine::event::Direction;
use crate::engine::price::Step;
use crate::engine::record::MessageState;
use crate::shell::api::{Contact, NetworkStatus};
use crate::shell::cli::output;
use crate::shell::miner::{self, MiningThreads};
use crate::shell::os::clock::wall;
use crate::shell::text::command;
use crate::shell::text::lifetime::{self, WorkCost};
use crate::shell::text::price::{self, AskedPrice};

/// Whether a price is to be told of a message in this state: more than the usual is asked, and nobody
/// had said so; or it has risen above what may be paid. What has left costs nothing any more.
pub(super) fn is_news(asked: AskedPrice, told: Option<AskedPrice>, direction: Direction) -> bool {
    match direction {
        Direction::Outgoing(MessageState::Queued) => {
            told.map_or(!asked.is_usual(), |told| asked.is_too_high() && !told.is_too_high())
        }
        // Its work is searched for, and it leaves for what it may cost at most.
        Direction::Outgoing(MessageState::Mining) => {
            told.is_none() && !asked.is_usual() && !asked.is_too_high()
        }
        Direction::Outgoing(
            MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled,
        )
        | Direction::Incoming => false,
    }
}

/// Says what the message costs before anything is sent: where more than the usual work is asked, and
/// to a person who would wait for the work. At the floor and the price of the node that searches, and
/// as fast as it was when it last did.
pub(super) fn say_price(
    figures: &NetworkStatus,
    (lifetime, asked, own_limit): (Lifetime, AskedPrice, Option<Step>),
    contact: &Contact,
    name: &str,
) {
    let rate = if figures.rate == 0 {
        // As many as that node has, if it says so.
        miner::speed(MiningThreads::new(figures.miner.threads).unwrap_or_default())
    } else {
        figures.rate
    };
    let cost = WorkCost::of(lifetime, figures.floor_bits, figures.price.of(lifetime), rate);
    if !asked.is_usual() {
        output::print_message(&asked.busy(cost));
    }
    if asked.is_too_high() {
        let most = price::work(asked.most());
        output::print_message(&format!(
            "the message waits for a lower price: at most {most} is allowed. While a node runs, {}; {}",
            price::looks(contact.next_look, wall()),
            way_out(asked, own_limit, name)
        ));
    } else if std::io::stderr().is_terminal()
        && cost.seconds().is_none_or(|seconds| seconds > LONG_SECONDS)
    {
        let (life, expectation) = (lifetime::words(lifetime), cost.expectation());
        output::print_message(&format!("lifetime {life}: {expectation}"));
    }
}

/// How a message leaves at the price that is asked now.
pub(super) fn way_out(asked: AskedPrice, own_limit: Option<Step>, name: &str) -> String {
    match own_limit {
        // No limit of its contact changes that.
        Some(_) => format!(
            "its own --max-work stays as it is: cancel it and send it with {}, to have it sent at \
             once",
            asked.now().times()
        ),
        None => format!("at this price it is sent at once: {}", command::allow(name, asked.now())),
    }
}

/// Work that takes more seconds than this is announced before it begins. A guess: less is no wait.
const LONG_SECONDS: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::api::PriceStatus;

    #[test]
    fn a_price_that_nobody_had_said_is_told_once_it_is_and_again_only_if_it_rises_above_the_limit()
    {
        let of = |day| {
            let price = PriceStatus { day, ..PriceStatus::default() };
            AskedPrice::of(price, Lifetime::Day, None)
        };
        let (usual, paid, dear) = (of(0), of(2), of(4));
        let news = |asked, told, state| is_news(asked, told, Direction::Outgoing(state));
        for (asked, told, queued, mining) in [
            (usual, None, false, false),
            (paid, None, true, true),
            (dear, None, true, false),
            (dear, Some(paid), true, false),
            (dear, Some(dear), false, false),
            (paid, Some(usual), false, false),
            (paid, Some(dear), false, false),
        ] {
            assert_eq!(news(asked, told, MessageState::Queued), queued, "{asked:?}, {told:?}");
            assert_eq!(news(asked, told, MessageState::Mining), mining, "{asked:?}, {told:?}");
            assert!(!news(asked, told, MessageState::Sent), "{asked:?}, {told:?}");
        }
    }
}
