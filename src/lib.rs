//! Undertone: an anonymous, serverless, end-to-end-encrypted messenger for the terminal.
//!
//! Every message is an envelope of one size that shows neither sender nor recipient. Envelopes
//! flood a network of libp2p nodes, each stamped with a little work; only its recipient can open
//! one. The README is the manual of the program, `proto/` the specification of the wire. This page
//! begins with the library; the rest of it is the architecture: the modules, the two ways through
//! them, and the rules that always hold.
//!
//! # The library
//!
//! A [`Client`] starts a node in its own process, or attaches to the one that runs in a home folder,
//! and speaks to both in the same way:
//!
//! - [`Client::call`] carries out a method. [`calls`] has a type for each, which says what it needs
//!   and what it answers.
//! - [`Client::events`] is a stream of what happens: each [`Event`] once, in order. A stream that is
//!   not read holds nothing up: [`Events::next`] tells that something was missed, and the
//!   [history](calls::History) has every message.
//! - [`Client::directory`] is the present picture of identities, contacts and requests.
//! - A [`Failure`] says what did not happen, why, what is safe and what to do next, and has a
//!   [`FailureCode`] for programs.
//!
//! [`NodeOptions`] say where a node keeps its state and which network it joins; [`Connect`] whether
//! one is started or attached to. The rest is what an event and an answer are made of.
//!
//! ```no_run
//! use undertone::{Client, EventFilter, Failure, From, NodeOptions, calls};
//!
//! # async fn answer() -> Result<(), Failure> {
//! let client = Client::start(NodeOptions::in_memory().peer("/ip4/192.0.2.7/tcp/4141")?).await?;
//! let me = client.call(calls::IdentityNew::new("bot")).await?;
//! println!("add me as a contact: {}", me.invite());
//! let mut events = client.events(EventFilter::all(), From::Now).await?;
//! while let Some(message) = events.incoming().await {
//!     let answer = format!("you wrote: {}", message.raw_text());
//!     client.call(calls::MessageSend::new(message.contact, answer)).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A stranger who adds the bot is a [`Request`] first, until it is accepted with
//! [`RequestAccept`](calls::RequestAccept): `examples/answering_bot.rs` does so. A client must be
//! used on a multi-threaded tokio runtime, or one that is never blocked.
//!
//! **A bot that survives a restart** keeps its state in a home folder:
//! `NodeOptions::in_home(HomeOptions::with_passphrase(path, Passphrase::new(text.into())?))`, and
//! [`Client::attach_or_start`] if somebody else may run a node in that home. A [`Cursor`] is good as
//! long as one node runs, which remembers the last 8,192 events; after a restart the history says
//! what came meanwhile. [`calls::Read`] marks how far a contact's messages were dealt with, and
//! `unread` of a [`Contact`] counts the rest: read the last `unread` messages of its
//! [history](calls::History), answer, and mark. A bot that is killed between its answer and the mark
//! answers twice, unless its answer names the question and it looks for that first.
//!
//! Programs in other languages speak the same methods and events as lines of JSON over a Unix
//! socket: the file `node.json` in the home folder names it while a node runs there. The first line
//! of each side says who it is (`{"undertone":{"api":[1,0],"client":"my bot 1.0"}}`), then requests
//! in the form of JSON-RPC 2.0 (`{"id":1,"method":"message.send","params":{"contact":"ben","text":"hi"}}`)
//! are answered in any order. `events.subscribe` with `{"from":"snapshot"}` begins a stream.
//!
//! # One picture
//!
//! ```text
//!     keys, files, sockets, time, entropy
//!   ┌──────────────── shell ────────────────┐    ┌──────── sim ────────┐
//!   │  ui  cli  bots   store   miner   net  │    │ virtual time, links │
//!   │   └── client ── runtime ───┴──────┘   │    │ that lose and delay,│
//!   └───────────┬───────────────▲───────────┘    │ crashes; one seed   │
//!         Input │               │ Output         └────┬───────────▲────┘
//!   ┌───────────▼───────────────┴───── engine ────────▼───────────┴────┐
//!   │  carrier: gate, queue, pool, price, sync │ user agent: contacts  │
//!   └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`engine`] decides, `shell` does, and [`sim`] drives the same engine in the shell's place. The
//! engine is a state machine: one [`Input`](engine::node::input::Input) in, some
//! [`Output`](engine::turn::Output)s back (changes to store, an [`Effect`](engine::turn::Effect),
//! or in debug builds the fingerprint of a key and nonce), carried out in their order before the
//! next input. Time and entropy are lent to it for one turn ([`engine::env::Env`]).
//!
//! # Two straight lines
//!
//! From the wire to the screen:
//!
//! | what happens | where |
//! |---|---|
//! | a gossipsub message; one that every node refuses alike ends here, before its id is remembered | `shell::net` |
//! | `Input::Gossip` | `shell::runtime`: `network` |
//! | decode; then life and grid, work, and time: `CheckedEnvelope`, or a `ValidationError` | [`engine::envelope::check()`] |
//! | wait, highest priority first | [`engine::relay::validation_queue`] |
//! | what shows less than the line asks is ignored | [`engine::price::line`], [`engine::relay`] |
//! | hold what shows what its share of the room asks; a full share lets the lowest go for far better | [`engine::relay::pool`], [`engine::price::room`] |
//! | `Effect::ReportValidation`; a relay's line ends here | [`engine::relay`] |
//! | wait for the user agent, in another queue | [`engine::relay`]: `inbox` |
//! | taken at a regular time, on another thread | `shell::runtime`, [`engine::node::UserAgent`] |
//! | route it by the topic of a session, else try it as an offer: a stranger's waits as a request in `engine::node::roster` | `engine::node::messenger` |
//! | decrypt, on a copy of the session | [`engine::session`] |
//! | read its number, put it in order, acknowledge it | [`engine::conversation`]: `receive`, `receive_window` |
//! | `Output::Commit`, durable before what follows | `shell::store`, by `shell::durable_node` |
//! | `Effect::Event`, as an [`Event`] in the log of the node | `shell::runtime`, `shell::event_log` |
//! | a stream of events, in this process or over the socket | `shell::client`, `shell::rpc` |
//! | the model, then cells; a line of `listen`; a bot | `shell::ui`, `shell::cli::commands` |
//!
//! From the screen to the wire:
//!
//! | what happens | where |
//! |---|---|
//! | a key, or a command | `shell::ui`, `shell::cli::commands` |
//! | [`calls::MessageSend`], to the node of this process or over the socket | `shell::client`, `shell::rpc` |
//! | `Command::Say`, as `Input::Command` | `shell::runtime`: `dispatch` |
//! | find the contact or the message it is about | `engine::node::commands` |
//! | accepted: `Output::Commit`, `Effect::Reply`, the answer of the method | [`engine::conversation`]: `commands` |
//! | when it is the next to go: number it, encrypt it, `Output::Commit` the session's next state | [`engine::conversation`]: `send`, `send_window` |
//! | ask what it costs now, or wait; date it; `Effect::StartMining` | `engine::node::publisher`, [`engine::price::asking`] |
//! | search; `Input::Mined` | `shell::miner` |
//! | our own gate: check and admit as if it came from outside | `engine::node::publisher` |
//! | `Effect::Publish`, to the network's thread | `shell::runtime` |
//! | gossipsub | `shell::net` |
//!
//! The copy that comes back from the flood is a duplicate like any other. Junk (`--junk`) joins the
//! second line where envelopes are dated, sealed under a key that is wiped at once.
//!
//! # Rooms of the engine
//!
//! A [`Node`](engine::node::Node) only routes, and so do its halves. They lend a turn (time, entropy,
//! ordered changes, events and effects, and the outbox of envelopes and jobs: [`engine::turn`]) to
//! machines that own their state:
//!
//! | room | owns | knows nothing of |
//! |---|---|---|
//! | [`engine::shares`] | who gives way when all of some places are taken | what the places are for |
//! | [`engine::relay`] | the gate: it refuses what `check`, the queue or the pool refuses, and reports each verdict | contacts, sessions |
//! | [`engine::sync`] | catching up, as client and as server | contacts, sessions |
//! | [`engine::carrier`] | the half that the network sees: relay, catching up, price, neighbours | all of the other half |
//! | [`engine::conversation`] | one contact: its sessions, windows, receipts, trust | other contacts, the pool, neighbours |
//! | `engine::node::messenger` | all conversations, and the routing to them | the inside of a conversation |
//! | `engine::node::roster` | our identities; strangers' offers, as requests until a person accepts or declines one; the replay cache | contacts |
//! | `engine::node::publisher` | one envelope at a time, from job to flood | the content of an envelope |
//!
//! In a conversation `send_window` numbers our messages and keeps them until they are acknowledged,
//! `receive_window` orders theirs, `retransmit` says when a message that was not acknowledged is
//! sent again and for how long (`send` does it), `handshake` and `sessions` offer, answer and
//! choose, `verification` holds sending back while a key is in doubt, `receipts` tell how far a
//! person has read, `rollback` notices that our state is older than messages we already sent, and
//! `contents` sorts the contents of a payload.
//!
//! # Doors
//!
//! The places where planned parts will stand:
//!
//! - **A new kind of content** (a reply, an edit, a reaction, a part of a file): its bytes in
//!   `engine::session::payload`, its meaning in `engine::conversation::contents`, which every
//!   payload passes. What it does to the order of messages is decided there and nowhere else.
//! - **A group conversation**: a machine beside [`engine::conversation`], fed by the same topics
//!   and publishing through the same outbox. It needs its own windows, one for each member, made of
//!   the two that are there; `engine::node::messenger` routes to it by topic as it does to a
//!   contact.
//! - **A second device**: its messages are another epoch of the same contact, so it stands between
//!   `engine::node::messenger` and the conversations, and the receive window tells devices apart by
//!   epoch. State that both need goes as contents to oneself.
//! - **A stem of relays**: between `engine::node::publisher` and the flood. Today a finished
//!   envelope becomes `Effect::Publish`; with a stem it becomes a cell to a neighbour instead.
//!   Neither the conversations nor the relay's gate see the difference.
//! - **A lock**: `Node::unload_roster` drops identities, contacts and conversations from memory and
//!   `Node::load_roster` takes them back, while relay, pool, catching up and junk go on.
//!
//! # Layers
//!
//! A module may name itself and the modules before it, never one beside or after it.
//! `tests/tidy` holds this, because inside one package the compiler does not.
//!
//! ```text
//! engine   env  <  testing  <  id | secret | shares | text  <  crypto | price  <  envelope
//!          <  relay::{ranking, validation_queue}  <  relay::pool | session  <  record | settings
//!          <  command | event  <  turn  <  relay  <  sync  <  conversation  <  node
//! sim      above node; nothing names it
//! shell    os::exit_code  <  failure  <  calendar | os::{clock, data_dir, disk, memory, power}
//!          <  api  <  os::{passphrase, signals} | text | event_log  <  net | store | miner
//!          <  archive | backup | durable_node | exported  <  budget | failures  <  runtime  <  rpc
//!          <  client
//!          <  ui  <  cli::args  <  cli::{input, message_format, output}
//!          <  cli::{connect, line_queue}  <  cli::commands  <  main
//! ```
//!
//! `net` cannot call `ui`, `session` cannot call `relay`; they meet in `runtime` and in `node`. No
//! two files of the engine name each other in a circle, no type has more than 40 methods of its own
//! or has them in more than two files, and few names stand for two types: `tests/tidy` holds that
//! too. The node speaks to every front end, the interface and scripts alike, in the types of
//! `shell::api`, which this page re-exports.
//!
//! # What always holds
//!
//! - **The engine does nothing.** No socket, file, clock or random generator is named under
//!   [`engine`]; the same seed gives the same trace.
//! - **Nothing unchecked is held or sent.** Only a
//!   [`CheckedEnvelope`](engine::envelope::CheckedEnvelope) enters the pool, only `check` makes
//!   one, and our own pass it too.
//! - **Refusing changes nothing** but counters and the memory of ids. Sessions decrypt on a copy
//!   that replaces the original on success.
//! - **Verdicts come first.** Whether an envelope is passed on does not depend on whether it is for
//!   us, and is said before anything is decrypted or stored.
//! - **Stored before sent.** The step of a session that made an envelope is durable before the
//!   envelope leaves, so a crash repeats no key. The simulator crashes nodes between any two
//!   outputs, and debug builds can write a ledger with a fingerprint of every pair of key and nonce
//!   used.
//! - **A message has one name** through sending again, restarts and new sessions, so it is shown
//!   once and in its place.
//! - **A relay is a node without an identity**: its gate hands nothing on to a messenger, and every
//!   command is refused. It stores nothing on disk, unless it was asked to be an
//!   archive of the flood.
//! - **Nothing that can be read delays the network.** The carrier and libp2p have a thread of their own.
//!   What is let through waits in a queue of a bounded length, and the user agent looks there at
//!   regular times, on a thread that gives way; if the queue was full it looks through the pool.
//! - **No client delays the node.** A call is answered into a place that is kept free for it, an
//!   event goes into a log of a bounded length, and a stream is a place in that log: a client that
//!   does not read learns what it missed. Clients wait in tasks of their own.
//! - **Everything has a bound** with a name beside the code it bounds, and every task an owner.
//! - **Secrets wipe themselves** and cannot be printed ([`engine::secret`]). Text from others is an
//!   [`UntrustedText`](engine::text::UntrustedText) until a sanitizer made for the screen, a line
//!   or JSON has made it printable. The log holds counts and kinds.
//!
//! # Where to begin
//!
//! [`engine::node::Node`], [`engine::relay`] and `receive` in [`engine::conversation`] read as the
//! first table; `shell::runtime` is the loop around it, `runtime::dispatch` what answers clients;
//! `shell::cli::commands` is the program. To put the engine into something else: drive it as
//! [`sim::World`] does, or be a [`Client`]. `engine::text` and `shell::ui::model` are long and can
//! wait.
//!
//! # Where building departed from the design
//!
//! - The loops are in `shell::runtime`, apart from `shell::durable_node`, which is one turn of the user
//!   agent and what makes it durable. A command that needs no network starts the same runtime without one.
//! - [`engine::relay::validation_queue`] stands between the flood and the pool, so that under load
//!   the envelopes of the highest priority go first and a flood of cheap ones waits behind them.
//! - A node without the room of a relay says to a neighbour what it heard from *others*: two such
//!   nodes that hear each other's words as news would hold one another to a price that nobody asks.
//! - What was held before a restart is held again if there is room, whatever its share asks by then:
//!   it had paid when it came ([`engine::relay::pool::Pool::readmit`]).
//! - A message whose price rises above its limit while its work is searched for is published for
//!   what it may cost, and never told as in the pool for its life: kept back, it would be in the way
//!   of all that come after it for hours.
//! - `Output::Commit` carries all changes of a step at once: a session's state, a message's number
//!   and the envelope it became are durable together or not at all.
//! - A conversation ([`engine::conversation`]) numbers and repeats messages above the sessions. A
//!   message can then cross from one session to the next without being shown twice.
//! - Sessions have one suite, with ML-KEM always: nothing is negotiated, so nothing can be talked
//!   down.
//! - An offer commits to the secret behind the words that people compare, before the answer exists,
//!   so six words are enough.
//! - A message's position in its chain is found by its topic before anything is opened, and a chain
//!   has a fixed number of positions: a message from the other side begins the next chain, so no
//!   window slides.
//! - The answer goes with every message that leaves room for it; a longer one goes without, and
//!   waits in the contact's pool until an answer was opened.
//! - The salt of a sealed row lies in a table of its own, where it is overwritten in place: SQLite
//!   leaves copies of rows behind even with `secure_delete`, and without their salts they cannot be
//!   read.
//! - A restored older state notices that a contact acknowledges numbers it never gave, and begins
//!   another epoch (`engine::conversation::rollback`).
//! - Sending and commands are functions of their own chapters (`send`, `commands`) over a
//!   conversation, and its sessions are owned by a `Handshake`: so the type itself has 40 methods,
//!   and each of them is about receiving, timers or storing.
//! - A conversation shares its identity's secret key (one allocation, wiped with the last holder)
//!   instead of being lent it with every call: it can be built and driven without a roster.
//! - The order of changes and effects is explicit. An effect that needs changes to be durable first
//!   is preceded by `Turn::settle`; any other, such as stopping a search, goes out before the changes
//!   that wait. Settling before each effect would split commits, and could store a session's step
//!   without the message it opened.
//! - The envelope's encoding is written by hand: a general Protocol Buffers reader accepts many
//!   encodings of one envelope, and there must be one. A test compiles the schema and compares.
//! - Front ends join the lines at `shell::client`, with a type for each method and event; one in
//!   another process speaks the same types as lines of JSON, over the socket of the node
//!   (`shell::rpc`).
//! - A stream of events is a place in one log of the node, and not a queue of its own: a client
//!   that stops reading costs nothing, and goes on from its [`Cursor`] as long as the log remembers.
//!   The figures of the network are in no log; the last ones are delivered.
//! - [`From::Snapshot`] begins a stream with the present state, so that no front end has to join a
//!   list and a stream. Its end is [`Event::Network`].
//! - A node that runs for one command ([`Stay::Brief`]) gives way to one that stays: the command
//!   goes on with the new node, because a wait names its message by its id.
//! - A client that takes nothing is cut off after ten minutes, not after one: an interface that was
//!   suspended (Ctrl+Z) goes on where it was, and meanwhile holds one place of 32.
//! - A passphrase is changed beside the node and not by it: the key of the database stays the same,
//!   and so no passphrase crosses the socket.

