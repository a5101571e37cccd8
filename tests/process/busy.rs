//! A network whose relay is busy: what a node learns of it and tells, what waits, and what pays.

use serde_json::Value;

use crate::support::{Home, Network, Running, deadline, left, parse};

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// A relay that passes on one envelope a second, with the room of one whose words count, and its
/// address.
fn narrow_relay(home: &Home, network: &Network) -> (Running, String) {
    let room_and_line = ["--pool", "800MiB", "--line", "1"];
    let mut command = home.bare(&["relay", "run", "--json", "--listen", LISTEN]);
    command.args(network.flags()).args(room_and_line);
    let relay = Running::start(command, &home.path("errors"), None);
    let address =
        relay.wait_for_json("its address", |line| line["address"].as_str().map(str::to_owned));
    (relay, address)
}

/// A node that sends ten envelopes a second.
fn noisy_node(home: &Home, network: &Network, relay: &str) -> Running {
    let mut command = home.bare(&["node", "run", "--memory", "--junk", "10/s", "--peer", relay]);
    command.args(network.flags());
    Running::start(command, &home.path("errors"), None)
}

/// Waits until the node of this home would pay more for a day than messages may cost by default.
fn wait_for_price(home: &Home) {
    let until = deadline();
    while home.ask(&["status"])["node"]["price"]["day"].as_u64().is_none_or(|step| step < 4) {
        assert!(!left(until).is_zero(), "the node did not hear that the relay is busy");
    }
}

fn shown(home: &Home, id: &Value) -> Value {
    home.ask(&["message", "show", id.as_str().expect("an id")])
}

fn state(home: &Home, id: &Value) -> Value {
    shown(home, id)["state"].clone()
}

/// What the node says that waits for a lower price, in totals.
fn waiting(home: &Home) -> Value {
    home.ask(&["status"])["node"]["waiting"].clone()
}

