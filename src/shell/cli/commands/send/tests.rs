//! How a wait for a message ends: its result, or the error that says what its state lacks.

use serde_json::{Value, json};

use super::errors::QUEUED;
use super::*;
use crate::engine::env::UnixSeconds;
use crate::engine::event::SessionStatus;
use crate::engine::record::Trust;
use crate::shell::api::PriceStatus;
use crate::shell::os::clock::wall;

fn progress(wait: WaitFor, state: MessageState, peers: usize) -> SendProgress {
    SendProgress {
        wait,
        name: "ben".to_owned(),
        message: MessageId(0x1a2b_3c4d_5e6f_7081),
        state,
        not_for_long: false,
        hold: None,
        next_look: None,
        postage: (Lifetime::Day, None),
        price: AskedPrice::of(PriceStatus::default(), Lifetime::Day, None),
        price_from: PriceSource::Peers,
        trust: Trust::Unverified,
        session: SessionStatus::Established,
        peers,
        names_trouble: None,
        last_sent: None,
        clock: None,
    }
}

#[test]
fn what_left_under_a_wrong_clock_is_not_called_sent_and_may_arrive_all_the_same() {
    let left = |wait, minutes| SendProgress {
        last_sent: Some(wall()),
        clock: Some(ClockSkew { minutes, witnesses: 1 }),
        ..progress(wait, MessageState::Sent, 1)
    };
    for minutes in [-3 * 1_440, 120, 3 * 1_440] {
        let failure = left(WaitFor::Sent, minutes).end().err().unwrap();
        assert_eq!(failure.code(), Some(FailureCode::ClockWrong));
        assert_eq!(failure.exit() as u8, 6);
        assert!(failure.why.contains("your clock is") && failure.safe.contains("sent again"));
        // It is waited for: whoever meets us later may take it by their own clock.
        let waits = left(WaitFor::Delivered, minutes);
        assert!(waits.end().unwrap().is_none());
        assert_eq!(waits.too_late().code(), Some(FailureCode::ClockWrong));
        let arrived = SendProgress { state: MessageState::Delivered, ..waits };
        assert_eq!(arrived.end().unwrap().unwrap().words, "delivered");
        // For `--wait queued` it is no failure, and is told.
        let queued = left(WaitFor::Queued, minutes).reached().unwrap();
        assert_eq!(queued.data["clock_minutes"], json!(minutes));
    }
    for minutes in [0, 4, -4] {
        assert_eq!(left(WaitFor::Sent, minutes).end().unwrap().unwrap().words, "sent");
    }
    assert!(
        progress(WaitFor::Sent, MessageState::Sent, 1).reached().unwrap().data["clock_minutes"]
            .is_null()
    );
}

#[test]
fn a_wait_that_ends_says_what_the_state_of_the_message_lacks() {
    let queued = progress(WaitFor::Sent, MessageState::Queued, 1).too_late();
    assert_eq!(queued.what, "the message was not sent in time");
    assert!(!queued.why.contains("acknowledgement") && queued.safe.contains("queued here"));
    let mining = progress(WaitFor::Delivered, MessageState::Mining, 1).too_late();
    assert!(mining.why.contains("proof of work") && mining.safe.contains("queued here"));
    assert!(mining.next.contains("undertone node run;"), "{}", mining.next);
    assert!(mining.next.ends_with("undertone message show 1a2b3c4d"), "{}", mining.next);
    // With and without peers: what has left does not need one any more.
    for peers in [0, 1] {
        let sent = progress(WaitFor::Delivered, MessageState::Sent, peers).too_late();
        assert_eq!(sent.what, "the message was not acknowledged in time");
        assert!(sent.why.starts_with("it was sent") && !sent.safe.contains("queued"));
        assert!(sent.next.ends_with("undertone message show 1a2b3c4d"), "{}", sent.next);
        let delivered = progress(WaitFor::Read, MessageState::Delivered, peers).too_late();
        assert_eq!(delivered.what, "the message was not read in time");
        assert!(delivered.why.starts_with("it was delivered"));
        assert_eq!(sent.code(), Some(FailureCode::AckTimeout));
    }
    let alone = progress(WaitFor::Sent, MessageState::Mining, 0).too_late();
    assert_eq!(alone.code(), Some(FailureCode::NoRelay));
}

/// A message whose work took two minutes was given up after one, and its node with it.
#[test]
fn what_waits_for_its_work_alone_is_waited_for_while_there_is_a_peer() {
    let leaves = |state, peers| progress(WaitFor::Sent, state, peers).leaves_by_itself();
    assert!(leaves(MessageState::Mining, 1) && !leaves(MessageState::Mining, 0));
    assert!(!leaves(MessageState::Queued, 1) && !leaves(MessageState::Sent, 1));
}

