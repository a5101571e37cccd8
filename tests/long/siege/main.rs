//! Neighbours that mean harm, against the real program at full size.
//!
//! ```text
//! cargo test --release --test siege -- --nocapture --test-threads 1
//! cargo test --release --test siege an_hour -- --ignored --nocapture
//! ```
//!
//! A relay is attacked for a minute or some in each of several ways, while two honest nodes speak through it
//! four times a second and strangers come, one every few seconds, by TCP and by QUIC in turn. Its
//! memory has to stay below 200 MB, and to be below 100 MB within two minutes after; the honest lose
//! nothing, are never parted with, and of a hundred envelopes one at most takes a second; each
//! stranger is let in within five seconds, in the attack and after it.
//!
//! On a machine that is busy with other things some envelopes take longer than a second, and it fails.
//!
//! The attackers come from one address of this machine and the honest from others.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(clippy::print_stdout, reason = "what was measured is for people")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and lets the others pass"
)]

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use undertone::engine::envelope::{Acceptance, Draft, EnvelopeId, Floor, Lifetime, Topic};
use undertone::engine::node::input::Input;
use undertone::engine::price::Step;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use attacker::{Attacker, Part, field};
use first_datagrams::first_datagrams;
use forward::{Forward, socket};
use resident::resident;

#[path = "../../support/attacker.rs"]
#[expect(dead_code, reason = "the attacks are those of several tests")]
mod attacker;
#[path = "../../support/first_datagrams.rs"]
#[expect(dead_code, reason = "nobody here looks at answers")]
mod first_datagrams;
#[path = "../../support/forward.rs"]
#[expect(dead_code, reason = "one machine is enough")]
mod forward;

#[path = "../../support/resident.rs"]
mod resident;

mod door;
mod untried;

const NETWORK: &str = "siege";
const FLOOR: u8 = 8;
const FLOOD: &str = "/undertone/2/siege/8";

/// How long an attack lasts, and the time until the relay has to be as it was.
const MINUTE: Duration = Duration::from_secs(60);
const RECOVERY: Duration = Duration::from_secs(120);

/// Between two envelopes of the honest author, and between two strangers.
const TALK: Duration = Duration::from_millis(250);
const STRANGERS: Duration = Duration::from_secs(3);

/// What has to hold.
const MOST_MEMORY: u64 = 200_000_000;
const MEMORY_AFTER: u64 = 100_000_000;
/// Attackers parted with after which the memory is that of the attack, and how much it may grow by those who follow.
const EARLY: u64 = 1_000;
const MORE_MEMORY: u64 = 20_000_000;
const LATENCY: Duration = Duration::from_secs(1);
const LET_IN: Duration = Duration::from_secs(5);

/// No other wait is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The relay: the real program, ended with the test.
struct Relay {
    process: Child,
    target: Target,
}

/// Where it is, and how many attackers were parted with.
#[derive(Clone)]
struct Target {
    tcp: Multiaddr,
    quic: Multiaddr,
    parted: Arc<AtomicU64>,
    /// What attackers wrote, if they count it.
    brought: Arc<AtomicU64>,
}

impl Relay {
    fn start() -> Self {
        Self::with(Command::new(PROGRAM), &["--pool", "64MiB"])
    }

