//! A relay that keeps envelopes on disk: killed while they pour in, damaged, shared, misused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Home, Network, Running, parse};

/// How often it is killed.
const KILLS: usize = 3;

/// What is said between two kills at most.
const MESSAGES: usize = 40;

/// A relay with an archive that runs in its home.
struct Relay {
    process: Running,
    /// What it says of its room.
    room: Value,
    /// What it says it took over.
    taken: Value,
    address: String,
}

impl Relay {
    fn start(home: &Home, network: &Network) -> Self {
        Self::start_with(home, network, &["--archive", "64MiB"])
    }

    /// Starts one with these flags that uses the archive of its home. What it says at its start of
    /// what it holds is one number.
    fn start_with(home: &Home, network: &Network, more: &[&str]) -> Self {
        let process = run(home, &network.flags(), more);
        let line = |kind: &str| {
            process.wait_for_json(kind, |line| (line["type"] == kind).then(|| line.clone()))
        };
        let room = line("room");
        assert_eq!(room["place"], "archive", "{room}");
        let taken = line("archive");
        assert_eq!(room["held"], taken["held"]);
        // Whichever comes first.
        let (mut address, mut first) = (None, None);
        process.wait_for_json("its address and its figures", |line| {
            address = address.take().or(line["address"].as_str().map(str::to_owned));
            if line["type"] == "network" && first.is_none() {
                first = Some(line["pool_items"].clone());
            }
            (address.is_some() && first.is_some()).then_some(())
        });
        assert_eq!(first.as_ref(), Some(&taken["held"]));
        let address = address.expect("an address");
        Self { process, room, taken, address }
    }

    fn held(&self) -> u64 {
        self.taken["held"].as_u64().expect("a number")
    }

    /// Waits until it tells of so many envelopes; how many it tells of. It tells after writing.
    fn holds(&self, least: u64) -> u64 {
        self.process.wait_for_json("envelopes", |line| {
            line["pool_items"].as_u64().filter(|items| *items >= least)
        })
    }
}

/// Starts a relay in a home, which may be refused.
fn run(home: &Home, flags: &[&str], more: &[&str]) -> Running {
    let mut command = home.bare(&["relay", "run", "--json", "--listen", LISTEN]);
    command.args(flags).args(more);
    Running::start(command, &home.path("errors"), None)
}

/// Runs a relay that must be refused; the error, whose four parts are all there.
fn refused(home: &Home, flags: &[&str], more: &[&str]) -> Value {
    let (exit, line) = run(home, flags, more).last_line();
    let error = line["error"].clone();
    assert_eq!(exit.map(Value::from).as_ref(), Some(&error["exit"]), "{line}");
    for part in ["message", "reason", "safe", "hint"] {
        assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {line}");
    }
    error
}

/// Whether a part of an error has these words.
fn says(error: &Value, part: &str, words: &str) {
    let text = error[part].as_str().unwrap_or_default();
    assert!(text.contains(words), "{words:?} is not in {part} of {error}");
}

const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

fn file(home: &Home) -> PathBuf {
    home.path("home/archive/envelopes.db")
}

