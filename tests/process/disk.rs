//! Disks that are full or read-only, under the real program.
//!
//! The home lies on a small disk in memory, in a mount namespace of its own, which needs no rights
//! where the system lets everybody have one. Elsewhere these tests say so and do nothing; what the
//! store does then is tested beside it, with a database that may not grow.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Home, Network, finish, parse};

/// Room for a store and some hundred messages.
const SIZE: &str = "size=2m,mode=700";

/// A namespace with a disk at a home. Both are gone when this is dropped.
struct Disk {
    keeper: Child,
    /// The keeper ends when this is closed.
    _leash: ChildStdin,
    home: Home,
}

impl Disk {
    /// A home on a disk of its own; nothing where the system gives none.
    fn new() -> Option<Self> {
        let home = Home::new();
        let place = home.path("home");
        fs::create_dir(&place).expect("a folder");
        let script = r#"mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec cat"#;
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", SIZE])
            .arg(&place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let started = command.spawn();
        let Ok(mut keeper) = started else { return skipped("there is no unshare") };
        let leash = keeper.stdin.take().expect("its input");
        let mut line = String::new();
        let mut said = BufReader::new(keeper.stdout.take().expect("its output"));
        said.read_line(&mut line).expect("a line");
        if line != "mounted\n" {
            keeper.wait().expect("its end");
            return skipped("the system lets nobody mount a disk for themselves");
        }
        let pid = keeper.id().to_string();
        let world = ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &pid];
        Some(Self { keeper, _leash: leash, home: home.run_by(&world) })
    }

