//! The socket against clients that say half of what they should, too much, or nothing.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint::{Endpoint, Located};
use super::link::{SocketLink, meet};
use super::server;
use super::socket_folder::SocketFolders;
use super::socket_folder::tests::{folders, set_mode};
use crate::engine::crypto::invite;
use crate::engine::crypto::keys::Identity;
use crate::engine::envelope::Floor;
use crate::engine::settings::{NodeRole, NodeSettings};
use crate::engine::testing::rng::SeededRng;
use crate::shell::api::calls::{
    AnyReply, Call, ContactAdd, ContactList, IdentityNew, MessageSend, NodeStop, Status,
};
use crate::shell::api::{
    API_VERSION, ClientInfo, ClientKind, Delivery, Event, EventFilter, EventKind, From, Hello,
    Limits, StartOptions, Stay,
};
use crate::shell::failure::{Failure, FailureCode};
use crate::shell::runtime::Runtime;
use crate::shell::store::Store;

/// A node without a network, with its socket.
struct Stage {
    root: TempDir,
    folders: SocketFolders,
    stop: watch::Sender<()>,
    node: JoinSet<Result<(), Failure>>,
}

/// Far above what anything here takes on a busy machine; it names a hang.
const PATIENCE: Duration = Duration::from_secs(60);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it hangs")
}

impl Stage {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folders = folders(&root);
        let home = root.path().join("home");
        std::fs::create_dir(&home).unwrap();
        set_mode(&home, 0o700);
        let settings = NodeSettings::new(NodeRole::Messenger, Floor::new(4));
        let runtime = Runtime::start(settings, None, Store::in_memory().unwrap()).unwrap();
        let handle = runtime.handle();
        let endpoint = Endpoint::bind_in(&home, &folders).unwrap();
        let (stop, stopped) = watch::channel(());
        let (ended, over) = watch::channel(None);
        let mut node = JoinSet::new();
        node.spawn(async move {
            let running = async {
                let result = runtime.run(stopped).await;
                ended.send_replace(Some(Runtime::why_ended(&result)));
                result
            };
            tokio::join!(running, server::serve(endpoint, handle, hello(), over)).0
        });
        Self { root, folders, stop, node }
    }

    fn home(&self) -> std::path::PathBuf {
        self.root.path().join("home")
    }

    async fn connect(&self) -> UnixStream {
        connect(&self.home(), &self.folders).await
    }

    /// A connection that was let in.
    async fn raw(&self) -> Raw {
        let mut raw = Raw(BufReader::new(self.connect().await));
        raw.say(&introduction(API_VERSION)).await;
        let welcome = raw.hear().await.unwrap();
        assert_eq!(welcome["undertone"]["api"], json!(API_VERSION), "{welcome}");
        raw
    }

    async fn link(&self) -> SocketLink {
        let who = ClientInfo::new(ClientKind::Bot);
        in_time(meet(self.connect().await, &who)).await.unwrap().unwrap().0
    }
}

async fn connect(home: &Path, folders: &SocketFolders) -> UnixStream {
    in_time(Located::find_in(home, folders)).await.unwrap().unwrap().into_stream()
}

fn hello() -> Hello {
    Hello {
        api: API_VERSION,
        version: "1.2.3".to_owned(),
        network: String::new(),
        floor: 4,
        online: false,
        stay: Stay::Long,
        limits: Limits::OURS,
        start: StartOptions::default(),
    }
}

fn introduction(api: [u16; 2]) -> Value {
    json!({ "undertone": { "api": api, "client": "a test" } })
}

/// A connection on which anything can be said.
struct Raw(BufReader<UnixStream>);

