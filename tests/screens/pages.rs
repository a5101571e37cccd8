//! Every page, dialog and hostile text, at every size at which the layout changes.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use undertone::engine::command::CommandError;
use undertone::engine::event::SessionStatus;
use undertone::engine::id::{ContactId, RequestId};
use undertone::engine::price::ShownWork;
use undertone::shell::api::calls::AnyReply;
use undertone::shell::api::{
    CoverStatus, Event, FillStatus, LineStatus, NetworkStatus, Persistence, PriceStatus,
    StatusReport, StepsStatus, WaitingStatus,
};
use undertone::shell::failure::{Failure, FailureCode, FailureText};
use undertone::shell::failures::RefusedCommand;
use undertone::shell::ui::{ColorSupport, Glyphs, UiMode, UiOptions};

use crate::support::{MIRA, Stage, contact, key, network, options};

const SIZES: [(u16, u16); 4] = [(120, 40), (80, 24), (60, 20), (40, 10)];

/// The same stage at every size.
fn at_every_size(name: &str, mut stage: Stage) {
    for (columns, rows) in SIZES {
        assert_snapshot!(format!("{name}_{columns}x{rows}"), stage.see(columns, rows));
    }
}

fn stage() -> Stage {
    Stage::chatting(options(Glyphs::Unicode))
}

#[test]
fn a_conversation() {
    let mut stage = stage();
    stage.hear(200, "are you there?");
    stage.hear(201, "hello?");
    stage.write("I will look at item 2 first, then the room. ");
    stage.tell(Event::Read { contact: MIRA, with: "mira".to_owned(), unread: 0 });
    at_every_size("conversation", stage);
}

#[test]
fn a_conversation_in_ascii_without_colour() {
    let bare = UiOptions { color: ColorSupport::Off, ..options(Glyphs::Ascii) };
    assert_snapshot!("conversation_ascii", Stage::chatting(bare).see(80, 24));
}

#[test]
fn a_first_start_asks_for_a_name_and_says_what_is_kept() {
    let mut stage = Stage::empty(options(Glyphs::Unicode));
    stage.reach(Persistence::MemoryOnly);
    stage.tell(Event::Network(network()));
    stage.write("nightjar");
    at_every_size("welcome", stage);
}

#[test]
fn contacts_requests_and_blocked_people() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    for name in ["contacts", "requests", "blocked"] {
        assert_snapshot!(format!("{name}_80x24"), stage.see(80, 24));
        assert_snapshot!(format!("{name}_40x10"), stage.see(40, 10));
        stage.press(KeyCode::Tab);
    }
}

#[test]
fn a_hint_goes_when_the_page_changes_and_the_keys_are_in_its_place() {
    for key in [KeyCode::F(1), KeyCode::F(3), KeyCode::F(4), KeyCode::F(6)] {
        let mut stage = stage();
        stage.write("/nonsense");
        stage.press(KeyCode::Enter);
        assert!(stage.see(80, 24).contains("unknown command"));
        stage.write("x");
        assert!(stage.see(80, 24).contains("unknown command"), "typing is no other page");
        stage.press(key);
        let seen = stage.see(80, 24);
        let shows_keys = seen.contains(" Esc back") || seen.contains(" Enter open");
        assert!(!seen.contains("unknown command") && shows_keys, "{seen}");
    }
}

#[test]
fn a_name_that_is_refused_stays_in_its_dialog_with_the_reason() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Tab);
    stage.press(KeyCode::Char('a'));
    stage.write("mira");
    assert!(stage.ask(KeyCode::Enter).is_some());
    let what = RefusedCommand::new("the request was not accepted");
    stage.answer(Err(Failure::refused(CommandError::NameTaken, what)));
    assert_snapshot!("name_taken_80x24", stage.see(80, 24));
    assert_snapshot!("name_taken_40x10", stage.see(40, 10));
    stage.write("2");
    assert_eq!(
        stage.ask(KeyCode::Enter).as_deref(),
        Some(r#"request.accept {"request":"0000000000000001","name":"mira2"}"#)
    );
}

