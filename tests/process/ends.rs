//! How a process ends that has something to do for others: what they wait for leaves first, and the exit
//! code says whether what was asked for came.

use serde_json::Value;

use crate::support::{Home, Network, Running};

/// Two people who have each other as contacts, and a relay.
pub(crate) struct Two {
    pub(crate) network: Network,
    pub(crate) address: String,
    pub(crate) ann: Home,
    pub(crate) ben: Home,
    _relay: Running,
    _relays: Home,
}

impl Two {
    pub(crate) fn new() -> Self {
        let (network, relays, ann, ben) = (Network::new(), Home::new(), Home::new(), Home::new());
        let (relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
        let (to_ann, to_ben) = (ann.identity("ann"), ben.identity("ben"));
        ann.ask(&["contact", "add", &to_ben.invite, "--name", "ben"]);
        ben.ask(&["contact", "add", &to_ann.invite, "--name", "ann"]);
        Self { network, address, ann, ben, _relay: relay, _relays: relays }
    }

    /// A node of one of them, which prints what happens.
    pub(crate) fn listen(&self, home: &Home, more: &[&str]) -> Running {
        home.listen(&self.network, &self.address, &[&["--json", "--states"][..], more].concat())
    }

    /// Has ann, whose node runs, send this to ben.
    pub(crate) fn say(&self, text: &str) {
        self.ann.ask(&["send", "ben", text, "--wait", "sent", "--timeout", "2m"]);
    }
}

/// Waits until a node hears that its message has arrived.
pub(crate) fn wait_for_delivery(node: &Running) {
    node.wait_for_json("an acknowledgement", |line| (line["state"] == "delivered").then_some(()));
}

#[test]
fn a_listener_that_has_enough_acknowledges_before_it_ends() {
    let two = Two::new();
    let at_ann = two.listen(&two.ann, &[]);
    let at_ben = two.listen(&two.ben, &["--count", "1"]);
    at_ann.wait_for_session();
    two.say("the last");
    assert_eq!(at_ben.messages(1)[0].1, "the last");
    assert_eq!(at_ben.ended(), Some(0));
    // Nobody is there any more who could.
    wait_for_delivery(&at_ann);
}

#[test]
fn a_node_that_a_signal_or_a_command_ends_acknowledges_what_it_has_shown() {
    let two = Two::new();
    let at_ann = two.listen(&two.ann, &[]);
    let mut at_ben = two.listen(&two.ben, &[]);
    at_ann.wait_for_session();
    for end in ["TERM", "INT", "stop"] {
        two.say(end);
        assert_eq!(at_ben.messages(1)[0].1, end);
        match end {
            "stop" => {
                two.ben.ask(&["node", "stop"]);
                assert_eq!(at_ben.ended(), Some(0));
            }
            signal => {
                let code = if signal == "INT" { 130 } else { 143 };
                assert_eq!(at_ben.end(signal), Some(code));
            }
        }
        wait_for_delivery(&at_ann);
        at_ben = two.listen(&two.ben, &[]);
        at_ben.wait_for_neighbour();
    }
}

#[test]
fn what_a_person_decides_just_before_the_end_of_a_node_reaches_the_contact() {
    let (network, relays, ann, ben) = (Network::new(), Home::new(), Home::new(), Home::new());
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    ann.identity("ann");
    let to_ben = ben.identity("ben");
    ann.ask(&["contact", "add", &to_ben.invite, "--name", "ben"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    let key = at_ben.wait_for_json("a request", |line| {
        (line["type"] == "request").then(|| line["key"].as_str().unwrap_or("").to_owned())
    });
    ben.ask(&["request", "accept", &key, "--name", "ann"]);
    assert_eq!(at_ben.end("TERM"), Some(143));
    at_ann.wait_for_session();
    let at_ben = ben.listen(&network, &address, &["--json"]);
    at_ben.wait_for_session();
    ben.ask(&["contact", "remove", "ann", "--confirm", "ann"]);
    assert_eq!(at_ben.end("TERM"), Some(143));
    at_ann.wait_for_json("the farewell", |line| {
        (line["type"] == "session" && line["session"] != "session ready").then_some(())
    });
}

#[test]
fn what_a_send_says_is_sent_arrives_although_its_node_ends_at_once() {
    let two = Two::new();
    let at_ben = two.listen(&two.ben, &[]);
    let at_ann = two.listen(&two.ann, &[]);
    at_ann.wait_for_session();
    assert_eq!(at_ann.end("TERM"), Some(143));
    for number in 0..5 {
        let text = format!("number {number}");
        let send = ["send", "ben", &text, "--timeout", "2m", "--peer", &two.address];
        let sent = two.ann.ask(&[&send[..], &two.network.flags()].concat());
        assert_eq!(sent["state"], "sent", "{sent}");
    }
    let texts: Vec<String> = at_ben.messages(5).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, (0..5).map(|number| format!("number {number}")).collect::<Vec<_>>());
}

#[test]
fn a_listener_that_did_not_get_as_many_messages_as_it_waited_for_says_so() {
    let (home, network) = (Home::new(), Network::new());
    home.identity("ann");
    let listen = |more: &[&str]| {
        let args = [&["listen"][..], &network.flags()[..], more].concat();
        Running::start(home.command(&args), &home.path("errors"), None)
    };
    let error = |(code, answer): (Option<i32>, Value)| {
        assert_eq!(answer["ok"], false, "{answer}");
        (code, answer["error"]["code"].as_str().expect("a word").to_owned())
    };
    let timed = ["--count", "2", "--timeout", "1s"];
    let ended = error(listen(&[&["--json"][..], &timed].concat()).last_line());
    assert_eq!(ended, (Some(6), "time_over".to_owned()));
    let words = home.run(&[&["listen"][..], &network.flags()[..], &timed].concat());
    assert_eq!((words.status.code(), words.stdout), (Some(6), Vec::new()));
    let said = String::from_utf8_lossy(&words.stderr).into_owned();
    assert!(said.contains("0 of 2 came before the time was over"), "{said}");
    // To listen for so long is all that was asked for.
    assert_eq!(listen(&["--timeout", "1s"]).ended(), Some(0));
    let stopped = |more: &[&str]| {
        let node = listen(&[&["--json"][..], more].concat());
        node.wait_for_json("a node", |line| (line["type"] == "network").then_some(()));
        home.ask(&["node", "stop"]);
        node
    };
    let ended = error(stopped(&["--count", "1"]).last_line());
    assert_eq!(ended, (Some(1), "node_stopping".to_owned()));
    assert_eq!(stopped(&[]).ended(), Some(0));
}
