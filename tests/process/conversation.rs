//! Two people who know only each other's invite, and a relay that learns nothing.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use crate::memory::{Needle, found_in, found_in_memory};
use crate::support::{Home, Invite, Network, Running, unique};

/// Messages in each direction.
const MESSAGES: usize = 200;

/// How two people become acquainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acquaintance {
    /// Each adds the other's invite before either is on the network.
    BothAdd,
    /// One adds the other, who lets the stranger in while both nodes run.
    OneAsks,
}

/// One of the two.
struct Person {
    home: Home,
    /// What they call themselves, and what the other calls them.
    names: [String; 2],
    invite: Invite,
    /// In every text they write.
    mark: String,
}

impl Person {
    fn new() -> Self {
        let home = Home::new();
        let names = [unique("self"), unique("pet")];
        let invite = home.identity(&names[0]);
        Self { home, names, invite, mark: unique("text") }
    }

    fn add(&self, other: &Self) {
        self.home.ask(&["contact", "add", &other.invite.invite, "--name", &other.names[1]]);
    }

    /// Lets the one stranger in who asks.
    fn let_in(&self, node: &Running, other: &Self) {
        let key = node.wait_for_json("a request", |line| {
            (line["type"] == "request").then(|| line["key"].as_str().unwrap_or("").to_owned())
        });
        let listed = self.home.ask(&["request", "list"]);
        assert_eq!(listed[0]["key"], other.invite.key.as_str());
        assert_eq!(key, other.invite.key, "what is told is what can be accepted");
        self.home.ask(&["request", "accept", &key, "--name", &other.names[1]]);
    }

    fn texts(&self) -> Vec<String> {
        (0..MESSAGES).map(|number| format!("{} number {number}", self.mark)).collect()
    }

    /// Says everything, each message by a process of its own.
    fn say_all(&self, other: &Self) {
        for text in self.texts() {
            let sent = self.home.ask(&["send", &other.names[1], &text, "--wait", "queued"]);
            assert_eq!(sent["state"], "queued");
        }
    }

    fn needles(&self) -> Vec<Needle> {
        let mut needles = Needle::key("a key", &self.invite.key);
        needles.push(Needle::text("an invite", &self.invite.invite));
        needles.push(Needle::text("an identity's name", &self.names[0]));
        needles.push(Needle::text("a petname", &self.names[1]));
        needles.push(Needle::text("a text", &self.mark));
        needles
    }
}

fn two_people_converse(listen: &str, acquaintance: Acquaintance) {
    let network = Network::new();
    let relays = Home::new();
    let log = relays.path("log");
    // A neighbour that is not there is something to write into the log.
    let log_path = log.to_str().expect("a path");
    let flags = ["--verbose", "--log", log_path, "--peer", "/ip4/127.0.0.1/tcp/1"];
    let (relay, address) = relays.relay(&network, listen, &flags);
    let (ann, ben) = (Person::new(), Person::new());
    ann.add(&ben);
    if acquaintance == Acquaintance::BothAdd {
        ben.add(&ann);
    }
    let at_ann = ann.home.listen(&network, &address, &["--json"]);
    let at_ben = ben.home.listen(&network, &address, &["--json"]);
    if acquaintance == Acquaintance::OneAsks {
        ben.let_in(&at_ben, &ann);
    }
    at_ann.wait_for_session();
    at_ben.wait_for_session();
    let (to_ann, to_ben) = thread::scope(|scope| {
        scope.spawn(|| ann.say_all(&ben));
        scope.spawn(|| ben.say_all(&ann));
        (at_ann.messages(MESSAGES), at_ben.messages(MESSAGES))
    });
    let numbered = |person: &Person| -> Vec<(u64, String)> { (0..).zip(person.texts()).collect() };
    assert_eq!(to_ben, numbered(&ann));
    assert_eq!(to_ann, numbered(&ben));

    let needles = [ann.needles(), ben.needles()].concat();
    let known = [Needle::text("the network", network.name())];
    assert_eq!(found_in_memory(relay.pid(), &known).len(), 1, "the search finds things");
    let at_ends = found_in_memory(at_ann.pid(), &needles);
    assert!(at_ends.contains("a petname"), "the search finds such things");
    assert_eq!(found_in_memory(relay.pid(), &needles), BTreeSet::new());
    assert_eq!(relay.end("TERM"), Some(0));
    let written = fs::read(&log).expect("the log");
    assert!(!written.is_empty(), "a verbose relay has something to say");
    let address = Needle::text("an address", "127.0.0.1");
    assert_eq!(found_in(&written, &[needles, vec![address]].concat()), BTreeSet::new());
}

#[test]
fn two_people_who_added_each_other_exchange_200_messages_each_way_over_tcp() {
    two_people_converse("/ip4/127.0.0.1/tcp/0", Acquaintance::BothAdd);
}

#[test]
fn two_people_of_whom_one_asked_exchange_200_messages_each_way_over_quic() {
    two_people_converse("/ip4/127.0.0.1/udp/0/quic-v1", Acquaintance::OneAsks);
}
