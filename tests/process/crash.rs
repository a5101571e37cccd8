//! A messenger that is killed while it sends, again and again.

use std::collections::BTreeSet;

use crate::stage::{Home, Network, Running, deadline, finish, parse, unique};

/// How often it is killed.
const KILLS: usize = 10;

/// What it is asked to send between two kills.
const MESSAGES: usize = 100;

/// A message is mined, sent and delivered, and tells of each. After so many states at the latest the
/// node is killed: most messages are sent by then and the last are not acknowledged.
const LATEST: u64 = 190;

/// Numbers that look random and follow from a seed. SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// What became of what was to be sent.
#[derive(Debug, Default)]
struct Course {
    /// Everything that was tried, in order.
    tried: Vec<String>,
    /// What the program said it would not lose.
    accepted: BTreeSet<String>,
}

impl Course {
    /// Says one thing; a node that is killed meanwhile may have accepted it and not said so.
    fn say(&mut self, home: &Home) {
        let text = format!("message {}", self.tried.len());
        let args = ["send", "ben", &text, "--wait", "queued", "--json"];
        // Without a passphrase no second node is opened in place of the killed one.
        let mut command = home.bare(&args);
        command.arg("--no-input");
        let output = finish(command, "");
        self.tried.push(text.clone());
        if parse(&output.stdout)["ok"] == true {
            self.accepted.insert(text);
        }
    }

    /// Everything accepted was shown once, in order, under numbers without a gap.
    fn check(&self, shown: &[(u64, String)], seed: u64) {
        let texts: Vec<&String> = shown.iter().map(|(_, text)| text).collect();
        let once: BTreeSet<&String> = texts.iter().copied().collect();
        assert_eq!(texts.len(), once.len(), "something was shown twice, SEED={seed}: {texts:?}");
        let lost: Vec<&String> = self.accepted.iter().filter(|text| !once.contains(text)).collect();
        assert!(lost.is_empty(), "lost, SEED={seed}: {lost:?}");
        let in_order: Vec<&String> = self.tried.iter().filter(|text| once.contains(text)).collect();
        assert_eq!(texts, in_order, "out of order, SEED={seed}");
        assert!(shown.iter().map(|(number, _)| *number).eq(0..shown.len() as u64), "SEED={seed}");
    }
}

fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => u64::from_str_radix(unique("").trim_start_matches('-'), 16).expect("a number"),
    }
}

/// Two homes that know each other.
fn friends() -> (Home, Home) {
    let (ann, ben) = (Home::with_ledger(), Home::with_ledger());
    let (to_ann, to_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &to_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann.invite, "--name", "ann"]);
    (ann, ben)
}

#[test]
fn a_messenger_killed_ten_times_loses_nothing_shows_nothing_twice_and_repeats_no_nonce() {
    let seed = seed();
    eprintln!("SEED={seed} cargo test --test process killed_ten_times");
    let mut numbers = Numbers(seed);
    let network = Network::new();
    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (ann, ben) = friends();
    let at_ben = ben.listen(&network, &address, &["--json"]);
    let first = ann.listen(&network, &address, &["--json"]);
    first.wait_for_session();
    at_ben.wait_for_session();
    first.kill();

    let mut course = Course::default();
    for _ in 0..KILLS {
        let states = usize::try_from(1 + numbers.next() % LATEST).expect("a small number");
        let flags = ["--json", "--states"];
        let node = ann.listen_until(&network, &address, &flags, Some(states));
        // It tells of contacts as soon as it is there to be asked.
        node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
        for _ in 0..MESSAGES {
            if node.has_ended() {
                break;
            }
            course.say(&ann);
        }
        // A moment after everything is accepted is as good as any other.
        let until = deadline();
        while node.next_line(until).is_some() {}
    }

    assert!(course.tried.len() < KILLS * MESSAGES, "no kill came in the middle, SEED={seed}");
    let last_run = ann.listen(&network, &address, &["--json"]);
    last_run.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let end = format!("message {}", course.tried.len());
    course.say(&ann);
    assert!(course.accepted.contains(&end), "a node that runs accepts");
    course.check(&shown_until(&at_ben, &end), seed);
    drop(at_ben);
    let all = [ann.ledger(), ben.ledger()].concat();
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!(all.len(), different.len(), "a nonce was used twice under one key, SEED={seed}");
    assert!(ann.ledger().len() >= course.accepted.len(), "the ledger misses some");
}

/// What a node shows up to a last text: numbers and texts.
fn shown_until(node: &Running, last: &str) -> Vec<(u64, String)> {
    let mut shown = Vec::new();
    while shown.last().is_none_or(|(_, text): &(u64, String)| text != last) {
        shown.extend(node.messages(1));
    }
    shown
}
