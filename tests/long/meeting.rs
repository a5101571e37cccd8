//! Two who join at the same moment, and a friend who asks among a thousand strangers: real processes,
//! by the clock.
//!
//! ```text
//! cargo test --release --test meeting -- --nocapture --test-threads 1
//! ```
//!
//! Two messengers of one relay are started at the same moment, fifty times, each with a message for
//! the other: both have to arrive within two seconds of the moment at which both are neighbours of
//! the relay. Then a thousand strangers ask somebody, and a friend who does not wait longer for that:
//! the friend is in the list, which begins with the most work, and while strangers ask the store is
//! written once a second at most (counted by strace, where there is one).

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![allow(dead_code, reason = "of the support for real processes a part is used")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use undertone::engine::crypto::invite;
use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::{Draft, Floor, Lifetime};
use undertone::engine::session::{Offer, WINDOW};
use undertone::shell::net::{Net, NetSettings, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use support::{Home, Network, Running, moment_after};

#[path = "../process/support.rs"]
mod support;

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";
/// That of [`Network`].
const FLOOR: u8 = 4;

const ROUNDS: usize = 50;
const SOON: Duration = Duration::from_secs(2);

/// The exit code of `listen` that is asked to end.
const TERMINATED: Option<i32> = Some(143);

const STRANGERS: usize = 1_000;
/// Until a request that came among them is shown.
const SHOWN: Duration = Duration::from_secs(10);

fn now() -> Instant {
    moment_after(Duration::ZERO)
}

/// When a node has a neighbour, and when a message with this text has come: in any order, as what others say may
/// come before the line that counts them.
fn met_and_heard(node: &Running, text: &str) -> (Instant, Instant) {
    let (mut met, mut heard) = (None, None);
    node.wait_for_json("a neighbour, and its message", |line| {
        if line["type"] == "network" && line["peers"] != 0 {
            met.get_or_insert_with(now);
        }
        if line["text"] == text {
            heard.get_or_insert_with(now);
        }
        met.zip(heard)
    })
}

#[test]
fn two_that_join_at_the_same_moment_hear_each_other_within_two_seconds() {
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (_relay, address) = relays.relay(&network, LISTEN, &[]);
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let start = |home: &Home| home.listen(&network, &address, &["--json"]);
    let met = [start(&ann), start(&ben)];
    met.iter().for_each(Running::wait_for_session);
    for node in met {
        assert_eq!(node.end("TERM"), TERMINATED);
    }
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let [at_ann, at_ben] = [start(&ann), start(&ben)];
        let texts = ["from ann", "from ben"].map(|from| format!("{from}, {round}"));
        thread::scope(|scope| {
            scope.spawn(|| ann.ask(&["send", "ben", &texts[0], "--wait", "queued"]));
            scope.spawn(|| ben.ask(&["send", "ann", &texts[1], "--wait", "queued"]));
        });
        let [(at_ann, (ann_met, ann_heard)), (at_ben, (ben_met, ben_heard))] =
            thread::scope(|scope| {
                let pairs = [(at_ann, &texts[1]), (at_ben, &texts[0])];
                let told = pairs.map(|(node, text)| {
                    scope.spawn(move || {
                        let moments = met_and_heard(&node, text);
                        (node, moments)
                    })
                });
                told.map(|told| told.join().expect("both were told"))
            });
        let (both, heard) = (ann_met.max(ben_met), ann_heard.max(ben_heard));
        let took = heard.saturating_duration_since(both);
        println!("round {round}: both heard each other after {took:.1?}");
        longest = longest.max(took);
        assert_eq!((at_ann.end("TERM"), at_ben.end("TERM")), (TERMINATED, TERMINATED));
    }
    assert!(longest < SOON, "{longest:?}");
}

/// A request of a stranger, in an envelope that shows the floor.
fn request(chance: &mut SeededRng, to: &str) -> Vec<u8> {
    let key = invite::decode(to).expect("a key");
    let stranger = Identity::generate(&mut chance.turn());
    let mut turn = Env::new(Millis(0), wall(), chance);
    let sealed = Offer::new(&mut turn, &stranger, &key, WINDOW).0.seal(&mut chance.turn());
    let draft = Draft::new(wall(), Lifetime::Day, sealed.topic, sealed.body).expect("a draft");
    draft.mine(&Floor::new(FLOOR), 0).expect("a nonce").1
}

/// Gives all these to the flood, some hundred a second.
fn publish_all(network: &Network, relay: &str, envelopes: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut settings = NetSettings::new(network.name().parse().expect("a name"), FLOOR);
        settings.peers = vec![relay.parse().expect("an address")];
        let mut net = Net::new(settings).expect("a node");
        for envelope in envelopes {
            while net.publish(envelope.clone()) != PublishOutcome::Sent {
                drop(net.next().await);
            }
            // What goes out goes out by this.
            drop(tokio::time::timeout(Duration::from_millis(5), net.next()).await);
        }
    });
}

