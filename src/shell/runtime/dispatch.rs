//! The dispatcher: each method of the client interface, carried out by the engine and the store.

use data_encoding::HEXLOWER;

use super::{CHOSEN_IDENTITY, Course, Runtime, RuntimeError};
use crate::engine::command::{Command, CommandError, Proof, Reply};
use crate::engine::crypto::invite;
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::SasWord;
use crate::engine::envelope::Postage;
use crate::engine::envelope::wire::ENVELOPE_SIZE;
use crate::engine::event::{Direction, SessionStatus};
use crate::engine::id::{ContactId, IdPrefix, MessageId};
use crate::engine::node::backup::History as BackupHistory;
use crate::engine::price::{Charge, Floor};
use crate::engine::record::{MessageRecord, MessageState};
use crate::engine::secret::Secret;
use crate::engine::text::{UntrustedText, spelled_name};
use crate::shell::api::calls::{
    Answer, AnyCall, AnyReply, Around, BackupCreate, BackupReport, BackupSealing, Changed,
    Comparison, ContactAcceptKey, ContactAdd, ContactBlock, ContactClose, ContactList, ContactRef,
    ContactRekey, ContactRemove, ContactRename, ContactSet, ContactShow, ContactUnblock,
    ContactVerify, Done, History, HistoryPart, IdentityDelete, IdentityList, IdentityNew,
    IdentityShow, IdentityUse, Import, ImportReport, MAX_HISTORY, MessageCancel, MessageDelete,
    MessageRef, MessageRetry, MessageSend, MessageShow, MessageWait, NodeStop, Page, Read,
    RequestAccept, RequestDecline, RequestList, Search, Sent, Status, Unread, Waited,
};
use crate::shell::api::{Contact, Event, Identity, Message, MessageChange, Request, StatusReport};
use crate::shell::backup::{self, BackupKey};
use crate::shell::exported::ExportedMessage;
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::failures::RefusedCommand;
use crate::shell::os::clock::wall;
use crate::shell::store::StoreError;

/// Answers a call.
///
/// # Errors
/// When the node cannot go on.
pub(super) fn answer(
    runtime: &mut Runtime,
    call: AnyCall,
) -> Result<Result<AnyReply, Failure>, RuntimeError> {
    match call.answer(&mut Dispatcher(runtime)) {
        Ok(reply) => Ok(Ok(reply)),
        Err(CallError::Refused(failure)) => Ok(Err(*failure)),
        Err(CallError::Fatal(error)) => Err(error),
    }
}

/// Why a call has no answer.
enum CallError {
    /// It was refused, and the node goes on.
    Refused(Box<Failure>),
    /// The node cannot go on.
    Fatal(RuntimeError),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Refused(Box::new(failure))
    }
}

impl From<RuntimeError> for CallError {
    fn from(error: RuntimeError) -> Self {
        Self::Fatal(error)
    }
}

impl From<StoreError> for CallError {
    // What was only read, or not written at all, leaves the engine and the store as they were.
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

type Answered<T> = Result<T, CallError>;

/// The runtime, for the length of one call.
struct Dispatcher<'a>(&'a mut Runtime);

