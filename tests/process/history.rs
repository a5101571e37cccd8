//! Conversations and single messages, read back with a node that runs and without one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::hostile::{HOSTILE, acts};
use crate::support::{Home, Network, Running, finish, parse};

/// What a command prints, which must succeed.
fn printed(home: &Home, args: &[&str]) -> String {
    let output = home.run(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The lines of `history .. --json`.
fn told(home: &Home, args: &[&str]) -> Vec<Value> {
    let lines = printed(home, &[&["history"], args, &["--json"]].concat());
    lines.lines().map(|line| parse(line.as_bytes())).collect()
}

fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["text"].as_str().expect("a text")).collect()
}

/// A home with a contact who is never there; and the ids of what was said to them.
fn alone(texts: &[&str]) -> (Home, Vec<String>) {
    let home = Home::new();
    home.identity("ann");
    home.ask(&["contact", "add", &Home::new().identity("ben").invite, "--name", "ben"]);
    let ids = texts.iter().map(|text| {
        let sent = home.ask(&["send", "ben", text, "--wait", "queued"]);
        sent["id"].as_str().expect("an id").to_owned()
    });
    let ids = ids.collect();
    (home, ids)
}

fn node(home: &Home) -> Running {
    let node = home.listen(&Network::new(), "/ip4/127.0.0.1/tcp/1", &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    node
}

/// Goes through everything that can be done with a message that has not left.
fn walk(home: &Home, id: &str) {
    let short = &id[..8];
    let shown = home.ask(&["message", "show", short]);
    assert_eq!((&shown["id"], &shown["state"]), (&id.into(), &"queued".into()));
    assert_eq!((&shown["to"], &shown["side"]), (&"ben".into(), &"ours".into()));
    let page = printed(home, &["message", "show", short]);
    for said in [&*format!("message {short} to ben"), "◌ queued", id, "has not been sent yet"] {
        assert!(page.contains(said), "{said:?} in {page}");
    }
    assert!(printed(home, &["message", "show", short, "--ascii"]).contains(". queued"));
    assert_eq!(home.run(&["message", "retry", short]).status.code(), Some(7), "it waits already");
    assert_eq!(home.ask(&["message", "cancel", short])["id"], id);
    assert_eq!(home.ask(&["message", "show", id])["state"], "cancelled");
    assert_eq!(home.run(&["message", "cancel", short]).status.code(), Some(7));
    home.ask(&["message", "retry", &id[..4]]);
    assert_eq!(home.ask(&["message", "show", id])["state"], "queued");
    assert_eq!(home.run(&["message", "delete", short]).status.code(), Some(2), "not confirmed");
}

#[test]
fn a_message_that_has_not_left_is_shown_cancelled_and_retried_with_a_node_and_without() {
    let (home, ids) = alone(&["the first", "the second\nwith another line"]);
    walk(&home, &ids[0]);
    let running = node(&home);
    walk(&home, &ids[0]);
    let delete = ["message", "delete", &ids[0], "--confirm", &ids[0]];
    assert_eq!(home.run(&delete).status.code(), Some(0), "it is taken back first");
    assert_eq!(home.run(&["message", "show", &ids[0]]).status.code(), Some(3));
    assert_eq!(told(&home, &["ben"]).len(), 1);
    assert_eq!(running.end("TERM"), Some(143));
}

#[test]
fn history_is_the_same_from_a_running_node_and_without_one() {
    let (home, ids) = alone(&["the first", "the second\nwith another line", "the third"]);
    let all: [&[&str]; 7] = [
        &["history", "ben"],
        &["history", "ben", "--ascii"],
        &["history", "ben", "--json"],
        &["history", "ben", "--last", "2"],
        &["history", "ben", "--last", "1", "--before", &ids[1][..8]],
        &["history", "ben", "--search", "SECOND wit"],
        &["message", "show", &ids[1]],
    ];
    let without = all.map(|args| printed(&home, args));
    let running = node(&home);
    let with = all.map(|args| printed(&home, args));
    // Only a node that knows a network knows what waits for it.
    let unknown = with.map(|told| {
        let fields = ["waits_for_price", "waits_for_turn"];
        fields.iter().fold(told, |told, field| {
            told.replace(&format!("\"{field}\":false"), &format!("\"{field}\":null"))
        })
    });
    assert_eq!(unknown, without);
    assert_eq!(running.end("TERM"), Some(143));

    let lines: Vec<&str> = without[0].lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4], "-- times are in UTC --");
    assert!(lines[0].ends_with(&format!("{} you [◌ queued]: the first", &ids[0][..8])));
    assert_eq!(lines[2], "    with another line");
    assert!(without[1].is_ascii());
    assert!(
        without[3].starts_with(&format!("-- older messages: add --before {} --", &ids[1][..8]))
    );
    assert!(without[4].contains("the first") && !without[4].contains("the second"));
    assert_eq!(texts(&told(&home, &["ben", "--search", "first"])), ["the first"]);
    assert!(told(&home, &["ben", "--search", "fourth"]).is_empty());
    assert!(told(&home, &["ben", "--search", "\"*("]).is_empty());
    assert_eq!(told(&home, &["ben"])[0]["v"], 1);
}

