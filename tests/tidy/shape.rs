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
    let documents = documents().into_iter().map(|name| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        Source::new(&name, &std::fs::read_to_string(path).expect("a text"))
    });
    hold(&documents.collect::<Vec<_>>(), absent_documents);
}

/// The sources of the program without what is compiled for tests alone.
fn product() -> Vec<Source> {
    sources("src").into_iter().filter(|source| !is_test(source)).map(without_tests).collect()
}

/// Whether a whole file is compiled for tests alone.
pub(super) fn is_test(source: &Source) -> bool {
    source.module.iter().any(|part| part == "tests" || part == "testing")
}

/// Without the module of tests inside it; what follows that stays.
pub(super) fn without_tests(mut source: Source) -> Source {
    if let Some(start) = source.text.find("#[cfg(test)]\nmod tests {") {
        // rustfmt sees to it that nothing but the end of the module begins a line with a brace.
        let length =
            source.text[start..].find("\n}").map_or(source.text.len() - start, |at| at + 2);
        source.text.replace_range(start..start + length, "");
    }
    source
}

/// The files in which each type has methods of its own, and how many they are: what an alias of it
/// has as well, and a trait of this crate that nothing else implements. A type is named with the
/// module of its first file, so that two of one name are two.
fn inherent(sources: &[Source]) -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, usize>) {
    let mut home: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for source in sources {
        for name in types(source) {
            home.entry(name).or_default().push(source.module.clone());
        }
    }
    let blocks: Vec<Block<'_>> = sources.iter().flat_map(impl_blocks).collect();
    let aliases: BTreeMap<String, String> = sources.iter().flat_map(aliases).collect();
    let of = |name: &str| aliases.get(name).map_or(name, String::as_str).to_owned();
    let mut implementors: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for block in &blocks {
        if let Some(of_trait) = &block.of_trait {
            implementors.entry(of_trait).or_default().insert(of(&block.name));
        }
    }
    let (mut files, mut methods) = (BTreeMap::new(), BTreeMap::new());
    for block in &blocks {
        // A trait that one type alone implements is another way to give it methods. Those of other
        // crates, and those that several types share, are not.
        let shared = |of_trait: &String| {
            let others = implementors.get(of_trait.as_str()).map_or(0, BTreeSet::len);
            !home.contains_key(of_trait) || others > 1
        };
        if block.of_trait.as_ref().is_some_and(shared) {
            continue;
        }
        let name = of(&block.name);
        // The nearest definition: the one whose module shares most with this file's.
        let near = home.get(&name).and_then(|homes| {
            homes.iter().max_by_key(|home| {
                home.iter().zip(&block.source.module).take_while(|(a, b)| a == b).count()
            })
        });
        let key = near.map_or(name.clone(), |home| format!("{}::{name}", home.join("::")));
        let places: &mut BTreeSet<String> = files.entry(key.clone()).or_default();
        places.insert(block.source.name.clone());
        *methods.entry(key).or_insert(0) += block.methods;
    }
    (files, methods)
}

/// One `impl`, wherever in a file it stands.
struct Block<'a> {
    source: &'a Source,
    /// The type it is of.
    name: String,
    /// The trait, if it is a trait's.
    of_trait: Option<String>,
    methods: usize,
}

fn impl_blocks(source: &Source) -> Vec<Block<'_>> {
    let tokens = tokens(&source.text);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // Elsewhere the word begins a type: `-> impl Trait`.
        let begins =
            matches!(text(at.wrapping_sub(1)), "{" | "}" | ";" | "]" | "" | ")" | "unsafe");
        if text(at) != "impl" || !begins {
            at += 1;
            continue;
        }
        let Some(open) = (at..tokens.len()).find(|&at| text(at) == "{") else { break };
        let head: Vec<&str> = (at + 1..open).map(text).collect();
        let (mut depth, mut end, mut methods) = (0_usize, open, 0_usize);
        for index in open..tokens.len() {
            match text(index) {
                "{" => depth += 1,
                "}" => depth -= 1,
                "fn" if depth == 1 => methods += 1,
                _ => {}
            }
            end = index;
            if depth == 0 {
                break;
            }
        }
        let (of_trait, name) = impl_head(&head);
        found.extend(name.map(|name| Block { source, name, of_trait, methods }));
        at = end + 1;
    }
    found
}

/// The trait and the type of an `impl`, by what stands between that word and its brace.
fn impl_head(head: &[&str]) -> (Option<String>, Option<String>) {
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
    let last = |words: &[&str]| {
        let name = words.iter().rev().find(|word| word.starts_with(char::is_uppercase));
        name.map(|&name| name.to_owned())
    };
    let middle = outside.iter().position(|&word| word == "for");
    match middle.and_then(|middle| outside.split_at_checked(middle)) {
        Some((of_trait, name)) => (last(of_trait), last(name)),
        None => (None, last(&outside)),
    }
}

/// The other names of types, and the types they stand for: `type Name = path::Type<..>;`.
fn aliases(source: &Source) -> Vec<(String, String)> {
    let tokens = tokens(&source.text);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        // One with parameters of its own is of several types.
        if text(at) == "type" && text(at + 2) == "=" {
            let end = (at..tokens.len()).find(|&at| text(at) == ";").unwrap_or(tokens.len());
            let words: Vec<&str> = (at + 3..end).map(text).collect();
            let path =
                words.iter().all(|word| *word == "::" || word.starts_with(char::is_alphabetic));
            if let Some(name) = words.last().filter(|_| path) {
                found.push((text(at + 1).to_owned(), (*name).to_owned()));
            }
        }
    }
    found
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

