//! A newcomer whose neighbours are slow, silent or lying when it catches up.

use core::ops::Range;
use std::collections::BTreeMap;

use undertone::engine::env::{Millis, Seconds};
use undertone::engine::envelope::Lifetime;
use undertone::engine::id::{
    AddressPath, AddressRange, Neighbour, NeighbourId, SyncRequestId, SyncResponseId,
};
use undertone::engine::node::input::Input;
use undertone::engine::price::SaidSteps;
use undertone::engine::settings::NodeRole;
use undertone::engine::sync::{ResponseBody, SyncResponse};
use undertone::engine::turn::{Effect, Output};

use crate::duplex::{Alone, OTHER, START, envelope, responded, roomy};

/// The longest that an exchange takes (`proto/network.md`): then the network says that there was none.
const EXCHANGE: Millis = Millis::from_secs(20);

/// A response that is there at once: a round trip.
const AT_ONCE: Millis = Millis(100);

/// The row that found it: just below the time of an exchange.
const LATE: Millis = Millis::from_secs(16);

/// Requests: to begin a session, and for the steps alone.
const BEGIN: [u8; 1] = [0];
const STEPS: [u8; 1] = [4];

/// How a neighbour responds.
enum Server {
    /// As an honest node does that holds something, each time after so long.
    Honest(Box<Alone>, Millis),
    /// With one valid comparison after the other, each after so long.
    Comparing(Millis),
    /// That there is nothing, at once.
    Empty,
    /// Not in time: it says nothing, or a byte now and then.
    Silent,
}

/// A node that holds these.
fn holder(envelopes: &[Vec<u8>], late: Millis) -> Server {
    let mut node = Alone::new(roomy(NodeRole::Relay));
    node.hold(envelopes);
    node.turn(Millis(0), Input::Peers(vec![Neighbour::alone(OTHER)]));
    Server::Honest(Box::new(node), late)
}

impl Server {
    /// The response to a request, and how long it takes.
    fn respond(&mut self, now: Millis, bytes: Vec<u8>) -> (Millis, Option<Vec<u8>>) {
        let (steps, id) = (SaidSteps::default(), SyncResponseId(1));
        let say = |body| Some(SyncResponse { minutes: 1, steps, body }.encode());
        let ask = |node: &mut Alone, bytes| {
            responded(node.turn(now, Input::SyncRequest { from: OTHER, id, bytes }), id)
        };
        if bytes == STEPS {
            return (AT_ONCE, say(ResponseBody::Done));
        }
        match self {
            Self::Honest(node, late) => (*late, Some(ask(node, bytes))),
            Self::Comparing(late) => {
                let mut node = Alone::new(roomy(NodeRole::Relay));
                node.hold(&some(40, 9));
                (*late, Some(ask(&mut node, BEGIN.to_vec())))
            }
            Self::Empty => (AT_ONCE, say(ResponseBody::Done)),
            Self::Silent => (EXCHANGE, None),
        }
    }
}

/// So many envelopes, other ones for each number.
fn some(count: u64, number: u64) -> Vec<Vec<u8>> {
    let made = |at: u64| START.minus(Seconds(u32::try_from(at).expect("few") * 20));
    (0..count).map(|at| envelope(made(at), Lifetime::Day, number * 1_000_000 + at)).collect()
}

/// A newcomer and its neighbours: beyond the last of the servers all are like that one.
struct Newcomer {
    node: Alone,
    servers: Vec<Server>,
    now: Millis,
    /// Responses on their way, by the time when they are there.
    coming: BTreeMap<(Millis, SyncRequestId), Option<Vec<u8>>>,
    /// Whom it began a session with, and when.
    begun: Vec<(Millis, usize)>,
}

impl Newcomer {
    fn new(servers: Vec<Server>, now: Millis) -> Self {
        let node = Alone::new(roomy(NodeRole::Relay));
        Self { node, servers, now, coming: BTreeMap::new(), begun: Vec::new() }
    }

    /// So many of the servers are its neighbours from now on.
    fn meet(&mut self, count: usize) {
        let neighbours = (0..count as u64).map(|number| Neighbour::alone(NeighbourId(number)));
        self.turn(Input::Peers(neighbours.collect()));
    }

