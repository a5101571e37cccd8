//! A full device for the output, odd bytes on the input, files that are not ours, and a machine without a
//! name server, under the real program.

use std::fs::{self, File, Permissions, set_permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{HEARS_HANG_UP, Home, Network, PROGRAM, Running, finish, parse, signal};

/// A user whom nothing belongs to.
const NOBODY: u32 = 65_534;

/// Runs a command whose output goes there; its exit code and what it said to a person.
fn run_into(mut command: Command, output: impl Into<Stdio>) -> (i32, String) {
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let mut said = String::new();
    child.stderr.take().expect("its messages").read_to_string(&mut said).expect("UTF-8");
    (child.wait().expect("its end").code().expect("an exit code"), said)
}

fn full() -> File {
    fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device")
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A home with a contact and a message to it.
fn home_with_history() -> Home {
    let (home, other) = (Home::new(), Home::new());
    home.identity("ann");
    let invite = other.identity("ben").invite;
    home.ask(&["contact", "add", &invite, "--name", "ben"]);
    let network = Network::new();
    let send = [&["send", "ben", "hello", "--wait", "queued"][..], &network.flags()].concat();
    assert!(home.run(&send).status.success());
    home
}

const PRINTING: [&[&str]; 9] = [
    &["history", "ben"],
    &["history", "ben", "--json"],
    &["contact", "list", "--json"],
    &["identity", "show"],
    &["status"],
    &["status", "--json"],
    &["export", "-", "--contact", "ben"],
    &["completions", "bash"],
    &["--help"],
];

#[test]
fn output_that_cannot_be_written_is_said_to_be_and_is_not_the_fault_of_the_home() {
    let home = home_with_history();
    for args in PRINTING {
        let (code, said) = run_into(home.command(args), full());
        assert_eq!(code, 14, "{args:?}: {said}");
        assert!(said.contains("[output]") && said.contains("standard output"), "{args:?}: {said}");
        assert!(!said.contains(&*home.folder().to_string_lossy()), "{args:?}: {said}");
    }
    // An error that has no place on standard output is one all the same.
    let (code, said) = run_into(home.command(&["contact", "show", "nobody", "--json"]), full());
    assert_eq!((code, said.contains("[contact_not_found]")), (3, true), "{said}");
    // What was done stays done.
    let made = ["identity", "new", "other", "--json"];
    assert_eq!(run_into(home.command(&made), full()).0, 14);
    assert_eq!(home.ask(&["identity", "list"]).as_array().map(Vec::len), Some(2));
}

#[test]
fn a_pipe_that_was_closed_ends_a_command_without_a_word() {
    let home = home_with_history();
    for args in PRINTING {
        assert_eq!(run_into(home.command(args), closed()), (141, String::new()), "{args:?}");
    }
    let network = Network::new();
    let listen = [&["listen", "--json", "--timeout", "60s"][..], &network.flags()].concat();
    assert_eq!(run_into(home.command(&listen), closed()), (141, String::new()));
    let (code, said) = run_into(home.command(&listen), full());
    assert!(code == 14 && said.contains("[output]"), "{code}: {said}");
}

#[test]
fn a_relay_whose_output_cannot_be_written_serves_on_and_says_so() {
    let (home, network) = (Home::new(), Network::new());
    let mut command = home.bare(&["relay", "run", "--pool", "64MiB"]);
    command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]).args(network.flags());
    command.stdin(Stdio::null()).stdout(full()).stderr(Stdio::piped());
    let mut relay = command.spawn().expect("a process");
    let mut messages = relay.stderr.take().expect("its messages");
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&said).contains("the node goes on") {
        assert_eq!(messages.read(&mut byte).expect("a message"), 1, "it ended");
        said.push(byte[0]);
    }
    assert!(relay.try_wait().expect("a process").is_none());
    signal("TERM", relay.id());
    let mut rest = String::new();
    messages.read_to_string(&mut rest).expect("UTF-8");
    assert_eq!(relay.wait().expect("its end").code(), Some(14), "{rest}");
}

