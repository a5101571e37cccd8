//! Two conversations and a network between them that is as bad as wanted: no node, no pool, no
//! flood.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::engine::command::{CommandError, Proof, Reply};
use crate::engine::crypto::keys::Identity;
use crate::engine::env::{Env, Seconds};
use crate::engine::envelope::Floor;
use crate::engine::event::Direction;
use crate::engine::record::{Change, OutgoingRecord, RecordKey, SendSequence, Trust};
use crate::engine::session::{Payload, ReceivedOffer};
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::engine::testing::rng::SeededRng;
use crate::engine::turn::{Effect, Job, Output, Timer, Workspace};

const START: UnixSeconds = UnixSeconds(1_767_225_600);

/// One side: a conversation and what a node would lend it.
pub(super) struct Side {
    pub(super) conversation: Conversation,
    pub(super) workspace: Workspace,
    pub(super) settings: NodeSettings,
    pub(super) rng: SeededRng,
    pub(super) mono: Millis,
    /// Texts of the contact in the order they were shown.
    pub(super) shown: Vec<String>,
    /// The last known state of each message of ours.
    pub(super) states: BTreeMap<MessageId, MessageState>,
    /// The contact, as the store knows it.
    pub(super) stored: Option<ContactRecord>,
    /// Everything that the store keeps, in the order in which it first came.
    pub(super) store: Vec<Record>,
}

impl Side {
    fn new(seed: u64, own: Arc<Identity>, key: PublicKey) -> Self {
        let record = ContactRecord {
            id: ContactId(7),
            identity: IdentityId(1),
            key,
            petname: "contact".to_owned(),
            state: ContactState::Active,
            sent: SendSequence { epoch: seed, next: 0 },
            received: Vec::new(),
            offer: None,
            trust: Trust::Unverified,
            read_receipts: false,
            restored: None,
            highest: None,
        };
        Self {
            conversation: Conversation::new(own, record),
            workspace: Workspace::default(),
            settings: NodeSettings::new(NodeRole::Messenger, Floor::new(0)),
            rng: SeededRng::new(seed),
            mono: Millis(0),
            shown: Vec::new(),
            states: BTreeMap::new(),
            stored: None,
            store: Vec::new(),
        }
    }

