//! The text of the sources held to the rules a compiler does not know: which module may name which,
//! what the engine may not touch, and that every file says what it is for.
//!
//! It reads text, not types: a macro that puts a path together would escape it. Inside one module
//! of the order (`shell::ui`, say) anything may name anything.

#![expect(clippy::expect_used, reason = "a source that cannot be read fails the test")]
#![expect(clippy::string_slice, reason = "cut where a search in the same text ended")]

mod decoders;
#[path = "../support/files.rs"]
mod files;
mod shape;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use self::files::files;

/// The layers, lowest first. A module may name itself and the rows above its own in this list;
/// modules in one row do not know each other. `src/lib.rs` says why.
const ORDER: &[&[&str]] = &[
    &["engine::env"],
    &["engine::testing"],
    &["engine::id", "engine::secret", "engine::shares", "engine::text"],
    &["engine::crypto", "engine::price"],
    &["engine::envelope"],
    &["engine::relay::ranking", "engine::relay::validation_queue"],
    &["engine::relay::pool", "engine::session"],
    &["engine::record", "engine::settings"],
    &["engine::command", "engine::event"],
    &["engine::turn"],
    &["engine::relay"],
    &["engine::sync"],
    &["engine::carrier"],
    &["engine::conversation"],
    &["engine::node"],
    &["sim"],
    &["shell::os::exit_code", "shell::os::io_words"],
    &["shell::failure"],
    &[
        "shell::calendar",
        "shell::os::clock",
        "shell::os::data_dir",
        "shell::os::disk",
        "shell::os::memory",
        "shell::os::power",
    ],
    &["shell::os::priority", "shell::os::user_file"],
    &["shell::api"],
    &["shell::event_log", "shell::os::passphrase", "shell::os::signals", "shell::text"],
    &["shell::miner", "shell::net", "shell::shared_carrier", "shell::store"],
    &["shell::archive", "shell::backup", "shell::durable_node", "shell::exported"],
    &["shell::budget", "shell::failures"],
    &["shell::runtime"],
    &["shell::rpc"],
    &["shell::client"],
    &["shell::ui"],
    &["shell::cli::args"],
    &[
        "shell::cli::input",
        "shell::cli::log_file",
        "shell::cli::message_format",
        "shell::cli::output",
    ],
    &["shell::cli::connect", "shell::cli::line_queue"],
    &["shell::cli::commands"],
    &["main"],
];

/// A module above which nothing stands: the program does not lean on its simulator.
const NAMED_BY_NOBODY: &str = "sim";

/// Files that declare modules and do nothing else; so no path can lead around the order by them.
const DECLARING: &[&str] =
    &["lib.rs", "engine/mod.rs", "shell/mod.rs", "shell/cli/mod.rs", "shell/os/mod.rs"];

/// What the engine must not know: runtimes, sockets, files, screens, clocks, sources of chance.
const OUTSIDE: &[&str] = &[
    "Instant",
    "OsRng",
    "SystemTime",
    "crossterm",
    "getrandom",
    "jiff",
    "libp2p",
    "ratatui",
    "rusqlite",
    "thread_rng",
    "tokio",
];

/// The parts of the standard library it must not know either.
const OUTSIDE_STD: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// The one file with unsafe code.
const UNSAFE: &str = "engine/crypto/keccak/dispatch.rs";

/// Words of unfinished work.
const UNFINISHED: &[&str] = &["FIXME", "TODO", "XXX", "todo", "unimplemented"];

#[test]
fn every_module_names_only_itself_and_what_is_below_it() {
    hold(&sources("src"), layering);
}

#[test]
fn the_engine_touches_no_clock_no_chance_and_nothing_outside() {
    hold(&sources("src/engine"), purity);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let files = ["src", "tests", "examples"].map(sources).concat();
    hold(&files, |source| {
        let says = source.text.starts_with("//! ");
        if says { Vec::new() } else { vec![source.fault(1, "does not begin with `//! `")] }
    });
}

#[test]
fn unsafe_code_is_in_one_file_alone() {
    hold(&["src", "examples"].map(sources).concat(), unsafety);
}

#[test]
fn nothing_is_left_to_be_done() {
    hold(&["src", "examples"].map(sources).concat(), leftovers);
}

