//! What a node holds for each envelope, counted where it is allocated: the bounds that are promised to
//! people who choose the size of a pool or an archive.
//!
//! One test, because whatever runs beside it would be counted, too. `cargo test --test memory --
//! --nocapture` prints the figures.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails there")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use undertone::engine::env::{Env, Millis, UnixSeconds};
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
const CLIENTS: u64 = 16;
const BETWEEN: Millis = Millis::from_secs(31);

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

    /// What it says to a neighbour's request.
    fn asked(&mut self, from: NeighbourId, request: &SyncRequest<'_>) -> Option<Vec<u8>> {
        let mut env = Env::new(self.now, NOW, &mut self.rng);
        let (id, bytes) = (SyncResponseId(1), request.encode());
        self.node.handle(&mut env, Input::SyncRequest { from, id, bytes });
        let mut said = None;
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Effect(Effect::SyncResponse { bytes, .. }) => said = Some(bytes),
                Output::Commit(_) | Output::AuditNonce(_) | Output::Effect(_) => {}
            }
        }
        said
    }

    /// Neighbours catch up one after the other, each with a set in which each hundredth envelope is
    /// missing, and stop in the middle.
    fn serve(&mut self) {
        let neighbours = (0..CLIENTS).map(|number| Neighbour::alone(NeighbourId(number))).collect();
        let mut env = Env::new(self.now, NOW, &mut self.rng);
        self.node.handle(&mut env, Input::Peers(neighbours));
        while self.node.poll_output().is_some() {}
        let all: Vec<_> = self.node.pool().settled_ids(NOW, self.now).collect();
        let some = all.iter().enumerate().filter(|(at, _)| at % 100 != 0).map(|(_, one)| *one);
        let theirs = EnvelopeSet::new(some);
        drop(all);
        for from in (0..CLIENTS).map(NeighbourId) {
            self.now = self.now.plus(BETWEEN);
            let mut said = self.asked(from, &SyncRequest::Begin).expect("a response");
            let mut has_sketched = false;
            // The envelopes of a response are appended by an archive: then it is none yet.
            while let Ok(response) = SyncResponse::decode(&said) {
                match response.body {
                    ResponseBody::Query(query) => {
                        if !has_sketched {
                            has_sketched = true;
                            // Too few cells: it goes on by ranges, and the sketch was made.
                            let more = self.asked(from, &SyncRequest::Sketch(&[0; CELL]));
                            let more = more.expect("a response");
                            let more = SyncResponse::decode(&more).expect("a response").body;
                            assert!(matches!(more, ResponseBody::MoreCells));
                        }
                        let answer = theirs.answer(query.comparison).expect("an answer");
                        said = self.asked(from, &SyncRequest::Answer(&answer)).expect("one");
                    }
                    // It has a part of what it lacks, and the rest is not compared yet.
                    ResponseBody::Envelopes(_)
                    | ResponseBody::MoreCells
                    | ResponseBody::Done
                    | ResponseBody::Busy => break,
                }
            }
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