    fn turn(&mut self, input: Input) {
        for output in self.node.turn(self.now, input) {
            match output {
                Output::Effect(Effect::SyncRequest { to, id, bytes }) => {
                    let server = usize::try_from(to.0).expect("few").min(self.servers.len() - 1);
                    if bytes == BEGIN {
                        self.begun.push((self.now, server));
                    }
                    let (late, response) = self.servers[server].respond(self.now, bytes);
                    self.coming.insert((self.now.plus(late), id), response);
                }
                Output::Effect(Effect::Penalize(_)) => panic!("somebody slow is blamed"),
                _ => {}
            }
        }
    }

    /// Its neighbours from now on are these of one address, and the honest one elsewhere if it is there.
    fn meet_keys(&mut self, keys: Range<u64>, honest: Option<NeighbourId>) {
        let (range, path) = (AddressRange(1), AddressPath([1; 3]));
        let keys = keys.map(|key| Neighbour { id: NeighbourId(key), range, path });
        let honest =
            honest.map(|id| Neighbour { path: AddressPath([2; 3]), ..Neighbour::alone(id) });
        self.turn(Input::Peers(keys.chain(honest).collect()));
    }

    /// Lets time pass until it is so late.
    fn pass(&mut self, end: Millis) {
        loop {
            let due = self.node.node.deadline().unwrap_or(end).max(self.now);
            let there = self.coming.first_key_value().map_or(end, |((at, _), _)| *at);
            self.now = due.min(there);
            if self.now >= end {
                self.now = end;
                return;
            }
            if there <= due {
                let ((_, id), bytes) = self.coming.pop_first().expect("it is there");
                self.turn(Input::SyncResponse { id, bytes });
            } else {
                self.turn(Input::Tick);
            }
        }
    }

    fn holds(&self, envelopes: &[Vec<u8>]) -> usize {
        envelopes.iter().filter(|bytes| self.node.holds(bytes)).count()
    }
}

/// What a newcomer has after 40 seconds of the 300 envelopes of one honest neighbour beside these; for
/// several moments at which it joins, and so orders in which it asks.
fn fetched_beside(others: impl Fn() -> Vec<Server>) -> Vec<usize> {
    let all = some(300, 1);
    let after = |start: u64| {
        let begin = Millis(100_000 + start * 777);
        let mut servers = others();
        servers.push(holder(&all, AT_ONCE));
        let count = servers.len();
        let mut newcomer = Newcomer::new(servers, begin);
        newcomer.meet(count);
        newcomer.pass(begin.plus(Millis::from_secs(40)));
        newcomer.holds(&all)
    };
    (0..12).map(after).collect()
}

#[test]
fn a_newcomer_beside_slow_servers_has_what_an_honest_one_holds_within_40_seconds() {
    for count in [1, 3, 7] {
        let comparing = || (0..count).map(|_| Server::Comparing(LATE)).collect();
        assert_eq!(fetched_beside(comparing), [300; 12], "{count} that compare");
        let holding = || (0..count).map(|at| holder(&some(300, 2 + at), LATE)).collect();
        assert_eq!(fetched_beside(holding), [300; 12], "{count} that hold something else");
        let silent = || (0..count).map(|_| Server::Silent).collect();
        assert_eq!(fetched_beside(silent), [300; 12], "{count} that say nothing");
        let quick = || (0..count).map(|_| Server::Comparing(Millis(3_900))).collect();
        assert_eq!(fetched_beside(quick), [300; 12], "{count} that compare sooner");
        let empty = || (0..count).map(|_| Server::Empty).collect();
        assert_eq!(fetched_beside(empty), [300; 12], "{count} that have nothing");
    }
}

#[test]
fn a_newcomer_whose_first_neighbours_are_slow_or_empty_asks_those_that_come_later() {
    let all = some(300, 1);
    for first in [Server::Comparing(LATE), Server::Silent, Server::Empty] {
        let servers = vec![first, Server::Empty, Server::Silent, holder(&all, AT_ONCE)];
        let mut newcomer = Newcomer::new(servers, Millis(100_000));
        for count in 1..=4 {
            newcomer.meet(count);
            newcomer.pass(newcomer.now.plus(Millis(1_000)));
        }
        newcomer.pass(Millis(140_000));
        assert_eq!(newcomer.holds(&all), 300);
    }
}

#[test]
fn a_slow_server_that_has_what_nobody_else_has_is_heard_to_the_end_without_blame() {
    let (rare, usual) = (some(300, 1), some(300, 2));
    for late in [4, 8, LATE.0 / 1_000] {
        let slow = holder(&rare, Millis::from_secs(late));
        let servers = vec![slow, holder(&usual, AT_ONCE), Server::Empty];
        let mut newcomer = Newcomer::new(servers, Millis(100_000));
        newcomer.meet(3);
        newcomer.pass(Millis(140_000));
        assert_eq!(newcomer.holds(&usual), 300);
        newcomer.pass(Millis(400_000));
        assert_eq!(newcomer.holds(&rare), 300, "{late} s a request");
    }
}

