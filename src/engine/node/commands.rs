//! What a person or a program asks, and the answer.

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::session::MAX_TEXT;

use super::publisher::Job;
use super::talk::{new_outgoing, view_message};
use super::{MAX_CONTACTS, MAX_IDENTITIES, Node, meet, roster};
use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::event::{Event, IdentityView};
use crate::engine::id::CommandId;
use crate::engine::record::MessageState;
use crate::engine::record::{
    ContactRecord, ContactState, IdentityRecord, MessageRecord, Record, RecordKey, SendSequence,
    StoredDirection, Trust,
};
use crate::engine::settings::NodeRole;
use crate::engine::turn::Output;
use crate::engine::turn::{Timer, Turn};

/// Messages that have not left, in all conversations together. A guess: two days of steady work.
pub const MAX_QUEUED: usize = 4_096;

impl Node {
    pub(super) fn on_command(&mut self, turn: &mut Turn<'_, '_>, id: CommandId, command: Command) {
        let reply = match self.settings.role {
            NodeRole::Relay => Err(CommandError::Relay),
            NodeRole::Messenger => self.carry_out(turn, command),
        };
        turn.effect(Output::Reply { id, reply });
    }

    fn carry_out(
        &mut self,
        turn: &mut Turn<'_, '_>,
        command: Command,
    ) -> Result<Reply, CommandError> {
        match command {
            Command::CreateIdentity { name } => self.create_identity(turn, name),
            Command::DeleteIdentity { identity } => self.delete_identity(turn, identity),
            Command::AddContact { identity, key, petname } => {
                self.add_contact(turn, identity, key, petname)
            }
            Command::RenameContact { contact, petname } => {
                self.rename_contact(turn, contact, petname)
            }
            Command::RemoveContact { contact } => self.remove_contact(turn, contact),
            Command::Block { contact } => self.block(turn, contact),
            Command::Unblock { contact } => self.unblock(turn, contact),
            Command::AcceptRequest { request, petname } => {
                self.accept_request(turn, request, petname)
            }
            Command::DeclineRequest { request } => self.decline_request(turn, request),
            Command::Say { contact, text, life } => self.say(turn, contact, text, life),
            Command::MarkRead { contact } => self.mark_read(turn, contact),
            Command::SetReadReceipts { contact, on } => self.set_read_receipts(turn, contact, on),
            Command::EraseMessage { message } => self.erase_message(turn, message),
            Command::Cancel { message } => self.cancel(turn, message),
            Command::Retry { message } => self.retry(turn, message),
            Command::CloseSession { contact } => self.close_session(turn, contact),
            Command::Verify { contact, proof } => self.verify(turn, contact, &proof),
            Command::Rekey { contact, key } => self.rekey(turn, contact, key),
            Command::AcceptUnverified { contact } => self.accept_unverified(turn, contact),
        }
    }