#[test]
fn the_order_names_every_module_and_no_other() {
    let found: BTreeSet<String> =
        sources("src").iter().filter_map(|source| Some(unit(&source.module)?.to_owned())).collect();
    let named: BTreeSet<String> = ORDER.iter().copied().flatten().map(|&n| n.to_owned()).collect();
    assert_eq!(found, named);
}

/// Fails with every fault that `check` finds in `sources`.
fn hold(sources: &[Source], check: impl Fn(&Source) -> Vec<String>) {
    let faults = sources.iter().flat_map(check).fold(String::new(), |mut all, fault| {
        writeln!(all, "{fault}").expect("a string takes everything");
        all
    });
    assert!(faults.is_empty(), "\n{faults}");
}

/// One file of Rust.
#[derive(Clone, Debug)]
struct Source {
    /// Below `src`, or below the package's folder for other files.
    name: String,
    module: Vec<String>,
    text: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect();
        Self { name: name.to_owned(), module, text: text.to_owned() }
    }

    fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line} {what}", self.name)
    }
}

/// All Rust files below a folder of this package; none if there is no such folder.
fn sources(folder: &str) -> Vec<Source> {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).is_dir() {
        return Vec::new();
    }
    let sources = files(folder, "rs").into_iter().map(|(path, text)| {
        let name = path.strip_prefix("src").unwrap_or(&path);
        Source::new(&name.to_string_lossy(), &text)
    });
    sources.collect()
}

/// The module of the order that `path` lies in.
fn unit(path: &[String]) -> Option<&'static str> {
    let begins = |name: &&str| name.split("::").eq(path.iter().take(name.split("::").count()));
    ORDER.iter().copied().flatten().find(|name| begins(name)).copied()
}

fn row(name: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&name))
}

/// Names of modules that `source` may not name.
fn layering(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    if DECLARING.contains(&source.name.as_str()) {
        // The facade re-exports: no module of ours goes that way, because `crate::Client` is in none
        // of the order.
        let acting: &[&str] = match source.name.as_str() {
            "lib.rs" => &["fn", "impl", "type", "macro_rules"],
            _ => &["use", "fn", "impl", "type", "macro_rules"],
        };
        let acts = tokens.iter().filter(|token| acting.contains(&token.text.as_str()));
        return acts.map(|token| source.fault(token.line, "does more than declare")).collect();
    }
    let Some(own) = unit(&source.module) else {
        return vec![source.fault(1, "is in no module of the order")];
    };
    let paths = paths(&tokens, &["crate", "undertone", "super", "self"]);
    let faults = paths.iter().filter_map(|path| {
        let shown = path.segments.join("::");
        let target = resolve(source, path);
        // The one name by which the program enters the library.
        if own == "main" && target == ["program"] {
            return None;
        }
        let Some(other) = unit(&target) else {
            return Some(source.fault(path.line, &format!("{shown} names no module of the order")));
        };
        let fine = other == own || (other != NAMED_BY_NOBODY && row(other) < row(own));
        (!fine).then(|| source.fault(path.line, &format!("{own} may not name {other} ({shown})")))
    });
    faults.collect()
}

/// Names of the outside world in a file of the engine.
fn purity(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let words = tokens.iter().filter(|token| OUTSIDE.contains(&token.text.as_str()));
    let words = words.map(|token| (token.line, token.text.clone()));
    let roots = paths(&tokens, &["std"]);
    let parts = roots.iter().filter(|path| match path.segments.get(1) {
        Some(part) => OUTSIDE_STD.contains(&part.as_str()) || part == "*",
        None => true,
    });
    let parts = parts.map(|path| (path.line, path.segments.join("::")));
    let all = words.chain(parts);
    all.map(|(line, what)| source.fault(line, &format!("the engine may not know {what}"))).collect()
}

/// Unsafe code, and leave to have it, in another file than the one that has it.
fn unsafety(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let words =
        tokens.iter().filter(|token| ["unsafe", "unsafe_code"].contains(&token.text.as_str()));
    let elsewhere = words.filter(|_| source.name != UNSAFE);
    elsewhere.map(|token| source.fault(token.line, "has unsafe code")).collect()
}

/// Lines that speak of work not done.
fn leftovers(source: &Source) -> Vec<String> {
    let unfinished = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| UNFINISHED.contains(&w))
    };
    let lines = source.text.lines().zip(1..).filter(|(line, _)| unfinished(line));
    lines.map(|(_, number)| source.fault(number, "is unfinished")).collect()
}

