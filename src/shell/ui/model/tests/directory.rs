//! The directory alone: events in, what is known out.

use super::*;
use crate::shell::ui::model::directory::ChatChange;

const OTHER: IdentityId = IdentityId(2);

fn request(id: u64, identity: IdentityId) -> Event {
    let arrived = UnixSeconds(1_795_171_000);
    let view = RequestView {
        id: RequestId(id),
        identity,
        key: key(1),
        arrived,
        work: ShownWork::default(),
    };
    Event::Request(Request { view })
}

fn known(contacts: &[(ContactId, IdentityId, &str)]) -> ChatDirectory {
    let mut directory = ChatDirectory::new(1_900);
    for (id, name) in [(ME, "nightjar"), (OTHER, "heron")] {
        directory.apply(identity(id, name));
    }
    for &(id, identity, petname) in contacts {
        let view = contact_view(id, petname, SessionStatus::Established);
        directory.apply(told(ContactView { identity, ..view }));
    }
    directory
}

fn writes(directory: &mut ChatDirectory, id: u64, contact: ContactId) -> Vec<ChatChange> {
    directory.apply(arrives(id, contact))
}

#[test]
fn an_identity_takes_its_chats_and_its_requests_with_it() {
    let mut directory = known(&[(MIRA, ME, "mira"), (ECHO, OTHER, "echo")]);
    directory.apply(request(1, ME));
    directory.apply(request(2, OTHER));
    let changes = directory.apply(Event::IdentityRemoved { id: ME });
    assert_eq!(changes, [ChatChange::IdentityRemoved(ME)]);
    assert_eq!(directory.identities().map(|one| one.id).collect::<Vec<_>>(), [OTHER]);
    assert!(directory.chat(MIRA).is_none() && directory.chat(ECHO).is_some());
    assert_eq!(directory.first_request(Some(ME)), None);
    assert_eq!(directory.first_request(Some(OTHER)), Some(RequestId(2)));
}

#[test]
fn a_contact_that_is_told_again_keeps_its_messages() {
    let mut directory = known(&[(MIRA, ME, "mira")]);
    writes(&mut directory, 1, MIRA);
    let view = contact_view(MIRA, "miranda", SessionStatus::Established);
    directory.apply(told(view));
    assert_eq!(directory.name_of(MIRA), "miranda");
    assert_eq!(directory.chat(MIRA).expect("a chat").messages.len(), 1);
}

#[test]
fn a_request_that_is_told_again_keeps_its_place() {
    let mut directory = known(&[]);
    for id in [5, 3, 5] {
        directory.apply(request(id, ME));
    }
    let ids: Vec<_> = directory.requests_to(Some(ME)).iter().map(|one| one.id.0).collect();
    assert_eq!(ids, [5, 3]);
    directory.apply(Event::RequestRemoved { id: RequestId(5) });
    assert_eq!(directory.first_request(Some(ME)), Some(RequestId(3)));
}

#[test]
fn only_the_first_unread_message_of_a_contact_is_one() {
    let mut directory = known(&[(MIRA, ME, "mira")]);
    assert_eq!(writes(&mut directory, 1, MIRA), [ChatChange::FirstUnread(MIRA)]);
    assert_eq!(writes(&mut directory, 2, MIRA), []);
    assert_eq!(directory.apply(read(MIRA, 1)), [], "reading one of two rings no bell");
    assert_eq!(writes(&mut directory, 3, MIRA), []);
    assert_eq!(directory.unread_of(ME), 2);
    assert_eq!(directory.unread_of(OTHER), 0);
}

#[test]
fn a_message_of_nobody_known_is_passed_over() {
    let mut directory = known(&[]);
    assert_eq!(writes(&mut directory, 1, MIRA), []);
    assert!(directory.chat(MIRA).is_none());
    assert_eq!(directory.name_of(MIRA), "");
}

#[test]
fn the_next_unread_chat_is_looked_for_from_behind_the_open_one_and_round() {
    let wren = ContactId(12);
    let mut directory = known(&[(MIRA, ME, "mira"), (ECHO, ME, "Echo"), (wren, OTHER, "aaa")]);
    assert_eq!(directory.next_unread(Some(ME), Some(MIRA)), None);
    for contact in [MIRA, ECHO, wren] {
        writes(&mut directory, contact.0, contact);
    }
    assert_eq!(directory.next_unread(Some(ME), None), Some(ECHO));
    assert_eq!(directory.next_unread(Some(ME), Some(ECHO)), Some(MIRA));
    assert_eq!(directory.next_unread(Some(ME), Some(MIRA)), Some(ECHO));
}

#[test]
fn a_step_beyond_the_last_chat_stays_at_it() {
    let directory = known(&[(MIRA, ME, "mira"), (ECHO, ME, "echo")]);
    assert_eq!(directory.neighbour(Some(ME), Some(ECHO), 1), Some(MIRA));
    assert_eq!(directory.neighbour(Some(ME), Some(MIRA), 1), Some(MIRA));
    assert_eq!(directory.neighbour(Some(ME), Some(ECHO), -1), Some(ECHO));
    assert_eq!(directory.neighbour(Some(ME), None, 1), Some(ECHO));
    assert_eq!(directory.neighbour(Some(OTHER), None, 1), None);
}
