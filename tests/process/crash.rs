//! Two messengers that are killed, one, the other or both, again and again: while they open, speak,
//! listen and acknowledge.
//!
//! Besides what they print, this looks into the stores they leave, with the library's own eyes.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone::engine::record::{MessageRecord, MessageState, Record, StoredDirection};
use undertone::shell::os::passphrase::Passphrase;
use undertone::shell::store::Store;
use zeroize::Zeroizing;

use crate::support::{
    Fuse, Home, Network, PASSPHRASE, Running, deadline, finish, moment_after, parse, unique,
};

/// How often processes are killed, unless `UNDERTONE_KILLS` says otherwise.
const KILLS: usize = 10;

/// A message is mined, sent and delivered, and each is told. After so many of these at the latest a
/// node is killed that is killed by what it does.
const LATEST: u64 = 60;

/// A node that is killed while it opens is killed after so many milliseconds at the latest: opening
/// takes a second on purpose.
const OPENING: u64 = 1_500;

/// One that runs, after so many at the latest: some messages are accepted meanwhile, and some
/// acknowledgements come.
const TALKING: u64 = 6_000;

/// Numbers that look random and follow from a seed. SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn span(&mut self, millis: u64) -> Duration {
        Duration::from_millis(self.below(millis))
    }
}

/// One of the two, and what it said and was told.
struct Side {
    home: Home,
    /// How it calls the other.
    other: &'static str,
    node: Option<Running>,
    /// Everything it tried to say, in order.
    tried: Vec<String>,
    /// What its node said it would not lose.
    accepted: BTreeSet<String>,
    /// What its nodes printed of the other, in order.
    printed: Vec<(u64, String)>,
}

/// What a store holds of a conversation.
struct Persistence {
    /// What was shown of the other.
    shown: Vec<MessageRecord>,
    /// What came of the other and waits for what is before it.
    held: Vec<String>,
    /// What the other acknowledged.
    delivered: Vec<String>,
}

impl Side {
    fn new(home: Home, other: &'static str) -> Self {
        let (tried, accepted, printed) = (Vec::new(), BTreeSet::new(), Vec::new());
        Self { home, other, node: None, tried, accepted, printed }
    }

    /// Says one thing; a node that is killed meanwhile may have accepted it and not said so.
    fn say(&mut self) {
        let text = format!("to {}, message {}", self.other, self.tried.len());
        let args = ["send", self.other, &text, "--wait", "queued", "--json"];
        // Without a passphrase no second node is opened in place of the killed one.
        let mut command = self.home.bare(&args);
        command.arg("--no-input");
        let output = finish(command, "");
        self.tried.push(text.clone());
        if parse(&output.stdout)["ok"] == true {
            self.accepted.insert(text);
        }
    }

    /// Starts a node; it is killed when it has told of so many states.
    fn start(&mut self, network: &Network, relay: &str, states: Option<usize>) {
        let flags = ["--json", "--states"];
        self.node = Some(self.home.listen_until(network, relay, &flags, states));
    }

    fn running(&self) -> &Running {
        self.node.as_ref().expect("a node")
    }

    fn wait_until_it_answers(&self) {
        let told = |line: &serde_json::Value| (line["type"] == "network").then_some(());
        self.running().wait_for_json("a node", told);
    }

    fn has_ended(&self) -> bool {
        self.node.as_ref().is_none_or(Running::has_ended)
    }

    /// Takes in what a node printed that has ended.
    fn bury(&mut self) {
        let Some(node) = self.node.take() else { return };
        let until = deadline();
        while let Some(line) = node.next_line(until) {
            // A kill may cut the last line.
            if line.ends_with(b"\n") {
                self.take_in(&line);
            }
        }
    }

    /// Takes in what its node prints, up to this text of the other's.
    fn listen_until(&mut self, text: &str) {
        let node = self.node.take().expect("a node");
        while self.printed.last().is_none_or(|(_, last)| last != text) {
            let line = node.next_line(deadline()).expect("it goes on");
            self.take_in(&line);
        }
        self.node = Some(node);
    }

