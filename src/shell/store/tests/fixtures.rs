//! Records for the store's tests.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use crate::engine::crypto::keys::{Identity, PublicKey};
use crate::engine::env::{Env, Millis, Seconds, UnixSeconds};
use crate::engine::envelope::{Lifetime, Topic};
use crate::engine::id::{ContactId, IdentityId, MessageId, OutgoingId, RequestId};
use crate::engine::price::ShownWork;
use crate::engine::record::{
    ContactRecord, ContactState, DeliveryLog, EnvelopePurpose, HoldReason, MessageRecord,
    MessageState, OutgoingRecord, PendingOffer, ReceiveSequence, Record, ReplayRecord,
    RequestRecord, SendSequence, SessionRecord, StoredDirection, Trust,
};
use crate::engine::session::{Offer, OfferId, ReceivedOffer, SessionId, WINDOW};
use crate::engine::testing::rng::SeededRng;

/// A stored identity: its secret key is 32 bytes of 07.
pub(in crate::shell::store) const IDENTITY_ROW: &str =
    "00000000 0100000000000000 0800000000000000 6e696768746a6172
    2000000000000000 0707070707070707070707070707070707070707070707070707070707070707
    00e1f50500000000";

/// The bytes that hexadecimal digits stand for, with blanks and line ends between them.
pub(in crate::shell::store) fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    HEXLOWER.decode(digits.as_bytes()).unwrap()
}

/// The values of the rows in a fixture, records and messages alike: the last bytes of each line.
pub(in crate::shell::store) fn old_rows(fixture: &str) -> Vec<Vec<u8>> {
    let rows = fixture.lines().filter(|line| line.starts_with("INSERT INTO "));
    let values = rows.filter_map(|line| line.rsplit("x'").next()?.strip_suffix("');"));
    values.map(unhex).collect()
}

/// The generator of secp256k1 (SEC 2, section 2.4.1), compressed: a key as good as any.
const GENERATOR: [u8; 33] = [
    0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b,
    0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17,
    0x98,
];

pub(in crate::shell::store) fn contact(id: u64) -> Record {
    Record::Contact(ContactRecord {
        id: ContactId(id),
        identity: IdentityId(1),
        key: PublicKey::from_bytes(&GENERATOR).unwrap(),
        petname: "mira".to_owned(),
        state: ContactState::Active,
        sent: SendSequence { epoch: 3, next: 4 },
        received: vec![ReceiveSequence { epoch: 5, next: 6, sack: 7, read_up_to: 2 }],
        offer: None,
        trust: Trust::Unverified,
        read_receipts: false,
        restored: None,
        highest: None,
    })
}

/// The same contact after its key changed and two comparisons failed.
pub(in crate::shell::store) fn doubted(id: u64) -> Record {
    let Record::Contact(record) = contact(id) else { panic!("not a contact") };
    let reason = HoldReason::KeyChanged { verified: Some(UnixSeconds(128)) };
    let trust = Trust::OnHold { since: UnixSeconds(100_000_000), reason, attempts: 2 };
    Record::Contact(ContactRecord { trust, ..record })
}

/// The records that a handshake leaves in a store: the initiator's session, its contact with the
/// pending offer, the responder's session, and the request it came as.
pub(in crate::shell::store) fn handshake() -> [Record; 4] {
    let mut seeded = SeededRng::new(1);
    let mut env = Env::new(Millis(0), UnixSeconds(100_000_000), &mut seeded);
    let (own, their) = (Identity::generate(&mut env), Identity::generate(&mut env));
    let (offer, session) = Offer::new(&mut env, &own, &their.public(), WINDOW);
    let received = ReceivedOffer::open(&their, &offer.seal(&mut env).body).unwrap();
    let Record::Contact(mut pending) = contact(7) else { panic!("not a contact") };
    pending.offer = Some(Box::new(PendingOffer { offer, attempts: 2 }));
    let responder = received.accept(&mut env, WINDOW);
    [
        Record::Session(SessionRecord { contact: ContactId(7), session: Box::new(session) }),
        Record::Contact(pending),
        Record::Session(SessionRecord { contact: ContactId(8), session: Box::new(responder) }),
        Record::Request(RequestRecord {
            id: RequestId(9),
            identity: IdentityId(1),
            offer: received,
            arrived: UnixSeconds(100_000_001),
            work: ShownWork::default(),
        }),
    ]
}

