//! A whole conversation: everything in it is formatted, and none of its secrets is in the output.

use std::collections::BTreeSet;
use undertone::engine::envelope::Lifetime;

use undertone::engine::command::{Command, Reply};
use undertone::engine::crypto::invite;
use undertone::engine::event::Event;
use undertone::engine::id::ContactId;

use crate::support::Stage;

/// Texts each way.
const TEXTS: usize = 12;

/// Two people become acquainted, talk, close, and talk again.
pub(crate) fn held() -> Stage {
    let mut stage = Stage::new();
    let people = ["Annabel Underhill", "Benedict Overton"].map(str::to_owned);
    let mut identities = Vec::new();
    for (who, name) in people.iter().enumerate() {
        let reply = stage.ask(who, Command::CreateIdentity { name: name.clone() });
        let Reply::Identity(identity) = reply else { panic!("not an identity") };
        identities.push(identity);
    }
    let keys: Vec<_> = stage
        .notices
        .iter()
        .filter_map(|notice| if let Event::Identity(view) = notice { Some(view.key) } else { None })
        .collect();
    for key in &keys {
        stage.hidden.word(&invite::encode(key));
    }
    let petname = "the one from the harbour".to_owned();
    let add = Command::AddContact { identity: identities[0], key: keys[1], petname, highest: None };
    let Reply::Contact(at_ann) = stage.ask(0, add) else { panic!("not a contact") };
    stage.run();
    let request = stage
        .notices
        .iter()
        .find_map(|notice| if let Event::Request(view) = notice { Some(view.id) } else { None });
    let request = request.expect("a request");
    let accept = Command::AcceptRequest { request, petname: "somebody with a dog".to_owned() };
    let Reply::Contact(at_ben) = stage.ask(1, accept) else { panic!("not a contact") };
    stage.look();
    stage.run();
    talk(&mut stage, at_ann, at_ben);
    stage.look();
    stage.ask(1, Command::CloseSession { contact: at_ben });
    stage.run();
    talk(&mut stage, at_ann, at_ben);
    stage.look();
    stage
}

fn talk(stage: &mut Stage, at_ann: ContactId, at_ben: ContactId) {
    for number in 0..TEXTS {
        let text = format!("the ferry leaves at {number} past noon");
        stage.ask(0, Command::Say { contact: at_ann, text, postage: Lifetime::Day.into() });
        let text = format!("no ferry leaves before {number}");
        stage.ask(1, Command::Say { contact: at_ben, text, postage: Lifetime::Day.into() });
        // In its middle there are messages queued, mined, sent and held.
        stage.look();
    }
    stage.run();
}

#[test]
fn nothing_that_passes_in_a_conversation_shows_a_key_a_topic_a_text_a_name_or_an_id() {
    let stage = held();
    let texts = stage.notices.iter().filter(|notice| matches!(notice, Event::Message(_))).count();
    assert!(texts >= 4 * TEXTS, "they were heard: {texts}");
    assert!(stage.hidden.len() > 10_000, "there is much to find: {}", stage.hidden.len());
    assert!(stage.shown.contains("SkippedKeys(") && stage.shown.contains("handshake: Established"));
    assert_eq!(stage.hidden.found_in(&stage.shown), BTreeSet::new());
}

#[test]
fn the_search_of_a_conversation_finds_whatever_is_shown_of_it() {
    let stage = held();
    let view = stage
        .notices
        .iter()
        .find_map(|notice| if let Event::Identity(view) = notice { Some(view) } else { None });
    let view = view.expect("an identity");
    let key = view.key.to_bytes();
    let hex = view.key.hex();
    for leak in [
        format!("Contact {{ key: {key:?} }}"),
        format!("Contact {{ key: {key:#?} }}"),
        format!("a letter to {hex}"),
        format!("a letter to {}", view.name),
        format!("a letter to {}", invite::encode(&view.key)),
        format!("a letter to {}", view.key.fingerprint()),
        format!("a letter of {}", view.id.0),
        "they said: no ferry leaves before 3".to_owned(),
    ] {
        let shown = format!("{}{leak}", &stage.shown[..1_000]);
        assert!(!stage.hidden.found_in(&shown).is_empty(), "not found: {leak}");
    }
}
