//! Catching up between two nodes: what it costs, what it tells, what it withstands.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sha3::{Digest, Keccak256};
use undertone::engine::command::Command;
use undertone::engine::crypto::keys::Identity;
use undertone::engine::env::{Env, Millis, Seconds};
use undertone::engine::envelope::{CheckedEnvelope, EnvelopeId, Floor, Lifetime, WorkNonce};
use undertone::engine::event::SessionStatus;
use undertone::engine::id::{
    AddressPath, CommandId, Neighbour, NeighbourId, SyncRequestId, SyncResponseId,
};
use undertone::engine::node::input::Input;
use undertone::engine::price::{SaidSteps, Share, Step};
use undertone::engine::relay::pool::PoolBounds;
use undertone::engine::settings::{NodeRole, NodeSettings, SyncMode};
use undertone::engine::sync::{
    CELL, ClientSession, EnvelopeSet, MAX_CELLS, MAX_MESSAGE, MAX_REQUESTS, MAX_USELESS,
    ResponseBody, SyncResponse, append_envelope,
};
use undertone::engine::turn::{Effect, Output};
use undertone::sim::SeededRng;
use undertone::sim::link::Links;

use crate::duplex::{
    Alone, Cost, OTHER, START, Two, by_second, envelope, id, long_envelope, mixed, responded, roomy,
};
use crate::harness::Town;
use crate::one_node::own_identity;

/// Kinds of requests.
const ANSWER: u8 = 1;
const SKETCH: u8 = 3;

/// Kinds of responses.
const DONE: u8 = 0;
const QUERY: u8 = 1;
const ENVELOPES: u8 = 2;
const BUSY: u8 = 3;
const FURTHER: u8 = 4;

/// Half an hour: enough for every session that is needed, however much is missing.
const LONG: Millis = Millis::from_secs(1_800);

/// A holder of `all`, and an opener that lacks those `missing` says.
fn pair(all: &[Vec<u8>], missing: impl Fn(usize) -> bool) -> Two {
    let (mut holder, mut opener) =
        (Alone::new(roomy(NodeRole::Relay)), Alone::new(roomy(NodeRole::Relay)));
    holder.hold(all);
    opener.hold(all.iter().enumerate().filter(|(at, _)| !missing(*at)).map(|(_, bytes)| bytes));
    Two::new(holder, opener)
}

/// What it costs until the opener has everything.
fn cost(all: &[Vec<u8>], missing: impl Fn(usize) -> bool) -> Cost {
    let mut two = pair(all, missing);
    two.meet();
    let lacks = |two: &Two| two.opener.node.pool().count() < all.len();
    for _ in 0..LONG.0 / 1_000 {
        if !lacks(&two) {
            break;
        }
        two.pass(Millis(1_000));
    }
    assert!(!lacks(&two), "{} of {}", two.opener.node.pool().count(), all.len());
    assert_eq!(two.blamed, 0);
    two.cost
}

#[test]
fn comparing_equal_pools_costs_less_than_a_kilobyte_at_any_size() {
    for count in [10_000, 100_000] {
        let cost = cost(&mixed(count), |_| false);
        println!("{count} held, nothing missing: {cost:?}");
        assert!(cost.up + cost.down < 1_024, "{count}: {cost:?}");
    }
}

/// What envelopes that are missing may cost beside themselves: 40 bytes each, and what nothing costs.
fn dear(missing: usize) -> usize {
    1_024 + 40 * missing
}

/// Measures what it costs that these are missing of `all`, and holds it to the figure.
#[expect(clippy::print_stdout, reason = "the figures of proto/sync.md")]
fn measure(what: &str, all: &[Vec<u8>], missing: impl Fn(usize) -> bool) {
    let count = (0..all.len()).filter(|at| missing(*at)).count();
    let cost = cost(all, missing);
    let each = cost.besides() as f64 / count as f64;
    let held = all.len();
    println!(
        "{held} held, {count} missing, {what}: {} besides, {each:.1} each, {cost:?}",
        cost.besides()
    );
    assert!(cost.besides() <= dear(count), "{held} held, {count} missing, {what}: {cost:?}");
}

/// Whether an envelope is one of so many chosen by chance of `held`.
fn scattered(held: usize, count: usize) -> impl Fn(usize) -> bool {
    let mut places: Vec<usize> = (0..held).collect();
    places.sort_by_cached_key(|place| {
        let chance: [u8; 32] = Keccak256::digest(place.to_le_bytes()).into();
        chance
    });
    let chosen: BTreeSet<usize> = places.into_iter().take(count).collect();
    move |at| chosen.contains(&at)
}

#[test]
fn missing_newest_envelopes_cost_less_than_forty_bytes_each_beside_themselves() {
    for count in [10_000, 100_000] {
        let (by_hour, by_second) = (mixed(count), by_second(count));
        let held = by_second.len();
        for missing in [1, held / 100, held / 20, held / 2] {
            measure("newest", &by_second, |at| at >= held - missing);
        }
        for missing in [held / 100, held / 20, held / 2, held] {
            measure("newest by whole hours", &by_hour, |at| at >= held - missing);
        }
    }
}