#[test]
fn odd_bytes_on_standard_input_are_named_and_lines_of_windows_end_as_usual() {
    let home = home_with_history();
    let network = Network::new();
    let send = |bytes: &[u8]| {
        let path = home.path("input");
        fs::write(&path, bytes).expect("written");
        let mut command = home.command(&["send", "ben", "--wait", "queued", "--json"]);
        command.args(network.flags()).stdin(File::open(path).expect("a file"));
        parse(&command.output().expect("a process").stdout)
    };
    let cut = send(b"caf\xc3");
    assert_eq!(cut["error"]["code"], "input");
    assert!(cut["error"]["reason"].as_str().expect("a text").contains("in the middle of a letter"));
    let odd = send(b"ab\xffcd");
    assert!(odd["error"]["reason"].as_str().expect("a text").contains("its byte 3"), "{odd}");
    assert_eq!(send(b"one\r\ntwo\r\n")["ok"], true);
    let history = home.run(&["history", "ben", "--json", "--last", "1"]);
    assert_eq!(parse(&history.stdout)["text"], "one\ntwo");
}

#[test]
fn a_log_that_is_no_file_of_ours_alone_is_refused_and_left_as_it_was() {
    let home = Home::new();
    home.identity("ann");
    let target = home.write_secret("target", "mine\n");
    symlink(&target, home.path("link")).expect("a link");
    let made = Command::new("mkfifo").arg("-m600").arg(home.path("pipe")).status();
    assert!(made.expect("mkfifo").success());
    let wide = home.write_secret("wide", "theirs\n");
    set_permissions(&wide, Permissions::from_mode(0o666)).expect("widened");
    let theirs = home.write_secret("theirs", "theirs\n");
    let is_root = chown(&theirs, Some(NOBODY), None).is_ok();
    for (name, code, why) in [
        ("link", "log", "it is a link, not a file"),
        ("pipe", "log", "it is a pipe, not a file"),
        ("wide", "unsafe_mode", "its mode is 0666, and must be 0600"),
        ("theirs", "unsafe_owner", "belongs to another user"),
    ] {
        if name == "theirs" && !is_root {
            println!("skipped: only root can give a file to another user");
            continue;
        }
        let path = home.path(name);
        let output = home.run(&["contact", "list", "--log", path.to_str().expect("UTF-8")]);
        let said = said(&output);
        assert!(said.contains(&format!("[{code}]")) && said.contains(why), "{name}: {said}");
        assert!(said.contains("\n   next: ") && output.stdout.is_empty(), "{name}: {said}");
    }
    assert_eq!(fs::read(target).expect("a file"), b"mine\n");
    assert_eq!(fs::read(wide).expect("a file"), b"theirs\n");
}

