//! Tests of what is asked before it is done: erasures, questions of one key, texts like commands.

use super::*;
use crate::engine::record::HoldReason;
use crate::shell::api::calls::{Comparison, ContactBlock, ContactClose, IdentityDelete};

/// What this line does together with what is typed behind it without a look, and an Enter.
fn typed_on(model: &mut Model, line: &str, behind: &str) -> Vec<UiEffect> {
    write(model, line);
    let mut effects = press(model, KeyCode::Enter);
    model.on_question_seen();
    effects.extend(behind.chars().flat_map(|letter| press(model, KeyCode::Char(letter))));
    effects.extend(press(model, KeyCode::Enter));
    effects
}

/// What nobody means as an answer.
const TALK: [&str; 7] = ["ok, you first", "y", "yes", "", "Mira", "echo", "nightjar"];

#[test]
fn what_cannot_be_undone_is_done_by_its_name_and_by_nothing_else_that_is_typed() {
    let confirm = Some("mira".to_owned());
    let remove = call(ContactRemove { contact: MIRA.into(), confirm });
    let block = call(ContactBlock { contact: MIRA.into() });
    let close = call(ContactClose { contact: MIRA.into() });
    for (line, done) in [("/remove", remove), ("/block", block), ("/close", close)] {
        for talk in TALK {
            let effects = typed_on(&mut chatting(), line, talk);
            assert_eq!(calls(&effects), NOTHING, "{line} {talk}");
        }
        let mut model = chatting();
        let effects = typed_on(&mut model, line, "mira");
        assert_eq!(calls(&effects), [done], "{line}");
        let silent = refused(FailureCode::NodeSilent, "it stands still");
        model.on_answer(newest(&effects), Err(silent));
        let is_open = model.navigation.overlay.is_some();
        assert!(!is_open, "with the name in it, the prompt would wait for one key");
    }
}

#[test]
fn an_identity_is_deleted_by_its_name_and_not_by_going_on_typing() {
    for talk in TALK.into_iter().filter(|talk| *talk != "nightjar") {
        let mut model = chatting();
        press(&mut model, KeyCode::F(6));
        assert_eq!(calls(&typed_on(&mut model, "x", talk)), NOTHING, "{talk}");
    }
    let mut model = chatting();
    press(&mut model, KeyCode::F(6));
    press(&mut model, KeyCode::Char('x'));
    write(&mut model, "nightjar");
    let name = "nightjar".to_owned();
    let delete = call(IdentityDelete { confirm: Some(name.clone()), name });
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), [delete]);
}

#[test]
fn a_comparison_that_failed_meanwhile_closes_no_session_by_what_is_typed() {
    let mut model = chatting();
    let digits = model.directory.chat(MIRA).expect("a chat").contact.safety_number.digits();
    write(&mut model, "/verify");
    press(&mut model, KeyCode::Enter);
    write(&mut model, &digits);
    let effects = press(&mut model, KeyCode::Enter);
    go_back(&mut model);
    write(&mut model, "j");
    let differs = Comparison::Differs { word: None, left: 2 };
    answer(&mut model, &effects, AnyReply::ContactVerify(differs));
    write(&mut model, "ust a moment");
    assert!(press(&mut model, KeyCode::Esc).is_empty());
    let Some(Overlay::Mismatch(failed)) = &model.navigation.overlay else { panic!("dismissed") };
    assert_eq!(failed.row, 0);
    model.on_question_seen();
    write(&mut model, "just");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
    write(&mut model, "mira");
    let close = call(ContactClose { contact: MIRA.into() });
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), [close]);
}

/// Closes the page on which one compares, and empties the composer.
fn go_back(model: &mut Model) {
    press(model, KeyCode::Esc);
    control(model, 'u');
}

