//! Identities, contacts and requests: the same words work with a node that runs and without one.

use crate::stage::{Home, Network};

#[test]
fn contacts_are_added_renamed_blocked_and_removed_through_a_running_node() {
    let network = Network::new();
    let (home, other) = (Home::new(), Home::new());
    home.identity("ann");
    let invite = other.identity("cat").invite;
    let node = home.listen(&network, "/ip4/127.0.0.1/tcp/1", &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let added = home.ask(&["contact", "add", &invite, "--name", "ben"]);
    assert_eq!(added["session"], "the offer has not left yet");
    home.ask(&["contact", "rename", "ben", "benjamin"]);
    home.ask(&["contact", "block", "benjamin"]);
    assert_eq!(home.ask(&["contact", "show", "benjamin"])["session"], "blocked");
    home.ask(&["contact", "unblock", "benjamin"]);
    home.ask(&["identity", "new", "second"]);
    assert_eq!(home.ask(&["identity", "list"]).as_array().map(Vec::len), Some(2));
    assert_eq!(home.run(&["contact", "list"]).status.code(), Some(0));
    // What a running node was told is there without it.
    assert_eq!(node.end("TERM"), Some(143));
    assert_eq!(home.ask(&["contact", "list"])[0]["name"], "benjamin");
    assert_eq!(home.run(&["contact", "remove", "benjamin", "-i", "ann"]).status.code(), Some(2));
    home.ask(&["contact", "remove", "benjamin", "-i", "ann", "--confirm", "benjamin"]);
    assert_eq!(home.ask(&["contact", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_failure_told_by_a_running_node_is_the_failure_told_without_it() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    let all: [&[&str]; 5] = [
        &["contact", "show", "nobody", "--json"],
        &["contact", "add", "UNDERTONE1NONSENSE", "--name", "x", "--json"],
        &["request", "accept", "0123", "--name", "x", "--json"],
        &["identity", "new", "ann", "--json"],
        &["identity", "delete", "ann", "--json"],
    ];
    let alone = all.map(|args| home.run(args));
    let node = home.listen(&network, "/ip4/127.0.0.1/tcp/1", &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    let through_it = all.map(|args| home.run(args));
    for (alone, through_it) in alone.iter().zip(&through_it) {
        assert_ne!(alone.status.code(), Some(0));
        assert_eq!(alone, through_it);
    }
}

#[test]
fn the_chosen_identity_speaks() {
    let home = Home::new();
    let (first, second) = (home.identity("first"), home.identity("second"));
    assert_eq!(home.run(&["identity", "show"]).status.code(), Some(2), "there are several");
    home.ask(&["identity", "use", "second"]);
    assert_eq!(home.ask(&["identity", "show"])["invite"], second.invite.as_str());
    assert_eq!(home.ask(&["identity", "show", "first"])["invite"], first.invite.as_str());
    assert_eq!(home.run(&["identity", "use", "third"]).status.code(), Some(3));
    assert_eq!(home.ask(&["identity", "show", "-i", "first"])["key"], first.key.as_str());
}
