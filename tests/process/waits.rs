//! Limits of the system, nodes that stand still, and homes that others hold for a moment: whoever waits
//! does so for a while and no longer, and nobody is turned away for a moment's trouble.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{Home, Network, PROGRAM, Running, finish, left, moment_after, parse, signal};

/// Nobody listens at the port of "tcpmux".
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1";

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// Far above the limits that are waited for, on a busy machine; far below no limit at all.
const SOON: Duration = Duration::from_secs(60);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// A home with a contact.
fn ann() -> Home {
    let home = Home::new();
    home.identity("ann");
    let invite = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &invite, "--name", "ben"]);
    home
}

/// A node without neighbours, which runs.
fn node(home: &Home, network: &Network) -> Running {
    let node = home.listen(network, NOBODY, &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    node
}

#[test]
fn no_command_waits_for_a_node_that_stands_still_and_all_are_answered_once_it_goes_on() {
    let (home, network) = (ann(), Network::new());
    let node = node(&home, &network);
    signal("STOP", node.pid());
    let send = ["send", "ben", "hello", "--timeout", "3s"];
    for args in [
        &[&send[..], &network.flags()].concat()[..],
        &["status"],
        &["history", "ben"],
        &["contact", "list"],
        &["listen", "--timeout", "3s"],
        &["node", "stop"],
    ] {
        let until = moment_after(SOON);
        let output = home.run(args);
        let said = said(&output);
        assert!(!left(until).is_zero(), "{args:?} waited for too long: {said}");
        assert_eq!(output.status.code(), Some(6), "{args:?}: {said}");
        assert!(said.contains("[node_silent]"), "{args:?}: {said}");
    }
    signal("CONT", node.pid());
    assert_eq!(home.ask(&["status"])["running"], true);
    assert_eq!(node.end("TERM"), Some(143));
}

#[test]
fn messages_that_are_sent_at_once_without_a_node_are_all_queued() {
    let (home, network) = (ann(), Network::new());
    let texts: Vec<String> = (0..5).map(|number| format!("from script {number}")).collect();
    let send = |text: &String| {
        let args = ["send", "ben", text, "--wait", "queued"];
        home.run(&[&args[..], &network.flags()].concat())
    };
    thread::scope(|scope| {
        let sending: Vec<_> = texts.iter().map(|text| scope.spawn(move || send(text))).collect();
        for sent in sending {
            let output = sent.join().expect("no panic");
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        }
    });
    let stored = home.run(&["history", "ben", "--json"]).stdout;
    let lines = stored.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut queued: Vec<String> =
        lines.map(|line| parse(line)["text"].as_str().expect("a text").to_owned()).collect();
    queued.sort_unstable();
    assert_eq!(queued, texts);
}

#[test]
fn a_question_beside_a_node_that_starts_and_a_node_that_starts_beside_a_question_both_succeed() {
    let (home, network) = (ann(), Network::new());
    let question = || Running::start(home.command(&["history", "ben"]), &home.path("asked"), None);
    let listen = ["listen", "--timeout", "1s", "--peer", NOBODY];
    let mut starting = home.command(&listen);
    starting.args(network.flags());
    let mut node = Running::start(starting, &home.path("errors"), None);
    for round in 0..4 {
        let asked = question();
        assert_eq!(asked.ended(), Some(0), "{round}: {}", asked.errors());
        let asked = question();
        assert_eq!(node.ended(), Some(0), "{round}: {}", node.errors());
        let mut starting = home.command(&listen);
        starting.args(network.flags());
        node = Running::start(starting, &home.path("errors"), None);
        assert_eq!(asked.ended(), Some(0), "{round}: {}", asked.errors());
    }
    assert_eq!(node.ended(), Some(0), "{}", node.errors());
}

/// The lock of a home, as another command holds it.
fn hold(home: &Path) -> File {
    DirBuilder::new().mode(0o700).recursive(true).create(home).expect("a folder");
    let mut how = File::options();
    let lock = how.write(true).create(true).truncate(false).mode(0o600).open(home.join("lock"));
    let lock = lock.expect("a lock");
    lock.lock().expect("nobody has it");
    lock
}

#[test]
fn a_home_that_is_held_for_a_moment_is_waited_for_by_whatever_needs_it() {
    let (home, network) = (ann(), Network::new());
    let path = |name: &str| home.path(name).to_str().expect("UTF-8").to_owned();
    home.write_secret("sealed", "another passphrase");
    let (file, sealed) = (path("backup"), ["--backup-passphrase-file".to_owned(), path("sealed")]);
    let words = |args: &[&str], more: &[String]| -> Vec<String> {
        args.iter().map(|&arg| arg.to_owned()).chain(more.iter().cloned()).collect()
    };
    let net: Vec<String> = network.flags().map(str::to_owned).into();
    let other = Home::new();
    let cases = [
        (&home, words(&["history", "ben"], &[])),
        (&home, words(&["send", "ben", "hello", "--wait", "queued"], &net)),
        (&home, words(&["listen", "--timeout", "1s", "--peer", NOBODY], &net)),
        (&home, words(&["backup", "create", &file], &sealed)),
        (&home, words(&["identity", "new", "other"], &[])),
        (&other, words(&["backup", "restore", &file], &sealed)),
    ];
    for (home, args) in cases {
        let lock = hold(&home.path("home"));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let waiting = Running::start(home.command(&args), &home.path("errors"), None);
        let until = moment_after(Duration::from_secs(3));
        while !left(until).is_zero() {
            assert!(!waiting.has_ended(), "{args:?}: {}", waiting.errors());
            // What asks nothing of a home is answered meanwhile.
            assert!(home.run(&["--version"]).status.success());
        }
        drop(lock);
        assert_eq!(waiting.ended(), Some(0), "{args:?}: {}", waiting.errors());
    }
}

/// How many files the process may have open from now on: what it has open stays so.
fn allow_files(of: &Running, most: Option<u64>) {
    let usual = getrlimit(Resource::Nofile);
    let pid = Pid::from_raw(i32::try_from(of.pid()).expect("a number")).expect("a process");
    let limit = Rlimit { current: most.or(usual.current), maximum: usual.maximum };
    prlimit(Some(pid), Resource::Nofile, limit).expect("it is ours");
}

#[test]
fn a_node_and_a_relay_that_can_open_no_file_for_a_while_go_on_and_let_others_in_after_it() {
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (relay, address) = relays.relay(&network, LISTEN, &[]);
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    at_ben.wait_for_session();
    for process in [&at_ann, &relay] {
        allow_files(process, Some(3));
    }
    let refused = ann.run(&["status"]);
    assert_eq!(refused.status.code(), Some(6), "it let somebody in: {}", said(&refused));
    // A newcomer that the relay cannot let in yet.
    let carl = Home::new();
    carl.identity("carl");
    let at_carl = carl.listen(&network, &address, &["--json"]);
    // It is stored and acknowledged, which takes no other file.
    let send = ["send", "ann", "meanwhile", "--wait", "delivered", "--timeout", "140s"];
    assert_eq!(ben.ask(&send)["state"], "delivered");
    assert_eq!(at_ann.messages(1)[0].1, "meanwhile");
    for process in [&at_ann, &relay] {
        assert!(!process.has_ended(), "{}", process.errors());
        allow_files(process, None);
    }
    assert_eq!(ann.ask(&["status"])["running"], true);
    at_carl.wait_for_neighbour();
    assert_eq!(at_ann.end("TERM"), Some(143));
    assert_eq!(relay.end("TERM"), Some(0));
}

/// The program in a home with this path.
fn at(home: &Home, path: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).arg("--home").arg(path).current_dir(home.folder());
    command.arg("--no-input").arg("--passphrase-file").arg(home.path("passphrase"));
    command.env("HOME", home.folder()).env_remove("UNDERTONE_HOME");
    finish(command, "")
}