#[test]
fn missing_scattered_envelopes_cost_less_than_forty_bytes_each_beside_themselves() {
    let few = mixed(10_000);
    for missing in [1, 10, 100, 1_000, 5_000] {
        measure("scattered", &few, scattered(few.len(), missing));
    }
    let many = mixed(100_000);
    for missing in [1, 100, 1_000, 10_000, 20_000] {
        measure("scattered", &many, scattered(many.len(), missing));
    }
}

#[test]
fn missing_envelopes_of_one_hour_cost_less_than_forty_bytes_each_beside_themselves() {
    for (count, hour) in [(10_000, 360), (100_000, 3_600)] {
        let all = by_second(count);
        let begin = all.len() / 2;
        let part = |part: usize| move |at: usize| (begin..begin + part).contains(&at);
        measure("a gap of half an hour", &all, part(hour / 2));
        measure("a gap of two minutes", &all, part(hour / 30));
        measure("every second of an hour", &all, |at| at % 2 == 0 && part(hour)(at));
    }
}

#[test]
fn envelopes_missing_on_both_sides_cost_less_than_forty_bytes_each_beside_themselves() {
    let all = mixed(10_000);
    let mut two = pair(&all, scattered(all.len(), 500));
    two.holder = Alone::new(roomy(NodeRole::Relay));
    let chosen = scattered(all.len(), 1_000);
    let opener = &two.opener;
    let shared = |(at, bytes): (usize, &'_ Vec<u8>)| !chosen(at) || !opener.holds(bytes);
    two.holder.hold(all.iter().enumerate().filter(|each| shared(*each)).map(|(_, bytes)| bytes));
    two.meet();
    assert_eq!((two.opener.node.pool().count(), two.blamed), (all.len(), 0));
    println!(
        "10000 held, 500 missing on either side: {} besides, {:?}",
        two.cost.besides(),
        two.cost
    );
    assert!(two.cost.besides() < dear(1_000), "{:?}", two.cost);
}

#[test]
fn pools_that_differ_in_more_than_a_sketch_can_tell_are_compared_by_ranges() {
    let all = mixed(9_000);
    let mut two = pair(&all, |_| false);
    // Twice as many as the holder has, and none that it has.
    (two.holder, two.opener) =
        (Alone::new(roomy(NodeRole::Relay)), Alone::new(roomy(NodeRole::Messenger)));
    two.holder.hold(all.iter().step_by(3));
    two.opener.hold(all.iter().enumerate().filter(|(at, _)| at % 3 > 0).map(|(_, bytes)| bytes));
    two.meet();
    assert_eq!((two.opener.node.pool().count(), two.blamed), (all.len(), 0));
    let kinds: Vec<u8> = two.asked.iter().map(|(_, bytes)| bytes[0]).collect();
    let last_cells = kinds.iter().rposition(|kind| *kind == SKETCH).expect("cells");
    assert!(kinds[last_cells + 1..].contains(&ANSWER), "{kinds:?}");
    assert!(kinds.iter().filter(|kind| **kind == SKETCH).count() < 16, "{kinds:?}");
}

#[test]
fn a_node_with_far_more_than_its_neighbour_does_not_list_it_over_and_over() {
    let all = mixed(20_000);
    let mut two = pair(&all, |_| false);
    two.holder = Alone::new(roomy(NodeRole::Relay));
    two.holder.hold(all.iter().step_by(10));
    let first = two.meet();
    // Every tenth id, there and back.
    assert!(first.besides() < 3 * 32 * 2_000, "{first:?}");
    let hour = two.pass(Millis::from_secs(3_600));
    assert!(hour.besides() < 6 * first.besides(), "it comes more and more rarely: {hour:?}");
}

/// What a node asks while it catches up with a holder for an hour, having heard the same flood.
fn asked(mut opener: Alone, flood: &[Vec<u8>]) -> Vec<(Millis, Vec<u8>)> {
    let heard = flood.iter().enumerate().filter(|(at, _)| at % 3 > 0).map(|(_, bytes)| bytes);
    for bytes in heard {
        let id = id(bytes);
        opener.turn(Millis(0), Input::Gossip { from: NeighbourId(1), id, bytes: bytes.clone() });
        opener.turn(Millis(0), Input::Tick);
    }
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(flood);
    let mut two = Two::new(holder, opener);
    two.meet();
    for second in 0..3_600 {
        two.tick_at(Millis(200_000 + second * 1_000));
    }
    assert!(flood.iter().all(|bytes| two.opener.holds(bytes)));
    two.asked
}

#[test]
fn a_messenger_with_a_hundred_sessions_sends_the_same_requests_at_the_same_times_as_a_relay() {
    const SESSIONS: usize = 100;
    let mut town = Town::new(5, Links::calm(), SESSIONS + 1, 1);
    for other in 1..=SESSIONS {
        town.add(0, other);
    }
    town.world.run_for(Millis::from_secs(900));
    for other in 1..=SESSIONS {
        town.accept(other);
    }
    town.world.run_for(Millis::from_secs(900));
    let node = town.people[0].node;
    let ready = town
        .world
        .seen(node)
        .contacts
        .values()
        .filter(|(_, link)| *link == SessionStatus::Established);
    assert_eq!(ready.count(), SESSIONS);
    let records: Vec<_> = town.world.machine(node).records().cloned().collect();
    let settings = roomy(NodeRole::Messenger);
    // What a conversation sends again by itself draws chance too: not in this hour.
    let mut messenger =
        Alone::new(NodeSettings { retransmit_after: Millis(u64::MAX >> 8), ..settings });
    messenger.restore(records);

    let made = |number: u64| START.minus(Seconds(20 * u32::try_from(number).expect("few")));
    let flood: Vec<Vec<u8>> =
        (0..1_500).map(|number| envelope(made(number), Lifetime::Day, number)).collect();
    let from_relay = asked(Alone::new(roomy(NodeRole::Relay)), &flood);
    let from_messenger = asked(messenger, &flood);
    assert!(from_relay.len() > 20, "{}", from_relay.len());
    assert!(from_relay == from_messenger);
}

/// A spy asks what a node holds, as often as it may, and learns these ids.
fn spied(node: &mut Alone, now: Millis) -> BTreeSet<EnvelopeId> {
    let mut spy = Two::new(core::mem::replace(node, Alone::new(roomy(NodeRole::Relay))), {
        Alone::new(roomy(NodeRole::Relay))
    });
    spy.now = now;
    spy.meet();
    *node = spy.holder;
    spy.opener.node.pool().by_rank().map(CheckedEnvelope::id).collect()
}

#[test]
fn a_published_envelope_appears_in_comparisons_only_after_it_has_settled() {
    let mut author = Alone::new(roomy(NodeRole::Messenger));
    author.hold(&mixed(40));
    author.turn(Millis(0), Input::Peers(vec![Neighbour::alone(OTHER)]));
    author.turn(
        Millis(0),
        Input::Command {
            id: CommandId(1),
            command: Command::CreateIdentity { name: "author".to_owned() },
        },
    );
    let identity = own_identity(&author.node).id;
    let mut chance = SeededRng::lane(3, 3);
    let key = {
        let mut env = Env::new(Millis(0), START, &mut chance);
        Identity::generate(&mut env).public()
    };
    let ask = CommandId(2);
    let command = Command::AddContact { identity, key, petname: "bob".to_owned(), highest: None };
    author.turn(Millis(1_000), Input::Command { id: ask, command });
    // Nobody says a price here: it is waited for, and then one's own is paid.
    let outputs = author.turn(Millis(5_000), Input::Tick);
    let order = outputs.into_iter().find_map(|output| match output {
        Output::Effect(Effect::StartMining(order)) => Some(order),
        _ => None,
    });
    let outgoing = order.expect("an offer to mine").outgoing;
    let sent = Millis(6_000);
    let outputs = author.turn(sent, Input::Mined { outgoing, nonce: WorkNonce(0) });
    let own = outputs.into_iter().find_map(|output| match output {
        Output::Effect(Effect::Publish { id, .. }) => Some(id),
        _ => None,
    });
    let own = own.expect("published");
    assert!(author.node.pool().contains(&own));

    let early = spied(&mut author, Millis(sent.0 + 25_000));
    assert_eq!((early.len(), early.contains(&own)), (40, false));
    let almost = spied(&mut author, Millis(sent.0 + 60_000));
    assert!(!almost.contains(&own));
    let late = spied(&mut author, Millis(sent.0 + 96_000));
    assert!(late.contains(&own), "or it would be the one that is missing");
}

/// Whether the flood had brought an envelope before a neighbour tries to find that out.
#[derive(Clone, Copy)]
enum Flood {
    Brought,
    DidNot,
}

/// A node with these, which the flood brings another one at this time or does not.
fn with_fresh(all: &[Vec<u8>], fresh: &[u8], (flood, at): (Flood, Millis)) -> Alone {
    let mut node = Alone::new(roomy(NodeRole::Relay));
    node.hold(all);
    match flood {
        Flood::Brought => {
            let bytes = fresh.to_vec();
            node.turn(at, Input::Gossip { from: NeighbourId(1), id: id(fresh), bytes });
            node.turn(at, Input::Tick);
            assert!(node.holds(fresh));
        }
        Flood::DidNot => {}
    }
    node
}

#[test]
fn for_a_minute_a_client_asks_as_if_the_flood_had_brought_nothing() {
    let (all, fresh) = (mixed(200), envelope(START, Lifetime::Day, 77_777));
    let asked = |flood, after: u64| {
        // The spy has it from elsewhere.
        let mut spy = Alone::new(roomy(NodeRole::Relay));
        spy.hold(all.iter().chain([&fresh]));
        let client = with_fresh(&all[..150], &fresh, (flood, Millis(50_000)));
        let mut two = Two::new(spy, client);
        two.now = Millis(50_000 + after);
        two.meet();
        two.pass(Millis::from_secs(60));
        assert!(two.opener.holds(&fresh));
        two.asked
    };
    assert!(asked(Flood::Brought, 59_900) == asked(Flood::DidNot, 59_900));
    // Or it would be sent again each time.
    assert!(asked(Flood::Brought, 60_000) != asked(Flood::DidNot, 60_000));
}

#[test]
fn what_a_server_sends_is_taken_alike_whether_the_flood_had_brought_it_or_not() {
    let (all, fresh) = (mixed(60), envelope(START, Lifetime::Day, 77_777));
    let after = |flood| {
        let mut client = with_fresh(&all, &fresh, (flood, Millis(99_000)));
        // It sends this one, says that there may be more, and watches what comes after.
        let script = [query(), sending(core::slice::from_ref(&fresh)).expect("a response")];
        let mut responses = script.into_iter().chain(response(ResponseBody::Busy));
        let mut asked = Vec::new();
        let mut outputs = client.turn(Millis(100_000), Input::Peers(vec![Neighbour::alone(OTHER)]));
        let mut now = 100_000;
        while now < 180_000 {
            let requests = outputs.iter().filter_map(|output| match output {
                Output::Effect(Effect::SyncRequest { id, bytes, .. }) => Some((*id, bytes.clone())),
                _ => None,
            });
            let requests: Vec<_> = requests.collect();
            outputs = Vec::new();
            for (id, bytes) in requests {
                asked.push((now, bytes));
                let bytes = responses.next();
                outputs.extend(client.turn(Millis(now), Input::SyncResponse { id, bytes }));
            }
            if outputs.is_empty() {
                now += 1_000;
                outputs = client.turn(Millis(now), Input::Tick);
            }
        }
        let begun = asked.iter().filter(|(_, bytes)| bytes == &[0]).count();
        assert!(begun > 1, "it comes back to whoever had something: {asked:?}");
        asked
    };
    assert_eq!(after(Flood::Brought), after(Flood::DidNot));
    // Nor does anybody else see by what is advertised which of the two it was.
    for (sent, seen) in [(100_000, 101_000), (100_000, 159_000)] {
        let advertised = |flood| {
            let mut client = with_fresh(&all, &fresh, (flood, Millis(99_000)));
            let script = [query(), sending(core::slice::from_ref(&fresh)).expect("a response")];
            let (mut responses, now) = (script.into_iter(), Millis(sent));
            let mut outputs = client.turn(now, Input::Peers(vec![Neighbour::alone(OTHER)]));
            while let Some(ask) = outputs.into_iter().find_map(request) {
                let bytes = responses.next();
                outputs = client.turn(now, Input::SyncResponse { id: ask, bytes });
            }
            spied(&mut client, Millis(seen))
        };
        assert_eq!(advertised(Flood::Brought), advertised(Flood::DidNot), "at {seen}");
    }
}

#[test]
fn a_node_with_catching_up_off_neither_sends_nor_serves_requests() {
    let off = NodeSettings { sync: SyncMode::Off, ..roomy(NodeRole::Relay) };
    let mut two = Two::new(Alone::new(off), Alone::new(off));
    two.holder.hold(&mixed(10));
    assert_eq!(two.meet(), Cost::default());
    two.opener = Alone::new(roomy(NodeRole::Relay));
    two.meet();
    assert_eq!(two.opener.node.pool().count(), 0);
    assert_eq!(two.blamed, 0);
}

/// The kind of response to a request at this time, and whether whoever asked is blamed.
fn asks(holder: &mut Alone, now: u64, bytes: &[u8]) -> (u8, bool) {
    let ticket = SyncResponseId(1);
    let input = Input::SyncRequest { from: OTHER, id: ticket, bytes: bytes.to_vec() };
    let outputs = holder.turn(Millis(now), input);
    let blamed =
        outputs.iter().any(|output| matches!(output, Output::Effect(Effect::Penalize(OTHER))));
    (responded(outputs, ticket)[0], blamed)
}

#[test]
fn a_session_begun_too_soon_or_out_of_turn_is_answered_busy() {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&mixed(500));
    let mut ask = |now, bytes: &[u8]| asks(&mut holder, now, bytes);
    assert_eq!(ask(0, &[2]), (BUSY, false));
    assert_eq!(ask(0, &[0]), (QUERY, false));
    assert_eq!(ask(19_000, &[0]), (BUSY, false));
    assert_eq!(ask(20_000, &[0]), (QUERY, false));
    assert_eq!(ask(20_000, &[2]), (BUSY, true));
    assert_eq!(ask(20_000, &[9, 9]), (BUSY, true));
    assert_eq!(ask(40_000, &[0]), (QUERY, false));
    assert_eq!(ask(101_000, &[1, 0x61]), (BUSY, false), "idle for too long");
}