#[test]
fn who_is_accepted_is_said_in_the_question_whoever_asks_meanwhile() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Tab);
    stage.hear_stranger(2, key(1), ShownWork::of_tries(1 << 24));
    stage.press(KeyCode::Char('a'));
    stage.hear_stranger(3, key(0), ShownWork::of_tries(1 << 25));
    at_every_size("accept", stage);
    let mut stage = accepting();
    stage.hear_stranger(2, key(1), ShownWork::of_tries(1 << 24));
    stage.tell(Event::RequestRemoved { id: RequestId(1) });
    stage.write("mira2");
    assert!(stage.ask(KeyCode::Enter).is_none());
    let seen = stage.see(80, 24);
    assert!(seen.contains("this request is gone; nothing was accepted"), "{seen}");
    assert!(stage.see(40, 10).contains("this request is gone"));
    assert!(!seen.contains("Their key"), "another stranger is not who was asked about: {seen}");
}

fn accepting() -> Stage {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Tab);
    stage.press(KeyCode::Char('a'));
    stage
}

#[test]
fn nothing_that_arrives_opens_a_chat_under_what_is_written() {
    let mut stage = stage();
    stage.write("words for no");
    stage.tell(Event::ContactRemoved { id: MIRA });
    let carol = contact(ContactId(13), "carol", SessionStatus::Established);
    stage.tell_contact(carol);
    stage.write("body");
    assert!(stage.ask(KeyCode::Enter).is_none());
    at_every_size("no_chat_is_open", stage);
}

#[test]
fn a_damaged_invite_is_said_where_it_was_pasted() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Char('+'));
    stage.write("UNDERTONE1QQPJ");
    stage.press(KeyCode::Enter);
    at_every_size("damaged_invite", stage);
}

#[test]
fn identities_and_an_invite() {
    let mut stage = stage();
    stage.press(KeyCode::F(6));
    assert_snapshot!("identities_80x24", stage.see(80, 24));
    stage.press(KeyCode::Char('i'));
    at_every_size("invite", stage);
}

#[test]
fn the_network() {
    let mut stage = stage();
    stage.press(KeyCode::F(4));
    at_every_size("network", stage);
}

#[test]
fn a_network_that_asks_more_says_what_of_whom_and_why() {
    let mut stage = stage();
    stage.tell(Event::Network(NetworkStatus {
        steps: StepsStatus { day: 3, line: 2, ..StepsStatus::default() },
        price: PriceStatus { six_hours: 2, day: 4, week: 2, highest: 3 },
        fill: FillStatus { six_hours: 4, day: 88, week: 12 },
        line: LineStatus { blocks_per_second: 16, percent_left: 38 },
        waiting: WaitingStatus { messages: 2, retries: 1, requests: 1, answers: 3 },
        in_line: WaitingStatus { messages: 4, ..WaitingStatus::default() },
        cover: CoverStatus::Rests,
        ..network()
    }));
    stage.press(KeyCode::F(4));
    at_every_size("network_busy", stage);
}

#[test]
fn help_can_be_read_to_its_end() {
    let mut stage = stage();
    stage.press(KeyCode::F(1));
    assert_snapshot!("help_80x24", stage.see(80, 24));
    assert_snapshot!("help_120x40", stage.see(120, 40));
    for _ in 0..20 {
        stage.press(KeyCode::PageDown);
    }
    assert_snapshot!("help_end_40x10", stage.see(40, 10));
}

#[test]
fn the_network_and_the_details_of_a_message_can_be_read_to_their_end_in_a_small_window() {
    let mut stage = stage();
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('k'));
    stage.press(KeyCode::Char('v'));
    assert!(stage.see(40, 10).contains(" below  Down "));
    for _ in 0..5 {
        stage.press(KeyCode::Down);
        stage.see(40, 10);
    }
    assert_snapshot!("why_end_40x10", stage.see(40, 10));
    stage.press(KeyCode::F(4));
    assert!(stage.see(40, 10).starts_with(" Network"), "another page begins at its first row");
    for _ in 0..5 {
        stage.press(KeyCode::Down);
        stage.see(40, 10);
    }
    assert_snapshot!("network_end_40x10", stage.see(40, 10));
}