#[test]
fn an_archive_killed_while_envelopes_pour_in_has_all_it_reported_and_no_damaged_one() {
    let network = Network::new();
    let (relays, ann, ben) = (Home::new(), Home::new(), Home::new());
    let (to_ann, to_ben) = (ann.identity("ann").invite, ben.identity("ben").invite);
    ann.ask(&["contact", "add", &to_ben, "--name", "ben"]);
    ben.ask(&["contact", "add", &to_ann, "--name", "ann"]);
    let mut told = 0;
    let mut said = 0;
    for round in 0..KILLS {
        let relay = Relay::start(&relays, &network);
        let held = relay.held();
        assert!(held >= told, "of {told} envelopes {held} are left, round {round}");
        for nothing in ["expired", "refused", "damaged"] {
            assert_eq!(relay.taken[nothing], 0, "{nothing}, round {round}");
        }
        assert!(relay.taken["salvaged"].is_null(), "a kill is no damage");
        let at_ben = ben.listen(&network, &relay.address, &["--json"]);
        let at_ann = ann.listen(&network, &relay.address, &["--json"]);
        at_ann.wait_for_neighbour();
        at_ben.wait_for_neighbour();
        for _ in 0..MESSAGES {
            ann.ask(&["send", "ben", &format!("message {said}"), "--wait", "queued"]);
            said += 1;
        }
        // Somewhere between the first of them and the last.
        told = relay.holds(held + 5 + 8 * round as u64);
        relay.process.kill();
    }
    let relay = Relay::start(&relays, &network);
    let held = relay.held();
    assert!(held >= told && told > 5, "of {told} envelopes {held} are left");
    assert_eq!(relay.process.end("TERM"), Some(0));
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(relays.path("home/archive")), 0o700);
    assert_eq!(mode(file(&relays)), 0o600);

    // A damaged header hides nothing.
    let mut bytes = fs::read(file(&relays)).expect("the file");
    bytes[..1024].fill(0);
    fs::write(file(&relays), bytes).expect("written");
    let relay = Relay::start(&relays, &network);
    assert_eq!(relay.taken["held"], held);
    assert!(relay.taken["salvaged"].as_u64().is_some_and(|saved| saved >= held));
    assert!(relay.taken["outdated"] == false);
    assert!(relays.ask(&["status"])["archive_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(relay.process.end("TERM"), Some(0));

    // Nor does one that says another version, at byte 60, or that the file is read-only, at byte 18.
    for (at, value) in [(63, 1), (18, 9)] {
        let mut bytes = fs::read(file(&relays)).expect("the file");
        bytes[at] = value;
        fs::write(file(&relays), &bytes).expect("written");
        let relay = Relay::start(&relays, &network);
        assert!(relay.taken["held"] == held && relay.taken["outdated"] == false);
        assert!(relay.taken["salvaged"].as_u64().is_some_and(|saved| saved >= held));
        assert_eq!(relay.process.end("TERM"), Some(0));
    }

    // What version 1 kept is carried by nobody.
    let mut bytes = fs::read(file(&relays)).expect("the file");
    bytes[63] = 1;
    bytes[1024..].fill(0);
    fs::write(file(&relays), &bytes).expect("written");
    let relay = Relay::start(&relays, &network);
    assert!(relay.taken["outdated"] == true && relay.taken["salvaged"].is_null());
    assert_eq!(relay.taken["held"], 0);
    let anew = fs::metadata(file(&relays)).expect("a new file").len();
    assert!(anew < bytes.len() as u64, "{anew}");
}

/// Fills the archive of a home with so many envelopes that live a day, at least; how many it holds.
fn fill(home: &Home, network: &Network, least: u64) -> u64 {
    let junk = ["--archive", "64MiB", "--junk", "10/s"];
    let relay = Relay::start_with(home, network, &junk);
    let other = Home::new();
    let (other, _) = other.relay(network, LISTEN, &["--peer", &relay.address, "--junk", "10/s"]);
    relay.holds(least);
    drop(other);
    assert_eq!(relay.process.end("TERM"), Some(0));
    let relay = Relay::start(home, network);
    assert!(relay.held() >= least, "{}", relay.taken);
    let held = relay.held();
    assert_eq!(relay.process.end("TERM"), Some(0));
    held
}

/// What the archive's folder contains, by name.
fn contents(home: &Home) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(home.path("home/archive")).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file")))
        .collect();
    files.sort_unstable();
    files
}