    /// Runs a command of the shell that sees the disk, in its folder.
    fn shell(&self, script: &str) -> Output {
        let mut command = Command::new("nsenter");
        command
            .args(["--preserve-credentials", "--user", "--mount", "--target"])
            .arg(self.keeper.id().to_string())
            .args(["sh", "-c", &format!(r#"cd "$1" && {script}"#), "sh"])
            .arg(self.home.path("home"));
        finish(command, "")
    }

    /// Leaves no room on the disk.
    fn fill(&self) {
        let filled = self.shell("cat /dev/zero > ballast");
        let said = String::from_utf8_lossy(&filled.stderr);
        assert!(said.contains("No space left"), "{said}");
    }

    fn make_room(&self) {
        assert!(self.shell("rm ballast").status.success());
    }

    fn remount(&self, how: &str) {
        let script = format!(r#"cd / && mount -o "remount,{how}" "$1""#);
        let done = self.shell(&script);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever has ended by itself cannot be killed, and need not be.
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    // Past the test harness, which keeps what a test prints to itself.
    writeln!(std::io::stderr(), "SKIPPED, not tested: full and read-only disks: {why}")
        .expect("somebody to tell");
    None
}

/// What a failed command says: its exit code, its code word, and all it says.
fn failure(output: &Output) -> (Option<i32>, String, Value) {
    let answer = parse(&output.stdout);
    assert_eq!(answer["ok"], false, "{answer}");
    let error = &answer["error"];
    for part in ["message", "reason", "safe", "hint"] {
        assert!(error[part].as_str().is_some_and(|part| !part.is_empty()), "{part}: {answer}");
    }
    (output.status.code(), error["code"].as_str().unwrap_or_default().to_owned(), error.clone())
}

/// Ends of a node or a command for want of room.
fn assert_full(output: &Output, home: &Home) {
    let (exit, code, error) = failure(output);
    assert_eq!((exit, code.as_str()), (Some(13), "disk_full"), "{error}");
    let folder = home.path("home").display().to_string();
    assert!(error["reason"].as_str().is_some_and(|why| why.contains(&folder)), "{error}");
}

#[test]
fn a_disk_that_runs_full_ends_the_node_with_13_and_accepted_messages_arrive_once_there_is_room() {
    let Some(disk) = Disk::new() else { return };
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), &disk.home, Home::new());
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (to_ann, to_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &to_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann.invite, "--name", "ann"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    let node = ann.listen(&network, &address, &["--json"]);
    node.wait_for_session();

    let say = |text: &str| {
        let mut command = ann.bare(&["send", "ben", text, "--wait", "queued", "--json"]);
        // Without a passphrase no second node is opened in place of one that ended.
        command.arg("--no-input");
        finish(command, "")
    };
    let mut accepted = Vec::new();
    for number in 0..100 {
        if number == 20 {
            disk.fill();
        }
        let text = format!("message {number}");
        let output = say(&text);
        if parse(&output.stdout)["ok"] != true {
            assert!(number >= 20, "there was room: {}", parse(&output.stdout));
            failure(&output);
            break;
        }
        accepted.push(text);
    }
    assert!((20..100).contains(&accepted.len()), "{} were accepted", accepted.len());
    let ended = node.last_line();
    assert_eq!(ended.0, Some(13));
    assert_eq!(ended.1["error"]["code"], "disk_full", "{}", ended.1);

    // A node that starts meanwhile says the same as soon as it has something to store.
    let flags = [&["listen", "--json", "--peer", &address][..], &network.flags()].concat();
    assert_full(&last(&ann.run(&flags)), ann);

    disk.make_room();
    let _node = ann.listen(&network, &address, &["--json"]);
    let shown: Vec<String> = at_ben.messages(accepted.len()).into_iter().map(|(_, t)| t).collect();
    assert_eq!(shown, accepted);
    // What was refused did not arrive, and what is said with room does, next.
    ann.wait_until_ready();
    assert_eq!(parse(&say("there is room").stdout)["ok"], true);
    assert_eq!(at_ben.messages(1), [(accepted.len() as u64, "there is room".to_owned())]);
}

/// An output cut to its last line, which says why the node ended.
fn last(output: &Output) -> Output {
    let line = output.stdout.trim_ascii_end().rsplit(|&byte| byte == b'\n').next();
    Output { stdout: line.unwrap_or_default().to_vec(), ..output.clone() }
}

#[test]
fn on_a_full_disk_no_home_is_made_and_an_existing_one_stays_as_it_was() {
    let Some(disk) = Disk::new() else { return };
    let home = &disk.home;
    disk.fill();
    assert_full(&home.run(&["identity", "new", "ann", "--json"]), home);
    disk.make_room();
    assert_eq!(failure(&home.run(&["identity", "list", "--json"])).1, "no_store");
    home.identity("ann");
    disk.fill();
    // Small commits find room in pages the database has already, and a journal finds none.
    assert_full(&home.run(&["identity", "new", "bea", "--json"]), home);
    assert_eq!(names(home), ["ann"]);
    disk.make_room();
    home.identity("bea");
    assert_eq!(names(home), ["ann", "bea"]);
}

#[test]
fn an_export_to_a_full_disk_leaves_nothing_there_and_names_the_file() {
    let Some(disk) = Disk::new() else { return };
    let (home, ben) = (&disk.home, Home::new());
    home.identity("ann");
    home.ask(&["contact", "add", &ben.identity("ben").invite, "--name", "ben"]);
    home.ask(&["send", "ben", "hello", "--wait", "queued"]);
    disk.fill();
    let target = home.path("home").join("chat");
    let file = target.to_str().expect("a path");
    let (exit, code, error) = failure(&home.run(&["export", file, "--all", "--json"]));
    assert_eq!((exit, code.as_str()), (Some(13), "export_disk_full"), "{error}");
    let why = error["reason"].as_str().expect("a reason");
    assert!(why.contains(file) && why.contains("full") && !why.contains("the folder is"), "{why}");
    let left = disk.shell("ls -A");
    assert!(!String::from_utf8_lossy(&left.stdout).contains("export"), "{left:?}");
    assert!(!disk.shell("cat chat").status.success());
    disk.make_room();
    home.ask(&["export", file, "--all"]);
    assert_eq!(disk.shell("wc -l < chat").stdout.trim_ascii(), b"1");
}

#[test]
fn on_a_read_only_disk_every_command_fails_with_13_and_no_message_is_lost() {
    let Some(disk) = Disk::new() else { return };
    let home = &disk.home;
    disk.remount("ro");
    let read_only = |args: &[&str]| {
        let (exit, code, error) = failure(&last(&home.run(&[args, &["--json"]].concat())));
        assert_eq!((exit, code.as_str()), (Some(13), "read_only"), "{args:?}: {error}");
    };
    read_only(&["identity", "new", "ann"]);
    disk.remount("rw");
    home.identity("ann");
    disk.remount("ro");
    read_only(&["identity", "new", "bea"]);
    read_only(&["listen", "--network", "nobody", "--floor", "4"]);
    read_only(&["send", "ben", "hello"]);
    let for_people = home.run(&["identity", "new", "bea"]);
    let text = String::from_utf8_lossy(&for_people.stderr).into_owned();
    assert!(text.starts_with("error: ") && text.contains("\n   next: "), "{text}");
    disk.remount("rw");
    assert_eq!(names(home), ["ann"]);
}

fn names(home: &Home) -> Vec<String> {
    let list = home.ask(&["identity", "list"]);
    let names = list.as_array().expect("a list").iter().map(|one| one["name"].as_str());
    let mut names: Vec<String> = names.map(|name| name.expect("a name").to_owned()).collect();
    names.sort();
    names
}
