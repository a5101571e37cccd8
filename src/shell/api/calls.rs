//! The methods of the client interface: one table of names, parameters, answers and needs.
//!
//! The table makes a type for each method ([`Call`]), the sum of them that a connection carries
//! ([`AnyCall`], [`AnyReply`]) and the trait that the node's dispatcher implements ([`Answer`]): a
//! method without an answer does not compile.

use core::time::Duration;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::access::Needs;
use super::status::StatusReport;
use super::words::WorkLimit;
use super::{Contact, Identity, Message, Request, wire};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, MessageId};
use crate::engine::price::Step;
use crate::engine::record::MessageState;
use crate::engine::secret::opaque_debug;
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// A method: a value is one call of it.
pub trait Call: Serialize + DeserializeOwned + Send + Sync {
    /// Its name on the socket.
    const METHOD: &'static str;
    /// What it needs of the scope of its caller.
    const NEEDS: Needs;
    /// Its answer.
    type Reply: Serialize + DeserializeOwned + Send;

    /// The call as one of all.
    fn into_any(self) -> AnyCall;

    /// The answer of this method; none if it is that of another.
    fn reply_of(any: AnyReply) -> Option<Self::Reply>;
}

macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $name:ident = $method:literal, $needs:ident, $handler:ident {
            $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)?
        } -> $reply:ty;
    )+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $( $(#[$field_doc])* pub $field: $type, )*
            }

            // The parameters name people and hold texts.
            impl core::fmt::Debug for $name {
                fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    f.write_str(stringify!($name))
                }
            }

            impl Call for $name {
                const METHOD: &'static str = $method;
                const NEEDS: Needs = Needs::$needs;
                type Reply = $reply;

                fn into_any(self) -> AnyCall {
                    AnyCall::$name(self)
                }

                fn reply_of(any: AnyReply) -> Option<$reply> {
                    if let AnyReply::$name(reply) = any { Some(reply) } else { None }
                }
            }
        )+

        /// One call of any method.
        #[derive(Clone)]
        pub enum AnyCall {
            $( #[doc = concat!("`", $method, "`")] $name($name), )+
        }

        /// The answer of any method.
        #[derive(Clone)]
        pub enum AnyReply {
            $( #[doc = concat!("Of `", $method, "`")] $name($reply), )+
        }

        opaque_debug!(enum AnyCall { $($name),+ });
        opaque_debug!(enum AnyReply { $($name),+ });

        /// What answers every method.
        pub trait Answer {
            /// Why a call was not answered.
            type Error;

            $(
                #[doc = concat!("Answers `", $method, "`.")]
                ///
                /// # Errors
                /// Why it was not carried out.
                fn $handler(&mut self, call: $name) -> Result<$reply, Self::Error>;
            )+
        }

        /// The names of all methods, in the order of the table.
        pub const METHODS: &[&str] = &[$($method),+];

        impl AnyCall {
            /// The name of the method.
            #[must_use]
            pub const fn method(&self) -> &'static str {
                match self {
                    $( Self::$name(_) => $method, )+
                }
            }

            /// What it needs of the scope of its caller.
            #[must_use]
            pub const fn needs(&self) -> Needs {
                match self {
                    $( Self::$name(_) => Needs::$needs, )+
                }
            }

            /// Has it answered.
            ///
            /// # Errors
            /// Why it was not.
            pub fn answer<A: Answer>(self, by: &mut A) -> Result<AnyReply, A::Error> {
                match self {
                    $( Self::$name(call) => by.$handler(call).map(AnyReply::$name), )+
                }
            }

            /// Reads a call from its method and its parameters, an object of JSON.
            ///
            /// # Errors
            /// When there is no such method, and when the parameters are not those of the method:
            /// the error names the one that is wrong.
            pub fn parse(method: &str, params: &str) -> Result<Self, Failure> {
                match method {
                    $( $method => read::<$name>($method, params).map(Self::$name), )+
                    _ => Err(no_such_method(method)),
                }
            }

            /// Reads the answer to this call.
            ///
            /// # Errors
            /// When it is not one.
            pub fn read_reply(&self, reply: &str) -> Result<AnyReply, serde_json::Error> {
                match self {
                    $( Self::$name(_) => serde_json::from_str(reply).map(AnyReply::$name), )+
                }
            }
        }

        /// The parameters of the method.
        impl Serialize for AnyCall {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    $( Self::$name(call) => call.serialize(to), )+
                }
            }
        }

        impl AnyReply {
            /// The answer as JSON.
            ///
            /// # Errors
            /// When it cannot be written.
            pub fn to_raw(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self {
                    $( Self::$name(reply) => serde_json::value::to_raw_value(reply), )+
                }
            }
        }
    };
}