#[test]
fn an_archive_that_holds_more_than_a_smaller_size_is_refused_it_until_that_is_said_twice() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 230);
    let before = contents(&home);
    // 256 places, of which 192 are for a day.
    let small = ["--archive", "688128"];
    let flags = network.flags();
    let error = refused(&home, &flags, &small);
    assert_eq!((&error["code"], &error["exit"]), (&"archive_size".into(), &7.into()));
    let over = held - 192;
    says(&error, "reason", &format!("{over} of its {held} envelopes would have to go"));
    says(&error, "reason", "it had 24966 places before");
    says(&error, "hint", "--archive 64MiB");
    says(&error, "hint", "--shrink");
    assert!(contents(&home) == before, "nothing was changed");

    // Without a size it goes on as it is, however much memory is free.
    let usual = Relay::start_with(&home, &network, &[]);
    assert_eq!((usual.held(), &usual.room["places"]), (held, &24_966.into()));
    says(&usual.room, "why", "has an archive of this network");
    usual.process.kill();
    drop(usual);

    let larger = Relay::start_with(&home, &network, &["--archive", "128MiB"]);
    assert_eq!(larger.held(), held);
    larger.process.kill();
    drop(larger);

    let shrunk = Relay::start_with(&home, &network, &[&small[..], &["--shrink"]].concat());
    assert_eq!((shrunk.held(), &shrunk.taken["refused"]), (192, &over.into()));
    assert_eq!(shrunk.process.end("TERM"), Some(0));
    let usual = Relay::start_with(&home, &network, &[]);
    assert_eq!((usual.held(), &usual.room["places"]), (192, &256.into()));
}

#[test]
fn an_archive_belongs_to_one_network_and_is_refused_to_every_other() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 10);
    let before = contents(&home);
    let name = network.name();
    let archive = ["--archive", "64MiB"];
    for flags in [
        ["--network", "other", "--floor", "4"],
        ["--network", name, "--floor", "3"],
        ["--network", name, "--floor", "20"],
    ] {
        // However much memory is free.
        for more in [&archive[..], &["--archive", "64MiB", "--shrink"], &[]] {
            let error = refused(&home, &flags, more);
            assert_eq!((&error["code"], &error["exit"]), (&"archive_network".into(), &7.into()));
            says(&error, "reason", &format!("of the network {name} with a floor of 4 bits"));
            let asked = format!("serve {} with a floor of {} bits", flags[1], flags[3]);
            says(&error, "reason", &asked);
            says(&error, "safe", "nothing was removed");
            says(&error, "hint", &format!("--network {name} --floor 4"));
        }
        // In memory it serves whatever it is told to, and names what it does not use.
        let relay = run(&home, &flags, &["--pool", "1MiB"]);
        let room =
            relay.wait_for_json("its room", |line| (line["type"] == "room").then(|| line.clone()));
        assert_eq!((&room["place"], &room["held"]), (&"memory".into(), &0.into()));
        let unused = format!("the archive in the home folder is of the network {name}");
        says(&room, "unused", &unused);
        assert_eq!(relay.end("TERM"), Some(0));
    }
    assert!(contents(&home) == before, "nothing was changed");
    let status = home.ask(&["status"]);
    assert_eq!((&status["archive_network"], &status["archive_floor"]), (&name.into(), &4.into()));
    assert_eq!(Relay::start(&home, &network).held(), held);
}