/// The neighbour that comes when many others are there.
const NEWCOMER: NeighbourId = NeighbourId(1_000);

/// 64 neighbours at so many addresses, and one elsewhere.
fn crowd(addresses: u64) -> Vec<Neighbour> {
    let one = |number| {
        let path = AddressPath([number % addresses; 3]);
        Neighbour { path, ..Neighbour::alone(NeighbourId(number)) }
    };
    (0..64).map(one).chain([Neighbour::alone(NEWCOMER)]).collect()
}

/// The response to a neighbour's request.
fn asked_by(holder: &mut Alone, from: NeighbourId, now: u64, bytes: &[u8]) -> Vec<u8> {
    let ticket = SyncResponseId(1);
    let input = Input::SyncRequest { from, id: ticket, bytes: bytes.to_vec() };
    responded(holder.turn(Millis(now), input), ticket)
}

#[test]
fn a_newcomer_catches_up_beside_64_neighbours_that_keep_their_sessions() {
    let all = mixed(300);
    for addresses in [1, 3, 64] {
        let mut holder = Alone::new(roomy(NodeRole::Relay));
        holder.hold(&all);
        holder.turn(Millis(0), Input::Peers(crowd(addresses)));
        // Each begins as often as it may, every 20 seconds, and then says nothing.
        let hogs = |holder: &mut Alone, now: u64| {
            for hog in (0..64).filter(|hog| hog * 40 / 64 == now / 500 % 40) {
                assert_eq!(asked_by(holder, NeighbourId(hog), now, &[0])[0], QUERY);
            }
        };
        let mut now = 0;
        while now < 60_000 {
            hogs(&mut holder, now);
            now += 500;
        }
        let mut opener = Alone::new(roomy(NodeRole::Relay));
        let peers = Input::Peers(vec![Neighbour::alone(OTHER)]);
        let mut outputs = opener.turn(Millis(now), peers);
        while let Some((id, request)) = outputs.into_iter().find_map(|output| match output {
            Output::Effect(Effect::SyncRequest { id, bytes, .. }) => Some((id, bytes)),
            _ => None,
        }) {
            now += 500;
            hogs(&mut holder, now);
            let bytes = Some(asked_by(&mut holder, NEWCOMER, now, &request));
            outputs = opener.turn(Millis(now), Input::SyncResponse { id, bytes });
        }
        assert_eq!(opener.node.pool().count(), 300, "{addresses} addresses");
        assert!(now < 70_000, "within ten seconds: {now}");
    }
}