/// The history of a home as somebody in a zone reads it.
fn read_in(home: &Home, zone: &str) -> String {
    let mut command = home.command(&["history", "ben"]);
    command.env("TZ", zone);
    let output = finish(command, "");
    assert_eq!(output.status.code(), Some(0), "{zone}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn people_read_their_own_time_with_a_node_and_without_and_programs_read_utc() {
    let (home, _) = alone(&["hello"]);
    let at: Timestamp =
        told(&home, &["ben"])[0]["at"].as_str().expect("a time").parse().expect("UTC");
    let as_read = |zone: &TimeZone, name: &str| {
        let local = zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
        (local, format!("-- times are in {name} --"))
    };
    let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
    let berlin = TimeZone::posix(rule).expect("a rule");
    let kolkata = TimeZone::posix("IST-5:30").expect("a rule");
    let mut read = vec![
        ("UTC", as_read(&TimeZone::UTC, "UTC")),
        ("IST-5:30", as_read(&kolkata, "IST")),
        (rule, as_read(&berlin, "CET/CEST")),
    ];
    // Where the system has the names of zones.
    if TimeZone::get("Europe/Berlin").is_ok() {
        read.push(("Europe/Berlin", as_read(&berlin, "Europe/Berlin")));
    }
    // Nothing of these is a zone.
    for broken in ["No/Such", "\u{1b}[31m", "/etc/passwd", "/dev/null", "../../etc/passwd", ":"] {
        read.push((broken, as_read(&TimeZone::UTC, "UTC")));
    }
    let check = || {
        for (zone, (local, last)) in &read {
            let page = read_in(&home, zone);
            assert!(page.starts_with(local.as_str()), "{zone:?}: {page:?}, not {local}");
            assert_eq!(page.lines().last(), Some(last.as_str()), "{zone:?}");
            let mut command = home.command(&["history", "ben", "--json"]);
            command.env("TZ", zone);
            let line = parse(&finish(command, "").stdout);
            assert_eq!(line["at"], at.to_string(), "{zone:?}");
        }
    };
    check();
    let running = node(&home);
    check();
    assert_eq!(running.end("TERM"), Some(143));
}

#[test]
fn questions_about_messages_fail_alike_with_a_node_and_without() {
    let (home, _) = alone(&["hello"]);
    let all: [&[&str]; 6] = [
        &["history", "nobody", "--json"],
        &["history", "ben", "--before", "00000000", "--json"],
        &["message", "show", "nonsense", "--json"],
        &["message", "show", "abc", "--json"],
        &["message", "show", "0000000000000000", "--json"],
        &["message", "delete", "0000000000000000", "--confirm", "0000000000000000", "--json"],
    ];
    let without = all.map(|args| home.run(args));
    let running = node(&home);
    assert_eq!(all.map(|args| home.run(args)), without);
    assert_eq!(running.end("TERM"), Some(143));
    let codes = without.each_ref().map(|output| output.status.code());
    assert_eq!(codes, [3, 3, 2, 2, 3, 3].map(Some));
    assert_eq!(home.run(&["history", "ben", "--last", "0"]).status.code(), Some(2));
    assert_eq!(home.run(&["message", "show", HOSTILE]).status.code(), Some(2));
}

#[test]
fn hostile_texts_of_a_conversation_are_harmless_and_a_deleted_message_is_not_found() {
    let network = Network::new();
    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (ann, ben) = (Home::new(), Home::new());
    let (from_ann, from_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &from_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &from_ann.invite, "--name", "ann"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    at_ben.wait_for_session();
    let wait = ["send", "ben", "--json", "--wait", "delivered", "--timeout", "120s"];
    let sent = parse(&finish(ann.command(&wait), HOSTILE).stdout);
    let id = sent["data"]["id"].as_str().expect("an id").to_owned();
    let shown = ann.ask(&["message", "show", &id]);
    assert_eq!(shown["state"], "delivered");
    let heard = at_ben.wait_for_json("a message", |line| {
        (line["type"] == "message").then(|| line["id"].as_str().expect("an id").to_owned())
    });

    for _ in 0..2 {
        let page =
            printed(&ben, &["history", "ann"]) + &printed(&ben, &["message", "show", &heard]);
        assert!(page.contains("gotcha") && page.contains("a line that is not hers"), "{page}");
        let acting: Vec<char> =
            page.chars().filter(|character| acts(*character) && *character != '\n').collect();
        assert!(acting.is_empty(), "{acting:?} in {page:?}");
        assert!(page.lines().all(|line| !line.starts_with("2026-01-01")), "{page}");
        assert_eq!(texts(&told(&ben, &["ann"])), [HOSTILE]);
        if !at_ben.has_ended() {
            assert_eq!(at_ben.end("TERM"), Some(143));
        }
    }

    assert_eq!(texts(&told(&ben, &["ann", "--search", "gotcha"])), [HOSTILE]);
    ben.ask(&["message", "delete", &heard, "--confirm", &heard]);
    assert!(told(&ben, &["ann"]).is_empty());
    assert!(told(&ben, &["ann", "--search", "gotcha"]).is_empty());
    assert_eq!(ben.run(&["message", "show", &heard]).status.code(), Some(3));
    assert_eq!(ann.ask(&["message", "show", &id])["state"], "delivered");
}
