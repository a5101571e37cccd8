//! Who is there, by the time of what comes back: frames of 32 envelopes to real processes, and how
//! long they take to come out at another neighbour.
//!
//! ```text
//! cargo test --release --test timing -- --nocapture
//! UNDERTONE_BATCHES=200 cargo test --test timing -- --nocapture
//! ```
//!
//! A relay, a messenger with one identity and one with eight are each given frames of four kinds, at
//! random: noise; what opens for the last identity and proves nothing; offers of strangers, each
//! opened and stored; and one offer that is known, sealed afresh. After each frame and a random time, within
//! which its envelopes are opened, one more envelope of noise follows. Both times are compared by their AUC, of 1,000 frames of each kind: with noise, and
//! of noise between relay and messengers. None may be above 0.55, nor below 0.45.
//!
//! Run it alone: what else wants a processor makes all times alike.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test takes some events and lets others pass"
)]
#![allow(
    dead_code,
    reason = "of the support for real processes, attackers and figures a part is used"
)]

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Instant;

use undertone::engine::crypto::ecies;
use undertone::engine::crypto::keys::{Identity, PublicKey};
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::envelope::{Acceptance, Draft, EnvelopeId, Floor, Lifetime, Topic};
use undertone::engine::node::input::Input;
use undertone::engine::session::{Offer, WINDOW};
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use attacker::{Attacker, Part, ended, named};
use statistics::auc;
use support::{Home, Network, Running, deadline, left, moment_after};

#[path = "../support/attacker.rs"]
mod attacker;
#[path = "../support/statistics.rs"]
mod statistics;
#[path = "../process/support.rs"]
mod support;

/// That of [`Network`].
const FLOOR: u8 = 4;
const BATCH: usize = 32;
const BATCHES: usize = 1_000;

/// A frame is opened within the next quarter of a second; the envelope after it comes meanwhile.
const MEANWHILE_MS: u64 = 300;

/// Before the next frame to the same process, which has opened the last by then.
const REST: Duration = Duration::from_millis(450);

/// After so many frames a process is started anew. These envelopes pay the floor, whatever is asked:
/// half of them have no room soon, and once 32,768 of those are remembered, others are not passed on.
const FRAMES_A_START: usize = 1_000;

/// What a frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Noise,
    Opens,
    Unknown,
    Known,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Noise, Self::Opens, Self::Unknown, Self::Known];
}

/// A process, and two neighbours of it.
struct Target {
    name: &'static str,
    /// The last of its identities; that of nobody for a relay.
    key: PublicKey,
    known: Offer,
    attacker: Attacker,
    other: Net,
    rests_until: Instant,
    _running: Running,
    _home: Home,
}

fn now() -> Instant {
    moment_after(Duration::ZERO)
}

/// An address that was free a moment ago.
fn free() -> String {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    format!("/ip4/127.0.0.1/tcp/{port}")
}

