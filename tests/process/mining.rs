//! How a node searches for work: on how many threads, at which priority, and until when.

use std::fs;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use crate::support::{Home, Network, Running, deadline, left, parse};

/// Nobody listens at the port of "tcpmux".
const NOBODY: &str = "/ip4/127.0.0.1/tcp/1";

/// The processors that a node may use, which are ours as well.
fn processors() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The name and the priority of each thread of a process; none of one that is gone.
fn threads(pid: u32) -> Vec<(String, i64)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let stats = entries.flatten().filter_map(|entry| {
        // It may have ended meanwhile.
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (begin, rest) = text.rsplit_once(')')?;
        let name = begin.split_once('(')?.1.to_owned();
        Some((name, rest.split_whitespace().nth(16)?.parse().ok()?))
    });
    stats.collect()
}

/// The priorities of those threads of a process whose names are of this kind.
fn priorities(pid: u32, kind: impl Fn(&str) -> bool) -> Vec<i64> {
    let all = threads(pid).into_iter().filter(|(name, _)| kind(name));
    all.map(|(_, priority)| priority).collect()
}

/// The priorities of the threads that search.
fn searching(pid: u32) -> Vec<i64> {
    priorities(pid, |name| name == "search")
}

/// Waits until what a process does is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = deadline();
    while !is_so() {
        assert!(!left(until).is_zero(), "{what}");
    }
}

#[test]
fn a_search_has_as_many_threads_as_were_said_comes_last_and_ends_when_it_is_cancelled() {
    let network = Network::new();
    // Nobody finds anything above this floor.
    let flags = ["--network", network.name(), "--floor", "48"];
    let (relays, home) = (Home::new(), Home::new());
    let listen = ["relay", "run", "--pool", "64MiB", "--listen", "/ip4/127.0.0.1/tcp/0"];
    let mut command = relays.bare(&listen);
    command.args(flags);
    let relay = Running::start(command, &relays.path("errors"), None);
    let address = relay.wait_for("the relay's address", |line| {
        line.strip_prefix("listening on ").map(str::to_owned)
    });
    home.identity("ann");
    let invite = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &invite, "--name", "ben"]);
    let usual = priorities(std::process::id(), |_| true);
    let (all, mut counts) = (processors(), vec![1, processors()]);
    counts.dedup();
    for count in counts {
        let said = count.to_string();
        let node = ["node", "run", "--json", "--peer", &address, "--mining-threads", &said];
        let mut command = home.command(&node);
        command.args(flags);
        let node = Running::start(command, &home.path("errors"), None);
        node.wait_for_neighbour();
        // The contact request is what it searches for.
        // On battery its threads are half as many.
        let allowed = count.div_ceil(2)..=count;
        wait_until("it searches on so many", || allowed.contains(&searching(node.pid()).len()));
        wait_until("they come last", || {
            searching(node.pid()).iter().all(|priority| *priority == 19)
        });
        let others = priorities(node.pid(), |name| name != "search");
        assert_eq!(others.iter().min(), usual.iter().min(), "only they do");
        wait_until("its speed is known", || {
            let status = home.ask(&["status"]);
            let miner = &status["node"]["miner"];
            assert_eq!(miner["threads"], count, "{miner}");
            assert!(miner["kernel"].as_str().is_some_and(|name| !name.is_empty()), "{miner}");
            miner["tries_per_second"].as_u64().is_some_and(|rate| rate > 0)
        });
        let words = home.run(&["status"]).stdout;
        let words = String::from_utf8_lossy(&words).into_owned();
        let row = words.lines().find(|row| row.starts_with("mining ")).expect("a row");
        assert!(
            row.contains(&format!("{count} thread")) && row.contains(" tries a second"),
            "{row}"
        );
        if count == all {
            home.ask(&["contact", "remove", "ben", "--confirm", "ben"]);
            wait_until("it does not search any more", || searching(node.pid()).is_empty());
        }
        assert_eq!(node.end("TERM"), Some(0));
    }
}

#[test]
fn a_number_of_threads_that_cannot_be_is_refused_with_what_can_be() {
    let home = Home::new();
    home.identity("ann");
    let more = (processors() + 1).to_string();
    for count in ["0", more.as_str()] {
        for command in [&["listen"][..], &["node", "run"], &["send", "ben", "hi"], &[]] {
            let output = home.run(&[command, &["--json", "--mining-threads", count]].concat());
            assert_eq!(output.status.code(), Some(2), "{command:?}");
            let said = [&output.stdout[..], &output.stderr[..]].concat();
            let error = parse(&said)["error"].clone();
            assert_eq!(error["code"], "bad_request", "{error}");
            for part in ["message", "reason", "safe", "hint"] {
                assert!(error[part].as_str().is_some_and(|part| !part.is_empty()), "{error}");
            }
            let all = format!("--mining-threads with a number from 1 to {}", processors());
            assert!(error["hint"].as_str().is_some_and(|next| next.contains(&all)), "{error}");
        }
    }
}

#[test]
fn who_goes_on_after_a_node_searches_on_as_many_threads() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    let all = processors();
    let said = all.to_string();
    let first = home.listen(&network, NOBODY, &["--json", "--mining-threads", &said]);
    first.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let second = home.listen(&network, NOBODY, &["--json"]);
    second.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let threads = || home.ask(&["status"])["node"]["miner"]["threads"].clone();
    assert_eq!(threads(), all);
    first.kill();
    drop(first);
    wait_until("the second goes on", || home.ask(&["status"])["running"] == true);
    assert_eq!(threads(), all);
    assert_eq!(second.end("TERM"), Some(143));
}
