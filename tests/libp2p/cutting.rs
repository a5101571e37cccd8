//! A neighbour that says each envelope first under another name, so that it seems to be known when
//! an honest one brings it.

use undertone::engine::env::{Env, Millis};
use undertone::engine::envelope::{EnvelopeId, Floor};
use undertone::engine::id::NeighbourId;
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::settings::NodeRole;
use undertone::engine::turn::{Effect, Output};
use undertone::shell::net::{DisconnectReason, Multiaddr, Net, NetEvent, PublishOutcome};
use undertone::shell::os::clock::wall;
use undertone::sim::SeededRng;

use crate::attacker::{Attacker, Part, disguises, ended, named};
use crate::hosts::{LOW_FLOOR, net_settings, node_settings};
use crate::noise::noise;
use crate::one_node::turn;
use crate::world::{accept, in_time, meet, place};

/// The topic of [`net_settings`].
const FLOOD: &str = "/undertone/2/hosts/8";

/// Envelopes in each disguise. A neighbour is parted with at the fourth refusal, so an attacker
/// comes back under another key for the rest.
const EACH: usize = 6;

/// The refusals that a neighbour is parted with for.
const TALLY: usize = 4;

/// The honest author's number at the relay, and the third peer's.
const HONEST: NeighbourId = NeighbourId(0);
const THIRD: NeighbourId = NeighbourId(1);

/// A relay with its engine, between an honest author, a third peer, and an attacker now and then.
struct Scene {
    at: Multiaddr,
    /// Relay, author, third peer.
    nets: [Net; 3],
    engine: Node,
    chance: SeededRng,
    attacker: Option<Attacker>,
    /// What the attacker was refused since it is there.
    refused: usize,
    /// Neighbours the relay parted with.
    parted: usize,
    /// What reached the third peer.
    heard: Vec<EnvelopeId>,
    /// The best scores that author and third peer had at the relay.
    scores: [f64; 2],
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let at = place();
        let net = |listen, peers: &[_]| Net::new(net_settings(listen, peers)).expect("a node");
        // One after the other: their numbers at the relay are in this order.
        let mut two = [net(Some(&at), &[]), net(None, &[&at])];
        meet(&mut two, &[1, 1]).await;
        let [relay, author] = two;
        let mut nets = [relay, author, net(None, &[&at])];
        meet(&mut nets, &[2, 1, 1]).await;
        Self {
            at,
            nets,
            engine: Node::new(node_settings(NodeRole::Relay)),
            chance: SeededRng::lane(seed, 0),
            attacker: None,
            refused: 0,
            parted: 0,
            heard: Vec::new(),
            scores: [0.0; 2],
        }
    }

    /// An envelope that every node carries, and no other test knows.
    fn envelope(&mut self) -> Vec<u8> {
        noise(&mut self.chance, wall(), LOW_FLOOR)
    }

    /// The attacker says this on its stream, and every node refuses so many parts of it. Until the
    /// relay has dealt with it: an honest envelope that follows in the stream has gone through, or
    /// the attacker was parted with.
    async fn attack(&mut self, parts: &[Part], refused: usize) {
        if self.attacker.is_none() {
            self.attacker = Some(Attacker::new(&self.at, FLOOD));
            self.refused = 0;
            self.until("the attacker to come", |scene| scene.nets[0].peers() == 3).await;
        }
        let after = self.envelope();
        let attacker = self.attacker.as_ref().expect("just made");
        attacker.send(parts);
        attacker.send(&[Part::Message(FLOOD.to_owned(), after.clone())]);
        self.refused += refused;
        let (parted, marker) = (self.parted, named(&after));
        if self.refused < TALLY {
            self.until("what follows it", |scene| scene.heard.contains(&marker)).await;
            assert_eq!(self.parted, parted, "parted with after {} refusals", self.refused);
        } else {
            self.until("the parting", |scene| scene.attacker.is_none()).await;
            assert_eq!(self.parted, parted + 1, "parted with once");
        }
    }

    /// The author sends an envelope, which reaches the third peer by the relay.
    async fn send(&mut self, bytes: Vec<u8>) {
        let id = named(&bytes);
        assert!(!self.heard.contains(&id), "nobody has sent it yet");
        assert_eq!(self.nets[1].publish(bytes), PublishOutcome::Sent);
        self.until("the envelope at the third peer", |scene| scene.heard.contains(&id)).await;
        for (best, peer) in self.scores.iter_mut().zip([HONEST, THIRD]) {
            let score = self.nets[0].score(peer).expect("a neighbour");
            // An invalid message costs 4, and what is good about a score fades by 2 % in 5 s.
            assert!(score > *best - 1.0, "an honest neighbour is scored: {score} after {best}");
            *best = best.max(score);
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        in_time(what, async {
            while !done(self) {
                self.step().await;
            }
        })
        .await;
    }

    /// The next thing that happens to any of them.
    async fn step(&mut self) {
        let [relay, author, third] = &mut self.nets;
        tokio::select! {
            event = relay.next() => match event {
                NetEvent::Engine(input) => judge(relay, &mut self.engine, input),
                NetEvent::Disconnected { from, why } => {
                    assert_eq!(why, DisconnectReason::Misbehaved);
                    assert!(from != HONEST && from != THIRD, "an honest neighbour is parted with");
                    self.parted += 1;
                }
                _ => {}
            },
            event = author.next() => drop(accept(author, event)),
            event = third.next() => {
                if let NetEvent::Engine(Input::Gossip { id, .. }) = &event {
                    self.heard.push(*id);
                }
                drop(accept(third, event));
            }
            () = ended(self.attacker.as_mut()) => self.attacker = None,
        }
    }
}

