//! A contact that is held: what it sends is read, and nothing leaves for it until a person decides.

use undertone::engine::command::{Command, CommandError, Proof, Reply};
use undertone::engine::conversation::MAX_VERIFICATION_ATTEMPTS;
use undertone::engine::crypto::keys::PublicKey;
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use undertone::engine::env::Millis;
use undertone::engine::event::{ContactView, Event, SessionStatus};
use undertone::engine::id::ContactId;
use undertone::engine::record::{
    EnvelopePurpose, HoldReason, MessageState, Trust, VerificationMethod,
};
use undertone::sim::link::Links;

use crate::harness::{Town, link, seeds};

const MINUTE: Millis = Millis::from_secs(60);
const HOUR: Millis = Millis::from_secs(3_600);

fn view(town: &Town, who: usize, contact: ContactId) -> ContactView {
    let snapshot = town.world.node(town.people[who].node).expect("it is up").snapshot();
    snapshot
        .into_iter()
        .find_map(|notice| match notice {
            Event::Contact(view) if view.id == contact => Some(*view),
            _ => None,
        })
        .expect("a contact")
}

/// Envelopes that somebody's node gave to the flood for a contact.
fn sent_to(town: &Town, who: usize, contact: ContactId) -> usize {
    let all = town.world.machine(town.people[who].node).sent();
    let about = |purpose: &EnvelopePurpose| match purpose {
        EnvelopePurpose::Offer(to)
        | EnvelopePurpose::Control(to)
        | EnvelopePurpose::Message(to, _) => *to == contact,
        EnvelopePurpose::Junk => false,
    };
    all.iter().filter(|sent| about(&sent.purpose)).count()
}

fn verify(town: &mut Town, who: usize, contact: ContactId, digits: SafetyNumber) -> Reply {
    let command = Command::Verify { contact, proof: Proof::SafetyNumber(digits) };
    town.world.ask(town.people[who].node, command).expect("compared")
}

fn wrong(town: &Town) -> SafetyNumber {
    let key = town.people[0].key;
    SafetyNumber::of(&key, &key)
}

fn rekey(
    town: &mut Town,
    who: usize,
    contact: ContactId,
    key: PublicKey,
) -> Result<Reply, CommandError> {
    town.world.ask(town.people[who].node, Command::Rekey { contact, key })
}

#[test]
fn both_see_the_same_number_and_digits_that_agree_verify_the_contact() {
    let mut town = Town::new(1, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    let theirs = view(&town, 1, b).safety_number;
    assert_eq!(view(&town, 0, a).safety_number, theirs);
    assert_eq!(view(&town, 0, a).trust, Trust::Unverified);
    assert_eq!(verify(&mut town, 0, a, theirs), Reply::Verified);
    let Trust::Verified { at, by: VerificationMethod::SafetyNumber } = view(&town, 0, a).trust
    else {
        panic!("not verified");
    };
    assert!(at <= town.world.wall());
    assert_eq!(view(&town, 1, b).trust, Trust::Unverified, "trust is one's own");
    town.assert_sound();
}

#[test]
fn a_verified_contact_stays_verified_in_another_session_and_after_a_restart() {
    let mut town = Town::new(2, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    let theirs = view(&town, 1, b).safety_number;
    verify(&mut town, 0, a, theirs);
    let node = town.people[0].node;
    town.world.ask(node, Command::CloseSession { contact: a }).unwrap();
    town.world.run_for(MINUTE);
    town.say(1, b, "in another session");
    town.world.run_for(MINUTE);
    town.world.machine_mut(node).crash_after(0, Millis::from_secs(1));
    town.world.run_for(MINUTE);
    assert_eq!(town.heard(0), ["in another session"]);
    assert!(view(&town, 0, a).trust.verified_at().is_some());
    town.assert_sound();
}

#[test]
fn messages_of_a_contact_on_hold_are_shown_and_no_envelope_leaves_for_it() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 2, 2);
        let (a, b) = town.introduce(0, 1);
        town.say(0, a, "on its way when it happened");
        let digits = wrong(&town);
        assert_eq!(
            verify(&mut town, 0, a, digits),
            Reply::Differs { word: None, attempts_left: 2 }
        );
        let before = sent_to(&town, 0, a);
        town.say(0, a, "written while held");
        town.say(1, b, "are you there");
        town.world.run_for(HOUR);
        let node = town.people[0].node;
        town.world.machine_mut(node).crash_after(0, Millis::from_secs(1));
        town.world.run_for(HOUR);
        town.world.ask(node, Command::CloseSession { contact: a }).unwrap();
        town.world.run_for(HOUR);
        town.say(1, b, "a new offer of theirs");
        town.world.run_for(HOUR);
        assert_eq!(sent_to(&town, 0, a), before, "something left");
        assert_eq!(town.heard(0).first().map(String::as_str), Some("are you there"));
        assert_eq!(town.heard(1), Vec::<String>::new());

        let theirs = view(&town, 1, b).safety_number;
        assert_eq!(verify(&mut town, 0, a, theirs), Reply::Verified);
        town.world.run_for(Millis(24 * HOUR.0));
        assert_eq!(town.heard(1), ["on its way when it happened", "written while held"]);
        assert_eq!(town.heard(0), ["are you there", "a new offer of theirs"]);
        town.assert_sound();
    });
}

