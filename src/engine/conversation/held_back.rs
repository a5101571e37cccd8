//! What of ours to a contact is held back, as front ends are told: for a lower price, or until its
//! turn.
//!
//! The outbox knows which jobs are set aside. Not all of them are held back by the price: behind an
//! offer that is on its way, messages wait for that alone. And some are not needed any more: another
//! envelope has carried what they were for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::env::{Millis, Seconds, UnixSeconds};
use crate::engine::event::{HeldBack, SendRoom};
use crate::engine::record::{EnvelopePurpose, MessageState};
use crate::engine::turn::{Aside, ContactJob, ContactTimer, Job, Timer, Turn};

use super::Conversation;
use super::handshake::SendingSession;
use super::reach;
use super::send::{Need, lifetime_of, need};

/// How much of ours is held back. Totals of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBackTotals {
    /// Messages that have not left.
    pub messages: usize,
    /// Messages that have left, and are to be sent again.
    pub retries: usize,
    /// Offers of sessions.
    pub requests: usize,
    /// Contacts to whom an answer, an acknowledgement or a farewell waits.
    pub answers: usize,
}

/// What is held back in a node, by what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBackIn {
    /// A lower price.
    pub price: HeldBackTotals,
    /// Its turn.
    pub turn: HeldBackTotals,
    /// An acknowledgement: messages that have not left, as too many before them have none.
    pub acknowledgement: usize,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What waits for a lower price.
    pub(super) waiting: Arc<BTreeSet<HeldBack>>,
    /// What waits its turn.
    pub(super) in_line: Arc<BTreeSet<HeldBack>>,
    /// When the price is looked at next, by both clocks.
    pub(super) look: Option<(Millis, UnixSeconds)>,
    /// Whether the next message may leave before the contact answers.
    room: SendRoom,
}

/// Tells front ends what is held back, if that is not what they were told last.
pub(in crate::engine) fn tell_held_back(conversation: &mut Conversation, turn: &mut Turn<'_, '_>) {
    forget_needless(conversation, turn);
    let waiting = held_back(conversation, turn, Aside::Price);
    let in_line = held_back(conversation, turn, Aside::Turn);
    let timer = Timer::Contact(ContactTimer::Price, conversation.id);
    let is_any = !waiting.is_empty() || !in_line.is_empty();
    let look = turn.timers.due(timer).filter(|_| is_any);
    let told = &conversation.held_back;
    let before = told.look.map(|(at, _)| at);
    let room = room(conversation);
    let is_as_told = (&*told.waiting, &*told.in_line, before) == (&waiting, &in_line, look);
    if !is_as_told || told.room != room {
        let wall = |at: Millis| {
            let left = at.0.saturating_sub(turn.env.mono.0).div_ceil(1_000);
            turn.env.wall.plus(Seconds(u32::try_from(left).unwrap_or(u32::MAX)))
        };
        let look = look.map(|at| (at, wall(at)));
        let (waiting, in_line) = (Arc::new(waiting), Arc::new(in_line));
        conversation.held_back = Told { waiting, in_line, look, room };
        conversation.emit(turn);
    }
}

/// Whether the next message may leave, or has to wait until the contact answers: too many are not
/// acknowledged, or they and their repetitions have filled the session's chain.
pub(super) fn room(conversation: &Conversation) -> SendRoom {
    let session = conversation.handshake.sending_session().ready();
    let session = session.and_then(|session| conversation.sessions().get(session));
    let has_room =
        reach::room(&conversation.sent) > 0 && session.is_none_or(|session| session.room() > 0);
    if has_room || !conversation.sent.has_queued() { SendRoom::Free } else { SendRoom::Full }
}

/// Adds what of this contact is held back.
pub(in crate::engine) fn add_held_back(conversation: &Conversation, all: &mut HeldBackIn) {
    let told = &conversation.held_back;
    if room(conversation) == SendRoom::Full {
        all.acknowledgement += conversation.sent.queue.len();
    }
    for (held, totals) in [(&told.waiting, &mut all.price), (&told.in_line, &mut all.turn)] {
        for what in held.iter() {
            match what {
                HeldBack::Request(_) => totals.requests += 1,
                HeldBack::Messages => totals.messages += conversation.sent.queue.len(),
                HeldBack::Again(id) => match conversation.sent.state(*id) {
                    Some(MessageState::Mining) => totals.messages += 1,
                    _ => totals.retries += 1,
                },
                HeldBack::Answers => totals.answers += 1,
            }
        }
    }
}

/// Forgets what was set aside and is not needed any more.
fn forget_needless(conversation: &Conversation, turn: &mut Turn<'_, '_>) {
    let contact = conversation.id;
    let aside: Vec<Job> = turn.outbox.aside(contact).map(|(job, _)| job).collect();
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

/// What waits for this. What waits behind an offer waits for what the offer waits for.
fn held_back(
    conversation: &Conversation,
    turn: &Turn<'_, '_>,
    wanted: Aside,
) -> BTreeSet<HeldBack> {
    let contact = conversation.id;
    let offer = Job::Contact(contact, ContactJob::Offer);
    let is_behind_offer = conversation.handshake.sending_session() == SendingSession::AfterOffer;
    let of_offer = turn.outbox.aside(contact).find(|(job, _)| *job == offer).map(|(_, why)| why);
    let own = |why, what| (why == wanted).then_some(what);
    // What waits for an offer that waits for nothing but its turn among all is not held back.
    let by_session = |why, what| {
        let why = if is_behind_offer { of_offer } else { Some(why) };
        (why == Some(wanted)).then_some(what)
    };
    let held = |(job, why)| match job {
        Job::Contact(_, ContactJob::Offer) => {
            let purpose = EnvelopePurpose::Offer(contact);
            let lifetime = lifetime_of(conversation, purpose, turn.settings.lifetime);
            own(why, HeldBack::Request(lifetime))
        }
        Job::Contact(_, ContactJob::AnswerOffer(_)) => own(why, HeldBack::Answers),
        Job::Contact(_, ContactJob::SendNext) => by_session(why, HeldBack::Messages),
        Job::Contact(_, ContactJob::Retransmit(id) | ContactJob::RetransmitNow(id)) => {
            by_session(why, HeldBack::Again(id))
        }
        Job::Contact(_, ContactJob::Acknowledge) => by_session(why, HeldBack::Answers),
        Job::PublishStored(_, id) => match turn.outbox.kept(contact, id)?.purpose {
            EnvelopePurpose::Message(_, id) => own(why, HeldBack::Again(id)),
            EnvelopePurpose::Control(_) => own(why, HeldBack::Answers),
            EnvelopePurpose::Offer(_) | EnvelopePurpose::Junk => None,
        },
        Job::Junk => None,
    };
    turn.outbox.aside(contact).filter_map(held).collect()
}