    fn take_in(&mut self, line: &[u8]) {
        let line = parse(line);
        if let (Some(number), Some(text)) = (line["number"].as_u64(), line["text"].as_str()) {
            self.printed.push((number, text.to_owned()));
        }
    }

    /// What its store holds. No node may have it open.
    fn kept(&self) -> Persistence {
        let passphrase = Passphrase::new(Zeroizing::new(PASSPHRASE.to_owned())).expect("one");
        let store = Store::open(&self.home.path("home"), &passphrase).expect("a whole store");
        let mut all = Vec::new();
        let mut held = Vec::new();
        for record in store.load().expect("whole records") {
            match record {
                Record::Contact(contact) => {
                    let mut before = None;
                    loop {
                        let page = store.messages().page(contact.id, before, 500).expect("a page");
                        let Some(first) = page.first() else { break };
                        before = Some(first.id);
                        all.splice(0..0, page);
                    }
                }
                Record::Message(message) => {
                    if let StoredDirection::Buffered { .. } = message.direction {
                        held.push(message.text);
                    }
                }
                Record::Identity(_)
                | Record::Session(_)
                | Record::Request(_)
                | Record::Replay(_)
                | Record::Outgoing(_) => {}
            }
        }
        let acknowledged = |message: &MessageRecord| {
            use MessageState::{Delivered, Read};
            matches!(message.direction, StoredDirection::Outgoing(Delivered | Read))
                .then(|| message.text.clone())
        };
        let delivered = all.iter().filter_map(acknowledged).collect();
        all.retain(|message| message.direction == StoredDirection::Delivered);
        Persistence { shown: all, held, delivered }
    }

    /// Everything the other's node accepted was shown here once, in order, under numbers without a
    /// gap, and nothing was printed twice or only printed.
    fn check(&self, from: &Self, kept: &Persistence, seed: u64) {
        let texts: Vec<&String> = kept.shown.iter().map(|message| &message.text).collect();
        let once: BTreeSet<&String> = texts.iter().copied().collect();
        assert_eq!(texts.len(), once.len(), "something was shown twice, SEED={seed}: {texts:?}");
        let lost: Vec<&String> = from.accepted.iter().filter(|text| !once.contains(text)).collect();
        assert!(lost.is_empty(), "lost, SEED={seed}: {lost:?}");
        let in_order: Vec<&String> = from.tried.iter().filter(|text| once.contains(text)).collect();
        assert_eq!(texts, in_order, "out of order, SEED={seed}");
        let numbers = kept.shown.iter().map(|message| message.number);
        assert!(numbers.eq((0..kept.shown.len() as u64).map(Some)), "a gap, SEED={seed}");
        let rising = self.printed.windows(2).all(|two| two[0].0 < two[1].0);
        assert!(rising, "printed twice, SEED={seed}: {:?}", self.printed);
        for (_, text) in &self.printed {
            assert!(once.contains(text), "printed and not kept, SEED={seed}: {text}");
        }
    }
}

impl Persistence {
    /// What the other holds for delivered is here.
    fn assert_bears_out(&self, other: &Self, seed: u64) {
        let mut here: BTreeSet<&String> = self.shown.iter().map(|message| &message.text).collect();
        here.extend(&self.held);
        for text in &other.delivered {
            assert!(here.contains(text), "delivered, and not there, SEED={seed}: {text}");
        }
    }
}

fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => u64::from_str_radix(unique("").trim_start_matches('-'), 16).expect("a number"),
    }
}

fn kills() -> usize {
    let wished = std::env::var("UNDERTONE_KILLS").ok();
    wished.map_or(KILLS, |wished| wished.parse().expect("a number"))
}

/// Two homes that know each other.
fn friends() -> [Side; 2] {
    let (ann, ben) = (Home::with_ledger(), Home::with_ledger());
    let (to_ann, to_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &to_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann.invite, "--name", "ann"]);
    [Side::new(ann, "ben"), Side::new(ben, "ann")]
}