#[test]
fn what_lies_where_the_database_keeps_its_own_files_is_looked_at_before_it_is_opened() {
    // Whoever opens a pipe waits for its other end.
    let home = Home::new().run_by(&["timeout", "60"]);
    home.identity("ann");
    for name in ["store.db-journal", "store.db-wal", "store.db-shm"] {
        let path = home.path("home").join(name);
        // One of its own, if SQLite left it.
        fs::remove_file(&path).ok();
        let made = Command::new("mkfifo").arg("-m600").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        for args in [&["identity", "list"][..], &["status"]] {
            let output = home.run(args);
            let said = said(&output) + &String::from_utf8_lossy(&output.stdout);
            assert_ne!(output.status.code(), Some(124), "{name} {args:?}: {said}");
            assert!(said.contains("a file of another program"), "{name} {args:?}: {said}");
        }
        fs::remove_file(&path).expect("removed");
        drop(home.write_secret("theirs", ""));
        if chown(home.path("theirs"), Some(NOBODY), None).is_err() {
            println!("skipped: only root can give a file to another user");
            continue;
        }
        fs::rename(home.path("theirs"), &path).expect("moved");
        let output = home.run(&["identity", "list"]);
        assert!(said(&output).contains("[unsafe_owner]"), "{name}: {}", said(&output));
        fs::remove_file(&path).expect("removed");
    }
    assert!(home.run(&["identity", "list"]).status.success());
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_named() {
    for most in ["6", "8", "12", "16", "20"] {
        let limited = format!("ulimit -n {most}; exec \"$@\"");
        let home = Home::new().run_by(&["sh", "-c", &limited, "sh"]);
        let output = home.run(&["status"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{most}: {said}");
        assert!(said.contains("[io]") && said.contains("ulimit -n"), "{most}: {said}");
        assert!(!said.contains("panicked") && !said.contains("chmod"), "{most}: {said}");
    }
}

#[test]
fn without_a_home_folder_it_is_said_that_none_is_known() {
    let home = Home::new();
    for user in [None, Some(""), Some("relative")] {
        for args in [&["identity", "new", "ann"][..], &["status"]] {
            let mut command = Command::new(PROGRAM);
            command.args(args).arg("--no-input").env_clear().current_dir(home.folder());
            command.arg("--passphrase-file").arg(home.path("passphrase"));
            if let Some(user) = user {
                command.env("HOME", user);
            }
            let output = finish(command, "");
            let said = said(&output);
            assert_eq!(output.status.code(), Some(3), "{user:?} {args:?}: {said}");
            assert!(
                said.contains("[no_home]") && said.contains("next: name one: --home DIR"),
                "{said}"
            );
        }
        assert!(!home.path("relative").exists());
    }
}

#[test]
fn a_home_of_another_user_is_neither_used_nor_said_to_be_empty() {
    let home = Home::new();
    home.identity("ann");
    let folder = home.path("home");
    if chown(&folder, Some(NOBODY), None).is_err() {
        return println!("skipped: only root can give a folder to another user");
    }
    for args in [&["contact", "list"][..], &["identity", "new", "eve"], &["passphrase", "change"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(11), "{args:?}: {}", said(&output));
        assert!(said(&output).contains("[unsafe_owner]"), "{}", said(&output));
    }
    assert_eq!(home.ask(&["status"])["store"], "unsafe_owner");
    // Nor one without a store, nor a file in our own home.
    let empty = home.path("empty");
    fs::create_dir(&empty).expect("a folder");
    set_permissions(&empty, Permissions::from_mode(0o700)).expect("narrowed");
    chown(&empty, Some(NOBODY), None).expect("given away");
    let mut command = Command::new(PROGRAM);
    command.args(["status", "--json", "--home"]).arg(&empty);
    assert_eq!(parse(&finish(command, "").stdout)["data"]["store"], "unsafe_owner");
    chown(&folder, Some(0), None).expect("taken back");
    chown(home.path("home/store.db"), Some(NOBODY), None).expect("given away");
    assert_eq!(home.run(&["contact", "list"]).status.code(), Some(11));
    assert_eq!(home.ask(&["status"])["store"], "unsafe_owner");
}

#[test]
fn a_home_that_cannot_be_looked_at_is_not_said_to_be_empty() {
    let home = Home::new();
    home.identity("ann");
    let [one, other] = ["one", "other"].map(|name| home.path(name));
    symlink(&one, &other).expect("a link");
    symlink(&other, &one).expect("a link");
    let look = |path: &Path, user: Option<u32>| {
        let mut command = Command::new(PROGRAM);
        command.arg("status").arg("--home").arg(path).current_dir("/");
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        finish(command, "")
    };
    let circle = look(&one, None);
    let all = format!("{}{}", said(&circle), String::from_utf8_lossy(&circle.stdout));
    assert!(!all.contains("empty"), "{all}");
    // Somebody else who looks.
    set_permissions(home.folder(), Permissions::from_mode(0o755)).expect("widened");
    let started = Command::new(PROGRAM).arg("--version").uid(NOBODY).output();
    if !started.is_ok_and(|output| output.status.success()) {
        return println!("skipped: only root can run the program as another user");
    }
    for path in ["home", "home/below"] {
        let output = look(&home.path(path), Some(NOBODY));
        let all = format!("{}{}", said(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!all.contains("store    empty"), "{path}: {all}");
        let refused = all.contains("you have no permission") || all.contains("another user");
        assert!(refused && !all.contains("node.json"), "{path}: {all}");
    }
}

#[test]
fn a_node_whose_peers_are_numbers_starts_without_a_name_server_and_a_name_is_told() {
    let (home, network) = (Home::new(), Network::new());
    home.identity("ann");
    let script = r#"mount --bind /dev/null /etc/resolv.conf && exec "$@""#;
    let world = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
    let tried = Command::new(world[0]).args(&world[1..]).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return println!("skipped: the system lets nobody mount a file for themselves");
    }
    let (_relay, address) = home.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let home = home.run_by(&world);
    let name = "/dns4/relay.invalid/tcp/1";
    let mut command = home.command(&["listen", "--json", "--peer", &address, "--peer", name]);
    command.args(network.flags());
    let node = Running::start(command, &home.path("errors"), None);
    let mut has_neighbour = false;
    let told = node.wait_for_json("what it knows of the name", |line| {
        has_neighbour |= line["peers"] == 1;
        line["names_trouble"].as_str().map(str::to_owned)
    });
    assert_eq!(told, "relay.invalid: this system names no name server (/etc/resolv.conf)");
    if !has_neighbour {
        node.wait_for_neighbour();
    }
}

#[test]
fn a_relay_that_ignores_hang_ups_from_its_start_outlives_one_and_another_ends() {
    let network = Network::new();
    let nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let home = Home::new().run_by(&nohup);
    let (relay, address) = home.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    signal("HUP", relay.pid());
    // Whoever comes afterwards finds it.
    let other = Home::new();
    other.identity("ann");
    other.listen(&network, &address, &["--json"]).wait_for_neighbour();
    assert!(!relay.has_ended(), "{}", relay.errors());
    assert_eq!(relay.end("TERM"), Some(0));
    let home = Home::new().run_by(&HEARS_HANG_UP);
    let (relay, _) = home.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    assert_eq!(relay.end("HUP"), Some(0));
}

#[test]
fn a_file_that_may_not_become_so_large_is_an_error_and_kills_nobody() {
    let limited = ["sh", "-c", "ulimit -f 1; exec \"$@\"", "sh"];
    let home = Home::new().run_by(&limited);
    let made = home.run(&["identity", "new", "ann"]);
    assert_eq!(made.status.code(), Some(13), "{}", said(&made));
    // What a log has no room for is lost, and nobody's screen is drawn over because of it.
    let home = Home::new().run_by(&limited);
    let log = home.path("log");
    fs::write(&log, "an earlier log\n".repeat(30)).expect("a log with little room");
    set_permissions(&log, Permissions::from_mode(0o600)).expect("made private");
    let more = ["--verbose", "--log", log.to_str().expect("UTF-8")];
    let (relay, _) = home.relay(&Network::new(), "/ip4/127.0.0.1/tcp/0", &more);
    assert_eq!(relay.end("TERM"), Some(0));
    let said = relay.errors();
    assert!(!said.contains("Unable to write") && !said.contains("tracing"), "{said}");
    assert_eq!(fs::metadata(log).expect("a log").len(), 512, "as much as it may have");
}

#[test]
fn a_node_is_found_again_after_the_folder_of_its_socket_was_removed() {
    let home = Home::new();
    let folder = home.path("run");
    fs::create_dir(&folder).expect("a folder");
    set_permissions(&folder, Permissions::from_mode(0o700)).expect("made private");
    let variable = format!("XDG_RUNTIME_DIR={}", folder.display());
    let home = home.run_by(&["env", &variable]);
    home.identity("ann");
    let mut command = home.command(&["node", "run"]);
    command.args(Network::new().flags());
    let node = Running::start(command, &home.path("errors"), None);
    while home.ask(&["status"])["running"] != true {}
    // With the last login of its user; it is there again with the next.
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("a folder");
    set_permissions(&folder, Permissions::from_mode(0o700)).expect("made private");
    let found = home.run(&["identity", "list"]);
    assert!(found.status.success(), "{}", said(&found));
    assert_eq!(home.ask(&["status"])["running"], true);
    assert!(home.run(&["node", "stop"]).status.success());
    assert_eq!(node.ended(), Some(0));
}

#[test]
fn a_name_is_one_however_its_letters_are_written() {
    let home = Home::new();
    home.identity("ann");
    let [one, other] = ["ben", "eve"].map(|name| Home::new().identity(name).invite);
    let (composed, apart) = ("Jos\u{e9} \u{2764}", "Jose\u{301} \u{2764}\u{fe0f}");
    home.ask(&["contact", "add", &one, "--name", apart]);
    assert_eq!(home.ask(&["contact", "show", composed])["name"], composed);
    assert_eq!(home.ask(&["contact", "show", apart])["name"], composed);
    let second = home.run(&["contact", "add", &other, "--name", composed]);
    assert_eq!(second.status.code(), Some(7), "{}", said(&second));
    home.ask(&["contact", "remove", composed, "--confirm", apart]);
}