/// Compares the words one side is told.
fn tell(
    town: &mut Town,
    who: usize,
    contact: ContactId,
    words: [SasWord; WORDS_PER_HALF],
) -> Reply {
    let command = Command::Verify { contact, proof: Proof::Sas(words) };
    town.world.ask(town.people[who].node, command).expect("compared")
}

#[test]
fn the_words_each_side_reads_out_are_those_the_other_is_asked_for() {
    let mut town = Town::new(5, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    town.world.run_for(HOUR);
    let own = |town: &Town, who, contact| view(town, who, contact).sas.expect("words");
    let (ours, theirs) = (own(&town, 0, a), own(&town, 1, b));
    assert_ne!(ours.half, theirs.half);
    assert_eq!(tell(&mut town, 0, a, theirs.words), Reply::Verified);
    // Whoever is told their own half back was told nothing.
    let Reply::Differs { .. } = tell(&mut town, 1, b, theirs.words) else {
        panic!("one's own words were taken for the other's");
    };
    assert_eq!(tell(&mut town, 1, b, ours.words), Reply::Verified);
    town.assert_sound();
}

#[test]
fn the_last_try_erases_the_session_without_a_farewell() {
    let mut town = Town::new(4, Links::calm(), 2, 2);
    let (a, b) = town.introduce(0, 1);
    town.world.run_for(HOUR);
    let digits = wrong(&town);
    for left in (0..MAX_VERIFICATION_ATTEMPTS).rev() {
        assert_eq!(view(&town, 0, a).session, SessionStatus::Established);
        assert_eq!(
            verify(&mut town, 0, a, digits),
            Reply::Differs { word: None, attempts_left: left }
        );
    }
    assert_eq!(view(&town, 0, a).session, SessionStatus::None);
    town.world.run_for(HOUR);
    assert_eq!(
        link(&town.world, town.people[1].node, b),
        SessionStatus::Established,
        "they are not told"
    );
    let node = town.people[0].node;
    town.say(0, a, "after all");
    town.world.ask(node, Command::AcceptUnverified { contact: a }).unwrap();
    assert_eq!(view(&town, 0, a).trust, Trust::Unverified);
    town.world.run_for(HOUR);
    assert_eq!(town.heard(1), ["after all"]);
    let again = town.world.ask(node, Command::AcceptUnverified { contact: a });
    assert_eq!(again, Err(CommandError::NotOnHold));
    town.assert_sound();
}

#[test]
fn another_key_puts_the_contact_on_hold_until_accepted_and_waiting_messages_go_to_its_owner() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 3, 2);
        let (a, b) = town.introduce(0, 1);
        let theirs = view(&town, 1, b).safety_number;
        verify(&mut town, 0, a, theirs);
        town.say(0, a, "for the key before");
        town.world.run_for(MINUTE);
        let at = view(&town, 0, a).trust.verified_at();
        // The second device knocks, and the owner says whose it is.
        town.add(2, 0);
        town.world.run_for(MINUTE);
        let node = town.people[0].node;
        assert_eq!(town.world.seen(node).requests.len(), 1);
        let other = town.people[2].key;
        assert_eq!(rekey(&mut town, 0, a, other), Ok(Reply::Done));
        assert!(town.world.seen(node).requests.is_empty());
        let before = sent_to(&town, 0, a);
        town.say(0, a, "who are you");
        town.world.run_for(HOUR);
        assert_eq!(sent_to(&town, 0, a), before, "something left");
        let view_of = view(&town, 0, a);
        assert_eq!(view_of.key, other);
        let Trust::OnHold { reason, attempts: 0, since: _ } = view_of.trust else {
            panic!("not held")
        };
        assert_eq!(reason, HoldReason::KeyChanged { verified: at });

        town.world.ask(node, Command::AcceptUnverified { contact: a }).unwrap();
        town.world.run_for(HOUR);
        assert_eq!(town.heard(2), ["who are you"]);
        assert_eq!(town.heard(1), ["for the key before"]);
        town.assert_sound();
    });
}