impl Raw {
    async fn say(&mut self, line: &Value) {
        self.write(format!("{line}\n").as_bytes()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        // A node that has closed the connection hears no more.
        drop(in_time(self.0.get_mut().write_all(bytes)).await);
    }

    /// The next line; none if the node has closed the connection.
    async fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match in_time(self.0.read_line(&mut line)).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    async fn ask(&mut self, id: u64, method: &str, params: &Value) -> Value {
        self.say(&json!({ "id": id, "method": method, "params": params })).await;
        self.hear().await.unwrap()
    }

    /// Whether it is answered.
    async fn is_served(&mut self) -> bool {
        let answer = self.ask(7, "status", &json!({})).await;
        answer["id"] == 7 && answer["result"]["online"] == false
    }
}

/// An invite of somebody.
fn somebody(seed: u64) -> String {
    let mut rng = SeededRng::new(seed);
    invite::encode(&Identity::generate(&mut rng.turn()).public())
}

async fn call<C: Call>(link: &SocketLink, call: C) -> Result<C::Reply, Failure> {
    let reply = in_time(link.call(call.into_any())).await?;
    Ok(C::reply_of(reply).expect("the answer of this method"))
}

#[tokio::test]
async fn a_client_asks_hears_and_is_told_what_it_may_rely_on() {
    let stage = Stage::new();
    let link = stage.link().await;
    let filter = EventFilter::of(&[EventKind::Identity, EventKind::Contact]);
    let mut events = in_time(link.events(filter, From::Now)).await.unwrap();
    let made = call(&link, IdentityNew { name: "ann".to_owned() }).await.unwrap();
    let Delivery::Event { cursor: Some(cursor), event } = in_time(events.next()).await else {
        panic!("an identity was made");
    };
    assert!(matches!(*event, Event::Identity(identity) if identity == made));
    let add =
        ContactAdd { identity: None, invite: somebody(1), name: "ben".to_owned(), max_work: None };
    let added = call(&link, add.clone()).await.unwrap();
    let listed = call(&link, ContactList { identity: None, after: None }).await.unwrap();
    assert_eq!((listed.items, listed.more), (vec![added], false));
    let refused = call(&link, add).await.unwrap_err();
    assert_eq!(refused.code(), Some(FailureCode::KnownKey));
    // Another client goes on where this one was.
    let other = stage.link().await;
    let status = call(&other, Status {}).await.unwrap();
    assert_eq!(status.clients, 2);
    let filter = EventFilter::of(&[EventKind::Contact]);
    let mut later = in_time(other.events(filter, From::After(cursor))).await.unwrap();
    let Delivery::Event { event, .. } = in_time(later.next()).await else {
        panic!("a contact was added");
    };
    assert!(matches!(*event, Event::Contact(contact) if contact.petname == "ben"));
}

#[tokio::test]
async fn another_version_is_refused_with_a_sentence_before_anything_is_asked() {
    let stage = Stage::new();
    let mut raw = Raw(BufReader::new(stage.connect().await));
    raw.say(&introduction([2, 0])).await;
    let refused = raw.hear().await.unwrap();
    let error = &refused["undertone"]["error"];
    assert_eq!((&error["code"], &error["exit"]), (&json!("node_version"), &json!(10)));
    assert!(error["why"].as_str().unwrap().contains("1.2.3"), "{error}");
    assert_eq!(raw.hear().await, None);
    // Another minor number is the same interface.
    let mut raw = Raw(BufReader::new(stage.connect().await));
    raw.say(&introduction([1, 9])).await;
    assert_eq!(raw.hear().await.unwrap()["undertone"]["api"], json!(API_VERSION));
}

#[tokio::test]
async fn unknown_methods_and_parameters_are_named() {
    let stage = Stage::new();
    let mut raw = stage.raw().await;
    let answer = raw.ask(1, "contact.dance", &json!({})).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32_601)));
    assert!(answer["error"]["data"]["why"].as_str().unwrap().contains("\"contact.dance\""));
    let answer = raw.ask(2, "contact.list", &json!({ "shoe_size": 44 })).await;
    assert_eq!(answer["error"]["code"], -32_602);
    assert_eq!(answer["error"]["data"]["code"], "bad_request");
    assert!(answer["error"]["data"]["why"].as_str().unwrap().contains("shoe_size"), "{answer}");
    let answer = raw.ask(3, "message.send", &json!({ "contact": "ben", "text": 7 })).await;
    assert!(answer["error"]["data"]["why"].as_str().unwrap().contains("string"), "{answer}");
    for (line, code) in [("{", -32_700), ("x", -32_700), ("[]", -32_600), ("{}", -32_600)] {
        raw.write(format!("{line}\n").as_bytes()).await;
        assert_eq!(raw.hear().await.unwrap()["error"]["code"], code, "{line}");
    }
    for line in ["[]", "7", "{}", "{\"id\":1}", "{\"id\":1,\"method\":\"status\",\"extra\":1}"] {
        raw.write(format!("{line}\n").as_bytes()).await;
        assert_eq!(raw.hear().await.unwrap()["error"]["data"]["code"], "bad_request", "{line}");
    }
    assert!(raw.is_served().await);
}