impl Answer for Dispatcher<'_> {
    type Error = CallError;

    fn status(&mut self, _: Status) -> Answered<StatusReport> {
        self.0.tell_network();
        let network = self.0.state.borrow().network.as_ref().clone();
        let (online, persistence) = (self.0.is_online(), self.0.persistence());
        // The clients are counted where they come in.
        Ok(StatusReport { network, online, persistence, clients: 0 })
    }

    fn identity_list(&mut self, _: IdentityList) -> Answered<Page<Identity>> {
        Ok(Page { items: self.0.directory.identities().cloned().collect(), more: false })
    }

    fn identity_show(&mut self, call: IdentityShow) -> Answered<Identity> {
        Ok(self.0.directory.speaker(call.identity.as_deref())?.clone())
    }

    fn identity_new(&mut self, call: IdentityNew) -> Answered<Identity> {
        let what = RefusedCommand::new("the identity was not created");
        let made = command(self.0, Command::CreateIdentity { name: call.name }, what)?;
        let Reply::Identity(id) = made else { return Err(odd_reply()) };
        self.0.directory.identity(id).cloned().ok_or_else(odd_reply)
    }

    fn identity_use(&mut self, call: IdentityUse) -> Answered<Identity> {
        let chosen = self.0.directory.speaker(Some(&call.name))?.id;
        self.0.durable.store().set_setting(CHOSEN_IDENTITY, &call.name)?;
        self.0.chosen = Some(call.name);
        self.0.mark_default();
        self.0.directory.identity(chosen).cloned().ok_or_else(odd_reply)
    }

    fn identity_delete(&mut self, call: IdentityDelete) -> Answered<Done> {
        let identity = self.0.directory.speaker(Some(&call.name))?.id;
        // Typed once more, because a deleted key cannot be recovered.
        let what = "the identity, its contacts and messages";
        confirmed(&call.name, call.confirm.as_deref(), what)?;
        let what = RefusedCommand::new("the identity was not deleted");
        command(self.0, Command::DeleteIdentity { identity }, what)?;
        Ok(Done {})
    }

    fn contact_list(&mut self, call: ContactList) -> Answered<Page<Contact>> {
        let directory = &self.0.directory;
        let of = match &call.identity {
            Some(name) => Some(directory.speaker(Some(name))?.id),
            None => None,
        };
        let after = call.after.map(|id| ContactId(id.0));
        let mut items: Vec<Contact> = directory
            .contacts()
            .filter(|contact| of.is_none_or(|identity| contact.identity == identity))
            .filter(|contact| after.is_none_or(|after| contact.id > after))
            .take(CONTACTS_A_PAGE + 1)
            .cloned()
            .collect();
        let more = items.len() > CONTACTS_A_PAGE;
        items.truncate(CONTACTS_A_PAGE);
        Ok(Page { items, more })
    }

    fn contact_show(&mut self, call: ContactShow) -> Answered<Contact> {
        Ok(self.0.directory.find_contact(&call.contact)?.clone())
    }

    fn contact_add(&mut self, call: ContactAdd) -> Answered<Contact> {
        let identity = self.0.directory.speaker(call.identity.as_deref())?.id;
        let key = invite::decode(&call.invite).map_err(Failure::from)?;
        let what = RefusedCommand::new("the contact was not added");
        let added =
            Command::AddContact { identity, key, petname: call.name, highest: call.max_work };
        self.made(added, what)
    }

    fn contact_rename(&mut self, call: ContactRename) -> Answered<Contact> {
        let what = "the contact was not renamed";
        self.change(&call.contact, what, |contact| Command::RenameContact {
            contact,
            petname: call.name,
        })
    }

    fn contact_block(&mut self, call: ContactBlock) -> Answered<Changed> {
        let was = self.0.directory.find_contact(&call.contact)?.session;
        let what = "the contact was not blocked";
        let contact = self.change(&call.contact, what, |contact| Command::Block { contact })?;
        Ok(Changed { contact, changed: was != SessionStatus::Blocked })
    }

    fn contact_unblock(&mut self, call: ContactUnblock) -> Answered<Changed> {
        let was = self.0.directory.find_contact(&call.contact)?.session;
        let what = "the contact was not unblocked";
        let contact = self.change(&call.contact, what, |contact| Command::Unblock { contact })?;
        Ok(Changed { contact, changed: was == SessionStatus::Blocked })
    }

    fn contact_remove(&mut self, call: ContactRemove) -> Answered<Done> {
        let contact = self.0.directory.find_contact(&call.contact)?;
        let (id, name) = (contact.id, contact.petname.clone());
        confirmed(&name, call.confirm.as_deref(), "the contact and all messages with them")?;
        let what = refused("the contact was not removed", &name);
        command(self.0, Command::RemoveContact { contact: id }, what)?;
        Ok(Done {})
    }

    fn contact_rekey(&mut self, call: ContactRekey) -> Answered<Contact> {
        let key = invite::decode(&call.invite).map_err(Failure::from)?;
        let what = "the key was not replaced";
        self.change(&call.contact, what, |contact| Command::Rekey { contact, key })
    }

    fn contact_accept_key(&mut self, call: ContactAcceptKey) -> Answered<Contact> {
        let what = "sending was not resumed";
        self.change(&call.contact, what, |contact| Command::AcceptUnverified { contact })
    }

    fn contact_verify(&mut self, call: ContactVerify) -> Answered<Comparison> {
        let contact = self.0.directory.find_contact(&call.contact)?;
        let (id, name) = (contact.id, contact.petname.clone());
        let proof = proof(call.words.as_deref(), call.digits.as_deref())?;
        let what = refused("the contact was not verified", &name);
        match command(self.0, Command::Verify { contact: id, proof }, what)? {
            Reply::Differs { word, attempts_left: left } => Ok(Comparison::Differs { word, left }),
            Reply::Verified
            | Reply::Done
            | Reply::Identity(_)
            | Reply::Contact(_)
            | Reply::Message(_) => Ok(Comparison::Same),
        }
    }

    fn contact_set(&mut self, call: ContactSet) -> Answered<Changed> {
        let was = self.0.directory.find_contact(&call.contact)?.clone();
        let mut contact = was.clone();
        if let Some(on) = call.read_marks {
            let what = "read marks were not changed";
            let set = |contact| Command::SetReadReceipts { contact, on };
            contact = self.change(&call.contact, what, set)?;
        }
        if let Some(limit) = call.max_work {
            let what = "what may be paid for the contact was not changed";
            let set = |contact| Command::LimitContact { contact, highest: limit.step() };
            contact = self.change(&call.contact, what, set)?;
        }
        let settings = |contact: &Contact| (contact.read_receipts, contact.highest);
        let changed = settings(&contact) != settings(&was);
        Ok(Changed { contact, changed })
    }

    fn contact_close(&mut self, call: ContactClose) -> Answered<Contact> {
        let what = "the session was not closed";
        self.change(&call.contact, what, |contact| Command::CloseSession { contact })
    }

    fn request_list(&mut self, call: RequestList) -> Answered<Page<Request>> {
        let directory = &self.0.directory;
        let of = match &call.identity {
            Some(name) => Some(directory.speaker(Some(name))?.id),
            None => None,
        };
        let of_it = |request: &&Request| of.is_none_or(|identity| request.identity == identity);
        Ok(Page { items: directory.requests().filter(of_it).cloned().collect(), more: false })
    }

    fn request_accept(&mut self, call: RequestAccept) -> Answered<Contact> {
        let request = self.0.directory.find_request(&call.request)?.id;
        let what = RefusedCommand::new("the request was not accepted");
        self.made(Command::AcceptRequest { request, petname: call.name }, what)
    }

    fn request_decline(&mut self, call: RequestDecline) -> Answered<Done> {
        let request = self.0.directory.find_request(&call.request)?.id;
        let what = RefusedCommand::new("the request was not declined");
        command(self.0, Command::DeclineRequest { request }, what)?;
        Ok(Done {})
    }

    fn message_send(&mut self, call: MessageSend) -> Answered<Sent> {
        let contact = self.0.directory.find_contact(&call.contact)?;
        let (id, name, trust) = (contact.id, contact.petname.clone(), contact.trust);
        let text = call.text.clone();
        let postage = Postage { lifetime: call.life, highest: call.max_work };
        let say = Command::Say { contact: id, text: call.text, postage };
        let what =
            RefusedCommand { text: Some(&text), ..refused("the message was not sent", &name) };
        let Reply::Message(id) = command(self.0, say, what)? else { return Err(odd_reply()) };
        let status = self.0.durable.status();
        let charge = Charge::new(ENVELOPE_SIZE, call.life.share());
        let asked = call.life.share().of(status.asked);
        let tries = charge.tries(Floor::new(status.floor_bits), asked);
        let work_s = tries.checked_div(self.0.miner.rate());
        Ok(Sent { id, parts: 1, work_s, on_hold: trust.is_on_hold() })
    }

    fn message_show(&mut self, call: MessageShow) -> Answered<Message> {
        self.find(&call.message)
    }

    fn message_cancel(&mut self, call: MessageCancel) -> Answered<Message> {
        let what = "the message was not cancelled";
        self.act(&call.message, what, |message| Command::Cancel { message })
    }

    fn message_retry(&mut self, call: MessageRetry) -> Answered<Message> {
        let what = "the message was not retried";
        self.act(&call.message, what, |message| Command::Retry { message })
    }

    fn message_delete(&mut self, call: MessageDelete) -> Answered<Done> {
        let message = self.find(&call.message)?;
        let what = "the message on this computer, not the contact's copy";
        confirmed(&call.message.0, call.confirm.as_deref(), what)?;
        let (id, contact, with) = (message.id, message.contact, message.with.clone());
        self.do_with(
            message,
            "the message was not deleted",
            Command::EraseMessage { message: id },
        )?;
        self.0.emit(Event::Change { what: MessageChange::Erase, id, contact, with });
        self.count_unread(contact)?;
        Ok(Done {})
    }

    fn message_wait(&mut self, call: MessageWait) -> Answered<Waited> {
        // Clients wait in their own tasks, and ask here only what is so.
        Ok(Waited { time_over: true, message: self.find(&call.message)? })
    }

    fn history(&mut self, call: History) -> Answered<HistoryPart> {
        let contact = self.0.directory.find_contact(&call.contact)?.clone();
        let id = contact.id;
        let (before, after) = (call.before.min(MAX_HISTORY), call.after.min(MAX_HISTORY));
        let messages = self.0.durable.store().messages();
        let (mut older, mut newer) = match call.around {
            Around::Newest => (messages.page(id, None, before + 1)?, Vec::new()),
            Around::Oldest => (Vec::new(), messages.page_after(id, None, after + 1)?),
            Around::Message(place) => {
                let place = Some(MessageId(place.0));
                let older = messages.page(id, place, before + 1)?;
                (older, messages.page_after(id, place, after + 1)?)
            }
        };
        let (mut has_older, mut has_newer) = (older.len() > before, newer.len() > after);
        older.drain(..older.len().saturating_sub(before));
        newer.truncate(after);
        // Those next to the place are the ones that were asked for first.
        let mut room = TEXT_OF_A_REPLY;
        let mut fits = |record: &MessageRecord| {
            room = room.saturating_sub(written_length(&record.text));
            room > 0
        };
        let kept = older.iter().rev().take_while(|record| fits(record)).count();
        has_older |= kept < older.len();
        older.drain(..older.len() - kept);
        let kept = newer.iter().take_while(|record| fits(record)).count();
        has_newer |= kept < newer.len();
        newer.truncate(kept);
        let items = older.iter().chain(&newer).map(|record| message(record, &contact)).collect();
        Ok(HistoryPart { items, older: has_older, newer: has_newer })
    }

    fn search(&mut self, call: Search) -> Answered<Page<Message>> {
        let contact = match &call.contact {
            Some(contact) => Some(self.0.directory.find_contact(contact)?.id),
            None => None,
        };
        let before = match &call.before {
            Some(before) => Some(self.find(before)?.id),
            None => None,
        };
        let limit = call.limit.min(MAX_HISTORY);
        let store = self.0.durable.store();
        let mut found = store.search(contact, &call.text, before, limit + 1)?;
        let mut more = found.len() > limit;
        found.truncate(limit);
        let mut room = TEXT_OF_A_REPLY;
        let fits = |record: &&MessageRecord| {
            room = room.saturating_sub(written_length(&record.text));
            room > 0
        };
        let kept = found.iter().take_while(fits).count();
        more |= kept < found.len();
        found.truncate(kept);
        let told = |record: &MessageRecord| {
            Some(message(record, self.0.directory.contact(record.contact)?))
        };
        Ok(Page { items: found.iter().filter_map(told).collect(), more })
    }

    fn read(&mut self, call: Read) -> Answered<Unread> {
        let contact = self.0.directory.find_contact(&call.contact)?.id;
        let up_to = self.find(&call.up_to)?.id;
        // The store counts what came after it as unread, and the engine sends a read receipt for
        // the rest, if both sides turned that on.
        let number = self.0.durable.store().mark_read(contact, up_to)?;
        let unread = self.count_unread(contact)?;
        if let Some(number) = number {
            // Its only error is a contact that was removed meanwhile.
            let marked = self.0.command(Command::MarkRead { contact, number })?;
            tracing::trace!(is_marked = marked.is_ok());
        }
        Ok(Unread { unread })
    }

    fn backup_create(&mut self, call: BackupCreate) -> Answered<BackupReport> {
        let (file, sealing) = (call.file, backup_key(&call.sealing)?);
        // A relative path would be taken below the folder that the node was started in.
        if !file.is_absolute() {
            return Err(bad_backup("the path of the file is not absolute").into());
        }
        let history = if call.history { BackupHistory::With } else { BackupHistory::Without };
        let store = self.0.durable.store();
        let summary = backup::create(store, &file, sealing, wall(), history)
            .map_err(|error| Failure::of_backup(error, &file))?;
        Ok(summary.report())
    }

    fn import(&mut self, call: Import) -> Answered<ImportReport> {
        let contact = self.0.directory.find_contact(&call.contact)?;
        let (contact, with) = (contact.id, contact.petname.clone());
        let mut records = Vec::with_capacity(call.lines.len());
        for (line, number) in call.lines.iter().zip(1_usize..) {
            let record = ExportedMessage::parse(line.get().as_bytes())
                .and_then(|line| line.into_record(contact));
            records.push(record.ok_or_else(|| bad_line(number))?);
        }
        let found = records.len();
        // So a second import of the same file adds nothing.
        let fresh = self.0.durable.store().messages().unknown(records)?;
        let taken = fresh.len();
        if !call.dry_run && taken > 0 {
            self.0.durable.store().import()?.add_history(contact, fresh)?;
            self.0.emit(Event::Imported { contact, with });
            self.count_unread(contact)?;
        }
        Ok(ImportReport { found, taken, dry_run: call.dry_run })
    }

    fn node_stop(&mut self, _: NodeStop) -> Answered<Done> {
        if self.0.course == Course::GoesOn {
            self.0.course = Course::Stops;
        }
        Ok(Done {})
    }
}

