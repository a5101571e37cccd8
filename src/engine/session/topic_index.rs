//! Which sessions wait for a topic: a Bloom filter as the first sieve, the exact index behind it.
//!
//! Almost every envelope is for somebody else, and the sieve says so without a search. It never
//! leaves this process: a filter given to a stranger would be an address.

use core::fmt;
use std::collections::BTreeMap;

use bloomfilter::Bloom;

use crate::engine::envelope::Topic;

use super::{Session, SessionId};

/// The topics of all sessions, and whose they are.
pub struct Watch {
    sieve: Bloom<Topic>,
    /// Topics put into the sieve since it was made; those that ended are still in it.
    sieved: usize,
    /// As many as `sieved` may reach before the sieve is made afresh.
    room: usize,
    /// At how many positions a session has a topic; never none.
    index: BTreeMap<(Topic, Handle), u16>,
    /// What the index calls each session.
    handles: BTreeMap<SessionId, Handle>,
    sessions: BTreeMap<Handle, SessionId>,
    made: Handle,
}

/// What the index calls a session: an eighth of its name, for it stands beside every topic.
type Handle = u32;

impl Watch {
    /// Waits for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sieve: sieve(LEAST_ROOM),
            sieved: 0,
            room: LEAST_ROOM,
            index: BTreeMap::new(),
            handles: BTreeMap::new(),
            sessions: BTreeMap::new(),
            made: 0,
        }
    }

    /// Waits for every topic of a session.
    pub fn add(&mut self, session: &Session) {
        // No process lives through so many sessions that a handle comes twice.
        self.made = self.made.wrapping_add(1);
        let handle = self.made;
        self.handles.insert(session.id(), handle);
        self.sessions.insert(handle, session.id());
        for topic in session.topics() {
            self.begin(topic, handle);
        }
    }

    /// Stops waiting for every topic of a session that was added in this same state.
    pub fn remove(&mut self, session: &Session) {
        let Some(handle) = self.handles.remove(&session.id()) else { return };
        self.sessions.remove(&handle);
        for topic in session.topics() {
            self.end(topic, handle);
        }
    }

    /// Follows a session from the state `before` to a later one; costs what has changed.
    pub fn update(&mut self, before: &Session, after: &Session) {
        let Some(&handle) = self.handles.get(&before.id()) else { return };
        let changes = before.changes(after);
        // What moves to the messages passed over is begun before it is ended, so it never goes.
        for topic in changes.begun {
            self.begin(topic, handle);
        }
        for topic in changes.ended {
            self.end(topic, handle);
        }
    }

    /// The sessions that wait for a topic, each once. Mostly none.
    #[must_use]
    pub fn candidates(&self, topic: Topic) -> Vec<SessionId> {
        if !self.sieve.check(&topic) {
            return Vec::new();
        }
        let all = self.index.range((topic, Handle::MIN)..=(topic, Handle::MAX));
        all.filter_map(|((_, handle), _)| self.sessions.get(handle).copied()).collect()
    }

    fn begin(&mut self, topic: Topic, handle: Handle) {
        *self.index.entry((topic, handle)).or_default() += 1;
        if self.sieved == self.room {
            self.sieve_afresh();
        } else {
            self.sieve.set(&topic);
            self.sieved += 1;
        }
    }

    fn end(&mut self, topic: Topic, handle: Handle) {
        let Some(positions) = self.index.get_mut(&(topic, handle)) else { return };
        *positions -= 1;
        if *positions == 0 {
            self.index.remove(&(topic, handle));
        }
    }

    /// Makes the sieve from what is watched, and drops what has ended.
    fn sieve_afresh(&mut self) {
        self.sieved = self.index.len();
        self.room = (self.sieved * ROOM_FACTOR).max(LEAST_ROOM);
        self.sieve = sieve(self.room);
        for (topic, _) in self.index.keys() {
            self.sieve.set(topic);
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sieve: _, sieved: _, room: _, index, handles: _, sessions: _, made: _ } = self;
        f.debug_struct("Watch").field("topics", &index.len()).finish()
    }
}

/// A filter for `room` topics. Its hash keys are fixed: whoever makes topics that pass it makes us
/// look into the index, and nothing more.
fn sieve(room: usize) -> Bloom<Topic> {
    let bytes = (room * BITS_PER_TOPIC).div_ceil(8).max(1);
    #[expect(clippy::expect_used, reason = "fails for an empty filter alone; both are at least 1")]
    Bloom::new_with_seed(bytes, room.max(1), &[0; 32]).expect("a filter of at least a byte")
}

/// Bits of the sieve for each topic: one foreign topic in a hundred passes (n = 9.6 for 1 %).
const BITS_PER_TOPIC: usize = 10;

/// The sieve is made for this many times what is watched, so at most half of it is stale when it is
/// made afresh, and making it costs each new topic two more insertions.
const ROOM_FACTOR: usize = 2;

/// The smallest sieve: two chains' topics, 2.5 KiB.
const LEAST_ROOM: usize = 2048;
