//! Undertone: an anonymous, serverless, end-to-end-encrypted messenger for the terminal.
//!
//! Every message is an envelope of one size that shows neither sender nor recipient. Envelopes flood
//! a network of libp2p nodes, each stamped with a little work; whoever can open one is who it was
//! for. This page is the architecture: where things are, which way they go, and what is never there.
//! The README says how to use the program, `proto/` what goes over the wire.
//!
//! # One picture
//!
//! ```text
//!     keys, files, sockets, time, entropy
//!   ┌──────────────── shell ────────────────┐    ┌──────── sim ────────┐
//!   │  ui   cli        store   miner   net  │    │ virtual time, links │
//!   │   └──────┴───── runtime ───┴──────┘   │    │ that lose and delay,│
//!   └───────────┬───────────────▲───────────┘    │ crashes; one seed   │
//!         Input │               │ Output         └────┬───────────▲────┘
//!   ┌───────────▼───────────────┴───── engine ────────▼───────────┴────┐
//!   │  node:  queue, pool  ·  sessions, conversations  ·  outbox       │
//!   └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`engine`] decides, [`shell`] does, and [`sim`] drives the same engine in the shell's place. The
//! engine is a state machine: one [`Input`](engine::node::input::Input) in, some
//! [`Output`](engine::turn::Output)s back, carried out in their order before the next input.
//! Time and entropy are lent to it for one turn ([`engine::env::Env`]).
//!
//! # Two straight lines
//!
//! From the wire to the screen:
//!
//! | what happens | where |
//! |---|---|
//! | a gossipsub message, handed up unjudged | [`shell::net`] |
//! | `Input::Gossip` | [`shell::runtime`] |
//! | decode; then time, then work: `CheckedEnvelope`, or a `ValidationError` | [`engine::envelope::check()`] |
//! | wait, highest priority first | [`engine::relay::validation_queue`] |
//! | admit, and evict those of the lowest priority | [`engine::relay::pool`] |
//! | `Output::ReportValidation`; a relay's line ends here | `engine::node::inbound` |
//! | is it for us? a session's topic, else an offer to an identity | [`engine::session`] |
//! | its number, its order, what it acknowledges | `engine::node::talk` |
//! | `Output::Commit`, durable before what follows | [`shell::store`], by [`shell::durable_node`] |
//! | `Output::Event` | [`shell::runtime`] |
//! | the model, then cells | [`shell::ui::model`], [`mod@shell::ui::view`] |
//!
//! From the screen to the wire:
//!
//! | what happens | where |
//! |---|---|
//! | a key, or a line of a script | [`shell::ui`], [`shell::cli::commands`] |
//! | `Command::Say`, as `Input::Command` | [`shell::runtime`] |
//! | accepted: `Output::Commit`, `Output::Reply` | `engine::node::commands` |
//! | its turn comes: number it, encrypt it, `Output::Commit` the session's next state | `engine::node::say` |
//! | date it; `Output::StartMining` | `engine::node::publisher` |
//! | search; `Input::Mined` | [`shell::miner`] |
//! | our own gate: check and admit as if it came from outside | `engine::node::publisher` |
//! | `Output::Publish` | [`shell::runtime`] |
//! | gossipsub | [`shell::net`] |
//!
//! What comes back from the flood is then a duplicate like any other. Junk (`--junk`) joins the
//! second line where envelopes are dated, sealed under a key that is wiped at once.
//!
//! # Layers
//!
//! A module may name itself and what stands before it, never what stands beside or after it.
//! `tests/tidy.rs` holds this, because inside one package the compiler does not.
//!
//! ```text
//! engine   env text  <  id secret testing  <  crypto  <  envelope  <  session | relay | sync  <  node
//! sim      above node; nothing names it
//! shell    api | calendar | os  <  net | store | ui | miner
//!          <  archive | backup | cli::args | durable_node  <  runtime  <  cli::error
//!          <  cli::{directory, message_format, open_store, output}  <  cli::commands  <  main
//! ```
//!
//! `net` cannot call `ui`, `session` cannot call `relay`; they meet in `runtime` and in `node`. The runtime
//! speaks to every front end, the interface and scripts alike, in the words of [`shell::api`].
//!
//! # What always holds
//!
//! - **The engine does nothing.** No socket, file, clock or random generator is named under
//!   [`engine`]; the same seed gives the same trace.
//! - **Nothing unchecked is held or sent.** Only a [`CheckedEnvelope`](engine::envelope::CheckedEnvelope) envelope
//!   enters the pool, only `check` makes one, and our own pass it too.
//! - **Refusing changes nothing** but counters and the memory of ids. Sessions decrypt on a copy
//!   that replaces the original on success.
//! - **Verdicts come first.** Whether an envelope is passed on does not depend on whether it is for
//!   us, and is said before anything is decrypted or stored.
//! - **Stored before sent.** The step of a session that made an envelope is durable before the
//!   envelope leaves, so a crash repeats no key. The simulator crashes nodes between any two outputs,
//!   and debug builds can write a ledger of every key and nonce used.
//! - **A message has one name** through sending again, restarts and new sessions, so it is shown
//!   once and in its place.
//! - **A relay is a node without an identity**, by one match on its role. It stores nothing on disk,
//!   unless it was asked to be an [`archive`](shell::archive) of what floods.
//! - **Everything has a bound** with a name beside the code it bounds, and every task an owner.
//! - **Secrets wipe themselves** and cannot be printed ([`engine::secret`]). Text from others is a
//!   [`UntrustedText`](engine::text::UntrustedText) until a sanitizer made for the screen, a line or JSON has
//!   turned it into something printable. The log holds counts and kinds.
//!
//! # Where to begin
//!
//! [`engine::node::Node`] and its `inbound` file read as the first table;
//! [`shell::runtime::Runtime`] is the loop around it; [`shell::cli::commands`] is the program. To put the engine
//! into something else: drive it as [`sim::World`] does, or take a
//! [`Runtime`](shell::runtime::Runtime) with a [`Store`](shell::store::Store) and speak to it over a channel.
//! `engine::text` and `shell::ui::model` are long and dull.
//!
//! # Where building departed from the design
//!
//! - The loop is [`shell::runtime`], apart from [`shell::durable_node`]: commands that only read and write what
//!   is kept need turns that are durable and no network.
//! - [`engine::relay::validation_queue`] stands between the flood and the pool, so that under load the best rated
//!   envelopes are looked at first and a flood of cheap ones waits behind them.
//! - `Output::Commit` carries all changes of a step at once: a session's state, a message's number
//!   and the envelope it became are durable together or not at all.
//! - A conversation (`engine::node::{talk, say}`) numbers and repeats messages above the sessions. A message
//!   can then cross from one session to the next without being shown twice.
//! - Sessions have one suite, with ML-KEM always: nothing is negotiated, so nothing can be talked down.
//! - An offer commits to what the words people compare are made of, so six words are enough.
//! - A message's place is told by its topic and found before anything is opened, and a chain has a
//!   fixed number of positions: what is heard back begins the next chain, so no window slides.
//! - The answer goes with every message that leaves room for it; one that does not waits in the pool.
//! - What sealing a row draws (its salt) lies in a table of its own, where it is overwritten in place:
//!   SQLite leaves copies of rows behind even with `secure_delete`, and without their salts they
//!   cannot be read.
//! - A state that was put back notices that a contact acknowledges what it does not know of, and
//!   begins another numbering (`engine::node::forgotten`).
//! - The envelope's encoding is written by hand: a general Protocol Buffers reader accepts many
//!   encodings of one envelope, and there must be one. A test compiles the schema and compares.
//! - Scripts join the lines at `Command` and `Event` through [`shell::cli::commands`] and a socket in the
//!   home folder, which speaks one line of JSON each way.

pub mod engine;
pub mod shell;
pub mod sim;
