//! What happened in a node, kept for a while for its clients.
//!
//! The runtime appends and never waits. A stream is a place in the log: a client that does not read
//! costs nothing but its place, and learns that it missed something when the log has forgotten what
//! comes next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::api::{Cursor, Delivery, Directory, Event, EventFilter, From, NetworkStatus};
use super::failure::{Failure, FailureCode, FailureText};
use crate::engine::id::{ContactId, MessageId};
use crate::engine::secret::opaque_debug;

/// The events of a node, oldest forgotten first.
#[derive(Clone)]
pub(in crate::shell) struct EventLog(Arc<Mutex<Entries>>);

opaque_debug!(struct EventLog(_));

struct Entries {
    /// Drawn at the start of the node, so that a place in another node's log is none in this.
    log: u64,
    /// The place of the oldest entry.
    first: u64,
    /// Events, and gaps where what they told of was erased.
    events: VecDeque<Option<Arc<Event>>>,
    ended: Option<Failure>,
}

impl Entries {
    /// The place after the newest entry.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }
}

/// The state of a node as it is published after each turn.
#[derive(Clone)]
pub(in crate::shell) struct NodeState {
    /// Identities, contacts and requests.
    pub(in crate::shell) directory: Arc<Directory>,
    /// The figures of the network.
    pub(in crate::shell) network: Arc<NetworkStatus>,
    /// The place in the log up to which events are in the directory.
    pub(in crate::shell) position: u64,
}

opaque_debug!(struct NodeState { directory, network, position });

