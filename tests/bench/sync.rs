//! What comparing two sets costs: bytes by what is missing and by what orders the set, and time.

use std::sync::Arc;

use divan::black_box;
use sha3::{Digest, Keccak256};

use undertone::engine::env::{Seconds, UnixSeconds};
use undertone::engine::envelope::draft::HEAD_START;
use undertone::engine::envelope::wire::{ENVELOPE_SIZE, GRID};
use undertone::engine::envelope::{EnvelopeId, Lifetime};
use undertone::engine::sync::{
    ClientSession, EnvelopeSet, ServerSession, ServerStep, SketchSalt, Snapshot, SyncQuery,
};

use super::NOW;
use super::ratios::line;

/// What orders a set.
type Key = fn(&Member) -> UnixSeconds;

/// What is known of an envelope here.
#[derive(Clone, Copy)]
struct Member {
    /// The true second it was made.
    at: u64,
    ttl: Seconds,
    id: EnvelopeId,
}

impl Member {
    fn expiry(&self) -> UnixSeconds {
        let grid = u64::from(GRID.0);
        let end = UnixSeconds(self.at).plus(HEAD_START).plus(self.ttl);
        UnixSeconds(end.0.div_ceil(grid) * grid)
    }

    fn made(&self) -> UnixSeconds {
        self.expiry().minus(self.ttl)
    }
}

/// So many envelopes alive at [`NOW`], oldest first: of twenty two live six hours, two a
/// week and the others a day.
fn members(count: u64) -> Vec<Member> {
    let member = |number: u64| {
        let lifetime = match number % 20 {
            0 | 1 => Lifetime::SixHours,
            2 | 3 => Lifetime::Week,
            _ => Lifetime::Day,
        };
        let ttl = lifetime.ttl();
        let age = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % u64::from(ttl.0);
        Member { at: NOW.0 - age, ttl, id: id(number) }
    };
    let mut members: Vec<Member> = (0..count).map(member).collect();
    members.sort_by_key(|member| member.at);
    members
}

/// An id as the network's are: spread as digests are, behind zero bits.
fn id(number: u64) -> EnvelopeId {
    let mut id: [u8; 32] = Keccak256::digest(number.to_le_bytes()).into();
    id[..3].fill(0);
    EnvelopeId(id)
}

fn set(members: &[Member], key: Key, has: impl Fn(usize) -> bool) -> EnvelopeSet {
    let all = members.iter().enumerate();
    EnvelopeSet::new(all.filter(|(at, _)| has(*at)).map(|(_, member)| (key(member), member.id)))
}

/// Queries, bytes from the holder, bytes from the opener.
fn compare(holder: &EnvelopeSet, opener: &EnvelopeSet) -> (u32, usize, usize) {
    let (mut queries, mut down, mut up) = (0, 0, 0);
    let mut next = holder.query().ok();
    while let Some(query) = next {
        let answer = opener.answer(&query).expect("a query");
        (queries, down, up) = (queries + 1, down + query.len(), up + answer.len());
        next = holder.lacking(&answer).expect("an answer").1;
    }
    (queries, down, up)
}

/// Prints the tables of `proto/sync.md`, and what the time is a multiple of.
pub(super) fn print() {
    let orders: [(&str, Key); 2] = [("made", Member::made), ("expiry", Member::expiry)];
    for count in [10_000_u64, 100_000] {
        let all = members(count);
        let held = all.len();
        // Where one crowded hour begins: the second of the last.
        let hour = all.iter().filter(|member| member.at < NOW.0 - 7_200).count();
        for (order, key) in orders {
            let print = |what: &str, missing: usize, lacks: &dyn Fn(usize) -> bool| {
                let (queries, down, up) =
                    compare(&set(&all, key, |_| true), &set(&all, key, |at| !lacks(at)));
                let each = (down + up) as f64 / missing.max(1) as f64;
                println!(
                    "{held} by {order}, {what} {missing}: {queries} queries, {down} B down, {up} B up, {each:.1} B each"
                );
            };
            print("nothing", 0, &|_| false);
            for missing in [held / 100, held / 20, held / 2, held] {
                print("newest", missing, &|at| at >= held - missing);
            }
            print("in a row within an hour", 50, &|at| (hour + 40..hour + 90).contains(&at));
            for scattered in [100, 1_000] {
                let every = held / scattered;
                print("scattered", scattered, &|at| at % every == every / 2);
            }
        }
    }
    print_times();
    print_sketches();
}

fn print_times() {
    let all = members(100_000);
    let hashed = vec![7; ENVELOPE_SIZE];
    let hash = || _ = black_box(Keccak256::digest(black_box(&hashed)));
    let whole = set(&all, Member::made, |_| true);
    let part = set(&all, Member::made, |at| at < 95_000);
    let query = whole.query().expect("a query");
    let answer = part.answer(&query).expect("an answer");
    line("sync: a query of 100,000 / hash an envelope", 500.0, hash, || {
        _ = black_box(whole.query().is_ok());
    });
    line("sync: an answer of 95,000 / hash an envelope", 500.0, hash, || {
        _ = black_box(part.answer(&query).is_ok());
    });
    line("sync: what 95,000 of 100,000 lack / hash an envelope", 500.0, hash, || {
        _ = black_box(whole.lacking(&answer).is_ok());
    });
    let few = members(10_000);
    line("sync: make a set of 10,000 / hash an envelope", 500.0, hash, || {
        drop(black_box(set(&few, Member::made, |_| true)));
    });
}

/// The times of sketches: of 10,000 envelopes, of which 1,000 are missing all over.
fn print_sketches() {
    let all = members(10_000);
    let hashed = vec![7; ENVELOPE_SIZE];
    let hash = || _ = black_box(Keccak256::digest(black_box(&hashed)));
    let whole = set(&all, Member::made, |_| true);
    let part = set(&all, Member::made, |at| at % 10 > 0);
    let snapshot = Arc::new(Snapshot::new(whole.clone(), SketchSalt([7; 8])));
    let cells = || {
        let (_, query) = asked(&snapshot);
        let count = snapshot.count();
        let query = SyncQuery { salt: snapshot.salt(), count, comparison: &query };
        ClientSession::new(part.clone()).answer(query).expect("cells")
    };
    let sent = cells();
    let (_, sent) = sent.split_first().expect("a kind, then cells");
    println!("10,000, scattered 1,000: {} B of cells", sent.len());
    line("sync: query, and cells of 9,000 / hash an envelope", 1_000.0, hash, || {
        drop(black_box(cells()));
    });
    let read = |snapshot: &Arc<Snapshot>| asked(snapshot).0.sketch(sent).expect("cells");
    line("sync: the same of 10,000, and 1,000 from them / hash an envelope", 1_500.0, hash, || {
        read(&Arc::new(Snapshot::new(whole.clone(), SketchSalt([7; 8]))));
    });
    line("sync: query, and 1,000 from cells / hash an envelope", 300.0, hash, || read(&snapshot));
}

/// A session in which the first query was asked.
fn asked(snapshot: &Arc<Snapshot>) -> (ServerSession, Vec<u8>) {
    let mut holder = ServerSession::begin(Arc::clone(snapshot)).expect("a query");
    let query = match holder.step(|_| Some(ENVELOPE_SIZE)) {
        ServerStep::Query { comparison, .. } => Some(comparison),
        ServerStep::MoreCells | ServerStep::Envelopes(_) | ServerStep::Done | ServerStep::Busy => {
            None
        }
    };
    (holder, query.expect("a query comes first"))
}
