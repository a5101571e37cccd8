//! The lines of the socket.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::engine::secret::opaque_debug;
use crate::shell::api::{
    API_VERSION, ClientInfo, ClientKind, Delivery, EventFilter, From, Hello, Limits, Scope,
};
use crate::shell::failure::{Failure, FailureCode, FailureText};

/// The first line of a client.
#[derive(Serialize, Deserialize)]
pub(super) struct Introduction {
    pub(super) undertone: IntroductionFields,
}

#[derive(Serialize, Deserialize)]
pub(super) struct IntroductionFields {
    /// The version of the interface that it speaks.
    pub(super) api: [u16; 2],
    /// Its name and version.
    pub(super) client: String,
    /// What it is.
    #[serde(default = "any_command")]
    pub(super) kind: ClientKind,
    /// What it asks to be allowed; everything, if it says nothing.
    #[serde(default = "Scope::all")]
    pub(super) scope: Scope,
}

const fn any_command() -> ClientKind {
    ClientKind::Command
}

impl Introduction {
    pub(super) fn of(who: &ClientInfo) -> Self {
        let ClientInfo { name, kind, scope } = who.clone();
        Self { undertone: IntroductionFields { api: API_VERSION, client: name, kind, scope } }
    }
}

/// The first line of a node.
#[derive(Serialize, Deserialize)]
pub(super) struct Welcome {
    pub(super) undertone: WelcomeFields,
}

/// What the node says first: who it is, or why it does not let the client in.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WelcomeFields {
    Refused { error: Failure },
    Hello(Hello),
}

/// The last line of a node that stops: what it has not answered before, it has not done.
#[derive(Serialize, Deserialize)]
pub(super) struct Farewell {
    pub(super) undertone: FarewellFields,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FarewellFields {
    pub(super) ended: Failure,
}

/// A request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
    /// `2.0`, if it is there.
    #[serde(default)]
    pub(super) jsonrpc: Option<String>,
    /// Named again in the answer.
    pub(super) id: RequestId,
    /// The method.
    pub(super) method: String,
    /// Its parameters; none is an object without fields. Borrowed: there may be a key in them, and
    /// no copy is to be left.
    #[serde(default, borrow)]
    pub(super) params: Option<&'a RawValue>,
}

/// The id of a request: a number, or a short text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum RequestId {
    Number(u64),
    Text(String),
    /// Of an answer to what was no request.
    None,
}

opaque_debug!(
    enum RequestId {
        Number,
        Text,
        None,
    }
);

/// A request as it is written.
#[derive(Serialize)]
pub(super) struct OutgoingRequest<'a, P> {
    pub(super) jsonrpc: &'static str,
    pub(super) id: u64,
    pub(super) method: &'a str,
    pub(super) params: &'a P,
}

/// An answer as it is written.
#[derive(Serialize)]
pub(super) struct OutgoingResponse<'a> {
    pub(super) jsonrpc: &'static str,
    pub(super) id: &'a RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<RpcError>,
}

/// An error in the form of JSON-RPC; `data` is all of it.
#[derive(Serialize, Deserialize)]
pub(super) struct RpcError {
    /// One of the five of JSON-RPC where it fits, else -32000.
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Failure,
}

impl RpcError {
    /// Of a line that is no request: no JSON at all, or another value.
    pub(super) fn of_line(error: &serde_json::Error) -> Self {
        let code = if error.is_data() { -32_600 } else { -32_700 };
        Self { code, ..Self::of(not_understood(&error.to_string())) }
    }

    pub(super) fn of(failure: Failure) -> Self {
        let code = match failure.code() {
            Some(FailureCode::UnknownMethod) => -32_601,
            Some(FailureCode::BadRequest) => -32_602,
            Some(FailureCode::TooLong) => -32_600,
            _ => -32_000,
        };
        Self { code, message: failure.what.clone(), data: failure }
    }
}