#[test]
fn what_was_typed_before_a_question_was_on_the_screen_is_no_answer_to_it() {
    let mut model = chatting();
    write(&mut model, "/readmarks on");
    press(&mut model, KeyCode::Enter);
    for key in [KeyCode::Char('y'), KeyCode::Char('n'), KeyCode::Esc] {
        assert!(press(&mut model, key).is_empty());
        assert!(matches!(model.navigation.overlay, Some(Overlay::Confirm(_))));
    }
    model.on_question_seen();
    assert_eq!(calls(&press(&mut model, KeyCode::Char('y'))).len(), 1);
    // The question before leaving, too; a chord is no part of a text.
    let mut model = chatting();
    model.on_event(heard(message(1, MIRA, Direction::Outgoing(MessageState::Mining))));
    write(&mut model, "/quit");
    press(&mut model, KeyCode::Enter);
    assert!(press(&mut model, KeyCode::Char('q')).is_empty());
    assert_eq!(others(&control(&mut model, 'q')), ["Quit(Asked)"]);
}

#[test]
fn a_question_that_says_more_than_it_did_is_to_be_seen_again() {
    let mut model = chatting();
    model.on_event(heard(message(1, MIRA, Direction::Outgoing(MessageState::Mining))));
    let effects = control(&mut model, 'q');
    model.on_question_seen();
    answer(&mut model, &effects, report(3));
    assert!(press(&mut model, KeyCode::Char('q')).is_empty());
    model.on_question_seen();
    assert_eq!(others(&press(&mut model, KeyCode::Char('q'))), ["Quit(Asked)"]);
}

#[test]
fn a_line_like_a_command_is_sent_only_by_the_word_that_says_so() {
    for text in ["ok\n/verify", "/quit\nok", " /verify copper violin bridge", "a\n  /b\n"] {
        for talk in TALK {
            let mut model = chatting();
            model.paste(text);
            assert_eq!(calls(&typed_on(&mut model, "", talk)), NOTHING, "{text:?} {talk}");
            press(&mut model, KeyCode::Esc);
            assert_eq!(model.field().expect("a composer").text(), text, "it is kept");
        }
        let mut model = chatting();
        model.paste(text);
        assert_eq!(calls(&typed_on(&mut model, "", "send")), [says(text)]);
        assert!(model.field().expect("a composer").is_empty());
    }
}

#[test]
fn a_line_like_a_command_is_asked_about_however_it_was_begun() {
    let mut model = chatting();
    write(&mut model, "ok");
    for event in [
        KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT),
        KeyEvent::new(KeyCode::Enter, KeyModifiers::SHIFT),
        KeyEvent::new(KeyCode::Char('j'), KeyModifiers::CONTROL),
    ] {
        model.on_key(event);
        let effects = typed_on(&mut model, "/verify", "copper violin bridge");
        assert_eq!(calls(&effects), NOTHING);
        press(&mut model, KeyCode::Esc);
    }
    assert_eq!(model.field().expect("a composer").text(), "ok\n/verify\n/verify\n/verify");
}

#[test]
fn what_was_asked_about_is_sent_to_nobody_else_and_to_nobody_on_hold() {
    let mut model = chatting();
    model.paste("ok\n/verify");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "send");
    let view = contact_view(MIRA, "mira", SessionStatus::Established);
    let (since, reason) = (UnixSeconds(1), HoldReason::Mismatch);
    let trust = Trust::OnHold { since, reason, attempts: 1 };
    model.on_event(told(ContactView { trust, ..view }));
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
    let mut model = chatting();
    model.paste("ok\n/verify");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "send");
    model.on_event(Event::ContactRemoved { id: MIRA });
    assert!(matches!(model.navigation.overlay, Some(Overlay::Gone(GoneSubject::Contact))));
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING, "nobody is left to send it to");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), NOTHING);
    assert_eq!(model.field().expect("a composer").text(), "ok\n/verify");
}

#[test]
fn keys_that_arrive_together_mean_what_they_mean_one_by_one() {
    let mut model = chatting();
    write(&mut model, "ok");
    assert_eq!(calls(&press(&mut model, KeyCode::Enter)), [says("ok")]);
    assert_eq!(calls(&typed_on(&mut model, "/verify", "copper violin bridge")), NOTHING);
    assert!(matches!(model.navigation.overlay, Some(Overlay::Verify(_))));
}
