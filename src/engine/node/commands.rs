//! What a person or a program asks, and the answer: who is asked about is found here, and what is asked
//! of one contact is carried out there.

use std::sync::Arc;

use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::conversation::{self, ContactCommand, Conversation};
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::event::{Event, IdentityView};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::record::{
    ContactRecord, ContactState, IdentityRecord, Record, RecordKey, SendSequence, Trust,
};
use crate::engine::relay::pool::Pool;
use crate::engine::session::SessionId;
use crate::engine::turn::{ContactJob, Turn};

use super::messenger::Messenger;
use super::roster::{self, MAX_CONTACTS};

/// Messages that have not left, in all conversations together. A guess: two days of steady work.
pub const MAX_QUEUED: usize = 4_096;

impl Messenger {
    /// Carries a command out, or says why not and changes nothing.
    pub(super) fn carry_out(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        command: Command,
    ) -> Result<Reply, CommandError> {
        match command {
            Command::CreateIdentity { name } => self.create_identity(turn, name),
            Command::DeleteIdentity { identity } => self.delete_identity(turn, identity),
            Command::AddContact { identity, key, petname } => {
                self.add_contact(turn, pool, (identity, key), petname)
            }
            Command::RenameContact { contact, petname } => {
                let identity = self.find(contact)?.card().identity;
                self.check_petname(identity, &petname, Some(contact))?;
                self.tell(turn, contact, ContactCommand::Rename { petname })
            }
            Command::RemoveContact { contact } => {
                let removed = self.conversations.remove(&contact);
                conversation::remove(removed.ok_or(CommandError::NoContact)?, turn);
                turn.settle();
                Ok(Reply::Done)
            }
            Command::Block { contact } => self.tell(turn, contact, ContactCommand::Block),
            Command::Unblock { contact } => self.tell(turn, contact, ContactCommand::Unblock),
            Command::AcceptRequest { request, petname } => {
                self.accept_request(turn, pool, request, petname)
            }
            Command::DeclineRequest { request } => {
                self.roster.take_request(request)?;
                self.forget_request(turn, request);
                turn.settle();
                Ok(Reply::Done)
            }
            Command::Say { contact, text, lifetime } => {
                conversation::check_text(self.find(contact)?, &text)?;
                if self.unsent() >= MAX_QUEUED {
                    return Err(CommandError::Full);
                }
                self.tell(turn, contact, ContactCommand::Say { text, lifetime })
            }
            Command::MarkRead { contact, number } => {
                self.tell(turn, contact, ContactCommand::MarkRead { number })
            }
            Command::SetReadReceipts { contact, on } => {
                self.tell(turn, contact, ContactCommand::SetReadReceipts { on })
            }
            Command::EraseMessage { message } => self.erase_message(turn, message),
            Command::Cancel { message } => {
                self.tell_of(turn, message, ContactCommand::Cancel(message))
            }
            Command::Retry { message } => {
                self.tell_of(turn, message, ContactCommand::Retry(message))
            }
            Command::CloseSession { contact } => {
                self.tell(turn, contact, ContactCommand::CloseSession)
            }
            Command::Verify { contact, proof } => {
                self.tell(turn, contact, ContactCommand::Verify(proof))
            }
            Command::Rekey { contact, key } => self.rekey(turn, pool, contact, key),
            Command::AcceptUnverified { contact } => {
                self.tell(turn, contact, ContactCommand::AcceptUnverified)
            }
        }
    }

    fn find(&self, contact: ContactId) -> Result<&Conversation, CommandError> {
        self.conversations.get(&contact).ok_or(CommandError::NoContact)
    }

    /// Has a conversation do something.
    fn tell(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        command: ContactCommand,
    ) -> Result<Reply, CommandError> {
        let conversation = self.conversations.get_mut(&contact).ok_or(CommandError::NoContact)?;
        command.carry_out(conversation, turn)
    }

    /// Has the conversation do something that a message belongs to.
    fn tell_of(
        &mut self,
        turn: &mut Turn<'_, '_>,
        message: MessageId,
        command: ContactCommand,
    ) -> Result<Reply, CommandError> {
        let conversation = self.holding(message).ok_or(CommandError::NoMessage)?;
        command.carry_out(conversation, turn)
    }