impl Target {
    fn new(
        name: &'static str,
        identities: usize,
        network: &Network,
        chance: &mut SeededRng,
    ) -> Self {
        let home = Home::new();
        let address = free();
        let mut key = Identity::generate(&mut chance.turn()).public();
        for number in 0..identities {
            let made = home.identity(&format!("person{number}"));
            key = undertone::engine::crypto::invite::decode(&made.invite).expect("a key");
        }
        let command: &[&str] = if identities == 0 {
            &["relay", "run", "--json", "--pool", "64MiB"]
        } else {
            &["listen", "--json"]
        };
        let mut command = if identities == 0 { home.bare(command) } else { home.command(command) };
        command.args(network.flags()).args(["--listen", &address, "--line", "1000"]);
        let running = Running::start(command, &home.path("errors"), None);
        let topic = format!("/undertone/2/{}/{FLOOR}", network.name());
        let address: Multiaddr = address.parse().expect("an address");
        let until = deadline();
        let port = address.to_string();
        let port = port.rsplit('/').next().expect("a port").to_owned();
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            assert!(!left(until).is_zero(), "it listens: {}", running.errors());
        }
        let mut settings = NetSettings::new(network.name().parse().expect("a name"), FLOOR);
        settings.peers = vec![address.clone()];
        let me = Identity::generate(&mut chance.turn());
        let known = Offer::new(&mut offer_turn(chance), &me, &key, WINDOW).0;
        let attacker = Attacker::new(&address, &topic);
        let other = Net::new(settings).expect("a node");
        Self {
            name,
            key,
            known,
            attacker,
            other,
            rests_until: now(),
            _running: running,
            _home: home,
        }
    }

    /// An envelope of this kind.
    fn envelope(&self, kind: Kind, chance: &mut SeededRng) -> Vec<u8> {
        let (topic, body) = match kind {
            Kind::Noise => {
                let mut body = vec![0; body_length(&self.known, chance)];
                chance.turn().fill(&mut body);
                (Topic(chance.turn().draw()), body)
            }
            Kind::Opens => {
                let whole = body_length(&self.known, chance);
                let overhead = ecies::seal(&mut chance.turn(), &self.key, &[]).len();
                let mut plain = vec![0; whole - overhead];
                chance.turn().fill(&mut plain);
                let body = ecies::seal(&mut chance.turn(), &self.key, &plain);
                (Topic(chance.turn().draw()), body)
            }
            Kind::Unknown => {
                let stranger = Identity::generate(&mut chance.turn());
                let offer = Offer::new(&mut offer_turn(chance), &stranger, &self.key, WINDOW).0;
                let sealed = offer.seal(&mut chance.turn());
                (sealed.topic, sealed.body)
            }
            Kind::Known => {
                let sealed = self.known.seal(&mut chance.turn());
                (sealed.topic, sealed.body)
            }
        };
        let draft = Draft::new(wall(), Lifetime::Day, topic, body).expect("a draft");
        let bytes = draft.mine(&Floor::new(FLOOR), 0).expect("a nonce").1;
        assert_eq!(bytes.len(), ENVELOPE_SIZE, "{kind:?}");
        bytes
    }

    /// Sends these in one frame; how long it is until all have come out at the other neighbour.
    async fn time(&mut self, topic: &str, envelopes: &[Vec<u8>]) -> Option<Duration> {
        let mut missing: BTreeSet<EnvelopeId> =
            envelopes.iter().map(|bytes| named(bytes)).collect();
        let parts: Vec<Part> =
            envelopes.iter().map(|bytes| Part::Message(topic.to_owned(), bytes.clone())).collect();
        let begun = now();
        self.attacker.send(&parts);
        let all = async {
            while !missing.is_empty() {
                tokio::select! {
                    event = self.other.next() => {
                        if let NetEvent::Engine(Input::Gossip { from, id, .. }) = event {
                            self.other.report_validation(from, id, Acceptance::Accept);
                            missing.remove(&id);
                        }
                    }
                    () = ended(Some(&mut self.attacker)) => panic!("{} parted", self.name),
                }
            }
        };
        // What is lost is no time: the other one was not in the mesh for a moment.
        tokio::time::timeout(Duration::from_secs(10), all).await.ok()?;
        Some(now().saturating_duration_since(begun))
    }

    /// Lets everything go on until this moment.
    async fn pass(&mut self, until: Instant) {
        let on = async {
            loop {
                tokio::select! {
                    event = self.other.next() => {
                        if let NetEvent::Engine(Input::Gossip { from, id, .. }) = event {
                            self.other.report_validation(from, id, Acceptance::Accept);
                        }
                    }
                    () = ended(Some(&mut self.attacker)) => panic!("{} parted", self.name),
                }
            }
        };
        drop(tokio::time::timeout(left(until), on).await);
    }
}

/// What is asked, and how many identities each has.
const PROCESSES: [(&str, usize); 3] = [("relay", 0), ("1 identity", 1), ("8 identities", 8)];

/// Starts one, and waits until its other neighbour is handed everything.
async fn started(
    (name, identities): (&'static str, usize),
    network: &Network,
    chance: &mut SeededRng,
) -> Target {
    let mut target = Target::new(name, identities, network, chance);
    let topic = format!("/undertone/2/{}/{FLOOR}", network.name());
    let until = deadline();
    loop {
        let first = [target.envelope(Kind::Noise, chance)];
        let wait = target.time(&topic, &first);
        if tokio::time::timeout(Duration::from_secs(2), wait).await.ok().flatten().is_some() {
            return target;
        }
        assert!(!left(until).is_zero(), "{name} passes nothing on");
    }
}

/// A turn at the time it is: offers are dated.
fn offer_turn(chance: &mut SeededRng) -> undertone::engine::env::Env<'_> {
    undertone::engine::env::Env::new(undertone::engine::env::Millis(0), wall(), chance)
}

