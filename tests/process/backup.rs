//! Backups: made, checked, damaged, taken over by another home; and a friend who hears of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Home, Network, finish, parse};

const PASSPHRASE: &str = "a passphrase of the backup alone";

/// A `backup` command with the backup's passphrase.
fn flags(home: &Home, what: &str, file: &str) -> [String; 5] {
    let secret = home.write_secret("backup-passphrase", PASSPHRASE);
    let secret = secret.to_str().expect("a path").to_owned();
    ["backup".into(), what.into(), file.into(), "--backup-passphrase-file".into(), secret]
}

fn backup(home: &Home, what: &str, file: &str, more: &[&str]) -> (Option<i32>, Value) {
    let flags = flags(home, what, file);
    let args: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let output = home.run(&[args.as_slice(), &["--json"]].concat());
    (output.status.code(), parse(&output.stdout))
}

/// The same, which must succeed.
fn done(home: &Home, what: &str, file: &str, more: &[&str]) -> Value {
    let (code, answer) = backup(home, what, file, more);
    assert_eq!(code, Some(0), "{what}: {answer}");
    answer["data"].clone()
}

/// What a home exports: author, state and text of each message.
fn said(home: &Home) -> Vec<(String, Value, String)> {
    let output = home.run(&["export", "-", "--all"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let text = |line: &Value, field: &str| line[field].as_str().expect("a text").to_owned();
    lines
        .map(parse)
        .map(|line| (text(&line, "from"), line["state"].clone(), text(&line, "text")))
        .collect()
}

/// A home with an identity and a contact, and the path a backup of it is to have.
fn ann() -> (Home, String) {
    let home = Home::new();
    home.identity("nightjar");
    home.ask(&["contact", "add", &Home::new().identity("ben").invite, "--name", "bittern"]);
    let file = home.path("backup").to_str().expect("a path").to_owned();
    (home, file)
}

#[test]
fn a_backup_is_made_and_checked_and_makes_a_home() {
    let (home, file) = ann();
    let made = done(&home, "create", &file, &[]);
    assert_eq!((&made["identities"], &made["contacts"]), (&1.into(), &1.into()));
    assert_eq!((&made["messages"], &made["history"]), (&0.into(), &false.into()));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(done(&home, "check", &file, &[]), made);
    let (code, again) = backup(&home, "create", &file, &[]);
    assert_eq!((code, &again["error"]["code"]), (Some(7), &"backup_exists".into()));

    let other = Home::new();
    assert_eq!(done(&other, "restore", &file, &[]), made);
    let (old, new) = (home.ask(&["identity", "show"]), other.ask(&["identity", "show"]));
    assert_eq!(old["invite"], new["invite"]);
    assert!(other.ask(&["contact", "show", "bittern"])["restored"].is_string());
    assert_eq!(home.ask(&["contact", "show", "bittern"])["restored"], Value::Null);
    let (code, again) = backup(&other, "restore", &file, &[]);
    assert_eq!((code, &again["error"]["code"]), (Some(7), &"store_exists".into()));
}

#[test]
fn a_faulty_backup_is_reported_and_no_home_is_made_of_it() {
    let (home, file) = ann();
    let other = Home::new();
    let refused = |code: i32, word: &str| {
        for what in ["check", "restore"] {
            let (exit, answer) = backup(&other, what, &file, &[]);
            assert_eq!((exit, &answer["error"]["code"]), (Some(code), &word.into()), "{what}");
        }
        assert!(!other.path("home").join("store.db").exists());
    };
    refused(3, "no_file");
    done(&home, "create", &file, &[]);
    let whole = fs::read(&file).expect("a backup");
    let middle = whole.len() / 2;
    for place in [40, middle, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&file, damaged).expect("written");
        refused(9, "backup_damaged");
    }
    fs::write(&file, &whole[..whole.len() - 1]).expect("written");
    refused(9, "backup_damaged");
    fs::write(&file, "not one").expect("written");
    refused(9, "not_a_backup");
    fs::write(&file, &whole).expect("written");
    let wrong = other.write_secret("wrong", "another");
    let wrong = wrong.to_str().expect("a path");
    let args = ["backup", "check", &file, "--backup-passphrase-file", wrong, "--json"];
    assert_eq!(other.run(&args).status.code(), Some(4));
    let output = finish(other.command(&["backup", "check", &file, "--json"]), "");
    assert_eq!(output.status.code(), Some(12), "nobody is asked");
    assert_eq!(other.run(&["backup", "check", &file, "--memory"]).status.code(), Some(2));
}

#[test]
fn a_backup_whose_passphrase_is_missing_names_the_flag_for_it_and_not_the_one_that_is_there() {
    let (home, file) = ann();
    let hint = |what: &str| {
        let output = home.run(&["backup", what, &file, "--json"]);
        assert_eq!(output.status.code(), Some(12), "{what}");
        parse(&output.stdout)["error"]["hint"].as_str().expect("a hint").to_owned()
    };
    assert!(hint("create").contains("--backup-passphrase-file FILE"));
    done(&home, "create", &file, &[]);
    for what in ["check", "restore"] {
        assert!(hint(what).contains("--backup-passphrase-file FILE"), "{what}");
    }
    // Here it is the passphrase of the new home that is missing.
    let flags = flags(&home, "restore", &file);
    let other = Home::new();
    let mut command = other.bare(&flags.each_ref().map(String::as_str));
    command.args(["--no-input", "--json"]);
    let hint = parse(&finish(command, "").stdout)["error"]["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("add --passphrase-file")), "{hint}");
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_why_in_plain_words() {
    let (home, file) = ann();
    done(&home, "create", &file, &[]);
    let folder = home.folder().to_str().expect("a path").to_owned();
    let absent = home.path("absent").join("file").to_str().expect("a path").to_owned();
    let secret = flags(&home, "create", &absent);
    let create: Vec<&str> = secret.iter().map(String::as_str).collect();
    let why = |args: &[&str], named: &str| {
        let output = finish(home.bare(&[args, &["--no-input", "--json"]].concat()), "");
        let answer = parse(&output.stdout);
        assert_eq!(answer["ok"], false, "{args:?}");
        let why = answer["error"]["reason"].as_str().expect("a reason").to_owned();
        assert!(why.contains(&format!("{named:?}")), "{args:?}: {why}");
        assert!(!answer.to_string().contains("os error"), "{answer}");
        assert!(!answer.to_string().contains("chmod"), "{answer}");
        why
    };
    let pass = home.path("passphrase").to_str().expect("a path").to_owned();
    let with =
        |args: &[&str], named: &str| why(&[args, &["--passphrase-file", &pass]].concat(), named);
    let none = "there is no such file or folder";
    assert!(with(&["import", &absent, "--contact", "bittern"], &absent).ends_with(none));
    assert!(with(&["export", &absent, "--all"], &absent).ends_with(none));
    assert!(with(&create, &absent).ends_with(none));
    assert!(with(&["backup", "check", &absent], &absent).ends_with(none));
    assert!(with(&["identity", "list", "--log", &absent], &absent).ends_with(none));
    assert!(why(&["identity", "list", "--passphrase-file", &absent], &absent).ends_with(none));
    let folders = "it is a folder, not a file";
    assert!(with(&["import", &folder, "--contact", "bittern"], &folder).ends_with(folders));
    assert!(with(&["identity", "list", "--log", &folder], &folder).ends_with(folders));
    assert!(why(&["identity", "list", "--passphrase-file", "."], ".").ends_with(folders));
    let exists = with(&["export", &file, "--all"], &file);
    assert!(exists.ends_with("it exists already"), "{exists}");
}

#[test]
fn messages_are_exported_and_imported_once_and_none_of_them_is_sent() {
    let (home, file) = ann();
    home.ask(&["send", "bittern", "tschüß\u{1b}[31m", "--wait", "queued"]);
    home.ask(&["export", &file, "--contact", "bittern"]);
    assert_eq!(home.run(&["export", &file, "--all"]).status.code(), Some(7), "it is there");
    let other = Home::new();
    other.identity("owl");
    other.ask(&["contact", "add", &Home::new().identity("cat").invite, "--name", "cat"]);
    let import = ["import", &file, "--contact", "cat"];
    assert_eq!(other.ask(&[&import[..], &["--dry-run"]].concat())["taken"], 1);
    assert_eq!(said(&other).len(), 0);
    assert_eq!(other.ask(&import)["taken"], 1);
    assert_eq!(other.ask(&import)["taken"], 0, "it is there already");
    let failed = ("me".to_owned(), "failed".into(), "tschüß\u{1b}[31m".to_owned());
    assert_eq!(said(&other), [failed]);
    fs::write(&file, "{}\n").expect("written");
    assert_eq!(other.run(&import).status.code(), Some(2));
}

#[test]
fn two_talk_again_after_one_of_them_was_restored_and_no_nonce_repeats() {
    let network = Network::new();
    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (ann, ben) = (Home::with_ledger(), Home::with_ledger());
    let (to_ann, to_ben) = (ann.identity("nightjar"), ben.identity("ben"));
    ann.ask(&["contact", "add", &to_ben.invite, "--name", "bittern"]);
    ben.ask(&["contact", "add", &to_ann.invite, "--name", "ann"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    at_ben.wait_for_session();
    ann.ask(&["send", "bittern", "the first of hers", "--wait", "delivered", "--timeout", "140s"]);
    ben.ask(&["send", "ann", "the first of his", "--wait", "delivered", "--timeout", "140s"]);
    assert_eq!(at_ben.messages(1), [(0, "the first of hers".to_owned())]);

    // The node that runs writes it.
    let file = ann.path("backup").to_str().expect("a path").to_owned();
    let made = done(&ann, "create", &file, &["--with-history"]);
    assert_eq!((&made["contacts"], &made["messages"]), (&1.into(), &2.into()));
    let (code, again) = backup(&ann, "create", &file, &[]);
    assert_eq!((code, &again["error"]["code"]), (Some(7), &"backup_exists".into()));
    let bytes = fs::read(&file).expect("a backup");
    for plain in [&b"nightjar"[..], b"bittern", b"the first of", PASSPHRASE.as_bytes()] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain));
    }
    // What is said from here on, the backup does not know.
    ann.ask(&["send", "bittern", "hers, lost", "--wait", "delivered", "--timeout", "140s"]);
    at_ann.kill();
    drop(at_ann);
    assert_eq!(at_ben.messages(1), [(1, "hers, lost".to_owned())]);
    ben.ask(&["send", "ann", "his, meanwhile", "--wait", "sent"]);

    let again = Home::with_ledger();
    done(&again, "restore", &file, &[]);
    let texts: Vec<String> = said(&again).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["the first of hers", "the first of his"]);
    let at_again = again.listen(&network, &address, &["--json"]);
    at_again.wait_for_neighbour();
    again.ask(&["send", "bittern", "I am back", "--wait", "delivered", "--timeout", "140s"]);
    // Under a numbering of its own, which is not taken for a repetition.
    assert_eq!(at_ben.messages(1), [(0, "I am back".to_owned())]);
    assert_eq!(at_again.messages(1), [(1, "his, meanwhile".to_owned())]);
    drop((at_again, at_ben));
    let texts: Vec<String> = said(&again).into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts.len(), 4, "nothing is there twice: {texts:?}");

    let all = [ann.ledger(), ben.ledger(), again.ledger()].concat();
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!(all.len(), different.len(), "a nonce was used twice under one key");
}
