//! What a process holds in its memory, searched for words.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

use data_encoding::HEXLOWER;

/// Something that is searched for, and what to call it when it is found.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Needle {
    pub(crate) fn text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    /// A key in every way it could be held: as it is on the wire, without its first byte, in
    /// hexadecimal letters of both kinds.
    pub(crate) fn key(name: &str, hex: &str) -> Vec<Self> {
        let raw = HEXLOWER.decode(&hex.as_bytes()[2..]).expect("hexadecimal");
        let little = raw.iter().rev().copied().collect();
        vec![
            Self { name: format!("{name}, raw"), bytes: raw },
            Self { name: format!("{name}, raw, little end first"), bytes: little },
            Self::text(&format!("{name}, hex"), &hex[2..]),
            Self::text(&format!("{name}, HEX"), &hex[2..].to_uppercase()),
        ]
    }
}

/// The names of the needles that are somewhere in these bytes.
pub(crate) fn found_in(bytes: &[u8], needles: &[Needle]) -> BTreeSet<String> {
    // Most places are ruled out by their first two bytes.
    let mut begins = vec![false; 1 << 16];
    for needle in needles {
        begins[usize::from(needle.bytes[0]) << 8 | usize::from(needle.bytes[1])] = true;
    }
    let mut found = BTreeSet::new();
    for (at, pair) in bytes.windows(2).enumerate() {
        if !begins[usize::from(pair[0]) << 8 | usize::from(pair[1])] {
            continue;
        }
        for needle in needles {
            if bytes[at..].starts_with(&needle.bytes) {
                found.insert(needle.name.clone());
            }
        }
    }
    found
}

/// The names of the needles that are somewhere in the memory of a process.
pub(crate) fn found_in_memory(pid: u32, needles: &[Needle]) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its memory's map");
    let mut memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let mut found = BTreeSet::new();
    let mut read = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(mode)) = (words.next(), words.next()) else { continue };
        // The kernel's own pages cannot be read through this file.
        if !mode.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("two ends");
        let from = u64::from_str_radix(from, 16).expect("an address");
        let to = u64::from_str_radix(to, 16).expect("an address");
        let mut bytes = Vec::new();
        let sought = memory.seek(SeekFrom::Start(from));
        // A region may be gone by this moment, or be a device's.
        if sought.is_err() || memory.by_ref().take(to - from).read_to_end(&mut bytes).is_err() {
            continue;
        }
        read += bytes.len();
        found.extend(found_in(&bytes, needles));
    }
    assert!(read > 1 << 20, "hardly anything of its memory could be read");
    found
}