    /// Erases a message here. One that is done with is known to the store alone.
    fn erase_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        message: MessageId,
    ) -> Result<Reply, CommandError> {
        if let Some(conversation) = self.holding(message) {
            return ContactCommand::EraseMessage(message).carry_out(conversation, turn);
        }
        turn.erase(RecordKey::Message(message));
        turn.settle();
        Ok(Reply::Done)
    }

    fn create_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        name: String,
    ) -> Result<Reply, CommandError> {
        self.roster.check_new_identity(&name)?;
        let identity = Identity::generate(turn.env);
        let (id, key) = (IdentityId::draw(turn.env), identity.public());
        let record = IdentityRecord { id, name: name.clone(), identity, created: turn.env.wall };
        turn.put(Record::Identity(record.clone()));
        turn.settle();
        self.roster.add_identity(record);
        turn.emit(Event::Identity(IdentityView { id, name, key }));
        Ok(Reply::Identity(id))
    }

    fn delete_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
    ) -> Result<Reply, CommandError> {
        self.roster.remove_identity(identity)?;
        turn.erase(RecordKey::Identity(identity));
        let known = |conversation: &Conversation| conversation.card().identity == identity;
        let gone: Vec<ContactId> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| known(conversation))
            .map(|(&contact, _)| contact)
            .collect();
        for contact in gone {
            if let Some(conversation) = self.conversations.remove(&contact) {
                conversation::remove(conversation, turn);
            }
        }
        for request in self.roster.requests_to(identity) {
            self.roster.take_request(request)?;
            self.forget_request(turn, request);
        }
        turn.settle();
        turn.emit(Event::IdentityRemoved(identity));
        Ok(Reply::Done)
    }

    /// Stores and tells that a request is answered.
    fn forget_request(&self, turn: &mut Turn<'_, '_>, request: RequestId) {
        turn.erase(RecordKey::Request(request));
        turn.emit(Event::RequestRemoved(request));
    }

    fn add_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        (identity, key): (IdentityId, PublicKey),
        petname: String,
    ) -> Result<Reply, CommandError> {
        self.check_key(identity, &key)?;
        // Both may have added each other at once: then their request is accepted.
        if let Some(request) = self.roster.request_by_key(identity, &key) {
            return self.accept_request(turn, pool, request, petname);
        }
        let contact = self.new_contact(turn, (identity, key), petname)?;
        if let Some(conversation) = self.conversations.get_mut(&contact) {
            conversation.start_offer(turn);
        }
        Ok(Reply::Contact(contact))
    }

    /// Whether a key may be given to a contact of `identity`.
    fn check_key(&self, identity: IdentityId, key: &PublicKey) -> Result<(), CommandError> {
        if self.roster.identity(identity).is_none() {
            return Err(CommandError::NoIdentity);
        }
        if self.roster.is_own(key) {
            return Err(CommandError::OwnKey);
        }
        if self.contact_by_key(identity, key).is_some() {
            return Err(CommandError::KnownKey);
        }
        Ok(())
    }

    /// Whether `petname` may be given to a contact of `identity` (other than `except`).
    fn check_petname(
        &self,
        identity: IdentityId,
        petname: &str,
        except: Option<ContactId>,
    ) -> Result<(), CommandError> {
        roster::check_name(petname)?;
        let taken = self.conversations.iter().any(|(&contact, conversation)| {
            let card = conversation.card();
            card.identity == identity && card.petname == petname && Some(contact) != except
        });
        if taken { Err(CommandError::NameTaken) } else { Ok(()) }
    }

    /// Adds a contact; storing it is up to what follows.
    fn new_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (identity, key): (IdentityId, PublicKey),
        petname: String,
    ) -> Result<ContactId, CommandError> {
        self.check_petname(identity, &petname, None)?;
        if self.conversations.len() >= MAX_CONTACTS {
            return Err(CommandError::Full);
        }
        let own = self.roster.identity(identity).ok_or(CommandError::NoIdentity)?;
        let record = ContactRecord {
            id: ContactId::draw(turn.env),
            identity,
            key,
            petname,
            state: ContactState::Active,
            sent: SendSequence { epoch: turn.env.draw_u64(), next: 0 },
            received: Vec::new(),
            offer: None,
            trust: Trust::Unverified,
            read_receipts: false,
            restored: None,
        };
        let id = record.id;
        self.conversations.insert(id, Conversation::new(Arc::clone(own), record));
        Ok(id)
    }

    fn accept_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        request: RequestId,
        petname: String,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.request(request)?;
        let (identity, key) = (record.identity, record.offer.from());
        let contact = self.new_contact(turn, (identity, key), petname)?;
        let offer = self.roster.take_request(request)?.offer;
        turn.erase(RecordKey::Request(request));
        self.accept_offer(turn, pool, contact, &offer);
        // A person decided just now: there is no reflex to hide.
        turn.outbox.push_for(contact, ContactJob::AnswerOffer(SessionId::from(offer.id())));
        turn.emit(Event::RequestRemoved(request));
        Ok(Reply::Contact(contact))
    }

    /// Puts another key in a contact's place.
    fn rekey(
        &mut self,
        turn: &mut Turn<'_, '_>,
        pool: &Pool,
        contact: ContactId,
        key: PublicKey,
    ) -> Result<Reply, CommandError> {
        let card = self.find(contact)?.card();
        let identity = card.identity;
        if card.state == ContactState::Blocked {
            return Err(CommandError::Blocked);
        }
        self.check_key(identity, &key)?;
        self.tell(turn, contact, ContactCommand::Rekey(key))?;
        // Whoever holds the other key may have asked already.
        let Some(request) = self.roster.request_by_key(identity, &key) else {
            turn.settle();
            self.find(contact)?.emit(turn);
            return Ok(Reply::Done);
        };
        let offer = self.roster.take_request(request)?.offer;
        self.forget_request(turn, request);
        self.accept_offer(turn, pool, contact, &offer);
        Ok(Reply::Done)
    }
}
