//! Somebody who is away while everything is said, and comes back when everybody else is gone.
//!
//! What flooded is part of catching up after a minute; who comes back sooner asks again by then. So
//! these take minutes of waiting and little else.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{Home, Network, Running, deadline, parse, unique};

/// What is said to who is away.
const MESSAGES: usize = 50;

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// What the two have before one goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acquaintance {
    /// A session.
    Session,
    /// Each other's invites, added without a network.
    InviteCodec,
}

/// What becomes of the archive while nobody else is there. It is never killed here: what it has a
/// moment after that is in `archive.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Archive {
    RunsOn,
    IsRestarted,
}

/// A relay that tells programs what it does, and its address.
struct Relay {
    process: Running,
    address: String,
}

impl Relay {
    fn start(home: &Home, network: &Network, more: &[&str]) -> Self {
        let mut command = home.bare(&["relay", "run", "--json", "--listen", LISTEN]);
        command.args(network.flags()).args(more);
        // One without an archive has lost everything when it starts again, however much memory is
        // free.
        if more != ARCHIVE {
            command.args(["--pool", "64MiB"]);
        }
        let process = start(home, command);
        let address = process
            .wait_for_json("its address", |line| line["address"].as_str().map(str::to_owned));
        Self { process, address }
    }

    /// Waits until it holds so many envelopes. An archive tells of them after it has written them.
    fn holds(&self, least: u64) {
        self.process.wait_for_json("envelopes", |line| {
            line["pool_items"].as_u64().filter(|items| *items >= least)
        });
    }
}

fn start(home: &Home, command: Command) -> Running {
    Running::start(command, &home.path("errors"), None)
}

fn listen(home: &Home, network: &Network, relay: &str) -> Running {
    let mut command = home.command(&["listen", "--json", "--states", "--peer", relay]);
    command.args(network.flags());
    start(home, command)
}

/// Three relays in a row: what is said at one end comes to the archive at the other through all.
struct Row {
    network: Network,
    homes: [Home; 3],
    archive: Relay,
    middle: Relay,
    near: Relay,
}

const ARCHIVE: [&str; 2] = ["--archive", "64MiB"];

impl Row {
    fn start() -> Self {
        let network = Network::new();
        let homes = [Home::new(), Home::new(), Home::new()];
        let archive = Relay::start(&homes[0], &network, &ARCHIVE);
        let middle = Relay::start(&homes[1], &network, &["--peer", &archive.address]);
        let near = Relay::start(&homes[2], &network, &["--peer", &middle.address]);
        archive.process.wait_for_neighbour();
        middle.process.wait_for_neighbour();
        near.process.wait_for_neighbour();
        Self { network, homes, archive, middle, near }
    }

    /// Waits until the archive holds what the one home holds from which all envelopes come. An offer
    /// may leave once more while this waits, and overtake a message: then a number that was read
    /// before counts it in the place of the message.
    fn archive_holds_all_of(&self, home: &Home) -> u64 {
        let held = || home.ask(&["status"])["node"]["pool_items"].as_u64().expect("a number");
        let mut all = held();
        loop {
            self.archive.holds(all);
            match held() {
                now if now == all => return all,
                now => all = now,
            }
        }
    }

    /// Kills every relay but the archive and starts them again with nothing.
    fn forget(self, becomes: Archive) -> Self {
        let Self { network, homes, archive, middle, near } = self;
        near.process.kill();
        middle.process.kill();
        drop((near, middle));
        let archive = match becomes {
            Archive::RunsOn => archive,
            Archive::IsRestarted => {
                assert_eq!(archive.process.end("TERM"), Some(0));
                drop(archive);
                Relay::start(&homes[0], &network, &ARCHIVE)
            }
        };
        let middle = Relay::start(&homes[1], &network, &["--peer", &archive.address]);
        let near = Relay::start(&homes[2], &network, &["--peer", &middle.address]);
        Self { network, homes, archive, middle, near }
    }
}

fn text(number: usize) -> String {
    format!("message {number} of {MESSAGES}")
}

/// The ids of messages that a node says are delivered, until there are enough.
fn delivered(node: &Running, ids: &BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    while seen != *ids {
        let id = node.wait_for_json("what is delivered", |line| {
            let done = line["type"] == "state" && line["state"] == "delivered";
            done.then(|| line["id"].as_str().unwrap_or_default().to_owned())
        });
        if ids.contains(&id) {
            seen.insert(id);
        }
    }
}

fn away(acquaintance: Acquaintance, becomes: Archive) {
    let row = Row::start();
    let (ann, ben) = (Home::new(), Home::new());
    let (own, pet) = (unique("self"), unique("pet"));
    let (to_ann, to_ben) = (ann.identity(&own).invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", &pet]);

    let at_ann = listen(&ann, &row.network, &row.near.address);
    at_ann.wait_for_neighbour();
    if acquaintance == Acquaintance::Session {
        let at_ben = listen(&ben, &row.network, &row.near.address);
        at_ann.wait_for_session();
        at_ben.wait_for_session();
        // Once in each direction, so that neither has anything left to answer.
        ann.ask(&["send", "ben", "are you there", "--wait", "delivered", "--timeout", "2m"]);
        ben.ask(&["send", &pet, "not for long", "--wait", "delivered", "--timeout", "2m"]);
        assert_eq!(at_ben.end("TERM"), Some(143));
    }

    // Told by four letters: should two share them, they count as one.
    let mut ids = BTreeSet::new();
    for number in 0..MESSAGES {
        let sent = ann.ask(&["send", "ben", &text(number), "--life", "week", "--wait", "sent"]);
        ids.insert(sent["id"].as_str().expect("an id").to_owned());
    }
    let all = row.archive_holds_all_of(&ann);
    assert!(all >= MESSAGES as u64);
    assert_eq!(at_ann.end("TERM"), Some(143));
    let row = row.forget(becomes);

    let at_ben = listen(&ben, &row.network, &row.archive.address);
    let first = usize::from(acquaintance == Acquaintance::Session) as u64;
    let shown = at_ben.messages(MESSAGES);
    let expected: Vec<(u64, String)> = (first..).zip((0..MESSAGES).map(text)).collect();
    assert_eq!(shown, expected, "{acquaintance:?}, {becomes:?}");

    let at_ann = listen(&ann, &row.network, &row.near.address);
    delivered(&at_ann, &ids);
    // Nothing is shown a second time, also of what was sent again meanwhile.
    ann.ask(&["send", "ben", "the end", "--wait", "delivered", "--timeout", "2m"]);
    assert_eq!(at_ben.messages(1), [(first + MESSAGES as u64, "the end".to_owned())]);
    assert_eq!(at_ben.end("TERM"), Some(143));
    let until = deadline();
    while let Some(line) = at_ben.next_line(until) {
        let line = parse(&line);
        assert_ne!(line["type"], "message", "{line}");
    }
    for relay in [&row.archive, &row.middle, &row.near] {
        assert!(!relay.process.has_ended());
    }
}

#[test]
fn messages_to_a_contact_that_is_away_arrive_once_and_in_order_by_an_archive_alone() {
    away(Acquaintance::Session, Archive::RunsOn);
}

#[test]
fn messages_to_a_contact_that_was_never_online_arrive_by_an_archive_that_was_restarted() {
    away(Acquaintance::InviteCodec, Archive::IsRestarted);
}
