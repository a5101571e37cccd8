//! The shape of the sources: how much one type does, which rooms of the engine know each other, how
//! many things one name stands for, and whether a document that is named is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, hold, paths, planted, resolve, sources, tokens};

/// A type's own methods lie in so many files at most.
const MAX_IMPL_FILES: usize = 2;

/// A type has so many methods of its own at most.
const MAX_METHODS: usize = 40;

/// The node routes: it has fewer.
const MAX_NODE_METHODS: usize = 30;

/// So many names may stand for more than one type.
const MAX_SHARED_NAMES: usize = 10;

#[test]
fn no_type_does_more_than_one_person_can_keep_in_mind() {
    let (files, methods) = inherent(&product());
    let mut faults = Vec::new();
    for (name, files) in &files {
        if files.len() > MAX_IMPL_FILES {
            faults.push(format!("{name} has methods in {} files: {files:?}", files.len()));
        }
    }
    for (name, count) in &methods {
        let most = if name.ends_with("::Node") { MAX_NODE_METHODS } else { MAX_METHODS };
        if *count > most {
            faults.push(format!("{name} has {count} methods, and may have {most}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_two_rooms_of_the_engine_stand_in_a_circle() {
    let engine = sources("src/engine").into_iter().map(without_tests).collect::<Vec<_>>();
    let circle = circle(&arrows(&engine));
    assert_eq!(circle, None, "these name each other, round and round");
}

#[test]
fn a_name_stands_for_one_type() {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in product() {
        for name in types(&source) {
            defined.entry(name).or_default().push(source.name.clone());
        }
    }
    defined.retain(|_, places| places.len() > 1);
    assert!(defined.len() <= MAX_SHARED_NAMES, "{} names: {defined:#?}", defined.len());
}

#[test]
fn every_document_that_is_named_is_there() {
    hold(&["src", "tests", "examples"].map(sources).concat(), absent_documents);
}

/// The sources of the program without what is compiled for tests alone.
fn product() -> Vec<Source> {
    sources("src").into_iter().filter(|source| !is_test(source)).map(without_tests).collect()
}

/// Whether a whole file is compiled for tests alone.
fn is_test(source: &Source) -> bool {
    source.module.iter().any(|part| part == "tests" || part == "testing")
}

/// Without the tests that stand at a file's end.
fn without_tests(source: Source) -> Source {
    let end = source.text.find("#[cfg(test)]\nmod tests {").unwrap_or(source.text.len());
    Source { text: source.text[..end].to_owned(), ..source }
}

/// The files in which each type has methods of its own, and how many they are. A type is named with
/// the module of its first file, so that two of one name are two.
fn inherent(sources: &[Source]) -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, usize>) {
    let mut home: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for source in sources {
        for name in types(source) {
            home.entry(name).or_default().push(source.module.clone());
        }
    }
    let (mut files, mut methods) = (BTreeMap::new(), BTreeMap::new());
    for source in sources {
        let tokens = tokens(&source.text);
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let mut at = 0;
        while at < tokens.len() {
            if text(at) != "impl" || !matches!(text(at.wrapping_sub(1)), "}" | ";" | "]" | "" | ")")
            {
                at += 1;
                continue;
            }
            let Some(open) = (at..tokens.len()).find(|&at| text(at) == "{") else { break };
            let head: Vec<&str> = (at + 1..open).map(text).collect();
            let name = self_type(&head);
            let (mut depth, mut end, mut count) = (0_usize, open, 0_usize);
            for index in open..tokens.len() {
                match text(index) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "fn" if depth == 1 => count += 1,
                    _ => {}
                }
                end = index;
                if depth == 0 {
                    break;
                }
            }
            if let Some(name) = name {
                // The nearest definition: the one whose module shares most with this file's.
                let near = home.get(&name).and_then(|homes| {
                    homes.iter().max_by_key(|home| {
                        home.iter().zip(&source.module).take_while(|(a, b)| a == b).count()
                    })
                });
                let key = near.map_or(name.clone(), |home| format!("{}::{name}", home.join("::")));
                let places: &mut BTreeSet<String> = files.entry(key.clone()).or_default();
                places.insert(source.name.clone());
                *methods.entry(key).or_insert(0) += count;
            }
            at = end + 1;
        }
    }
    (files, methods)
}

/// The type that an `impl` is of, by what stands between `impl` and its brace; none for a trait's.
fn self_type(head: &[&str]) -> Option<String> {
    let mut depth = 0_i32;
    let mut outside = Vec::new();
    for word in head {
        match *word {
            "<" => depth += 1,
            ">" => depth -= 1,
            "where" => break,
            word if depth == 0 => outside.push(word),
            _ => {}
        }
    }
    if outside.contains(&"for") {
        return None;
    }
    outside.iter().rev().find(|word| word.starts_with(char::is_uppercase)).map(|&w| w.to_owned())
}

/// The types a file defines.
fn types(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let defined = pairs.filter(|(word, name)| {
        matches!(word.text.as_str(), "struct" | "enum" | "trait" | "union")
            && name.text.starts_with(char::is_uppercase)
    });
    // In a macro call the word stands before a type that was defined elsewhere.
    let called = |line: usize| {
        let line = source.text.lines().nth(line - 1).unwrap_or("");
        line.contains("opaque_debug!") || {
            let trimmed = line.trim_start();
            line.starts_with("    enum ") && trimmed.starts_with("enum ")
        }
    };
    defined.filter(|(_, name)| !called(name.line)).map(|(_, name)| name.text.clone()).collect()
}

/// Which files of the engine name which. A module and what lies in it are one room with its door, so
/// arrows between those two are not among them.
fn arrows(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !is_test(source)) {
        for path in paths(&tokens(&source.text), &["crate", "super", "self"]) {
            let target = resolve(source, &path);
            let module = (1..=target.len())
                .rev()
                .filter_map(|length| target.get(..length).map(<[String]>::to_vec))
                .find(|prefix| modules.contains(prefix));
            let Some(module) = module else { continue };
            if source.module.starts_with(&module) || module.starts_with(&source.module) {
                continue;
            }
            arrows.entry(source.module.join("::")).or_default().insert(module.join("::"));
        }
    }
    arrows
}

/// One circle, if there is any.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    // What leads nowhere but to what leads nowhere is in no circle.
    let mut left = arrows.clone();
    loop {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        for targets in left.values_mut() {
            targets.retain(|target| names.contains(target));
        }
        let before = left.len();
        left.retain(|_, targets| !targets.is_empty());
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            break;
        }
    }
    let mut walk = vec![left.keys().next()?.clone()];
    loop {
        let next = left.get(walk.last()?)?.first()?.clone();
        if let Some(start) = walk.iter().position(|name| *name == next) {
            return Some(walk.split_off(start));
        }
        walk.push(next);
    }
}