    /// This program, which may stand in another, with these options.
    fn with(mut program: Command, options: &[&str]) -> Self {
        let mut process = program
            .args(["relay", "run", "--json"])
            .args(options)
            .args(["--listen", "/ip4/127.0.0.1/tcp/0"])
            .args(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .args(["--network", NETWORK, "--floor", &FLOOR.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut found: Vec<Multiaddr> = Vec::new();
        while found.len() < 2 {
            let line = lines.next().expect("its addresses").expect("a line");
            let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if told["type"] == "listening" {
                found.push(told["address"].as_str().expect("a text").parse().expect("an address"));
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        found.sort_by_key(|address| address.to_string().contains("udp"));
        let (quic, tcp) = (found.remove(1), found.remove(0));
        let target = Target { tcp, quic, parted: Arc::default(), brought: Arc::default() };
        Self { process, target }
    }

    fn resident(&self) -> u64 {
        resident(self.process.id())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone");

fn node(peer: &Multiaddr) -> Net {
    let mut settings = NetSettings::new(NETWORK.parse().expect("a name"), FLOOR);
    settings.peers = vec![peer.clone()];
    Net::new(settings).expect("a node")
}

/// An envelope with noise of this length, that shows this step.
fn envelope(chance: &mut SeededRng, length: usize, step: u8) -> (EnvelopeId, Vec<u8>) {
    let mut data = vec![0; length];
    chance.fill_bytes(&mut data);
    let draft = Draft::new(wall(), Lifetime::Day, Topic([7; 4]), data).expect("a draft");
    let floor = Floor::new(FLOOR + Step::new(step).get());
    draft.mine(&floor, 0).expect("some nonce")
}

/// What two honest nodes saw.
#[derive(Default)]
struct Talk {
    said: BTreeMap<EnvelopeId, Instant>,
    took: Vec<Duration>,
    /// How often either had no neighbour any more.
    lost: usize,
}

impl Talk {
    fn take(&mut self, net: &mut Net, event: NetEvent) {
        match event {
            NetEvent::Engine(Input::Gossip { from, id, .. }) => {
                net.report_validation(from, id, Acceptance::Accept);
                if let Some(said) = self.said.remove(&id) {
                    self.took.push(said.elapsed());
                }
            }
            NetEvent::Engine(Input::Peers(peers)) if peers.is_empty() => self.lost += 1,
            _ => {}
        }
    }
}

/// Two honest nodes that speak until they are told to stop, in a thread of their own.
struct Pair {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Talk>,
}

impl Pair {
    fn start(relay: SocketAddr) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(talk(relay, stopped))
        });
        Self { stop, thread }
    }

    fn end(self) -> Talk {
        self.stop.send(()).expect("it speaks still");
        self.thread.join().expect("it spoke")
    }
}

async fn talk(relay: SocketAddr, mut stop: oneshot::Receiver<()>) -> Talk {
    let [one, two] = [Ipv4Addr::new(127, 9, 0, 1), Ipv4Addr::new(127, 10, 0, 1)];
    let (one, two) = (Forward::tcp(one, relay).await, Forward::tcp(two, relay).await);
    let (mut author, mut reader) = (node(&one.at), node(&two.at));
    let (mut talk, mut chance) = (Talk::default(), SeededRng::lane(12, 0));
    let mut pace = interval(TALK);
    let mut end = None;
    loop {
        tokio::select! {
            event = author.next() => talk.take(&mut author, event),
            event = reader.next() => talk.take(&mut reader, event),
            _ = pace.tick() => {
                let is_over = end.is_some_and(|end: Instant| end.elapsed() > PATIENCE);
                if is_over || (end.is_some() && talk.said.is_empty()) {
                    return talk;
                }
                if end.is_none() && author.peers() > 0 && reader.peers() > 0 {
                    // What every line passes on, however much is brought.
                    let (id, bytes) = envelope(&mut chance, 1_000, 8);
                    if author.publish(bytes) == PublishOutcome::Sent {
                        talk.said.insert(id, Instant::now());
                    }
                }
            }
            _ = &mut stop, if end.is_none() => end = Some(Instant::now()),
        }
    }
}

/// How long a stranger takes to get in.
async fn gets_in(at: &Multiaddr) -> Duration {
    let (mut stranger, began) = (node(at), Instant::now());
    let inside = async {
        while stranger.peers() == 0 {
            drop(stranger.next().await)
        }
    };
    timeout(PATIENCE, inside).await.expect("a stranger is let in");
    began.elapsed()
}

/// Strangers come one after the other, for ever.
async fn strangers(target: &Target, longest: &mut [Duration; 2]) {
    for number in 0_usize.. {
        let from = Ipv4Addr::new(127, 11, u8::try_from(number % 250).expect("a byte"), 1);
        if number % 2 == 0 {
            let way = Forward::tcp(from, socket(&target.tcp)).await;
            longest[0] = longest[0].max(gets_in(&way.at).await);
        } else {
            let way = Forward::quic(from, socket(&target.quic)).await;
            longest[1] = longest[1].max(gets_in(&way.at).await);
        }
        sleep(STRANGERS).await;
    }
}

/// Attacks a relay in this way for so long, and says what became of it.
fn besiege(what: &str, lasts: Duration, attack: impl AsyncFnOnce(Target)) {
    besiege_this(&Relay::start(), what, lasts, attack);
}

/// The same to this relay.
fn besiege_this(relay: &Relay, what: &str, lasts: Duration, attack: impl AsyncFnOnce(Target)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let target = relay.target.clone();
        let pair = Pair::start(socket(&target.tcp));
        let (mut most, mut early, mut let_in) = (0, None, [Duration::ZERO; 2]);
        let watch = async {
            let mut pace = interval(Duration::from_millis(100));
            loop {
                pace.tick().await;
                most = most.max(relay.resident());
                if early.is_none() && target.parted.load(Ordering::Relaxed) >= EARLY {
                    early = Some(most);
                }
            }
        };
        let before = relay.resident();
        tokio::select! {
            // Some are over when they have brought what they were to bring.
            () = attack(target.clone()) => {}
            () = strangers(&target, &mut let_in) => {}
            () = watch => {}
            () = sleep(lasts) => {}
        }
        let (ended, early) = (Instant::now(), early.unwrap_or(most));
        let at_the_end = relay.resident();
        while relay.resident() > MEMORY_AFTER && ended.elapsed() < RECOVERY {
            sleep(Duration::from_millis(100)).await;
        }
        let (after, recovered) = (relay.resident(), ended.elapsed());
        // From another address: its own takes some seconds until its handshakes are forgotten.
        let from = Ipv4Addr::new(127, 12, 0, 1);
        let way = Forward::quic(from, socket(&target.quic)).await;
        let after_it = [gets_in(&target.tcp).await, gets_in(&way.at).await];
        let talk = tokio::task::spawn_blocking(|| pair.end()).await.expect("they spoke");
        let mut took = talk.took;
        took.sort();
        let rank = |percent| took.len().saturating_sub(1) * percent / 100;
        let [p50, p99] = [50, 99].map(|percent| {
            took.get(rank(percent)).copied().expect("they heard something")
        });
        let parted = target.parted.load(Ordering::Relaxed);
        let brought = target.brought.load(Ordering::Relaxed);
        println!("{what}: {parted} attackers parted with, {brought} envelopes of theirs counted");
        println!(
            "  memory {} MB before, {} after {EARLY} were, {} at most, {} at the end, {} after {recovered:.0?}",
            before / 1_000_000,
            early / 1_000_000,
            most / 1_000_000,
            at_the_end / 1_000_000,
            after / 1_000_000
        );
        println!(
            "  {} envelopes heard after {p50:.0?} (p50) and {p99:.0?} (p99), {} lost",
            took.len(),
            talk.said.len()
        );
        println!("  strangers by TCP and QUIC: {let_in:.0?} in it, {after_it:.0?} after it");
        assert!(most < MOST_MEMORY && after < MEMORY_AFTER);
        assert!(most - early < MORE_MEMORY, "it grows with those who left");
        assert!(talk.said.is_empty() && talk.lost == 0, "parted with {} times", talk.lost);
        assert!(p99 < LATENCY);
        assert!(let_in.iter().chain(&after_it).all(|took| *took < LET_IN));
        assert!(let_in.iter().all(|took| !took.is_zero()), "no stranger was let in");
    });
}

/// So many attackers at a time: whoever is parted with is followed by another.
async fn crowd<F: Future<Output = ()> + Send + 'static>(
    target: &Target,
    count: usize,
    attacker: impl Fn(Target) -> F,
) {
    let mut crowd = JoinSet::new();
    for _ in 0..count {
        crowd.spawn(attacker(target.clone()));
    }
    while crowd.join_next().await.is_some() {
        target.parted.fetch_add(1, Ordering::Relaxed);
        crowd.spawn(attacker(target.clone()));
    }
}

/// Somebody joins, from an address where nobody else is, and brings an envelope of noise of this length
/// each time, for ever.
async fn bring(target: &Target, length: usize, each: Duration) {
    let way = Forward::tcp(Ipv4Addr::new(127, 13, 0, 1), socket(&target.tcp)).await;
    let (mut bringer, mut chance) = (node(&way.at), SeededRng::lane(13, 0));
    let mut pace = interval(each);
    loop {
        tokio::select! {
            event = bringer.next() => Talk::default().take(&mut bringer, event),
            _ = pace.tick() => {
                if bringer.publish(envelope(&mut chance, length, 0).1) == PublishOutcome::Sent {
                    target.brought.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A link that joins and never reads, until it is parted with.
async fn deaf(target: Target) {
    Attacker::deaf(&target.tcp, FLOOD).parted().await;
}

/// A frame with this control data, with its length before it.
fn control(entries: &[u8]) -> Vec<u8> {
    // A field's length and a frame's are written alike, after the field's number.
    field(1, &field(3, entries)).split_off(1)
}

/// Row 13: fifty links join and never read, while others bring the longest envelopes.
#[test]
fn links_that_never_read() {
    besiege("50 links that never read", MINUTE, async |target| {
        let bring = bring(&target, 60_000, Duration::from_millis(20));
        tokio::join!(crowd(&target, 50, deaf), bring);
    });
}

/// Row 14: links that write entries which mean nothing, in frames beyond the bounds.
#[test]
fn frames_of_empty_entries() {
    besiege("16 links with 125,000 empty entries a frame", MINUTE, async |target| {
        let empty = |target: Target| async move {
            let mut attacker = Attacker::new(&target.tcp, FLOOD);
            attacker.flow(control(&field(5, &[]).repeat(125_000))).await;
        };
        crowd(&target, 16, empty).await;
    });
}

/// Row 14 again, within the bounds: nobody is parted with, and each is read at a bounded rate.
#[test]
fn frames_of_as_many_entries_as_may_be() {
    besiege("16 links with 7,000 ids a frame", MINUTE, async |target| {
        let full = |target: Target| async move {
            let mut attacker = Attacker::new(&target.tcp, FLOOD);
            attacker.flow(control(&field(5, &field(1, &[7; 32]).repeat(7_000)))).await;
        };
        crowd(&target, 16, full).await;
    });
}

/// Row 16: ids of a quarter of a megabyte.
#[test]
fn ids_of_any_length() {
    besiege("4 links with an id of 240 KB a frame", MINUTE, async |target| {
        let long = |target: Target| async move {
            let mut attacker = Attacker::new(&target.tcp, FLOOD);
            attacker.flow(control(&field(5, &field(1, &vec![7; 240_000])))).await;
        };
        crowd(&target, 4, long).await;
    });
}

/// Row 19: fifty links over QUIC write pings and never read, and first datagrams come from 3,037
/// ports.
#[test]
fn pings_over_quic_and_first_datagrams() {
    besiege("50 QUIC links of pings, first datagrams from 3,037 ports", MINUTE, async |target| {
        let pinging = |target: Target| async move {
            let mut attacker = Attacker::pinging(&target.quic);
            attacker.flow(vec![7; 32 << 10]).await;
        };
        let to = socket(&target.quic);
        let datagrams = async {
            let datagrams = first_datagrams(3_037).await;
            loop {
                for datagram in &datagrams {
                    let port = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                    port.send_to(datagram, to).await.ok();
                }
            }
        };
        tokio::join!(crowd(&target, 50, pinging), datagrams);
    });
}

/// Row 20: connections that are made and ended, as many as there is time for, each with a neighbour that
/// joins and asks to be left alone for an hour.
#[test]
fn connections_made_and_ended() {
    besiege("connections made and ended", 4 * MINUTE, async |target| {
        let visit = |target: Target| async move {
            let visitor = Attacker::listening(&target.tcp, FLOOD);
            let hour = [&*field(1, FLOOD.as_bytes()), &[3 << 3, 0x90, 0x1c]].concat();
            visitor.send(&[Part::Raw(field(3, &field(4, &hour)))]);
            let mut visitor = visitor;
            // Its greeting says that it knows this neighbour.
            timeout(PATIENCE, visitor.hear()).await.ok();
        };
        crowd(&target, 16, visit).await;
    });
}