/// A path as it is written, with the inline modules around it.
#[derive(Debug)]
struct Named {
    line: usize,
    around: Vec<String>,
    segments: Vec<String>,
}

/// Where a path leads, from the crate's root.
fn resolve(source: &Source, path: &Named) -> Vec<String> {
    let mut at = [source.module.as_slice(), path.around.as_slice()].concat();
    for segment in &path.segments {
        match segment.as_str() {
            "crate" | "undertone" => at.clear(),
            "self" | "*" => {}
            "super" => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
    }
    at
}

/// All paths that begin with one of `roots`; a group in braces is as many paths.
fn paths(tokens: &[Token], roots: &[&str]) -> Vec<Named> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.retain(|(opened, _)| *opened <= depth);
            }
            "mod" if text(at + 2) == "{" => inline.push((depth + 1, text(at + 1).to_owned())),
            // A visibility names no more than what it stands in.
            "pub" if text(at + 1) == "(" => {
                while !matches!(text(at), ")" | "") {
                    at += 1;
                }
            }
            root if roots.contains(&root) && (at == 0 || text(at - 1) != "::") => {
                // Alone it may be a receiver or another name, except where it is imported.
                let leads = text(at + 1) == "::" || (at > 0 && text(at - 1) == "use");
                if leads {
                    let around: Vec<String> = inline.iter().map(|(_, name)| name.clone()).collect();
                    let mut written = Vec::new();
                    at = tree(tokens, at, &[], &mut written);
                    let named =
                        |segments| Named { line: token.line, around: around.clone(), segments };
                    found.extend(written.into_iter().map(named));
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads the path at `at` behind `prefix` into `found`; answers where it ends.
fn tree(tokens: &[Token], at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let mut at = at;
    loop {
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = match text(at) {
                    "," => at + 1,
                    // A new name for it; where it leads is known.
                    "as" => at + 2,
                    _ => tree(tokens, at, &segments, found),
                };
            }
            return at + 1;
        }
        segments.push(text(at).to_owned());
        let goes_on = text(at + 1) == "::" && text(at + 2) != "<";
        if !goes_on {
            found.push(segments);
            return at + 1;
        }
        at += 2;
    }
}

/// A word, `::`, or one sign.
#[derive(Debug)]
struct Token {
    line: usize,
    text: String,
}

/// The code without comments, strings and characters.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(&rest[1..], '"'),
            '\'' if is_character(rest) => 1 + quoted(&rest[1..], '\''),
            'r' | 'b' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let length = match word.unwrap_or(rest.len()) {
                    0 if rest.starts_with("::") => 2,
                    0 => first.len_utf8(),
                    length => length,
                };
                found.push(Token { line, text: rest[..length].to_owned() });
                length
            }
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// How long a comment is that may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            match rest.chars().next() {
                Some(other) => other.len_utf8(),
                None => return at,
            }
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
}

/// How long the inside of a literal is, with its end.
fn quoted(inside: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, sign) in inside.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == end => return at + sign.len_utf8(),
            _ => {}
        }
    }
    inside.len()
}

/// Whether a quote begins a character; if not, it begins a lifetime.
fn is_character(text: &str) -> bool {
    let mut signs = text.chars().skip(1);
    signs.next() == Some('\\') || signs.next() == Some('\'')
}