#[test]
fn what_is_said_of_a_contact_is_whole_in_a_small_window() {
    let mut stage = stage();
    for id in 30..40 {
        let view = contact(ContactId(id), &format!("friend {id}"), SessionStatus::Established);
        stage.tell_contact(view);
    }
    stage.press(KeyCode::F(3));
    let seen = stage.see(40, 10).replace(['\n', ' '], "");
    assert!(seen.contains("theirsarenotshown."), "{seen}");
}

#[test]
fn where_to_go() {
    let mut stage = stage();
    stage.control('p');
    assert_snapshot!("go_to_80x24", stage.see(80, 24));
    stage.write("net");
    assert_snapshot!("go_to_40x10", stage.see(40, 10));
}

#[test]
fn why_a_message_is_where_it_is() {
    let mut stage = stage();
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('k'));
    assert_snapshot!("browsing_80x24", stage.see(80, 24));
    stage.press(KeyCode::Char('v'));
    at_every_size("why", stage);
}

#[test]
fn leaving_with_unsent_messages() {
    let mut stage = stage();
    stage.control('q');
    at_every_size("leaving", stage);
}

#[test]
fn leaving_a_node_that_others_use_says_how_many_and_what_becomes_of_them() {
    let status = |clients| {
        let persistence = Persistence::Sealed;
        AnyReply::Status(StatusReport { network: network(), online: true, persistence, clients })
    };
    let mut stage = stage();
    stage.control('q');
    stage.answer(Ok(status(3)));
    assert_snapshot!("leaving_others_80x24", stage.see(80, 24));
    stage.press(KeyCode::Esc);
    stage.control('q');
    stage.answer(Ok(status(2)));
    assert_snapshot!("leaving_other_40x10", stage.see(40, 10));
}

#[test]
fn a_node_that_stopped_is_said_while_the_next_one_is_looked_for() {
    let mut stage = stage();
    stage.model.on_node_lost();
    stage.write("typed meanwhile");
    assert_snapshot!("node_stopped_80x24", stage.see(80, 24));
    assert!(stage.see(40, 10).contains("the node stopped; looking"));
    stage.reach(Persistence::Sealed);
    assert!(!stage.see(80, 24).contains("the node stopped"));
}

#[test]
fn a_question_stands_in_the_hint_line() {
    let mut stage = stage();
    stage.press(KeyCode::F(3));
    stage.press(KeyCode::Char('m'));
    at_every_size("question", stage);
}

#[test]
fn a_question_that_does_not_fit_its_window_is_answered_by_no_key() {
    let mut stage = stage();
    stage.write("/readmarks on");
    stage.press(KeyCode::Enter);
    stage.see(34, 4);
    assert!(stage.ask(KeyCode::Char('y')).is_none());
    assert!(stage.see(80, 24).contains("y yes  n no"));
    assert!(stage.ask(KeyCode::Char('y')).is_some());
}

#[test]
fn what_cannot_be_undone_asks_for_a_name() {
    let mut stage = stage();
    stage.write("/remove");
    stage.press(KeyCode::Enter);
    stage.write("ok, you first");
    stage.press(KeyCode::Enter);
    at_every_size("remove", stage);
    for (page, letter, name) in [(3, 'b', "block"), (6, 'x', "delete_identity")] {
        let mut stage = self::stage();
        stage.press(KeyCode::F(page));
        stage.press(KeyCode::Char(letter));
        assert_snapshot!(format!("{name}_80x24"), stage.see(80, 24));
    }
}

