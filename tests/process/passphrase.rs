//! Changing the passphrase of a home: without a node, beside one, and where it is refused.

use std::fs::{self, Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Home, Network, PASSPHRASE, Running, finish, moment_after, parse};
use crate::upgrade::copy;

const NEW: &str = "a passphrase that nobody has heard";

/// Nobody listens at the port of "tcpmux".
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1";

/// Changes of one home that begin at the same moment.
const AT_ONCE: usize = 4;

/// Kills of a change.
const KILLS: u32 = 12;

/// Each kill comes this much later after the start than the one before it. A change takes 270 ms on
/// an idle machine, so the kills are spread from before the old passphrase was tried to after the
/// new one opens the home.
const STEP: Duration = Duration::from_millis(30);

/// A change to a new passphrase, by programs.
fn change(home: &Home, new: &str) -> Output {
    let file = home.write_secret("new-passphrase", new);
    let file = file.to_str().expect("a path");
    home.run(&["passphrase", "change", "--new-passphrase-file", file, "--json"])
}

/// The error of a change that must be refused; its exit code is checked.
fn refused(output: &Output, exit: i32) -> Value {
    let answer = parse(&output.stdout);
    assert_eq!(output.status.code(), Some(exit), "{answer}");
    let error = answer["error"].clone();
    assert_eq!(error["message"], "the passphrase was not changed");
    error
}

/// Whether the home opens with this passphrase.
fn opens(home: &Home, passphrase: &str) -> bool {
    home.write_secret("passphrase", passphrase);
    let output = home.run(&["identity", "list", "--json"]);
    match output.status.code() {
        Some(0) => true,
        Some(4) => false,
        other => panic!("{other:?}: {output:?}"),
    }
}

