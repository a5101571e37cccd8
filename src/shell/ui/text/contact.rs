//! The state of the session with a contact and of read marks in words, for the interface and the
//! commands.

use crate::engine::event::{ContactView, SessionStatus};

/// The state of the session in stable words, for programs.
pub(in crate::shell) const fn session_word(session: SessionStatus) -> &'static str {
    match session {
        SessionStatus::None => "no session",
        SessionStatus::OfferQueued => "the offer has not left yet",
        SessionStatus::OfferSent => "waiting for their answer",
        SessionStatus::AwaitingConfirmation => "answering their offer",
        SessionStatus::Established => "session ready",
        SessionStatus::Blocked => "blocked",
    }
}

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

/// Read marks, on or off, and their meaning.
pub(in crate::shell) const fn read_marks(contact: &ContactView) -> &'static str {
    if contact.read_receipts {
        "on: yours are sent; you see theirs if they turn them on too"
    } else {
        "off: none are sent, and theirs are not shown"
    }
}