#[tokio::test]
async fn half_a_line_is_no_request() {
    let stage = Stage::new();
    let mut raw = stage.raw().await;
    raw.write(br#"{"id":1,"method":"identity.new","params":{"name":"ann"}}"#).await;
    in_time(raw.0.get_mut().shutdown()).await.unwrap();
    assert_eq!(raw.hear().await, None);
    let mut other = stage.raw().await;
    let listed = other.ask(1, "identity.list", &json!({})).await;
    assert_eq!(listed["result"]["items"], json!([]));
}

#[tokio::test]
async fn a_line_that_is_too_long_ends_its_connection_and_no_other() {
    let stage = Stage::new();
    let (mut long, mut other) = (stage.raw().await, stage.raw().await);
    long.write(&vec![b' '; Limits::OURS.line + 2]).await;
    let answer = long.hear().await.unwrap();
    assert_eq!(answer["error"]["data"]["code"], "too_long", "{answer}");
    assert!(other.is_served().await);
    // The longest line that is one.
    let mut longest = json!({ "id": 7, "method": "status", "params": {} }).to_string();
    longest.push_str(&" ".repeat(Limits::OURS.line - longest.len()));
    longest.push('\n');
    other.write(longest.as_bytes()).await;
    assert_eq!(other.hear().await.unwrap()["id"], 7);
}

#[tokio::test]
async fn a_client_that_reads_no_answers_delays_nobody() {
    let stage = Stage::new();
    let mut deaf = stage.raw().await;
    deaf.ask(1, "identity.new", &json!({ "name": "ann" })).await;
    // More than a socket holds, and then more than the node reads of it.
    let request = json!({ "id": 2, "method": "identity.list", "params": {} }).to_string() + "\n";
    let flood = request.repeat(4_096);
    for _ in 0..64 {
        let written = deaf.0.get_mut().write_all(flood.as_bytes());
        if timeout(Duration::from_millis(20), written).await.is_err() {
            break;
        }
    }
    let mut other = stage.raw().await;
    for _ in 0..16 {
        assert!(other.is_served().await);
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_says_what_it_missed() {
    let stage = Stage::new();
    let (link, other) = (stage.link().await, stage.link().await);
    call(&other, IdentityNew { name: "ann".to_owned() }).await.unwrap();
    let add =
        ContactAdd { identity: None, invite: somebody(1), name: "ben".to_owned(), max_work: None };
    call(&other, add).await.unwrap();
    let filter = EventFilter::of(&[EventKind::Contact]);
    let mut events = in_time(link.events(filter, From::Now)).await.unwrap();
    // More than the client, its socket and the log of the node hold.
    let count = 12_000;
    for number in 0..count {
        let name = format!("ben {number}");
        let rename = crate::shell::api::calls::ContactRename { contact: last(number), name };
        call(&other, rename).await.unwrap();
    }
    let mut seen = 0;
    let mut missed = 0;
    while seen + missed < count {
        match in_time(events.next()).await {
            Delivery::Event { .. } => seen += 1,
            Delivery::Missed { from, to } => missed += to.position - from.position,
            Delivery::Ended(why) => panic!("the node goes on: {why:?}"),
        }
    }
    assert!(missed > 0, "{seen} were seen");
}

/// The contact before its next name.
fn last(number: u64) -> crate::shell::api::calls::ContactRef {
    match number.checked_sub(1) {
        None => "ben".into(),
        Some(before) => crate::shell::api::calls::ContactRef::Name(format!("ben {before}")),
    }
}

#[tokio::test]
async fn a_connection_too_many_is_refused_and_let_in_when_another_has_left() {
    let stage = Stage::new();
    let mut inside = Vec::new();
    for _ in 0..Limits::OURS.connections {
        inside.push(stage.raw().await);
    }
    let mut outside = Raw(BufReader::new(stage.connect().await));
    outside.say(&introduction(API_VERSION)).await;
    let refused = outside.hear().await.unwrap();
    assert_eq!(refused["undertone"]["error"]["code"], "node_busy", "{refused}");
    drop(inside.pop());
    in_time(async {
        loop {
            let mut again = Raw(BufReader::new(stage.connect().await));
            again.say(&introduction(API_VERSION)).await;
            let heard = again.hear().await;
            if heard.is_some_and(|heard| heard["undertone"]["api"].is_array()) {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    for raw in &mut inside {
        assert!(raw.is_served().await);
    }
}

/// Renames a contact so often that whoever follows contacts and reads nothing has no room for more.
async fn rename_for_long(link: &SocketLink) {
    call(link, IdentityNew { name: "ann".to_owned() }).await.unwrap();
    let add =
        ContactAdd { identity: None, invite: somebody(1), name: "ben".to_owned(), max_work: None };
    call(link, add).await.unwrap();
    for number in 0..1_200 {
        let name = format!("ben {number}");
        let rename = crate::shell::api::calls::ContactRename { contact: last(number), name };
        call(link, rename).await.unwrap();
    }
}

#[tokio::test]
async fn clients_that_follow_and_never_read_delay_nobody_and_give_way_to_those_who_come() {
    let stage = Stage::new();
    let mut deaf = Vec::new();
    for _ in 1..Limits::OURS.connections {
        let mut raw = stage.raw().await;
        raw.say(&json!({ "id": 1, "method": "events.subscribe", "params": { "from": "now" } }))
            .await;
        deaf.push(raw);
    }
    let link = stage.link().await;
    let filter = EventFilter::of(&[EventKind::Contact]);
    let mut events = in_time(link.events(filter, From::Now)).await.unwrap();
    rename_for_long(&link).await;
    // Whoever reads is told all of it meanwhile, or that it missed something.
    let mut heard = 0;
    while heard < 1_000 {
        match in_time(events.next()).await {
            Delivery::Event { .. } => heard += 1,
            Delivery::Missed { .. } => break,
            Delivery::Ended(why) => panic!("the node goes on: {why:?}"),
        }
    }
    // Each of them waits for events, and so is busy; but none takes what it waits for.
    for _ in 0..3 {
        let mut newcomer = in_time(async {
            loop {
                let mut again = Raw(BufReader::new(stage.connect().await));
                again.say(&introduction(API_VERSION)).await;
                let welcome = again.hear().await;
                if welcome.is_some_and(|welcome| welcome["undertone"]["api"].is_array()) {
                    break again;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(newcomer.is_served().await);
        deaf.push(newcomer);
    }
    // Those who gave way have a moment to read why.
    in_time(async {
        while call(&link, Status {}).await.unwrap().clients > Limits::OURS.connections {}
    })
    .await;
}

/// More than a node has places for those who say nothing.
const SILENT: usize = 400;

#[tokio::test]
async fn a_client_is_answered_beside_hundreds_who_say_nothing_or_half_a_line() {
    let stage = Stage::new();
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let mut raw = Raw(BufReader::new(stage.connect().await));
        if number % 2 == 1 {
            raw.write(b"{\"undertone\":").await;
        }
        silent.push(raw);
    }
    let mut client = stage.raw().await;
    assert!(client.is_served().await);
    let link = stage.link().await;
    assert_eq!(call(&link, Status {}).await.unwrap().clients, 2);
    // The first of them were closed, and the last may still say who they are.
    let mut first = silent.remove(0);
    assert_eq!(first.hear().await, None);
    let mut last = silent.pop().unwrap();
    last.write(b"{\"api\":[1,0],\"client\":\"a test\"}}\n").await;
    assert_eq!(last.hear().await.unwrap()["undertone"]["api"], json!(API_VERSION));
    assert!(last.is_served().await);
}

#[tokio::test]
async fn nothing_stays_of_clients_that_left_whatever_they_had_asked() {
    let stage = Stage::new();
    let mut observer = stage.raw().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for number in 0..200 {
        let mut raw = stage.raw().await;
        assert!(raw.is_served().await);
        if number % 2 == 0 {
            let from = json!({ "from": "now" });
            let stream = raw.ask(8, "events.subscribe", &from).await;
            assert!(stream["result"]["stream"].is_u64(), "{stream}");
        }
    }
    let alone = async {
        loop {
            let status = observer.ask(9, "status", &json!({})).await;
            if status["result"]["clients"] == 1 && tasks() <= before {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, alone).await.expect("something of them stayed");
}

#[tokio::test]
async fn a_request_too_many_is_refused_and_the_others_are_answered() {
    let stage = Stage::new();
    let link = stage.link().await;
    call(&link, IdentityNew { name: "ann".to_owned() }).await.unwrap();
    let add =
        ContactAdd { identity: None, invite: somebody(1), name: "ben".to_owned(), max_work: None };
    call(&link, add).await.unwrap();
    let sent = call(&link, MessageSend::new("ben", "hello")).await.unwrap();
    let mut raw = stage.raw().await;
    let wait = json!({ "message": sent.id.hex(), "state": "sent", "timeout_s": 600 });
    for id in 0..Limits::OURS.requests {
        raw.say(&json!({ "id": id, "method": "message.wait", "params": wait })).await;
    }
    let refused = raw.ask(1_000, "status", &json!({})).await;
    assert_eq!(refused["error"]["data"]["code"], "node_busy", "{refused}");
    let cancel = json!({ "message": sent.id.hex() });
    let other = stage.raw().await.ask(1, "message.cancel", &cancel).await;
    assert_eq!(other["result"]["state"], "cancelled", "{other}");
    for _ in 0..Limits::OURS.requests {
        let answer = raw.hear().await.unwrap();
        assert_eq!(answer["result"]["time_over"], false, "{answer}");
        assert_eq!(answer["result"]["message"]["state"], "cancelled");
    }
    assert!(raw.is_served().await);
}

#[tokio::test]
async fn a_node_that_stops_answers_what_it_did_and_says_of_the_rest_that_it_did_not() {
    let mut stage = Stage::new();
    let (link, other) = (stage.link().await, stage.link().await);
    call(&link, IdentityNew { name: "ann".to_owned() }).await.unwrap();
    let add =
        ContactAdd { identity: None, invite: somebody(1), name: "ben".to_owned(), max_work: None };
    call(&link, add).await.unwrap();
    let sent = call(&link, MessageSend::new("ben", "hello")).await.unwrap();
    let wait = crate::shell::api::calls::MessageWait {
        message: sent.id.into(),
        state: crate::engine::record::MessageState::Sent,
        timeout_s: 600,
    };
    let mut events =
        in_time(other.events(EventFilter::of(&[EventKind::Message]), From::Now)).await.unwrap();
    let stops = async {
        // The wait is under way when its answer cannot come at once.
        tokio::task::yield_now().await;
        call(&other, NodeStop {}).await
    };
    let (waited, stopped) = tokio::join!(call(&link, wait), stops);
    assert_eq!(waited.unwrap_err().code(), Some(FailureCode::NodeStopping));
    assert!(stopped.is_ok());
    let Delivery::Ended(why) = in_time(events.next()).await else { panic!("the node stopped") };
    assert_eq!(why.code(), Some(FailureCode::NodeStopping));
    let later = call(&link, Status {}).await.unwrap_err();
    assert_eq!(later.code(), Some(FailureCode::NodeStopping));
    in_time(stage.node.join_next()).await.unwrap().unwrap().unwrap();
    drop(stage.stop);
    let home = stage.root.path().join("home");
    assert!(in_time(Located::find_in(&home, &stage.folders)).await.unwrap().is_none());
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 0);
}

#[tokio::test]
async fn a_node_that_dies_in_the_middle_of_a_call_leaves_open_whether_it_was_done() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let dies = async {
        let (reader, mut writer) = theirs.into_split();
        let mut lines = BufReader::new(reader).lines();
        lines.next_line().await.unwrap();
        let welcome = json!({ "undertone": hello() });
        writer.write_all(format!("{welcome}\n").as_bytes()).await.unwrap();
        lines.next_line().await.unwrap()
    };
    let asks = async {
        let who = ClientInfo::new(ClientKind::Command);
        let (link, _) = meet(ours, &who).await.unwrap().unwrap();
        let first = call(&link, Status {}).await;
        (first, call(&link, Status {}).await)
    };
    let (asked, (first, second)) = in_time(async { tokio::join!(dies, asks) }).await;
    assert!(asked.unwrap().contains("status"));
    assert_eq!(first.unwrap_err().code(), Some(FailureCode::NodeEnded));
    // What comes after was never sent, so another node may be asked for it.
    assert_eq!(second.unwrap_err().code(), Some(FailureCode::NodeStopping));
}

#[tokio::test]
async fn a_node_that_stands_still_is_waited_for_no_longer_than_the_limit() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut reader, mut writer) = theirs.into_split();
    let who = ClientInfo::new(ClientKind::Command);
    let welcome = json!({ "undertone": hello() });
    writer.write_all(format!("{welcome}\n").as_bytes()).await.unwrap();
    let (link, _) = in_time(meet(ours, &who)).await.unwrap().unwrap();
    let limit = Duration::from_millis(20);
    let answer = in_time(link.call_within(Status {}.into_any(), limit)).await;
    assert_eq!(answer.err().and_then(|failure| failure.code()), Some(FailureCode::NodeSilent));
    let mut said = vec![0; 64];
    assert!(reader.read(&mut said).await.unwrap() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client writes, the node reads on or hangs up, and serves others.
    #[test]
    fn nonsense_on_one_connection_is_nothing_to_another(
        lines in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "\\{\"id\":[0-9]{1,22},\"method\":\"[a-z.]{0,20}\",\"params\":.{0,40}\\}"
                    .prop_map(String::into_bytes),
            ],
            0..12,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new();
            let (mut raw, mut other) = (stage.raw().await, stage.raw().await);
            for mut line in lines {
                line.push(b'\n');
                raw.write(&line).await;
            }
            assert!(other.is_served().await);
        });
    }
}

#[tokio::test]
async fn an_answer_of_every_method_is_one_that_a_client_reads() {
    // The replies of a node without anything are errors or empty; each is an answer to its request.
    let stage = Stage::new();
    let mut raw = stage.raw().await;
    for (method, id) in crate::shell::api::calls::METHODS.iter().zip(0_u64..) {
        if *method == "node.stop" {
            continue;
        }
        let answer = raw.ask(id, method, &json!({})).await;
        assert_eq!(answer["id"], id, "{method}: {answer}");
        let is_answer = answer["result"].is_object() != answer["error"]["data"]["code"].is_string();
        assert!(is_answer, "{method}: {answer}");
    }
    let reply = AnyReply::NodeStop(crate::shell::api::calls::Done {});
    assert_eq!(reply.to_raw().unwrap().get(), "{}");
}
