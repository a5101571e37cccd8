//! Messages on their way, as their user sees them: states, times, lifetimes and cost, gaps,
//! searches.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use jiff::tz::TimeZone;
use undertone::engine::env::UnixSeconds;
use undertone::engine::envelope::Lifetime;
use undertone::engine::event::{ContactView, Direction, HeldBack, MessageView, SessionStatus};
use undertone::engine::id::MessageId;
use undertone::engine::price::Step;
use undertone::engine::record::{DeliveryLog, MessageState};
use undertone::shell::api::calls::{AnyReply, Page};
use undertone::shell::api::{Contact, Event, NetworkStatus, Persistence, PriceStatus};
use undertone::shell::ui::{ColorSupport, Glyphs, UiMode, UiOptions};

use crate::support::{MIRA, NOW, Stage, contact, message, network, options, told};

const SIZES: [(u16, u16); 4] = [(120, 40), (80, 24), (60, 20), (40, 10)];

fn at_every_size(name: &str, mut stage: Stage) {
    for (columns, rows) in SIZES {
        assert_snapshot!(format!("{name}_{columns}x{rows}"), stage.see(columns, rows));
    }
}

fn stage() -> Stage {
    Stage::chatting(options(Glyphs::Unicode))
}

fn tell_message(stage: &mut Stage, message: MessageView) {
    stage.tell_message(message);
}

fn every_state(options: UiOptions) -> Stage {
    let mut stage = Stage::chatting(options);
    for (id, state) in (200..).zip(MessageState::ALL) {
        let text = "the ferry leaves at noon";
        tell_message(&mut stage, message(id, NOW - 30, Direction::Outgoing(state), text));
    }
    stage
}

#[test]
fn every_state_has_a_mark() {
    at_every_size("states", every_state(options(Glyphs::Unicode)));
    let bare = UiOptions { color: ColorSupport::Off, ..options(Glyphs::Ascii) };
    assert_snapshot!("states_ascii_80x24", every_state(bare).see(80, 24));
}

/// Sunday, 25 October 2026, 01:00 UTC, when clocks in Berlin go back from 03:00 to 02:00.
const SUMMER_ENDS: u64 = 1_792_890_000;

#[test]
fn times_and_days_are_those_of_the_zone_that_the_first_row_names() {
    let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    for (rule, zone, days, times) in [
        (
            "UTC0",
            "01:01 UTC",
            &["Sat 24 Oct 2026", "Sun 25 Oct 2026"][..],
            ["22:10", "00:59", "01:00"],
        ),
        (berlin, "02:01 CET/CEST", &["Sun 25 Oct 2026"], ["00:10", "02:59", "02:00"]),
        ("<+0530>-5:30", "06:31 UTC+0530", &["Sun 25 Oct 2026"], ["03:40", "06:29", "06:30"]),
        ("EST5", "20:01 EST", &["Sat 24 Oct 2026"], ["17:10", "19:59", "20:00"]),
    ] {
        let mut stage = Stage::chatting(UiOptions {
            clock: || UnixSeconds(SUMMER_ENDS + 60),
            zone: TimeZone::posix(rule).expect("a rule"),
            ..options(Glyphs::Unicode)
        });
        let said = [(1, 10_200), (2, 60), (3, 0)].map(|(id, ago)| {
            message(id, SUMMER_ENDS - ago, Direction::Incoming, "the ferry leaves")
        });
        said.into_iter().for_each(|message| stage.tell_message(message));
        let seen = stage.see(120, 40);
        assert_eq!(seen.matches(zone).count(), 1, "{zone}: {seen}");
        let first_row = seen.lines().next().expect("a row");
        assert!(first_row.ends_with(zone), "{zone}: {seen}");
        let october = seen.lines().filter(|row| row.contains("Oct 2026")).count();
        assert_eq!(october, days.len(), "{zone}: {seen}");
        assert!(days.iter().all(|day| seen.contains(&format!("── {day} ──"))), "{zone}: {seen}");
        let shown = times.map(|time| format!("{time} mira"));
        assert!(shown.iter().all(|time| seen.contains(time)), "{zone}: {seen}");
    }
}

