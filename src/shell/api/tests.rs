//! What is written on the socket reads back as what it was, and nothing else reads as one of ours.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::calls::{AnyCall, Around, ContactRef, History, Id, METHODS, MessageRef, MessageSend};
use super::testing::{in_readme, not_for_long};
use super::words::{MESSAGE_STATES, session_named};
use super::*;
use crate::engine::crypto::keys::{Identity as IdentityKey, PublicKey};
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord};
use crate::engine::env::{Seconds, UnixSeconds};
use crate::engine::envelope::Lifetime;
use crate::engine::event::{HeldBack, SasHalf, SendRoom, SessionStatus};
use crate::engine::id::{ContactId, IdentityId, MessageId, RequestId};
use crate::engine::price::{ShownWork, Step};
use crate::engine::record::{DeliveryLog, HoldReason, MessageState, Trust, VerificationMethod};
use crate::engine::testing::rng::SeededRng;
use crate::engine::text::UntrustedText;
use crate::shell::failure::FailureCode;
use crate::shell::os::clock::wall;

fn key() -> impl Strategy<Value = PublicKey> {
    any::<u64>().prop_map(|seed| IdentityKey::generate(&mut SeededRng::new(seed).turn()).public())
}

/// Moments that a calendar has.
fn moment() -> impl Strategy<Value = UnixSeconds> {
    (0_u64..253_000_000_000).prop_map(UnixSeconds)
}

fn trust() -> impl Strategy<Value = Trust> {
    let method = prop_oneof![Just(VerificationMethod::Sas), Just(VerificationMethod::SafetyNumber)];
    let reason = prop_oneof![
        Just(HoldReason::Mismatch),
        proptest::option::of(moment()).prop_map(|verified| HoldReason::KeyChanged { verified }),
    ];
    prop_oneof![
        Just(Trust::Unverified),
        (moment(), method).prop_map(|(at, by)| Trust::Verified { at, by }),
        (moment(), reason, any::<u8>()).prop_map(|(since, reason, attempts)| Trust::OnHold {
            since,
            reason,
            attempts
        }),
    ]
}

fn sas() -> impl Strategy<Value = SasHalf> {
    let half = prop_oneof![Just(Half::First), Just(Half::Second)];
    let word = prop_oneof![Just("walnut"), Just("violin"), Just("harbor")]
        .prop_map(|word| SasWord::parse(word).unwrap());
    (half, [word.clone(), word.clone(), word]).prop_map(|(half, words)| SasHalf { half, words })
}

fn session() -> impl Strategy<Value = SessionStatus> {
    prop_oneof![
        Just(SessionStatus::None),
        Just(SessionStatus::OfferQueued),
        Just(SessionStatus::OfferSent),
        Just(SessionStatus::AwaitingConfirmation),
        Just(SessionStatus::Established),
        Just(SessionStatus::Blocked),
    ]
}

fn contact() -> impl Strategy<Value = Contact> {
    let ids = (any::<u64>(), any::<u64>(), ".*", key(), key());
    let state = (session(), trust(), proptest::option::of(sas()));
    let restored = proptest::option::of(moment());
    let figures = (any::<u64>(), any::<bool>(), restored, any::<u64>(), (step(), held_back()));
    (ids, state, figures).prop_map(
        |((id, identity, petname, key, own), (session, trust, sas), figures)| {
            let (missing, read_receipts, restored, unread, (highest, held)) = figures;
            let (waiting, in_line, next_look, room) = held;
            let view = ContactView {
                id: ContactId(id),
                identity: IdentityId(identity),
                petname,
                key,
                session,
                trust,
                safety_number: SafetyNumber::of(&key, &own),
                sas,
                missing,
                read_receipts,
                restored,
                highest,
                room,
                waiting,
                in_line,
                next_look,
            };
            Contact { view, unread }
        },
    )
}

fn step() -> impl Strategy<Value = Option<Step>> {
    proptest::option::of((0..=Step::MAX.get()).prop_map(Step::new))
}

type Held = Arc<BTreeSet<HeldBack>>;

