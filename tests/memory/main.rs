//! What a node holds for each envelope, counted where it is allocated: the bounds that are promised to
//! people who choose the size of a pool or an archive.
//!
//! One test, because whatever runs beside it would be counted, too. `cargo test --test memory --
//! --nocapture` prints the figures.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::wire::ENVELOPE_SIZE;
use undertone::engine::envelope::{Draft, Floor, Lifetime, Topic, ValidationError};
use undertone::engine::id::{Neighbour, NeighbourId, SyncResponseId};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::relay::pool::{
    BodyStorage, ENTRY_OVERHEAD, PLACE, PoolBounds, REMEMBERED, REMEMBERED_BYTES,
};
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::engine::sync::{
    CELL, COMPARED_CELLS, COMPARED_EACH, EnvelopeSet, ResponseBody, SyncRequest, SyncResponse,
};
use undertone::engine::turn::{Effect, Output};
use undertone::sim::SeededRng;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: UnixSeconds = UnixSeconds(490_896 * 3_600);
const FLOOR: Floor = Floor::new(0);

/// More than a node of the tree of one share holds, and as many as a pool of some 100 MB.
const HELD: usize = 40_000;

/// Neighbours that catch up, one every so often: each may have a set of its own to compare with.
const CLIENTS: u64 = 10;
const BETWEEN: Millis = Millis::from_secs(31);

/// Envelopes that each takes in that time: enough to be waited for until the next time.
const TAKEN: usize = 160;

/// The bytes that are allocated and not freed since `region` began.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

/// An envelope of the size of a messenger's, of each life in the proportion of the shares.
fn envelope(number: u64) -> Vec<u8> {
    let life = match number % 8 {
        0 => Lifetime::SixHours,
        1 => Lifetime::Week,
        _ => Lifetime::Day,
    };
    let mut data = number.to_le_bytes().to_vec();
    data.resize(2_013, 7);
    let topic = Topic(u32::try_from(number % 65_521).expect("small").to_le_bytes());
    Draft::new(NOW, life, topic, data).expect("a draft").mine(&FLOOR, number).expect("a nonce").1
}

/// A relay, and what time it is there.
struct Relay {
    node: Node,
    rng: SeededRng,
    now: Millis,
}

impl Relay {
    fn new(bodies: BodyStorage, places: usize) -> Self {
        let pool = PoolBounds { places };
        let settings = NodeSettings { pool, bodies, ..NodeSettings::new(NodeRole::Relay, FLOOR) };
        Self { node: Node::new(settings), rng: SeededRng::lane(1, 0), now: Millis(0) }
    }

    /// Fills it as an archive does at a start.
    fn fill(&mut self, count: usize) {
        for number in 0.. {
            if self.node.pool().count() >= count {
                return;
            }
            let bytes = envelope(number);
            let mut env = Env::new(self.now, NOW, &mut self.rng);
            match self.node.readmit(&mut env, bytes) {
                // Of one life there may be room when there is none of another.
                Ok(()) | Err(ValidationError::PoolFull | ValidationError::QueueFull) => {}
                Err(error) => panic!("{error}"),
            }
            while self.node.poll_output().is_some() {}
        }
    }

    /// What it says to a neighbour's request, and how many envelopes an archive appends to that.
    fn asked(&mut self, from: NeighbourId, request: &SyncRequest<'_>) -> Said {
        let mut env = Env::new(self.now, NOW, &mut self.rng);
        let (id, bytes) = (SyncResponseId(1), request.encode());
        self.node.handle(&mut env, Input::SyncRequest { from, id, bytes });
        let mut said = None;
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Effect(Effect::SyncResponse { bytes, stored, .. }) => {
                    said = Some(Said { bytes, stored: stored.len() });
                }
                Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => {}
            }
        }
        said.expect("a response")
    }

    /// Neighbours catch up, each with a set in which each tenth envelope is missing, and none comes to
    /// an end: each takes so many at a time that it is waited for.
    fn serve(&mut self) {
        let neighbours = (0..CLIENTS).map(|number| Neighbour::alone(NeighbourId(number))).collect();
        let mut env = Env::new(self.now, NOW, &mut self.rng);
        self.node.handle(&mut env, Input::Peers(neighbours));
        while self.node.poll_output().is_some() {}
        let all: Vec<_> = self.node.pool().settled_ids(NOW, self.now).collect();
        let some = all.iter().enumerate().filter(|(at, _)| at % 10 != 0).map(|(_, one)| *one);
        let theirs = EnvelopeSet::new(some);
        drop(all);
        let mut clients: Vec<Client> = Vec::new();
        for from in (0..CLIENTS).map(NeighbourId) {
            self.now = self.now.plus(BETWEEN);
            for client in &mut clients {
                client.go_on(self, &theirs);
            }
            let said = self.asked(from, &SyncRequest::Begin);
            let mut client = Client { from, said, has_sketched: false };
            client.go_on(self, &theirs);
            clients.push(client);
        }
    }
}

