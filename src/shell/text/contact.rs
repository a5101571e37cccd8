//! The state of the session with a contact and of read marks in words, for the interface and the
//! commands.

use std::collections::BTreeSet;

use super::price::UNANSWERED;
use crate::engine::event::{ContactView, HeldBack, SendRoom, SessionStatus};
use crate::shell::api::words::session_word;

/// The state of the session, for people.
pub(in crate::shell) const fn session_words(session: SessionStatus) -> &'static str {
    match session {
        // People know requests and no offers.
        SessionStatus::OfferQueued => "request not sent yet",
        SessionStatus::AwaitingConfirmation => "setting up the session",
        SessionStatus::None
        | SessionStatus::OfferSent
        | SessionStatus::Established
        | SessionStatus::Blocked => session_word(session),
    }
}

/// The state of the session with a contact, for people.
pub(in crate::shell) fn link_words(contact: &ContactView) -> &'static str {
    let has_request = |held: &BTreeSet<HeldBack>| held.iter().any(is_request);
    if has_request(&contact.waiting) {
        "request waits for a lower price"
    } else if has_request(&contact.in_line) {
        "request waits its turn"
    } else {
        session_words(contact.session)
    }
}

const fn is_request(held: &HeldBack) -> bool {
    match held {
        HeldBack::Request(_) => true,
        HeldBack::Messages | HeldBack::Again(_) | HeldBack::Answers => false,
    }
}

/// What of ours to a contact is held back for one reason: `your messages, 2 messages to be sent
/// again`; `None` if nothing is.
pub(in crate::shell) fn held_back(held: &BTreeSet<HeldBack>) -> Option<String> {
    let request = held.iter().any(is_request).then(|| "your contact request".to_owned());
    let parts: Vec<String> = request.into_iter().chain(besides_request(held)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same without the request.
pub(in crate::shell) fn besides_request(held: &BTreeSet<HeldBack>) -> Option<String> {
    let again = held.iter().filter(|what| matches!(what, HeldBack::Again(_))).count();
    let counted = match again {
        1 => "1 message to be sent again".to_owned(),
        more => format!("{more} messages to be sent again"),
    };
    let mut counted = (again > 0).then_some(counted);
    let words = |what: &HeldBack| match what {
        HeldBack::Request(_) => None,
        HeldBack::Messages => Some("your messages".to_owned()),
        HeldBack::Again(_) => counted.take(),
        HeldBack::Answers => Some("acknowledgements".to_owned()),
    };
    let parts: Vec<String> = held.iter().filter_map(words).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What a message that has not left waits for, and one that has left before it is retried: a
/// person's decision, or else nothing.
pub(in crate::shell) const fn awaited_decision(contact: &ContactView) -> Option<&'static str> {
    // The hold before a session: one that comes meanwhile changes nothing.
    match contact.session {
        SessionStatus::Blocked => Some("you unblock this contact"),
        _ if contact.trust.is_on_hold() => Some("you verify or accept this contact"),
        SessionStatus::None
        | SessionStatus::OfferQueued
        | SessionStatus::OfferSent
        | SessionStatus::AwaitingConfirmation
        | SessionStatus::Established => None,
    }
}

/// What keeps a queued message from being sent, in a sentence; `None` if nothing does.
pub(in crate::shell) fn obstacle(contact: &ContactView) -> Option<String> {
    match (awaited_decision(contact), contact.session) {
        (Some(decision), _) => Some(format!("It waits until {decision}.")),
        (None, SessionStatus::Established) if contact.room == SendRoom::Full => {
            Some(format!("It waits for an acknowledgement: {UNANSWERED}."))
        }
        (None, SessionStatus::Established) => None,
        (None, _) => Some(format!("It waits for the session: {}.", link_words(contact))),
    }
}

/// Read marks, on or off, and their meaning.
pub(in crate::shell) const fn read_marks(contact: &ContactView) -> &'static str {
    if contact.read_receipts {
        "on: yours are sent; you see theirs if they turn them on too"
    } else {
        "off: none are sent, and theirs are not shown"
    }
}
