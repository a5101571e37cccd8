//! What a person or a program asks, and the answer.

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::Env;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::session::MAX_TEXT;

use super::input::{Command, CommandId};
use super::output::{CommandError, Event, IdentityView, MessageState, Output, Reply};
use super::publisher::Job;
use super::record::{
    Change, ContactRecord, ContactState, IdentityRecord, MessageRecord, Record, RecordKey,
    SendSequence, StoredDirection, Trust,
};
use super::settings::NodeRole;
use super::talk::{new_outgoing, view_message};
use super::timers::Timer;
use super::{MAX_CONTACTS, MAX_IDENTITIES, Node, meet, roster};

/// Messages that have not left, in all conversations together. A guess: two days of steady work.
pub const MAX_QUEUED: usize = 4_096;

impl Node {
    pub(super) fn on_command(&mut self, env: &mut Env<'_>, id: CommandId, command: Command) {
        let reply = match self.settings.role {
            NodeRole::Relay => Err(CommandError::Relay),
            NodeRole::Messenger => self.carry_out(env, command),
        };
        self.outputs.push_back(Output::Reply { id, reply });
    }

    fn carry_out(&mut self, env: &mut Env<'_>, command: Command) -> Result<Reply, CommandError> {
        match command {
            Command::CreateIdentity { name } => self.create_identity(env, name),
            Command::DeleteIdentity { identity } => self.delete_identity(identity),
            Command::AddContact { identity, key, petname } => {
                self.add_contact(env, identity, key, petname)
            }
            Command::RenameContact { contact, petname } => self.rename_contact(contact, petname),
            Command::RemoveContact { contact } => self.remove_contact(contact),
            Command::Block { contact } => self.block(contact),
            Command::Unblock { contact } => self.unblock(env, contact),
            Command::AcceptRequest { request, petname } => {
                self.accept_request(env, request, petname)
            }
            Command::DeclineRequest { request } => self.decline_request(request),
            Command::Say { contact, text, life } => self.say(env, contact, text, life),
            Command::MarkRead { contact } => self.mark_read(env, contact),
            Command::SetReadReceipts { contact, on } => self.set_read_receipts(contact, on),
            Command::EraseMessage { message } => self.erase_message(env, message),
            Command::Cancel { message } => self.cancel(message),
            Command::Retry { message } => self.retry(message),
            Command::CloseSession { contact } => self.close_session(env, contact),
            Command::Verify { contact, proof } => self.verify(env, contact, &proof),
            Command::Rekey { contact, key } => self.rekey(env, contact, key),
            Command::AcceptUnverified { contact } => self.accept_unverified(env, contact),
        }
    }

    fn create_identity(&mut self, env: &mut Env<'_>, name: String) -> Result<Reply, CommandError> {
        roster::check_name(&name)?;
        if self.roster.identities.len() >= MAX_IDENTITIES {
            return Err(CommandError::Full);
        }
        if self.roster.identities.values().any(|record| record.name == name) {
            return Err(CommandError::NameTaken);
        }
        let identity = Identity::generate(env);
        let record =
            IdentityRecord { id: IdentityId::draw(env), name, identity, created: env.wall };
        let view = view_identity(&record);
        self.put(vec![Record::Identity(record.clone())]);
        self.roster.identities.insert(record.id, record);
        let id = view.id;
        self.emit(Event::Identity(view));
        Ok(Reply::Identity(id))
    }

    fn delete_identity(&mut self, identity: IdentityId) -> Result<Reply, CommandError> {
        self.roster.identities.remove(&identity).ok_or(CommandError::NoIdentity)?;
        let mut changes = vec![Change::Erase(RecordKey::Identity(identity))];
        let contacts: Vec<ContactId> = self
            .roster
            .contacts
            .values()
            .filter(|contact| contact.identity == identity)
            .map(|contact| contact.id)
            .collect();
        for contact in contacts {
            self.forget_contact(contact, &mut changes);
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
            changes.push(Change::Erase(RecordKey::Request(request)));
            self.emit(Event::RequestRemoved(request));
        }
        self.commit(changes);
        self.emit(Event::IdentityRemoved(identity));
        Ok(Reply::Done)
    }