impl EventLog {
    /// An empty log with this name.
    pub(in crate::shell) fn new(log: u64) -> Self {
        let events = VecDeque::with_capacity(MAX_EVENTS);
        Self(Arc::new(Mutex::new(Entries { log, first: 0, events, ended: None })))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. It is seen once the state of the node is published.
    pub(in crate::shell) fn append(&self, event: Event) {
        let mut entries = self.entries();
        if entries.events.len() >= MAX_EVENTS {
            entries.events.pop_front();
            entries.first += 1;
        }
        entries.events.push_back(Some(Arc::new(event)));
    }

    /// The place after the newest event.
    pub(in crate::shell) fn position(&self) -> u64 {
        self.entries().end()
    }

    /// Forgets what was said of a message: it was erased.
    pub(in crate::shell) fn erase_message(&self, id: MessageId) {
        self.erase(|event| matches!(event, Event::Message(message) if message.id == id));
    }

    /// Forgets the messages with a contact: they were erased.
    pub(in crate::shell) fn erase_contact(&self, id: ContactId) {
        self.erase(|event| matches!(event, Event::Message(message) if message.contact == id));
    }

    fn erase(&self, erased: impl Fn(&Event) -> bool) {
        for entry in &mut self.entries().events {
            if entry.as_ref().is_some_and(|event| erased(event)) {
                *entry = None;
            }
        }
    }

    /// Ends every stream, after what is in the log.
    pub(in crate::shell) fn end(&self, why: Failure) {
        self.entries().ended.get_or_insert(why);
    }

    /// A stream of events.
    ///
    /// # Errors
    /// When it is to begin after a place that the log does not have any more, or never had, and when
    /// the node has ended: whoever asks again after that end would hear the same end for ever.
    pub(in crate::shell) fn stream(
        &self,
        mut state: watch::Receiver<NodeState>,
        filter: EventFilter,
        from: From,
    ) -> Result<EventReader, Failure> {
        let now = state.borrow_and_update().clone();
        let mut snapshot = VecDeque::new();
        let entries = self.entries();
        if let Some(why) = &entries.ended {
            return Err(why.clone());
        }
        let position = match from {
            From::Now => entries.end(),
            From::Start => entries.first,
            From::After(Cursor { log, position }) => {
                if log != entries.log || position > entries.end() {
                    return Err(cursor_gone());
                }
                position
            }
            From::Snapshot => {
                let network = Event::Network(NetworkStatus::clone(&now.network));
                snapshot.extend(now.directory.events().chain([network]));
                snapshot.retain(|event| filter.takes(event));
                now.position
            }
        };
        drop(entries);
        let network = (from == From::Snapshot).then(|| Arc::clone(&now.network));
        Ok(EventReader { log: self.clone(), state, filter, snapshot, position, network })
    }
}

/// A stream of events.
pub(in crate::shell) struct EventReader {
    log: EventLog,
    state: watch::Receiver<NodeState>,
    filter: EventFilter,
    snapshot: VecDeque<Event>,
    position: u64,
    /// The figures that were delivered last. They are in no log: old ones are worth nothing.
    network: Option<Arc<NetworkStatus>>,
}

opaque_debug!(struct EventReader { log, state, filter, snapshot, position, network });

impl EventReader {
    /// What comes next. After [`Delivery::Ended`] it is that for ever. Dropping the future loses
    /// nothing.
    pub(in crate::shell) async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.ready() {
                return delivery;
            }
            if self.state.changed().await.is_err() {
                // The runtime is gone; what it said last may be in the log still.
                return self.ready().unwrap_or_else(|| Delivery::Ended(Box::new(gone())));
            }
        }
    }

    /// What can be delivered at once.
    fn ready(&mut self) -> Option<Delivery> {
        if let Some(event) = self.snapshot.pop_front() {
            return Some(Delivery::Event { cursor: None, event: Box::new(event) });
        }
        let entries = self.log.entries();
        let log = entries.log;
        if self.position < entries.first {
            let from = Cursor { log, position: self.position };
            self.position = entries.first;
            return Some(Delivery::Missed { from, to: Cursor { log, position: entries.first } });
        }
        while self.position < entries.end() {
            let index = usize::try_from(self.position - entries.first).unwrap_or(usize::MAX);
            let entry = entries.events.get(index).cloned().flatten();
            self.position += 1;
            if let Some(event) = entry.filter(|event| self.filter.takes(event)) {
                let cursor = Some(Cursor { log, position: self.position });
                return Some(Delivery::Event { cursor, event: Box::new(Event::clone(&event)) });
            }
        }
        let ended = entries.ended.clone();
        drop(entries);
        if let Some(why) = ended {
            return Some(Delivery::Ended(Box::new(why)));
        }
        self.figures()
    }

    /// The figures of the network, if they changed.
    fn figures(&mut self) -> Option<Delivery> {
        let network = Arc::clone(&self.state.borrow_and_update().network);
        if self.network.as_ref().is_some_and(|known| **known == *network) {
            return None;
        }
        let event = Event::Network(NetworkStatus::clone(&network));
        self.network = Some(network);
        let wanted = self.filter.takes(&event);
        wanted.then(|| Delivery::Event { cursor: None, event: Box::new(event) })
    }
}

fn cursor_gone() -> Failure {
    let text = FailureText {
        what: "no events were delivered",
        why: "the place to go on from is of another start of the node, or was never there",
        safe: "no message is lost: the history has them",
        next: "read the history, then ask for events from now on",
    };
    Failure::new(FailureCode::CursorGone, text)
}

/// The runtime is gone without a word.
pub(in crate::shell) fn gone() -> Failure {
    let text = FailureText {
        what: "the node stopped",
        why: "it ended without saying why",
        safe: "everything accepted before is saved",
        next: "start it again: undertone",
    };
    Failure::new(FailureCode::NodeEnded, text)
}

