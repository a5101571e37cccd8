//! A flood that pays the floor, against the real program on a narrow line.
//!
//! ```text
//! cargo test --test narrow_line -- --nocapture
//! ```
//!
//! A relay with `--line 2 --floor 8` is given 100 envelopes a second for ten minutes, each of which
//! pays the floor and is as lucky as chance has it, by three neighbours. It has to pass on the best
//! of them and no more than 2.5 a second, to stay within its limits, and to part with nobody; and
//! two people who know it alone, and pay what it asks, have to go on talking.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test takes some events and lets others pass"
)]
#![allow(dead_code, reason = "of the support for real processes a part is used")]

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use undertone::engine::envelope::{
    Acceptance, CheckedEnvelope, Draft, EnvelopeId, Floor, Lifetime, Topic, check,
};
use undertone::engine::node::input::Input;
use undertone::engine::price::Step;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use resident::resident;
use support::{Home, Running, left, moment_after, unique};

#[path = "../support/resident.rs"]
mod resident;
#[path = "../process/support.rs"]
mod support;

const FLOOR: u8 = 8;
const LINE: f64 = 2.0;
const FLOODERS: usize = 3;

/// Ten minutes of flood, 100 a second.
const FLOOD: Duration = Duration::from_secs(600);
const BETWEEN: Duration = Duration::from_millis(10);

/// Between two messages of the pair, each way in turn.
const TALK: Duration = Duration::from_secs(15);

/// The price is asked of neighbours at least every six minutes and a quarter; from then on nothing
/// that is said may take longer than this.
const KNOWN: Duration = Duration::from_secs(400);
const SOON: Duration = Duration::from_secs(45);

/// The most memory of the relay: an empty one has some 25 MiB, and the pool 240 envelopes and two a
/// second.
const MOST_MEMORY: u64 = 120 << 20;

fn flags(network: &str) -> [String; 4] {
    ["--network".to_owned(), network.to_owned(), "--floor".to_owned(), FLOOR.to_string()]
}

/// The relay, and where it listens.
fn relay(home: &Home, network: &str) -> (Running, String) {
    let mut command = home.bare(&[
        "relay",
        "run",
        "--json",
        "--pool",
        "900MiB",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
    ]);
    command.args(flags(network)).args(["--line", "2"]);
    let relay = Running::start(command, &home.path("errors"), None);
    let address = relay.wait_for_json("its address", |line| {
        (line["type"] == "listening").then(|| line["address"].as_str().unwrap_or("").to_owned())
    });
    (relay, address)
}

/// Two people at the relay who know each other.
struct Pair {
    homes: [Home; 2],
    listening: [Running; 2],
}

impl Pair {
    fn new(network: &str, relay: &str) -> Self {
        let homes = [Home::new(), Home::new()];
        homes[0].identity("ann");
        let ben = homes[1].identity("ben");
        let listening = [0, 1].map(|who: usize| {
            let mut command = homes[who].command(&["listen", "--json", "--peer", relay]);
            command.args(flags(network));
            Running::start(command, &homes[who].path("errors"), None)
        });
        listening.iter().for_each(Running::wait_for_neighbour);
        homes[0].ask(&["contact", "add", &ben.invite, "--name", "ben"]);
        listening[1].wait_for_json("a request", |line| (line["type"] == "request").then_some(()));
        let request =
            homes[1].ask(&["request", "list"])[0]["key"].as_str().expect("a key").to_owned();
        homes[1].ask(&["request", "accept", &request, "--name", "ann"]);
        listening[0].wait_for_session();
        Self { homes, listening }
    }

    /// Says a line, and waits until the other one is shown it; how long that took.
    fn say(&self, who: usize, text: &str, until: Instant) -> Option<Duration> {
        let to = ["ben", "ann"][who];
        let said = moment_after(Duration::ZERO);
        self.homes[who].ask(&["send", to, text, "--max-work", "256", "--wait", "queued"]);
        while !left(until).is_zero() {
            let line = self.listening[1 - who].next_line(until)?;
            let line: Value = serde_json::from_slice(&line).expect("JSON");
            if line["text"] == text {
                return Some(moment_after(Duration::ZERO).saturating_duration_since(said));
            }
        }
        None
    }
}

/// Talks until the end of the flood and a little longer: after how long each line was said, and how
/// long it took.
#[expect(clippy::disallowed_methods, reason = "a line is said each quarter of a minute")]
fn talk(pair: &Pair, began: Instant, end: Instant) -> Vec<(Duration, Duration)> {
    let mut lines = Vec::new();
    for number in 0.. {
        let said = moment_after(Duration::ZERO);
        if said >= end {
            return lines;
        }
        let patience = moment_after(KNOWN + SOON);
        let took = pair.say(number % 2, &format!("line {number} of {}", unique("talk")), patience);
        let took = took.unwrap_or_else(|| panic!("line {number} never came"));
        lines.push((said.saturating_duration_since(began), took));
        std::thread::sleep(TALK.saturating_sub(took));
    }
    lines
}