#[test]
fn the_zone_is_on_every_screen_with_times_once_and_right_for_summer_and_winter() {
    for (rule, named) in [("UTC0", "UTC"), ("CET-1CEST,M3.5.0,M10.5.0/3", "CET/CEST")] {
        for name in ["mira", "a name that is longer than any of the windows that are small ones"] {
            for columns in [40, 60, 80, 120] {
                for rows in [10, 15, 16, 24] {
                    let zone = TimeZone::posix(rule).expect("a rule");
                    let mut stage = Stage::chatting(UiOptions { zone, ..options(Glyphs::Unicode) });
                    let view = contact(MIRA, name, SessionStatus::OfferSent);
                    stage.tell_contact(view);
                    let chat = stage.see(columns, rows);
                    stage.press(KeyCode::Esc);
                    stage.press(KeyCode::Char('v'));
                    let details = stage.see(columns, rows);
                    stage.press(KeyCode::F(3));
                    stage.press(KeyCode::Tab);
                    for (page, seen) in [chat, details, stage.see(columns, rows)].iter().enumerate()
                    {
                        // The details of a message leave the name of its chat in view where they
                        // are short.
                        let most = if page == 1 && rows < 16 { 2 } else { 1 };
                        // In a narrow box the name may be broken.
                        let text = seen.replace([' ', '│', '\n'], "");
                        let count = text.matches(named).count();
                        assert!((1..=most).contains(&count), "{columns}x{rows} {page}: {seen}");
                    }
                }
            }
        }
    }
}

#[test]
fn that_nothing_is_saved_gives_way_to_no_name_and_no_figure() {
    for mode in [UiMode::Normal, UiMode::Demo] {
        for name in ["nightjar", "n".repeat(58).as_str()] {
            for columns in [40, 47, 60, 80, 120] {
                let mut stage = Stage::chatting(UiOptions { mode, ..options(Glyphs::Unicode) });
                stage.rename_me(name);
                stage.reach(Persistence::MemoryOnly);
                let seen = stage.see(columns, 24);
                let first = seen.lines().next().expect("a row");
                assert!(first.contains("nothing is saved"), "{columns}: {first}");
                assert!(first.contains("UTC"), "{columns}: {first}");
                assert_eq!(first.contains("DEMO"), mode == UiMode::Demo, "{columns}: {first}");
            }
        }
    }
    let mut stage = stage();
    stage.rename_me(&"n".repeat(58));
    stage.reach(Persistence::MemoryOnly);
    at_every_size("long_name", stage);
}

#[test]
fn a_search_for_work_tells_how_long_it_took_so_far() {
    let mut stage = stage();
    tell_message(&mut stage, message(200, NOW, Direction::Outgoing(MessageState::Queued), "hello"));
    stage.tell(Event::State {
        id: MessageId(200),
        contact: MIRA,
        to: "mira".to_owned(),
        number: Some(200),
        state: MessageState::Mining,
        not_for_long: false,
        delivery: DeliveryLog::default(),
    });
    stage.model.tick(UnixSeconds(NOW + 13));
    let seen = stage.see(80, 24);
    assert!(seen.contains("mining, about 3 s, 10 s so far. /cancel"), "{seen}");
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('v'));
    at_every_size("why_mining", stage);
}

/// The details of a message in every state, with all that can have happened to it.
#[test]
fn what_became_of_a_message_is_told_with_its_times() {
    let sent = DeliveryLog {
        attempts: 3,
        first_sent: Some(UnixSeconds(NOW - 80_000)),
        last_sent: Some(UnixSeconds(NOW - 100)),
        ..DeliveryLog::default()
    };
    let delivered = DeliveryLog { delivered: Some(UnixSeconds(NOW - 50)), ..sent };
    let read = DeliveryLog { read: Some(UnixSeconds(NOW - 20)), ..delivered };
    let expired = DeliveryLog { last_sent: Some(UnixSeconds(NOW - 30_000)), ..sent };
    let pages = [
        ("sent", MessageState::Sent, sent),
        ("not_for_long", MessageState::Unacknowledged, sent),
        ("unacknowledged", MessageState::Unacknowledged, expired),
        ("delivered", MessageState::Delivered, delivered),
        ("read", MessageState::Read, read),
        ("queued", MessageState::Queued, DeliveryLog::default()),
        ("failed", MessageState::Failed, DeliveryLog::default()),
    ];
    for (name, state, delivery) in pages {
        let mut stage = stage();
        let ours =
            message(200, NOW - 90_000, Direction::Outgoing(state), "the ferry leaves at noon");
        let lifetime = if name == "unacknowledged" { Lifetime::SixHours } else { Lifetime::Week };
        tell_message(&mut stage, MessageView { delivery, lifetime, ..ours });
        stage.press(KeyCode::Esc);
        stage.press(KeyCode::Char('v'));
        assert_snapshot!(format!("why_{name}_80x24"), stage.see(80, 24));
    }
}