impl Dispatcher<'_> {
    /// Carries out a command that makes a contact; answers the contact.
    fn made(&mut self, made: Command, what: RefusedCommand<'_>) -> Answered<Contact> {
        let Reply::Contact(id) = command(self.0, made, what)? else { return Err(odd_reply()) };
        self.0.directory.contact(id).cloned().ok_or_else(odd_reply)
    }

    /// Carries out a command about a contact; answers the contact as it is then.
    fn change(
        &mut self,
        contact: &ContactRef,
        what: &str,
        about: impl FnOnce(ContactId) -> Command,
    ) -> Answered<Contact> {
        let contact = self.0.directory.find_contact(contact)?;
        let (id, name) = (contact.id, contact.petname.clone());
        command(self.0, about(id), refused(what, &name))?;
        self.0.directory.contact(id).cloned().ok_or_else(odd_reply)
    }

    /// Carries out a command about a message; answers the message as it is then.
    fn act(
        &mut self,
        message: &MessageRef,
        what: &str,
        about: impl FnOnce(MessageId) -> Command,
    ) -> Answered<Message> {
        let message = self.find(message)?;
        let id = message.id;
        self.do_with(message, what, about(id))?;
        self.find(&MessageRef::from(id))
    }

    fn do_with(&mut self, message: Message, what: &str, about: Command) -> Answered<()> {
        match self.0.command(about)? {
            Ok(_) => Ok(()),
            // To the engine, a message that has long been settled may be none. The stored view says
            // more.
            Err(CommandError::TooLate | CommandError::NoMessage) => {
                Err(too_late(what, message.direction, message.id).into())
            }
            Err(error) => Err(Failure::refused(error, refused(what, &message.with)).into()),
        }
    }

    /// The one message whose id begins with these digits.
    fn find(&mut self, wanted: &MessageRef) -> Result<Message, CallError> {
        // Never the first of several: the call may be to delete it.
        let start = IdPrefix::parse(&wanted.0).ok_or_else(bad_id)?;
        let mut found = self.0.durable.store().messages().with_prefix(start)?.into_iter();
        match (found.next(), found.next()) {
            (Some(record), None) => {
                let contact = self.0.directory.contact(record.contact);
                Ok(message(&record, contact.ok_or_else(|| no_message(&wanted.0))?))
            }
            (None, _) => Err(no_message(&wanted.0).into()),
            (Some(_), Some(_)) => Err(which_message().into()),
        }
    }

    /// Counts what is unread of a contact, and tells it.
    fn count_unread(&mut self, contact: ContactId) -> Result<u64, CallError> {
        let unread = self.0.durable.store().messages().unread_of(contact)?;
        let with = self.0.directory.name_of(contact).to_owned();
        self.0.emit(Event::Read { contact, with, unread });
        Ok(unread)
    }
}