#[test]
fn messages_that_the_former_key_never_acknowledged_come_first_for_the_new_one() {
    seeds(20, |seed| {
        let mut town = Town::new(seed, Links::calm(), 3, 2);
        let (a, _) = town.introduce(0, 1);
        for number in 0..80 {
            town.say(0, a, &format!("read before, number {number}"));
        }
        town.world.run_for(HOUR);
        // The first device is gone; what is said now is for nobody.
        let gone = [town.people[1].node];
        town.world.partition(&gone);
        town.say(0, a, "left and was lost");
        town.world.run_for(MINUTE);
        let other = town.people[2].key;
        rekey(&mut town, 0, a, other).unwrap();
        town.say(0, a, "waits");
        town.world.ask(town.people[0].node, Command::AcceptUnverified { contact: a }).unwrap();
        town.world.run_for(MINUTE);
        town.accept(2);
        town.world.run_for(HOUR);
        assert_eq!(town.heard(2), ["left and was lost", "waits"]);
        let states = &town.world.seen(town.people[0].node).states;
        assert!(states.values().all(|state| *state == MessageState::Delivered));
        town.assert_sound();
    });
}

#[test]
fn a_known_blocked_or_own_key_cannot_replace_the_key_of_a_contact() {
    let mut town = Town::new(6, Links::calm(), 3, 1);
    let (a, c) = (town.add(0, 1), town.add(0, 2));
    let [own, first, second] = [0, 1, 2].map(|who: usize| town.people[who].key);
    assert_eq!(rekey(&mut town, 0, a, own), Err(CommandError::OwnKey));
    assert_eq!(rekey(&mut town, 0, a, first), Err(CommandError::KnownKey));
    assert_eq!(rekey(&mut town, 0, a, second), Err(CommandError::KnownKey));
    town.world.ask(town.people[0].node, Command::RemoveContact { contact: c }).unwrap();
    town.world.ask(town.people[0].node, Command::Block { contact: a }).unwrap();
    assert_eq!(rekey(&mut town, 0, a, second), Err(CommandError::Blocked));
    assert_eq!(view(&town, 0, a).key, first);
    assert_eq!(view(&town, 0, a).trust, Trust::Unverified);
    town.assert_sound();
}

#[test]
fn a_crash_anywhere_in_a_change_of_keys_leaves_the_former_key_or_a_contact_on_hold() {
    for outputs in 0..12 {
        let mut town = Town::new(u64::from(outputs), Links::calm(), 3, 2);
        let (a, _) = town.introduce(0, 1);
        town.say(0, a, "on its way when it happened");
        let node = town.people[0].node;
        let (first, second) = (town.people[1].key, town.people[2].key);
        town.world.machine_mut(node).crash_after(outputs, Millis::from_secs(1));
        let _answer_is_lost = rekey(&mut town, 0, a, second);
        town.world.run_for(MINUTE);
        // It may have died in the last second.
        assert!(town.world.run_until(MINUTE, |world| world.node(node).is_some()));
        let found = view(&town, 0, a);
        assert_eq!(found.key == second, found.trust.is_on_hold());
        assert!(found.key == first || found.key == second);
        town.assert_sound();
    }
}