/// How long a string without escapes is, if one begins here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = after[hashes..].strip_prefix('"')?;
    let start = text.len() - inside.len();
    Some(start + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// The faults that `check` finds in `text`, were it the file `name`.
fn planted(check: fn(&Source) -> Vec<String>, name: &str, text: &str) -> usize {
    check(&Source::new(name, text)).len()
}

#[test]
fn a_planted_path_upwards_is_caught_however_it_is_written() {
    for text in [
        "use crate::shell::net::Net;",
        "pub use crate::engine::node::Node;",
        "use crate::engine::{env::Env, node::{Node, NodeSettings}};",
        "use super::node::Node;",
        "use super::super::shell::store::Store;",
        "use crate::engine;",
        "use crate::engine::{self, env};",
        "use crate as everything;",
        "use super::*;",
        "fn f() { let x = crate::sim::World::new(); }",
        "fn f<T: Into<super::node::Node>>(_: T) {}",
        "mod tests { use super::super::node::Node; }",
        "mod a { mod b { fn f() {} } use super::super::node::Node; }",
        "mod a { fn f() {} } use super::node::Node;",
        "impl From<crate::engine::relay::pool::Pool> for X {} // crate::engine::env",
    ] {
        assert!(planted(layering, "engine/crypto/mod.rs", text) > 0, "not caught: {text}");
    }
}

#[test]
fn a_planted_path_to_the_side_is_caught() {
    assert_eq!(planted(layering, "shell/net/mod.rs", "use crate::shell::ui::Screen;"), 1);
    assert_eq!(planted(layering, "shell/store/codec.rs", "use super::super::{miner, net};"), 2);
    assert_eq!(planted(layering, "engine/session/mod.rs", "use super::relay::pool::Pool;"), 1);
    assert_eq!(planted(layering, "shell/runtime.rs", "use crate::sim::World;"), 1);
    assert_eq!(planted(layering, "main.rs", "use undertone::sim;"), 1);
    assert_eq!(planted(layering, "shell/mod.rs", "pub mod net;\npub use net::Net;"), 1);
    assert_eq!(planted(layering, "shell/rumour.rs", "fn f() {}"), 1);
}

#[test]
fn what_may_be_named_is_not_taken_for_a_fault() {
    for (name, text) in [
        (
            "engine/node/mod.rs",
            "use crate::engine::{env::{Env, Millis}, relay::pool::Pool as Held};",
        ),
        ("engine/node/talk.rs", "use super::outbound::Job; pub(in crate::engine) fn f() {}"),
        ("engine/env.rs", "pub(super) fn f(&self) { self.x; Self::y() }"),
        ("engine/env.rs", "/* crate::shell /* crate::sim */ crate::sim */ \"crate::sim\""),
        ("engine/env.rs", "mod tests { use super::*; fn f<'a>(c: char) { c == '\"'; } }"),
        ("engine/env.rs", "r#\"crate::sim \" \"# b\"crate::sim\" '\\'' '\"'"),
        ("shell/durable_node.rs", "//! With [`super::runtime`].\nuse super::store::Store;"),
        ("shell/store/mod.rs", "use crate::shell::os::passphrase;"),
        ("main.rs", "use undertone::shell::cli::args::Cli;"),
        ("shell/mod.rs", "pub mod net;"),
    ] {
        assert_eq!(planted(layering, name, text), 0, "{name}: {text}");
    }
}

#[test]
fn a_planted_touch_of_the_outside_is_caught() {
    for text in [
        "use std::fs;",
        "use std::{collections::BTreeMap, net::{Ipv4Addr, TcpStream}};",
        "fn f() { std::env::var(\"HOME\"); }",
        "let now = Instant::now();",
        "std::time::SystemTime::now()",
        "use tokio::sync::mpsc;",
        "use rand::rngs::OsRng;",
        "getrandom::fill(bytes)",
        "use std::*;",
        "use std as core;",
    ] {
        assert!(planted(purity, "engine/env.rs", text) > 0, "not caught: {text}");
    }
    let fine =
        "//! No tokio, no std::fs.\nuse std::collections::BTreeMap;\nenv.draw(); \"Instant\"";
    assert_eq!(planted(purity, "engine/env.rs", fine), 0);
}

#[test]
fn planted_unsafe_code_is_caught() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "#![expect(unsafe_code, reason = \"fast\")]",
        "#[allow(unsafe_code)] mod a;",
    ] {
        assert!(planted(unsafety, "engine/crypto/keccak/avx2.rs", text) > 0, "not caught: {text}");
        assert_eq!(planted(unsafety, UNSAFE, text), 0);
    }
    assert_eq!(planted(unsafety, "main.rs", "// unsafe\nlet unsafe_mode = \"unsafe\";"), 0);
}

#[test]
fn a_planted_leftover_is_caught() {
    assert_eq!(planted(leftovers, "main.rs", "// TODO: all\ntodo!();\nunimplemented!()"), 3);
    assert_eq!(planted(leftovers, "main.rs", "// as `\\uXXXX`; to do so"), 0);
}

#[test]
fn faults_are_found_on_their_lines() {
    let source = Source::new("engine/env.rs", "/*\n\n*/ \"\n\"\nuse crate::{\n engine::node,\n};");
    assert_eq!(
        layering(&source),
        ["engine/env.rs:5 engine::env may not name engine::node (crate::engine::node)"]
    );
}