calls! {
    /// The figures of the node and of its network.
    Status = "status", Nothing, status {} -> StatusReport;

    /// Our identities.
    IdentityList = "identity.list", Read, identity_list {} -> Page<Identity>;
    /// One identity.
    IdentityShow = "identity.show", Read, identity_show {
        /// Its name; the one that speaks if there is none.
        #[serde(default)]
        identity: Option<String>,
    } -> Identity;
    /// Makes an identity.
    IdentityNew = "identity.new", Admin, identity_new {
        /// Its name, which nobody else sees.
        name: String,
    } -> Identity;
    /// Makes an identity the one that speaks where none is named.
    IdentityUse = "identity.use", Admin, identity_use {
        /// Its name.
        name: String,
    } -> Identity;
    /// Erases an identity with its contacts, requests and messages.
    IdentityDelete = "identity.delete", Admin, identity_delete {
        /// Its name.
        name: String,
        /// Its name once more.
        #[serde(default)]
        confirm: Option<String>,
    } -> Done;

    /// Contacts, in the order of their ids.
    ContactList = "contact.list", Read, contact_list {
        /// The identity whose contacts they are; those of all if there is none.
        #[serde(default)]
        identity: Option<String>,
        /// Those after this contact; from the first on if there is none.
        #[serde(default)]
        after: Option<Id>,
    } -> Page<Contact>;
    /// One contact.
    ContactShow = "contact.show", Read, contact_show {
        /// The contact.
        contact: ContactRef,
    } -> Contact;
    /// Adds a contact, and offers them a session.
    ContactAdd = "contact.add", Manage, contact_add {
        /// The identity they know us by; the one that speaks if there is none.
        #[serde(default)]
        identity: Option<String>,
        /// Their invite.
        invite: String,
        /// Our name for them.
        name: String,
        /// The most work for whatever goes to them, the request first, in times of the floor: 1, 2,
        /// 4 .. 256. While the network asks for more, it waits. What the node pays usually if not
        /// said. [`ContactSet`] changes it.
        #[serde(default, with = "wire::max_work")]
        max_work: Option<Step>,
    } -> Contact;
    /// Gives a contact another name.
    ContactRename = "contact.rename", Manage, contact_rename {
        /// The contact.
        contact: ContactRef,
        /// Our name for them from here on.
        name: String,
    } -> Contact;
    /// Ignores a contact, and erases the sessions with them.
    ContactBlock = "contact.block", Manage, contact_block {
        /// The contact.
        contact: ContactRef,
    } -> Changed;
    /// Ends the block of a contact.
    ContactUnblock = "contact.unblock", Manage, contact_unblock {
        /// The contact.
        contact: ContactRef,
    } -> Changed;
    /// Removes a contact with all messages.
    ContactRemove = "contact.remove", Manage, contact_remove {
        /// The contact.
        contact: ContactRef,
        /// Their name once more.
        #[serde(default)]
        confirm: Option<String>,
    } -> Done;
    /// Replaces the key of a contact. Sending is paused until they are verified or accepted.
    ContactRekey = "contact.rekey", Manage, contact_rekey {
        /// The contact.
        contact: ContactRef,
        /// The invite with their other key.
        invite: String,
    } -> Contact;
    /// Ends a pause of sending without a comparison.
    ContactAcceptKey = "contact.accept_key", Manage, contact_accept_key {
        /// The contact.
        contact: ContactRef,
    } -> Contact;
    /// Compares what a contact read out with what this machine computed. Exactly one of the two is
    /// given.
    ContactVerify = "contact.verify", Manage, contact_verify {
        /// The contact.
        contact: ContactRef,
        /// Their three words, in order.
        #[serde(default)]
        words: Option<Vec<String>>,
        /// The 60 digits of the safety number.
        #[serde(default)]
        digits: Option<String>,
    } -> Comparison;
    /// Changes settings of a contact. Those that are left out stay.
    ContactSet = "contact.set", Manage, contact_set {
        /// The contact.
        contact: ContactRef,
        /// Whether read marks are exchanged with them.
        #[serde(default)]
        read_marks: Option<bool>,
        /// What may be paid for whatever goes to them, from here on.
        #[serde(default)]
        max_work: Option<WorkLimit>,
    } -> Changed;
    /// Closes the session with a contact: they are sent a farewell, and the keys are erased.
    ContactClose = "contact.close", Manage, contact_close {
        /// The contact.
        contact: ContactRef,
    } -> Contact;

    /// Requests of strangers, oldest first.
    RequestList = "request.list", Read, request_list {
        /// The identity they are for; all if there is none.
        #[serde(default)]
        identity: Option<String>,
    } -> Page<Request>;
    /// Makes a contact of a stranger, and answers their offer.
    RequestAccept = "request.accept", Manage, request_accept {
        /// Its id, or the first digits of their key, at least four.
        request: String,
        /// Our name for them.
        name: String,
    } -> Contact;
    /// Declines a request. Nothing is sent.
    RequestDecline = "request.decline", Manage, request_decline {
        /// Its id, or the first digits of their key, at least four.
        request: String,
    } -> Done;

    /// Sends a text. It is stored when the answer comes, and is not lost.
    MessageSend = "message.send", Write, message_send {
        /// The contact it is for.
        contact: ContactRef,
        /// The text.
        text: String,
        /// How long the network keeps it: `6h`, `day` or `week`.
        #[serde(default, with = "wire::lifetime")]
        life: Lifetime,
        /// The most work for each of its envelopes, in times of the floor: 1, 2, 4 .. 256. While
        /// the network asks for more, the message waits. What is paid for the contact if not said.
        /// What goes to the contact before it may cost as much, until it is delivered.
        #[serde(default, with = "wire::max_work")]
        max_work: Option<Step>,
    } -> Sent;
    /// One message.
    MessageShow = "message.show", Read, message_show {
        /// The first digits of its id, 4 to 16.
        message: MessageRef,
    } -> Message;
    /// Withdraws a message that has not been sent.
    MessageCancel = "message.cancel", Write, message_cancel {
        /// The first digits of its id, 4 to 16.
        message: MessageRef,
    } -> Message;
    /// Sends a message once more that failed, was cancelled or was not acknowledged.
    MessageRetry = "message.retry", Write, message_retry {
        /// The first digits of its id, 4 to 16.
        message: MessageRef,
    } -> Message;
    /// Erases a message on this device.
    MessageDelete = "message.delete", Manage, message_delete {
        /// The first digits of its id, 4 to 16.
        message: MessageRef,
        /// The same digits once more.
        #[serde(default)]
        confirm: Option<String>,
    } -> Done;
    /// Waits until a message of ours has a state or a later one, or has ended without it.
    MessageWait = "message.wait", Read, message_wait {
        /// The first digits of its id, 4 to 16.
        message: MessageRef,
        /// The state.
        #[serde(with = "wire::state")]
        state: MessageState,
        /// The longest wait in seconds, at most [`MAX_WAIT`].
        timeout_s: u64,
    } -> Waited;

    /// A part of a conversation, oldest first.
    History = "history", Read, history {
        /// The contact of the conversation.
        contact: ContactRef,
        /// The place that the part lies around.
        #[serde(default)]
        around: Around,
        /// The most messages before that place, at most [`MAX_HISTORY`]; 50 if a request leaves it out.
        #[serde(default = "usual_history")]
        before: usize,
        /// The most messages after it, at most [`MAX_HISTORY`].
        #[serde(default)]
        after: usize,
    } -> HistoryPart;
    /// Messages with certain words, newest first.
    Search = "search", Read, search {
        /// All of them must be there; the last may be the beginning of one.
        text: String,
        /// The contact whose conversation is searched; all if there is none.
        #[serde(default)]
        contact: Option<ContactRef>,
        /// Those before this message; the newest if there is none.
        #[serde(default)]
        before: Option<MessageRef>,
        /// The most messages, at most [`MAX_HISTORY`].
        limit: usize,
    } -> Page<Message>;
    /// A person has read a conversation up to a message of the contact's. Those after it stay
    /// unread.
    Read = "read", Manage, read {
        /// The contact who wrote it.
        contact: ContactRef,
        /// The newest message of theirs that was in view.
        up_to: MessageRef,
    } -> Unread;

    /// Writes a backup to a file of this computer that does not exist.
    BackupCreate = "backup.create", Admin, backup_create {
        /// The file, by its absolute path.
        file: PathBuf,
        /// The head of the file, and the key that it names, as hexadecimal digits: the passphrase
        /// stays with the caller.
        sealing: BackupSealing,
        /// Whether messages are in it.
        history: bool,
    } -> BackupReport;
    /// Adds messages of an export to a conversation. Nothing is sent.
    Import = "import", Admin, import {
        /// The contact of the conversation.
        contact: ContactRef,
        /// Lines of an export, in their order.
        lines: Vec<Box<RawValue>>,
        /// Whether more lines follow with the next call: all are taken with the last one, or none.
        #[serde(default)]
        more: bool,
        /// Whether nothing is to be changed.
        #[serde(default)]
        dry_run: bool,
    } -> ImportReport;

    /// Ends the node.
    NodeStop = "node.stop", Admin, node_stop {} -> Done;
}

