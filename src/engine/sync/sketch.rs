//! Sketches: cells of a set, from which the holder of a similar set reads the difference of the two
//! (`proto/sync.md`, "The sketch").
//!
//! Rateless set reconciliation (Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation",
//! SIGCOMM 2024): an invertible Bloom lookup table without an end, whose cells get sparser. About
//! 1.35 cells for each difference are enough, wherever the differences lie, and those that come
//! later help those that came before. Sorted ranges beat it where the missing envelopes lie
//! together.
//!
//! Making one costs O(n log cells): an envelope is in some 20 of [`MAX_CELLS`]. Reading one costs
//! O(cells log cells), whatever it contains.

use std::collections::BTreeSet;

use siphasher::sip::SipHasher24;

use super::malformed::MalformedSyncMessage;
use crate::engine::envelope::EnvelopeId;
use crate::engine::secret::opaque_debug;

/// The most cells of one set: 320 KiB. They do for some 23,000 differences.
pub const MAX_CELLS: usize = 1 << 15;

/// A cell on the wire, in bytes: a short id of 6 and a check of 4.
pub const CELL: usize = SHORT + CHECK;

const SHORT: usize = 6;
const CHECK: usize = 4;

/// The bits of a short id. Two of 200,000 envelopes share one in one comparison of 14,000.
const SHORT_BITS: u64 = (1 << (8 * SHORT)) - 1;

/// The cells of a set of `count`, at most: fewer bytes than listing its ids.
pub(super) fn most_cells(count: usize) -> usize {
    count.saturating_mul(3).min(MAX_CELLS)
}

/// The salt that a server draws for each set, after everything in the set had come: so nobody can
/// have made two envelopes with one short id on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SketchSalt(pub [u8; 8]);

opaque_debug!(struct SketchSalt(_));

/// SipHash-2-4 under a salt: quick, and its values cannot be predicted without the salt.
pub(super) struct SketchHash(SipHasher24);

/// An envelope in a sketch: its short id, and the word computed from that under the salt.
#[derive(Clone, Copy)]
struct SketchElement {
    short: u64,
    /// Its lower half is the check; all of it seeds the places.
    word: u64,
}

/// Some elements, added without carry: short ids and checks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SketchCell {
    shorts: u64,
    checks: u32,
}

impl SketchHash {
    pub(super) fn new(salt: SketchSalt) -> Self {
        Self(SipHasher24::new_with_keys(u64::from_le_bytes(salt.0), 0))
    }

    pub(super) fn short(&self, id: &EnvelopeId) -> u64 {
        self.0.hash(&id.0) & SHORT_BITS
    }

    fn element(&self, short: u64) -> SketchElement {
        SketchElement { short, word: self.0.hash(&short.to_le_bytes()) }
    }

    /// The first `most` cells of a set, given its short ids.
    pub(super) fn cells(&self, shorts: impl Iterator<Item = u64>, most: usize) -> Vec<SketchCell> {
        let mut cells = vec![SketchCell::default(); most.min(MAX_CELLS)];
        for element in shorts.map(|short| self.element(short)) {
            for place in element.cell_indices() {
                let Some(cell) = cells.get_mut(place) else { break };
                cell.add(element);
            }
        }
        cells
    }

    /// The short ids that these cells hold; `None` if they are not enough to read all of them.
    pub(super) fn elements(&self, mut cells: Vec<SketchCell>) -> Option<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        let mut look: Vec<usize> = (0..cells.len()).collect();
        while let Some(place) = look.pop() {
            let Some(element) = cells.get(place).and_then(|cell| self.only(*cell, place)) else {
                continue;
            };
            // No honest sketch has one twice, or more than there are cells. Without this a hostile
            // one could have us peel for ever.
            if !found.insert(element.short) || found.len() > cells.len() {
                return None;
            }
            for place in element.cell_indices() {
                let Some(cell) = cells.get_mut(place) else { break };
                cell.add(element);
                look.push(place);
            }
        }
        // Something that is left over makes all of it doubtful: a check of 32 bits may have held by
        // chance.
        cells.iter().all(|cell| *cell == SketchCell::default()).then_some(found)
    }

    /// The element of a cell at `place`, if it has but one.
    fn only(&self, cell: SketchCell, place: usize) -> Option<SketchElement> {
        if cell == SketchCell::default() {
            return None;
        }
        let element = self.element(cell.shorts);
        let fits = || element.cell_indices().take_while(|at| *at <= place).any(|at| at == place);
        (element.check() == cell.checks && fits()).then_some(element)
    }
}