/// A path below the folder of a home, of so many bytes.
fn path_of(home: &Home, bytes: usize) -> PathBuf {
    let mut path = home.folder().canonicalize().expect("a path");
    while path.as_os_str().len() + 200 < bytes {
        path.push("d".repeat(100));
    }
    path.push("e".repeat(bytes - path.as_os_str().len() - 1));
    assert_eq!(path.as_os_str().len(), bytes);
    path
}

#[test]
fn a_home_may_have_a_long_path_and_one_that_is_too_long_is_named_for_it() {
    let (home, network) = (Home::new(), Network::new());
    for bytes in [200, 491] {
        let path = path_of(&home, bytes);
        let made = at(&home, &path, &["identity", "new", "ann"]);
        assert_eq!(made.status.code(), Some(0), "{bytes}: {}", said(&made));
        let listen = ["listen", "--timeout", "1s", "--peer", NOBODY];
        let listened = at(&home, &path, &[&listen[..], &network.flags()].concat());
        assert_eq!(listened.status.code(), Some(0), "{bytes}: {}", said(&listened));
    }
    for bytes in [492, 700, 3_000] {
        let path = path_of(&home, bytes);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        for args in [&["identity", "new", "ann"][..], &["relay", "run", "--archive", "64MiB"]] {
            let refused = at(&home, &path, args);
            let said = said(&refused);
            assert_eq!(refused.status.code(), Some(1), "{bytes}: {said}");
            assert!(said.contains(&format!(" {bytes} bytes")) || args[0] == "relay", "{said}");
            assert!(said.contains("the path of the folder has "), "{bytes}: {said}");
            assert!(said.contains("with a shorter path: --home DIR"), "{bytes}: {said}");
        }
    }
}