impl MessageSend {
    /// A text for a contact, kept by the network for a day.
    #[must_use]
    pub fn new(contact: impl Into<ContactRef>, text: impl Into<String>) -> Self {
        Self {
            contact: contact.into(),
            text: text.into(),
            life: Lifetime::default(),
            max_work: None,
        }
    }
}

impl ContactAdd {
    /// A contact with this invite, by our name for them.
    #[must_use]
    pub fn new(invite: impl Into<String>, name: impl Into<String>) -> Self {
        Self { identity: None, invite: invite.into(), name: name.into(), max_work: None }
    }
}

impl RequestAccept {
    /// The request of a stranger, who gets this name.
    #[must_use]
    pub fn new(request: &Request, name: impl Into<String>) -> Self {
        Self { request: request.key.hex(), name: name.into() }
    }
}

impl IdentityNew {
    /// An identity with this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Whether there is more after it.
    pub more: bool,
}

/// Done, with nothing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// A contact after a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The contact as it is now.
    pub contact: Contact,
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// They are the same: the contact is verified.
    Same,
    /// They differ: sending to the contact is paused.
    Differs {
        /// The first word that differs, as people count the six; none if digits were compared.
        word: Option<usize>,
        /// Tries left; at 0 the session has been erased.
        left: u8,
    },
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    #[serde(with = "wire::id")]
    pub id: MessageId,
    /// How many messages the text became.
    pub parts: u32,
    /// The seconds that its proof of work takes on average; none while that is not known.
    pub work_s: Option<u64>,
    /// Whether sending to the contact is paused: it is not sent before a person has decided.
    pub on_hold: bool,
}