pub(in crate::shell::store) fn seen(offer: u8) -> Record {
    Record::Replay(ReplayRecord { offer: OfferId([offer; 32]), until: UnixSeconds(128) })
}

pub(in crate::shell::store) fn outgoing(id: u64) -> Record {
    Record::Outgoing(OutgoingRecord {
        id: OutgoingId(id),
        purpose: EnvelopePurpose::Message(ContactId(7), MessageId(id)),
        topic: Topic([1, 2, 3, 4]),
        body: vec![0xaa, 0xbb, 0xcc],
        ttl: Seconds(86_400),
        envelope: Some(vec![0xdd, 0xee]),
    })
}

pub(in crate::shell::store) fn message(
    id: u64,
    contact: u64,
    direction: StoredDirection,
    text: &str,
) -> Record {
    Record::Message(MessageRecord {
        id: MessageId(id),
        contact: ContactId(contact),
        direction,
        number: Some(id),
        text: text.to_owned(),
        at: UnixSeconds(100_000_000),
        missing: 0,
        early: None,
        postage: Lifetime::Day.into(),
        delivery: DeliveryLog::default(),
    })
}

pub(in crate::shell::store) fn theirs(id: u64, contact: u64, text: &str) -> Record {
    message(id, contact, StoredDirection::Delivered, text)
}

pub(in crate::shell::store) fn held(id: u64, contact: u64) -> Record {
    message(id, contact, StoredDirection::Buffered { epoch: 5 }, "waits")
}

pub(in crate::shell::store) fn ours(id: u64, contact: u64, state: MessageState) -> Record {
    message(id, contact, StoredDirection::Outgoing(state), "said")
}

pub(in crate::shell::store) fn asked_again(id: u64, contact: u64) -> Record {
    message(id, contact, StoredDirection::AskedAgain, "said")
}

pub(in crate::shell::store) fn any_side() -> impl Strategy<Value = StoredDirection> {
    prop_oneof![
        prop::sample::select(&MessageState::ALL[..]).prop_map(StoredDirection::Outgoing),
        Just(StoredDirection::Delivered),
        Just(StoredDirection::AskedAgain),
        any::<u64>().prop_map(|epoch| StoredDirection::Buffered { epoch }),
    ]
}

pub(in crate::shell::store) fn any_message() -> impl Strategy<Value = MessageRecord> {
    (any::<[u64; 5]>(), any_side(), any::<String>()).prop_map(
        |([id, contact, number, at, missing], direction, text)| MessageRecord {
            id: MessageId(id),
            contact: ContactId(contact),
            direction,
            number: Some(number),
            text,
            at: UnixSeconds(at),
            missing,
            early: (number % 2 == 1).then_some(SessionId([7; 32])),
            postage: Lifetime::Week.into(),
            delivery: DeliveryLog {
                attempts: 3,
                last_sent: Some(UnixSeconds(at)),
                ..DeliveryLog::default()
            },
        },
    )
}

pub(in crate::shell::store) fn any_outgoing() -> impl Strategy<Value = OutgoingRecord> {
    let purpose = prop_oneof![
        any::<u64>().prop_map(|contact| EnvelopePurpose::Offer(ContactId(contact))),
        any::<[u64; 2]>().prop_map(|[contact, message]| {
            EnvelopePurpose::Message(ContactId(contact), MessageId(message))
        }),
        any::<u64>().prop_map(|contact| EnvelopePurpose::Control(ContactId(contact))),
        Just(EnvelopePurpose::Junk),
    ];
    let numbers = any::<(u64, [u8; 4], u32)>();
    (numbers, purpose, any::<Vec<u8>>(), any::<Option<Vec<u8>>>()).prop_map(
        |((id, topic, ttl), purpose, body, envelope)| OutgoingRecord {
            id: OutgoingId(id),
            purpose,
            topic: Topic(topic),
            body,
            ttl: Seconds(ttl),
            envelope,
        },
    )
}
