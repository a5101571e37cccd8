//! What the program writes into its log in a whole conversation, at the most it can write: nothing
//! that says who, what, where or which.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::memory::{Needle, found_in};
use crate::support::{Home, Invite, Network, Running, finish, parse, unique};

/// Texts each way.
const TEXTS: usize = 3;

/// Longest row of letters and digits that is a word or a count; the shortest key in any writing has
/// 43, a name of 64 bits 16 or more.
const LONGEST_WORD: usize = 15;

/// Somebody whose every process writes a log.
struct Person {
    home: Home,
    names: [String; 2],
    invite: Invite,
    mark: String,
}

impl Person {
    fn new() -> Self {
        let home = Home::new();
        let names = [unique("self"), unique("pet")];
        let made = ask(&home, &["identity", "new", &names[0]]);
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        let invite = Invite { invite: text("invite"), key: text("key") };
        Self { home, names, invite, mark: unique("text") }
    }

    fn listen(&self, network: &Network, relay: &str) -> Running {
        let mut command = self.home.command(&["listen", "--peer", relay, "--json", "--states"]);
        command.args(network.flags()).args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        log_all(&self.home, &mut command);
        Running::start(command, &self.home.path("errors"), None)
    }

    fn say_all(&self, other: &Self) -> Vec<String> {
        let say = |number| {
            let text = format!("{} number {number}", self.mark);
            let sent = ask(&self.home, &["send", &other.names[1], &text, "--wait", "sent"]);
            sent["id"].as_str().expect("a name for the message").to_owned()
        };
        (0..TEXTS).map(say).collect()
    }

    fn needles(&self) -> Vec<Needle> {
        let mut needles = Needle::key("a key", &self.invite.key);
        needles.push(Needle::text("a key's beginning", &self.invite.key[..8]));
        needles.push(Needle::text("an invite", &self.invite.invite));
        needles.push(Needle::text("an identity's name", &self.names[0]));
        needles.push(Needle::text("a petname", &self.names[1]));
        needles.push(Needle::text("a text", &self.mark));
        needles.push(Needle::text("a folder", self.home.folder().to_str().expect("a path")));
        needles
    }

    fn log(&self) -> String {
        read_log(&self.home)
    }
}

/// The most a log can hold. What other programs take for a wish to hear more is set, too.
fn log_all(home: &Home, command: &mut Command) {
    command.arg("--verbose").arg("--log").arg(home.path("log"));
    command.env("RUST_LOG", "trace").env("UNDERTONE_LOG", "trace").env("RUST_BACKTRACE", "full");
}

fn ask(home: &Home, args: &[&str]) -> Value {
    let mut command = home.command(args);
    command.arg("--json");
    log_all(home, &mut command);
    let answer = parse(&finish(command, "").stdout);
    assert_eq!(answer["ok"], true, "{args:?}: {answer}");
    answer["data"].clone()
}

fn read_log(home: &Home) -> String {
    fs::read_to_string(home.path("log")).expect("a log in UTF-8")
}

/// The lines of a log without their moments, whose digits could be anything.
fn lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().map(|line| line.split_once(' ').expect("a moment and more").1)
}

/// What looks like a key, an id, an address or bytes, whatever it is the name of.
fn telling(line: &str) -> Option<&str> {
    let runs = line.split(|letter: char| !letter.is_ascii_alphanumeric());
    let word = runs.into_iter().find(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() > LONGEST_WORD && digits > 0 || digits > 9
    });
    let numbered = line.split(|letter: char| !letter.is_ascii_digit() && !". ,:".contains(letter));
    let row = numbered.into_iter().find(|row| {
        row.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty()).count()
            >= 4
    });
    let address = ["/ip4/", "/ip6/", "/dns", "/p2p/", "/tcp/", "/udp/", "12D3Koo", "127.0.0"];
    word.or(row).or_else(|| address.into_iter().find(|part| line.contains(part)))
}

