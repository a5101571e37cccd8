//! Every way a command can end: its exit code, and for programs one line that says why.

use std::fs::{self, Permissions, set_permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    HEARS_HANG_UP, Home, Network, PROGRAM, Running, deadline, finish, left, parse,
};

/// Nobody listens at the port of "tcpmux".
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1";

/// Runs a command that must fail, for programs and for people; its exit code and code word.
fn failure(home: &Home, args: &[&str]) -> (i32, String) {
    failure_of(|| home.command(args))
}

fn failure_of(command: impl Fn() -> Command) -> (i32, String) {
    let mut for_programs = command();
    for_programs.arg("--json");
    let output = finish(for_programs, "hello");
    let answer: Value = parse(&output.stdout);
    assert_eq!((&answer["v"], &answer["ok"]), (&1.into(), &false.into()));
    let code = output.status.code().expect("an exit code");
    assert_eq!(answer["error"]["exit"], code);
    let word = answer["error"]["code"].as_str().expect("a word").to_owned();

    let output = finish(command(), "hello");
    assert_eq!(output.status.code(), Some(code), "the same for people");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "standard output is data");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("error: ") && text.contains(&format!("[{word}]")), "{text}");
    assert!(text.contains("\n   next: "), "{text}");
    (code, word)
}

#[test]
fn wrong_usage_is_2() {
    let home = Home::new();
    for args in [&["fly"][..], &["send"], &["listen", "--timeout", "soon"], &["--floor", "99"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
        let output = home.run(&[args, &["--json"]].concat());
        assert_eq!(parse(&output.stdout)["error"]["code"], "usage");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    for (args, named) in [
        (&["export", "chat"][..], "<--contact <NAME>|--all>"),
        (&["contact", "verify", "bob"], "--digits <DIGITS>"),
        (&["send", "bob", "--wait", "soon"], "possible values: queued, sent, delivered, read"),
        (&["--network", "x", "contact", "list"], "'--network' cannot be used with"),
    ] {
        let output = home.run(&[args, &["--json"]].concat());
        let message = parse(&output.stdout)["error"]["message"].clone();
        assert!(message.as_str().is_some_and(|text| text.contains(named)), "{message}");
        let output = home.run(args);
        assert!(String::from_utf8_lossy(&output.stderr).contains(named), "{output:?}");
    }
    for args in [&["--help"][..], &["relay", "run", "--help"], &["--version"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("undertone"), "{args:?}");
    }
}

#[test]
fn a_missing_entry_is_3() {
    let home = Home::new();
    assert_eq!(failure(&home, &["identity", "list"]), (3, "no_store".to_owned()));
    home.identity("ann");
    let expected = (3, "contact_not_found".to_owned());
    assert_eq!(failure(&home, &["send", "nobody", "hello"]), expected);
    assert_eq!(failure(&home, &["contact", "show", "nobody"]), expected);
    assert_eq!(failure(&home, &["listen", "--from", "nobody", "--floor", "4"]), expected);
    let expected = (3, "identity_not_found".to_owned());
    assert_eq!(failure(&home, &["identity", "show", "nobody"]), expected);
    assert_eq!(failure(&home, &["request", "decline", "0123"]).0, 3);
}

#[test]
fn a_home_that_lost_a_file_or_is_no_folder_is_9_and_says_what_is_missing() {
    let home = Home::new();
    home.identity("ann");
    let why = |command: Command| {
        let mut command = command;
        command.arg("--json");
        let output = finish(command, "");
        let answer = parse(&output.stdout);
        assert_eq!(output.status.code(), Some(9), "{answer}");
        answer["error"]["reason"].as_str().expect("a reason").to_owned()
    };
    let list = ["identity", "list"];
    fs::rename(home.path("home/store.db"), home.path("database")).expect("moved");
    for args in [&list[..], &["identity", "new", "bea"]] {
        assert!(why(home.command(args)).contains("store.db, is missing"), "{args:?}");
    }
    fs::rename(home.path("database"), home.path("home/store.db")).expect("moved back");
    fs::rename(home.path("home/key"), home.path("key")).expect("moved");
    assert!(why(home.command(&list)).contains("key file is missing"));
    fs::write(home.path("home/key"), "").expect("written");
    set_permissions(home.path("home/key"), Permissions::from_mode(0o600)).expect("narrowed");
    assert!(why(home.command(&list)).contains("is empty"));
    fs::rename(home.path("key"), home.path("home/key")).expect("moved back");
    home.ask(&list);

    let other = Home::new();
    fs::write(other.path("home"), "a file").expect("written");
    for args in [&list[..], &["identity", "new", "bea"]] {
        assert!(why(other.command(args)).contains("is not a folder"), "{args:?}");
    }
}

#[test]
fn a_wrong_passphrase_is_4_and_a_question_that_may_not_be_asked_is_12() {
    let home = Home::new();
    home.identity("ann");
    let wrong = home.write_secret("wrong", "incorrect horse battery staple");
    let with_wrong = || {
        let mut command = home.bare(&["identity", "list"]);
        command.arg("--passphrase-file").arg(&wrong);
        command
    };
    assert_eq!(failure_of(with_wrong), (4, "locked".to_owned()));
    let with_none = || {
        let mut command = home.bare(&["identity", "list"]);
        command.arg("--no-input");
        command
    };
    assert_eq!(failure_of(with_none), (12, "no_input".to_owned()));
}

#[test]
fn no_neighbour_is_5_and_the_message_leaves_with_a_later_node() {
    let network = Network::new();
    let (ann, ben) = (Home::new(), Home::new());
    let (from_ann, from_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &from_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &from_ann.invite, "--name", "ann"]);
    let send = ["send", "ben", "-", "--timeout", "1s", "--peer", NOBODY];
    let expected = (5, "no_relay".to_owned());
    assert_eq!(failure(&ann, &[&send[..], &network.flags()[..]].concat()), expected);

    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let at_ben = ben.listen(&network, &address, &["--json", "--count", "2"]);
    let _at_ann = ann.listen(&network, &address, &[]);
    // It was asked twice: for programs and for people.
    let hello = "hello".to_owned();
    assert_eq!(at_ben.messages(2), [(0, hello.clone()), (1, hello)]);
    assert_eq!(at_ben.ended(), Some(0));
}

#[test]
fn a_timeout_is_6_and_a_text_too_long_is_7() {
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    ann.identity("ann");
    let invite = ben.identity("ann").invite;
    ann.ask(&["contact", "add", &invite, "--name", "ben"]);
    let node = ann.listen(&network, &address, &["--json"]);
    node.wait_for_neighbour();
    let send = ["send", "ben", "hello", "--wait", "delivered", "--timeout", "1s"];
    assert_eq!(failure(&ann, &send), (6, "ack_timeout".to_owned()));
    let long = "x".repeat(10_000);
    assert_eq!(failure(&ann, &["send", "ben", &long]), (7, "bad_text".to_owned()));
    assert_eq!(failure(&ann, &["send", "ben", ""]), (7, "bad_text".to_owned()));
    ann.ask(&["contact", "block", "ben"]);
    assert_eq!(failure(&ann, &["send", "ben", "hello"]), (7, "blocked".to_owned()));
}

#[test]
fn a_second_node_in_one_home_is_10_a_client_shares_the_first_and_a_signal_ends_each() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    let node = home.listen(&network, NOBODY, &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let again = [&["node", "run"][..], &network.flags()[..]].concat();
    assert_eq!(failure(&home, &again), (10, "in_use".to_owned()));
    let client = home.listen(&network, NOBODY, &["--json"]);
    client.wait_for_json("the same node", |line| (line["type"] == "network").then_some(()));
    assert_eq!(client.end("TERM"), Some(143));
    assert_eq!(home.ask(&["status"])["running"], true);
    assert_eq!(node.end("TERM"), Some(143));
    let node = home.listen(&network, NOBODY, &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    assert_eq!(node.end("INT"), Some(130));
}

#[test]
fn who_goes_on_after_a_killed_node_keeps_its_settings_and_whose_own_are_not_used_is_told() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    let node = |running: &Running| {
        running.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    };
    let first = home.listen(&network, NOBODY, &["--json", "--line", "3", "--max-work", "64"]);
    node(&first);
    let second = Running::start(home.command(&["listen", "--json"]), &home.path("second"), None);
    node(&second);
    assert_eq!(second.errors(), "", "it said nothing of a node");
    let flags = ["listen", "--line", "5", "--max-work", "64", "--lan", "--timeout", "1s"];
    let third = home.run(&flags);
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    let unused =
        "a node with other settings runs in this home folder; --lan and --line were not used;";
    assert!(said.contains(unused) && said.contains("undertone node stop"), "{said}");
    first.kill();
    drop(first);
    let until = deadline();
    let line = || home.ask(&["status"])["node"]["line"]["blocks_per_second"].clone();
    while line() != 3 {
        assert!(!left(until).is_zero(), "another line than before: {}", line());
    }
    assert_eq!(second.end("TERM"), Some(143));
}

#[test]
fn a_home_or_a_passphrase_that_others_can_read_is_11() {
    let home = Home::new();
    home.identity("ann");
    let expected = (11, "unsafe_mode".to_owned());
    set_permissions(home.path("passphrase"), Permissions::from_mode(0o644)).expect("widened");
    assert_eq!(failure(&home, &["identity", "list"]), expected);
    set_permissions(home.path("passphrase"), Permissions::from_mode(0o600)).expect("narrowed");
    set_permissions(home.path("home"), Permissions::from_mode(0o755)).expect("widened");
    assert_eq!(failure(&home, &["identity", "list"]), expected);
    set_permissions(home.path("home"), Permissions::from_mode(0o700)).expect("narrowed");
    home.ask(&["identity", "list"]);
}

#[test]
fn status_reports_the_running_node_or_that_none_runs() {
    let network = Network::new();
    let (relays, home) = (Home::new(), Home::new());
    let nothing = home.ask(&["status"]);
    assert_eq!((&nothing["running"], &nothing["kept"]), (&false.into(), &false.into()));
    assert_eq!((&nothing["store"], &nothing["store_trouble"]), (&"none".into(), &Value::Null));
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    home.identity("ann");
    let node = home.listen(&network, &address, &["--json", "--junk", "1/h"]);
    node.wait_for_neighbour();
    let status = home.ask(&["status"]);
    assert_eq!((&status["running"], &status["ready"]), (&true.into(), &true.into()));
    assert_eq!(status["node"]["network"], network.name());
    assert_eq!(status["node"]["peers"], 1);
    assert_eq!(status["node"]["floor_bits"], 4);
    let words = home.run(&["status"]).stdout;
    assert!(String::from_utf8_lossy(&words).contains("peers    1"));
}

#[test]
fn status_says_without_a_passphrase_what_keeps_a_store_from_opening() {
    let home = Home::new();
    home.identity("ann");
    let status = || {
        let mut command = home.bare(&["status"]);
        command.args(["--no-input", "--json"]);
        let answer = parse(&finish(command, "").stdout)["data"].clone();
        let words = finish(home.bare(&["status"]), "").stdout;
        (answer, String::from_utf8(words).expect("UTF-8"))
    };
    let (whole, words) = status();
    assert_eq!((&whole["kept"], &whole["store"]), (&true.into(), &"encrypted".into()));
    assert!(words.contains("\nstore    encrypted with a passphrase\n"), "{words}");
    let broken = |code: &str, why: &str| {
        let (answer, words) = status();
        assert_eq!((&answer["kept"], &answer["store"]), (&false.into(), &code.into()), "{why}");
        let trouble = answer["store_trouble"].as_str().expect("a reason");
        assert!(trouble.contains(why) && words.contains(why), "{trouble}; {words}");
    };
    for (file, why) in [("key", "key file is missing"), ("store.db", "store.db, is missing")] {
        let (at, away) = (home.path("home").join(file), home.path("away"));
        fs::rename(&at, &away).expect("moved");
        broken("store_unreadable", why);
        fs::rename(&away, &at).expect("moved back");
    }
    let key = home.path("home/key");
    let whole_key = fs::read(&key).expect("a key file");
    fs::write(&key, &whole_key[1..]).expect("written");
    broken("store_unreadable", "a file of another program");
    fs::write(&key, &whole_key[..whole_key.len() - 1]).expect("written");
    broken("store_unreadable", "is damaged");
    fs::write(&key, &whole_key).expect("written");
    for (path, narrow) in [("home", 0o700), ("home/key", 0o600), ("home/store.db", 0o600)] {
        set_permissions(home.path(path), Permissions::from_mode(narrow | 0o044)).expect("widened");
        broken("unsafe_mode", "others can access");
        set_permissions(home.path(path), Permissions::from_mode(narrow)).expect("narrowed");
    }
    assert_eq!(status().0["kept"], true);
}

#[test]
fn a_message_that_was_stored_is_said_to_be_however_short_the_wait_is() {
    let network = Network::new();
    let home = Home::new();
    let to_ann = home.identity("ann").invite;
    let other = Home::new().identity("ben").invite;
    assert_ne!(to_ann, other);
    home.ask(&["contact", "add", &other, "--name", "ben"]);
    let send = |wait: &str| {
        let args = ["send", "ben", "hello", "--json", "--timeout", "0s", "--wait", wait];
        let output = home.run(&[&args[..], &network.flags()].concat());
        // Of one that a signal ended, its number.
        assert!(output.status.code().is_some(), "{}: {output:?}", output.status);
        (output.status.code(), parse(&output.stdout))
    };
    // By a node of its own, and by one that runs.
    let running = || {
        let mut command = home.command(&["node", "run"]);
        command.args(network.flags());
        let node = Running::start(command, &home.path("errors"), None);
        while home.ask(&["status"])["running"] != true {}
        node
    };
    for node in [None, Some(running)] {
        let node = node.map(|start| start());
        let (code, queued) = send("queued");
        assert_eq!((code, &queued["data"]["state"]), (Some(0), &"queued".into()), "{queued}");
        for wait in ["sent", "delivered"] {
            let (code, error) = send(wait);
            assert_eq!((code, &error["error"]["code"]), (Some(5), &"no_relay".into()), "{error}");
            let safe = error["error"]["safe"].as_str().expect("what is safe");
            assert!(safe.contains("queued here"), "{safe}");
        }
        if let Some(node) = node {
            assert_eq!(node.end("TERM"), Some(0));
        }
    }
    let stored = home.run(&["history", "ben", "--json"]).stdout;
    assert_eq!(String::from_utf8_lossy(&stored).lines().count(), 6);
}

#[test]
fn a_wait_for_a_message_that_a_signal_ends_says_that_the_message_is_stored_and_leaves() {
    let network = Network::new();
    let home = Home::new().run_by(&HEARS_HANG_UP);
    home.identity("ann");
    let other = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &other, "--name", "ben"]);
    let running = || {
        let mut command = home.command(&["node", "run"]);
        command.args(network.flags());
        let node = Running::start(command, &home.path("errors"), None);
        while home.ask(&["status"])["running"] != true {}
        node
    };
    let send = |more: &[&str]| {
        let mut command = home.command(&["send", "ben", "hello", "--wait", "sent"]);
        command.args(network.flags()).args(more);
        command
    };
    // It uses the node that sends the message.
    let stored = || home.run(&["history", "ben"]).stdout.split(|byte| *byte == b'\n').count();
    let signals =
        [("TERM", 143, "terminated"), ("HUP", 143, "terminated"), ("INT", 130, "interrupted")];
    // By a node of its own, and by one that runs.
    for node in [None, Some(running)] {
        let node = node.map(|start| start());
        for (signal, exit, code) in signals {
            let before = stored();
            let sending = Running::start(send(&["--json"]), &home.path("errors"), None);
            while stored() == before {
                assert!(!sending.has_ended(), "{}", sending.errors());
            }
            crate::support::signal(signal, sending.pid());
            let (ended, answer) = sending.last_line();
            assert_eq!((ended, &answer["ok"]), (Some(exit), &false.into()), "{answer}");
            let error = &answer["error"];
            assert_eq!((&error["code"], &error["exit"]), (&code.into(), &exit.into()), "{answer}");
            let said = [&error["safe"], &error["hint"]].map(|text| text.as_str().expect("words"));
            assert!(said[0].contains("is saved") && said[1].contains("message show"), "{answer}");
        }
        if let Some(node) = node {
            assert_eq!(node.end("TERM"), Some(0));
        }
    }
}