fn held_back() -> impl Strategy<Value = (Held, Held, Option<UnixSeconds>, SendRoom)> {
    let what = prop_oneof![
        proptest::sample::select(&Lifetime::ALL[..]).prop_map(HeldBack::Request),
        Just(HeldBack::Messages),
        any::<u64>().prop_map(|id| HeldBack::Again(MessageId(id))),
        Just(HeldBack::Answers),
    ];
    let held = proptest::collection::btree_set(what, 0..4).prop_map(Arc::new);
    let room = prop_oneof![Just(SendRoom::Free), Just(SendRoom::Full)];
    (held.clone(), held, proptest::option::of(moment()), room)
}

fn message() -> impl Strategy<Value = Message> {
    let delivery = (
        any::<u32>(),
        proptest::option::of(moment()),
        proptest::option::of(moment()),
        proptest::option::of(moment()),
        proptest::option::of(moment()),
    );
    let ids = (any::<u64>(), any::<u64>(), proptest::option::of(any::<u64>()), any::<u64>());
    let postage = (proptest::sample::select(&Lifetime::ALL[..]), step());
    let rest = (".*", moment(), any::<bool>(), postage);
    let state = proptest::option::of(proptest::sample::select(&MESSAGE_STATES[..]));
    (ids, rest, state, delivery, ".*").prop_map(
        |((id, contact, number, missing), (text, at, early, postage), state, delivery, with)| {
            let (attempts, first_sent, last_sent, delivered, read) = delivery;
            let (direction, delivery) = match state {
                None => (Direction::Incoming, DeliveryLog::default()),
                Some(state) => (
                    Direction::Outgoing(state),
                    DeliveryLog { attempts, first_sent, last_sent, delivered, read },
                ),
            };
            let view = MessageView {
                id: MessageId(id),
                contact: ContactId(contact),
                direction,
                number,
                text: UntrustedText::new(text),
                at,
                missing,
                early,
                lifetime: postage.0,
                // What theirs cost is known to nobody here.
                highest: postage.1.filter(|_| direction != Direction::Incoming),
                delivery,
            };
            Message { view, with, waits_for: None }
        },
    )
}

#[test]
fn a_message_says_that_it_is_not_for_long_while_that_is_so() {
    let now = wall();
    let two_days_ago = now.minus(Seconds(2 * 86_400));
    for (message, fresh) in [(not_for_long(now), true), (not_for_long(two_days_ago), false)] {
        let told = serde_json::to_value(&message).unwrap();
        assert_eq!(
            (&told["state"], &told["not_for_long"]),
            (&json!("unacknowledged"), &json!(fresh))
        );
        // It has left, and does not count as sent as long as that is so.
        assert!(message.has_reached(MessageState::Queued, now));
        assert_eq!(message.has_reached(MessageState::Sent, now), !fresh);
        assert!(!message.has_reached(MessageState::Delivered, now));
    }
}

fn fields_of(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_contact_reads_back_as_it_was(contact in contact()) {
        prop_assert_eq!(again(&contact), contact);
    }

    #[test]
    fn a_message_reads_back_as_it_was(message in message()) {
        prop_assert_eq!(again(&message), message);
    }

    #[test]
    fn an_identity_and_a_request_read_back_as_they_were(
        id: u64,
        name: String,
        key in key(),
        is_default: bool,
        arrived in moment(),
    ) {
        let identity = Identity { view: IdentityView { id: IdentityId(id), name, key }, is_default };
        prop_assert_eq!(again(&identity), identity);
        let view = RequestView { id: RequestId(id), identity: IdentityId(id), key, arrived, work: ShownWork::default() };
        let request = Request { view };
        prop_assert_eq!(again(&request), request);
    }

    /// Folding what a directory says of itself gives the same directory.
    #[test]
    fn a_directory_is_what_its_events_make(
        contacts in proptest::collection::vec(contact(), 0..6),
        gone in proptest::collection::vec(0_usize..6, 0..3),
    ) {
        let mut directory = Directory::default();
        for contact in &contacts {
            directory.apply(&Event::Contact(contact.clone()));
        }
        for index in gone {
            if let Some(contact) = contacts.get(index) {
                directory.apply(&Event::ContactRemoved { id: contact.id });
            }
        }
        let mut folded = Directory::default();
        for event in directory.events() {
            folded.apply(&again(&event));
        }
        let all = |directory: &Directory| directory.contacts().cloned().collect::<Vec<_>>();
        prop_assert_eq!(all(&folded), all(&directory));
    }

    #[test]
    fn any_text_is_a_call_or_refused(method in proptest::sample::select(METHODS), params: String) {
        if let Ok(call) = AnyCall::parse(method, &params) {
            let written = serde_json::to_string(&call).unwrap();
            prop_assert!(AnyCall::parse(method, &written).is_ok());
        }
    }
}

