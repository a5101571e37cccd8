//! The edge between a front end and the runtime: requests, events and options, as plain values.
//!
//! The interface never touches the network, the store or the engine: it sends [`ClientRequest`]s
//! and receives [`ClientEvent`]s, over two bounded channels.

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::engine::command::{Command, CommandError, Reply};
use crate::engine::crypto::keys::PublicKey;
use crate::engine::env::UnixSeconds;
use crate::engine::event::{Event, MessageView};
use crate::engine::id::{CommandId, ContactId, IdPrefix, MessageId};
use crate::engine::secret::opaque_debug;
use crate::engine::sync::ClockSkew;
use crate::shell::os::io_words::io_words;

/// An event that the runtime sends to its clients.
#[derive(Clone)]
pub enum ClientEvent {
    /// An event of the engine. At the start the runtime sends one for every identity, contact and
    /// request that is kept.
    Engine(Event),
    /// The answer to a [`ClientRequest::Command`].
    Replied(CommandId, Result<Reply, CommandError>),
    /// A part of a conversation, asked for by [`ClientRequest::History`].
    History {
        /// The contact of the conversation.
        contact: ContactId,
        /// Oldest first.
        messages: Vec<MessageView>,
        /// Whether there are older ones.
        more: HasMore,
    },
    /// The results of a search, asked for by [`ClientRequest::Search`].
    Found {
        /// The contact whose conversation was searched; all of them if there is none.
        contact: Option<ContactId>,
        /// The words that were searched for.
        words: String,
        /// Newest first.
        messages: Vec<MessageView>,
        /// Whether there are older ones.
        more: HasMore,
    },
    /// The answer to a [`ClientRequest::Query`].
    QueryResult(CommandId, Vec<MessageView>),
    /// The state of the network. Sent when it changes, at most once a second.
    Network(NetworkStatus),
    /// The number of unread messages of a contact. Sent at the start.
    UnreadCount(ContactId, usize),
    /// Whether anything outlives the process. Sent once, at the start.
    Persistence(Persistence),
    /// The engine cannot go on; the reason, for a person to read.
    Fatal(String),
}

opaque_debug!(
    enum ClientEvent {
        Engine,
        Replied,
        History,
        Found,
        QueryResult,
        Network,
        UnreadCount,
        Persistence,
        Fatal,
    }
);

/// A request of a client to the runtime.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientRequest {
    /// Ask the engine; answered by [`ClientEvent::Replied`] with the same id.
    Command(CommandId, Command),
    /// Read older messages; answered by [`ClientEvent::History`].
    History {
        /// The contact of the conversation.
        contact: ContactId,
        /// Those before this one; the newest if there is none.
        before: Option<MessageId>,
    },
    /// Find the newest messages with these words; answered by [`ClientEvent::Found`].
    Search {
        /// The contact whose conversation is searched; all of them if there is none.
        contact: Option<ContactId>,
        /// All of them must be there; the last may be the beginning of one.
        words: String,
    },
    /// Read messages; answered by [`ClientEvent::QueryResult`] with the same id.
    Query(CommandId, MessageQuery),
    /// A person has read a conversation up to a message. Those after it stay unread.
    Read {
        /// The contact who wrote it.
        contact: ContactId,
        /// The newest message of theirs that was in view.
        message: MessageId,
    },
    /// The interface is about to end.
    Quit,
}

opaque_debug!(
    enum ClientRequest {
        Command,
        History,
        Search,
        Query,
        Read,
        Quit,
    }
);

/// A query of messages.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageQuery {
    /// Those of a conversation, oldest first.
    Page {
        /// The contact of the conversation.
        contact: ContactId,
        /// Those before this one; the newest if there is none.
        before: Option<MessageId>,
        /// The most messages to return.
        limit: usize,
    },
    /// Those of a conversation with these words, newest first.
    Words {
        /// The contact of the conversation.
        contact: ContactId,
        /// All of them must be there; the last may be the beginning of one.
        words: String,
        /// Those before this one; the newest if there is none.
        before: Option<MessageId>,
        /// The most messages to return.
        limit: usize,
    },
    /// Those whose ids begin like this, two at most.
    Like(IdPrefix),
}

opaque_debug!(
    enum MessageQuery {
        Page,
        Words,
        Like,
    }
);

/// Whether there is more of a conversation than was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HasMore {
    /// Older messages are kept.
    Yes,
    /// This was the beginning.
    No,
}

/// Whether anything outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// In a store sealed by a passphrase.
    Sealed,
    /// In memory alone: the end of the process is the end of it.
    MemoryOnly,
}

