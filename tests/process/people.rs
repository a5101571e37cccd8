//! Identities, contacts and requests: the same words work with a node that runs and without one.

use crate::support::{Home, Network};

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
fn a_failure_reported_by_a_running_node_is_the_same_without_it() {
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
fn what_may_be_paid_for_a_contact_is_said_without_a_node_and_that_no_price_is_known() {
    let home = Home::new();
    home.identity("ann");
    let invite = Home::new().identity("ben").invite;
    home.ask(&["contact", "add", &invite, "--name", "ben", "--max-work", "2"]);
    assert_eq!(home.ask(&["contact", "show", "ben"])["max_work"], 2);
    let text = |args: &[&str]| String::from_utf8(home.run(args).stdout).expect("UTF-8");
    let shown = text(&["contact", "show", "ben"]);
    assert!(shown.contains("at most 2 times the usual work for this contact"), "{shown}");
    assert!(shown.contains("not known, nor what waits for it: no node runs"), "{shown}");
    let list = text(&["contact", "list"]);
    assert!(list.contains(", at most 2 times the usual work\n-- no node runs: "), "{list}");
    let set = text(&["contact", "max-work", "ben", "256"]);
    assert_eq!(
        set.trim(),
        "ben: at most 256 times the usual work from now on, for all that has no limit of its own"
    );
    assert_eq!(home.ask(&["contact", "max-work", "ben", "256"])["changed"], false);
    assert_eq!(
        home.ask(&["contact", "max-work", "ben", "usual"])["max_work"],
        serde_json::Value::Null
    );
    assert_eq!(home.run(&["contact", "max-work", "ben", "3"]).status.code(), Some(2));
}

#[test]
fn contacts_and_requests_are_listed_of_one_identity_or_of_all() {
    let home = Home::new();
    home.identity("first");
    home.identity("second");
    for (name, identity) in [("ben", "first"), ("cat", "second"), ("dan", "second")] {
        let invite = Home::new().identity(name).invite;
        home.ask(&["contact", "add", &invite, "--name", name, "-i", identity]);
    }
    let names = |more: &[&str]| {
        let list = home.ask(&[&["contact", "list"], more].concat());
        let list = list.as_array().expect("a list").clone();
        let mut names: Vec<String> =
            list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&[]), ["ben", "cat", "dan"]);
    assert_eq!(names(&["-i", "first"]), ["ben"]);
    assert_eq!(names(&["-i", "second"]), ["cat", "dan"]);
    assert_eq!(home.ask(&["request", "list", "-i", "first"]).as_array().map(Vec::len), Some(0));
    for kind in ["contact", "request"] {
        let output = home.run(&[kind, "list", "-i", "third", "--json"]);
        let error = &crate::support::parse(&output.stdout)["error"];
        assert_eq!(error["code"], "identity_not_found", "{kind}");
    }
}

#[test]
fn messages_are_sent_from_the_chosen_identity() {
    let home = Home::new();
    let (first, second) = (home.identity("first"), home.identity("second"));
    assert_eq!(home.run(&["identity", "show"]).status.code(), Some(2), "there are several");
    home.ask(&["identity", "use", "second"]);
    assert_eq!(home.ask(&["identity", "show"])["invite"], second.invite.as_str());
    assert_eq!(home.ask(&["identity", "show", "first"])["invite"], first.invite.as_str());
    assert_eq!(home.run(&["identity", "use", "third"]).status.code(), Some(3));
    assert_eq!(home.ask(&["identity", "show", "-i", "first"])["key"], first.key.as_str());
}

