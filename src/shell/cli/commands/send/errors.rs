//! The errors with which the wait for a message ends: what did not happen, why, and what to do.

use super::costs::way_out;
use super::progress::SendProgress;
use crate::engine::event::{SessionStatus, WaitsFor};
use crate::engine::id::MessageId;
use crate::engine::record::{HoldReason, MessageState, Trust};
use crate::shell::cli::args::WaitFor;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::wall;
use crate::shell::text::price::{self, UNANSWERED};
use crate::shell::text::{clock_skew, message_state, network_words};

/// What is known of a message when the node that was to accept it did not answer.
pub(super) fn unknown(failure: Failure, name: &str) -> Failure {
    let Some(code @ (FailureCode::NodeEnded | FailureCode::NodeSilent)) = failure.code() else {
        return failure;
    };
    not_known(code, &failure.what, name)
}

/// Nobody knows whether a node has accepted the message, because of this.
pub(super) fn not_known(code: FailureCode, why: &str, name: &str) -> Failure {
    let text = FailureText {
        what: "whether the message was accepted is not known",
        why,
        safe: "if it was accepted, it is saved and is sent automatically while a node runs",
        next: &format!(
            "see whether it is there before you send it again: undertone history {name}"
        ),
    };
    Failure::new(code, text)
}

/// The command that shows a message that was accepted.
pub(super) fn show(message: MessageId) -> String {
    let id = message.short();
    format!("do not send it again; see its state with undertone message show {id}")
}

impl SendProgress {
    pub(super) fn held(&self) -> Failure {
        // An error is JSON, too, so it names no day of a local calendar.
        let why = if matches!(self.trust, Trust::OnHold { reason: HoldReason::Mismatch, .. }) {
            "NO MATCH when the contact was compared; sending is paused"
        } else {
            "KEY CHANGED, and not verified since; sending is paused"
        };
        let safe = "the message is queued, and is sent once you verify or accept the contact";
        let name = &self.name;
        let next =
            &format!("undertone contact verify {name}, or undertone contact accept-key {name}");
        let text = FailureText { what: "the message was not sent", why, safe, next };
        Failure::new(FailureCode::Held, text)
    }

    /// The node was lost after it had accepted the message.
    pub(super) fn accepted(&self, failure: Failure) -> Failure {
        let Some(code @ (FailureCode::NodeEnded | FailureCode::NodeSilent)) = failure.code() else {
            return failure;
        };
        let text = FailureText {
            what: "what became of the message is not known",
            why: &failure.what,
            safe: ACCEPTED,
            next: &self.show(),
        };
        Failure::new(code, text)
    }

    /// The command that shows the message.
    fn show(&self) -> String {
        show(self.message)
    }

    pub(super) fn not_acknowledged(&self) -> Failure {
        let why = "it was sent and has expired, and no acknowledgement came";
        let safe = &format!(
            "it may have been received; a late acknowledgement still counts; {}",
            self.is_sent_again()
        );
        let id = self.message.short();
        let next = &format!("undertone message retry {id}; the contact sees it only once");
        let text = FailureText { what: "the message was not acknowledged", why, safe, next };
        Failure::new(FailureCode::NotAcknowledged, text)
    }

    pub(super) fn not_sent(&self) -> Failure {
        let why = message_state::meaning(self.state);
        let safe = "nobody has received it; it is saved here";
        let next = &format!("undertone message retry {}", self.message.short());
        let text = FailureText { what: "the message was not sent", why, safe, next };
        Failure::new(FailureCode::NotSent, text)
    }

    /// The time is over, and this kept the message from being sent; `None` if it is none of these.
    fn kept_back(&self) -> Option<Failure> {
        if self.has_left() {
            return None;
        }
        // The fault is on this side then, and no longer wait would mend it.
        if self.peers == 0 {
            let names = self.names_trouble.as_deref().map(network_words::names);
            let why = names.as_deref().unwrap_or(NOBODY_OF_IT);
            let text = FailureText {
                what: "no peer could be reached",
                why,
                safe: QUEUED,
                next: "add --peer MULTIADDR of a node with the same --network and --floor",
            };
            return Some(Failure::new(FailureCode::NoRelay, text));
        }
        Some(match self.price_hold()? {
            WaitsFor::Price => self.too_dear(),
            WaitsFor::Turn => self.in_line(),
            WaitsFor::Acknowledgement => self.behind_unanswered(),
        })
    }