    fn create_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        name: String,
    ) -> Result<Reply, CommandError> {
        roster::check_name(&name)?;
        if self.roster.identities.len() >= MAX_IDENTITIES {
            return Err(CommandError::Full);
        }
        if self.roster.identities.values().any(|record| record.name == name) {
            return Err(CommandError::NameTaken);
        }
        let identity = Identity::generate(turn.env);
        let record = IdentityRecord {
            id: IdentityId::draw(turn.env),
            name,
            identity,
            created: turn.env.wall,
        };
        let view = view_identity(&record);
        turn.put(Record::Identity(record.clone()));
        turn.settle();
        self.roster.identities.insert(record.id, record);
        let id = view.id;
        turn.emit(Event::Identity(view));
        Ok(Reply::Identity(id))
    }

    fn delete_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
    ) -> Result<Reply, CommandError> {
        self.roster.identities.remove(&identity).ok_or(CommandError::NoIdentity)?;
        turn.erase(RecordKey::Identity(identity));
        let contacts: Vec<ContactId> = self
            .roster
            .contacts
            .values()
            .filter(|contact| contact.identity == identity)
            .map(|contact| contact.id)
            .collect();
        for contact in contacts {
            self.forget_contact(turn, contact);
        }
        let requests: Vec<RequestId> = self
            .roster
            .requests
            .values()
            .filter(|request| request.identity == identity)
            .map(|request| request.id)
            .collect();
        for request in requests {
            self.roster.requests.remove(&request);
            turn.erase(RecordKey::Request(request));
            turn.emit(Event::RequestRemoved(request));
        }
        turn.settle();
        turn.emit(Event::IdentityRemoved(identity));
        Ok(Reply::Done)
    }

    fn add_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
        key: PublicKey,
        petname: String,
    ) -> Result<Reply, CommandError> {
        if !self.roster.identities.contains_key(&identity) {
            return Err(CommandError::NoIdentity);
        }
        if self.roster.is_own(&key) {
            return Err(CommandError::OwnKey);
        }
        if self.roster.contact_by_key(identity, &key).is_some() {
            return Err(CommandError::KnownKey);
        }
        // Both may have added each other at once: then their request is accepted.
        let request = self
            .roster
            .requests
            .values()
            .find(|request| request.identity == identity && request.offer.from() == key)
            .map(|request| request.id);
        if let Some(request) = request {
            return self.accept_request(turn, request, petname);
        }
        let contact = self.new_contact(turn, identity, key, petname)?;
        self.start_offer(turn, contact);
        Ok(Reply::Contact(contact))
    }

    /// Adds a contact to the roster; storing it is up to what follows.
    fn new_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        identity: IdentityId,
        key: PublicKey,
        petname: String,
    ) -> Result<ContactId, CommandError> {
        self.roster.check_petname(identity, &petname, None)?;
        if self.roster.contacts.len() >= MAX_CONTACTS {
            return Err(CommandError::Full);
        }
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
        self.roster.contacts.insert(id, record);
        Ok(id)
    }

    fn rename_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        petname: String,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        self.roster.check_petname(record.identity, &petname, Some(contact))?;
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.petname = petname;
        }
        self.put_contact(turn, contact);
        turn.settle();
        self.emit_contact(turn, contact);
        Ok(Reply::Done)
    }

    fn remove_contact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        if !self.roster.contacts.contains_key(&contact) {
            return Err(CommandError::NoContact);
        }
        self.forget_contact(turn, contact);
        turn.settle();
        Ok(Reply::Done)
    }

    fn forget_contact(&mut self, turn: &mut Turn<'_, '_>, contact: ContactId) {
        self.end_sessions(turn, contact, ContactState::Inactive);
        self.outbox.forget(turn, |kept| kept.purpose.concerns(contact));
        self.open_messages.retain(|_, message| message.contact != contact);
        self.conversations.remove(&contact);
        self.roster.contacts.remove(&contact);
        turn.erase(RecordKey::Contact(contact));
        turn.erase_messages(contact);
        turn.emit(Event::ContactRemoved(contact));
    }

    fn block(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        if !self.roster.contacts.contains_key(&contact) {
            return Err(CommandError::NoContact);
        }
        let waiting: Vec<MessageId> = self
            .open_messages
            .values()
            .filter(|message| message.contact == contact)
            .map(|message| message.id)
            .collect();
        for id in waiting {
            if self.is_withdrawable(id) {
                self.withdraw(turn, contact, id);
                turn.settle();
                self.advance(turn, id, MessageState::Failed);
                turn.settle();
            }
            if let Some(talk) = self.conversations.get_mut(&contact) {
                talk.send_queue.retain(|&queued| queued != id);
            }
            self.timers.clear(Timer::Retransmit(id));
        }
        self.end_sessions(turn, contact, ContactState::Blocked);
        turn.settle();
        self.emit_contact(turn, contact);
        Ok(Reply::Done)
    }

    fn unblock(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get_mut(&contact).ok_or(CommandError::NoContact)?;
        if record.state == ContactState::Blocked {
            record.state = ContactState::Inactive;
            self.resume_retransmits(turn, contact);
            self.put_contact(turn, contact);
            turn.settle();
            self.emit_contact(turn, contact);
        }
        Ok(Reply::Done)
    }

    fn accept_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        petname: String,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.requests.get(&request).ok_or(CommandError::NoRequest)?;
        let (identity, offer) = (record.identity, record.offer.clone());
        let contact = self.new_contact(turn, identity, offer.from(), petname)?;
        self.roster.requests.remove(&request);
        turn.erase(RecordKey::Request(request));
        self.accept_offer(turn, contact, &offer);
        // A person decided just now: there is no reflex to hide.
        self.outbox.push(Job::AnswerOffer(contact, meet::session_of(offer.id())));
        turn.emit(Event::RequestRemoved(request));
        Ok(Reply::Contact(contact))
    }

    fn decline_request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
    ) -> Result<Reply, CommandError> {
        self.roster.requests.remove(&request).ok_or(CommandError::NoRequest)?;
        turn.erase(RecordKey::Request(request));
        turn.settle();
        turn.emit(Event::RequestRemoved(request));
        Ok(Reply::Done)
    }

    fn say(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
        text: String,
        life: Lifetime,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        if record.state == ContactState::Blocked {
            return Err(CommandError::Blocked);
        }
        if text.trim().is_empty() || text.len() > MAX_TEXT {
            return Err(CommandError::BadText);
        }
        if self.queued_messages() >= MAX_QUEUED {
            return Err(CommandError::Full);
        }
        let unmet = record.offer.is_none();
        let message = MessageRecord {
            life,
            ..new_outgoing(MessageId::draw(turn.env), contact, text, turn.env.wall)
        };
        let id = message.id;
        turn.put(Record::Message(message.clone()));
        turn.settle();
        turn.emit(Event::Message(view_message(&message)));
        self.open_messages.insert(id, message);
        self.enqueue(contact, id);
        if unmet && self.preferred(contact).is_none() {
            self.start_offer(turn, contact);
        }
        Ok(Reply::Message(id))
    }

    pub(super) fn enqueue(&mut self, contact: ContactId, id: MessageId) {
        self.conversations.entry(contact).or_default().send_queue.push_back(id);
        self.schedule_send(contact);
    }

    /// Whether a message has not left and can still be kept from leaving.
    pub(super) fn is_withdrawable(&self, id: MessageId) -> bool {
        match self.open_messages.get(&id).map(|message| message.direction) {
            Some(StoredDirection::Outgoing(MessageState::Queued)) => true,
            Some(StoredDirection::Outgoing(MessageState::Mining)) => self.outbox.is_unpublished(id),
            Some(StoredDirection::Outgoing(
                MessageState::Sent
                | MessageState::Unacknowledged
                | MessageState::Delivered
                | MessageState::Read
                | MessageState::Failed
                | MessageState::Cancelled,
            ))
            | Some(StoredDirection::Delivered | StoredDirection::Buffered { .. })
            | None => false,
        }
    }

    fn cancel(&mut self, turn: &mut Turn<'_, '_>, id: MessageId) -> Result<Reply, CommandError> {
        let contact = self.open_messages.get(&id).ok_or(CommandError::NoMessage)?.contact;
        if !self.is_withdrawable(id) {
            return Err(CommandError::TooLate);
        }
        self.withdraw(turn, contact, id);
        turn.settle();
        self.advance(turn, id, MessageState::Cancelled);
        turn.settle();
        Ok(Reply::Done)
    }

    fn close_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        if !self.roster.contacts.contains_key(&contact) {
            return Err(CommandError::NoContact);
        }
        self.close_sessions(turn, contact);
        Ok(Reply::Done)
    }
}

pub(super) fn view_identity(record: &IdentityRecord) -> IdentityView {
    IdentityView { id: record.id, name: record.name.clone(), key: record.identity.public() }
}