/// The chunks of envelopes that a client that has nothing is sent at once.
fn chunks(holder: &mut Alone, from: NeighbourId, now: u64) -> usize {
    let mut session = ClientSession::new(EnvelopeSet::new([]));
    let mut response = asked_by(holder, from, now, &[0]);
    let mut taken = 0;
    loop {
        let next = match SyncResponse::decode(&response).expect("a response").body {
            ResponseBody::Done | ResponseBody::Busy => return taken,
            ResponseBody::Query(query) => session.answer(query),
            ResponseBody::MoreCells => session.more_cells(),
            ResponseBody::Envelopes(_) => {
                taken += 1;
                session.accept_envelopes().expect("after an answer");
                session.more()
            }
        };
        response = asked_by(holder, from, now, &next.expect("a request"));
    }
}

#[test]
fn a_newcomer_catches_up_beside_three_fresh_keys_a_second_from_one_address() {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    let made = |at: u64| START.minus(Seconds(u32::try_from(at).expect("few") * 20));
    holder.hold(&(0..3_000).map(|at| long_envelope(made(at), at)).collect::<Vec<_>>());
    let key = |number| Neighbour { path: AddressPath([1; 3]), ..Neighbour::alone(number) };
    let keys = (0..180).map(|number| key(NeighbourId(number)));
    let peers = keys.chain([Neighbour::alone(NEWCOMER)]).collect();
    holder.turn(Millis(0), Input::Peers(peers));
    for number in 0..180 {
        chunks(&mut holder, NeighbourId(number), number * 333);
    }
    assert!(chunks(&mut holder, NEWCOMER, 60_000) >= 8, "two megabytes at once");
}