fn check(log: &str, needles: &[Needle]) {
    let body: String = lines(log).map(|line| line.to_owned() + "\n").collect();
    assert_eq!(found_in(body.as_bytes(), needles), BTreeSet::new());
    for line in body.lines() {
        let ours = line.split_whitespace().nth(1).is_some_and(|from| from.starts_with("undertone"));
        assert!(ours, "somebody else writes: {line}");
        assert_eq!(telling(line), None, "in: {line}");
    }
}

#[test]
fn the_most_detailed_log_of_a_conversation_contains_no_secret_of_it() {
    let network = Network::new();
    let relays = Home::new();
    let mut command = relays.bare(&["relay", "run", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    // A neighbour that is not there is something to write into the log.
    command.args(network.flags()).args(["--peer", "/ip4/127.0.0.1/tcp/1"]);
    log_all(&relays, &mut command);
    let relay = Running::start(command, &relays.path("errors"), None);
    let address = relay.wait_for("the relay's address", |line| {
        line.strip_prefix("listening on ").map(str::to_owned)
    });
    let (ann, ben) = (Person::new(), Person::new());
    ask(&ann.home, &["contact", "add", &ben.invite.invite, "--name", &ben.names[1]]);
    let (at_ann, at_ben) = (ann.listen(&network, &address), ben.listen(&network, &address));
    let key = at_ben.wait_for_json("a request", |line| {
        (line["type"] == "request").then(|| line["key"].as_str().unwrap_or("").to_owned())
    });
    ask(&ben.home, &["request", "accept", &key, "--name", &ann.names[1]]);
    at_ann.wait_for_session();
    at_ben.wait_for_session();
    let ids = [ann.say_all(&ben), ben.say_all(&ann)].concat();
    assert_eq!(at_ben.messages(TEXTS).len() + at_ann.messages(TEXTS).len(), 2 * TEXTS);
    ask(&ann.home, &["contact", "block", &ben.names[1]]);
    ask(&ann.home, &["contact", "remove", &ben.names[1], "--confirm", &ben.names[1]]);
    assert_eq!(at_ann.end("TERM"), Some(143));
    assert_eq!(at_ben.end("TERM"), Some(143));
    assert_eq!(relay.end("TERM"), Some(0));

    let mut needles = [ann.needles(), ben.needles()].concat();
    let port = address.rsplit('/').find(|part| part.parse::<u16>().is_ok()).expect("a port");
    needles.push(Needle::text("a port", port));
    needles.push(Needle::text("the network", network.name()));
    needles.extend(ids.iter().map(|id| Needle::text("a message's id", id)));
    for log in [ann.log(), ben.log(), read_log(&relays)] {
        assert!(log.contains("TRACE") && log.contains("Input::Gossip"), "the fullest log: {log}");
        check(&log, &needles);
    }
    assert!(ann.log().contains("Effect::Publish"), "it has said something");
    assert!(read_log(&relays).contains("a dial failed"), "it speaks of addresses without them");
}

#[test]
fn the_search_of_a_log_finds_planted_secrets() {
    for line in [
        "DEBUG undertone: dialling /ip4/192.0.2.7/tcp/4141",
        "DEBUG undertone: dialling 192.0.2.7:4141",
        "DEBUG undertone: peer 12D3KooWGRUfZ8j1c7yCB9yJZ4bYdfY2dQ8y5Gw8r8xYbZ7hTn1d",
        "TRACE undertone: id=5ac31799e02b74085ac31799e02b7408",
        "TRACE undertone: id=ContactId(6540338902912549722)",
        "TRACE undertone: topic=Topic([90, 195, 23, 153])",
        "TRACE undertone: invite=UNDERTONE1QYPMX4Z9L",
    ] {
        assert!(telling(line).is_some(), "not found: {line}");
    }
    for line in [
        "TRACE undertone::shell::runtime: input=Input::Gossip",
        "TRACE undertone::shell::runtime: effect=Effect::ReportValidation",
        " INFO undertone::shell::runtime: a dial failed: nobody answers there",
        "DEBUG undertone::shell::store: part of a database stays behind left=12",
    ] {
        assert_eq!(telling(line), None);
    }
}