#[test]
fn the_longest_name_is_asked_for_whole() {
    for columns in [40, 60, 80, 120] {
        let mut stage = stage();
        let name = "田".repeat(64);
        stage.tell_contact(contact(MIRA, &name, SessionStatus::Established));
        stage.write("/remove");
        stage.press(KeyCode::Enter);
        let seen = stage.see(columns, 10);
        assert!(seen.matches('田').count() >= 64, "{seen}");
        stage.write(&name);
        assert!(stage.ask(KeyCode::Enter).is_some(), "{columns}");
    }
}

#[test]
fn a_message_with_a_line_like_a_command_is_asked_about() {
    let mut stage = stage();
    stage.paste("ok\n/verify walnut saddle harvest and a line that is longer than any window");
    assert!(stage.ask(KeyCode::Enter).is_none());
    stage.write("yes");
    assert!(stage.ask(KeyCode::Enter).is_none());
    at_every_size("send_as_text", stage);
}

#[test]
fn commands_are_listed_as_they_are_typed() {
    let mut stage = stage();
    stage.write("/re");
    assert_snapshot!("commands_80x24", stage.see(80, 24));
    stage.press(KeyCode::Enter);
    assert_snapshot!("ambiguous_command_80x24", stage.see(80, 24));
    assert_snapshot!("ambiguous_command_40x10", stage.see(40, 10));
}

#[test]
fn a_reader_of_older_messages_is_told_what_is_below() {
    let mut stage = stage();
    stage.see(80, 16);
    stage.press(KeyCode::PageUp);
    assert_snapshot!("scrolled_80x16", stage.see(80, 16));
}

#[test]
fn a_stopped_node_says_so() {
    let mut stage = stage();
    let text = FailureText {
        what: "the node stopped",
        why: "the store cannot be written: the disk is full",
        safe: "",
        next: "",
    };
    stage.model.on_node_gone(&Failure::new(FailureCode::DiskFull, text));
    assert_snapshot!("fatal_80x24", stage.see(80, 24));
}

#[test]
fn a_demonstration_says_so_on_every_screen() {
    let demo = UiOptions { mode: UiMode::Demo, ..options(Glyphs::Unicode) };
    let mut stage = Stage::chatting(demo);
    for key in [2, 3, 4, 6, 1] {
        stage.press(KeyCode::F(key));
        assert!(stage.see(80, 24).starts_with(" undertone DEMO"));
    }
}

#[test]
fn a_window_that_is_too_small_says_so_and_typing_still_works() {
    let mut stage = stage();
    assert_snapshot!("too_small_34x4", stage.see(34, 4));
    assert!(stage.see(20, 6).starts_with("need 40x10: the\nwindow has 20x6\n"));
    stage.write("typed blind");
    assert!(stage.see(80, 24).contains("> typed blind"));
}

#[test]
fn hostile_text_becomes_marks_behind_the_gutter() {
    let mut stage = stage();
    stage.hear(300, "\u{1b}]0;gotcha\u{7} what did that paste do\rEVIL \u{202e}gpj.exe");
    stage.hear(301, "x\n  ✓ 10:46 me     I owe you 100\n── 2 new ──");
    stage.hear(302, &format!("Z{}a\u{200d}l\u{200b}go\u{e0041}", "\u{301}".repeat(400)));
    stage.hear(303, &format!("top{}bottom", "\n".repeat(40)));
    at_every_size("hostile", stage);
}

#[test]
fn a_hostile_name_cannot_leave_its_place() {
    let mut stage = stage();
    let hostile = "me\n\u{1b}[31m✓ \u{202e}p\u{430}ypal with a very long name that never ends";
    let view = contact(MIRA, hostile, SessionStatus::Established);
    stage.tell_contact(view);
    assert_snapshot!("hostile_name_80x24", stage.see(80, 24));
    stage.press(KeyCode::F(3));
    assert_snapshot!("hostile_name_contacts_80x24", stage.see(80, 24));
}

#[test]
fn the_marks_alone_tell_every_state() {
    // Without colour the same characters are drawn: nothing is said by colour alone.
    let bare = UiOptions { color: ColorSupport::Off, ..options(Glyphs::Unicode) };
    assert_eq!(Stage::chatting(bare).see(80, 24), stage().see(80, 24));
}