    fn add_contact(
        &mut self,
        env: &mut Env<'_>,
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
            return self.accept_request(env, request, petname);
        }
        let contact = self.new_contact(env, identity, key, petname)?;
        self.start_offer(env, contact);
        Ok(Reply::Contact(contact))
    }

    /// Adds a contact to the roster; storing it is up to what follows.
    fn new_contact(
        &mut self,
        env: &mut Env<'_>,
        identity: IdentityId,
        key: PublicKey,
        petname: String,
    ) -> Result<ContactId, CommandError> {
        self.roster.check_petname(identity, &petname, None)?;
        if self.roster.contacts.len() >= MAX_CONTACTS {
            return Err(CommandError::Full);
        }
        let record = ContactRecord {
            id: ContactId::draw(env),
            identity,
            key,
            petname,
            state: ContactState::Active,
            sent: SendSequence { epoch: env.draw_u64(), next: 0 },
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
        contact: ContactId,
        petname: String,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get(&contact).ok_or(CommandError::NoContact)?;
        self.roster.check_petname(record.identity, &petname, Some(contact))?;
        if let Some(record) = self.roster.contacts.get_mut(&contact) {
            record.petname = petname;
        }
        self.put_contact_alone(contact);
        self.emit_contact(contact);
        Ok(Reply::Done)
    }

    fn remove_contact(&mut self, contact: ContactId) -> Result<Reply, CommandError> {
        if !self.roster.contacts.contains_key(&contact) {
            return Err(CommandError::NoContact);
        }
        let mut changes = Vec::new();
        self.forget_contact(contact, &mut changes);
        self.commit(changes);
        Ok(Reply::Done)
    }

    fn forget_contact(&mut self, contact: ContactId, changes: &mut Vec<Change>) {
        self.end_sessions(contact, ContactState::Inactive, changes);
        let (erased, stopped) = self.outbox.forget(|kept| kept.purpose.concerns(contact));
        changes.extend(erased);
        self.stop_mining(stopped);
        self.open_messages.retain(|_, message| message.contact != contact);
        self.conversations.remove(&contact);
        self.roster.contacts.remove(&contact);
        changes.push(Change::Erase(RecordKey::Contact(contact)));
        changes.push(Change::EraseMessages(contact));
        self.emit(Event::ContactRemoved(contact));
    }

    fn block(&mut self, contact: ContactId) -> Result<Reply, CommandError> {
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
                let changes = self.withdraw(contact, id);
                self.commit(changes);
                self.advance_alone(id, MessageState::Failed);
            }
            if let Some(talk) = self.conversations.get_mut(&contact) {
                talk.send_queue.retain(|&queued| queued != id);
            }
            self.timers.clear(Timer::Retransmit(id));
        }
        let mut changes = Vec::new();
        self.end_sessions(contact, ContactState::Blocked, &mut changes);
        self.commit(changes);
        self.emit_contact(contact);
        Ok(Reply::Done)
    }

    fn unblock(&mut self, env: &mut Env<'_>, contact: ContactId) -> Result<Reply, CommandError> {
        let record = self.roster.contacts.get_mut(&contact).ok_or(CommandError::NoContact)?;
        if record.state == ContactState::Blocked {
            record.state = ContactState::Inactive;
            self.resume_retransmits(env, contact);
            self.put_contact_alone(contact);
            self.emit_contact(contact);
        }
        Ok(Reply::Done)
    }

    fn accept_request(
        &mut self,
        env: &mut Env<'_>,
        request: RequestId,
        petname: String,
    ) -> Result<Reply, CommandError> {
        let record = self.roster.requests.get(&request).ok_or(CommandError::NoRequest)?;
        let (identity, offer) = (record.identity, record.offer.clone());
        let contact = self.new_contact(env, identity, offer.from(), petname)?;
        self.roster.requests.remove(&request);
        self.accept_offer(env, contact, &offer, vec![Change::Erase(RecordKey::Request(request))]);
        // A person decided just now: there is no reflex to hide.
        self.outbox.push(Job::AnswerOffer(contact, meet::session_of(offer.id())));
        self.emit(Event::RequestRemoved(request));
        Ok(Reply::Contact(contact))
    }

    fn decline_request(&mut self, request: RequestId) -> Result<Reply, CommandError> {
        self.roster.requests.remove(&request).ok_or(CommandError::NoRequest)?;
        self.commit(vec![Change::Erase(RecordKey::Request(request))]);
        self.emit(Event::RequestRemoved(request));
        Ok(Reply::Done)
    }

    fn say(
        &mut self,
        env: &mut Env<'_>,
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
        let message =
            MessageRecord { life, ..new_outgoing(MessageId::draw(env), contact, text, env.wall) };
        let id = message.id;
        self.put(vec![Record::Message(message.clone())]);
        self.emit(Event::Message(view_message(&message)));
        self.open_messages.insert(id, message);
        self.enqueue(contact, id);
        if unmet && self.preferred(contact).is_none() {
            self.start_offer(env, contact);
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

    fn cancel(&mut self, id: MessageId) -> Result<Reply, CommandError> {
        let contact = self.open_messages.get(&id).ok_or(CommandError::NoMessage)?.contact;
        if !self.is_withdrawable(id) {
            return Err(CommandError::TooLate);
        }
        let changes = self.withdraw(contact, id);
        self.commit(changes);
        self.advance_alone(id, MessageState::Cancelled);
        Ok(Reply::Done)
    }

    fn close_session(
        &mut self,
        env: &mut Env<'_>,
        contact: ContactId,
    ) -> Result<Reply, CommandError> {
        if !self.roster.contacts.contains_key(&contact) {
            return Err(CommandError::NoContact);
        }
        self.close_sessions(env, contact);
        Ok(Reply::Done)
    }

    pub(super) fn put_contact_alone(&mut self, contact: ContactId) {
        if let Some(record) = self.roster.contacts.get(&contact) {
            let record = record.clone();
            self.put(vec![Record::Contact(record)]);
        }
    }
}

pub(super) fn view_identity(record: &IdentityRecord) -> IdentityView {
    IdentityView { id: record.id, name: record.name.clone(), key: record.identity.public() }
}