#[test]
fn a_message_that_left_under_a_wrong_clock_is_not_said_to_stay_in_the_network() {
    const NOTE: &str = "the clock is wrong: others do not carry it";
    let mut stage = stage();
    let at = Some(UnixSeconds(NOW - 100));
    let delivery =
        DeliveryLog { attempts: 1, first_sent: at, last_sent: at, ..DeliveryLog::default() };
    let sent = Direction::Outgoing(MessageState::Sent);
    let ours = message(200, NOW - 100, sent, "the ferry leaves at noon");
    tell_message(&mut stage, MessageView { delivery, ..ours });
    assert!(!stage.see(120, 40).contains(NOTE));
    let (clock_minutes, clock_witnesses) = (Some(120), 2);
    stage.tell(Event::Network(NetworkStatus { clock_minutes, clock_witnesses, ..network() }));
    let chat = stage.see(120, 40);
    assert!(chat.contains(NOTE), "{chat}");
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('v'));
    let page = stage.see(120, 40);
    assert!(page.contains("The clock of this computer is wrong"), "{page}");
    assert!(!page.contains("go offline") && !page.contains("It is in the network"), "{page}");
}

#[test]
fn whether_read_marks_are_on_decides_what_is_said_of_a_delivered_message() {
    let mut stage = stage();
    let view =
        ContactView { read_receipts: true, ..contact(MIRA, "mira", SessionStatus::Established) };
    stage.tell_contact(view);
    let ours = message(200, NOW - 90, Direction::Outgoing(MessageState::Delivered), "hello");
    tell_message(&mut stage, ours);
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('v'));
    assert!(stage.see(80, 24).contains("not read yet, or mira does not send read marks"));
    stage.press(KeyCode::F(3));
    assert_snapshot!("read_marks_contacts_80x24", stage.see(80, 24));
}

#[test]
fn the_cost_of_a_long_life_is_said_before_it_is_paid() {
    let mut stage = stage();
    stage.write("/life week");
    stage.press(KeyCode::Enter);
    stage.model.tick(UnixSeconds(NOW + 60));
    stage.write("for when you are back");
    at_every_size("life", stage);
}

/// A network that asks so many doublings of what lives a day.
fn busy(day: u8) -> Event {
    let price = PriceStatus { day, ..PriceStatus::default() };
    Event::Network(NetworkStatus { price, ..network() })
}

/// A contact to whom this waits for a lower price.
fn waits(session: SessionStatus, waiting: &[HeldBack]) -> Event {
    let waiting = std::sync::Arc::new(waiting.iter().copied().collect());
    let view = ContactView { waiting, ..contact(MIRA, "mira", session) };
    Event::Contact(Contact { view, unread: 0 })
}

#[test]
fn a_message_that_waits_for_a_lower_price_says_so_and_how_to_send_it() {
    let stage = || {
        let mut stage = stage();
        stage.tell(waits(SessionStatus::Established, &[HeldBack::Messages]));
        stage
    };
    let mut first = stage();
    first.tell(busy(4));
    let seen = first.see(80, 24);
    assert!(seen.contains("busy: 16 x work"), "{seen}");
    at_every_size("waits_for_price", first);
    let mut stage = stage();
    stage.tell(busy(4));
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Char('v'));
    assert_snapshot!("why_waits_for_price_80x24", stage.see(80, 24));
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Esc);
    stage.control('q');
    let leaving = stage.see(80, 24);
    assert!(leaving.contains("which may take hours"), "{leaving}");
}

