//! The index of watched topics: a Bloom filter first, the exact index behind it.
//!
//! Almost every envelope is for somebody else, and the filter says so without a search. It never
//! leaves this process: a filter given to a stranger would be an address.

use core::fmt;
use std::collections::BTreeMap;

use bloomfilter::Bloom;

use crate::engine::envelope::Topic;
use crate::engine::id::ContactId;

use super::{Session, SessionId};

/// The topics of all sessions, each with its sessions and contacts.
pub struct TopicIndex {
    filter: Bloom<Topic>,
    /// Topics put into the filter since it was made, including those not watched any more.
    inserted: usize,
    /// The bound of `inserted`: beyond it the filter is made afresh.
    room: usize,
    /// The number of positions at which a session has a topic; never 0.
    index: BTreeMap<(Topic, SessionHandle), u16>,
    /// The handle of each session.
    handles: BTreeMap<SessionId, SessionHandle>,
    sessions: BTreeMap<SessionHandle, (ContactId, SessionId)>,
    last_handle: SessionHandle,
}

/// The index's own name of a session: an eighth of its id, because it stands beside every topic.
type SessionHandle = u32;

impl TopicIndex {
    /// An index without topics.
    #[must_use]
    pub fn new() -> Self {
        Self {
            filter: filter(LEAST_ROOM),
            inserted: 0,
            room: LEAST_ROOM,
            index: BTreeMap::new(),
            handles: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_handle: 0,
        }
    }

    /// Watches every topic of a session with `owner`.
    pub fn add(&mut self, session: &Session, owner: ContactId) {
        // No process lives through so many sessions that a handle comes twice.
        self.last_handle = self.last_handle.wrapping_add(1);
        let handle = self.last_handle;
        self.handles.insert(session.id(), handle);
        self.sessions.insert(handle, (owner, session.id()));
        for topic in session.topics() {
            self.add_topic(topic, handle);
        }
    }

    /// Stops watching every topic of a session; it must be in the state that was added or updated
    /// last.
    pub fn remove(&mut self, session: &Session) {
        let Some(handle) = self.handles.remove(&session.id()) else { return };
        self.sessions.remove(&handle);
        for topic in session.topics() {
            self.remove_topic(topic, handle);
        }
    }

    /// Follows a session from the state `before` to a later one; the cost is that of the changes.
    pub fn update(&mut self, before: &Session, after: &Session) {
        let Some(&handle) = self.handles.get(&before.id()) else { return };
        let changes = before.changes(after);
        // A topic that moves from its window to the skipped keys is added before it is removed, so
        // its entry stays.
        for topic in changes.added {
            self.add_topic(topic, handle);
        }
        for topic in changes.removed {
            self.remove_topic(topic, handle);
        }
    }

    /// The sessions that watch a topic, each once and with its contact. Mostly none.
    #[must_use]
    pub fn candidates(&self, topic: Topic) -> Vec<(ContactId, SessionId)> {
        if !self.filter.check(&topic) {
            return Vec::new();
        }
        let all = self.index.range((topic, SessionHandle::MIN)..=(topic, SessionHandle::MAX));
        all.filter_map(|((_, handle), _)| self.sessions.get(handle).copied()).collect()
    }

    fn add_topic(&mut self, topic: Topic, handle: SessionHandle) {
        *self.index.entry((topic, handle)).or_default() += 1;
        // A Bloom filter forgets nothing, so topics that are gone fill it up until it lets
        // everything pass.
        if self.inserted == self.room {
            self.rebuild_filter();
        } else {
            self.filter.set(&topic);
            self.inserted += 1;
        }
    }

    fn remove_topic(&mut self, topic: Topic, handle: SessionHandle) {
        let Some(positions) = self.index.get_mut(&(topic, handle)) else { return };
        *positions -= 1;
        if *positions == 0 {
            self.index.remove(&(topic, handle));
        }
    }

    /// Makes the filter from the topics watched at present.
    fn rebuild_filter(&mut self) {
        self.inserted = self.index.len();
        self.room = (self.inserted * ROOM_FACTOR).max(LEAST_ROOM);
        self.filter = filter(self.room);
        for (topic, _) in self.index.keys() {
            self.filter.set(topic);
        }
    }
}

impl Default for TopicIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TopicIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            filter: _,
            inserted: _,
            room: _,
            index,
            handles: _,
            sessions: _,
            last_handle: _,
        } = self;
        f.debug_struct("TopicIndex").field("topics", &index.len()).finish()
    }
}

/// A filter for `room` topics. Its hash keys are fixed: topics made to pass it cost us a look into
/// the index, and nothing more.
fn filter(room: usize) -> Bloom<Topic> {
    let bytes = (room * BITS_PER_TOPIC).div_ceil(8).max(1);
    #[expect(clippy::expect_used, reason = "fails for an empty filter alone; both are at least 1")]
    Bloom::new_with_seed(bytes, room.max(1), &[0; 32]).expect("a filter of at least a byte")
}

/// Bits of the filter for each topic: one foreign topic in a hundred passes (n = 9.6 for 1 %).
const BITS_PER_TOPIC: usize = 10;

/// The filter is made for this many times what is watched, so at most half of it is stale when it
/// is made afresh, and making it costs each new topic two more insertions.
const ROOM_FACTOR: usize = 2;

/// The smallest filter: two chains' topics, 2.5 KiB.
const LEAST_ROOM: usize = 2048;