/// The end of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Whether the time was over first.
    pub time_over: bool,
    /// The message as it is now.
    pub message: Message,
}

/// The place that a part of a conversation lies around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Around {
    /// The end: `before` counts from the newest message.
    #[default]
    Newest,
    /// The beginning: `after` counts from the oldest message.
    Oldest,
    /// A message, which is not in the part itself.
    Message(Id),
}

/// A part of a conversation, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a part has two ends")]
pub struct HistoryPart {
    /// The messages.
    pub items: Vec<Message>,
    /// Whether there are older ones before them.
    pub older: bool,
    /// Whether there are newer ones after them.
    pub newer: bool,
}

/// How many messages of a contact are unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The number.
    pub unread: u64,
}

/// What a backup contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// When it was made.
    #[serde(with = "wire::time")]
    pub made: UnixSeconds,
    /// Whether messages are in it.
    pub history: bool,
    /// Identities in it.
    pub identities: usize,
    /// Contacts in it.
    pub contacts: usize,
    /// Messages in it.
    pub messages: u64,
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Messages that were given.
    pub found: usize,
    /// Those of them that were not there before.
    pub taken: usize,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// The head of a backup and the key that opens this one file.
#[derive(Clone, Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct BackupSealing {
    /// The head of the file, as hexadecimal digits.
    pub head: String,
    /// The key, as 64 hexadecimal digits.
    pub key: String,
}

