//! A relay on its own: it tells where it is, keeps nothing, and ends when it is told to.

use std::fs;

use crate::support::{Home, Network, Running, parse};

#[test]
fn a_relay_prints_its_addresses_keeps_no_file_and_ends_cleanly_on_sigterm() {
    let network = Network::new();
    let home = Home::new();
    let before = files(&home);
    let (relay, address) = home.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    assert!(address.starts_with("/ip4/127.0.0.1/tcp/"), "{address}");
    let open = fs::read_dir(format!("/proc/{}/fd", relay.pid())).expect("its open files");
    for entry in open {
        let target = fs::read_link(entry.expect("an entry").path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        let keeps = target.starts_with('/') && !target.starts_with("/dev/");
        // What it says on standard error goes to a file of this test.
        assert!(!keeps || target.ends_with("/errors"), "it holds {target}");
    }
    assert_eq!(relay.end("TERM"), Some(0));
    let mut after = files(&home);
    after.retain(|name| name != "errors");
    assert_eq!(after, before);
}

fn files(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.folder()).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).expect("an entry").to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_relay_reports_its_addresses_and_number_of_neighbours_to_programs() {
    let network = Network::new();
    let home = Home::new();
    let mut command = home.bare(&["relay", "run", "--json", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    command.args(network.flags());
    let relay = Running::start(command, &home.path("errors"), None);
    let address = relay.wait_for_json("its address", |line| {
        (line["type"] == "listening").then(|| line["address"].as_str().unwrap_or("").to_owned())
    });
    let other = Home::new();
    let (_other, _) = other.relay(&network, "/ip4/127.0.0.1/tcp/0", &["--peer", &address]);
    relay.wait_for_neighbour();
    assert_eq!(relay.end("TERM"), Some(0));
}

#[test]
fn no_keys_of_a_link_go_to_a_file_whatever_the_environment_says() {
    let network = Network::new();
    let (home, other) = (Home::new(), Home::new());
    let keys = home.path("keys");
    let start = |home: &Home, more: &[&str]| {
        let mut command = home.bare(&["relay", "run", "--json"]);
        command.args(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]).args(more);
        command.args(network.flags()).env("SSLKEYLOGFILE", &keys);
        Running::start(command, &home.path("errors"), None)
    };
    let relay = start(&home, &[]);
    let address = relay.wait_for_json("its address", |line| {
        (line["type"] == "listening").then(|| line["address"].as_str().unwrap_or("").to_owned())
    });
    let other = start(&other, &["--peer", &address]);
    relay.wait_for_neighbour();
    other.wait_for_neighbour();
    // rustls opens the file for whoever may want it.
    assert_eq!(fs::read_to_string(&keys).unwrap_or_default(), "");
    assert_eq!((relay.end("TERM"), other.end("TERM")), (Some(0), Some(0)));
}

#[test]
fn a_relay_tells_programs_its_room_and_why_and_how_busy_it_is() {
    let network = Network::new();
    for (more, place, places, line) in [
        (&["--pool", "688128", "--line", "2"][..], Some("memory"), 256, 2),
        (&["--archive", "688128"], Some("archive"), 256, 16),
        // In memory if enough of that is free, which is not ours to say.
        (&[], None, 293_000, 16),
    ] {
        let home = Home::new();
        let mut command =
            home.bare(&["relay", "run", "--json", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        command.args(network.flags()).args(more);
        let relay = Running::start(command, &home.path("errors"), None);
        let room =
            relay.wait_for_json("its room", |line| (line["type"] == "room").then(|| line.clone()));
        assert_eq!((&room["v"], &room["places"]), (&1.into(), &places.into()), "{room}");
        assert!(room["why"].as_str().is_some_and(|why| !why.is_empty()), "{room}");
        let is_on_disk = home.path("home/archive/envelopes.db").exists();
        assert_eq!(room["place"], if is_on_disk { "archive" } else { "memory" }, "{room}");
        assert!(place.is_none_or(|place| room["place"] == place), "{room}");
        assert_eq!(room["held"], 0, "{room}");
        assert!(room["memory"].as_u64().is_some_and(|bytes| bytes > 32 << 20), "{room}");
        let busy = relay
            .wait_for_json("its figures", |line| (line["type"] == "network").then(|| line.clone()));
        let nothing = serde_json::json!({ "six_hours": 0, "day": 0, "week": 0, "line": 0 });
        assert_eq!(busy["steps"], nothing, "{busy}");
        let empty = serde_json::json!({ "six_hours": 0, "day": 0, "week": 0 });
        assert_eq!(busy["fill"], empty, "{busy}");
        let carried = serde_json::json!({ "blocks_per_second": line, "percent_left": 100 });
        assert_eq!(busy["line"], carried, "{busy}");
        assert_eq!(relay.end("TERM"), Some(0));
    }
    let home = Home::new();
    for wrong in [["--line", "0"], ["--pool", "688127"], ["--archive", "1KiB"]] {
        let output = home.run(&[&["relay", "run", "--json"][..], &wrong].concat());
        let refused = parse(&output.stdout);
        assert_eq!((output.status.code(), &refused["error"]["code"]), (Some(2), &"usage".into()));
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(": ") && message.contains("least"), "{message}");
    }
}

#[test]
fn a_size_for_which_the_machine_has_no_memory_or_disk_is_refused_with_one_that_fits() {
    let home = Home::new();
    for size in [["--pool", "3000GiB"], ["--archive", "3000GiB"]] {
        let output = home.run(&[&["relay", "run", "--json"][..], &size].concat());
        let refused = parse(&output.stdout);
        let error = &refused["error"];
        assert_eq!((output.status.code(), &error["code"]), (Some(7), &"no_room".into()), "{error}");
        let advice = error["hint"].as_str().unwrap_or_default();
        assert!(advice.contains(&format!("at most {} ", size[0])), "{error}");
        assert!(!home.path("home/archive/envelopes.db").exists(), "nothing was made");
    }
}

#[test]
fn nodes_of_another_network_or_floor_never_become_neighbours() {
    let network = Network::new();
    let home = Home::new();
    let (relay, address) = home.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let strangers = Home::new();
    strangers.identity("ann");
    let peer = ["send", "nobody", "hello", "--json", "--timeout", "3s", "--peer", &address];
    let other = Network::new();
    let own = strangers.identity("cat").invite;
    let names = Home::new();
    names.identity("ann");
    names.ask(&["contact", "add", &own, "--name", "nobody"]);
    for flags in [other.flags(), ["--network", network.name(), "--floor", "5"]] {
        let output = names.run(&[&peer[..], &flags[..]].concat());
        assert_eq!(parse(&output.stdout)["error"]["code"], "no_relay");
    }
    // The same words reach it in its own network: what they wait for is only an answer.
    let delivered = ["--wait", "delivered"];
    let output = names.run(&[&peer[..], &delivered[..], &network.flags()[..]].concat());
    assert_eq!(parse(&output.stdout)["error"]["code"], "ack_timeout");
    assert!(!relay.has_ended());
    relay.kill();
}
