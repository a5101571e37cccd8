//! The pages on which one compares with a contact, and what is seen of trust.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::engine::crypto::sas::{Half, SasWord};
use undertone::engine::env::UnixSeconds;
use undertone::engine::event::{ContactView, SasHalf, SessionStatus};
use undertone::engine::id::ContactId;
use undertone::engine::record::{HoldReason, Trust, VerificationMethod};
use undertone::shell::api::Event;
use undertone::shell::api::calls::{AnyReply, Comparison};
use undertone::shell::ui::Glyphs;

use crate::support::{MIRA, NOW, Stage, contact, key, options};

const SIZES: [(u16, u16); 4] = [(120, 40), (80, 24), (60, 20), (40, 10)];

fn at_every_size(name: &str, stage: &mut Stage) {
    for (columns, rows) in SIZES {
        assert_snapshot!(format!("{name}_{columns}x{rows}"), stage.see(columns, rows));
    }
}

fn words(words: [&str; 3]) -> [SasWord; 3] {
    words.map(|word| SasWord::parse(word).expect("a word of the list"))
}

/// A chat with mira, with words to compare.
fn stage() -> Stage {
    let mut stage = Stage::chatting(options(Glyphs::Unicode));
    let own = SasHalf { half: Half::First, words: words(["copper", "violin", "bridge"]) };
    let view = ContactView { sas: Some(own), ..contact(MIRA, "mira", SessionStatus::Established) };
    stage.tell_contact(view);
    stage
}

fn trusted(stage: &mut Stage, trust: Trust) {
    let view = ContactView { trust, ..contact(MIRA, "mira", SessionStatus::Established) };
    stage.tell_contact(view);
}

const YESTERDAY: UnixSeconds = UnixSeconds(NOW - 86_400);

fn key_changed() -> Trust {
    let reason = HoldReason::KeyChanged { verified: Some(UnixSeconds(NOW - 30 * 86_400)) };
    Trust::OnHold { since: YESTERDAY, reason, attempts: 0 }
}

/// Types three words; the last Enter asks the node.
fn compare(stage: &mut Stage, typed: &str) -> String {
    stage.write(typed);
    stage.ask(KeyCode::Enter).expect("the node is asked")
}

/// The call that compares with mira.
fn call(words: &str, digits: &str) -> String {
    format!(
        r#"contact.verify {{"contact":{{"id":"000000000000000a"}},"words":{words},"digits":{digits}}}"#
    )
}

fn differs(word: usize, left: u8) -> AnyReply {
    AnyReply::ContactVerify(Comparison::Differs { word: Some(word), left })
}

#[test]
fn one_half_of_the_words_is_shown_and_the_other_asked_for() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Char('v'));
    stage.write("walnut sad");
    at_every_size("verify", &mut stage);
    stage.press(KeyCode::Tab);
    stage.write("harvest");
    let asked = compare(&mut stage, "");
    assert_eq!(asked, call(r#"["walnut","sad","harvest"]"#, "null"));
    stage.answer(Ok(AnyReply::ContactVerify(Comparison::Same)));
    trusted(&mut stage, Trust::Verified { at: UnixSeconds(NOW), by: VerificationMethod::Sas });
    assert_snapshot!("verified_contacts_80x24", stage.see(80, 24));
    stage.press(KeyCode::F(2));
    assert_snapshot!("verified_chat_80x24", stage.see(80, 24));
}

#[test]
fn a_word_that_is_none_is_not_compared() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    stage.write("walnut sadle harvest");
    assert!(stage.ask(KeyCode::Enter).is_none());
    assert_snapshot!("verify_no_word_80x24", stage.see(80, 24));
    assert_snapshot!("verify_no_word_40x10", stage.see(40, 10));
}

#[test]
fn words_that_differ_say_which_one_and_what_can_be_done() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    compare(&mut stage, "walnut saddle harvest");
    stage.answer(Ok(differs(5, 2)));
    at_every_size("mismatch", &mut stage);
    for _ in 0..2 {
        stage.press(KeyCode::Down);
    }
    stage.press(KeyCode::Enter);
    assert_snapshot!("keys_80x24", stage.see(80, 24));
    stage.press(KeyCode::Esc);
    trusted(
        &mut stage,
        Trust::OnHold { since: YESTERDAY, reason: HoldReason::Mismatch, attempts: 1 },
    );
    at_every_size("held_mismatch", &mut stage);
}