/// What a node writes after its first line.
#[derive(Deserialize)]
pub(super) struct Incoming {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) result: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) error: Option<RpcError>,
    #[serde(default)]
    pub(super) params: Option<StreamItem>,
    #[serde(default)]
    pub(super) undertone: Option<FarewellFields>,
}

/// A delivery of a stream, as it is written.
#[derive(Serialize)]
pub(super) struct StreamNotification<'a> {
    pub(super) jsonrpc: &'static str,
    pub(super) method: &'static str,
    pub(super) params: OutgoingStreamItem<'a>,
}

#[derive(Serialize)]
pub(super) struct OutgoingStreamItem<'a> {
    pub(super) stream: u64,
    #[serde(flatten)]
    pub(super) delivery: &'a Delivery,
}

/// A delivery of a stream.
#[derive(Deserialize)]
pub(super) struct StreamItem {
    pub(super) stream: u64,
    #[serde(flatten)]
    pub(super) delivery: Delivery,
}

/// The parameters of `events.subscribe`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    #[serde(default)]
    pub(super) filter: EventFilter,
    pub(super) from: From,
}

/// The answer to `events.subscribe`, and the parameters of `events.unsubscribe`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamId {
    pub(super) stream: u64,
}

/// The version of JSON-RPC.
pub(super) const JSONRPC: &str = "2.0";

/// Subscribes to events.
pub(super) const SUBSCRIBE: &str = "events.subscribe";

/// Ends a stream.
pub(super) const UNSUBSCRIBE: &str = "events.unsubscribe";

/// The method of a notification.
pub(super) const EVENT: &str = "event";

/// A line that was read.
pub(super) enum Line {
    /// A whole line, without its end.
    Whole,
    /// It is longer than any may be, and was read in part.
    TooLong,
    /// There is none: the other side is gone, maybe in the middle of one.
    End,
}

/// Reads one line into `line`, which is emptied first.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin + Send),
    line: &mut Vec<u8>,
) -> std::io::Result<Line> {
    // The line before may have had a key in it.
    line.zeroize();
    let most = Limits::OURS.line as u64;
    reader.take(most + 1).read_until(b'\n', line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Line::Whole),
        Some(_) if line.len() as u64 >= most => Ok(Line::TooLong),
        Some(_) | None => Ok(Line::End),
    }
}

/// A value as a line with its end; none if it is too long to be sent. It is wiped after use.
pub(super) fn to_line(value: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    // With room for what has a key in it: a buffer that grows leaves copies.
    let mut line = Zeroizing::new(Vec::with_capacity(USUAL_LINE));
    serde_json::to_writer(&mut *line, value).ok()?;
    if line.len() > Limits::OURS.line {
        return None;
    }
    line.push(b'\n');
    Some(line)
}

/// Longer than most lines, and than each with a key in it.
const USUAL_LINE: usize = 4 << 10;

/// A line that was no request.
pub(super) fn not_understood(why: &str) -> Failure {
    let text = FailureText {
        what: "the request was not understood",
        why,
        safe: "nothing was done",
        next: "send one object of JSON on each line: id, method, params",
    };
    Failure::new(FailureCode::BadRequest, text)
}

/// A line, or an answer, that is longer than any may be.
pub(super) fn too_long(what: &str) -> Failure {
    let text = FailureText {
        what,
        why: "it is longer than 1 MiB",
        safe: "nothing was done",
        next: "ask for less at once",
    };
    Failure::new(FailureCode::TooLong, text)
}

/// Node and client speak different versions of the interface: each says so in its own name.
pub(super) fn other_version(node: &str, client: &str) -> Failure {
    let shown = |text: &str| text.chars().take(MAX_SHOWN).collect::<String>();
    let (node, client) = (shown(node), shown(client));
    let text = FailureText {
        what: "nothing was asked of the running node",
        why: &format!("the node that runs here is undertone {node:?}, and this is {client:?}"),
        safe: "nothing was done",
        next: "quit the undertone that runs in this home folder, then start it again",
    };
    Failure::new(FailureCode::NodeVersion, text)
}

