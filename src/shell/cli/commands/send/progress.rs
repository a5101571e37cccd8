//! The progress of an accepted message: what is known of it, what it waits for, and when its wait ends.

use serde_json::{Value, json};

use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{Direction, SessionStatus, WaitsFor};
use crate::engine::id::MessageId;
use crate::engine::price::Step;
use crate::engine::record::{MessageState, Trust};
use crate::engine::sync::ClockSkew;
use crate::shell::api::words::state_word;
use crate::shell::api::{Contact, Message, NetworkStatus, PriceSource};
use crate::shell::cli::args::WaitFor;
use crate::shell::cli::output;
use crate::shell::failure::Failure;
use crate::shell::os::clock::wall;
use crate::shell::text::clock_skew;
use crate::shell::text::price::{self, AskedPrice};

/// What became of a message by the end of the wait: for programs, and in a word.
pub(super) struct SendOutcome {
    pub(super) data: Value,
    pub(super) words: &'static str,
}

/// What is known of an accepted message.
pub(super) struct SendProgress {
    pub(super) wait: WaitFor,
    /// The contact, as commands name them.
    pub(super) name: String,
    pub(super) message: MessageId,
    /// The last state of the message.
    pub(super) state: MessageState,
    /// Whether it was sent for less than is asked, so that not all nodes hold it.
    pub(super) not_for_long: bool,
    /// What holds it back, as the node says.
    pub(super) hold: Option<WaitsFor>,
    /// When the node looks at the price of what is held back next.
    pub(super) next_look: Option<UnixSeconds>,
    /// What was said of it when it was accepted.
    pub(super) postage: (Lifetime, Option<Step>),
    /// What it costs, and may cost.
    pub(super) price: AskedPrice,
    /// Whether anybody said so.
    pub(super) price_from: PriceSource,
    pub(super) trust: Trust,
    pub(super) session: SessionStatus,
    /// The node's neighbours.
    pub(super) peers: usize,
    /// A name of a peer that is not known, and why.
    pub(super) names_trouble: Option<String>,
    /// When it left last, by our clock.
    pub(super) last_sent: Option<UnixSeconds>,
    /// How that differs from the clocks of others, if one of them said so.
    pub(super) clock: Option<ClockSkew>,
}

impl SendProgress {
    pub(super) const fn wanted(&self) -> MessageState {
        match self.wait {
            WaitFor::Queued => MessageState::Queued,
            WaitFor::Sent => MessageState::Sent,
            WaitFor::Delivered => MessageState::Delivered,
            WaitFor::Read => MessageState::Read,
        }
    }

    pub(super) fn note(&mut self, message: &Message) {
        if let Direction::Outgoing(state) = message.direction {
            self.state = state;
            self.not_for_long = message.is_not_for_long(wall());
            self.hold = message.waits_for;
            self.last_sent = message.delivery.last_sent;
        }
    }

    /// Whether it left, and no more is known of it.
    pub(super) fn is_only_sent(&self) -> bool {
        self.state == MessageState::Sent && self.wait != WaitFor::Queued
    }

    /// Whether it left, and others do not carry it, because the clock is wrong.
    pub(super) fn is_uncarried(&self) -> bool {
        let sent = self.last_sent.filter(|_| self.is_only_sent());
        sent.is_some_and(|sent| {
            clock_skew::is_uncarried((sent, self.postage.0), self.clock, wall())
        })
    }

    /// Notes what is asked and what is allowed, both as they are now: either may have changed.
    pub(super) fn note_price(&mut self, network: &NetworkStatus, contact: &Contact) {
        self.price = AskedPrice::of_message(network.price, self.postage, contact);
        self.price_from = network.price_from;
        self.next_look = contact.next_look;
    }

