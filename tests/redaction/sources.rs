//! The text of the sources: a type that holds text, bytes or addresses does not derive `Debug`, and
//! one whose `Debug` is written by hand is in a snapshot.
//!
//! It reads words, not types: a field of a type of ours is that type's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::files::files;

/// Types of fields that may be secret, or may name somebody or something.
const RAW: [&str; 13] = [
    "String",
    "str",
    "[u8",
    "Vec<u8>",
    "Zeroizing",
    "Cow",
    "Multiaddr",
    "PeerId",
    "IpAddr",
    "SocketAddr",
    "PathBuf",
    "File",
    "Value",
];

/// Types that may derive it all the same, with the reason.
const MAY: [(&str, &str); 9] = [
    ("NetError", "tells the person who typed an address what is wrong with it"),
    ("PassphraseError", "tells a person which of their files cannot be read"),
    ("NetworkName", "what all nodes of a network know"),
    ("UnsafePermissions", "tells a person which of their files others can read"),
    ("OfAnother", "tells a person which of their files are another user's"),
    ("SlashError", "names commands of the program"),
    ("InviteCodec", "holds functions"),
    ("SeededRng", "is for tests, where nothing is secret"),
    ("SlashEntry", "names commands of the program"),
];

#[test]
fn what_holds_text_bytes_or_addresses_does_not_derive_debug() {
    let mut faults = BTreeSet::new();
    for (path, text) in sources() {
        for (name, fields) in derived(&text) {
            let may = MAY.iter().any(|(allowed, _)| *allowed == name);
            if !may && raw(&fields) {
                faults.insert(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "these show what they hold: {faults:#?}");
}

#[test]
fn every_debug_written_by_hand_is_in_a_snapshot() {
    let snapshots: String = files("tests/redaction/snapshots", "snap").into_values().collect();
    let mut faults = BTreeSet::new();
    let mut count = 0;
    let all = files("src", "rs");
    for (path, text) in &all {
        let (code, inside) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
        // Tests of the module stand in it, or in a file or a folder of their own beside it.
        let (file, folder) = (path.with_file_name("tests.rs"), path.with_file_name("tests"));
        let beside = all.iter().filter(|(of, _)| **of == file || of.starts_with(&folder));
        let tests: String =
            beside.map(|(_, text)| text.as_str()).chain([inside]).collect::<Vec<_>>().join("\n");
        for name in by_hand(code) {
            count += 1;
            let quoted = |text: &str| words(text).any(|word| word == name);
            let in_tests = tests.lines().any(|line| line.contains('"') && quoted(line));
            if !in_tests && !quoted(&snapshots) && !path.starts_with("src/sim") {
                faults.insert(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(count > 60, "they are found: {count}");
    assert!(faults.is_empty(), "no test shows these: {faults:#?}");
}

#[test]
fn the_engine_writes_no_log() {
    let engine = files("src/engine", "rs");
    assert!(engine.len() > 30, "it is found");
    let logging = engine.iter().filter(|(_, text)| words(text).any(|word| word == "tracing"));
    assert_eq!(logging.count(), 0, "what the engine knows is told by its outputs alone");
}

#[test]
fn a_type_that_derives_what_it_must_not_is_found() {
    let shown = "#[derive(Clone, Debug)]\n#[serde(a)]\npub struct Said { #[arg(long)] text: Option<String>, }";
    let found = derived(shown);
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|(name, fields)| name == "Said" && raw(fields)));
    let hidden =
        "#[derive(Clone)] struct Said { text: String }\n#[derive(Debug)] enum Kind { A(u8) }";
    assert!(derived(hidden).iter().all(|(_, fields)| !raw(fields)));
    assert_eq!(by_hand("impl fmt::Debug for Said {}\nopaque_debug!(struct Other(_));").len(), 2);
}

/// Every file of the program without its tests; the simulator's people are made up.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut files = files("src", "rs");
    files.retain(|path, _| {
        let path = path.to_string_lossy();
        !path.starts_with("src/sim") && !path.contains("/tests")
    });
    for text in files.values_mut() {
        let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        *text = code
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .fold(String::new(), |code, line| code + line + "\n");
    }
    files
}

/// The types that derive `Debug`, with their bodies.
fn derived(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[derive(") {
        rest = &rest[at + 9..];
        let end = rest.find(')').expect("the end of the list");
        let debugs = words(&rest[..end]).any(|word| word == "Debug");
        rest = &rest[end..];
        let item = &rest[..rest.find("#[derive(").unwrap_or(rest.len())];
        let kinds = ["struct ", "enum "].into_iter();
        let begin = kinds.filter_map(|kind| Some(item.find(kind)? + kind.len())).min();
        let Some(begin) = begin.filter(|_| debugs) else { continue };
        let item = &item[begin..];
        let name = words(item).next().expect("a name").to_owned();
        found.push((name, body(item).to_owned()));
    }
    found
}

/// An item up to its last bracket, or its semicolon.
fn body(item: &str) -> &str {
    let mut depth = 0_u32;
    for (at, letter) in item.char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && letter == '}' {
                    return &item[..=at];
                }
            }
            ';' if depth == 0 => return &item[..at],
            _ => {}
        }
    }
    item
}

/// Whether anything in a type's body is text, bytes or an address. Words of the program's own are none.
fn raw(fields: &str) -> bool {
    let fields = without_attributes(fields).replace("&'static str", "");
    RAW.iter().any(|raw| {
        if raw.chars().all(char::is_alphanumeric) {
            words(&fields).any(|word| word == *raw)
        } else {
            fields.contains(raw)
        }
    })
}

fn without_attributes(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[") {
        kept.push_str(&rest[..at]);
        let mut depth = 0_u32;
        let end = rest[at..].char_indices().find(|(_, letter)| {
            match letter {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            *letter == ']' && depth == 0
        });
        rest = end.map_or("", |(end, _)| &rest[at + end + 1..]);
    }
    kept + rest
}

/// The types whose `Debug` is written by hand, or by `opaque_debug`.
fn by_hand(code: &str) -> Vec<String> {
    let after = |line: &str, mark: &str| {
        let (_, rest) = line.split_once(mark)?;
        words(rest).find(|word| word.starts_with(char::is_uppercase)).map(str::to_owned)
    };
    let mut lines = code.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("impl") && !line.contains('$') {
            found.extend(after(line, "Debug for "));
        }
        if line.starts_with("opaque_debug!(") {
            let named = after(line, "opaque_debug!(");
            found.extend(named.or_else(|| after(lines.peek()?, "enum ")));
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}