/// The engine takes an input, and its verdicts go to the network.
fn judge(net: &mut Net, engine: &mut Node, input: Input) {
    let mut entropy = SeededRng::lane(1, 1);
    for input in [input, Input::Tick] {
        let mut env = Env::new(Millis(0), wall(), &mut entropy);
        for output in turn(engine, &mut env, input) {
            if let Output::Effect(Effect::ReportValidation { from, id, acceptance }) = output {
                net.report_validation(from, id, acceptance);
            }
        }
    }
}

#[tokio::test]
async fn no_other_name_cuts_an_envelope_off_and_whoever_says_four_is_parted_with() {
    let mut scene = Scene::new(71).await;
    let floor = Floor::new(LOW_FLOOR);
    let example = scene.envelope();
    let kinds = disguises(FLOOD, &example, &floor).len();
    for kind in 0..kinds {
        for number in 1..=EACH {
            let bytes = scene.envelope();
            let (what, disguise) = disguises(FLOOD, &bytes, &floor).swap_remove(kind);
            println!("{what}, the {number}. time");
            scene.attack(&[disguise], 1).await;
            scene.send(bytes).await;
        }
    }
    assert_eq!(scene.parted, kinds * EACH / TALLY);
    assert_eq!(scene.nets[0].peers(), 2 + usize::from(scene.attacker.is_some()));
}

#[tokio::test]
async fn four_other_names_in_one_frame_part_with_their_sender_and_cut_nothing_off() {
    let mut scene = Scene::new(72).await;
    let floor = Floor::new(LOW_FLOOR);
    for _ in 0..EACH {
        let bytes = scene.envelope();
        let mut parts: Vec<Part> =
            disguises(FLOOD, &bytes, &floor).into_iter().map(|(_, part)| part).collect();
        // The envelope itself comes last, when its bringer is not listened to any more.
        parts.push(Part::Message(FLOOD.to_owned(), bytes.clone()));
        let refused = parts.len();
        scene.attack(&parts, refused).await;
        scene.send(bytes).await;
    }
    assert_eq!(scene.parted, EACH, "each was parted with once");
}
