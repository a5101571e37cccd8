//! Compatibility: a home and a backup of an earlier build, opened by this one with nothing lost.
//!
//! `homes/4e028ad/README.md` says what they contain and how they were made. They get older every day
//! and none of their contacts is ever online, so envelopes expire and idle sessions end. Each field
//! that may change for this reason is named in [`may_become`]; every other field must be equal, but
//! for a life of ten minutes, which is six hours now. No assertion depends on the date of the test.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::support::{Home, Network, moment_after, parse};
use crate::terminal::Terminal;

/// The home, the backup, and the output of the build that made them.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/homes/4e028ad");

const BACKUP_PASSPHRASE: &str = "a passphrase of the backup alone";

/// The most messages of a conversation that one command prints.
const ALL: &str = "500";

/// Contacts with unread messages, and how many, as the interface of that build showed them.
const UNREAD: [(&str, &str); 3] = [("ben", "68"), ("cat", "63"), ("fay", "1")];

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// Kills of a node while it opens the home.
const KILLS: u32 = 8;

/// Each kill comes this much later after the start than the one before it. Opening takes 300 ms on an
/// idle machine, so the kills are spread from before the key is open to after the node runs.
const STEP: Duration = Duration::from_millis(80);

fn kept(name: &str) -> PathBuf {
    Path::new(KEPT).join(name)
}

/// The output of the earlier build about the home, its backup, and a home restored from the backup.
fn expected() -> Value {
    let mut listing: Value =
        serde_json::from_slice(&fs::read(kept("expected.json")).expect("a listing")).expect("JSON");
    for part in ["home", "restored"] {
        as_now_printed(&mut listing[part]);
    }
    ten_minutes_become_six_hours(&mut listing);
    listing
}

/// That build printed the times of trust and of requests as seconds, and called one otherwise.
fn as_now_printed(listing: &mut Value) {
    let utc = |seconds: &Value| -> Value {
        let at = Timestamp::from_second(seconds.as_i64().expect("seconds")).expect("a time");
        at.to_string().into()
    };
    for contact in listing["contacts"].as_array_mut().expect("contacts") {
        let trust = contact["trust"].as_object_mut().expect("trust");
        for name in ["at", "since", "verified_before"] {
            if let Some(at) = trust.get_mut(name).filter(|at| at.is_number()) {
                *at = utc(at);
            }
        }
    }
    for request in listing["requests"].as_array_mut().expect("requests") {
        let request = request.as_object_mut().expect("a request");
        let at = request.remove("arrived").expect("a time");
        request.insert("at".to_owned(), utc(&at));
    }
}