/// The state of the network, in totals: nothing here tells real traffic from cover.
#[derive(Clone, PartialEq)]
pub struct NetworkStatus {
    /// Neighbours that take part in the flood.
    pub peers: usize,
    /// The name of the network.
    pub network: String,
    /// Addresses this node is reached at.
    pub listening: Vec<String>,
    /// Bytes the pool holds.
    pub pool_bytes: usize,
    /// Bytes the pool may hold.
    pub pool_capacity: usize,
    /// Envelopes the pool holds.
    pub pool_items: usize,
    /// The least work that is carried, in bits.
    pub floor_bits: u8,
    /// Junk envelopes a minute on average; `None` without cover.
    pub cover_per_minute: Option<f64>,
    /// The search for work that is going on.
    pub mining: Option<MiningStatus>,
    /// Envelopes of ours that have not left.
    pub queued: usize,
    /// Tries at work a second, as last measured; 0 while it is not known.
    pub rate: u64,
    /// The difference between this machine's clock and those of its neighbours, if any gave theirs.
    pub clock: Option<ClockSkew>,
    /// Envelopes fetched by catching up with neighbours, since the start.
    pub caught_up: u64,
    /// The state of the archive, if there is one.
    pub archive: Option<ArchiveStatus>,
}

/// The state of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveStatus {
    /// Bytes it takes on disk.
    pub bytes: u64,
    /// Envelopes it could not keep, since the start.
    pub missed: u64,
    /// The reason why nothing is kept at the moment, if so.
    pub trouble: Option<&'static str>,
}

opaque_debug!(struct NetworkStatus {
    peers, network, listening, pool_bytes, pool_capacity, pool_items, floor_bits,
    cover_per_minute, mining, queued, rate, clock, caught_up, archive,
});

/// A search for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiningStatus {
    /// The work that is searched for: 2^`bits` tries on average.
    pub bits: u8,
    /// Tries a second; 0 while it is not known.
    pub hashes_per_second: u64,
}

/// The look and behaviour of the interface; fixed for its life.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// Real use, or a demonstration that says so on every screen.
    pub mode: UiMode,
    /// The characters of marks and lines.
    pub glyphs: Glyphs,
    /// Whether colours may be used. Nothing depends on them.
    pub color: ColorSupport,
    /// Most bytes of one message.
    pub max_text: usize,
    /// Reads the wall clock.
    pub clock: fn() -> UnixSeconds,
    /// The time zone in which times are shown.
    pub zone: TimeZone,
    /// The form in which people hand keys on.
    pub invites: InviteCodec,
}

/// The form in which people hand keys on.
#[derive(Clone, Copy, Debug)]
pub struct InviteCodec {
    /// A key as an invite.
    pub write: fn(&PublicKey) -> String,
    /// The key in an invite, or the reason why there is none, for a person to read.
    pub read: fn(&str) -> Result<PublicKey, String>,
}

/// Real use or demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiMode {
    /// Real use.
    Normal,
    /// Nothing leaves this computer and nothing is kept.
    Demo,
}

/// The characters of marks and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Marks one column wide in every width table.
    Unicode,
    /// ASCII alone. Text of people is not affected.
    Ascii,
}

/// Whether colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorSupport {
    /// The 16 colours of the terminal.
    On,
    /// Bold, dim and reverse alone.
    Off,
}

/// The reason why the interface ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UiExit {
    /// Its user quit.
    Asked,
    /// SIGINT or SIGQUIT.
    Interrupted,
    /// SIGTERM, or SIGHUP because the terminal is gone.
    Terminated,
    /// The runtime said the engine cannot go on; a person has read why.
    Fatal,
}

/// The reason why the interface could not go on. Nothing was lost: the runtime keeps what was
/// accepted.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// There is no terminal, or it is gone.
    #[error("the terminal cannot be used: {}", io_words(.0))]
    Terminal(#[from] std::io::Error),
    /// The runtime let go of its end of the channels.
    #[error("the node behind the interface has stopped")]
    RuntimeGone,
}

/// The question of the unlock screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockMode {
    /// Nothing is kept yet.
    FirstRun,
    /// A sealed store waits for its passphrase.
    Locked,
}

/// The choice of a person at the unlock screen.
#[derive(Clone, PartialEq, Eq)]
pub enum UnlockChoice {
    /// Make a store sealed by this passphrase.
    Create(Zeroizing<String>),
    /// Keep nothing.
    Memory,
    /// Open the store with this passphrase.
    Unlock(Zeroizing<String>),
}

impl core::fmt::Debug for UnlockChoice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create",
            Self::Memory => "Memory",
            Self::Unlock(_) => "Unlock",
        })
    }
}

/// The end of the unlock screen.
#[derive(Debug)]
pub enum UnlockOutcome<T> {
    /// The runtime opened what was asked for.
    Opened(T),
    /// Its user left, or a signal came.
    Left(UiExit),
}