#[test]
fn a_session_that_lets_the_server_wait_is_over_and_one_that_takes_envelopes_is_not() {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&mixed(500));
    assert_eq!(asks(&mut holder, 0, &[0]), (QUERY, false));
    // What is asked is wrong, and would be blamed in a session.
    assert_eq!(asks(&mut holder, 20_000, &[1, 9]), (BUSY, false));
    assert_eq!(asks(&mut holder, 40_000, &[0]), (QUERY, false));
    assert_eq!(asks(&mut holder, 59_999, &[1, 9]), (BUSY, true));
}

#[test]
fn steps_are_told_in_a_session_and_outside_and_change_none() {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&mixed(500));
    let mut ask = |now, bytes: &[u8]| asks(&mut holder, now, bytes);
    assert_eq!(ask(0, &[4]), (DONE, false));
    assert_eq!(ask(0, &[0]), (QUERY, false));
    for _ in 0..1_000 {
        assert_eq!(ask(0, &[4]), (DONE, false), "as often as somebody likes");
    }
    let everything = [ANSWER, 0x61, 0, 0, 2, 0];
    assert_eq!(ask(0, &everything), (ENVELOPES, false), "the session goes on");
    assert_eq!(ask(0, &[4, 0]), (BUSY, true), "longer than it is");
}

#[test]
fn what_neighbours_ask_is_heard_about_every_minute() {
    let mut two = Two::new(Alone::new(roomy(NodeRole::Relay)), Alone::new(roomy(NodeRole::Relay)));
    two.meet();
    two.pass(Millis::from_secs(3_600));
    let times: Vec<u64> =
        two.asked.iter().filter(|(_, bytes)| bytes == &[4]).map(|(at, _)| at.0).collect();
    assert!((48..=80).contains(&times.len()), "{}", times.len());
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (45_000..=75_050).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().max() > gaps.iter().min(), "not at a rhythm");
}