/// What a relay said.
struct Said {
    bytes: Vec<u8>,
    stored: usize,
}

/// A neighbour that catches up.
struct Client {
    from: NeighbourId,
    said: Said,
    has_sketched: bool,
}

impl Client {
    /// Takes the next envelopes, unless it has to begin anew.
    fn go_on(&mut self, relay: &mut Relay, theirs: &EnvelopeSet) {
        let mut taken = 0;
        while taken < TAKEN {
            // The envelopes of an archive are not there yet, and without any it is no response.
            let next = if self.said.stored > 0 {
                taken += self.said.stored;
                SyncRequest::More.encode()
            } else {
                match SyncResponse::decode(&self.said.bytes).expect("a response").body {
                    ResponseBody::Envelopes(some) => {
                        taken += some.len() / ENVELOPE_SIZE;
                        SyncRequest::More.encode()
                    }
                    ResponseBody::Query(query) if self.has_sketched => {
                        let answer = theirs.answer(query.comparison).expect("an answer");
                        SyncRequest::Answer(&answer).encode()
                    }
                    // Too few cells: it goes on by ranges, and the sketch was made.
                    ResponseBody::Query(query) => {
                        self.has_sketched = true;
                        let cells = relay.asked(self.from, &SyncRequest::Sketch(&[0; CELL]));
                        let said = SyncResponse::decode(&cells.bytes).expect("a response");
                        assert!(matches!(said.body, ResponseBody::MoreCells));
                        let answer = theirs.answer(query.comparison).expect("an answer");
                        SyncRequest::Answer(&answer).encode()
                    }
                    ResponseBody::MoreCells | ResponseBody::Done | ResponseBody::Busy => return,
                }
            };
            let request = SyncRequest::decode(&next).expect("a request");
            self.said = relay.asked(self.from, &request);
        }
    }
}

#[test]
fn an_envelope_takes_no_more_memory_than_a_place_promises_also_while_neighbours_catch_up() {
    // A quarter more than is held: as many are refused, of one life or another.
    let places = HELD * 9 / 8;
    for (bodies, alone, promised, name) in [
        (BodyStorage::External, ENTRY_OVERHEAD, ENTRY_OVERHEAD, "in an archive"),
        (BodyStorage::Inline, PLACE, PLACE + COMPARED_EACH, "in memory"),
    ] {
        let region = Region::new(ALLOCATOR);
        let mut relay = Relay::new(bodies, places);
        relay.fill(HELD);
        let count = relay.node.pool().count();
        let filled = held(&region) / count;
        relay.serve();
        let served = held(&region).saturating_sub(COMPARED_CELLS) / count;
        println!("{name}: {filled} bytes each, {served} while {CLIENTS} catch up, of {promised}");
        assert!(filled <= alone, "{name}: {filled} bytes each");
        assert!(served > filled && served <= promised, "{name}: {served} bytes each");
        drop(relay);
    }
    let region = Region::new(ALLOCATOR);
    let mut relay = Relay::new(BodyStorage::External, PoolBounds::LEAST.places);
    // All that are refused are remembered.
    for number in 0..2 * REMEMBERED as u64 {
        let mut env = Env::new(relay.now, NOW, &mut relay.rng);
        let readmitted = relay.node.readmit(&mut env, envelope(number));
        assert!(matches!(
            readmitted,
            Ok(()) | Err(ValidationError::PoolFull | ValidationError::QueueFull)
        ));
        while relay.node.poll_output().is_some() {}
    }
    let remembered = relay.node.pool().known_ids(Millis(0)).count();
    let each = held(&region) / remembered;
    println!(
        "{remembered} remembered: {each} bytes each, of {}",
        REMEMBERED_BYTES / (4 * REMEMBERED)
    );
    assert!(remembered > REMEMBERED && each * 4 * REMEMBERED <= REMEMBERED_BYTES);
}