/// A node in this home, when it runs.
fn node(home: &Home) -> Running {
    let node = home.listen(&Network::new(), NOBODY, &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    node
}

#[test]
fn a_changed_passphrase_opens_the_home_and_the_old_one_does_not() {
    let home = Home::new();
    home.identity("ann");
    let output = change(&home, NEW);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(parse(&output.stdout)["data"]["changed"], true);
    assert!(!opens(&home, PASSPHRASE) && opens(&home, NEW));
    let mode = fs::metadata(home.path("home/key")).expect("a key file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    // For people it says what it cannot do.
    let file = home.write_secret("new-passphrase", PASSPHRASE);
    let file = file.to_str().expect("a path");
    let output = home.run(&["passphrase", "change", "--new-passphrase-file", file]);
    assert_eq!(output.stdout, b"passphrase changed\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for limit in ["older copy of the file `key`", "backup", "still gives the old one"] {
        assert!(said.contains(limit), "{said}");
    }
    assert!(opens(&home, PASSPHRASE));
}

#[test]
fn a_passphrase_is_changed_beside_a_node_that_goes_on_and_the_next_start_needs_the_new_one() {
    let home = Home::new();
    home.identity("ann");
    let first = node(&home);
    let output = change(&home, NEW);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // It answers, and stores what it is told.
    home.ask(&["identity", "new", "bea"]);
    assert_eq!(first.end("TERM"), Some(143));

    let refused = home.run(&["listen", "--json", "--floor", "4"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    home.write_secret("passphrase", NEW);
    let second = node(&home);
    assert_eq!(home.ask(&["identity", "list"]).as_array().map(Vec::len), Some(2));
    assert_eq!(second.end("TERM"), Some(143));
}

#[test]
fn a_change_that_is_refused_says_why_and_changes_nothing() {
    let home = Home::new();
    assert_eq!(refused(&change(&home, NEW), 3)["code"], "no_store");
    home.identity("ann");
    let before = fs::read(home.path("home/key")).expect("a key file");
    assert_eq!(refused(&change(&home, ""), 4)["code"], "no_passphrase");
    let memory = home.run(&["passphrase", "change", "--memory", "--json"]);
    assert_eq!(refused(&memory, 2)["code"], "memory");
    let asked = home.run(&["passphrase", "change", "--json"]);
    let hint = refused(&asked, 12)["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("--new-passphrase-file")), "{hint}");

    let wide = |path: &str, mode: u32| {
        set_permissions(home.path(path), Permissions::from_mode(mode)).expect("a mode");
    };
    for (path, narrow) in [("home", 0o700), ("home/key", 0o600), ("passphrase", 0o600)] {
        wide(path, narrow | 0o040);
        assert_eq!(refused(&change(&home, NEW), 11)["code"], "unsafe_mode", "{path}");
        wide(path, narrow);
    }
    wide("new-passphrase", 0o644);
    let wide_new = home.path("new-passphrase");
    let wide_new = wide_new.to_str().expect("a path");
    let output = home.run(&["passphrase", "change", "--new-passphrase-file", wide_new, "--json"]);
    assert_eq!(refused(&output, 11)["code"], "unsafe_mode");
    wide("new-passphrase", 0o600);

    home.write_secret("passphrase", "incorrect horse battery staple");
    assert_eq!(refused(&change(&home, NEW), 4)["code"], "locked");
    assert_eq!(fs::read(home.path("home/key")).expect("a key file"), before);
    assert!(opens(&home, PASSPHRASE));
}

#[test]
fn the_new_passphrase_is_read_from_a_descriptor() {
    let home = Home::new();
    home.identity("ann");
    let change = home.command(&["passphrase", "change", "--new-passphrase-fd", "0", "--json"]);
    let output = finish(change, &format!("{NEW}\n"));
    assert_eq!(parse(&output.stdout)["data"]["changed"], true);
    assert!(opens(&home, NEW));
}

#[test]
fn of_changes_at_once_one_is_made_and_its_passphrase_is_the_one_that_opens() {
    let home = Home::new();
    home.identity("ann");
    let news: Vec<String> = (0..AT_ONCE).map(|at| format!("{NEW} {at}")).collect();
    let files: Vec<_> =
        (0..AT_ONCE).map(|at| home.write_secret(&format!("new-{at}"), &news[at])).collect();
    let changes: Vec<Running> = files
        .iter()
        .map(|file| {
            let mut command = home.command(&["passphrase", "change", "--json"]);
            command.arg("--new-passphrase-file").arg(file);
            Running::start(command, &home.path("errors"), None)
        })
        .collect();
    let ends: Vec<Option<i32>> = changes.iter().map(|change| change.last_line().0).collect();
    let made: Vec<&String> =
        news.iter().zip(&ends).filter(|(_, end)| **end == Some(0)).map(|(new, _)| new).collect();
    assert_eq!(made.len(), 1, "{ends:?}");
    assert!(ends.iter().all(|end| matches!(end, Some(0 | 4 | 10))), "{ends:?}");
    assert!(opens(&home, made[0]) && !opens(&home, PASSPHRASE));
}

#[test]
fn a_change_that_is_killed_at_any_moment_leaves_the_old_passphrase_or_the_new_one() {
    let home = Home::new();
    home.identity("ann");
    let (mut old, mut new) = (PASSPHRASE.to_owned(), format!("{NEW} 0"));
    for kill in 0..KILLS {
        home.write_secret("passphrase", &old);
        let file = home.write_secret("new-passphrase", &new);
        let mut command = home.command(&["passphrase", "change", "--json"]);
        command.arg("--new-passphrase-file").arg(file);
        let change = Running::start(command, &home.path("errors"), None);
        let _fuse = change.kill_at(moment_after(STEP * kill));
        change.ended();
        let (old_opens, new_opens) = (opens(&home, &old), opens(&home, &new));
        assert!(old_opens != new_opens, "kill {kill}: {old_opens}, {new_opens}");
        if new_opens {
            old = std::mem::replace(&mut new, format!("{NEW} after {kill}"));
        }
    }
}

#[test]
fn the_passphrase_of_a_home_of_4e028ad_is_changed() {
    let home = copy();
    let output = change(&home, NEW);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!opens(&home, PASSPHRASE) && opens(&home, NEW));
    assert_eq!(home.ask(&["contact", "list"]).as_array().map(Vec::len), Some(5));
}