/// Carries out a command of the engine.
fn command(runtime: &mut Runtime, asked: Command, what: RefusedCommand<'_>) -> Answered<Reply> {
    Ok(runtime.command(asked)?.map_err(|error| Failure::refused(error, what))?)
}

const fn refused<'a>(what: &'a str, contact: &'a str) -> RefusedCommand<'a> {
    RefusedCommand { contact: Some(contact), ..RefusedCommand::new(what) }
}

/// A message of the store, with what is known of it by its contact.
fn message(record: &MessageRecord, contact: &Contact) -> Message {
    let view = record.view();
    let waits_for = contact.waits_for(&view);
    Message { view, with: contact.petname.clone(), waits_for }
}

/// The most bytes of a text in JSON: a control character takes six.
fn written_length(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).count();
    text.len() + 5 * escaped + FIELDS_OF_A_MESSAGE
}

/// The words or digits that a contact read out, as they were typed.
fn proof(words: Option<&[String]>, digits: Option<&str>) -> Result<Proof, Failure> {
    let typed = match (words, digits) {
        (None, Some(digits)) => {
            let parsed = SafetyNumber::parse(digits).map(Proof::SafetyNumber);
            return parsed
                .ok_or_else(|| no_proof("a safety number has 60 digits and nothing else"));
        }
        (Some(words), None) => words,
        (Some(_), Some(_)) | (None, None) => {
            return Err(no_proof("either words or digits are compared"));
        }
    };
    let [one, two, three] = typed else { return Err(no_proof("exactly three words are needed")) };
    let word = |text: &String| {
        // It may have been pasted from anywhere.
        let quoted = UntrustedText::new(text.clone()).sanitize_for_label().text;
        SasWord::parse(text)
            .ok_or_else(|| no_proof(&format!("{quoted:?} is not on the list of words")))
    };
    Ok(Proof::Sas([word(one)?, word(two)?, word(three)?]))
}