impl SketchElement {
    const fn check(self) -> u32 {
        (self.word & 0xffff_ffff) as u32
    }

    const fn cell_indices(self) -> CellIndices {
        CellIndices { next: Some(0), state: self.word }
    }
}

/// The cells an element is in, ascending: the first, then each `i` with probability `2 / (i + 2)`.
struct CellIndices {
    next: Option<u64>,
    state: u64,
}

impl Iterator for CellIndices {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.next?;
        self.next = after(place, self.draw());
        usize::try_from(place).ok()
    }
}

impl CellIndices {
    /// The upper half of what SplitMix64 gives (Steele, Lea, Flood, OOPSLA 2014).
    const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 32
    }
}

/// The least `j` after `i` with `(j + 1)(j + 2)(drawn + 1) >= (i + 1)(i + 2) 2^32`, if there are so
/// many cells.
///
/// That none from `i + 1` to `j` is met has the probability `(i + 1)(i + 2) / ((j + 1)(j + 2))`:
/// the product of `1 - 2 / (k + 2)`, of which all but the ends cancels. Below [`MAX_CELLS`] nothing
/// overflows.
const fn after(place: u64, drawn: u64) -> Option<u64> {
    let least = (((place + 1) * (place + 2)) << 32).div_ceil(drawn + 1);
    let root = least.isqrt();
    let reached = if root * (root + 1) >= least { root - 1 } else { root };
    let next = if reached > place { reached } else { place + 1 };
    if next < MAX_CELLS as u64 { Some(next) } else { None }
}

impl SketchCell {
    const fn add(&mut self, element: SketchElement) {
        self.shorts ^= element.short;
        self.checks ^= element.check();
    }

    /// The elements in one of two cells and not in the other, either way.
    pub(super) const fn less(self, other: Self) -> Self {
        Self { shorts: self.shorts ^ other.shorts, checks: self.checks ^ other.checks }
    }
}

impl core::fmt::Debug for SketchCell {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SketchCell(..)")
    }
}

/// Writes cells.
pub(super) fn write(cells: &[SketchCell]) -> Vec<u8> {
    let bytes = |cell: &SketchCell| {
        let short = cell.shorts.to_le_bytes().into_iter().take(SHORT);
        short.chain(cell.checks.to_le_bytes())
    };
    cells.iter().flat_map(bytes).collect()
}

