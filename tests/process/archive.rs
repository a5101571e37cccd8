//! A relay that keeps envelopes on disk: killed while they pour in, damaged, shared, misused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Home, Network, Running, parse};

/// How often it is killed.
const KILLS: usize = 3;

/// What is said between two kills at most.
const MESSAGES: usize = 40;

/// A relay with an archive that runs in its home.
struct Relay {
    process: Running,
    /// What it says it took over.
    taken: Value,
    address: String,
}

impl Relay {
    fn start(home: &Home, network: &Network) -> Self {
        let mut command =
            home.bare(&["relay", "run", "--json", "--archive", "64MiB", "--listen", LISTEN]);
        command.args(network.flags());
        let process = Running::start(command, &home.path("errors"), None);
        let taken = process.wait_for_json("what it took over", |line| {
            (line["type"] == "archive").then(|| line.clone())
        });
        let address = process
            .wait_for_json("its address", |line| line["address"].as_str().map(str::to_owned));
        Self { process, taken, address }
    }

    /// Waits until it tells of so many envelopes; how many it tells of. It tells after writing.
    fn holds(&self, least: u64) -> u64 {
        self.process.wait_for_json("envelopes", |line| {
            line["pool_items"].as_u64().filter(|items| *items >= least)
        })
    }
}

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

fn file(home: &Home) -> PathBuf {
    home.path("home/archive/envelopes.db")
}

#[test]
fn an_archive_killed_while_envelopes_pour_in_has_all_it_reported_and_no_damaged_one() {
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let mut told = 0;
    let mut said = 0;
    for round in 0..KILLS {
        let relay = Relay::start(&relays, &network);
        let held = relay.taken["held"].as_u64().expect("a number");
        assert!(held >= told, "of {told} envelopes {held} are left, round {round}");
        for nothing in ["expired", "refused", "damaged"] {
            assert_eq!(relay.taken[nothing], 0, "{nothing}, round {round}");
        }
        assert!(relay.taken["salvaged"].is_null(), "a kill is no damage");
        let at_ben = ben.listen(&network, &relay.address, &["--json"]);
        let at_ann = ann.listen(&network, &relay.address, &["--json"]);
        at_ann.wait_for_neighbour();
        at_ben.wait_for_neighbour();
        for _ in 0..MESSAGES {
            ann.ask(&["send", "ben", &format!("message {said}"), "--wait", "queued"]);
            said += 1;
        }
        // Somewhere between the first of them and the last.
        told = relay.holds(held + 5 + 8 * round as u64);
        relay.process.kill();
    }
    let relay = Relay::start(&relays, &network);
    let held = relay.taken["held"].as_u64().expect("a number");
    assert!(held >= told && told > 5, "of {told} envelopes {held} are left");
    assert_eq!(relay.process.end("TERM"), Some(0));
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(relays.path("home/archive")), 0o700);
    assert_eq!(mode(file(&relays)), 0o600);

    // A damaged header hides nothing.
    let mut bytes = fs::read(file(&relays)).expect("the file");
    bytes[..1024].fill(0);
    fs::write(file(&relays), bytes).expect("written");
    let relay = Relay::start(&relays, &network);
    assert_eq!(relay.taken["held"], held);
    assert!(relay.taken["salvaged"].as_u64().is_some_and(|saved| saved >= held));
    assert!(relay.taken["outdated"] == false);
    assert!(relays.ask(&["status"])["archive_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(relay.process.end("TERM"), Some(0));

    // What version 1 kept is carried by nobody: the file says its version at byte 60.
    let mut bytes = fs::read(file(&relays)).expect("the file");
    bytes[60..64].copy_from_slice(&[0, 0, 0, 1]);
    fs::write(file(&relays), &bytes).expect("written");
    let relay = Relay::start(&relays, &network);
    assert!(relay.taken["outdated"] == true && relay.taken["salvaged"].is_null());
    assert_eq!(relay.taken["held"], 0);
    let anew = fs::metadata(file(&relays)).expect("a new file").len();
    assert!(anew < bytes.len() as u64, "{anew}");
}

#[test]
fn an_archive_is_for_one_process_and_names_the_reason_that_it_cannot_be_opened() {
    let network = Network::new();
    let home = Home::new();
    let relay = Relay::start(&home, &network);
    let flags = ["relay", "run", "--archive", "1MiB", "--listen", LISTEN, "--json"];
    let refused = parse(&home.run(&flags).stdout);
    assert_eq!(refused["error"]["code"], "in_use");
    assert_eq!(refused["error"]["exit"], 10);
    for part in ["message", "reason", "safe", "hint"] {
        assert!(refused["error"][part].as_str().is_some_and(|text| !text.is_empty()), "{part}");
    }
    drop(relay);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(home.path("home/archive"), open).expect("opened to others");
    assert_eq!(parse(&home.run(&flags).stdout)["error"]["code"], "unsafe_mode");

    for other in [["--pool", "1MiB"].as_slice(), &["--memory"]] {
        let output = home.run(&[&flags[..], other].concat());
        assert_eq!(output.status.code(), Some(2), "{other:?}");
    }
}