fn no_proof(why: &str) -> Failure {
    let next = "ask them to read it again";
    let text = FailureText { what: "nothing was compared", why, safe: UNCHANGED, next };
    Failure::new(FailureCode::NotAProof, text)
}

fn confirmed(name: &str, confirm: Option<&str>, what: &str) -> Result<(), Failure> {
    if confirm.is_some_and(|confirm| spelled_name(confirm) == spelled_name(name)) {
        return Ok(());
    }
    let text = FailureText {
        what: "nothing was deleted",
        why: &format!("this permanently deletes {what}"),
        safe: UNCHANGED,
        next: &format!("add --confirm {}", shell_word(name)),
    };
    Err(Failure::new(FailureCode::NotConfirmed, text))
}

/// The reason why a message is past what was asked for, by its state.
fn too_late(what: &str, direction: Direction, message: MessageId) -> Failure {
    let why = match direction {
        Direction::Incoming => "you received it, and did not send it",
        Direction::Outgoing(MessageState::Queued | MessageState::Mining) => {
            "it has not left this computer yet, and is sent automatically"
        }
        Direction::Outgoing(MessageState::Sent | MessageState::Unacknowledged) => {
            "it has left this computer, and its acknowledgement may still arrive"
        }
        Direction::Outgoing(MessageState::Delivered | MessageState::Read) => "it was delivered",
        Direction::Outgoing(MessageState::Failed) => {
            "it did not leave this computer, and waits for you to retry it"
        }
        Direction::Outgoing(MessageState::Cancelled) => "it was cancelled before",
    };
    let next = format!("undertone message show {}", message.short());
    let text = FailureText { what, why, safe: UNCHANGED, next: &next };
    Failure::new(FailureCode::TooLate, text)
}