/// Events that are remembered: a minute of a busy node, some megabytes. A guess.
const MAX_EVENTS: usize = 8_192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(unread: u64) -> Event {
        Event::Read { contact: ContactId(1), with: "ben".to_owned(), unread }
    }

    fn state(log: &EventLog) -> (watch::Sender<NodeState>, watch::Receiver<NodeState>) {
        let network = Arc::new(crate::shell::api::status::tests::network());
        watch::channel(NodeState { directory: Arc::default(), network, position: log.position() })
    }

    fn next(reader: &mut EventReader) -> Option<Delivery> {
        reader.ready()
    }

    #[test]
    fn a_reader_gets_every_event_once_and_learns_what_was_forgotten() {
        let log = EventLog::new(7);
        let (_state, receiver) = state(&log);
        let mut reader = log.stream(receiver, EventFilter::all(), From::Now).unwrap();
        // The figures of the network come first, once.
        assert!(matches!(next(&mut reader), Some(Delivery::Event { cursor: None, .. })));
        let count = MAX_EVENTS as u64 + 5;
        for unread in 0..count {
            log.append(read(unread));
        }
        let Some(Delivery::Missed { from, to }) = next(&mut reader) else {
            panic!("five are forgotten");
        };
        assert_eq!((from.position, to.position, from.log), (0, 5, 7));
        for expected in 5..count {
            let Some(Delivery::Event { cursor: Some(cursor), event }) = next(&mut reader) else {
                panic!("event {expected}");
            };
            assert!(matches!(*event, Event::Read { unread, .. } if unread == expected));
            assert_eq!(cursor.position, expected + 1);
        }
        assert!(next(&mut reader).is_none());
        log.end(gone());
        for _ in 0..2 {
            assert!(matches!(next(&mut reader), Some(Delivery::Ended(_))));
        }
        let (_state, receiver) = state(&log);
        let refused = log.stream(receiver, EventFilter::all(), From::Snapshot).unwrap_err();
        assert_eq!(refused.code(), Some(FailureCode::NodeEnded));
    }

    #[test]
    fn what_happened_is_not_shown() {
        let log = EventLog::new(7);
        log.append(read(1));
        let (sender, receiver) = state(&log);
        let reader = log.stream(receiver, EventFilter::all(), From::Start).unwrap();
        let shown = format!("{log:?} {:?} {reader:?}", &*sender.borrow());
        assert_eq!(shown, "EventLog NodeState EventReader");
    }

    #[test]
    fn a_place_in_the_log_of_another_start_is_refused() {
        let log = EventLog::new(7);
        let (_state, receiver) = state(&log);
        for (name, position) in [(8, 0), (7, 1)] {
            let from = From::After(Cursor { log: name, position });
            let refused = log.stream(receiver.clone(), EventFilter::all(), from).unwrap_err();
            assert_eq!(refused.code(), Some(FailureCode::CursorGone));
        }
    }

    proptest! {
        /// Readers at any pace see the events of the log in order, each once or as missed.
        #[test]
        fn what_a_reader_gets_and_what_it_missed_are_all_events(
            steps in proptest::collection::vec((0_u16..4_000, 0_u16..4_000), 1..12),
        ) {
            let log = EventLog::new(1);
            let (_state, receiver) = state(&log);
            let only = EventFilter::of(&[crate::shell::api::EventKind::Read]);
            let mut reader = log.stream(receiver, only, From::Start).unwrap();
            let (mut said, mut seen) = (0, 0);
            for (more, reads) in steps {
                for _ in 0..more {
                    log.append(read(said));
                    said += 1;
                }
                for _ in 0..reads {
                    match reader.ready() {
                        Some(Delivery::Event { event, .. }) => {
                            let is_next = matches!(*event, Event::Read { unread, .. } if unread == seen);
                            prop_assert!(is_next);
                            seen += 1;
                        }
                        Some(Delivery::Missed { from, to }) => {
                            prop_assert_eq!(from.position, seen);
                            prop_assert!(to.position > seen);
                            seen = to.position;
                        }
                        Some(Delivery::Ended(_)) => prop_assert!(false, "nothing ended"),
                        None => prop_assert_eq!(seen, said),
                    }
                }
            }
        }
    }
}