#[test]
fn undecodable_cells_are_answered_by_asking_for_more_and_cells_out_of_turn_end_the_session() {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&mixed(500));
    let mut ask = |now, bytes: &[u8]| asks(&mut holder, now, bytes);
    let nonsense = |cells: usize| [vec![SKETCH], vec![0x5a; cells * CELL]].concat();
    assert_eq!(ask(0, &nonsense(1)), (BUSY, false), "nothing was begun");
    assert_eq!(ask(0, &[0]), (QUERY, false));
    for _ in 0..3 {
        assert_eq!(ask(0, &nonsense(400)), (FURTHER, false));
    }
    assert_eq!(ask(0, &[ANSWER, 0x61]), (DONE, false), "by ranges instead");

    assert_eq!(ask(30_000, &[0]), (QUERY, false));
    assert_eq!(ask(30_000, &nonsense(1_200)), (FURTHER, false));
    assert_eq!(ask(30_000, &nonsense(301)), (BUSY, true), "three for each that is held");

    assert_eq!(ask(60_000, &[0]), (QUERY, false));
    let everything = [ANSWER, 0x61, 0, 0, 2, 0];
    assert_eq!(ask(60_000, &everything), (ENVELOPES, false));
    assert_eq!(ask(60_000, &nonsense(1)), (BUSY, true), "after an answer");

    assert_eq!(ask(90_000, &[0]), (QUERY, false));
    let empty = [vec![SKETCH], vec![0; CELL]].concat();
    assert_eq!(ask(90_000, &empty), (FURTHER, false));
    let odd = [vec![SKETCH], vec![0; CELL + 1]].concat();
    assert_eq!(ask(90_000, &odd), (BUSY, true));
}

/// Catches up with somebody who responds as `respond` says, given the number of the request; how many
/// requests were made, and whether it was blamed.
fn against(opener: &mut Alone, respond: impl FnMut(u32) -> Option<Vec<u8>>) -> (u32, bool) {
    let (requests, blamed) = asked_against(opener, respond);
    (u32::try_from(requests.len()).expect("few"), blamed)
}

/// As [`against`], with what was requested.
fn asked_against(
    opener: &mut Alone,
    mut respond: impl FnMut(u32) -> Option<Vec<u8>>,
) -> (Vec<Vec<u8>>, bool) {
    let mut outputs = opener.turn(Millis(1), Input::Peers(vec![Neighbour::alone(OTHER)]));
    let mut requests = Vec::new();
    loop {
        let blamed =
            outputs.iter().any(|output| matches!(output, Output::Effect(Effect::Penalize(_))));
        let request = outputs.into_iter().find_map(|output| match output {
            Output::Effect(Effect::SyncRequest { id: ask, bytes, .. }) => Some((ask, bytes)),
            _ => None,
        });
        let Some((ask, request)) = request else { return (requests, blamed) };
        requests.push(request);
        let bytes = respond(u32::try_from(requests.len()).expect("few"));
        outputs = opener.turn(Millis(1), Input::SyncResponse { id: ask, bytes });
    }
}

fn response(body: ResponseBody<'_>) -> Option<Vec<u8>> {
    Some(SyncResponse { minutes: 1, steps: SaidSteps::default(), body }.encode())
}

fn sending(envelopes: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    envelopes.iter().for_each(|e| append_envelope(&mut bytes, e));
    response(ResponseBody::Envelopes(&bytes))
}

/// A query that an empty set cannot settle.
fn query() -> Vec<u8> {
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&mixed(100));
    begun(holder)
}

/// What a holder responds first.
fn begun(mut holder: Alone) -> Vec<u8> {
    let ticket = SyncResponseId(0);
    let begin = Input::SyncRequest { from: OTHER, id: ticket, bytes: vec![0] };
    responded(holder.turn(Millis(0), begin), ticket)
}

#[test]
fn a_holder_that_asks_without_end_is_left_and_one_that_is_silent_is_not_blamed() {
    let mut opener = Alone::new(roomy(NodeRole::Relay));
    let query = query();
    let (requests, blamed) = against(&mut opener, |_| Some(query.clone()));
    assert!(requests > 1 && requests <= MAX_REQUESTS && !blamed, "{requests}");
    let (requests, blamed) = against(&mut Alone::new(roomy(NodeRole::Relay)), |_| None);
    assert_eq!((requests, blamed), (1, false));
}