fn bad_id() -> Failure {
    let text = FailureText {
        what: "no message was chosen",
        why: "an id is written as its first 4 to 16 hexadecimal digits",
        safe: UNCHANGED,
        next: "undertone history NAME",
    };
    Failure::new(FailureCode::BadId, text)
}

fn which_message() -> Failure {
    let text = FailureText {
        what: "no message was chosen",
        why: "several ids begin with these digits, so more of them are needed",
        safe: UNCHANGED,
        next: "undertone history NAME --json   (shows all 16 digits)",
    };
    Failure::new(FailureCode::WhichMessage, text)
}

fn no_message(id: &str) -> Failure {
    let text = FailureText {
        what: &format!("the message {id:?} was not found"),
        why: "it was deleted, or is in another home folder",
        safe: UNCHANGED,
        next: "undertone history NAME",
    };
    Failure::new(FailureCode::MessageNotFound, text)
}

fn bad_line(number: usize) -> Failure {
    let text = FailureText {
        what: "nothing was imported",
        why: &format!("line {number} is not a message in the format of undertone export"),
        safe: UNCHANGED,
        next: "fix or remove that line, then try again",
    };
    Failure::new(FailureCode::BadImport, text)
}

fn bad_backup(why: &str) -> Failure {
    let text = FailureText {
        what: "no backup was created",
        why,
        safe: UNCHANGED,
        next: "compare the parameters with the documentation of undertone::api::calls",
    };
    Failure::new(FailureCode::BadRequest, text)
}