#[test]
fn a_home_whose_default_identity_was_deleted_goes_on_with_those_that_are_left() {
    let home = Home::new();
    for name in ["one", "two", "three"] {
        home.identity(name);
    }
    let defaults = || {
        let list = home.ask(&["identity", "list"]);
        let list = list.as_array().expect("a list").clone();
        let marked = list.into_iter().filter(|view| view["default"] == true);
        marked.map(|view| view["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert!(defaults().is_empty(), "there are several");
    home.ask(&["identity", "use", "two"]);
    assert_eq!(defaults(), ["two"]);
    let list = home.run(&["identity", "list"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert_eq!(list.lines().filter(|line| line.ends_with("  two  (default)")).count(), 1, "{list}");
    assert_eq!(list.matches("(default)").count(), 1, "{list}");

    home.ask(&["identity", "delete", "two", "--confirm", "two"]);
    assert!(defaults().is_empty());
    let several = home.run(&["contact", "show", "ben", "--json"]);
    let error = &crate::support::parse(&several.stdout)["error"];
    assert_eq!((several.status.code(), &error["code"]), (Some(2), &"which_identity".into()));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("identity use")), "{error}");

    home.ask(&["identity", "delete", "three", "--confirm", "three"]);
    assert_eq!(home.ask(&["identity", "show"])["name"], "one", "it is the only one");
    assert_eq!(defaults(), ["one"]);
    home.ask(&["contact", "list"]);
}

#[test]
fn a_contact_is_verified_by_the_digits_both_see_and_another_key_ends_that() {
    let (home, other) = (Home::new(), Home::new());
    let (ann, ben) = (home.identity("ann"), other.identity("ben"));
    home.ask(&["contact", "add", &ben.invite, "--name", "ben"]);
    other.ask(&["contact", "add", &ann.invite, "--name", "ann"]);
    let shown = home.ask(&["contact", "show", "ben"]);
    assert_eq!(shown["trust"]["state"], "unverified");
    let theirs = other.ask(&["contact", "show", "ann"])["safety_number"].clone();
    assert_eq!(shown["safety_number"], theirs);
    let digits = theirs.as_str().expect("60 digits").to_owned();
    let verified = home.ask(&["contact", "verify", "ben", "--digits", &digits]);
    assert_eq!(
        (&verified["trust"]["state"], &verified["trust"]["by"]),
        (&"verified".into(), &"digits".into())
    );

    let second = Home::new().identity("ben on another device");
    let rekeyed = home.ask(&["contact", "rekey", "ben", &second.invite]);
    assert_eq!(rekeyed["key"], second.key.as_str());
    assert_eq!(rekeyed["trust"]["why"], "key_changed");
    assert_eq!(rekeyed["trust"]["verified_before"], verified["trust"]["at"]);
    assert_ne!(rekeyed["safety_number"], theirs);
    assert_eq!(
        home.run(&["contact", "accept-key", "ben"]).status.code(),
        Some(12),
        "nobody to ask"
    );
    let accepted = home.ask(&["contact", "accept-key", "ben", "--yes-accept"]);
    assert_eq!(accepted["trust"]["state"], "unverified");
    assert_eq!(home.run(&["contact", "accept-key", "ben", "--yes-accept"]).status.code(), Some(7));
}

#[test]
fn a_mismatch_pauses_sending_with_and_without_a_running_node() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    home.ask(&["contact", "add", &Home::new().identity("ben").invite, "--name", "ben"]);
    let wrong = "0".repeat(60);
    let differs: &[&str] = &["contact", "verify", "ben", "--digits", &wrong, "--json"];
    let alone = home.run(differs);
    assert_eq!(alone.status.code(), Some(8));
    assert_eq!(home.ask(&["contact", "show", "ben"])["trust"]["why"], "mismatch");
    home.ask(&["contact", "accept-key", "ben", "--yes-accept"]);

    let node = home.listen(&network, "/ip4/127.0.0.1/tcp/1", &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    assert_eq!(home.run(differs), alone);
    assert_eq!(home.ask(&["contact", "list"])[0]["trust"]["state"], "held");
    let words = ["contact", "verify", "ben", "--words", "copper", "violin", "harbor"];
    assert_eq!(home.run(&words).status.code(), Some(7), "there is no session to have words");
    assert_eq!(home.run(&["send", "ben", "are you there", "--json"]).status.code(), Some(7));
    assert_eq!(home.ask(&["send", "ben", "this waits", "--wait", "queued"])["state"], "queued");
    assert_eq!(node.end("TERM"), Some(143));
    assert_eq!(home.ask(&["contact", "list"])[0]["trust"]["state"], "held");
}

#[test]
fn a_malformed_proof_is_refused_before_it_is_compared() {
    let home = Home::new();
    home.identity("ann");
    home.ask(&["contact", "add", &Home::new().identity("ben").invite, "--name", "ben"]);
    let refused: [&[&str]; 4] = [
        &["contact", "verify", "ben"],
        &["contact", "verify", "ben", "--digits", "12345"],
        &["contact", "verify", "ben", "--words", "copper", "violin"],
        &["contact", "verify", "ben", "--words", "copper", "violin", "harbour"],
    ];
    for args in refused {
        assert_eq!(home.run(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(home.ask(&["contact", "show", "ben"])["trust"]["state"], "unverified");
}

#[test]
fn a_switch_that_was_set_already_is_answered_so() {
    let network = Network::new();
    let home = Home::new();
    home.identity("ann");
    home.ask(&["contact", "add", &Home::new().identity("ben").invite, "--name", "ben"]);
    let say = |args: &[&str]| {
        let output = home.run(&[&["contact"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let walk = || {
        assert_eq!(say(&["unblock", "ben"]), "ben was not blocked\n");
        assert_eq!(say(&["block", "ben"]), "blocked ben\n");
        assert_eq!(say(&["block", "ben"]), "ben was already blocked\n");
        assert!(say(&["unblock", "ben"]).starts_with("unblocked ben. A new session is offered"));
        assert!(
            say(&["read-marks", "ben", "off"]).starts_with("read marks with ben were already off")
        );
        assert!(say(&["read-marks", "ben", "on"]).starts_with("read marks with ben: on"));
        assert!(
            say(&["read-marks", "ben", "on"]).starts_with("read marks with ben were already on")
        );
        assert!(say(&["read-marks", "ben", "off"]).starts_with("read marks with ben: off"));
    };
    walk();
    let node = home.listen(&network, "/ip4/127.0.0.1/tcp/1", &["--json"]);
    node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
    walk();
    assert_eq!(node.end("TERM"), Some(143));
}
