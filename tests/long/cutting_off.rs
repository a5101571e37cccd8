//! The attack "cutting off" against the real program: a neighbour of a relay says each envelope
//! first under another name, then an honest neighbour sends it.
//!
//! ```text
//! cargo test --test cutting_off -- --nocapture
//! ```
//!
//! For each of the attacker's ways it prints how many of six envelopes reached a third peer, which
//! must be all, and that the attacker was parted with after four. `tests/libp2p/cutting.rs` does the
//! same to a relay in the process of the test, where it also sees the scores of the honest.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]
#![expect(clippy::indexing_slicing, reason = "tests index what they made")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and lets the others pass"
)]

use core::time::Duration;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use undertone::engine::envelope::{Acceptance, EnvelopeId, Floor};
use undertone::engine::node::input::Input;
use undertone::shell::net::{Multiaddr, Net, NetEvent, NetSettings, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use attacker::{Attacker, Part, disguises, ended, named};
use noise::noise;

#[path = "../support/attacker.rs"]
#[expect(dead_code, reason = "the attacks are those of several tests")]
mod attacker;
#[path = "../support/noise.rs"]
mod noise;

/// A network of its own; the floor is that of the run which found the attack.
const NETWORK: &str = "cutting-off";
const FLOOR: u8 = 14;
const FLOOD: &str = "/undertone/2/cutting-off/14";

/// Envelopes in each way, and the refusals after which a neighbour is parted with.
const EACH: usize = 6;
const TALLY: usize = 4;

/// No wait is longer; each takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The relay: the real program, ended with the test.
struct Relay {
    process: Child,
    address: Multiaddr,
}

impl Relay {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_undertone"))
            .args(["relay", "run", "--json", "--listen", "/ip4/127.0.0.1/tcp/0"])
            .args(["--network", NETWORK, "--floor", &FLOOR.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let address = lines
            .map(|line| line.expect("a line"))
            .find_map(|line| {
                let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                (told["type"] == "listening").then(|| told["address"].clone())
            })
            .expect("its address");
        let address = address.as_str().expect("a text").parse().expect("an address");
        Self { process, address }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Everybody but the relay.
struct Scene {
    relay: Relay,
    author: Net,
    third: Net,
    attacker: Option<Attacker>,
    /// What the attacker was refused since it is there.
    refused: usize,
    /// What reached the third peer, and what came back to the author.
    heard: Vec<EnvelopeId>,
    back: Vec<EnvelopeId>,
    chance: SeededRng,
}

impl Scene {
    async fn new() -> Self {
        let relay = Relay::start();
        let net = || {
            let mut settings = NetSettings::new(NETWORK.parse().expect("a name"), FLOOR);
            settings.peers = vec![relay.address.clone()];
            Net::new(settings).expect("a node")
        };
        let (author, third) = (net(), net());
        let (heard, back) = (Vec::new(), Vec::new());
        let chance = SeededRng::lane(73, 0);
        let mut scene =
            Self { relay, author, third, attacker: None, refused: 0, heard, back, chance };
        scene.until("all to meet", |scene| scene.author.peers() + scene.third.peers() == 2).await;
        scene
    }

    fn envelope(&mut self) -> Vec<u8> {
        noise(&mut self.chance, wall(), FLOOR)
    }

    /// The attacker says this, and the relay has dealt with it: an honest envelope that follows in
    /// the attacker's stream has gone through, or the attacker was parted with.
    async fn attack(&mut self, part: Part) {
        if self.attacker.is_none() {
            self.attacker = Some(Attacker::new(&self.relay.address, FLOOD));
            self.refused = 0;
        }
        let after = self.envelope();
        let marker = named(&after);
        let attacker = self.attacker.as_ref().expect("just made");
        attacker.send(&[part]);
        attacker.send(&[Part::Message(FLOOD.to_owned(), after)]);
        self.refused += 1;
        if self.refused < TALLY {
            self.until("what follows it", |scene| scene.heard.contains(&marker)).await;
            assert!(self.attacker.is_some(), "parted with after {} refusals", self.refused);
        } else {
            self.until("the parting", |scene| scene.attacker.is_none()).await;
        }
    }

    /// The author sends an envelope, which reaches the third peer.
    async fn send(&mut self, bytes: Vec<u8>) {
        let id = named(&bytes);
        assert!(!self.heard.contains(&id), "nobody has sent it yet");
        assert_eq!(self.author.publish(bytes), PublishOutcome::Sent);
        self.until("the envelope at the third peer", |scene| scene.heard.contains(&id)).await;
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let wait = async {
            while !done(self) {
                self.step().await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(came, "waited in vain for {what}");
    }

    async fn step(&mut self) {
        tokio::select! {
            event = self.author.next() => self.back.extend(taken(&mut self.author, event)),
            event = self.third.next() => self.heard.extend(taken(&mut self.third, event)),
            () = ended(self.attacker.as_mut()) => self.attacker = None,
        }
    }
}

/// An honest node takes what happens; an envelope's id, if it is one.
fn taken(net: &mut Net, event: NetEvent) -> Option<EnvelopeId> {
    match event {
        NetEvent::Engine(Input::Gossip { from, id, .. }) => {
            net.report_validation(from, id, Acceptance::Accept);
            Some(id)
        }
        NetEvent::Engine(Input::Peers(peers)) if peers.is_empty() => {
            panic!("the relay parted with an honest neighbour")
        }
        _ => None,
    }
}

#[tokio::test]
async fn six_of_six_arrive_beside_an_attacker_who_is_first() {
    let mut scene = Scene::new().await;
    let floor = Floor::new(FLOOR);
    let example = scene.envelope();
    for kind in 0..disguises(FLOOD, &example, &floor).len() {
        let mut parted = 0;
        let mut name = String::new();
        for _ in 0..EACH {
            let bytes = scene.envelope();
            let (what, disguise) = disguises(FLOOD, &bytes, &floor).swap_remove(kind);
            name = what;
            scene.attack(disguise).await;
            parted += usize::from(scene.attacker.is_none());
            scene.send(bytes).await;
        }
        println!("{name}: {EACH} of {EACH} arrived, {parted} attackers parted with after {TALLY}");
    }
    // A neighbour with a bad score would be sent nothing any more: the author still is.
    let last = scene.envelope();
    let id = named(&last);
    assert_eq!(scene.third.publish(last), PublishOutcome::Sent);
    scene.until("an answer at the author", |scene| scene.back.contains(&id)).await;
}