#[test]
fn a_holder_that_asks_for_cells_without_end_gets_the_most_there_are_and_then_an_answer() {
    let all = mixed(20_000);
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&all);
    let query = begun(holder);
    let mut opener = Alone::new(roomy(NodeRole::Relay));
    opener.hold(all.iter().enumerate().filter(|(at, _)| at % 40 > 0).map(|(_, bytes)| bytes));
    let (requests, blamed) = asked_against(&mut opener, |n| {
        if n == 1 { Some(query.clone()) } else { response(ResponseBody::MoreCells) }
    });
    let (answer, cells) = requests[1..].split_last().expect("requests");
    assert!(cells.iter().all(|request| request[0] == SKETCH) && cells.len() < 40);
    let bytes: usize = cells.iter().map(|request| request.len() - 1).sum();
    assert_eq!((bytes, answer[0], blamed), (MAX_CELLS * CELL, ANSWER, true), "answered already");
    // Before there are any cells.
    let (requests, blamed) =
        against(&mut Alone::new(roomy(NodeRole::Relay)), |_| response(ResponseBody::MoreCells));
    assert_eq!((requests, blamed), (1, true));
}

#[test]
fn a_holder_that_sends_an_invalid_envelope_is_blamed_and_the_rest_is_not_read() {
    let good = envelope(START, Lifetime::Day, 1);
    let floor = Floor::new(30);
    let bad = [vec![1, 2, 3], vec![7; 70_000]];
    for bad in bad {
        let mut opener = Alone::new(roomy(NodeRole::Relay));
        let other = envelope(START, Lifetime::Day, 2);
        let lies = [good.clone(), bad, other.clone()];
        let query = query();
        let (requests, blamed) =
            against(&mut opener, |n| if n == 1 { Some(query.clone()) } else { sending(&lies) });
        assert!(blamed && requests == 2, "{requests}");
        assert!(opener.holds(&good) && !opener.holds(&other));
        let (requests, _) = against(&mut opener, |_| None);
        assert_eq!(requests, 0, "not asked again");
    }
    // Without the work that the network wants.
    let strict = NodeSettings { floor, ..roomy(NodeRole::Relay) };
    let mut opener = Alone::new(strict);
    let query = query();
    let lie = [good.clone()];
    let (_, blamed) =
        against(&mut opener, |n| if n == 1 { Some(query.clone()) } else { sending(&lie) });
    assert!(blamed && !opener.holds(&good));
    // Before it can know what is lacking.
    let (requests, blamed) = against(&mut Alone::new(roomy(NodeRole::Relay)), |_| sending(&lie));
    assert!(blamed && requests == 1);
}

#[test]
fn expired_early_and_held_envelopes_are_forgiven_up_to_a_bound() {
    let old = envelope(START.minus(Seconds(3 * 86_400)), Lifetime::Day, 1);
    let early = envelope(START.plus(Seconds(3 * 86_400)), Lifetime::SixHours, 2);
    let query = query();
    let mut opener = Alone::new(roomy(NodeRole::Relay));
    let off = [old, early];
    let (requests, blamed) =
        against(&mut opener, |n| if n == 1 { Some(query.clone()) } else { sending(&off) });
    assert!(!blamed && requests > 10 && requests < MAX_REQUESTS, "{requests}");
    assert_eq!(opener.node.pool().count(), 0);
    let validation = opener.node.status().validation;
    assert!(validation.expired > 100 && validation.early > 100, "{validation:?}");

    let held = mixed(50);
    let mut opener = Alone::new(roomy(NodeRole::Relay));
    opener.hold(&held);
    let (requests, blamed) =
        against(&mut opener, |n| if n == 1 { Some(query.clone()) } else { sending(&held) });
    assert!(!blamed && requests <= 3 + MAX_USELESS / 50, "{requests}");
}

#[test]
fn a_full_pool_fetches_no_envelope_twice() {
    let all: Vec<Vec<u8>> =
        (0..3_000).map(|number| envelope(START, Lifetime::Day, number)).collect();
    // 1,000 of them are the share of a day.
    let small = PoolBounds { places: 1_334 };
    let mut holder = Alone::new(roomy(NodeRole::Relay));
    holder.hold(&all);
    let opener = Alone::new(NodeSettings { pool: small, ..roomy(NodeRole::Relay) });
    let mut two = Two::new(holder, opener);
    two.meet();
    let filled = two.pass(Millis::from_secs(3_000));
    // What has no room was seen and is remembered. Some came twice: a session that brought 1,024 of
    // them ends in the middle of a response.
    assert!(filled.bodies >= all.iter().map(Vec::len).sum(), "{filled:?}");
    let room = two.opener.node.pool().room(Share::Day);
    assert!(room.used >= room.places * 3 / 4 && room.used <= room.places, "{room:?}");
    let later = two.pass(Millis::from_secs(3_600));
    assert_eq!(later.bodies, filled.bodies, "nothing twice");
}

#[test]
fn a_wrong_clock_is_noticed_from_the_times_of_two_neighbours() {
    let mut node = Alone::new(roomy(NodeRole::Relay));
    let neighbours = [NeighbourId(1), NeighbourId(2)];
    let outputs = node.turn(Millis(0), Input::Peers(neighbours.map(Neighbour::alone).to_vec()));
    let mut asks: Vec<_> = outputs.into_iter().filter_map(request).collect();
    assert_eq!(node.node.status().clock, None);
    let minutes = u32::try_from(START.0 / 60).expect("before 10136") - 90;
    for _ in neighbours {
        let ask = asks.pop().expect("it asks");
        let steps = SaidSteps::default();
        let bytes = Some(SyncResponse { minutes, steps, body: ResponseBody::Done }.encode());
        asks.extend(
            node.turn(Millis(0), Input::SyncResponse { id: ask, bytes })
                .into_iter()
                .filter_map(request),
        );
    }
    let skew = node.node.status().clock.expect("two witnesses");
    assert_eq!((skew.minutes, skew.witnesses), (90, 2));
}