#[test]
fn a_message_that_is_to_be_sent_again_by_the_next_node_is_said_to_leave_minutes_after_its_start() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    let other = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &other, "--name", "ben"]);
    let send = ["send", "ben", "hello", "--wait", "queued"];
    let sent = home.ask(&[&send[..], &network.flags()].concat());
    home.ask(&["contact", "block", "ben"]);
    home.ask(&["contact", "unblock", "ben"]);
    let output = home.run(&["message", "retry", sent["id"].as_str().expect("an id")]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("UTF-8");
    assert!(said.contains("is sent within some minutes of the next start of a node"), "{said}");
}

#[test]
fn completions_are_a_script_the_shell_understands() {
    let home = Home::new();
    let script = home.run(&["completions", "bash"]);
    assert_eq!(script.status.code(), Some(0));
    let text = String::from_utf8(script.stdout).expect("UTF-8");
    assert!(text.contains("undertone") && text.contains("passphrase-file"));
    let mut shell = Command::new("bash");
    shell.arg("-n");
    assert!(finish(shell, &text).status.success(), "bash reads it");
}

#[test]
fn an_address_that_is_taken_is_1_and_is_reported_for_both_transports() {
    let network = Network::new();
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let tcp = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().expect("bound").port());
    let port = udp.local_addr().expect("bound").port();
    for listen in [tcp, format!("/ip4/127.0.0.1/udp/{port}/quic-v1")] {
        let args =
            [&["relay", "run", "--listen", &listen, "--json"][..], &network.flags()].concat();
        let answer = parse(&home.run(&args).stdout);
        assert_eq!(answer["error"]["exit"], 1);
        let reason = answer["error"]["reason"].as_str().expect("a reason");
        assert!(reason.contains(&listen) && reason.contains("in use"), "{reason}");
    }
}

#[test]
fn an_interface_without_a_terminal_draws_nothing_and_names_the_next_step() {
    let ended = Command::new(PROGRAM)
        .arg("--memory")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout, b"");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert!(said.contains("next: run it in a terminal"), "{said}");
}