/// An envelope of noise that pays the floor, as lucky as chance has it.
fn lucky(chance: &mut SeededRng) -> (EnvelopeId, Vec<u8>) {
    let mut data = vec![0; 2_016];
    chance.fill_bytes(&mut data);
    let draft = Draft::new(wall(), Lifetime::Day, Topic([7; 4]), data).expect("a draft");
    draft.mine(&Floor::new(FLOOR), 0).expect("some nonce")
}

fn node(network: &str, relay: &Multiaddr) -> Net {
    let mut settings = NetSettings::new(network.parse().expect("a name"), FLOOR);
    settings.peers = vec![relay.clone()];
    Net::new(settings).expect("a node")
}

/// What three flooders and a third peer saw.
#[derive(Default)]
struct Seen {
    poured: usize,
    passed: Vec<CheckedEnvelope>,
    lost: usize,
}

impl Seen {
    fn take(&mut self, net: &mut Net, event: NetEvent, is_third: Option<()>) {
        match event {
            NetEvent::Engine(Input::Gossip { from, id, bytes }) => {
                net.report_validation(from, id, Acceptance::Ignore);
                if is_third.is_some() {
                    let checked = check(bytes, wall(), &Floor::new(FLOOR));
                    self.passed.push(checked.expect("what a relay passes on is sound"));
                }
            }
            NetEvent::Engine(Input::Peers(peers)) if peers.is_empty() => self.lost += 1,
            _ => {}
        }
    }
}

/// Floods until the talk is over.
async fn flood(network: &str, relay: &Multiaddr, end: Instant, over: &Receiver<()>) -> Seen {
    let mut third = node(network, relay);
    let mut flooders: Vec<Net> = (0..FLOODERS).map(|_| node(network, relay)).collect();
    let (mut seen, mut chance) = (Seen::default(), SeededRng::lane(11, 0));
    let mut pace = tokio::time::interval(BETWEEN);
    let [one, two, three] = flooders.as_mut_slice() else { panic!("three flooders") };
    loop {
        tokio::select! {
            event = third.next() => seen.take(&mut third, event, Some(())),
            event = one.next() => seen.take(one, event, None),
            event = two.next() => seen.take(two, event, None),
            event = three.next() => seen.take(three, event, None),
            _ = pace.tick() => {
                if over.try_recv().is_ok() {
                    return seen;
                }
                if left(end).is_zero() {
                    continue;
                }
                let flooder = match seen.poured % FLOODERS { 0 => &mut *one, 1 => two, _ => three };
                if flooder.publish(lucky(&mut chance).1) == PublishOutcome::Sent {
                    seen.poured += 1;
                }
            }
        }
    }
}

#[test]
fn a_narrow_line_passes_on_the_best_and_a_pair_that_pays_goes_on_talking() {
    let network = unique("narrow");
    let home = Home::new();
    let (relay, address) = relay(&home, &network);
    let pair = Pair::new(&network, &address);
    let at: Multiaddr = address.parse().expect("an address");

    let began = moment_after(Duration::ZERO);
    let end = moment_after(FLOOD);
    let (tell, over) = channel();
    let flooding = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(flood(&network, &at, end, &over))
    });
    let lines = talk(&pair, began, end);
    let memory = resident(relay.pid());
    tell.send(()).expect("it floods still");
    let seen = flooding.join().expect("it flooded");

    let seconds = FLOOD.as_secs_f64();
    let passed = seen.passed.len() as f64 / seconds;
    println!("poured {:.0} a second, {passed:.2} a second passed on", seen.poured as f64 / seconds);
    let shows = |step: u8| {
        let floor = Floor::new(FLOOR);
        let enough = |passed: &&CheckedEnvelope| floor.admits(passed.priority(), Step::new(step));
        seen.passed.iter().filter(enough).count()
    };
    println!(
        "of {} passed on, steps 0 to 8 show: {:?}",
        seen.passed.len(),
        (0..=8).map(shows).collect::<Vec<_>>()
    );
    let known: Vec<_> = lines.iter().filter(|(said, _)| *said > KNOWN).collect();
    let longest = known.iter().map(|(_, took)| *took).max().expect("they talked to the end");
    println!(
        "{} lines said, {} once the price was known: {longest:?} at most",
        lines.len(),
        known.len()
    );
    println!("memory of the relay: {} MiB", memory >> 20);

    assert!(seen.poured as f64 > 80.0 * seconds, "the flood was not the one that was meant");
    assert!(passed <= LINE * (seconds + 120.0) / seconds + 0.1, "more than the line carries");
    assert!(passed > LINE * 0.8, "less than the line carries");
    // Beyond the first minute the step is that at which two a second of a hundred come through.
    assert!(shows(4) * 2 > seen.passed.len(), "the best are passed on");
    assert_eq!(seen.lost, 0, "nobody was parted with");
    assert!(memory < MOST_MEMORY, "{memory} bytes");
    assert!(longest < SOON, "{longest:?}");
    drop(pair);
    assert_eq!(relay.end("TERM"), Some(0));
}