/// Plans the end of a node: while it opens, at any moment, or after something it does.
fn doom(side: &mut Side, world: (&Network, &str), numbers: &mut Numbers) -> Fuse {
    let (network, relay) = world;
    let way = if side.node.is_some() { 1 } else { numbers.below(3) };
    match way {
        0 => {
            side.start(network, relay, None);
            side.running().kill_at(moment_after(numbers.span(OPENING)))
        }
        1 => {
            if side.node.is_none() {
                side.start(network, relay, None);
                side.wait_until_it_answers();
            }
            side.running().kill_at(moment_after(numbers.span(TALKING)))
        }
        _ => {
            let states = usize::try_from(1 + numbers.below(LATEST)).expect("a small number");
            side.start(network, relay, Some(states));
            // It may have nothing to tell, alone.
            side.running().kill_at(moment_after(Duration::from_millis(2 * TALKING)))
        }
    }
}

#[test]
fn messengers_killed_at_any_moment_lose_nothing_show_nothing_twice_and_repeat_no_nonce() {
    let (seed, kills) = (seed(), kills());
    eprintln!("SEED={seed} UNDERTONE_KILLS={kills} cargo test --test process killed_at_any");
    let mut numbers = Numbers(seed);
    let network = Network::new();
    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let mut sides = friends();
    let (mut killed, mut compared) = (0, 0);
    while killed < kills {
        let victims: &[usize] = match numbers.below(3) {
            0 => &[0],
            1 => &[1],
            _ => &[0, 1],
        };
        let mut fuses = Vec::new();
        for (who, side) in sides.iter_mut().enumerate() {
            if victims.contains(&who) {
                fuses.push(doom(side, (&network, &address), &mut numbers));
            } else if side.node.is_none() {
                side.start(&network, &address, None);
            }
        }
        while !victims.iter().all(|&who| sides[who].has_ended()) {
            sides.iter_mut().for_each(Side::say);
        }
        drop(fuses);
        victims.iter().for_each(|&who| sides[who].bury());
        killed += victims.len();
        if sides.iter().all(|side| side.node.is_none()) {
            let kept = sides.each_ref().map(Side::kept);
            kept[0].assert_bears_out(&kept[1], seed);
            kept[1].assert_bears_out(&kept[0], seed);
            compared += 1;
        }
    }

    for side in &mut sides {
        if side.node.is_none() {
            side.start(&network, &address, None);
            side.wait_until_it_answers();
        }
    }
    let ends = sides.each_mut().map(|side| {
        side.say();
        let end = side.tried.last().expect("it said something").clone();
        assert!(side.accepted.contains(&end), "a node that runs accepts");
        end
    });
    sides[0].listen_until(&ends[1]);
    sides[1].listen_until(&ends[0]);
    for side in &mut sides {
        assert_eq!(side.running().end("TERM"), Some(143));
        side.node = None;
    }
    let [shown, ledger] = finish_off(&sides, seed);
    let sum = |count: fn(&Side) -> usize| sides.iter().map(count).sum::<usize>();
    let (tried, accepted) = (sum(|side| side.tried.len()), sum(|side| side.accepted.len()));
    eprintln!(
        "{killed} kills, both stores compared {compared} times; tried {tried}, accepted {accepted}, \
         shown {shown}; ledger of {ledger} lines"
    );
}

/// Checks both stores and both ledgers; how much was shown, and how long the ledgers are.
fn finish_off(sides: &[Side; 2], seed: u64) -> [usize; 2] {
    let [ann, ben] = sides;
    let kept = sides.each_ref().map(Side::kept);
    ann.check(ben, &kept[0], seed);
    ben.check(ann, &kept[1], seed);
    kept[0].assert_bears_out(&kept[1], seed);
    kept[1].assert_bears_out(&kept[0], seed);
    let all = [ann.home.ledger(), ben.home.ledger()].concat();
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!(all.len(), different.len(), "a nonce was used twice under one key, SEED={seed}");
    let accepted = ann.accepted.len() + ben.accepted.len();
    assert!(all.len() >= accepted && accepted > 0, "the ledger misses some");
    [kept[0].shown.len() + kept[1].shown.len(), all.len()]
}
