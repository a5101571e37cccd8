//! Restoring the messenger from the store: the roster and all conversations as they were when the
//! process ended.
//!
//! Nothing is encrypted again: an envelope that was stored unfinished is mined as it is, one that
//! was finished is published as it is.

use std::sync::Arc;

use crate::engine::conversation::Conversation;
use crate::engine::id::ContactId;
use crate::engine::record::{EnvelopePurpose, OutgoingRecord, Record};
use crate::engine::session::SessionId;
use crate::engine::turn::{ContactJob, Turn};

use super::messenger::Messenger;

/// Builds the messenger from the stored records, in the order in which they were first stored.
pub(super) fn restore(turn: &mut Turn<'_, '_>, records: Vec<Record>) -> Messenger {
    let mut messenger = Messenger { started_at: turn.env.wall, ..Messenger::default() };
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
    outgoing.into_iter().for_each(|record| restore_outgoing(turn, record));
    for message in messages {
        if let Some(conversation) = messenger.conversations.get_mut(&message.contact) {
            conversation.restore_message(turn, message);
        }
    }
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
}

fn restore_outgoing(turn: &mut Turn<'_, '_>, record: OutgoingRecord) {
    let Some(contact) = record.purpose.contact() else { return };
    match (record.purpose, &record.envelope) {
        // An offer is sealed afresh when its turn comes, so an unfinished envelope of it is not
        // needed.
        (EnvelopePurpose::Offer(_), None) => {}
        // Encrypted, and its key used up: it must leave as it is.
        (_, None) => turn.outbox.push_encrypted(contact, record),
        // Finished, and perhaps published: with the first neighbour it goes again
        // (`Publisher::republish_all`).
        (_, Some(_)) => turn.outbox.keep(contact, record),
    }
}