opaque_debug!(struct BackupSealing { head, key });

/// A contact, as a caller means it: a name, an id, or a name among the contacts of an identity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContactRef {
    /// By our name for them, among the contacts of the identity that speaks.
    Name(String),
    /// By the id.
    Id {
        /// The id.
        #[serde(with = "wire::id")]
        id: ContactId,
    },
    /// By our name for them, among the contacts of this identity.
    Of {
        /// The name.
        name: String,
        /// The identity; the one that speaks if there is none.
        identity: Option<String>,
    },
}

opaque_debug!(
    enum ContactRef {
        Name,
        Id,
        Of,
    }
);

impl From<&str> for ContactRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for ContactRef {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<ContactId> for ContactRef {
    fn from(id: ContactId) -> Self {
        Self::Id { id }
    }
}

/// A message, by the first hexadecimal digits of its id: 4 to 16 of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageRef(pub String);

opaque_debug!(struct MessageRef(_));

impl From<MessageId> for MessageRef {
    fn from(id: MessageId) -> Self {
        Self(id.hex())
    }
}

/// An id, as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(#[serde(with = "wire::id")] pub u64);

opaque_debug!(struct Id(_));

impl From<MessageId> for Id {
    fn from(id: MessageId) -> Self {
        Self(id.0)
    }
}

impl From<ContactId> for Id {
    fn from(id: ContactId) -> Self {
        Self(id.0)
    }
}

impl AnyCall {
    /// The longest time in which a node answers this call; longer, and it stands still.
    #[must_use]
    pub fn limit(&self) -> Duration {
        if let Self::MessageWait(wait) = self {
            return Duration::from_secs(wait.timeout_s.min(MAX_WAIT)) + ANSWER_WITHIN;
        }
        // They read or write every message.
        let slow = matches!(self, Self::BackupCreate(_) | Self::Import(_) | Self::Search(_));
        if slow { SLOW_ANSWER_WITHIN } else { ANSWER_WITHIN }
    }
}

/// The messages that a request for a part of a conversation gets if it does not say how many.
const fn usual_history() -> usize {
    50
}

/// Reads the parameters of one method.
fn read<C: Call>(method: &str, params: &str) -> Result<C, Failure> {
    serde_json::from_str(params).map_err(|error| {
        let why = format!("{method}: {error}");
        let text = FailureText {
            what: "the request was not understood",
            why: &why,
            safe: "nothing was done",
            next: "compare its parameters with the documentation of undertone::api::calls",
        };
        Failure::new(FailureCode::BadRequest, text)
    })
}

fn no_such_method(method: &str) -> Failure {
    let shown: String = method.chars().take(METHOD_SHOWN).collect();
    let text = FailureText {
        what: "the request was not understood",
        why: &format!("there is no method {shown:?}"),
        safe: "nothing was done",
        next: "compare its method with the documentation of undertone::api::calls",
    };
    Failure::new(FailureCode::UnknownMethod, text)
}

/// The longest `message.wait`, in seconds. A guess: longer waits call it again.
pub const MAX_WAIT: u64 = 600;

/// The most messages on either side of a place that one answer brings: 200.
pub const MAX_HISTORY: usize = 200;

/// The time in which a node answers. A guess: a commit takes milliseconds, on a bad disk seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The same for what takes time for each message.
const SLOW_ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Characters of an unknown method that its error repeats.
const METHOD_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::record::DeliveryLog;
    use crate::engine::testing::mutate::{Reading, each_text};
    use crate::shell::api::status::Persistence;
    use crate::shell::api::status::tests::network;
    use crate::shell::api::testing::{ours, people};