#[test]
fn an_archive_that_names_no_network_is_that_of_the_first_start_that_it_fits_and_says_so() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 10);
    let label = home.path("home/archive/label.json");
    fs::remove_file(&label).expect("removed");
    // All its envelopes show 4 bits, and hardly one shows 30.
    let higher = ["--network", network.name(), "--floor", "30"];
    let error = refused(&home, &higher, &["--archive", "64MiB"]);
    assert_eq!(error["code"], "archive_network");
    says(&error, "reason", "does not say of which network it is");
    let usual = Relay::start_with(&home, &network, &[]);
    assert_eq!((usual.held(), &usual.taken["unnamed"]), (held, &true.into()));
    assert_eq!(usual.room["places"], 293_000, "the usual size, and no odd one");
    says(&usual.room, "why", "does not say its size; this is the usual one");
    usual.process.kill();
    drop(usual);
    let relay = Relay::start(&home, &network);
    assert_eq!((relay.held(), &relay.taken["unnamed"]), (held, &false.into()));
    assert_eq!(relay.taken["was"]["bytes"], 293_000 * 2_688);
    assert_eq!(relay.process.end("TERM"), Some(0));
    let written = parse(fs::read(&label).expect("a label").as_slice());
    assert_eq!(written["network"], network.name());
    fs::remove_file(&label).expect("removed");
    let said = said(&home, &network);
    let network = network.name();
    for line in [
        format!("from now on it is of the network {network} with a floor of 4 bits"),
        format!("archive: {held} envelopes loaded; removed: 0 expired, 0 without room, 0 damaged"),
        format!("in the archive in the home folder, {held} held: as --archive says"),
        format!("peers 0, pool {held} envelopes"),
    ] {
        assert!(said.contains(&line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("pool 0 envelopes"), "{said}");
}

/// What a relay says to a person of the archive in its home, until it listens and what was mended
/// counts as told.
fn said(home: &Home, network: &Network) -> String {
    let mut command = home.bare(&["relay", "run", "--archive", "64MiB", "--listen", LISTEN]);
    command.args(network.flags());
    let file = home.path(&crate::support::unique("said"));
    let relay = Running::start(command, &file, None);
    relay.wait_for("its address", |line| line.starts_with("listening on").then_some(()));
    let until = crate::support::deadline();
    while home.path("home/archive/mended.json").exists() {
        assert!(!crate::support::left(until).is_zero(), "the note stays: {}", relay.errors());
        std::thread::yield_now();
    }
    assert_eq!(relay.end("TERM"), Some(0));
    relay.errors()
}

#[test]
fn a_label_that_is_there_and_says_nothing_is_refused_with_what_to_do_and_nothing_is_changed() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 10);
    let label = home.path("home/archive/label.json");
    let written = fs::read(&label).expect("a label");
    for (text, why) in [("", "is empty"), ("{", "makes no sense")] {
        fs::write(&label, text).expect("written");
        let before = contents(&home);
        for more in [&["--archive", "64MiB"][..], &[]] {
            let error = refused(&home, &network.flags(), more);
            assert_eq!((&error["code"], &error["exit"]), (&"archive".into(), &1.into()));
            says(&error, "reason", &format!("its file label.json {why}"));
            says(&error, "hint", "put the file back as it was");
        }
        assert!(contents(&home) == before, "nothing was changed");
        assert!(home.ask(&["status"])["archive_network"].is_null());
    }
    fs::remove_file(&label).expect("removed");
    fs::create_dir(&label).expect("made");
    let error = refused(&home, &network.flags(), &[]);
    says(
        &error,
        "reason",
        "what is called label.json in it is not a file, but a folder, a link or the like",
    );
    says(&error, "hint", "move that out of the folder");
    fs::remove_dir(&label).expect("removed");
    fs::write(&label, written).expect("written");
    let open = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&label, open).expect("for its owner alone");
    assert_eq!(Relay::start_with(&home, &network, &[]).held(), held);
}

#[test]
fn an_archive_that_holds_nothing_changes_its_network_and_says_so() {
    let network = Network::new();
    let home = Home::new();
    let relay = Relay::start(&home, &network);
    assert!(relay.taken["was"].is_null());
    assert_eq!(relay.process.end("TERM"), Some(0));
    let other = Network::new();
    let relay = Relay::start_with(&home, &other, &[]);
    assert_eq!(relay.taken["was"]["network"], network.name());
    assert_eq!(relay.room["places"], 24_966, "its size stays");
    assert_eq!(relay.process.end("TERM"), Some(0));
    let text = said(&home, &network);
    let was = format!("the archive was of the network {} with a floor of 4 bits", other.name());
    assert!(text.contains(&format!("{was}, and held nothing: from now on")), "{text}");
}

