//! Commands and their replies. The contact, request or message that a command is about is found
//! here; a command about one contact is carried out by its conversation.

use std::sync::Arc;

use crate::engine::carrier::Carriage;
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::conversation::{self, ContactCommand, Conversation};
use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::event::{Event, IdentityView};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::Step;
use crate::engine::record::{
    ContactRecord, ContactState, IdentityRecord, Record, RecordKey, SendSequence, Trust,
};
use crate::engine::session::SessionId;
use crate::engine::text::spelled_name;
use crate::engine::turn::{ContactJob, Turn};

use super::messenger::Messenger;
use super::roster::{self, MAX_CONTACTS};

/// Unpublished messages in all conversations together. A guess: two days of steady work.
pub const MAX_QUEUED: usize = 4_096;

impl Messenger {
    /// Carries a command out, or returns why not and changes nothing.
    pub(super) fn carry_out(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        command: Command,
    ) -> Result<Reply, CommandError> {
        match command {
            Command::CreateIdentity { name } => self.create_identity(turn, spelled_name(&name)),
            Command::DeleteIdentity { identity } => self.delete_identity(turn, identity),
            Command::AddContact { identity, key, petname, highest } => {
                let petname = spelled_name(&petname);
                self.add_contact(turn, carriage, (identity, key), (petname, highest))
            }
            Command::LimitContact { contact, highest } => {
                self.tell(turn, contact, ContactCommand::Limit { highest })
            }
            Command::RenameContact { contact, petname } => {
                let identity = self.find(contact)?.card().identity;
                let petname = spelled_name(&petname);
                // Names are unique within an identity, or a person could take one contact for
                // another.
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
                self.accept_request(turn, carriage, request, (spelled_name(&petname), None))
            }
            Command::DeclineRequest { request } => {
                // The offer stays in the replay cache, so copies of it on their way ask nobody
                // again.
                self.roster.take_request(request)?;
                self.forget_request(turn, request);
                turn.settle();
                Ok(Reply::Done)
            }
            Command::Say { contact, text, postage } => {
                // The contact's reasons come before the total's: they say what a person can do
                // about it.
                conversation::check_text(self.find(contact)?, &text)?;
                if self.unsent() >= MAX_QUEUED {
                    return Err(CommandError::Full);
                }
                self.tell(turn, contact, ContactCommand::Say { text, postage })
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
            Command::Rekey { contact, key } => self.rekey(turn, carriage, contact, key),
            Command::AcceptUnverified { contact } => {
                self.tell(turn, contact, ContactCommand::AcceptUnverified)
            }
        }
    }

    fn find(&self, contact: ContactId) -> Result<&Conversation, CommandError> {
        self.conversations.get(&contact).ok_or(CommandError::NoContact)
    }

    /// Has a conversation carry out a command.
    fn tell(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        command: ContactCommand,
    ) -> Result<Reply, CommandError> {
        let conversation = self.conversations.get_mut(&contact).ok_or(CommandError::NoContact)?;
        command.carry_out(conversation, turn)
    }

    /// Has the conversation that holds a message carry out a command.
    fn tell_of(
        &mut self,
        turn: &mut Turn<'_, '_>,
        message: MessageId,
        command: ContactCommand,
    ) -> Result<Reply, CommandError> {
        let conversation = self.holding(message).ok_or(CommandError::NoMessage)?;
        command.carry_out(conversation, turn)
    }

    /// Erases a message on this device. One that is done with is in the store alone.
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
                conversation::remove_with_identity(conversation, turn);
            }
        }
        for request in self.roster.requests.take_all_to(identity) {
            self.forget_request(turn, request);
        }
        turn.settle();
        turn.emit(Event::IdentityRemoved(identity));
        Ok(Reply::Done)
    }

    /// Erases a request that was decided, and emits that.
    fn forget_request(&self, turn: &mut Turn<'_, '_>, request: RequestId) {
        turn.erase(RecordKey::Request(request));
        turn.emit(Event::RequestRemoved(request));
    }

    fn add_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        (identity, key): (IdentityId, PublicKey),
        (petname, highest): (String, Option<Step>),
    ) -> Result<Reply, CommandError> {
        // One contact for each key: an offer is routed by the key that made it.
        self.check_key(identity, &key)?;
        // Both may have added each other at once. Then their request is accepted, instead of two
        // offers that cross.
        self.roster.store_request_of(turn, identity, &key);
        if let Some(request) = self.roster.requests.by_key(identity, &key) {
            return self.accept_request(turn, carriage, request, (petname, highest));
        }
        let contact = self.new_contact(turn, (identity, key), (petname, highest))?;
        if let Some(conversation) = self.conversations.get_mut(&contact) {
            conversation.start_offer(turn);
        }
        Ok(Reply::Contact(contact))
    }

    /// Whether a contact of `identity` may have this key.
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

    /// Whether a contact of `identity` (other than `except`) may be called `petname`.
    fn check_petname(
        &self,
        identity: IdentityId,
        petname: &str,
        except: Option<ContactId>,
    ) -> Result<(), CommandError> {
        roster::check_name(petname)?;
        let taken = self.conversations.iter().any(|(&contact, conversation)| {
            let card = conversation.card();
            // One of an earlier version may be spelled otherwise, and looks the same.
            let is_called_so = spelled_name(card.petname) == petname;
            card.identity == identity && is_called_so && Some(contact) != except
        });
        if taken { Err(CommandError::NameTaken) } else { Ok(()) }
    }

    /// Adds a contact. Storing it is up to the caller: by an offer, or by accepting one.
    fn new_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (identity, key): (IdentityId, PublicKey),
        (petname, highest): (String, Option<Step>),
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
            highest,
        };
        let id = record.id;
        self.conversations.insert(id, Conversation::new(Arc::clone(own), record));
        Ok(id)
    }

    fn accept_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
        request: RequestId,
        (petname, highest): (String, Option<Step>),
    ) -> Result<Reply, CommandError> {
        let record = self.roster.request(request)?;
        let (identity, key) = (record.identity, record.offer.from());
        let contact = self.new_contact(turn, (identity, key), (petname, highest))?;
        // Only after everything that can fail: a refused command leaves the request waiting.
        let offer = self.roster.take_request(request)?.offer;
        turn.erase(RecordKey::Request(request));
        self.accept_offer(turn, carriage, contact, &offer);
        // Without the delay of an automatic answer: its time shows when a person decided, and not
        // when the offer came.
        turn.outbox.push_for(contact, ContactJob::AnswerOffer(SessionId::from(offer.id())));
        turn.emit(Event::RequestRemoved(request));
        Ok(Reply::Contact(contact))
    }

    /// Replaces a contact's key.
    fn rekey(
        &mut self,
        turn: &mut Turn<'_, '_>,
        carriage: &dyn Carriage,
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
        // The holder of the new key may have made an offer already, which waits as a stranger's
        // request.
        self.roster.store_request_of(turn, identity, &key);
        let Some(request) = self.roster.requests.by_key(identity, &key) else {
            turn.settle();
            self.find(contact)?.emit(turn);
            return Ok(Reply::Done);
        };
        let offer = self.roster.take_request(request)?.offer;
        self.forget_request(turn, request);
        self.accept_offer(turn, carriage, contact, &offer);
        Ok(Reply::Done)
    }
}