#[test]
fn a_session_is_closed_by_the_name_after_a_comparison_that_failed() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    compare(&mut stage, "walnut saddle harvest");
    stage.answer(Ok(differs(5, 2)));
    stage.see(80, 24);
    stage.press(KeyCode::Down);
    assert!(stage.ask(KeyCode::Enter).is_none());
    at_every_size("close", &mut stage);
    stage.write("mira");
    let asked = stage.ask(KeyCode::Enter).expect("the node is asked");
    assert_eq!(asked, r#"contact.close {"contact":{"id":"000000000000000a"}}"#);
}

#[test]
fn after_the_last_try_there_is_no_session_to_close() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    compare(&mut stage, "walnut saddle harvest");
    stage.answer(Ok(differs(4, 0)));
    assert_snapshot!("mismatch_last_80x24", stage.see(80, 24));
}

#[test]
fn digits_are_compared_while_there_are_no_words() {
    let mut stage = Stage::chatting(options(Glyphs::Unicode));
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    stage.write("12345 67890");
    at_every_size("digits", &mut stage);
    assert!(stage.ask(KeyCode::Enter).is_none(), "ten digits are no number");
    let number = SafetyNumber::of(&key(0), &key(1));
    for _ in 0..11 {
        stage.press(KeyCode::Backspace);
    }
    stage.paste(&number.to_string().replace(' ', "\n"));
    let asked = stage.ask(KeyCode::Enter).expect("the node is asked");
    assert_eq!(asked, call("null", &format!("{:?}", number.digits())));
}

#[test]
fn what_was_sent_may_be_words_or_digits() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    stage.press(KeyCode::F(9));
    stage.paste("walnut  saddle\tharvest\n");
    assert_snapshot!("sent_80x24", stage.see(80, 24));
    let asked = stage.ask(KeyCode::Enter).expect("the node is asked");
    assert_eq!(asked, call(r#"["walnut","saddle","harvest"]"#, "null"));
}

#[test]
fn a_code_that_does_not_fit_says_how_much_is_missing() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    stage.press(KeyCode::F(8));
    at_every_size("code", &mut stage);
}

#[test]
fn a_changed_key_stands_in_the_composers_place_and_enter_does_not_send_it_away() {
    let mut stage = stage();
    stage.write("a draft");
    trusted(&mut stage, key_changed());
    at_every_size("key_changed", &mut stage);
    let before = stage.see(80, 24);
    assert!(stage.ask(KeyCode::Enter).is_none());
    stage.write("xyz");
    stage.paste("pasted");
    assert_eq!(stage.see(80, 24), before, "nothing is typed, sent or dismissed");
    trusted(&mut stage, Trust::Unverified);
    assert!(stage.see(80, 24).contains("> a draft"), "what was written is kept");
}

#[test]
fn only_the_word_lets_sending_go_on_unverified() {
    let mut stage = stage();
    trusted(&mut stage, key_changed());
    stage.press(KeyCode::Char('a'));
    stage.write("yes");
    assert!(stage.ask(KeyCode::Enter).is_none());
    assert_snapshot!("accept_unverified_80x24", stage.see(80, 24));
    for _ in 0..3 {
        stage.press(KeyCode::Backspace);
    }
    stage.write("accept");
    let asked = stage.ask(KeyCode::Enter).expect("the node is asked");
    assert_eq!(asked, r#"contact.accept_key {"contact":{"id":"000000000000000a"}}"#);
}

#[test]
fn a_page_about_somebody_who_is_gone_says_so_until_it_is_closed() {
    let mut stage = stage();
    stage.write("/verify");
    stage.press(KeyCode::Enter);
    stage.tell(Event::ContactRemoved { id: ContactId(12) });
    assert!(stage.see(80, 24).contains("Verify mira"));
    stage.tell(Event::ContactRemoved { id: MIRA });
    let seen = stage.see(80, 24);
    assert!(!seen.contains("Verify") && seen.contains("removed meanwhile"), "{seen}");
    stage.write("copper");
    assert!(stage.see(80, 24).contains("removed meanwhile"));
    stage.press(KeyCode::Enter);
    assert!(!stage.see(80, 24).contains("removed meanwhile"));
}