#[test]
fn a_message_that_waits_for_a_lower_price_to_be_sent_again_says_so_and_how() {
    let mut stage = stage();
    let sent = message(300, NOW - 30, Direction::Outgoing(MessageState::Sent), "is anybody there?");
    let delivery = DeliveryLog {
        attempts: 1,
        first_sent: Some(UnixSeconds(NOW - 20)),
        last_sent: Some(UnixSeconds(NOW - 20)),
        ..DeliveryLog::default()
    };
    let sent = MessageView { number: Some(40), delivery, ..sent };
    let again = [HeldBack::Again(sent.id)];
    tell_message(&mut stage, sent);
    stage.tell(busy(4));
    stage.tell(waits(SessionStatus::Established, &again));
    let seen = stage.see(120, 40);
    assert!(seen.contains("a further copy waits for a lower price"), "{seen}");
    at_every_size("again_waits_for_price", stage);
}

#[test]
fn a_message_that_waits_its_turn_says_so_and_offers_no_limit() {
    let mut stage = stage();
    stage.tell(busy(1));
    let in_line = std::sync::Arc::new([HeldBack::Messages].into());
    let next_look = Some(UnixSeconds(NOW + 170));
    let mira = contact(MIRA, "mira", SessionStatus::Established);
    let view = ContactView { in_line, next_look, ..mira };
    stage.tell(Event::Contact(Contact { view, unread: 0 }));
    let seen = stage.see(120, 40);
    assert!(seen.contains("waits its turn: what is for this contact leaves one by one"), "{seen}");
    assert!(seen.contains("within 3 minutes") && !seen.contains("/work"), "{seen}");
    at_every_size("waits_its_turn", stage);
}

#[test]
fn a_contact_whose_request_waits_for_a_lower_price_says_so() {
    let mut stage = stage();
    stage.tell(busy(4));
    let waiting = [HeldBack::Request(Lifetime::Day), HeldBack::Messages];
    stage.tell(waits(SessionStatus::OfferQueued, &waiting));
    stage.press(KeyCode::F(3));
    let seen = stage.see(80, 24);
    assert!(seen.contains("request waits for a lower price"), "{seen}");
    assert_snapshot!("request_waits_for_price_80x24", seen);
}

