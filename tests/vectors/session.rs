//! Keys, invites, sealed letters, offers and a whole transcript against the second implementation
//! (`tests/interop/python`): from the same entropy both must write the same bytes, read each other's
//! and refuse the same. Its `vectors.py` says what the fields are.
#![expect(clippy::expect_used, reason = "a vector that cannot be read is a failed test")]

use serde::Deserialize;

use undertone::engine::crypto::ellswift;
use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::{Identity, PublicKey};
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::engine::crypto::sas::{Half, SasWord};
use undertone::engine::crypto::{ecies, keys};
use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::Topic;
use undertone::engine::session::{
    Ack, Content, Offer, Payload, ReceivedOffer, SealedBody, Session, WINDOW,
};

use crate::crypto::to_ecies;
use crate::entropy::{NOW, Script, turn};
use crate::hex::{array, bytes};

#[derive(Deserialize)]
struct Person {
    secret: String,
    public: String,
    fingerprint: String,
    invite: String,
}

#[derive(Deserialize)]
struct People {
    a: Person,
    b: Person,
}

#[derive(Deserialize)]
struct Keys {
    people: People,
    safety_number: String,
    invites: Refused<Invite>,
    elligator: Elligator,
    ecies: Vec<Letter>,
}

#[derive(Deserialize)]
struct Refused<T> {
    refused: Vec<T>,
}

#[derive(Deserialize)]
struct Invite {
    about: String,
    text: String,
}

#[derive(Deserialize)]
struct Elligator {
    written: Vec<Encoding>,
    read: Vec<Encoding>,
}

#[derive(Deserialize)]
struct Encoding {
    key: String,
    seed: Option<String>,
    encoding: String,
}

#[derive(Deserialize)]
struct Letter {
    secret: String,
    public: String,
    entropy: String,
    plaintext: String,
    body: String,
    packages: String,
}

#[derive(Deserialize)]
struct Transcript {
    people: People,
    now: u64,
    offers: Offers,
    steps: Vec<Step>,
    words: Words,
}

#[derive(Deserialize)]
struct Offers {
    refused: Vec<OfferCase>,
    taken: Vec<OfferCase>,
}

#[derive(Deserialize)]
struct OfferCase {
    about: String,
    created: Option<u64>,
    body: String,
}

#[derive(Deserialize)]
struct Words {
    words: Vec<String>,
}

#[derive(Deserialize)]
struct Step {
    who: String,
    entropy: String,
    #[serde(flatten)]
    deed: Deed,
}

#[derive(Deserialize)]
#[serde(tag = "does", rename_all = "lowercase")]
enum Deed {
    Offer {
        created: u64,
        id: String,
    },
    Seal {
        topic: String,
        body: String,
    },
    #[serde(rename = "read offer")]
    ReadOffer {
        of: usize,
    },
    Answer,
    Send {
        payload: Said,
        topic: String,
        body: String,
    },
    Open {
        of: usize,
        result: Outcome,
        edit: Option<usize>,
    },
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Opened,
    Later,
    Nothing,
}

#[derive(Clone, Deserialize)]
struct Said {
    stream: String,
    number: Option<String>,
    ack: Option<[String; 3]>,
    base: String,
    kind: u8,
    said: String,
}

impl Said {
    fn payload(&self) -> Payload {
        let number = |digits: &String| digits.parse::<u64>().expect("a number");
        let said = bytes(&self.said);
        let content = match self.kind {
            0 => Content::Nothing,
            1 => Content::Text(String::from_utf8(said).expect("text")),
            2 => Content::Answer,
            3 => Content::Close,
            4 => {
                let (stream, below) = said.split_at(8);
                let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight"));
                Content::Read { epoch: number(stream), below: number(below) }
            }
            _ => Content::Unknown,
        };
        Payload {
            epoch: number(&self.stream),
            number: self.number.as_ref().map(number),
            ack: self.ack.as_ref().map(|[stream, next, beyond]| Ack {
                epoch: number(stream),
                next: number(next),
                sack: number(beyond),
            }),
            base: number(&self.base),
            content,
        }
    }
}

fn keys() -> Keys {
    serde_json::from_str(include_str!("keys.json")).expect("keys.json has this shape")
}