    /// The time is over: what did not happen follows from the state that the message has.
    pub(super) fn too_late(&self) -> Failure {
        if let Some(failure) = self.kept_back() {
            return failure;
        }
        if self.not_for_long && self.wait == WaitFor::Sent {
            return self.not_for_long();
        }
        if self.is_uncarried() {
            return self.clock_wrong();
        }
        let what = match self.wait {
            _ if !self.has_left() => "the message was not sent in time",
            WaitFor::Read => "the message was not read in time",
            WaitFor::Queued | WaitFor::Sent | WaitFor::Delivered => {
                "the message was not acknowledged in time"
            }
        };
        let again = self.waits_again();
        let saved = self.is_sent_again();
        let answers = self.price.answers_wait().map(|why| format!("; {why}")).unwrap_or_default();
        let unanswered = format!("it was sent, and no acknowledgement has arrived yet{answers}");
        let (why, safe) = match self.state {
            MessageState::Mining => ("its proof of work is still being computed", QUEUED),
            MessageState::Delivered | MessageState::Read => (
                "it was delivered; the contact has not read it yet, or does not send read marks",
                "the contact's device has the message",
            ),
            MessageState::Unacknowledged if self.not_for_long => (NOT_HELD, saved.as_str()),
            MessageState::Sent | MessageState::Unacknowledged if self.waits_for_price() => (
                "it was sent, no acknowledgement has arrived yet, and a further copy waits for a \
                 lower price",
                again.as_str(),
            ),
            MessageState::Sent | MessageState::Unacknowledged => (
                unanswered.as_str(),
                "it is retried automatically while a node runs, until it is acknowledged",
            ),
            MessageState::Queued | MessageState::Failed | MessageState::Cancelled => {
                let why = match self.session {
                    SessionStatus::Established => "it waits for its turn to be sent",
                    SessionStatus::None
                    | SessionStatus::OfferQueued
                    | SessionStatus::OfferSent
                    | SessionStatus::AwaitingConfirmation
                    | SessionStatus::Blocked => "there is no session with the contact yet",
                };
                (why, QUEUED)
            }
        };
        let show = self.show();
        let next = match self.state {
            MessageState::Mining => {
                format!("have a node go on with it: undertone node run; {show}")
            }
            MessageState::Queued
            | MessageState::Sent
            | MessageState::Unacknowledged
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed
            | MessageState::Cancelled => show,
        };
        let text = FailureText { what, why, safe, next: &next };
        Failure::new(FailureCode::AckTimeout, text)
    }

    /// The time is over, and more is asked than may be paid.
    fn too_dear(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits for a lower price",
            why: &self.price.excess(),
            safe: &format!(
                "the message is queued here; while a node runs, {}, and it leaves when it may",
                price::looks(self.next_look, wall())
            ),
            next: &format!(
                "wait; or {}; or cancel it: undertone message cancel {}",
                self.way_out(),
                self.message.short()
            ),
        };
        Failure::new(FailureCode::WaitsForPrice, text)
    }

    /// When a further copy that waits for a lower price is looked at, and how it leaves sooner.
    fn waits_again(&self) -> String {
        let looks = price::looks(self.next_look, wall());
        format!("while a node runs, {looks}; {}", self.way_out())
    }

    /// What becomes of a message that has left, and may not be held.
    fn is_sent_again(&self) -> String {
        if self.waits_for_price() {
            format!(
                "it is saved here, and its next copy waits for a lower price: {}",
                self.waits_again()
            )
        } else if self.waits_its_turn() {
            let next = price::one_by_one(self.next_look, wall());
            format!("it is saved here, and its next copy waits its turn: {next}")
        } else {
            "it is saved here, and is sent again while a node runs".to_owned()
        }
    }

    fn way_out(&self) -> String {
        way_out(self.price, self.postage.1, &self.name)
    }

    /// The time is over, and others to the contact leave before it.
    fn in_line(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits its turn",
            why: &price::one_by_one(self.next_look, wall()),
            safe: "the message is queued here, its price is allowed, and it is sent automatically \
                   while a node runs",
            next: &self.show(),
        };
        Failure::new(FailureCode::WaitsForTurn, text)
    }

    /// The time is over, and too many before it are not acknowledged.
    fn behind_unanswered(&self) -> Failure {
        let text = FailureText {
            what: "the message was not sent in time: it waits for an acknowledgement",
            why: UNANSWERED,
            safe: QUEUED,
            next: &format!(
                "wait until the contact is back; or cancel it: undertone message cancel {}",
                self.message.short()
            ),
        };
        Failure::new(FailureCode::WaitsForAcknowledgement, text)
    }

    /// The time is over, and the message is in the network without having paid what is asked.
    fn not_for_long(&self) -> Failure {
        let text = FailureText {
            what: "the message is in the network, but not for long",
            why: NOT_HELD,
            safe: &format!("{}; it may have arrived all the same", self.is_sent_again()),
            next: &self.show(),
        };
        Failure::new(FailureCode::NotForLong, text)
    }

    /// It left under a clock by which others refuse it.
    pub(super) fn clock_wrong(&self) -> Failure {
        let why = self.clock.map(clock_skew::words);
        let text = FailureText {
            what: "the message left, and others do not carry it: the clock is wrong",
            why: why.as_deref().unwrap_or("it is dated at a time that is still to come"),
            safe: "it is saved here, and is sent again while a node runs, once the clock is right",
            next: "set the clock of this computer; do not send the message again",
        };
        Failure::new(FailureCode::ClockWrong, text)
    }
}

/// A node of another network, or with another floor, has nothing to say to one of this.
const NOBODY_OF_IT: &str = "no peer of this network answered, or no --peer was given";

/// Why a message may be lost although it has left.
const NOT_HELD: &str = "it left for less work than is asked by now, or peers ask for the most there is: \
                        nodes that are short of room or of their line do not hold it";

/// What becomes of a message of which no more is known than that it was accepted.
pub(super) const ACCEPTED: &str =
    "it was accepted, is saved, and is sent automatically while a node runs";

/// What becomes of a message that has not been sent.
pub(super) const QUEUED: &str =
    "the message is queued here, and is sent automatically while a node runs";

pub(super) fn no_read_marks(name: &str) -> Failure {
    let why = "read marks are off for this contact, so none would arrive";
    let next = &format!("undertone contact read-marks {name} on, or use --wait delivered");
    let text = FailureText { what: "nothing was sent", why, safe: "nothing was changed", next };
    Failure::new(FailureCode::ReadMarksOff, text)
}