/// The key of a backup, read into memory that is wiped; no copy of it is anywhere else.
fn backup_key(sealing: &BackupSealing) -> Result<BackupKey, Failure> {
    let head = HEXLOWER
        .decode(sealing.head.as_bytes())
        .map_err(|_| bad_backup("the head of the file is not hexadecimal"))?;
    let mut is_key = false;
    let key = Secret::make(|bytes| {
        is_key = sealing.key.len() == HEXLOWER.encode_len(bytes.len())
            && HEXLOWER.decode_mut(sealing.key.as_bytes(), bytes).is_ok();
    });
    if !is_key || head.len() > MAX_HEAD {
        return Err(bad_backup("the key is not 64 hexadecimal digits"));
    }
    Ok(BackupKey::from_parts(head, key))
}

/// A reply of the engine that does not fit its command, which it never gives.
fn odd_reply() -> CallError {
    let text = FailureText {
        what: "the answer is not known",
        why: "the engine gave the reply of another command, which is a fault of this program",
        safe: "everything accepted is saved",
        next: "see what was done: undertone",
    };
    Failure::new(FailureCode::NodeEnded, text).into()
}

const UNCHANGED: &str = "nothing was changed";

/// Contacts of one answer: each takes less than a KiB and a half, and a line holds a MiB.
const CONTACTS_A_PAGE: usize = 500;

/// Bytes of texts in one answer, as JSON writes them: three quarters of the longest line.
const TEXT_OF_A_REPLY: usize = 768 << 10;

/// Bytes of the other fields of a message in JSON, with room for a name.
const FIELDS_OF_A_MESSAGE: usize = 700;

/// The longest head of a backup, with room.
const MAX_HEAD: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(words: &[&str], digits: Option<&str>) -> String {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let words = digits.is_none().then_some(&*words);
        proof(words, digits).unwrap_err().why
    }

    #[test]
    fn words_and_digits_are_read_or_refused_with_a_reason() {
        let typed = ["WALN", "violin", "harbor"].map(str::to_owned);
        let Ok(Proof::Sas([first, ..])) = proof(Some(&typed), None) else {
            panic!("three words of the list");
        };
        assert_eq!(first.to_string(), "walnut");
        assert_eq!(
            why(&["walnut", "x\u{1b}", "harbor"], None),
            "\"x\u{241b}\" is not on the list of words"
        );
        assert_eq!(why(&["walnut", "violin"], None), "exactly three words are needed");
        assert_eq!(why(&[], Some("123")), "a safety number has 60 digits and nothing else");
        let digits = "12345 ".repeat(12);
        assert!(matches!(proof(None, Some(&digits)), Ok(Proof::SafetyNumber(_))));
        for both in [proof(None, None), proof(Some(&typed), Some(&digits))] {
            assert_eq!(both.unwrap_err().code(), Some(FailureCode::NotAProof));
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_backup_is_the_one_that_was_written(
            head in proptest::collection::vec(any::<u8>(), 0..200),
            key: [u8; 32],
        ) {
            let sealing = BackupSealing { head: HEXLOWER.encode(&head), key: HEXLOWER.encode(&key) };
            let read = backup_key(&sealing).map_err(|failure| failure.why).unwrap();
            prop_assert_eq!(read.parts().0, head.as_slice());
            prop_assert_eq!(read.parts().1.expose(), &key);
        }

        #[test]
        fn a_key_that_is_none_is_refused(head: String, key: String) {
            let sealing = BackupSealing { head, key };
            prop_assert!(backup_key(&sealing).is_err());
        }
    }

    #[test]
    fn the_head_of_a_backup_is_bounded() {
        let key = "00".repeat(32);
        let sealing = |bytes| BackupSealing { head: "00".repeat(bytes), key: key.clone() };
        assert!(backup_key(&sealing(MAX_HEAD)).is_ok());
        assert!(backup_key(&sealing(MAX_HEAD + 1)).is_err());
    }
}