/// Which files of the engine name which, also by a name that a module around them imports. A module
/// and what lies in it are one room with its door, so arrows between those two are not among them.
fn arrows(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).collect();
    let module_of = |target: &[String]| {
        let prefixes = (1..=target.len()).rev().filter_map(|length| target.get(..length));
        prefixes.map(<[String]>::to_vec).find(|prefix| modules.contains(prefix))
    };
    let mut imports: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for source in sources {
        imports.insert(source.module.clone(), imported(source, &modules, &module_of));
    }
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !is_test(source)) {
        let tokens = tokens(&source.text);
        let mut add = |module: &[String]| {
            if !source.module.starts_with(module) && !module.starts_with(&source.module) {
                arrows.entry(source.module.join("::")).or_default().insert(module.join("::"));
            }
        };
        for path in paths(&tokens, &["crate", "super", "self"]) {
            let target = resolve(source, &path);
            let Some(module) = module_of(&target) else { continue };
            add(&module);
            if module == source.module || !source.module.starts_with(&module) {
                continue;
            }
            // A name of a module around this one: it may have it from one beside this one.
            let all = path.segments.last().is_some_and(|last| last == "*");
            for (name, from) in imports.get(&module).into_iter().flatten() {
                let is_named = tokens.iter().any(|token| token.text == *name);
                if target.get(module.len()) == Some(name) || (all && is_named) {
                    add(from);
                }
            }
        }
    }
    arrows
}

/// The names that a module has from others, and the modules those names are from.
fn imported(
    source: &Source,
    modules: &BTreeSet<Vec<String>>,
    module_of: &impl Fn(&[String]) -> Option<Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let inside = modules.iter().filter(|module| module.starts_with(&source.module));
    let children: BTreeSet<&str> =
        inside.filter_map(|module| Some(module.get(source.module.len())?.as_str())).collect();
    let roots: Vec<&str> = ["crate", "super", "self"].into_iter().chain(children).collect();
    let mut names = BTreeMap::new();
    for path in paths(&tokens(&source.text), &roots) {
        let target = resolve(source, &path);
        if let (Some(name), Some(module)) = (target.last(), module_of(&target))
            && module.len() < target.len()
        {
            names.insert(name.clone(), module);
        }
    }
    names
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
        let words = words.map(|word| word.trim_end_matches('.'));
        for word in words.filter(|word| word.len() > 3 && word.ends_with(".md")) {
            // A path from the package's folder or, as a link in a document is, from its own.
            let end = word.trim_start_matches("../").trim_start_matches("./");
            let is_it = |document: &String| {
                document
                    .strip_suffix(end)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            };
            if !there.iter().any(is_it) {
                faults.push(source.fault(number, &format!("names {word}, which is not there")));
            }
        }
    }
    faults
}

/// The paths of all documents of this repository.
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
                let path = path.strip_prefix(package).unwrap_or(&path);
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn a_planted_document_is_caught() {
    assert_eq!(planted(absent_documents, "a.rs", &format!("//! See {}.md, 7.6.", "nowhere")), 1);
    let outside = format!("//! See ../shared/design/{}.md.", "README");
    assert_eq!(planted(absent_documents, "a.rs", &outside), 1);
    assert_eq!(planted(absent_documents, "a.rs", "//! See proto/session.md."), 0);
    assert_eq!(planted(absent_documents, "a.rs", "see [sync](sync.md)"), 0);
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
fn methods_are_counted_wherever_they_stand() {
    let source = |text: &str| Source::new("engine/a.rs", text);
    let count = |texts: &[&str]| {
        let sources: Vec<Source> = texts.iter().map(|text| source(text)).collect();
        let sources: Vec<Source> = sources.into_iter().map(without_tests).collect();
        inherent(&sources).1.get("engine::a::A").copied().unwrap_or(0)
    };
    let defined = "pub struct A;\npub struct B;";
    assert_eq!(count(&[defined, "mod more { impl super::A { fn a() {} } }"]), 1);
    assert_eq!(count(&[defined, "const _: () = { impl A { fn a() {} } };"]), 1);
    assert_eq!(count(&[defined, "type Other = super::A;\nimpl Other { fn a() {} }"]), 1);
    assert_eq!(count(&[defined, "trait More {}\nimpl More for A { fn a() {} }"]), 1);
    let several = "trait More {}\nimpl More for A { fn a() {} }\nimpl More for B { fn a() {} }";
    assert_eq!(count(&[defined, several]), 0, "several types share it");
    assert_eq!(count(&[defined, "impl Debug for A { fn a() {} }"]), 0, "another crate's");
    assert_eq!(count(&[defined, "fn f() -> impl A { fn a() {} }"]), 0, "a type");
    let tests = "#[cfg(test)]\nmod tests {\n    impl A { fn a() {} }\n}\nimpl A { fn b() {} }";
    assert_eq!(count(&[defined, tests]), 1, "what follows the tests");
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
    // By what the module around them imports, one by one or all of it.
    for (a, b) in
        [("use super::B;", "use super::A;"), ("use super::*; fn f(_: B) {}", "use super::a::A;")]
    {
        let by_the_door = [
            source("engine/x/mod.rs", "mod a; mod b; use a::A; pub(crate) use b::B;"),
            source("engine/x/a.rs", a),
            source("engine/x/b.rs", b),
        ];
        assert_eq!(circle(&arrows(&by_the_door)).map(|found| found.len()), Some(2), "{a}");
    }
    let door = [
        source("engine/x/mod.rs", "use crate::engine::x::a::A;"),
        source("engine/x/a.rs", "use super::X;"),
    ];
    assert_eq!(circle(&arrows(&door)), None);
}
