//! Two nodes, one of which catches up with the other, without a world around them.

use core::num::NonZeroU32;

use undertone::engine::env::{Env, Millis, UnixSeconds};
use undertone::engine::envelope::{Draft, EnvelopeId, Floor, Lifetime, Topic, check};
use undertone::engine::id::{Neighbour, NeighbourId, SyncRequestId, SyncResponseId};
use undertone::engine::node::Node;
use undertone::engine::node::input::Input;
use undertone::engine::record::Record;
use undertone::engine::relay::pool::PoolBounds;
use undertone::engine::settings::{NodeRole, NodeSettings};
use undertone::engine::sync::MAX_MESSAGE;
use undertone::engine::turn::{Effect, Output};
use undertone::shell::net::{LONGEST_REQUEST, LONGEST_RESPONSE};
use undertone::sim::SeededRng;

use crate::one_node::turn;

/// What a holder writes is what a network reads.
const _: () = assert!(MAX_MESSAGE <= LONGEST_RESPONSE);

pub(crate) const START: UnixSeconds = UnixSeconds(490_896 * 3600);

/// What the other node is called by either.
pub(crate) const OTHER: NeighbourId = NeighbourId(7);

/// The request for the steps alone.
const STEPS: [u8; 1] = [4];

/// A node whose chance is the same at the same time, whatever it did before.
pub(crate) struct Alone {
    pub(crate) node: Node,
}

/// Settings of a network where a week needs four tries and the rest none, with room and a line for
/// everything.
pub(crate) fn roomy(role: NodeRole) -> NodeSettings {
    let pool = PoolBounds { places: 1 << 20 };
    NodeSettings { pool, line: NonZeroU32::MAX, ..NodeSettings::new(role, Floor::new(0)) }
}

impl Alone {
    pub(crate) fn new(settings: NodeSettings) -> Self {
        Self { node: Node::new(settings) }
    }

    /// One turn at `now`, and everything it asks for.
    pub(crate) fn turn(&mut self, now: Millis, input: Input) -> Vec<Output> {
        let mut chance = SeededRng::lane(now.0, 0);
        let mut env = Env::new(now, wall(now), &mut chance);
        turn(&mut self.node, &mut env, input)
    }

    pub(crate) fn restore(&mut self, records: Vec<Record>) {
        let mut chance = SeededRng::lane(1, 0);
        self.node.restore(&mut Env::new(Millis(0), START, &mut chance), records);
        while self.node.poll_output().is_some() {}
    }

    /// Holds envelopes as if they had been received long ago.
    pub(crate) fn hold<'a>(&mut self, envelopes: impl IntoIterator<Item = &'a Vec<u8>>) {
        let mut chance = SeededRng::lane(1, 0);
        let mut env = Env::new(Millis(0), START, &mut chance);
        for bytes in envelopes {
            _ = self.node.readmit(&mut env, bytes.clone());
        }
    }

    pub(crate) fn holds(&self, envelope: &[u8]) -> bool {
        self.node.pool().contains(&id(envelope))
    }
}

/// The id of an envelope.
pub(crate) fn id(envelope: &[u8]) -> EnvelopeId {
    EnvelopeId::of(envelope).expect("an envelope")
}

pub(crate) fn wall(now: Millis) -> UnixSeconds {
    UnixSeconds(START.0 + now.0 / 1000)
}

/// As [`by_second`], in the order of the compared sets: by the hour of their making, then by id
/// from its last byte to its first.
pub(crate) fn mixed(count: u64) -> Vec<Vec<u8>> {
    let mut envelopes = by_second(count);
    envelopes.sort_by_cached_key(|bytes| {
        let checked = check(bytes.clone(), START, &Floor::new(0)).expect("alive");
        let mut id = checked.id().0;
        id.reverse();
        (checked.made(), id)
    });
    envelopes
}

/// So many envelopes of a week's mixed traffic that are alive at [`START`], in the order of their
/// making: a tenth live six hours, a tenth a week, the rest a day.
pub(crate) fn by_second(count: u64) -> Vec<Vec<u8>> {
    let mut envelopes: Vec<(u64, Vec<u8>)> = (0..count)
        .map(|number| {
            let lifetime = match number % 20 {
                0 | 1 => Lifetime::SixHours,
                2 | 3 => Lifetime::Week,
                _ => Lifetime::Day,
            };
            // Spread over its life by a multiplier that is odd, so it meets every place.
            let age = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % u64::from(lifetime.ttl().0);
            (START.0 - age, envelope(UnixSeconds(START.0 - age), lifetime, number))
        })
        .collect();
    envelopes.sort();
    envelopes.into_iter().map(|(_, bytes)| bytes).collect()
}

/// A small envelope.
pub(crate) fn envelope(made: UnixSeconds, lifetime: Lifetime, number: u64) -> Vec<u8> {
    let data = number.to_le_bytes().to_vec();
    let draft = Draft::new(made, lifetime, Topic([0; 4]), data).expect("a draft");
    draft.mine(&Floor::new(0), number).expect("some nonce will do").1
}

/// An envelope of the usual size.
pub(crate) fn long_envelope(made: UnixSeconds, number: u64) -> Vec<u8> {
    let data = [&number.to_le_bytes()[..], &[7; 2_008]].concat();
    let draft = Draft::new(made, Lifetime::Day, Topic([0; 4]), data).expect("a draft");
    draft.mine(&Floor::new(0), number).expect("some nonce will do").1
}