/// No network carries a life of ten minutes any more: what had it has the shortest there is.
fn ten_minutes_become_six_hours(listing: &mut Value) {
    match listing {
        Value::Array(things) => things.iter_mut().for_each(ten_minutes_become_six_hours),
        Value::Object(fields) => {
            if let Some(life) = fields.get_mut("life_seconds").filter(|life| **life == 600) {
                *life = 21_600.into();
            }
            fields.values_mut().for_each(ten_minutes_become_six_hours);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A copy of the kept home. Its passphrase is the one of every home in these tests.
pub(crate) fn copy() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("home")).expect("a folder");
    fs::set_permissions(home.path("home"), fs::Permissions::from_mode(0o700)).expect("ours alone");
    for name in ["key", "store.db"] {
        let (from, to) = (kept("home").join(name), home.path("home").join(name));
        fs::copy(from, &to).expect("a copy");
        fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("ours alone");
    }
    home
}

/// Everything a home contains, as commands print it, in the shape of `expected.json`.
fn listing(home: &Home) -> Value {
    let contacts = home.ask(&["contact", "list"]);
    let history = |contact: &Value| {
        let name = text(contact, "name");
        let output = home.run(&["history", &name, "--last", ALL, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (name, lines.map(parse).collect())
    };
    let histories: Map<String, Value> = list(&contacts).iter().map(history).collect();
    json!({
        "identities": home.ask(&["identity", "list"]),
        "requests": home.ask(&["request", "list"]),
        "contacts": contacts,
        "histories": histories,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().expect("a text").to_owned()
}

/// Losses, changes that [`may_become`] does not allow, and additions between two listings.
fn differences(then: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, name) in [("identities", "name"), ("contacts", "name"), ("requests", "key")] {
        compare(kind, name, (list(&then[kind]), list(&now[kind])), &mut found);
    }
    let histories = then["histories"].as_object().expect("conversations");
    for (contact, history) in histories {
        let then = list(history);
        let now = now["histories"][contact].as_array().map_or(&[][..], Vec::as_slice);
        compare(&format!("message with {contact}"), "id", (then, now), &mut found);
        let order = |these: &[Value], others: &[Value]| -> Vec<Value> {
            let ids = these.iter().map(|message| message["id"].clone());
            ids.filter(|id| others.iter().any(|other| other["id"] == *id)).collect()
        };
        if order(then, now) != order(now, then) {
            found.push(format!("messages with {contact} have another order"));
        }
    }
    found
}

/// Compares two lists whose entries are identified by the field `name`.
fn compare(kind: &str, name: &str, (then, now): (&[Value], &[Value]), found: &mut Vec<String>) {
    let named = |all: &[Value]| -> BTreeMap<String, Value> {
        all.iter().map(|thing| (text(thing, name), thing.clone())).collect()
    };
    let (then_named, now_named) = (named(then), named(now));
    if now_named.len() != now.len() {
        found.push(format!("{kind}: one is there twice"));
    }
    for (name, thing) in &then_named {
        let Some(thing_now) = now_named.get(name) else {
            found.push(format!("{kind} {name} is lost"));
            continue;
        };
        for (field, value) in thing.as_object().expect("fields") {
            if !may_become(thing, field, value, &thing_now[field]) {
                found.push(format!("{kind} {name}: {field} {value} is {}", thing_now[field]));
            }
        }
    }
    let new = now_named.iter().filter(|(name, _)| !then_named.contains_key(*name));
    found.extend(new.map(|(_, thing)| format!("{kind} is new: {}", thing["text"])));
}

/// Whether the passing of time, with no contact online, can turn a field of `entry` from `then` into
/// `now`.
fn may_become(entry: &Value, field: &str, then: &Value, now: &Value) -> bool {
    // A queued message leaves with the first neighbour. One that left may expire and be sent again.
    let leaving = ["mining", "sent", "unacknowledged"];
    let open: &[&str] = match entry["state"].as_str() {
        Some("queued") => &leaving,
        Some("sent" | "unacknowledged") => &leaving[1..],
        _ => &[],
    };
    then == now
        || match field {
            // A session that is idle for 30 days is erased, and its words with it.
            "session" => then != "blocked" && now != "blocked",
            "words" => now.is_null(),
            "state" => now.as_str().is_some_and(|state| open.contains(&state)),
            // Assigned when the message leaves, freed when it is given up after 30 days.
            "number" => !open.is_empty() && (then.is_null() || now.is_null()),
            "sendings" => !open.is_empty() && now.as_u64() > then.as_u64(),
            "first_sent" => !open.is_empty() && then.is_null(),
            "last_sent" | "sent_again_until" => !open.is_empty(),
            _ => false,
        }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_home_of_4e028ad_opens_and_runs_with_nothing_lost() {
    let then = &expected()["home"];
    let home = copy();
    assert_eq!(differences(then, &listing(&home)), NOTHING, "without a node");

    let (network, relays) = (Network::new(), Home::new());
    let (_relay, address) = relays.relay(&network, LISTEN, &[]);
    let node = home.listen(&network, &address, &["--json"]);
    node.wait_for_neighbour();
    assert_eq!(differences(then, &listing(&home)), NOTHING, "by its node");
    let said = home.ask(&["send", "cat", "it goes on", "--wait", "sent", "--timeout", "140s"]);
    let new = ["message with cat is new: \"it goes on\""];
    assert_eq!(differences(then, &listing(&home)), new, "after one more message");
    assert_eq!(node.end("TERM"), Some(143));
    let now = listing(&home);
    assert_eq!(differences(then, &now), new, "after its node");
    let last = list(&now["histories"]["cat"]).last().expect("a message");
    assert_eq!((&last["id"], &last["state"]), (&said["id"], &"sent".into()));
}

#[test]
fn a_home_of_4e028ad_loses_nothing_when_its_node_is_killed_right_after_the_start() {
    let then = &expected()["home"];
    let home = copy();
    let (network, relays) = (Network::new(), Home::new());
    let (_relay, address) = relays.relay(&network, LISTEN, &[]);
    for kill in 0..KILLS {
        let node = home.listen(&network, &address, &["--json"]);
        let _fuse = node.kill_at(moment_after(STEP * kill));
        assert_eq!(node.ended(), None, "a signal ended it");
    }
    let node = home.listen(&network, &address, &["--json"]);
    node.wait_for_neighbour();
    node.kill();
    assert_eq!(node.ended(), None, "a signal ended it");
    assert_eq!(differences(then, &listing(&home)), NOTHING);
}

#[test]
fn unread_messages_of_a_home_of_4e028ad_are_still_unread() {
    let (home, network) = (copy(), Network::new());
    let passphrase = home.path("passphrase");
    let passphrase = ["--passphrase-file", passphrase.to_str().expect("a path")];
    let mut terminal = Terminal::open(&home, &[&network.flags()[..], &passphrase].concat());
    terminal.until("the unread counts", |screen| {
        UNREAD.iter().all(|(contact, count)| {
            screen.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.windows(2).any(|words| words == [*contact, *count])
            })
        })
    });
}

#[test]
fn a_backup_of_4e028ad_is_restored_with_nothing_lost() {
    let expected = expected();
    let home = Home::new();
    let passphrase = home.write_secret("backup-passphrase", BACKUP_PASSPHRASE);
    let passphrase = passphrase.to_str().expect("a path");
    let backup = kept("backup");
    let ask = |what: &str| {
        let file = backup.to_str().expect("a path");
        home.ask(&["backup", what, file, "--backup-passphrase-file", passphrase])
    };
    assert_eq!(ask("check"), expected["backup"]);
    assert_eq!(ask("restore"), expected["backup"]);

    let mut then = expected["restored"].clone();
    then["histories"] = expected["home"]["histories"].clone();
    for other in list(&expected["restored"]["others"]) {
        let history = then["histories"][text(other, "to")].as_array_mut().expect("messages");
        let same = history.iter_mut().find(|message| message["id"] == other["id"]);
        *same.expect("the message in the home") = other.clone();
    }
    let mut now = listing(&home);
    for contact in then["contacts"].as_array_mut().expect("contacts") {
        // Restored at another moment.
        contact["restored"].take();
    }
    for contact in now["contacts"].as_array_mut().expect("contacts") {
        assert!(contact["restored"].take().is_string(), "{contact}");
    }
    assert_eq!(differences(&then, &now), NOTHING);
}

#[test]
fn the_kept_home_contains_every_kind_of_entry() {
    let home = &expected()["home"];
    let count = |kind: &str| list(&home[kind]).len();
    assert_eq!((count("identities"), count("contacts"), count("requests")), (1, 5, 1));
    let by = |means: &str| {
        let verified = |contact: &&Value| contact["trust"]["by"] == means;
        list(&home["contacts"]).iter().filter(verified).count()
    };
    assert_eq!((by("words"), by("digits")), (1, 1));
    let histories = home["histories"].as_object().expect("conversations");
    let messages: Vec<&Value> = histories.values().flat_map(list).collect();
    assert_eq!(messages.len(), 500);
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for message in messages {
        *states.entry(message["state"].as_str().unwrap_or("theirs")).or_default() += 1;
    }
    let kinds =
        ["cancelled", "delivered", "failed", "queued", "read", "sent", "theirs", "unacknowledged"];
    assert_eq!(states.into_keys().collect::<Vec<_>>(), kinds);
}

#[test]
fn every_loss_is_reported_and_the_passing_of_time_is_not() {
    let then = &expected()["home"];
    let place = |contact: &str, state: Option<&str>| {
        let state = |message: &Value| message["state"].as_str() == state;
        list(&then["histories"][contact]).iter().position(state).expect("such a message")
    };
    let (theirs, read, queued) =
        (place("ben", None), place("ben", Some("read")), place("ben", Some("queued")));
    let (sent, delivered) = (place("cat", Some("sent")), place("cat", Some("delivered")));
    type Change<'a> = &'a dyn Fn(&mut Value);
    let faults: [Change<'_>; 16] = [
        &|now| now["identities"][0]["key"] = "another".into(),
        &|now| now["requests"] = json!([]),
        &|now| drop(now["contacts"].as_array_mut().expect("contacts").pop()),
        &|now| now["contacts"][0]["trust"]["state"] = "unknown".into(),
        &|now| now["contacts"][0]["read_marks"] = Value::Null,
        &|now| drop(now["histories"]["ben"].as_array_mut().expect("messages").remove(theirs)),
        &|now| drop(now["histories"].as_object_mut().expect("all").remove("fay")),
        &|now| now["histories"]["ben"].as_array_mut().expect("messages").swap(theirs, read),
        &|now| {
            let again = now["histories"]["ben"][theirs].clone();
            now["histories"]["ben"].as_array_mut().expect("messages").push(again);
        },
        &|now| now["histories"]["ben"][theirs]["text"] = "another".into(),
        &|now| now["histories"]["ben"][theirs]["number"] = Value::Null,
        &|now| now["histories"]["ben"][read]["state"] = "delivered".into(),
        &|now| now["histories"]["ben"][read]["read"] = Value::Null,
        &|now| now["histories"]["ben"][queued]["state"] = "cancelled".into(),
        &|now| now["histories"]["cat"][sent]["state"] = "queued".into(),
        &|now| now["histories"]["cat"][delivered]["state"] = "unacknowledged".into(),
    ];
    for (number, fault) in faults.iter().enumerate() {
        let mut now = then.clone();
        fault(&mut now);
        assert_ne!(differences(then, &now), NOTHING, "fault {number}");
    }
    let mut now = then.clone();
    now["histories"]["ben"][queued]["state"] = "sent".into();
    now["histories"]["cat"][sent]["state"] = "unacknowledged".into();
    now["histories"]["cat"][sent]["number"] = Value::Null;
    for contact in now["contacts"].as_array_mut().expect("contacts") {
        contact["words"] = Value::Null;
        if contact["session"] != "blocked" {
            contact["session"] = "no session".into();
        }
    }
    assert_eq!(differences(then, &now), NOTHING);
}