#[test]
fn a_session_without_envelopes_ends_within_a_minute_and_with_them_it_goes_on() {
    let servers = vec![Server::Comparing(Millis(2_000))];
    let mut newcomer = Newcomer::new(servers, Millis(100_000));
    newcomer.meet(1);
    newcomer.pass(Millis(159_000));
    assert_eq!(newcomer.coming.len(), 1, "it is asked again and again");
    newcomer.pass(Millis(163_000));
    assert_eq!((newcomer.coming.len(), newcomer.begun.len()), (0, 1), "and then no more");

    // 3,000 envelopes of 2 KiB, 128 each ten seconds: four minutes.
    let long = |at: u64| {
        let made = START.minus(Seconds(u32::try_from(at).expect("few") * 20));
        crate::duplex::long_envelope(made, at)
    };
    let many: Vec<Vec<u8>> = (0..3_000).map(long).collect();
    let mut newcomer = Newcomer::new(vec![holder(&many, Millis::from_secs(10))], Millis(100_000));
    newcomer.meet(1);
    newcomer.pass(Millis(390_000));
    assert_eq!(newcomer.holds(&many), 3_000);
    // The next one is that of the regular time.
    let early = newcomer.begun.iter().filter(|(at, _)| at.0 < 300_000);
    assert_eq!(early.count(), 1, "{:?}", newcomer.begun);
}

#[test]
fn whoever_was_slow_comes_last_the_next_time() {
    let servers = (0..6).map(|at| match at {
        1 | 4 => Server::Comparing(LATE),
        _ => Server::Empty,
    });
    let mut newcomer = Newcomer::new(servers.collect(), Millis(100_000));
    newcomer.meet(6);
    newcomer.pass(Millis(2_000_000));
    // Those of one time follow each other within seconds.
    let rounds = newcomer.begun.chunk_by(|one, next| one.0.plus(Millis(30_000)) > next.0);
    let rounds: Vec<Vec<usize>> =
        rounds.map(|round| round.iter().map(|(_, server)| *server).collect()).collect();
    assert!(rounds.len() > 4, "{rounds:?}");
    for round in rounds.iter().skip(1) {
        assert_eq!(round.len(), 6, "{rounds:?}");
        assert!(round[4..].contains(&1) && round[4..].contains(&4), "{rounds:?}");
    }
}

/// The one that holds something beside any number that have nothing.
const HONEST: NeighbourId = NeighbourId(0);

/// What a node that listens has of the 300 envelopes of an honest neighbour that comes so many seconds
/// after 20 keys of one address, of which four are replaced each second; so long after that. For several
/// moments at which it begins.
fn fetched_beside_fresh_keys(comes: u64, within: u64) -> Vec<usize> {
    let all = some(300, 1);
    let after = |start: u64| {
        let begin = Millis(100_000 + start * 777);
        let mut listener = Newcomer::new(vec![holder(&all, AT_ONCE), Server::Empty], begin);
        for second in 0..comes + within {
            let keys = 1 + second * 4..21 + second * 4;
            // Whoever comes with the first of them is told of with them.
            listener.meet_keys(keys.clone(), (second > comes || comes == 0).then_some(HONEST));
            listener.pass(begin.plus(Millis(second * 1_000 + 500)));
            listener.meet_keys(keys, (second >= comes).then_some(HONEST));
            listener.pass(begin.plus(Millis::from_secs(second + 1)));
        }
        listener.holds(&all)
    };
    (0..12).map(after).collect()
}

#[test]
fn a_neighbour_there_from_the_start_is_asked_beside_any_number_of_keys_of_one_address() {
    assert_eq!(fetched_beside_fresh_keys(0, 20), [300; 12]);
}

#[test]
fn a_neighbour_that_comes_soon_after_many_keys_of_one_address_is_asked_like_the_first() {
    assert_eq!(fetched_beside_fresh_keys(5, 20), [300; 12]);
    assert_eq!(fetched_beside_fresh_keys(60, 20), [300; 12]);
}

#[test]
fn a_neighbour_that_comes_late_is_asked_though_others_come_each_second_from_one_address() {
    assert_eq!(fetched_beside_fresh_keys(130, 80), [300; 12]);
}