fn transcript() -> Transcript {
    serde_json::from_str(include_str!("session.json")).expect("session.json has this shape")
}

fn script(hex: &str) -> Script {
    Script(bytes(hex).into_iter())
}

fn identity(secret: &str) -> Identity {
    let json = serde_json::to_string(&bytes(secret)).expect("bytes are JSON");
    serde_json::from_str(&json).expect("a secret key")
}

fn key(hex: &str) -> PublicKey {
    PublicKey::from_bytes(&array::<{ keys::PUBLIC_KEY_SIZE }>(hex)).expect("a point")
}

#[test]
fn keys_fingerprints_and_invites_are_those_of_the_second_implementation() {
    let People { a, b } = keys().people;
    for person in [a, b] {
        let key = identity(&person.secret).public();
        assert_eq!(key.to_bytes().as_slice(), bytes(&person.public));
        assert_eq!(key.fingerprint().as_bytes().as_slice(), bytes(&person.fingerprint));
        assert_eq!(invite::encode(&key), person.invite);
        assert_eq!(invite::decode(&person.invite), Ok(key));
    }
    let number = SafetyNumber::of(&key(&keys().people.a.public), &key(&keys().people.b.public));
    assert_eq!(number.digits(), keys().safety_number);
    let refused = keys().invites.refused;
    assert!(refused.len() > 10);
    for case in refused {
        assert!(invite::decode(&case.text).is_err(), "{}", case.about);
    }
}

#[test]
fn points_hide_and_are_found_as_in_the_second_implementation() {
    let Elligator { written, read } = keys().elligator;
    assert!(written.len() > 10 && read.len() > 10);
    for Encoding { key: hex, seed, encoding } in written {
        let mut entropy = script(&seed.expect("a seed"));
        let encoded = ellswift::encode(&mut turn(&mut entropy), &key(&hex));
        assert_eq!(encoded.as_slice(), bytes(&encoding));
        assert_eq!(ellswift::decode(&encoded), key(&hex));
    }
    for Encoding { key: hex, encoding, .. } in read {
        assert_eq!(ellswift::decode(&array(&encoding)), key(&hex));
    }
}

#[test]
fn letters_are_sealed_and_opened_as_in_the_second_implementation() {
    for letter in keys().ecies {
        let (own, to) = (identity(&letter.secret), key(&letter.public));
        let (plaintext, body) = (bytes(&letter.plaintext), bytes(&letter.body));
        let mut entropy = script(&letter.entropy);
        assert_eq!(ecies::seal(&mut turn(&mut entropy), &to, &plaintext), body);
        assert_eq!(entropy.0.len(), 0, "all entropy is used");
        assert_eq!(ecies::open(&own, &body).expect("a letter to them").as_slice(), plaintext);
        assert_eq!(to_ecies(&body), bytes(&letter.packages));
    }
}

#[test]
fn the_same_offers_are_taken_and_refused() {
    let Transcript { people, offers, .. } = transcript();
    let b = identity(&people.b.secret);
    let takes = |case: &OfferCase| {
        ReceivedOffer::open(&b, &bytes(&case.body)).filter(|offer| offer.timely(NOW))
    };
    assert!(offers.refused.len() > 10);
    for case in &offers.refused {
        assert!(takes(case).is_none(), "{}", case.about);
    }
    for case in &offers.taken {
        let offer = takes(case);
        let created = offer.as_ref().map(|offer| offer.created().0);
        assert_eq!(created, case.created, "{}", case.about);
        assert_eq!(offer.map(|offer| offer.from()), Some(key(&people.a.public)));
    }
}

/// One side of the transcript.
struct Side {
    own: Identity,
    offer: Option<Offer>,
    session: Option<Session>,
}

impl Side {
    fn new(person: &Person) -> Self {
        Self { own: identity(&person.secret), offer: None, session: None }
    }

    fn session(&self) -> &Session {
        self.session.as_ref().expect("a session")
    }