#[test]
fn whatever_became_of_an_archive_is_said_in_a_sentence() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 60);
    let whole = fs::read(file(&home)).expect("the file");
    // With an envelope of this version in it, it would be damaged.
    let rest = vec![0; whole.len() - 1024];
    let of_version_1 = [&whole[..60], &[0, 0, 0, 1], &whole[64..1024], &rest].concat();
    let without_header = [&[0; 1024], &whole[1024..]].concat();
    let cut = whole[..whole.len() / 2].to_vec();
    for (bytes, sentence) in [
        (without_header, format!("was damaged: {held} envelopes were recovered into a new file")),
        (cut, "envelopes were recovered into a new file; peers may still have the rest".to_owned()),
        (b"no archive".to_vec(), "was damaged: 0 envelopes were recovered".to_owned()),
        (of_version_1, "was of an earlier version, whose envelopes no node carries".to_owned()),
    ] {
        fs::write(file(&home), bytes).expect("written");
        let text = said(&home, &network);
        assert!(text.contains(&sentence), "{sentence:?} is not in {text}");
        // Told once: it is whole again.
        let text = said(&home, &network);
        assert!(!text.contains("archive file was"), "{text}");
        assert!(text.contains(" envelopes loaded; removed: 0 expired"), "{text}");
    }
}

#[test]
fn a_refused_start_leaves_an_archive_as_it_is_whatever_became_of_its_file_and_its_label() {
    let network = Network::new();
    let home = Home::new();
    let held = fill(&home, &network, 230);
    let mut bytes = fs::read(file(&home)).expect("the file");
    bytes[..1024].fill(0);
    fs::write(file(&home), bytes).expect("written");
    let label = home.path("home/archive/label.json");
    let named = fs::read(&label).expect("a label");
    let higher = ["--network", network.name(), "--floor", "30"];
    let other = ["--network", "other", "--floor", "4"];
    let size = ["--archive", "64MiB"];
    let ours = network.flags();
    for (is_named, flags, more, code) in [
        (true, &other[..], &size[..], "archive_network"),
        (true, &ours, &["--archive", "688128"], "archive_size"),
        (false, &ours, &["--archive", "688128"], "archive_size"),
        (false, &higher, &size, "archive_network"),
        (false, &higher, &[], "archive_network"),
    ] {
        if is_named {
            fs::write(&label, &named).expect("written");
        } else {
            drop(fs::remove_file(&label));
        }
        let before = contents(&home);
        let error = refused(&home, flags, more);
        assert_eq!(error["code"], code, "{error}");
        assert!(contents(&home) == before, "nothing was changed");
        if flags != other {
            says(&error, "safe", "its file is damaged and was left as it is");
        }
    }
    // What it tells once it may start is one number, told until it ran for two seconds.
    let recovered = format!("was damaged: {held} envelopes were recovered into a new file");
    let soon = Relay::start(&home, &network);
    assert_eq!((soon.held(), &soon.taken["unnamed"]), (held, &true.into()));
    soon.process.kill();
    drop(soon);
    let text = said(&home, &network);
    assert!(text.contains(&recovered), "{text}");
    let text = said(&home, &network);
    assert!(!text.contains("damaged: "), "{text}");
}

#[test]
fn whatever_stands_in_the_place_of_an_archive_is_named_at_the_start_and_in_status() {
    let network = Network::new();
    let belongs = |name: &str, is: &str, what: &str| {
        let home = Home::new();
        let folder = home.path("home/archive");
        let path = folder.join(name);
        fs::create_dir_all(if name.is_empty() { home.path("home") } else { path.clone() })
            .expect("made");
        if name.is_empty() {
            fs::write(&folder, "a file").expect("written");
        }
        for folder in [home.path("home"), folder].into_iter().filter(|folder| folder.is_dir()) {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder, private).expect("made private");
        }
        let path = path.display().to_string();
        let told = format!(
            "{:?} is {is}, and {what} of an archive belongs there",
            path.trim_end_matches('/')
        );
        let error = refused(&home, &network.flags(), &["--archive", "64MiB"]);
        assert_eq!((&error["code"], &error["exit"]), (&"archive".into(), &1.into()));
        says(&error, "reason", &told);
        says(&error, "hint", "move that out of the way");
        let status = home.ask(&["status"]);
        says(&status, "archive_trouble", &told);
        assert!(status["archive_bytes"].is_null());
        let relay = run(&home, &network.flags(), &["--pool", "1MiB"]);
        let room =
            relay.wait_for_json("its room", |line| (line["type"] == "room").then(|| line.clone()));
        says(&room, "unused", &format!("cannot be used: {told}"));
        assert_eq!(relay.end("TERM"), Some(0));
    };
    belongs("", "a file", "the folder");
    belongs("envelopes.db", "a folder", "a file");
    belongs("mended.json", "a folder", "a file");
}