    /// A call of every method, with all of its parameters.
    fn all() -> Vec<(&'static str, serde_json::Value)> {
        let (id, key) = ("00000000000000ff", "\u{1f511}");
        let line = json!({ "v": 1 });
        let sealing = json!({ "head": "00ff", "key": "00ff" });
        let by_id = json!({ "id": id });
        let of = json!({ "name": "ben", "identity": "work" });
        vec![
            ("status", json!({})),
            ("identity.list", json!({})),
            ("identity.show", json!({ "identity": "ann" })),
            ("identity.new", json!({ "name": "ann" })),
            ("identity.use", json!({ "name": "ann" })),
            ("identity.delete", json!({ "name": "ann", "confirm": "ann" })),
            ("contact.list", json!({ "identity": "ann", "after": id })),
            ("contact.show", json!({ "contact": by_id })),
            (
                "contact.add",
                json!({ "identity": "ann", "invite": key, "name": "ben", "max_work": 8 }),
            ),
            ("contact.rename", json!({ "contact": of, "name": "b" })),
            ("contact.block", json!({ "contact": "ben" })),
            ("contact.unblock", json!({ "contact": "ben" })),
            ("contact.remove", json!({ "contact": "ben", "confirm": "ben" })),
            ("contact.rekey", json!({ "contact": "ben", "invite": key })),
            ("contact.accept_key", json!({ "contact": "ben" })),
            ("contact.verify", json!({ "contact": "ben", "words": ["a"], "digits": "1" })),
            ("contact.set", json!({ "contact": "ben", "read_marks": true, "max_work": "usual" })),
            ("contact.close", json!({ "contact": "ben" })),
            ("request.list", json!({ "identity": "ann" })),
            ("request.accept", json!({ "request": id, "name": "ben" })),
            ("request.decline", json!({ "request": id })),
            (
                "message.send",
                json!({ "contact": "ben", "text": "hi", "life": "week", "max_work": 256 }),
            ),
            ("message.show", json!({ "message": "abcd" })),
            ("message.cancel", json!({ "message": "abcd" })),
            ("message.retry", json!({ "message": "abcd" })),
            ("message.delete", json!({ "message": "abcd", "confirm": "abcd" })),
            ("message.wait", json!({ "message": "abcd", "state": "sent", "timeout_s": 9 })),
            (
                "history",
                json!({ "contact": "ben", "around": { "message": id }, "before": 3, "after": 4 }),
            ),
            ("search", json!({ "text": "hi", "contact": "ben", "before": "abcd", "limit": 3 })),
            ("read", json!({ "contact": "ben", "up_to": "abcd" })),
            ("backup.create", json!({ "file": "/x", "sealing": sealing, "history": true })),
            ("import", json!({ "contact": "ben", "lines": [line], "more": true, "dry_run": true })),
            ("node.stop", json!({})),
        ]
    }