    /// Does what a step says, and holds what comes of it to what the step says comes of it.
    fn play(&mut self, env: &mut Env<'_>, their: &PublicKey, steps: &[Step], step: &Step) {
        match &step.deed {
            Deed::Offer { created, id } => {
                let (offer, session) = Offer::new(env, &self.own, their, WINDOW);
                assert_eq!(offer.created(), UnixSeconds(*created));
                assert_eq!(offer.id().0.as_slice(), bytes(id));
                (self.offer, self.session) = (Some(offer), Some(session));
            }
            Deed::Seal { .. } => {
                let sealed = self.offer.as_ref().expect("an offer").seal(env);
                assert_eq!(sealed, of(step));
            }
            Deed::ReadOffer { of: which } => {
                let body = of(at(steps, *which)).body;
                let offer = ReceivedOffer::open(&self.own, &body).expect("an offer to them");
                assert_eq!(offer.from(), *their);
                // The program draws its answer when it takes an offer in; the transcript, when it
                // is first needed. Nothing shows the difference.
                let answer = steps.iter().find(|step| matches!(step.deed, Deed::Answer));
                let mut entropy = script(&answer.expect("an answer").entropy);
                self.session = Some(offer.accept(&mut turn(&mut entropy), WINDOW));
                assert_eq!(entropy.0.len(), 0, "all entropy of the answer is used");
            }
            Deed::Answer => {}
            Deed::Send { payload, .. } => {
                let sent = self.session().encrypt(env, &payload.payload()).expect("room");
                assert_eq!(sent.sealed.topic, of(step).topic);
                // What a later version says is read and never written.
                if payload.payload().content != Content::Unknown {
                    assert_eq!(sent.sealed, of(step));
                }
                self.session = Some(sent.session);
            }
            Deed::Open { of: which, result, edit } => {
                self.open(env, at(steps, *which), *result, *edit);
            }
        }
    }

    fn open(&mut self, env: &mut Env<'_>, step: &Step, result: Outcome, edit: Option<usize>) {
        let mut sealed = of(step);
        if let Some(edit) = edit {
            *sealed.body.get_mut(edit).expect("a byte of the body") ^= 1;
        }
        let opened = self.session().decrypt(env, &self.own, sealed.topic, &sealed.body);
        let Some((session, payload)) = opened else {
            assert!(result != Outcome::Opened, "what should open does not");
            return;
        };
        assert!(result == Outcome::Opened, "what should not open does");
        let said = match &step.deed {
            Deed::Send { payload, .. } => Some(payload.payload()),
            Deed::Offer { .. }
            | Deed::Seal { .. }
            | Deed::ReadOffer { .. }
            | Deed::Answer
            | Deed::Open { .. } => None,
        };
        assert_eq!(Some(payload), said);
        self.session = Some(session);
    }
}

/// The steps count from 0.
fn at(steps: &[Step], which: usize) -> &Step {
    steps.get(which).expect("a step before")
}

/// What a step that seals or sends gives.
fn of(step: &Step) -> SealedBody {
    let given = match &step.deed {
        Deed::Seal { topic, body } | Deed::Send { topic, body, .. } => Some((topic, body)),
        Deed::Offer { .. } | Deed::ReadOffer { .. } | Deed::Answer | Deed::Open { .. } => None,
    };
    let (topic, body) = given.expect("a step that gives a body");
    SealedBody { topic: Topic(array(topic)), body: bytes(body) }
}

#[test]
fn both_implementations_write_one_transcript_and_read_each_other() {
    let Transcript { people, now, steps, words, .. } = transcript();
    let (mut a, mut b) = (Side::new(&people.a), Side::new(&people.b));
    assert!(steps.len() > 50);
    for (index, step) in steps.iter().enumerate() {
        let (side, their) = match step.who.as_str() {
            "a" => (&mut a, &people.b.public),
            _ => (&mut b, &people.a.public),
        };
        let mut entropy = script(&step.entropy);
        let mut env = Env::new(Millis(0), UnixSeconds(now), &mut entropy);
        side.play(&mut env, &key(their), &steps, step);
        let used = entropy.0.len() == 0 || matches!(step.deed, Deed::Answer);
        assert!(used, "all entropy of step {index} is used");
    }
    assert!(a.session().confirmed() && b.session().confirmed());
    for side in [a, b] {
        let read = side.session().sas().expect("words");
        let halves = [read.half(Half::First), read.half(Half::Second)].concat();
        let spoken: Vec<String> = halves.iter().map(SasWord::to_string).collect();
        assert_eq!(spoken, words.words);
    }
}