#[test]
fn a_wait_that_ends_without_a_session_says_so() {
    for session in [SessionStatus::OfferSent, SessionStatus::Established] {
        let queued = progress(WaitFor::Sent, MessageState::Queued, 1);
        let why = SendProgress { session, ..queued }.too_late().why;
        assert_eq!(why.contains("no session"), session == SessionStatus::OfferSent);
    }
}

#[test]
fn a_wait_for_a_lower_price_ends_with_why_and_how_to_send_all_the_same() {
    let busy = PriceStatus { day: 4, ..PriceStatus::default() };
    assert_eq!(busy.usual_limit(), Step::new(3));
    let queued = |highest| SendProgress {
        price: AskedPrice::of(busy, Lifetime::Day, highest),
        ..progress(WaitFor::Sent, MessageState::Queued, 3)
    };
    let waits = queued(None);
    let failure = waits.too_late();
    assert_eq!(failure.code(), Some(FailureCode::WaitsForPrice));
    assert_eq!(failure.exit() as u8, 6);
    assert_eq!(failure.why, "a day costs 16 times the usual work now, at most 8 times is allowed");
    assert!(failure.next.contains("cancel 1a2b3c4d"), "{}", failure.next);
    // The least that has it sent, and none where no limit of the contact does.
    assert!(failure.next.contains(": undertone contact max-work ben 16;"), "{}", failure.next);
    let own =
        SendProgress { postage: (Lifetime::Day, Some(Step::new(3))), ..queued(None) }.too_late();
    assert!(own.next.contains("send it with 16") && !own.next.contains("contact max-work"));
    // For `--wait queued` it is no failure, and is told.
    let data = SendProgress { wait: WaitFor::Queued, ..waits }.reached().unwrap().data;
    assert_eq!(
        data["price"],
        json!({ "work": 16, "max_work": 8, "waits": true, "waits_for_turn": false })
    );
    // What was sent, and is too dear to be sent again, says that it was sent, and waits.
    let again = SendProgress {
        hold: Some(WaitsFor::Price),
        price: AskedPrice::of(busy, Lifetime::Day, None),
        ..progress(WaitFor::Delivered, MessageState::Sent, 1)
    };
    let again = again.too_late();
    assert_eq!(again.code(), Some(FailureCode::AckTimeout));
    assert!(
        again.why.contains("waits for a lower price")
            && again.safe.contains("contact max-work ben 16")
    );
    // The contact may not pay as much for the acknowledgement.
    let unheard = SendProgress {
        price: AskedPrice::of(busy, Lifetime::Day, Some(Step::MAX)),
        ..progress(WaitFor::Delivered, MessageState::Sent, 1)
    };
    let why = unheard.too_late().why;
    assert!(why.contains("the acknowledgement waits for a lower price, too"), "{why}");
    // The price has fallen since the node said that it is too high.
    let fallen = SendProgress { hold: Some(WaitsFor::Price), ..queued(Some(Step::new(4))) };
    assert_eq!(fallen.too_late().code(), Some(FailureCode::WaitsForTurn));
    // What may be paid, and what waits for something else, does not wait for the price.
    let paid = queued(Some(Step::new(4)));
    assert_eq!(paid.too_late().code(), Some(FailureCode::AckTimeout));
    let session = SendProgress { session: SessionStatus::None, ..queued(None) };
    assert!(session.too_late().why.contains("no session"));
}

#[test]
fn what_only_waits_its_turn_is_not_called_too_dear_and_no_limit_is_offered_for_it() {
    let waits = SendProgress {
        hold: Some(WaitsFor::Turn),
        next_look: Some(UnixSeconds(wall().0 + 170)),
        price: AskedPrice::of(
            PriceStatus { day: 1, ..PriceStatus::default() },
            Lifetime::Day,
            None,
        ),
        ..progress(WaitFor::Sent, MessageState::Queued, 3)
    };
    assert!(waits.waits_its_turn() && !waits.waits_for_price() && waits.end().unwrap().is_none());
    let failure = waits.too_late();
    assert_eq!(failure.code(), Some(FailureCode::WaitsForTurn));
    assert_eq!(failure.exit() as u8, 6);
    assert!(failure.why.ends_with("leaves one by one, the next within 3 minutes"));
    assert!(!failure.next.contains("max-work") && !failure.what.contains("price"));
    let data = SendProgress { wait: WaitFor::Queued, ..waits }.reached().unwrap().data;
    assert_eq!(
        data["price"],
        json!({ "work": 2, "max_work": 8, "waits": false, "waits_for_turn": true })
    );
}

