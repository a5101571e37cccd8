//! The figures of the network that the engine has, as clients are told them.

use crate::engine::conversation::HeldBackTotals;
use crate::engine::env::Millis;
use crate::engine::node::Cover;
use crate::engine::price::{Room, SaidSteps, Step};
use crate::engine::relay::pool::PLACE;
use crate::shell::api::{
    CoverStatus, FillStatus, LineStatus, MinerStatus, MiningStatus, NetworkStatus, PriceSource,
    PriceStatus, StepsStatus, WaitingStatus,
};
use crate::shell::durable_node::DurableNode;
use crate::shell::os::clock::wall;

fn held_back(totals: HeldBackTotals) -> WaitingStatus {
    let HeldBackTotals { messages, retries, requests, answers } = totals;
    WaitingStatus { messages, retries, requests, answers }
}

/// The figures that the engine has.
pub(super) fn network_status(durable: &DurableNode, network: &str) -> NetworkStatus {
    let (status, now) = (durable.status(), durable.clock().mono());
    let carrier = durable.carrier().lock();
    let settings = *carrier.settings();
    let SaidSteps { shares, line, hops: _ } = carrier.steps((now, wall()));
    let is_heard = carrier.hears_price(now);
    drop(carrier);
    let [six_hours, day, week] = shares.map(Step::get);
    let steps = StepsStatus { six_hours, day, week, line: line.get() };
    let [six_hours, day, week] = status.asked.map(Step::get);
    let price = PriceStatus { six_hours, day, week, highest: settings.highest_step.get() };
    let [six_hours, day, week] = status.room.map(Room::percent_used);
    let fill = FillStatus { six_hours, day, week };
    let line = LineStatus {
        blocks_per_second: status.line.rate().get(),
        percent_left: status.line.percent_left(now),
    };
    NetworkStatus {
        ready: status.peers > 0,
        peers: status.peers,
        network: network.to_owned(),
        listening: Vec::new(),
        names_trouble: None,
        pool_bytes: status.pool_places.saturating_mul(PLACE),
        pool_capacity: status.pool_bounds.bytes(),
        pool_items: status.pool_count,
        steps,
        price,
        price_from: if is_heard { PriceSource::Peers } else { PriceSource::Own },
        fill,
        line,
        floor_bits: status.floor_bits,
        waiting: held_back(status.price_wait),
        in_line: held_back(status.turn_wait),
        unanswered: status.acknowledgement_wait,
        cover_per_minute: settings.junk.map(per_minute),
        cover: match status.cover {
            Cover::Off => CoverStatus::Off,
            Cover::Runs => CoverStatus::Runs,
            Cover::Rests => CoverStatus::Rests,
        },
        mining: status.mining_tries.map(|tries| MiningStatus { tries, hashes_per_second: 0 }),
        queued: status.queued,
        rate: 0,
        miner: MinerStatus::default(),
        clock_minutes: status.clock.map(|clock| clock.minutes),
        clock_witnesses: status.clock.map_or(0, |clock| clock.witnesses),
        caught_up: status.caught_up,
        archive: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn per_minute(mean: Millis) -> f64 {
    60_000.0 / mean.0.max(1) as f64
}