    /// The result, if the state is the wanted one or a later one; an error, if it ends the wait.
    pub(super) fn end(&self) -> Result<Option<SendOutcome>, Failure> {
        match (self.reached(), self.state) {
            // First, because the same state may be a success: a message that was to be sent has
            // been, even if no acknowledgement came for it.
            (Some(done), _) => Ok(Some(done)),
            // Its envelope is new, and the next one follows soon.
            (None, MessageState::Unacknowledged) if self.not_for_long => Ok(None),
            // Retransmission goes on for days, and a script does not: it gets the code of a time
            // that is over.
            (None, MessageState::Unacknowledged) => Err(self.not_acknowledged()),
            // Nobody has it, whatever the wait: an hour more would not bring it anywhere.
            (None, MessageState::Sent) if self.wait == WaitFor::Sent && self.is_uncarried() => {
                Err(self.clock_wrong())
            }
            // Only a person moves it on from here.
            (None, MessageState::Failed | MessageState::Cancelled) => Err(self.not_sent()),
            (
                None,
                MessageState::Queued
                | MessageState::Mining
                | MessageState::Sent
                | MessageState::Delivered
                | MessageState::Read,
            ) => Ok(None),
        }
    }

    pub(super) fn reached(&self) -> Option<SendOutcome> {
        let word = state_word(self.state);
        // What is not for long in the network has left, and nobody may rely on it; nor on what others do
        // not carry.
        let is_promised = self.wait != WaitFor::Sent || !(self.not_for_long || self.is_uncarried());
        let is_there = is_promised && self.state.has_reached(self.wanted());
        is_there.then(|| SendOutcome {
            data: json!({
                "state": word,
                "id": self.message.hex(),
                "price": self.price_json(),
                "waits_for_acknowledgement": self.waits_for_acknowledgement(),
                "clock_minutes": self.clock.map(|clock| clock.minutes),
            }),
            words: word,
        })
    }

    /// What it costs and may cost, for programs. What nobody said is null, and so is whether a message
    /// that has not left waits for it.
    fn price_json(&self) -> Value {
        let hold = self.price_hold();
        let mut price = self.price.json(hold);
        if self.price_from == PriceSource::Own {
            output::forget(&mut price, &["work"]);
            if hold.is_none() && self.state == MessageState::Queued {
                output::forget(&mut price, &["waits", "waits_for_turn"]);
            }
        }
        price
    }

    /// What holds it back: so the node says, or it has not looked yet and will find. The price may have
    /// fallen since the node said that it is too high.
    pub(super) fn price_hold(&self) -> Option<WaitsFor> {
        let is_next = self.state == MessageState::Queued && price::is_under_way(self.session);
        match self.hold {
            None if is_next => self.price.hold(),
            Some(WaitsFor::Price) if self.price_from == PriceSource::Peers => {
                self.price.hold().or(Some(WaitsFor::Turn))
            }
            Some(WaitsFor::Price | WaitsFor::Turn | WaitsFor::Acknowledgement) | None => self.hold,
        }
    }

    pub(super) fn waits_for_price(&self) -> bool {
        self.price_hold() == Some(WaitsFor::Price)
    }

    pub(super) fn waits_for_acknowledgement(&self) -> bool {
        self.hold == Some(WaitsFor::Acknowledgement)
    }

    pub(super) fn waits_its_turn(&self) -> bool {
        self.price_hold() == Some(WaitsFor::Turn)
    }

    /// Whether it only waits its turn to reach the pool: nobody knows how long what is there waits for
    /// its contact.
    fn leaves_in_turn(&self) -> bool {
        let is_too_cheap = self.not_for_long && self.wait == WaitFor::Sent;
        self.waits_its_turn() && (is_too_cheap || !self.has_left())
    }

    /// Whether it needs nothing but time to reach the pool.
    pub(super) fn leaves_by_itself(&self) -> bool {
        self.leaves_in_turn() || (self.state == MessageState::Mining && self.peers > 0)
    }

    /// What it waits for that leaves by itself.
    pub(super) fn delay_words(&self) -> String {
        if self.state == MessageState::Mining {
            return "the proof of work takes longer than a minute".to_owned();
        }
        let next = price::one_by_one(self.next_look, wall());
        format!("the message waits its turn: {next}")
    }

    /// Whether it is in the network, or was.
    pub(super) const fn has_left(&self) -> bool {
        match self.state {
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Failed
            | MessageState::Cancelled => false,
            MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read => true,
        }
    }
}