/// How long the sealed bodies of offers are.
fn body_length(offer: &Offer, chance: &mut SeededRng) -> usize {
    offer.seal(&mut chance.turn()).body.len()
}

/// Times of frames, and of the envelopes after them, in milliseconds.
#[derive(Default)]
struct Times {
    frames: Vec<f64>,
    after: Vec<f64>,
}

#[tokio::test]
async fn the_times_of_a_node_do_not_tell_who_is_there() {
    let batches = std::env::var("UNDERTONE_BATCHES").ok().and_then(|many| many.parse().ok());
    let batches: usize = batches.unwrap_or(BATCHES);
    let network = Network::new();
    let topic = format!("/undertone/2/{}/{FLOOR}", network.name());
    let mut chance = SeededRng::lane(u64::from(std::process::id()), 5);
    let mut targets = Vec::new();
    for process in PROCESSES {
        targets.push(started(process, &network, &mut chance).await);
    }
    let mut times: BTreeMap<(usize, Kind), Times> = BTreeMap::new();
    let mut lost = 0;
    // The processes take turns, so that each has its rest while the others are asked. Kinds come at
    // random.
    let mut orders: Vec<Vec<Kind>> =
        vec![Kind::ALL.into_iter().flat_map(|kind| vec![kind; batches]).collect(); targets.len()];
    for turn in 0..batches * Kind::ALL.len() * targets.len() {
        let at = turn % targets.len();
        if turn / targets.len() % FRAMES_A_START == FRAMES_A_START - 1 {
            targets[at] = started(PROCESSES[at], &network, &mut chance).await;
        }
        let order = &mut orders[at];
        let kind =
            order.swap_remove(usize::try_from(chance.below(order.len() as u64)).expect("small"));
        let target = &mut targets[at];
        // All kinds are made each time, whichever is sent: making some takes longer, and what a
        // processor did last shows in how long it takes for the next thing.
        let mut made = Kind::ALL.map(|kind| {
            let frame: Vec<_> = (0..BATCH).map(|_| target.envelope(kind, &mut chance)).collect();
            (kind, frame)
        });
        made.sort_by_key(|(of, _)| *of == kind);
        let [.., (_, frame)] = made;
        let probe = [target.envelope(Kind::Noise, &mut chance)];
        let rests_until = target.rests_until;
        target.pass(rests_until).await;
        let Some(first) = target.time(&topic, &frame).await else {
            lost += 1;
            continue;
        };
        let meanwhile = Duration::from_millis(chance.below(MEANWHILE_MS));
        target.pass(moment_after(meanwhile)).await;
        let Some(after) = target.time(&topic, &probe).await else {
            lost += 1;
            continue;
        };
        target.rests_until = moment_after(REST);
        let entry = times.entry((at, kind)).or_default();
        entry.frames.push(first.as_secs_f64() * 1_000.0);
        entry.after.push(after.as_secs_f64() * 1_000.0);
    }
    let mut worst = 0.5_f64;
    let mut compare = |what: String, one: &Times, other: &Times| {
        let (frames, after) = (auc(&one.frames, &other.frames), auc(&one.after, &other.after));
        println!(
            "{what}: frames {:.3}, after them {:.3} ({} each)",
            frames,
            after,
            one.frames.len()
        );
        worst = [frames, after].into_iter().fold(worst, |worst, auc| worst.max(auc).max(1.0 - auc));
    };
    for (at, target) in targets.iter().enumerate() {
        let noise = &times[&(at, Kind::Noise)];
        for kind in [Kind::Opens, Kind::Unknown, Kind::Known] {
            compare(format!("{}, {kind:?}", target.name), &times[&(at, kind)], noise);
        }
        compare(format!("relay or {}", target.name), noise, &times[&(0, Kind::Noise)]);
        println!("{}: {:.2} ms a frame of noise", target.name, median(&noise.frames));
    }
    println!("{lost} of {} frames were lost", batches * Kind::ALL.len() * targets.len());
    assert!(lost <= batches / 10, "{lost} lost");
    assert!(worst <= 0.55, "AUC {worst:.3}");
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