#[test]
fn a_message_that_is_too_dear_waits_says_so_and_goes_along_with_one_that_pays() {
    let network = Network::new();
    let (relays, ann, ben, noise) = (Home::new(), Home::new(), Home::new(), Home::new());
    let (relay, address) = narrow_relay(&relays, &network);
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    let _at_ben = ben.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    let calm = ann.ask(&["send", "ben", "hello", "--wait", "queued"]);
    assert_eq!(
        calm["price"],
        serde_json::json!({ "work": 1, "max_work": 8, "waits": false, "waits_for_turn": false })
    );
    assert_eq!(at_ann.end("TERM"), Some(143));

    let _noise = [0, 1].map(|_| noisy_node(&noise, &network, &address));
    relay.wait_for_json("a busy line", |line| {
        line["steps"]["line"].as_u64().filter(|step| *step >= 4)
    });
    // A node that starts asks for what it missed, and hears the price.
    let at_ann = ann.listen(&network, &address, &["--json"]);
    wait_for_price(&ann);

    let output = ann.run(&["send", "ben", "in vain", "--json", "--timeout", "1s"]);
    let refused = &parse(&output.stdout)["error"];
    assert_eq!((output.status.code(), &refused["code"]), (Some(6), &"waits_for_price".into()));
    let why = refused["reason"].as_str().expect("a reason");
    assert!(why.starts_with("a day costs ") && why.contains("at most 8 times"), "{why}");
    // The least that has it sent, which is above what is allowed.
    let limit = "undertone contact max-work ben ";
    assert!(refused["hint"].as_str().is_some_and(|next| next.contains(limit)), "{refused}");

    let waiting = ann.ask(&["send", "ben", "waits", "--wait", "queued"]);
    assert_eq!((&waiting["state"], &waiting["price"]["waits"]), (&"queued".into(), &true.into()));
    assert!(waiting["price"]["work"].as_u64().is_some_and(|times| times > 8), "{waiting}");
    let id = waiting["id"].as_str().expect("an id");
    let shown = ann.run(&["message", "show", id]).stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("it waits for a lower price: a day costs "), "{shown}");
    assert_eq!(self::shown(&ann, &waiting["id"])["waits_for_price"], true);
    assert_eq!(self::waiting(&ann)["messages"], 2, "{}", self::waiting(&ann));
    // An acknowledgement may wait beside them.
    let of_ben = ann.ask(&["contact", "show", "ben"])["waits_for_price"].clone();
    let messages = serde_json::json!({ "what": "messages" });
    assert!(of_ben.as_array().is_some_and(|all| all.contains(&messages)), "{of_ben}");
    let told = String::from_utf8(ann.run(&["status"]).stdout).expect("UTF-8");
    let limited =
        "is asked; without another limit you pay at most 8 times, so what costs more waits\n";
    assert!(told.contains("price    busy: ") && told.contains(limited), "{told}");
    assert!(told.contains("waiting  for a lower price: 2 messages"), "{told}");

    let output = ann.run(&["send", "ben", "too dear", "--wait", "queued"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("waits for a lower price: at most 8 times"), "{said}");
    assert_eq!(state(&ann, &waiting["id"]), "queued");
    let output = ann.run(&["send", "ben", "at any price", "--max-work", "256"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("busy: a day costs ") && !said.contains("waits"), "{said}");
    assert_ne!(state(&ann, &waiting["id"]), "queued", "the earlier ones go first");

    is_said_to_have_been_allowed_what_was_paid(&ann);
    drop(at_ann);
    is_told_the_price_by_a_node_of_its_own(&ann, &network, &address);
}

/// What is allowed changes while a message waits: the answer says what was allowed when it left.
fn is_said_to_have_been_allowed_what_was_paid(ann: &Home) {
    let later = ann.command(&["send", "ben", "later", "--json", "--wait", "sent"]);
    let later = Running::start(later, &ann.path("errors"), None);
    let until = deadline();
    while waiting(ann)["messages"] != 1 {
        assert!(!left(until).is_zero(), "the message waits, and is not counted");
    }
    ann.ask(&["contact", "max-work", "ben", "256"]);
    let (code, answer) = later.last_line();
    let price = &answer["data"]["price"];
    assert_eq!((code, &price["max_work"]), (Some(0), &256.into()), "{answer}");
    assert!(price["work"].as_u64().is_some_and(|times| times > 8), "{answer}");
    ann.ask(&["contact", "max-work", "ben", "usual"]);
}

/// A node of a `send` alone has to hear the price first, and tells the same.
fn is_told_the_price_by_a_node_of_its_own(ann: &Home, network: &Network, address: &str) {
    let alone = |more: &[&str]| {
        let args = ["send", "ben", "alone", "--wait", "sent", "--peer", address];
        let output = ann.run(&[&args, &network.flags()[..], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, said) = alone(&["--timeout", "20s"]);
    assert_eq!(code, Some(6), "{said}");
    let told = said.find("busy: a day costs ").expect("the price");
    let waits =
        said.find("the message waits for a lower price: at most 8 times").expect("it waits");
    assert!(told < waits && said.find("error: ").is_some_and(|error| waits < error), "{said}");
    let (code, said) = alone(&["--max-work", "256", "--timeout", "100s"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("busy: a day costs ") && !said.contains("waits for a lower"), "{said}");
}

#[test]
fn a_request_that_is_too_dear_says_so_and_leaves_before_the_message_that_takes_it_along() {
    let network = Network::new();
    let (relays, ann, ben, noise) = (Home::new(), Home::new(), Home::new(), Home::new());
    let (relay, address) = narrow_relay(&relays, &network);
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    let to_carl = Home::new().identity("carl").invite;
    let _noise = [0, 1].map(|_| noisy_node(&noise, &network, &address));
    relay.wait_for_json("a busy line", |line| {
        line["steps"]["line"].as_u64().filter(|step| *step >= 4)
    });
    let at_ann = ann.listen(&network, &address, &["--json", "--junk", "10/s"]);
    let _at_ben = ben.listen(&network, &address, &["--json"]);
    wait_for_price(&ann);
    let told = String::from_utf8(ann.run(&["status"]).stdout).expect("UTF-8");
    assert!(
        told.contains("junk     none now: more than 8 times the usual work is asked"),
        "{told}"
    );

    let added = ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    assert_eq!(added["session"], "the offer has not left yet", "{added}");
    assert_eq!((&added["price"]["max_work"], &added["price"]["waits"]), (&8.into(), &true.into()));
    let until = deadline();
    while waiting(&ann)["requests"] != 1 {
        assert!(!left(until).is_zero(), "the request waits, and is not counted");
    }
    let list = String::from_utf8(ann.run(&["contact", "list"]).stdout).expect("UTF-8");
    assert!(list.contains("request waits for a lower price"), "{list}");
    let first = ann.ask(&["send", "ben", "hello", "--wait", "queued"]);
    assert_eq!((&first["state"], &first["price"]["waits"]), (&"queued".into(), &true.into()));
    let second = ann.ask(&["send", "ben", "at any price", "--max-work", "256"]);
    assert_eq!(second["price"]["max_work"], 256);
    assert_ne!(state(&ann, &first["id"]), "queued", "the earlier ones go first");
    assert_eq!(waiting(&ann)["requests"], 0);
    let of_ben = ann.ask(&["contact", "show", "ben"]);
    assert_eq!(
        (&of_ben["session"], &of_ben["max_work"]),
        (&"waiting for their answer".into(), &Value::Null)
    );
    let until = deadline();
    while ben.ask(&["request", "list"]).as_array().is_none_or(Vec::is_empty) {
        assert!(!left(until).is_zero(), "the request never came");
    }
    // The limit is kept, though their request is accepted instead of another one being sent.
    let met = ben.ask(&["contact", "add", &to_ann, "--name", "ann", "--max-work", "2"]);
    assert_eq!(met["max_work"], 2, "{met}");
    let usual = ben.ask(&["contact", "max-work", "ann", "usual"]);
    assert_eq!((&usual["max_work"], &usual["changed"]), (&Value::Null, &true.into()));

    let output = ann.run(&["contact", "add", &to_carl, "--name", "carl"]);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("The contact request waits for a lower price: a day costs "), "{said}");
    assert!(said.contains("undertone contact max-work carl "), "{said}");
    let until = deadline();
    while waiting(&ann)["requests"] != 1 {
        assert!(!left(until).is_zero(), "the request waits, and is not counted");
    }
    ann.ask(&["contact", "max-work", "carl", "256"]);
    let until = deadline();
    while waiting(&ann)["requests"] != 0 {
        assert!(!left(until).is_zero(), "a higher limit sends what waits");
    }
    ann.ask(&["contact", "remove", "carl", "--confirm", "carl"]);
    let paid = ann.ask(&["contact", "add", &to_carl, "--name", "carl", "--max-work", "256"]);
    assert_eq!((&paid["price"]["max_work"], &paid["price"]["waits"]), (&256.into(), &false.into()));
    assert_eq!(at_ann.end("TERM"), Some(143));

    // A node that may pay more for all that it sends: nothing of it waits.
    let _at_ann = ann.listen(&network, &address, &["--json", "--max-work", "256"]);
    wait_for_price(&ann);
    let usual = ann.ask(&["send", "ben", "as usual"]);
    assert_eq!((&usual["state"], &usual["price"]["max_work"]), (&"sent".into(), &256.into()));
}