#[test]
fn what_waits_for_an_acknowledgement_says_so_and_is_no_success_before_it_left() {
    let waits = |wait| SendProgress {
        hold: Some(WaitsFor::Acknowledgement),
        ..progress(wait, MessageState::Queued, 3)
    };
    let failure = waits(WaitFor::Sent).too_late();
    assert_eq!(failure.code(), Some(FailureCode::WaitsForAcknowledgement));
    assert_eq!(failure.exit() as u8, 6);
    assert!(failure.what.ends_with("waits for an acknowledgement"), "{}", failure.what);
    assert!(failure.why.starts_with("too many earlier messages") && failure.safe == QUEUED);
    let data = waits(WaitFor::Queued).reached().unwrap().data;
    assert_eq!(data["waits_for_acknowledgement"], json!(true));
    assert_eq!(data["price"]["waits_for_turn"], json!(false));
    // What left before waits for its own.
    let left = SendProgress { state: MessageState::Sent, ..waits(WaitFor::Delivered) };
    assert_eq!(left.too_late().code(), Some(FailureCode::AckTimeout));
}

#[test]
fn what_nobody_said_of_a_price_is_null_and_not_the_usual() {
    let told = |state, price_from, hold| {
        let all = progress(WaitFor::Queued, state, 0);
        SendProgress { price_from, hold, ..all }.reached().unwrap().data["price"].clone()
    };
    let (queued, sent) = (MessageState::Queued, MessageState::Sent);
    for (state, from, hold, work, waits, turn) in [
        (queued, PriceSource::Own, None, Value::Null, Value::Null, Value::Null),
        (queued, PriceSource::Own, Some(WaitsFor::Price), Value::Null, json!(true), json!(false)),
        (sent, PriceSource::Own, None, Value::Null, json!(false), json!(false)),
        (queued, PriceSource::Peers, None, json!(1), json!(false), json!(false)),
    ] {
        let expected =
            json!({ "work": work, "max_work": 8, "waits": waits, "waits_for_turn": turn });
        assert_eq!(told(state, from, hold), expected, "{state:?} {from:?} {hold:?}");
    }
}

#[test]
fn what_is_not_held_for_long_is_no_success_and_is_waited_for() {
    let of = |wait| SendProgress {
        not_for_long: true,
        ..progress(wait, MessageState::Unacknowledged, 1)
    };
    for wait in [WaitFor::Sent, WaitFor::Delivered, WaitFor::Read] {
        assert!(of(wait).end().unwrap().is_none(), "it is sent again");
        assert!(of(wait).too_late().why.contains("nodes that are short of room"));
    }
    let failure = of(WaitFor::Sent).too_late();
    assert_eq!(failure.code(), Some(FailureCode::NotForLong));
    assert_eq!(failure.exit() as u8, 6);
    assert!(failure.next.ends_with("message show 1a2b3c4d"), "{}", failure.next);
    assert_eq!(of(WaitFor::Delivered).too_late().code(), Some(FailureCode::AckTimeout));
    // What has waited for nothing is told as it is.
    assert_eq!(of(WaitFor::Queued).end().unwrap().unwrap().words, "unacknowledged");
    let expired = progress(WaitFor::Delivered, MessageState::Unacknowledged, 1).end();
    assert_eq!(expired.err().and_then(|f| f.code()), Some(FailureCode::NotAcknowledged));
}

#[test]
fn what_left_and_waits_for_a_lower_price_or_its_turn_to_be_sent_again_says_so_at_the_end() {
    let busy = PriceStatus { day: 4, ..PriceStatus::default() };
    let of = |wait, not_for_long, hold| SendProgress {
        not_for_long,
        hold,
        price: AskedPrice::of(busy, Lifetime::Day, None),
        ..progress(wait, MessageState::Unacknowledged, 1)
    };
    let ends = |hold| {
        [
            of(WaitFor::Sent, true, hold).too_late(),
            of(WaitFor::Delivered, true, hold).too_late(),
            of(WaitFor::Read, true, hold).too_late(),
            of(WaitFor::Delivered, false, hold).end().err().expect("it has expired"),
        ]
    };
    for end in ends(Some(WaitsFor::Price)) {
        let way_out = "undertone contact max-work ben 16";
        assert!(end.safe.contains("waits for a lower price: while a node runs, the price is"));
        assert!(end.safe.contains(way_out), "{}", end.safe);
    }
    for end in ends(Some(WaitsFor::Turn)) {
        assert!(end.safe.contains("waits its turn") && !end.safe.contains("max-work"));
    }
    for end in ends(None) {
        assert!(end.safe.contains("is sent again while a node runs"), "{}", end.safe);
    }
}

#[test]
fn a_node_that_is_lost_leaves_open_whether_it_took_the_message_and_says_how_to_see_it() {
    for code in [FailureCode::NodeEnded, FailureCode::NodeSilent] {
        let lost = || Failure::new(code, FailureText { what: "a", why: "b", safe: "c", next: "d" });
        let before = unknown(lost(), "'ben smith'");
        assert_eq!(before.code(), Some(code));
        assert!(before.next.ends_with("undertone history 'ben smith'"), "{}", before.next);
        let after = progress(WaitFor::Sent, MessageState::Queued, 1).accepted(lost());
        assert_eq!(after.code(), Some(code));
        assert!(after.safe.contains("was accepted") && after.next.contains("show 1a2b3c4d"));
    }
}