#[test]
fn a_call_reads_back_with_the_names_that_scripts_use() {
    let call = AnyCall::parse("message.send", r#"{"contact":"ben","text":"hi","life":"week"}"#);
    let Ok(AnyCall::MessageSend(MessageSend { contact, life, .. })) = call else {
        panic!("it is one");
    };
    assert!(matches!(contact, ContactRef::Name(name) if name == "ben"));
    assert_eq!(life, Lifetime::Week);
    let id = r#"{"contact":{"id":"00000000000000ff"},"around":{"message":"0000000000000001"}}"#;
    let Ok(AnyCall::History(History { contact, around, .. })) = AnyCall::parse("history", id)
    else {
        panic!("it is one");
    };
    assert!(matches!(contact, ContactRef::Id { id: ContactId(255) }));
    assert_eq!(around, Around::Message(Id(1)));
    let of = r#"{"contact":{"name":"ben","identity":"work"}}"#;
    assert!(matches!(
        AnyCall::parse("contact.show", of),
        Ok(AnyCall::ContactShow(call)) if matches!(&call.contact, ContactRef::Of { .. })
    ));
}

#[test]
fn a_wrong_parameter_is_named_and_an_unknown_word_refused() {
    let refused = |method, params| AnyCall::parse(method, params).unwrap_err();
    let wrong = refused("message.wait", r#"{"message":"abcd","state":"gone","timeout_s":1}"#);
    assert_eq!(wrong.code(), Some(FailureCode::BadRequest));
    assert!(wrong.why.contains("not the state of a message"), "{}", wrong.why);
    assert!(refused("contact.block", r#"{"contacts":"ben"}"#).why.contains("`contacts`"));
    assert_eq!(refused("block", "{}").code(), Some(FailureCode::UnknownMethod));
    assert_eq!(session_named("ready"), None);
}

#[test]
fn a_delivery_is_an_event_and_its_place_or_what_was_missed_or_the_end() {
    let (from, to) = (Cursor { log: 1, position: 2 }, Cursor { log: 1, position: 30 });
    let read = Event::Read { contact: ContactId(1), with: "ben".to_owned(), unread: 1 };
    let event = Delivery::Event { cursor: Some(to), event: Box::new(read) };
    let event = serde_json::to_value(&event).unwrap();
    assert_eq!(event["cursor"], "c1.0000000000000001.1e");
    assert_eq!((&event["event"]["type"], &event["event"]["with"]), (&json!("read"), &json!("ben")));
    let missed = serde_json::to_value(Delivery::Missed { from, to }).unwrap();
    assert_eq!(missed["missed"]["from"], "c1.0000000000000001.2");
    assert!(matches!(serde_json::from_value(missed), Ok(Delivery::Missed { .. })));
    assert!(matches!(serde_json::from_value(event), Ok(Delivery::Event { .. })));
    assert!(serde_json::from_value::<Delivery>(json!({})).is_err());
}

#[test]
fn the_readme_lists_every_field_of_identities_contacts_requests_and_messages() {
    let key = IdentityKey::generate(&mut SeededRng::new(1).turn()).public();
    let view = IdentityView { id: IdentityId(1), name: "ann".to_owned(), key };
    in_readme("| field of an identity | means |", &fields_of(&Identity { view, is_default: true }));
    let half = SasHalf { half: Half::First, words: [SasWord::parse("walnut").unwrap(); 3] };
    let reason = HoldReason::KeyChanged { verified: None };
    let all = [HeldBack::Again(MessageId(1)), HeldBack::Request(Lifetime::Day)];
    for (trust, what) in [
        (Trust::Unverified, all[0]),
        (Trust::Verified { at: UnixSeconds(1), by: VerificationMethod::Sas }, all[1]),
        (Trust::OnHold { since: UnixSeconds(1), reason, attempts: 1 }, all[0]),
    ] {
        let view = ContactView {
            id: ContactId(1),
            identity: IdentityId(1),
            petname: "ben".to_owned(),
            key,
            session: SessionStatus::Established,
            trust,
            safety_number: SafetyNumber::of(&key, &key),
            sas: Some(half),
            missing: 0,
            read_receipts: true,
            restored: None,
            highest: None,
            room: SendRoom::Full,
            waiting: Arc::new(BTreeSet::from([what])),
            in_line: Arc::default(),
            next_look: None,
        };
        in_readme("| field of a contact | means |", &fields_of(&Contact { view, unread: 0 }));
    }
    let arrived = UnixSeconds(1);
    let view = RequestView {
        id: RequestId(1),
        identity: IdentityId(1),
        key,
        arrived,
        work: ShownWork::default(),
    };
    in_readme("| field of a request | means |", &fields_of(&Request { view }));
    let mut message = not_for_long(wall());
    let ours = fields_of(&message);
    message.view.direction = Direction::Incoming;
    let mut both = ours.as_object().unwrap().clone();
    both.extend(fields_of(&message).as_object().unwrap().clone());
    in_readme("| field of a message | means |", &both.into());
}

#[test]
fn the_readme_lists_every_field_of_a_line_about_something_that_is_there() {
    let (contact, with) = (ContactId(1), "ben".to_owned());
    let lines = [
        Event::Session { contact, with: with.clone(), session: SessionStatus::Established },
        Event::Change {
            what: MessageChange::Confirmed,
            id: MessageId(1),
            contact,
            with: with.clone(),
        },
        Event::State {
            id: MessageId(1),
            contact,
            to: with,
            number: None,
            state: MessageState::Sent,
            not_for_long: false,
            delivery: DeliveryLog::default(),
        },
    ];
    let mut all = serde_json::Map::new();
    lines.iter().for_each(|line| all.extend(fields_of(line).as_object().unwrap().clone()));
    all.insert("v".to_owned(), 1.into());
    in_readme("| field of a line of `listen` | means |", &all.into());
}

#[test]
fn a_request_for_a_history_that_does_not_say_how_much_gets_the_newest_part() {
    let Ok(AnyCall::History(history)) = AnyCall::parse("history", r#"{"contact":"ben"}"#) else {
        panic!("it is one");
    };
    assert_eq!((history.before, history.after, history.around), (50, 0, Around::Newest));
}

#[test]
fn what_a_node_of_an_earlier_build_does_not_say_of_its_searches_is_not_known() {
    let without = |json: serde_json::Value, field: &str| {
        let mut json = json;
        assert!(json.as_object_mut().unwrap().remove(field).is_some(), "{field}");
        json
    };
    let told = status::tests::network();
    let said = NetworkStatus {
        miner: MinerStatus {
            threads: 3,
            threads_now: 2,
            kernel: "scalar".to_owned(),
            tries_per_second: 9,
        },
        ..told.clone()
    };
    let json = json!(said);
    assert!(serde_json::from_value::<NetworkStatus>(json.clone()).unwrap() == said);
    assert!(serde_json::from_value::<NetworkStatus>(without(json, "miner")).unwrap() == told);
    let start = StartOptions { mining_threads: Some(3), ..StartOptions::default() };
    let json = json!(start);
    assert!(serde_json::from_value::<StartOptions>(json.clone()).unwrap() == start);
    let read = serde_json::from_value::<StartOptions>(without(json, "mining_threads")).unwrap();
    assert_eq!(read.mining_threads, None);
}

#[test]
fn nothing_here_shows_whom_or_what_it_is_about() {
    let shown = |value: &dyn core::fmt::Debug| format!("{value:?}");
    let who = ClientInfo::new(ClientKind::Bot);
    assert_eq!(shown(&who), "ClientInfo");
    assert_eq!(shown(&Directory::default()), "Directory");
    assert_eq!(shown(&ContactRef::from("ben")), "ContactRef::Name");
    assert_eq!(shown(&MessageRef("abcd".to_owned())), "MessageRef");
    assert_eq!(shown(&Id(1)), "Id");
    let call = AnyCall::parse("contact.show", r#"{"contact":"ben"}"#).unwrap();
    assert_eq!(shown(&call), "AnyCall::ContactShow");
    let read = Event::Read { contact: ContactId(1), with: "ben".to_owned(), unread: 1 };
    assert_eq!(shown(&read), "Event::Read");
    let report: serde_json::Value = json!({ "done": {} });
    assert!(report.is_object());
}