#[test]
fn a_higher_limit_of_work_is_chosen_for_a_chat_and_its_cost_is_said_before_it_is_paid() {
    let mut stage = stage();
    stage.tell(waits(SessionStatus::Established, &[HeldBack::Messages]));
    stage.tell(busy(4));
    stage.write("/work 16");
    let limited = stage.ask(KeyCode::Enter).expect("a call");
    assert!(limited.ends_with(r#""read_marks":null,"max_work":16}"#), "{limited}");
    assert_snapshot!("work_80x24", stage.see(80, 24));
    let view = ContactView {
        highest: Some(Step::new(4)),
        ..contact(MIRA, "mira", SessionStatus::Established)
    };
    stage.tell(Event::Contact(Contact { view, unread: 0 }));
    stage.write("now");
    let said = stage.ask(KeyCode::Enter).expect("a call");
    assert!(said.ends_with(r#""life":"day","max_work":null}"#), "{said}");
    stage.model.tick(UnixSeconds(NOW + 60));
    at_every_size("busy", stage);
}

#[test]
fn no_price_above_the_prompt_of_a_narrow_screen_is_cut() {
    for (asked, most) in (1..=8).flat_map(|asked| (0..asked).map(move |most| (asked, most))) {
        let mut stage = stage();
        let view = ContactView {
            highest: Some(Step::new(most)),
            ..contact(MIRA, "mira", SessionStatus::Established)
        };
        stage.tell(Event::Contact(Contact { view, unread: 0 }));
        stage.tell(busy(asked));
        let seen = stage.see(40, 10);
        let told = format!(" waits: {} x, max {} ", 1 << asked, 1 << most);
        assert!(seen.contains(&told), "{told} in {seen}");
    }
}

#[test]
fn that_the_network_is_busy_is_said_above_the_prompt_of_a_narrow_screen_whatever_else_gives_way() {
    for asked in 1..=3_u8 {
        for life in ["6h", "day", "week"] {
            let mut stage = stage();
            let price =
                PriceStatus { six_hours: asked, day: asked, week: asked, ..PriceStatus::default() };
            stage.tell(Event::Network(NetworkStatus { price, ..network() }));
            stage.write(&format!("/life {life}"));
            stage.press(KeyCode::Enter);
            stage.model.tick(UnixSeconds(NOW + 60));
            let seen = stage.see(40, 10);
            let told = format!(" busy: {} x", 1 << asked);
            assert!(seen.contains(&told), "{told} in {seen}");
        }
    }
}

#[test]
fn the_cost_is_told_in_tries_while_the_rate_is_not_known() {
    let mut stage = stage();
    stage.tell(Event::Network(NetworkStatus { rate: 0, mining: None, ..network() }));
    stage.control('r');
    stage.model.tick(UnixSeconds(NOW + 60));
    let seen = stage.see(120, 40);
    assert!(seen.contains("lifetime 7 days, costs 1.0 million tries"), "{seen}");
}

#[test]
fn the_seconds_that_are_told_are_those_of_the_rate_that_was_measured_last() {
    for (rate, told) in [(500_000, "about 2 s"), (130_000, "about 8 s"), (9_000, "about 116 s")] {
        let mut stage = stage();
        stage.tell(Event::Network(NetworkStatus { rate, mining: None, ..network() }));
        stage.control('r');
        stage.model.tick(UnixSeconds(NOW + 60));
        let seen = stage.see(120, 40);
        let whole = format!("to mira: lifetime 7 days, {told} ");
        assert!(seen.contains(&whole), "{whole} in {seen}");
    }
}

#[test]
fn gaps_and_a_restored_contact_are_said_in_the_conversation() {
    let mut stage = stage();
    let restored = Some(UnixSeconds(NOW - 90_000));
    let view =
        ContactView { missing: 2, restored, ..contact(MIRA, "mira", SessionStatus::OfferSent) };
    stage.tell_contact(view);
    let theirs = message(200, NOW - 30, Direction::Incoming, "and that is why");
    tell_message(&mut stage, MessageView { missing: 3, ..theirs });
    at_every_size("gaps", stage);
}

fn search_results() -> Stage {
    let mut stage = stage();
    stage.write("/search ferry");
    stage.press(KeyCode::Enter);
    let long = format!("{}and then the ferry left without us", "we waited and waited ".repeat(4));
    let hostile = "the ferry\u{1b}]0;gotcha\u{7} \u{202e}gpj.exe\n> 2026-11-20 me  forged";
    let ours = Direction::Outgoing(MessageState::Delivered);
    let messages = vec![
        message(300, NOW - 100, Direction::Incoming, "the ferry leaves at noon"),
        message(299, NOW - 1_000, ours, &long),
        message(298, NOW - 90_000, Direction::Incoming, hostile),
        message(100, NOW - 90_000, Direction::Incoming, "FERRY?"),
    ];
    stage.answer(Ok(AnyReply::Search(Page { items: told(messages), more: true })));
    stage.press(KeyCode::Down);
    stage
}

#[test]
fn what_was_found_is_a_list_that_nothing_hostile_leaves() {
    at_every_size("found", search_results());
}

#[test]
fn a_search_asks_waits_and_says_that_nothing_was_found() {
    let mut stage = stage();
    stage.control('f');
    stage.write("ferry");
    assert_snapshot!("search_80x24", stage.see(80, 24));
    stage.press(KeyCode::Enter);
    assert!(stage.see(80, 24).contains("searching .."));
    stage.answer(Ok(AnyReply::Search(Page { items: Vec::new(), more: false })));
    assert_snapshot!("found_nothing_40x10", stage.see(40, 10));
}

#[test]
fn enter_goes_to_the_message_that_was_found() {
    let mut stage = search_results();
    stage.press(KeyCode::Down);
    stage.press(KeyCode::Down);
    stage.press(KeyCode::Enter);
    assert_snapshot!("found_gone_to_80x24", stage.see(80, 24));
}

#[test]
fn a_wrong_clock_is_said_on_every_page_and_explained_on_its_own() {
    let mut stage = stage();
    let (clock_minutes, clock_witnesses) = (Some(-7), 4);
    stage.tell(Event::Network(NetworkStatus {
        clock_minutes,
        clock_witnesses,
        caught_up: 12_345,
        ..network()
    }));
    assert_snapshot!("wrong_clock_chat_80x24", stage.see(80, 24));
    stage.model.tick(UnixSeconds(NOW + 60));
    assert!(stage.see(80, 24).contains("clock 7 min behind"));
    stage.press(KeyCode::F(4));
    at_every_size("wrong_clock", stage);
}
