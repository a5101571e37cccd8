//! The state of the session with a contact and of read marks in words, for the interface and the
//! commands.

use crate::engine::event::{ContactView, SessionStatus, WaitingForPrice};
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
    match contact.waiting_request() {
        Some(_) => "request waits for a lower price",
        None => session_words(contact.session),
    }
}

/// What of ours to a contact waits for a lower price: `your messages, 2 messages to be sent again`;
/// `None` if nothing does.
pub(in crate::shell) fn waiting(contact: &ContactView) -> Option<String> {
    let request = contact.waiting_request().map(|_| "your contact request".to_owned());
    let parts: Vec<String> = request.into_iter().chain(waiting_besides_request(contact)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The same without the request.
pub(in crate::shell) fn waiting_besides_request(contact: &ContactView) -> Option<String> {
    let again = contact.waiting.iter().filter(|what| matches!(what, WaitingForPrice::Again(_)));
    let again = again.count();
    let counted = match again {
        1 => "1 message to be sent again".to_owned(),
        more => format!("{more} messages to be sent again"),
    };
    let mut counted = (again > 0).then_some(counted);
    let words = |what: &WaitingForPrice| match what {
        WaitingForPrice::Request(_) => None,
        WaitingForPrice::Messages => Some("your messages".to_owned()),
        WaitingForPrice::Again(_) => counted.take(),
        WaitingForPrice::Answers => Some("acknowledgements".to_owned()),
    };
    let parts: Vec<String> = contact.waiting.iter().filter_map(words).collect();
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
pub(in crate::shell) fn held_back(contact: &ContactView) -> Option<String> {
    match (awaited_decision(contact), contact.session) {
        (Some(decision), _) => Some(format!("It waits until {decision}.")),
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