    #[test]
    fn changed_at_random_a_call_of_every_method_is_read_back_or_refused() {
        let names: Vec<&str> = all().iter().map(|(method, _)| *method).collect();
        assert_eq!(names, METHODS);
        let lines: Vec<String> =
            all().iter().map(|(method, params)| format!("{method} {params}")).collect();
        let seeds: Vec<&str> = lines.iter().map(String::as_str).collect();
        each_text(&seeds, |line| {
            let (method, params) = line.split_once(' ').unwrap_or((line, ""));
            let read = AnyCall::parse(method, params);
            if let Ok(call) = &read {
                let written = serde_json::to_string(call).unwrap();
                assert!(AnyCall::parse(call.method(), &written).is_ok(), "{method}");
                assert!(call.limit() <= SLOW_ANSWER_WITHIN + ANSWER_WITHIN);
            }
            Reading::of(read)
        });
    }

    /// An answer to every method.
    fn reply(method: &str) -> serde_json::Value {
        let (identity, contact, request) = people();
        let message = ours(MessageState::Delivered, DeliveryLog::default());
        let page = |item: serde_json::Value| json!({ "items": [item], "more": true });
        match method {
            "status" => serde_json::to_value(StatusReport {
                network: network(),
                online: true,
                persistence: Persistence::Sealed,
                clients: 1,
            })
            .unwrap(),
            "identity.list" => page(json!(identity)),
            "identity.show" | "identity.new" | "identity.use" => json!(identity),
            "contact.list" => page(json!(contact)),
            "request.list" => page(json!(request)),
            "contact.block" | "contact.unblock" | "contact.set" => {
                json!({ "contact": contact, "changed": true })
            }
            "contact.verify" => json!(Comparison::Differs { word: Some(4), left: 2 }),
            "contact.show" | "contact.add" | "contact.rename" | "contact.rekey"
            | "contact.accept_key" | "contact.close" | "request.accept" => json!(contact),
            "message.send" => {
                json!(Sent { id: MessageId(1), parts: 1, work_s: Some(2), on_hold: false })
            }
            "message.show" | "message.cancel" | "message.retry" => json!(message),
            "message.wait" => json!(Waited { time_over: true, message }),
            "history" => json!(HistoryPart { items: vec![message], older: true, newer: false }),
            "search" => page(json!(message)),
            "read" => json!(Unread { unread: 3 }),
            "backup.create" => json!({
                "made": "2026-11-20T09:58:07Z", "history": true, "identities": 1, "contacts": 1,
                "messages": 1,
            }),
            "import" => json!(ImportReport { found: 2, taken: 1, dry_run: true }),
            _ => json!(Done {}),
        }
    }

    /// What a client is answered by a node that is none of ours.
    #[test]
    fn changed_at_random_an_answer_to_every_method_is_read_back_or_refused() {
        let calls: Vec<AnyCall> = all()
            .iter()
            .map(|(method, params)| AnyCall::parse(method, &params.to_string()).unwrap())
            .collect();
        let lines: Vec<String> =
            METHODS.iter().map(|method| format!("{method} {}", reply(method))).collect();
        let seeds: Vec<&str> = lines.iter().map(String::as_str).collect();
        each_text(&seeds, |line| {
            let (method, reply) = line.split_once(' ').unwrap_or((line, ""));
            let call = calls.iter().find(|call| call.method() == method);
            let Some(call) = call else { return Reading::Refused };
            let read = call.read_reply(reply);
            if let Ok(reply) = &read {
                let written = reply.to_raw().unwrap();
                assert!(call.read_reply(written.get()).is_ok(), "{method}");
            }
            Reading::of(read)
        });
    }
}