pub mod engine;
// The tests of this package look inside; to everybody else the facade below is all there is, and the
// compiler finds what nobody uses.
#[cfg(feature = "inside")]
#[doc(hidden)]
pub mod shell;
#[cfg(not(feature = "inside"))]
mod shell;
pub mod sim;

pub use engine::event::{
    ContactView, Direction, HeldBack, IdentityView, MessageView, RequestView, SendRoom,
    SessionStatus, WaitsFor,
};
pub use engine::id::{ContactId, IdentityId, MessageId, RequestId};
pub use engine::record::MessageState;
pub use shell::api::{
    ArchiveStatus, ClientInfo, ClientKind, Contact, ContactScope, Cursor, CursorError, Delivery,
    Directory, Event, EventFilter, EventKind, From, Hello, Identity, Limits, Message,
    MessageChange, MinerStatus, MiningStatus, Needs, NetworkStatus, Permission, Persistence,
    Request, Scope, StartOptions, StatusReport, Stay, calls,
};
pub use shell::archive::ArchiveOverflow;
pub use shell::client::{
    ArchiveOptions, Client, Connect, CreateStore, Events, GivenOption, HomeOptions, NodeOptions,
    StoreOptions,
};
pub use shell::failure::{Failure, FailureCode, FailureText};
pub use shell::miner::MiningThreads;
pub use shell::os::exit_code::ExitCode;
pub use shell::os::passphrase::{Passphrase, PassphraseError};

#[doc(hidden)]
pub use shell::cli::commands::program;