/// What catching up cost, in bytes and otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) requests: u64,
    pub(crate) up: usize,
    pub(crate) down: usize,
    /// Of `down`, the envelopes themselves.
    pub(crate) bodies: usize,
}

impl Cost {
    pub(crate) fn besides(&self) -> usize {
        self.up + self.down - self.bodies
    }
}

/// Somebody who holds, somebody who catches up.
pub(crate) struct Two {
    pub(crate) holder: Alone,
    pub(crate) opener: Alone,
    pub(crate) now: Millis,
    pub(crate) cost: Cost,
    /// Every request, with its time.
    pub(crate) asked: Vec<(Millis, Vec<u8>)>,
    pub(crate) blamed: u64,
}

impl Two {
    pub(crate) fn new(holder: Alone, opener: Alone) -> Self {
        let now = Millis(100_000);
        let (cost, asked) = (Cost::default(), Vec::new());
        Self { holder, opener, now, cost, asked, blamed: 0 }
    }

    /// They become neighbours; the opener catches up until it asks no more for the moment.
    pub(crate) fn meet(&mut self) -> Cost {
        self.holder.turn(self.now, Input::Peers(vec![Neighbour::alone(OTHER)]));
        let outputs = self.opener.turn(self.now, Input::Peers(vec![Neighbour::alone(OTHER)]));
        self.carry(outputs);
        self.cost
    }

    /// Lets time pass; the opener does what it does by itself.
    pub(crate) fn pass(&mut self, span: Millis) -> Cost {
        let end = self.now.plus(span);
        while let Some(at) = self.opener.node.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let outputs = self.opener.turn(self.now, Input::Tick);
            self.carry(outputs);
        }
        self.now = end;
        self.cost
    }

    /// The opener is woken at this time, as a clock does that wakes everybody each second.
    pub(crate) fn tick_at(&mut self, now: Millis) {
        self.now = now;
        let outputs = self.opener.turn(now, Input::Tick);
        self.carry(outputs);
    }

    fn carry(&mut self, outputs: Vec<Output>) {
        let mut next = self.tell_steps(outputs);
        while let Some((ask, bytes)) = self.requested(core::mem::take(&mut next)) {
            self.now = self.now.plus(Millis(50));
            assert!(bytes.len() <= LONGEST_REQUEST, "no network reads {} bytes", bytes.len());
            self.cost.requests += 1;
            self.cost.up += bytes.len();
            self.asked.push((self.now, bytes.clone()));
            let ticket = SyncResponseId(self.cost.requests);
            let input = Input::SyncRequest { from: OTHER, id: ticket, bytes };
            let response = responded(self.holder.turn(self.now, input), ticket);
            self.cost.down += response.len();
            self.cost.bodies += bodies(&response);
            next =
                self.opener.turn(self.now, Input::SyncResponse { id: ask, bytes: Some(response) });
        }
    }

    /// Responds to whoever asks for the steps alone, which is no part of a session and not counted;
    /// returns what else there is to do.
    fn tell_steps(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let (steps, others) = outputs.into_iter().partition::<Vec<Output>, _>(|output| {
            matches!(output, Output::Effect(Effect::SyncRequest { bytes, .. }) if bytes == &STEPS)
        });
        for output in steps {
            let Output::Effect(Effect::SyncRequest { id: ask, bytes, .. }) = output else {
                continue;
            };
            self.asked.push((self.now, bytes.clone()));
            let ticket = SyncResponseId(u64::MAX);
            let input = Input::SyncRequest { from: OTHER, id: ticket, bytes };
            let response = responded(self.holder.turn(self.now, input), ticket);
            let heard = Input::SyncResponse { id: ask, bytes: Some(response) };
            assert_eq!(self.opener.turn(self.now, heard).len(), 0, "nothing follows");
        }
        others
    }

    fn requested(&mut self, outputs: Vec<Output>) -> Option<(SyncRequestId, Vec<u8>)> {
        let mut request = None;
        for output in outputs {
            match output {
                Output::Effect(Effect::SyncRequest { to, id: ask, bytes }) => {
                    assert_eq!(to, OTHER);
                    assert!(request.replace((ask, bytes)).is_none(), "one request at a time");
                }
                Output::Effect(Effect::Penalize(_)) => self.blamed += 1,
                _ => {}
            }
        }
        request
    }
}

/// The one response among what a holder wants done.
pub(crate) fn responded(outputs: Vec<Output>, ticket: SyncResponseId) -> Vec<u8> {
    let mut responses = outputs.into_iter().filter_map(|output| match output {
        Output::Effect(Effect::SyncResponse { id: named, bytes, stored }) => {
            assert_eq!((named, stored.len()), (ticket, 0));
            Some(bytes)
        }
        _ => None,
    });
    let response = responses.next().expect("a response in the same turn");
    assert_eq!(responses.count(), 0, "one response");
    response
}

/// The bytes of envelopes in a response, without their lengths.
fn bodies(response: &[u8]) -> usize {
    use undertone::engine::sync::wire::envelopes;
    match response {
        [2, _, _, _, _, _, _, _, rest @ ..] => {
            envelopes(rest).map(|envelope| envelope.expect("well-formed").len()).sum()
        }
        _ => 0,
    }
}
