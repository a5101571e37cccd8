//! Restoring the messenger from the store: the roster and all conversations as they were when the
//! process ended.
//!
//! An envelope that was stored unfinished never left, and is mined as it is. One that was finished
//! counts as left and is never published again (`publisher`): a message in it is encrypted afresh
//! when its turn comes, an answer, too, and an acknowledgement goes with the next envelope.

use std::sync::Arc;

use crate::engine::conversation::Conversation;
use crate::engine::id::ContactId;
use crate::engine::record::{EnvelopePurpose, OutgoingRecord, Record, RecordKey};
use crate::engine::session::SessionId;
use crate::engine::turn::{ContactJob, Turn};

use super::messenger::Messenger;

/// Builds the messenger from the stored records, in the order in which they were first stored.
pub(super) fn restore(turn: &mut Turn<'_, '_>, records: Vec<Record>) -> Messenger {
    let mut messenger = Messenger { started_at: turn.env.now(), ..Messenger::default() };
    let (mut contacts, mut sessions) = (Vec::new(), Vec::new());
    let (mut outgoing, mut messages) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::Identity(record) => messenger.roster.add_identity(record),
            Record::Contact(record) => contacts.push(record),
            Record::Session(record) => sessions.push(record),
            Record::Request(record) => messenger.roster.requests.restore(record),
            Record::Replay(record) => messenger.roster.restore_replay(turn, &record),
            Record::Message(record) => messages.push(record),
            Record::Outgoing(record) => outgoing.push(record),
        }
    }
    turn.settle();
    for record in contacts {
        // Without its identity's secret key a contact can neither read nor write.
        let Some(own) = messenger.roster.identity(record.identity) else { continue };
        let conversation = Conversation::new(Arc::clone(own), record.clone());
        messenger.conversations.insert(record.id, conversation);
    }
    for record in sessions {
        if let Some(conversation) = messenger.conversations.get_mut(&record.contact) {
            conversation.restore_session(turn, record.session);
        }
    }
    let finished: Vec<EnvelopePurpose> =
        outgoing.into_iter().filter_map(|record| restore_outgoing(turn, record)).collect();
    for message in messages {
        if let Some(conversation) = messenger.conversations.get_mut(&message.contact) {
            conversation.restore_message(turn, message);
        }
    }
    messenger.count_as_left(turn, finished);
    turn.settle();
    messenger
}

/// Schedules what was under way when the process ended.
pub(super) fn resume(messenger: &mut Messenger, turn: &mut Turn<'_, '_>) {
    let mut unanswered: Vec<(SessionId, ContactId)> = Vec::new();
    for (&contact, conversation) in &mut messenger.conversations {
        conversation.resume(turn);
        let sessions = conversation.sessions().unanswered();
        unanswered.extend(sessions.into_iter().map(|session| (session, contact)));
    }
    // In the order of their session ids, which are hashes: so no contact is answered first at every
    // start.
    unanswered.sort_unstable();
    for (session, contact) in unanswered {
        turn.outbox.push_for(contact, ContactJob::AnswerOffer(session));
    }
    messenger.spread(turn);
}

/// Takes back an envelope that never left; erases one that left, or that nobody needs, and returns
/// what it was for if it left.
fn restore_outgoing(turn: &mut Turn<'_, '_>, record: OutgoingRecord) -> Option<EnvelopePurpose> {
    let contact = record.purpose.contact()?;
    match (record.purpose, &record.envelope) {
        // Encrypted, and its key used up: it must leave as it is.
        (EnvelopePurpose::Message(..) | EnvelopePurpose::Control(_), None) => {
            turn.outbox.push_encrypted(contact, record);
            None
        }
        // An offer is sealed afresh when its turn comes.
        (EnvelopePurpose::Offer(_) | EnvelopePurpose::Junk, None) => {
            turn.erase(RecordKey::Outgoing(record.id));
            None
        }
        (_, Some(_)) => {
            turn.erase(RecordKey::Outgoing(record.id));
            Some(record.purpose)
        }
    }
}