/// How often the store was written to, as strace saw it: a commit syncs its file once.
fn commits(trace: &Path) -> Option<usize> {
    let trace = fs::read_to_string(trace).ok()?;
    let synced = |line: &&str| line.contains("sync(") && line.contains("store.db>");
    Some(trace.lines().filter(synced).count())
}

#[test]
fn a_friend_is_shown_among_a_thousand_strangers_and_the_disk_is_spared() {
    let network = Network::new();
    let (relays, friends) = (Home::new(), Home::new());
    let asked = match std::process::Command::new("strace").arg("--version").output() {
        Ok(_) => Home::new().run_by(&[
            "strace",
            "-y",
            "-D",
            "-f",
            "-qqq",
            "-e",
            "trace=fsync,fdatasync",
            "-o",
            "trace",
        ]),
        Err(_) => Home::new(),
    };
    let flags = ["--line", "1000"];
    let (_relay, address) = relays.relay(&network, LISTEN, &flags);
    let invite = asked.identity("asked").invite;
    friends.identity("friend");
    let node = asked.listen(&network, &address, &["--json"]);
    node.wait_for_neighbour();
    let mut chance = SeededRng::lane(9, 0);
    let envelopes: Vec<Vec<u8>> = (0..STRANGERS).map(|_| request(&mut chance, &invite)).collect();
    let friend = friends.listen(&network, &address, &["--json"]);
    friend.wait_for_neighbour();
    // The command before wrote the trace, too.
    let before = commits(&asked.path("trace"));
    let began = now();
    let (first, rest) = envelopes.split_at(STRANGERS / 2);
    publish_all(&network, &address, first);
    friends.ask(&["contact", "add", &invite, "--name", "asked"]);
    let added = now();
    publish_all(&network, &address, rest);
    let key = friends.ask(&["identity", "list"])[0]["key"].as_str().expect("a key").to_owned();
    let mut others = 0;
    let is_friend = |line: &serde_json::Value| {
        if line["type"] == "request" {
            others += 1;
        }
        (line["type"] == "request" && line["key"] == key.as_str()).then_some(())
    };
    node.wait_for_json("the friend's request", is_friend);
    let took = added.elapsed();
    let lasted = began.elapsed();
    let after = commits(&asked.path("trace"));
    let list = asked.ask(&["request", "list"]);
    let list = list.as_array().expect("a list");
    let tries: Vec<u64> = list.iter().map(|one| one["tries"].as_u64().expect("a number")).collect();
    let place = list.iter().position(|one| one["key"] == key.as_str()).expect("the friend");
    println!(
        "{others} requests told before the friend's, {took:.1?} after it was sent; place {place} of {}",
        list.len()
    );
    if let (Some(before), Some(after)) = (before, after) {
        println!("{} commits in {lasted:.1?}", after - before);
        assert!(after > before, "what was stored was written");
        assert!((after - before) as f64 <= lasted.as_secs_f64() + 3.0);
    }
    assert!(tries.is_sorted_by(|one, next| one >= next), "the list begins with the most work");
    assert!(took < SHOWN, "{took:?}");
}