#[test]
fn the_steps_of_every_response_that_can_be_read_are_heard_and_of_no_other() {
    let steps = SaidSteps::decode([0x12, 0x30, 0]);
    let said = |body| SyncResponse { minutes: 1, steps, body }.encode();
    let asked = |first: Vec<u8>| {
        let mut opener = Alone::new(roomy(NodeRole::Relay));
        against(&mut opener, |n| (n == 1).then(|| first.clone()));
        opener.node.status().asked
    };
    let query = query();
    let SyncResponse { body, .. } = SyncResponse::decode(&query).expect("a query");
    // Cells that nobody asked for, and envelopes that nobody can lack yet, break the rules; the
    // steps were said all the same.
    let bodies = [ResponseBody::Done, ResponseBody::Busy, body, ResponseBody::MoreCells];
    for body in bodies.into_iter().chain([ResponseBody::Envelopes(&[])]) {
        assert_eq!(asked(said(body)), steps.shares, "{body:?}");
    }
    let nothing = [Step::default(); 3];
    assert_eq!(asked(said(ResponseBody::Done)[..6].to_vec()), nothing, "cut");
    assert_eq!(asked([9, 1, 0, 0, 0, 0x12, 0x30].to_vec()), nothing, "of no kind");
    assert_eq!(asked(vec![0; MAX_MESSAGE + 1]), nothing, "too long");
}

fn request(output: Output) -> Option<SyncRequestId> {
    match output {
        Output::Effect(Effect::SyncRequest { id: ask, .. }) => Some(ask),
        _ => None,
    }
}

/// Envelopes with whether the holder and the opener have each.
fn two_pools() -> impl Strategy<Value = Vec<(Vec<u8>, bool, bool)>> {
    let made = prop_oneof![Just(0_u32), 0_u32..20_000];
    let one =
        (made, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(|(age, n, one, other)| {
            (envelope(START.minus(Seconds(age)), Lifetime::SixHours, n), one, other)
        });
    proptest::collection::vec(one, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_opener_gets_every_envelope_of_the_holder_and_the_holder_does_not_change(
        pools in two_pools(),
    ) {
        let (mut holder, mut opener) = (Alone::new(roomy(NodeRole::Relay)), Alone::new(roomy(NodeRole::Messenger)));
        holder.hold(pools.iter().filter(|(_, one, _)| *one).map(|(bytes, ..)| bytes));
        opener.hold(pools.iter().filter(|(.., other)| *other).map(|(bytes, ..)| bytes));
        let before: BTreeSet<EnvelopeId> = holder.node.pool().by_rank().map(CheckedEnvelope::id).collect();
        let had: BTreeSet<EnvelopeId> = opener.node.pool().by_rank().map(CheckedEnvelope::id).collect();
        let mut two = Two::new(holder, opener);
        two.meet();
        let after: BTreeSet<EnvelopeId> = two.holder.node.pool().by_rank().map(CheckedEnvelope::id).collect();
        prop_assert_eq!(&before, &after);
        let has: BTreeSet<EnvelopeId> = two.opener.node.pool().by_rank().map(CheckedEnvelope::id).collect();
        prop_assert_eq!(has, had.union(&before).copied().collect());
        prop_assert_eq!(two.blamed, 0);
    }

    #[test]
    fn hostile_responses_end_within_bounds_and_change_nothing(
        lies in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![0_u8..5, Just(0x61_u8), any::<u8>()], 0..80), 1..20),
        spoil: prop::sample::Index, value: u8,
    ) {
        let mut opener = Alone::new(roomy(NodeRole::Relay));
        opener.hold(&mixed(60));
        let mut spoilt = query();
        let at = spoil.index(spoilt.len());
        spoilt[at] = value;
        let (requests, _) = against(&mut opener, |n| match n {
            1 => Some(spoilt.clone()),
            n => Some(lies[n as usize % lies.len()].clone()),
        });
        prop_assert!(requests <= MAX_REQUESTS);
        prop_assert_eq!(opener.node.pool().count(), 60);
    }

    #[test]
    fn hostile_requests_are_answered_within_bounds_and_change_nothing(
        asks in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![0_u8..4, Just(0x61_u8), any::<u8>()], 0..60), 1..60),
    ) {
        let mut holder = Alone::new(roomy(NodeRole::Relay));
        holder.hold(&mixed(200));
        for (now, bytes) in asks.into_iter().enumerate() {
            let ticket = SyncResponseId(now as u64);
            let input = Input::SyncRequest { from: OTHER, id: ticket, bytes };
            let response = responded(holder.turn(Millis(now as u64 * 21_000), input), ticket);
            prop_assert!(response.len() <= MAX_MESSAGE);
        }
        prop_assert_eq!(holder.node.pool().count(), 200);
    }
}