#[test]
fn an_archive_that_holds_nothing_and_lost_its_label_is_not_taken_without_a_word() {
    let network = Network::new();
    let home = Home::new();
    drop(said(&home, &network));
    fs::remove_file(home.path("home/archive/label.json")).expect("removed");
    let text = said(&home, &Network::new());
    assert!(text.contains("the archive did not say of which network it is"), "{text}");
    assert!(!said(&Home::new(), &network).contains("did not say"), "a new one");
}

#[test]
fn an_archive_is_for_one_process_and_names_the_reason_that_it_cannot_be_opened() {
    let network = Network::new();
    let home = Home::new();
    let relay = Relay::start(&home, &network);
    let flags = ["--archive", "1MiB"];
    let waits = Running::start(
        {
            let mut command = home.bare(&["relay", "run", "--listen", LISTEN]);
            command.args(flags);
            command
        },
        &home.path("said"),
        None,
    );
    assert_eq!(waits.ended(), Some(10));
    let said = waits.errors();
    let (first, then) = said.split_once('\n').expect("two messages");
    assert!(first.contains("uses the archive in this home folder; waiting up to 5 s"), "{said}");
    assert!(then.contains("[in_use]") && then.contains("stop the other relay"), "{said}");
    let error = refused(&home, &[], &flags);
    assert_eq!((&error["code"], &error["exit"]), (&"in_use".into(), &10.into()));
    drop(relay);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(home.path("home/archive"), open).expect("opened to others");
    assert_eq!(refused(&home, &[], &flags)["code"], "unsafe_mode");
}

#[test]
fn an_archive_that_is_released_soon_is_waited_for() {
    let network = Network::new();
    let home = Home::new();
    let relay = Relay::start(&home, &network);
    let next = run(&home, &network.flags(), &["--archive", "64MiB"]);
    let until = crate::support::deadline();
    while !next.errors().contains("waiting up to") {
        assert!(!crate::support::left(until).is_zero(), "it says nothing");
        std::thread::yield_now();
    }
    assert_eq!(relay.process.end("TERM"), Some(0));
    next.wait_for_json("its room", |line| (line["type"] == "room").then_some(()));
}

#[test]
fn what_contradicts_an_archive_is_refused_wherever_it_stands() {
    let home = Home::new();
    let archive = ["relay", "run", "--archive", "1MiB", "--json"];
    for words in [
        [&archive[..], &["--memory"]].concat(),
        [&["--memory"], &archive[..]].concat(),
        [&["relay", "--memory"], &archive[1..]].concat(),
    ] {
        let output = home.run(&words);
        let error = parse(&output.stdout)["error"].clone();
        assert_eq!((output.status.code(), &error["code"]), (Some(2), &"memory".into()));
        says(&error, "reason", "--memory stores nothing on disk");
    }
    for words in [
        [&archive[..], &["--pool", "1MiB"]].concat(),
        ["relay", "run", "--pool", "1MiB", "--shrink", "--json"].to_vec(),
        ["relay", "run", "--shrink", "--json"].to_vec(),
    ] {
        let output = home.run(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(parse(&output.stdout)["error"]["code"], "usage", "{words:?}");
    }
    assert!(!home.path("home").exists(), "nothing was stored");
}