/// Documents that a comment or a text names and that are not in the repository.
fn absent_documents(source: &Source) -> Vec<String> {
    let there = documents();
    let mut faults = Vec::new();
    for (line, number) in source.text.lines().zip(1..) {
        let words = line.split(|c: char| !(c.is_alphanumeric() || "._-/".contains(c)));
        for word in words.filter(|word| word.len() > 3 && word.ends_with(".md")) {
            let name = word.rsplit('/').next().unwrap_or(word);
            if !there.contains(name) {
                faults.push(source.fault(number, &format!("names {word}, which is not there")));
            }
        }
    }
    faults
}

/// The names of all documents of this repository.
fn documents() -> BTreeSet<String> {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![package.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped = name.starts_with('.') || name == "target" || name == "node_modules";
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn a_planted_document_is_caught() {
    assert_eq!(planted(absent_documents, "a.rs", &format!("//! See {}.md, 7.6.", "nowhere")), 1);
    assert_eq!(planted(absent_documents, "a.rs", "//! See proto/session.md."), 0);
}

#[test]
fn planted_methods_are_counted_for_their_own_type() {
    let one =
        Source::new("engine/a.rs", "pub struct A<T>(T);\nimpl<T> A<T> { fn a() {} fn b() {} }");
    let other = Source::new(
        "engine/b.rs",
        "impl A<u8> { fn c() { fn not() {} } }\nimpl X for A<u8> { fn d() {} }",
    );
    let (files, methods) = inherent(&[one, other]);
    assert_eq!(methods.get("engine::a::A"), Some(&3));
    assert_eq!(files.get("engine::a::A").map(BTreeSet::len), Some(2));
}

#[test]
fn a_planted_circle_is_caught_and_a_room_with_its_door_is_none() {
    let source = |name: &str, text: &str| Source::new(name, text);
    let circled = [
        source("engine/x/a.rs", "use super::b::B;"),
        source("engine/x/b.rs", "use crate::engine::x::c::C;"),
        source("engine/x/c.rs", "use super::a::A;"),
        source("engine/x/d.rs", "use super::a::A;"),
    ];
    let found = circle(&arrows(&circled)).expect("a circle");
    assert_eq!(found.len(), 3);
    let door = [
        source("engine/x/mod.rs", "use crate::engine::x::a::A;"),
        source("engine/x/a.rs", "use super::X;"),
    ];
    assert_eq!(circle(&arrows(&door)), None);
}