    /// One turn; everything that comes of it is carried out.
    pub(super) fn turn<R>(
        &mut self,
        step: impl FnOnce(&mut Conversation, &mut Turn<'_, '_>) -> R,
    ) -> R {
        let wall =
            START.plus(Seconds(u32::try_from(self.mono.0 / 1_000).expect("days, not years")));
        let mut env = Env::new(self.mono, wall, &mut self.rng);
        let mut turn = Turn::new(&mut env, &self.settings, &mut self.workspace);
        let result = step(&mut self.conversation, &mut turn);
        turn.settle();
        while let Some(output) = self.workspace.poll_output() {
            self.carry_out(output);
        }
        result
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Commit(changes) => {
                for change in changes {
                    if let Change::Put(Record::Contact(record)) = &change {
                        self.stored = Some(record.clone());
                    }
                    self.keep(change);
                }
            }
            Output::Effect(Effect::Event(Event::Message(view))) => match view.direction {
                Direction::Incoming => self.shown.push(view.text.into_raw()),
                Direction::Outgoing(state) => {
                    self.states.insert(view.id, state);
                }
            },
            Output::Effect(Effect::Event(Event::State { message, state, .. })) => {
                self.states.insert(message, state);
            }
            Output::Effect(Effect::Event(_))
            | Output::AuditNonce(_)
            | Output::Effect(Effect::StopMining(_)) => {}
            Output::Effect(Effect::ReportValidation { .. })
            | Output::Effect(Effect::StartMining(_))
            | Output::Effect(Effect::Publish { .. })
            | Output::Effect(Effect::SyncRequest { .. })
            | Output::Effect(Effect::SyncResponse { .. })
            | Output::Effect(Effect::Penalize(_))
            | Output::Effect(Effect::Archive { .. })
            | Output::Effect(Effect::Discard(_))
            | Output::Effect(Effect::Reply { .. }) => panic!("no conversation asks for that"),
        }
    }

    fn keep(&mut self, change: Change) {
        match change {
            Change::Put(record) => {
                match self.store.iter_mut().find(|kept| kept.key() == record.key()) {
                    Some(kept) => *kept = record,
                    None => self.store.push(record),
                }
            }
            Change::Erase(key) => self.store.retain(|kept| kept.key() != key),
            Change::EraseMessages(_) => {
                self.store.retain(|kept| !matches!(kept, Record::Message(_)));
            }
        }
    }

    /// Encrypts what a job is for, if it is for anything, and keeps the envelope as it is kept
    /// while its work is searched for.
    pub(super) fn begin(&mut self, job: ContactJob) -> Option<OutgoingRecord> {
        self.turn(|conversation, turn| {
            let record = next_envelope(conversation, turn, job)?;
            turn.outbox.keep(conversation.id, record.clone());
            Some(record)
        })
    }

    /// Publishes an envelope, unless it was withdrawn, and notes that as a node does.
    pub(super) fn publish(&mut self, record: &OutgoingRecord) {
        self.turn(|conversation, turn| {
            let kept = turn.outbox.take_kept(conversation.id, record.id);
            let Some(mut record) = kept else { return };
            record.envelope = Some(Vec::new());
            turn.put(Record::Outgoing(record.clone()));
            turn.settle();
            turn.erase(RecordKey::Outgoing(record.id));
            let purpose = record.purpose;
            on_published(conversation, turn, purpose, Stay::Whole);
        });
    }

    /// The payload of an envelope for this side, which stays as it was.
    pub(super) fn peek(&mut self, record: &OutgoingRecord) -> Option<Payload> {
        let candidates = self.workspace.topics.candidates(record.topic);
        self.turn(|conversation, turn| {
            let handshake = &conversation.handshake;
            candidates.iter().find_map(|&(_, session)| {
                let session = handshake.sessions().get(session)?;
                let opened =
                    session.decrypt(turn.env, handshake.own(), record.topic, &record.body)?;
                Some(opened.1)
            })
        })
    }

    /// All that this side knows: what the store keeps, the contact, its sessions, and what is to be
    /// done when.
    pub(super) fn image(&self) -> (Vec<Record>, ContactRecord, Vec<Session>, String) {
        let sessions = self.conversation.sessions().iter().cloned().collect();
        let Workspace { timers, outbox, .. } = &self.workspace;
        let planned = format!("{timers:?} {outbox:?} {:?}", self.conversation.sent);
        (self.store.clone(), self.conversation.record(), sessions, planned)
    }

    /// The stored messages, in the order in which they were first stored.
    pub(super) fn messages(&self) -> impl Iterator<Item = &MessageRecord> {
        self.store.iter().filter_map(|kept| {
            if let Record::Message(message) = kept { Some(message) } else { None }
        })
    }

    /// The session that this side sends in.
    pub(super) fn session(&self) -> SessionId {
        self.conversation.sessions().preferred().expect("a session").id()
    }

    /// Ends the process and begins another with what the store keeps.
    pub(super) fn restart(&mut self) {
        let own = Arc::new(self.conversation.handshake.own().clone());
        let store = self.store.clone();
        let key = RecordKey::Contact(self.conversation.id);
        let Some(Record::Contact(record)) = store.iter().find(|kept| kept.key() == key) else {
            panic!("a stored contact");
        };
        self.conversation = Conversation::new(own, record.clone());
        self.workspace = Workspace::default();
        self.turn(|conversation, turn| {
            for kept in &store {
                if let Record::Session(record) = kept {
                    conversation.restore_session(turn, record.session.clone());
                }
            }
            for kept in store {
                if let Record::Message(record) = kept {
                    conversation.restore_message(turn, record);
                } else if let Record::Outgoing(record) = kept {
                    turn.outbox.keep(conversation.id, record);
                }
            }
            conversation.resume(turn);
        });
    }

    /// Offers a session, in which messages may leave then.
    pub(super) fn offer(&mut self) {
        self.turn(|conversation, turn| conversation.start_offer(turn));
        let offer = self.begin(ContactJob::Offer).expect("an offer");
        self.publish(&offer);
    }

    pub(super) fn command(&mut self, command: ContactCommand) -> Result<Reply, CommandError> {
        self.turn(|conversation, turn| command.carry_out(conversation, turn))
    }

    pub(super) fn say(&mut self, text: &str) -> MessageId {
        let command = ContactCommand::Say { text: text.to_owned(), postage: Lifetime::Day.into() };
        match self.command(command) {
            Ok(Reply::Message(id)) => id,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// Everything that is to be sent: encrypted, and taken for published.
    pub(super) fn send(&mut self) -> Vec<OutgoingRecord> {
        let mut sent = Vec::new();
        while let Some(job) = self.workspace.outbox.pop() {
            let record = self.turn(|conversation, turn| match job {
                Job::Contact(_, job) => next_envelope(conversation, turn, job),
                Job::PublishStored(contact, id) => turn.outbox.take_kept(contact, id),
                Job::Junk => None,
            });
            if let Some(record) = record {
                let purpose = record.purpose;
                self.turn(|conversation, turn| {
                    on_published(conversation, turn, purpose, Stay::Whole)
                });
                sent.push(record);
            }
        }
        sent
    }

    /// Takes an envelope in as a node does: by its topic, or as an offer.
    pub(super) fn receive(&mut self, record: &OutgoingRecord) {
        let lifetime = Lifetime::covering(record.ttl);
        let from = Provenance { lifetime, stale: false };
        for (_, session) in self.workspace.topics.candidates(record.topic) {
            let sealed = (record.topic, record.body.as_slice());
            let opened =
                self.turn(|conversation, turn| conversation.receive(turn, session, sealed, from));
            match opened {
                Some(Opened::Confirmation) => {
                    return self
                        .turn(|conversation, turn| conversation.on_established(turn, session));
                }
                Some(Opened::Message) => return,
                None => {}
            }
        }
        let own = self.conversation.handshake.own();
        if let Some(offer) = ReceivedOffer::open(own, &record.body) {
            let known = SessionId::from(offer.id());
            if self.conversation.sessions().get(known).is_none() {
                let session =
                    self.turn(|conversation, turn| conversation.accept_offer(turn, &offer));
                self.turn(|conversation, turn| conversation.schedule_answer(turn, session));
            }
        }
    }

    /// Lets time pass; what is due becomes jobs.
    pub(super) fn wait(&mut self, span: Millis) {
        self.mono = self.mono.plus(span);
        while let Some(timer) = self.workspace.timers.pop(self.mono) {
            if let Timer::Contact(timer, _) = timer {
                self.turn(|conversation, turn| conversation.on_timer(turn, timer));
            }
        }
    }

    /// Ends the process and takes back what was stored of the contact, without sessions or
    /// messages.
    fn forget_all_but_the_contact(&mut self, own: Arc<Identity>) {
        let record = self.stored.clone().expect("a stored contact");
        self.conversation = Conversation::new(own, ContactRecord { offer: None, ..record });
        self.workspace = Workspace::default();
        self.turn(|conversation, turn| conversation.resume(turn));
    }
}

/// Two people who know each other's keys.
pub(super) fn pair(seed: u64) -> (Side, Side) {
    let mut rng = SeededRng::new(seed);
    let one = Arc::new(Identity::generate(&mut rng.turn()));
    let other = Arc::new(Identity::generate(&mut rng.turn()));
    let (one_key, other_key) = (one.public(), other.public());
    (Side::new(seed + 1, one, other_key), Side::new(seed + 2, other, one_key))
}

/// Lets both talk until nothing is left to say, over a network that loses nothing.
pub(super) fn settle(one: &mut Side, other: &mut Side) {
    for _ in 0..60 {
        one.wait(Millis(5_000));
        other.wait(Millis(5_000));
        let (outward, inward) = (one.send(), other.send());
        let quiet = outward.is_empty() && inward.is_empty();
        outward.iter().for_each(|record| other.receive(record));
        inward.iter().for_each(|record| one.receive(record));
        let later = |side: &Side| {
            side.workspace.timers.next().is_none_or(|at| at > side.mono.plus(Millis(60_000)))
        };
        if quiet && later(one) && later(other) {
            return;
        }
    }
}

pub(super) fn established(seed: u64) -> (Side, Side) {
    let (mut one, mut other) = pair(seed);
    one.turn(|conversation, turn| conversation.start_offer(turn));
    settle(&mut one, &mut other);
    for side in [&one, &other] {
        assert_eq!(side.conversation.view().session, SessionStatus::Established);
    }
    (one, other)
}

#[test]
fn a_conversation_prints_nothing_of_itself() {
    let (one, _) = pair(1);
    assert_eq!(format!("{:?}", one.conversation), "Conversation");
}

#[test]
fn two_conversations_establish_a_session_and_each_text_is_shown_once_and_acknowledged() {
    let (mut one, mut other) = established(3);
    let ids: Vec<MessageId> = ["a", "b", "c"].map(|text| one.say(text)).to_vec();
    settle(&mut one, &mut other);
    assert_eq!(other.shown, ["a", "b", "c"]);
    assert!(ids.iter().all(|id| one.states.get(id) == Some(&MessageState::Delivered)));
    assert_eq!(one.conversation.unsent(), 0);
    assert!(ids.iter().all(|id| !one.conversation.holds(*id)), "done with");
}

#[test]
fn a_text_sent_before_the_answer_comes_early_and_is_confirmed() {
    let (mut one, mut other) = pair(5);
    one.say("early");
    settle(&mut one, &mut other);
    assert_eq!(other.shown, ["early"]);
    assert_eq!(other.conversation.view().session, SessionStatus::Established);
}

#[test]
fn a_contact_on_hold_is_sent_nothing_until_a_person_decides_and_everything_then() {
    let (mut one, mut other) = established(9);
    one.say("before");
    let wrong = Proof::SafetyNumber(SafetyNumber::of(
        &other.conversation.handshake.own().public(),
        &other.conversation.handshake.own().public(),
    ));
    let left = one.command(ContactCommand::Verify(wrong));
    assert_eq!(left, Ok(Reply::Differs { word: None, attempts_left: 2 }));
    one.say("after");
    assert!(one.send().is_empty());
    assert_eq!(one.command(ContactCommand::AcceptUnverified), Ok(Reply::Done));
    settle(&mut one, &mut other);
    assert_eq!(other.shown, ["before", "after"]);
}

#[test]
fn the_right_safety_number_verifies_and_the_words_do_too() {
    let (mut one, mut other) = established(11);
    let number = other.conversation.view().safety_number;
    let verified = one.command(ContactCommand::Verify(Proof::SafetyNumber(number)));
    assert_eq!(verified, Ok(Reply::Verified));
    let words = one.conversation.view().sas.expect("words").words;
    assert_eq!(other.command(ContactCommand::Verify(Proof::Sas(words))), Ok(Reply::Verified));
}

#[test]
fn nothing_is_sent_to_a_blocked_contact_and_unacknowledged_texts_are_resent_after_unblocking() {
    let (mut one, mut other) = established(13);
    let id = one.say("left");
    let lost = one.send();
    assert_eq!(lost.len(), 1);
    assert_eq!(one.command(ContactCommand::Block), Ok(Reply::Done));
    let refused = ContactCommand::Say { text: "no".to_owned(), postage: Lifetime::Day.into() };
    assert_eq!(one.command(refused), Err(CommandError::Blocked));
    assert_eq!(one.command(ContactCommand::Unblock), Ok(Reply::Done));
    one.say("said after");
    for _ in 0..30 {
        one.wait(Millis(30_000));
        settle(&mut one, &mut other);
    }
    assert_eq!(other.shown, ["left", "said after"]);
    assert_eq!(one.states.get(&id), Some(&MessageState::Delivered));
}

#[test]
fn a_closed_session_ends_on_both_sides_and_the_next_message_begins_another() {
    let (mut one, mut other) = established(17);
    assert_eq!(one.command(ContactCommand::CloseSession), Ok(Reply::Done));
    settle(&mut one, &mut other);
    for side in [&one, &other] {
        assert_eq!(side.conversation.view().session, SessionStatus::None);
        assert!(side.conversation.sessions().is_empty());
    }
    other.say("again");
    settle(&mut other, &mut one);
    assert_eq!(one.shown, ["again"]);
}

#[test]
fn acknowledged_numbers_that_were_never_given_reveal_a_rollback_and_begin_another_epoch() {
    let (mut one, mut other) = established(19);
    let older = one.conversation.record();
    for text in ["a", "b", "c"] {
        one.say(text);
    }
    settle(&mut one, &mut other);
    // The disk is put back to before the three messages.
    one.stored = Some(older.clone());
    let own = Arc::new(one.conversation.handshake.own().clone());
    one.forget_all_but_the_contact(own);
    one.say("d");
    for _ in 0..20 {
        one.wait(Millis(60_000));
        settle(&mut one, &mut other);
    }
    assert_eq!(other.shown, ["a", "b", "c", "d"]);
    assert_ne!(one.conversation.record().sent.epoch, older.sent.epoch);
}

#[test]
fn messages_256_that_come_in_the_wrong_order_over_a_restart_are_shown_in_theirs() {
    let (mut one, mut other) = established(27);
    let said: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    let ids: Vec<MessageId> = said.iter().map(|text| one.say(text)).collect();
    let mut sent = one.send();
    assert_eq!(sent.len(), 256);
    sent.reverse();
    let (later, first) = sent.split_at(200);
    later.iter().for_each(|record| other.receive(record));
    assert!(other.shown.is_empty());
    assert_eq!(other.conversation.view().missing, 56);
    other.restart();
    assert_eq!(other.conversation.view().missing, 56);
    first.iter().for_each(|record| other.receive(record));
    assert_eq!(other.shown, said[..256]);
    settle(&mut one, &mut other);
    assert_eq!(other.shown, said);
    assert!(ids.iter().all(|id| one.states.get(id) == Some(&MessageState::Delivered)));
}

#[test]
fn a_contact_that_lost_its_state_gets_all_of_256_messages_in_another_session() {
    let (mut one, mut other) = established(28);
    let said: Vec<String> = (0..256).map(|number| format!("text {number}")).collect();
    for text in &said {
        one.say(text);
    }
    assert_eq!(one.send().len(), 256);
    let own = Arc::new(other.conversation.handshake.own().clone());
    other.forget_all_but_the_contact(own);
    other.offer();
    let offer = other.begin(ContactJob::Offer).expect("the same again");
    one.receive(&offer);
    let begun = one.mono;
    while other.shown.len() < 256 {
        settle(&mut one, &mut other);
        one.wait(Millis(5_000));
        other.wait(Millis(5_000));
        assert!(one.mono < begun.plus(Millis::from_secs(1_800)), "{}", other.shown.len());
    }
    assert_eq!(other.shown, said);
}

#[test]
fn read_receipts_are_exchanged_only_if_both_turned_them_on() {
    for on in [true, false] {
        let (mut one, mut other) = established(23);
        for side in [&mut one, &mut other] {
            assert_eq!(side.command(ContactCommand::SetReadReceipts { on }), Ok(Reply::Done));
        }
        let id = one.say("read me");
        settle(&mut one, &mut other);
        assert_eq!(other.command(ContactCommand::MarkRead { number: 0 }), Ok(Reply::Done));
        assert_eq!(other.conversation.receipts.is_due(), on);
        settle(&mut one, &mut other);
        let expected = if on { MessageState::Read } else { MessageState::Delivered };
        assert_eq!(one.states.get(&id), Some(&expected));
    }
}

#[test]
fn a_receipt_that_a_full_chain_cannot_carry_stays_due() {
    let (mut one, mut other) = established(24);
    for side in [&mut one, &mut other] {
        assert_eq!(side.command(ContactCommand::SetReadReceipts { on: true }), Ok(Reply::Done));
    }
    one.say("read me");
    settle(&mut one, &mut other);
    // Nothing of this reaches the contact, so the chain is never renewed.
    let mut sent = 0;
    loop {
        assert!(other.conversation.receipts.note_read());
        let receipt = other
            .turn(|conversation, turn| next_envelope(conversation, turn, ContactJob::Acknowledge));
        if receipt.is_none() {
            break;
        }
        assert!(!other.conversation.receipts.is_due());
        sent += 1;
        assert!(sent <= 2 * crate::engine::session::WINDOW, "the chain has an end");
    }
    assert!(sent > 0 && other.conversation.receipts.is_due());
}

/// The fate of one envelope in the network.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Deliver,
    Lose,
    Twice,
    Late,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Deliver),
        2 => Just(Fate::Lose),
        1 => Just(Fate::Twice),
        2 => Just(Fate::Late),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_network_does_every_text_is_shown_once_and_in_order(
        seed in 0_u64..1_000,
        fates in proptest::collection::vec(any_fate(), 40..120),
        texts in proptest::collection::vec(any::<bool>(), 1..24),
    ) {
        let (mut one, mut other) = pair(seed);
        let mut said = [Vec::new(), Vec::new()];
        let mut fates = fates.into_iter();
        let mut late: Vec<(usize, OutgoingRecord)> = Vec::new();
        for (number, by_one) in texts.into_iter().enumerate() {
            let text = format!("text {number}");
            let (side, said) = if by_one { (&mut one, &mut said[0]) } else { (&mut other, &mut said[1]) };
            side.say(&text);
            said.push(text);
            for from in 0..2 {
                let sent = if from == 0 { one.send() } else { other.send() };
                for record in sent {
                    let to = if from == 0 { &mut other } else { &mut one };
                    match fates.next().unwrap_or(Fate::Deliver) {
                        Fate::Deliver => to.receive(&record),
                        Fate::Lose => {}
                        Fate::Twice => {
                            to.receive(&record);
                            to.receive(&record);
                        }
                        Fate::Late => late.push((from, record)),
                    }
                }
            }
            one.wait(Millis(7_000));
            other.wait(Millis(7_000));
        }
        for (from, record) in late {
            if from == 0 { other.receive(&record) } else { one.receive(&record) }
        }
        // From here on nothing is lost: within a day everything has come.
        for _ in 0..48 {
            one.wait(Millis(1_800_000));
            other.wait(Millis(1_800_000));
            settle(&mut one, &mut other);
        }
        prop_assert_eq!(&other.shown, &said[0]);
        prop_assert_eq!(&one.shown, &said[1]);
        let mut states = one.states.values().chain(other.states.values());
        prop_assert!(states.all(|state| *state == MessageState::Delivered));
    }
}