/// Characters of a name or version of others that an error repeats.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::api::{Cursor, StartOptions, Stay, calls};

    fn lines<const N: usize>(values: [serde_json::Value; N]) -> [Vec<u8>; N] {
        values.map(|value| value.to_string().into_bytes())
    }

    fn read<T: DeserializeOwned>(line: &[u8]) -> Reading {
        Reading::of(serde_json::from_slice::<T>(line))
    }

    fn failure() -> serde_json::Value {
        serde_json::to_value(not_understood("because")).unwrap()
    }

    #[test]
    fn changed_at_random_the_first_lines_are_read_or_refused() {
        let said = json!({ "undertone": { "api": [1, 0], "client": "my bot 1.0" } });
        let all = serde_json::to_value(Introduction::of(&ClientInfo::new(ClientKind::Bot)));
        each_case(&lines([said, all.unwrap()]), read::<Introduction>);
        let hello = Hello {
            api: API_VERSION,
            version: "1.0".to_owned(),
            network: "main".to_owned(),
            floor: 24,
            online: true,
            stay: Stay::Long,
            limits: Limits::OURS,
            start: StartOptions::default(),
        };
        let hello = json!({ "undertone": hello });
        let refused = json!({ "undertone": { "error": failure() } });
        let ended = json!({ "undertone": { "ended": failure() } });
        each_case(&lines([hello, refused]), read::<Welcome>);
        each_case(&lines([ended]), read::<Farewell>);
    }

    #[test]
    fn changed_at_random_a_request_is_read_with_its_call_or_refused() {
        let requests = lines([
            json!({ "id": 1, "method": "message.send", "params": { "contact": "ben", "text": "hi" } }),
            json!({ "jsonrpc": "2.0", "id": "a", "method": "status" }),
            json!({ "id": 2, "method": SUBSCRIBE, "params": { "from": "snapshot" } }),
        ]);
        each_case(&requests, |line| {
            let request = serde_json::from_slice::<Request<'_>>(line);
            if let Ok(Request { method, params, .. }) = &request {
                let params = params.map_or("{}", RawValue::get);
                if let Err(failure) = calls::AnyCall::parse(method, params) {
                    assert!(to_line(&RpcError::of(failure)).is_some());
                }
            }
            if let Err(error) = &request {
                assert!(to_line(&RpcError::of_line(error)).is_some());
            }
            Reading::of(request)
        });
        let from = From::After(Cursor { log: 7, position: 30 });
        let filters = lines([
            json!({ "from": "now" }),
            json!({ "from": from, "filter": { "kinds": ["message", "state"] } }),
        ]);
        each_case(&filters, read::<Subscribe>);
        each_case(&lines([json!({ "stream": 7 })]), read::<StreamId>);
    }

    #[test]
    fn changed_at_random_what_a_node_says_is_read_or_passed_over() {
        let read_event = json!({
            "type": "read", "contact": "0000000000000001", "with": "ben", "unread": 1,
        });
        let said = lines([
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "stream": 7 } }),
            json!({ "id": 1, "error": { "code": -32_000, "message": "a", "data": failure() } }),
            json!({ "method": EVENT, "params": { "stream": 7, "event": read_event } }),
            json!({ "undertone": { "ended": failure() } }),
        ]);
        each_case(&said, read::<Incoming>);
    }

    #[test]
    fn changed_at_random_lines_are_split_where_they_end() {
        each_case(&[b"{}\n".to_vec(), b"one\ntwo\n\n".to_vec()], |bytes| {
            let mut reader = bytes;
            let (mut line, mut all) = (Vec::new(), Vec::new());
            while let Ok(Line::Whole) = block_on(read_line(&mut reader, &mut line)) {
                all.extend_from_slice(&line);
                all.push(b'\n');
            }
            assert!(bytes.starts_with(&all) && !bytes[all.len()..].contains(&b'\n'));
            if all.is_empty() { Reading::Refused } else { Reading::Taken }
        });
    }
}
