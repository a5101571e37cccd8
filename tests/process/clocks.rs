//! The real program under a clock that is wrong for one command.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Home, Network, finish, parse};

/// What is loaded before the system's library: it says a wall clock that is ahead by `SECONDS_AHEAD`.
const WRONG_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = (int)syscall(SYS_clock_gettime, clock, at);
    const char *ahead = getenv("SECONDS_AHEAD");
    if (done == 0 && clock == CLOCK_REALTIME && ahead) at->tv_sec += atol(ahead);
    return done;
}
"#;

/// Builds it; `None` where nothing can be built or loaded so.
fn wrong_clock(folder: &TempDir) -> Option<PathBuf> {
    let (source, built) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
    fs::write(&source, WRONG_CLOCK).expect("written");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&built).arg(source).output();
    if !compiled.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let seen = Command::new("date")
        .arg("+%Y")
        .env("LD_PRELOAD", &built)
        .env("SECONDS_AHEAD", "-1000000000")
        .output()
        .expect("date");
    let year: u32 = String::from_utf8(seen.stdout).ok()?.trim().parse().ok()?;
    (year < 2015).then_some(built)
}

#[test]
fn identities_that_were_made_while_the_clock_was_wrong_are_asked_once_it_is_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(clock) = wrong_clock(&folder) else {
        return println!("skipped: no clock of a process can be set here");
    };
    let network = Network::new();
    let (relays, ben) = (Home::new(), Home::new());
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    ben.identity("ben");
    let homes: Vec<(&str, Home)> =
        [("259200", Home::new()), ("94608000", Home::new()), ("-1000000000", Home::new())].into();
    for (ahead, home) in &homes {
        let mut make = home.command(&["identity", "new", "ann", "--json"]);
        make.env("LD_PRELOAD", &clock).env("SECONDS_AHEAD", ahead);
        let made = parse(&finish(make, "").stdout);
        let invite = made["data"]["invite"].as_str().expect("an invite");
        ben.ask(&["contact", "add", invite, "--name", &format!("ahead{ahead}")]);
    }
    let _at_ben = ben.listen(&network, &address, &["--json"]);
    let listening: Vec<_> =
        homes.iter().map(|(_, home)| home.listen(&network, &address, &["--json"])).collect();
    for (node, (ahead, home)) in listening.iter().zip(&homes) {
        node.wait_for_json(&format!("the request, {ahead}"), |line| {
            (line["type"] == "request").then_some(())
        });
        assert_eq!(home.ask(&["request", "list"]).as_array().map(Vec::len), Some(1));
    }
}

/// A command of a home whose clock is ahead by so many seconds.
fn under(clock: &PathBuf, ahead: &str, home: &Home, args: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = home.command(args);
    command.env("LD_PRELOAD", clock).env("SECONDS_AHEAD", ahead);
    let output = finish(command, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = if args.contains(&"--json") { parse(&output.stdout) } else { Value::Null };
    (output.status.code(), answer, said)
}

#[test]
fn what_left_under_a_wrong_clock_is_not_said_to_be_sent_and_comes_soon_once_the_clock_is_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(clock) = wrong_clock(&folder) else {
        return println!("skipped: no clock of a process can be set here");
    };
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    at_ann.end("TERM");
    let flags = network.flags();
    let send =
        |text| [&["send", "ben", text, "--wait", "sent", "--peer", &address][..], &flags].concat();
    for (ahead, side) in [("7200", "ahead"), ("-259200", "behind")] {
        let (code, _, said) = under(&clock, ahead, &ann, &send(side));
        assert_eq!(code, Some(6), "{ahead}: {said}");
        let told = ["min", "hours", "days"].map(|unit| format!("{unit} {side}"));
        let is_told = told.iter().any(|words| said.contains(words));
        assert!(said.contains("[clock_wrong]") && is_told, "{said}");
        assert!(said.contains("is sent again while a node runs"), "{said}");
    }
    let json = [&send("both")[..], &["--json"]].concat();
    let (code, answer, said) = under(&clock, "259200", &ann, &json);
    assert_eq!((code, &answer["error"]["code"]), (Some(6), &"clock_wrong".into()), "{answer}");
    assert!(said.is_empty(), "{said}");
    let at_ann = ann.listen(&network, &address, &["--json"]);
    at_ann.wait_for_neighbour();
    ann.ask(&["send", "ben", "right", "--wait", "delivered"]);
    let texts: Vec<String> = at_ben.messages(4).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["ahead", "behind", "both", "right"]);
}
