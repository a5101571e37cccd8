//! Who a client is, and what it may do.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::engine::price::line;
use crate::engine::secret::opaque_debug;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;

/// A client, as it introduces itself to a node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Its name and version, for people.
    pub name: String,
    /// What it is.
    pub kind: ClientKind,
    /// What it asks to be allowed.
    pub scope: Scope,
}

opaque_debug!(struct ClientInfo { name, kind, scope });

impl ClientInfo {
    /// A client of this kind that may do everything.
    #[must_use]
    pub fn new(kind: ClientKind) -> Self {
        let name = concat!("undertone ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { name, kind, scope: Scope::all() }
    }
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A person sits in front of it.
    Person,
    /// It acts by itself.
    Bot,
    /// It carries out one command.
    Command,
}

/// What a connection may do: asked for at its start, enforced by the node, never widened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The conversations it may read.
    pub read: ContactScope,
    /// The conversations it may write to.
    pub write: ContactScope,
    /// Whether it may change contacts and requests.
    pub manage: Permission,
    /// Whether it may change identities, settings and the node.
    pub admin: Permission,
}

/// Conversations that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactScope {
    /// None.
    None,
    /// Those with all contacts.
    All,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// It is refused.
    No,
    /// It is allowed.
    Yes,
}

impl Scope {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        let (contacts, yes) = (ContactScope::All, Permission::Yes);
        Self { read: contacts, write: contacts, manage: yes, admin: yes }
    }

    /// Whether a method with these needs may be called.
    #[must_use]
    pub const fn allows(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Read => matches!(self.read, ContactScope::All),
            Needs::Write => matches!(self.write, ContactScope::All),
            Needs::Manage => matches!(self.manage, Permission::Yes),
            Needs::Admin => matches!(self.admin, Permission::Yes),
        }
    }
}

/// What a method needs of the scope of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it tells no more than the node shows its neighbours.
    Nothing,
    /// To read conversations.
    Read,
    /// To write to a contact.
    Write,
    /// To change contacts and requests.
    Manage,
    /// To change identities, settings and the node.
    Admin,
}

/// The first answer of a node to a client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the client interface: a major number, which must be equal, and a minor one.
    pub api: [u16; 2],
    /// The version of the program.
    pub version: String,
    /// The name of the network.
    pub network: String,
    /// The least work that the network carries, in bits.
    pub floor: u8,
    /// Whether the node joins the network; one without works on the store alone, and a later node
    /// sends what it was told to.
    pub online: bool,
    /// How long the node runs.
    pub stay: Stay,
    /// What a connection may have at once.
    pub limits: Limits,
    /// What else the node was told at its start; the usual, if it does not say.
    #[serde(default)]
    pub start: StartOptions,
}

opaque_debug!(struct Hello { api, version, network, floor, online, stay, limits, start });

/// What a node was told at its start, beside its network. The node that takes over from it goes on
/// so.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOptions {
    /// The peers it stays connected to.
    pub peers: Vec<String>,
    /// The addresses it accepts connections on, as they were given.
    pub listen: Vec<String>,
    /// Whether it finds peers on the local network.
    pub lan: bool,
    /// The blocks of 2 KiB that it passes on at most, a second.
    pub line: NonZeroU32,
    /// The mean time between two junk envelopes, in milliseconds; none are sent while it is null.
    pub junk_ms: Option<u64>,
    /// The most work for an envelope without a limit of its own, in times of the usual.
    pub max_work: u32,
    /// The most threads on which it searches for work; `None` if it does not say.
    #[serde(default)]
    pub mining_threads: Option<usize>,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            listen: Vec::new(),
            lan: false,
            line: line::DEFAULT,
            junk_ms: None,
            max_work: DEFAULT_HIGHEST_STEP.times(),
            mining_threads: None,
        }
    }
}

opaque_debug!(struct StartOptions {
    peers, listen, lan, line, junk_ms, max_work, mining_threads,
});

/// How long a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stay {
    /// Until its owner ends it.
    Long,
    /// For one command.
    Brief,
}

/// What a connection may have at once; more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Connections of a node.
    pub connections: usize,
    /// Requests of a connection that are not answered.
    pub requests: usize,
    /// Streams of events of a connection.
    pub streams: usize,
    /// Bytes of a line.
    pub line: usize,
}

impl Limits {
    /// Those of this version.
    pub const OURS: Self = Self { connections: 32, requests: 64, streams: 16, line: 1 << 20 };
}

/// The version of the client interface that this program speaks.
pub const API_VERSION: [u16; 2] = [1, 0];
