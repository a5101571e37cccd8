//! Everything that reads bytes or text from outside is given changed ones by a test beside it.
//!
//! A reader is recognised by its name, and by the libraries that read for it: one that is called
//! otherwise and takes its bytes apart by hand escapes this.

use super::shape::{is_test, without_tests};
use super::{Source, Token, hold, sources, tokens};

/// How the tests are called that give a reader changed input.
const TEST: &str = "fn changed_at_random_";

/// Names of functions that read, as a whole.
const NAMES: &[&str] = &[
    "admits",
    "deserialize",
    "elements",
    "frames",
    "from_bytes",
    "from_str",
    "inspect",
    "lacking",
    "named",
    "of_text",
    "of_words",
    "open",
    "ranges",
    "read",
    "sanitize",
    "varint",
];

/// And as they begin.
const BEGINNINGS: &[&str] = &["carve", "decode", "from_", "parse", "read_", "split_"];

/// What they take: bytes, text, or what gives bytes.
const TAKE: &[&str] = &[
    "AsyncBufRead",
    "AsyncRead",
    "BufRead",
    "BufReader",
    "D",
    "File",
    "RawMessage",
    "SketchCell",
    "String",
    "str",
    "u8",
];

/// Functions of libraries that read.
const LIBRARIES: &[&str] = &["decode_from_slice", "from_reader", "from_slice", "from_value"];

/// Files with a function of such a name that need no test of their own, with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("engine/session/mod.rs", "a field of the sessions that shell/store/codec.rs reads"),
    (
        "engine/sync/client.rs",
        "reads as sync/wire.rs does; sync/client_session.rs takes it from there",
    ),
    ("engine/sync/snapshot.rs", "compares the cells that sketch.rs reads"),
    ("shell/api/wire.rs", "parts of the calls, answers and events that calls.rs and event.rs read"),
    ("shell/archive/rows.rs", "rows of the database whose pages archive/tests/damage.rs changes"),
    ("shell/rpc/link.rs", "takes the lines that frames.rs reads"),
    ("shell/rpc/reception.rs", "takes the first line as frames.rs reads it"),
    ("shell/rpc/server.rs", "takes the lines that frames.rs reads"),
];

#[test]
fn every_reader_of_what_comes_from_outside_is_given_changed_input() {
    let all: Vec<Source> = sources("src").into_iter().filter(|source| !is_test(source)).collect();
    hold(&all, |source| {
        let tested = is_tested(source);
        let excused = OTHERWISE.iter().any(|(name, _)| *name == source.name);
        match (readers(source).first(), tested, excused) {
            (Some(reader), false, false) => {
                vec![source.fault(reader.0, &format!("`{}` is given no changed input", reader.1))]
            }
            (_, true, true) | (None, _, true) => {
                vec![source.fault(1, "needs no place in the list of readers without a test")]
            }
            (Some(_) | None, _, _) => Vec::new(),
        }
    });
    for (name, reason) in OTHERWISE {
        assert!(all.iter().any(|source| source.name == *name), "{name} is gone");
        assert!(reason.len() > 10, "{name}");
    }
}

/// Whether a file, or the tests beside it, have a test with changed input.
fn is_tested(source: &Source) -> bool {
    let beside = source.name.strip_suffix("mod.rs").map(|folder| format!("src/{folder}tests.rs"));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = beside.and_then(|path| std::fs::read_to_string(root.join(path)).ok());
    source.text.contains(TEST) || beside.is_some_and(|tests| tests.contains(TEST))
}

/// The functions of a file that read, with their lines.
fn readers(source: &Source) -> Vec<(usize, String)> {
    let code = without_tests(source.clone());
    let tokens = tokens(&code.text);
    let reads = |name: &str| {
        NAMES.contains(&name) || BEGINNINGS.iter().any(|start| name.starts_with(start))
    };
    let pairs = tokens.iter().zip(tokens.iter().skip(1)).enumerate();
    let found = pairs.filter(|(at, (before, token))| {
        let name = token.text.as_str();
        match before.text.as_str() {
            "fn" => {
                reads(name) && head(tokens.iter().skip(at + 2)).any(|word| TAKE.contains(&word))
            }
            "::" => LIBRARIES.contains(&name),
            _ => false,
        }
    });
    found.map(|(_, (_, token))| (token.line, token.text.clone())).collect()
}

/// The words of a function's head behind its name, up to what it answers.
fn head<'a>(behind: impl Iterator<Item = &'a Token>) -> impl Iterator<Item = &'a str> {
    let mut depth = 0_i32;
    behind.map(|token| token.text.as_str()).take_while(move |word| {
        match *word {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        *word != ")" || depth > 0
    })
}

#[test]
fn a_planted_reader_is_found_and_a_test_of_it_is_none() {
    let names = |text: &str| {
        let found = readers(&Source::new("engine/a.rs", text)).into_iter();
        found.map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(
        names("fn decode_all(b: &[u8]) {}\nfn parse(t: (u8, &str)) {}\nfn parse(at: u64) -> u8 {}"),
        ["decode_all", "parse"]
    );
    assert_eq!(names("fn f() { serde_json::from_slice(b) }"), ["from_slice"]);
    assert!(names("// fn parse\n#[cfg(test)]\nmod tests {\n    fn parse() {}\n}\n").is_empty());
}
