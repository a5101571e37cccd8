//! What of ours to a contact waits for a lower price, as front ends are told.
//!
//! The outbox knows which jobs are set aside. Not all of them wait for a price: behind an offer that
//! is on its way, messages wait for that alone. And some are not needed any more: another envelope
//! has carried what they were for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::event::WaitingForPrice;
use crate::engine::record::{EnvelopePurpose, MessageState};
use crate::engine::turn::{ContactJob, Job, Turn};

use super::Conversation;
use super::handshake::SendingSession;
use super::send::{Need, lifetime_of, need};

/// How much of ours waits for a lower price. Totals of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceWaitTotals {
    /// Messages that have not left.
    pub messages: usize,
    /// Messages that have left, and are to be sent again.
    pub retries: usize,
    /// Offers of sessions.
    pub requests: usize,
    /// Contacts to whom an answer, an acknowledgement or a farewell waits.
    pub answers: usize,
}

/// Tells front ends what waits for a lower price, if that is not what they were told last.
pub(in crate::engine) fn tell_price_wait(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    forget_needless(conversation, turn);
    let now = waiting(conversation, turn);
    if *conversation.waiting != now {
        conversation.waiting = Arc::new(now);
        conversation.emit(turn);
    }
}

/// Adds what waits of this contact.
pub(in crate::engine) fn add_waiting(conversation: &Conversation, totals: &mut PriceWaitTotals) {
    for waiting in conversation.waiting.iter() {
        match waiting {
            WaitingForPrice::Request(_) => totals.requests += 1,
            WaitingForPrice::Messages => totals.messages += conversation.sent.queue.len(),
            WaitingForPrice::Again(id) => match conversation.sent.state(*id) {
                Some(MessageState::Mining) => totals.messages += 1,
                _ => totals.retries += 1,
            },
            WaitingForPrice::Answers => totals.answers += 1,
        }
    }
}

/// Forgets what was set aside and is not needed any more.
fn forget_needless(conversation: &Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    let aside: Vec<Job> = turn.outbox.aside(contact).collect();
    for job in aside {
        let is_needed = match job {
            Job::Contact(_, job) => need(conversation, turn.settings, job) != Need::None,
            Job::PublishStored(_, id) => turn.outbox.kept(contact, id).is_some(),
            Job::Junk => false,
        };
        if !is_needed {
            turn.outbox.forget_aside(contact, job);
        }
    }
}

fn waiting(conversation: &Conversation, turn: &Turn<'_, '_>) -> BTreeSet<WaitingForPrice> {
    let contact = conversation.id;
    let offer = Job::Contact(contact, ContactJob::Offer);
    let is_behind_offer = conversation.handshake.sending_session() == SendingSession::AfterOffer;
    let offer_waits = turn.outbox.aside(contact).any(|job| job == offer);
    // What waits for an offer that waits for nothing but its turn does not wait for a price.
    let by_session = |what| (!is_behind_offer || offer_waits).then_some(what);
    let waits_for = |job| match job {
        Job::Contact(_, ContactJob::Offer) => {
            let purpose = EnvelopePurpose::Offer(contact);
            let lifetime = lifetime_of(conversation, purpose, turn.settings.lifetime);
            Some(WaitingForPrice::Request(lifetime))
        }
        Job::Contact(_, ContactJob::AnswerOffer(_)) => Some(WaitingForPrice::Answers),
        Job::Contact(_, ContactJob::SendNext) => by_session(WaitingForPrice::Messages),
        Job::Contact(_, ContactJob::Retransmit(id) | ContactJob::RetransmitNow(id)) => {
            by_session(WaitingForPrice::Again(id))
        }
        Job::Contact(_, ContactJob::Acknowledge) => by_session(WaitingForPrice::Answers),
        Job::PublishStored(_, id) => match turn.outbox.kept(contact, id)?.purpose {
            EnvelopePurpose::Message(_, id) => Some(WaitingForPrice::Again(id)),
            EnvelopePurpose::Control(_) => Some(WaitingForPrice::Answers),
            EnvelopePurpose::Offer(_) | EnvelopePurpose::Junk => None,
        },
        Job::Junk => None,
    };
    turn.outbox.aside(contact).filter_map(waits_for).collect()
}