/// Reads cells.
///
/// # Errors
/// [`MalformedSyncMessage`] if the last is not whole.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SketchCell>, MalformedSyncMessage> {
    let (cells, rest) = bytes.as_chunks::<CELL>();
    let cell = |&[a, b, c, d, e, f, checks @ ..]: &[u8; CELL]| SketchCell {
        shorts: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
        checks: u32::from_le_bytes(checks),
    };
    if rest.is_empty() { Ok(cells.iter().map(cell).collect()) } else { Err(MalformedSyncMessage) }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::super::test_ids::id;
    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    #[test]
    fn salts_and_cells_print_nothing_of_themselves() {
        let shown = format!("{:?} {:?}", SketchSalt([7; 8]), SketchCell { shorts: 7, checks: 7 });
        assert_eq!(shown, "SketchSalt SketchCell(..)");
    }

    fn cells(
        hash: &SketchHash,
        numbers: impl Iterator<Item = u64>,
        most: usize,
    ) -> Vec<SketchCell> {
        hash.cells(numbers.map(|number| hash.short(&id(number))), most)
    }

    fn differences(one: &[SketchCell], other: &[SketchCell]) -> Vec<SketchCell> {
        one.iter().zip(other).map(|(one, other)| one.less(*other)).collect()
    }

    /// Written down from another implementation, in Python.
    #[test]
    fn three_ids_have_these_cells_and_the_first_is_in_these_places() {
        let hash = SketchHash::new(SketchSalt([1, 2, 3, 4, 5, 6, 7, 8]));
        let shorts = [1, 2, 3].map(|byte| hash.short(&EnvelopeId([byte; 32])));
        assert_eq!(shorts, [0x7842_f976_2cbc, 0x28b1_d396_a4a9, 0x3665_a0b6_f6e7]);
        let places: Vec<usize> = hash.element(shorts[0]).cell_indices().collect();
        let first = [0, 1, 2, 3, 7, 13, 74, 122, 1002, 1518, 6294, 7400, 11104, 15896];
        assert_eq!(places, first);
        let written = write(&hash.cells(shorts.into_iter(), 6));
        let cells = [
            "f27e568a9666902f3af4",
            "1588e02af350ee50452e",
            "5bdac059274e26af3456",
            "f27e568a9666902f3af4",
            "a9a496d3b128b6800ea2",
            "4e522073d41ec8ff7178",
        ];
        assert_eq!(HEXLOWER.encode(&written), cells.concat());
    }

    #[test]
    fn the_next_place_is_the_least_that_the_draw_reaches() {
        let reaches = |next: u64, place: u64, drawn: u64| {
            let (next, place, drawn) = (u128::from(next), u128::from(place), u128::from(drawn));
            (next + 1) * (next + 2) * (drawn + 1) >= ((place + 1) * (place + 2)) << 32
        };
        let draws = [0, 1, 0x10_0000, 0x1234_5678, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
        for place in (0..2_000).chain([32_000, MAX_CELLS as u64 - 1]) {
            for drawn in draws {
                let least = (place + 1..MAX_CELLS as u64).find(|next| reaches(*next, place, drawn));
                assert_eq!(after(place, drawn), least, "{place} {drawn}");
            }
        }
    }

    #[test]
    fn an_and_a_half_cells_for_each_of_a_thousand_differences_are_enough() {
        let hash = SketchHash::new(SketchSalt([9; 8]));
        let (one, other) = (cells(&hash, 0..3_000, 1_500), cells(&hash, 1_000..3_000, 1_500));
        let found = hash.elements(differences(&one, &other)).expect("all of them");
        assert_eq!(found, (0..1_000).map(|number| hash.short(&id(number))).collect());
        assert!(hash.elements(differences(&one[..900], &other[..900])).is_none());
    }

    proptest! {
        #[test]
        fn cells_give_the_whole_difference_of_two_sets_or_nothing(
            salt: [u8; 8], shared in 0_u64..300, one in 0_u64..120, other in 0_u64..120, most in 0_usize..800,
        ) {
            let hash = SketchHash::new(SketchSalt(salt));
            let ours = cells(&hash, 0..shared + one, most);
            let theirs = cells(&hash, (0..shared).chain(1_000..1_000 + other), most);
            let found = hash.elements(differences(&ours, &theirs));
            let both = (shared..shared + one).chain(1_000..1_000 + other);
            let truth: BTreeSet<u64> = both.map(|number| hash.short(&id(number))).collect();
            // Twice as many cells, and what a few differences need beside.
            let enough = most >= 2 * truth.len() + 60;
            prop_assert!(found.is_some() || !enough, "{} in {most}", truth.len());
            prop_assert!(found.is_none_or(|found| found == truth || most == 0));
        }

        #[test]
        fn any_cells_are_read_to_an_end_and_written_back_as_they_came(
            bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..600), salt: [u8; 8],
        ) {
            let hash = SketchHash::new(SketchSalt(salt));
            if let Ok(cells) = read(&bytes) {
                prop_assert_eq!(write(&cells), bytes);
                if let Some(found) = hash.elements(cells.clone()) {
                    prop_assert!(hash.cells(found.into_iter(), cells.len()) == cells);
                }
            } else {
                prop_assert!(bytes.len() % CELL > 0);
            }
        }
    }

    #[test]
    fn changed_at_random_cells_are_read_to_an_end_and_what_they_hold_makes_them() {
        let hash = SketchHash::new(SketchSalt([9; 8]));
        let seeds = [0, 1, 40].map(|count| write(&cells(&hash, 0..count, 100)));
        each_case(&seeds, |bytes| {
            let read = read(bytes).ok();
            if let Some(cells) = &read
                && let Some(found) = hash.elements(cells.clone())
            {
                assert!(hash.cells(found.into_iter(), cells.len()) == *cells);
            }
            Reading::again(read, |cells| write(&cells))
        });
    }
}
