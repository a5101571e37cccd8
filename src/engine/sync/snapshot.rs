//! Snapshots: a server's set as clients compare with it, under a salt, with its sketch.

use std::sync::OnceLock;

use super::malformed::MalformedSyncMessage;
use super::set::EnvelopeSet;
use super::sketch::{self, SketchCell, SketchHash, SketchSalt};
use crate::engine::envelope::EnvelopeId;

/// A set that clients compare with. All sessions that begin within a while share one, and so its
/// sketch, which is made when the first cells come: 16 bytes an envelope, 512 KiB of cells at most.
pub struct Snapshot {
    set: EnvelopeSet,
    salt: SketchSalt,
    /// The first query, which is every client's: made once, for it looks at the whole set.
    query: OnceLock<Vec<u8>>,
    sketch: OnceLock<Sketch>,
}

/// The cells of a set, and the way back from a short id to its envelope.
struct Sketch {
    cells: Vec<SketchCell>,
    /// Short ids, ascending, each with its place in the set.
    places: Vec<(u64, usize)>,
}

impl Snapshot {
    /// A set under a salt that was drawn after everything in it had come.
    #[must_use]
    pub const fn new(set: EnvelopeSet, salt: SketchSalt) -> Self {
        Self { set, salt, query: OnceLock::new(), sketch: OnceLock::new() }
    }

    /// The set.
    #[must_use]
    pub const fn set(&self) -> &EnvelopeSet {
        &self.set
    }

    /// The salt of its sketch.
    #[must_use]
    pub const fn salt(&self) -> SketchSalt {
        self.salt
    }

    /// The size of the set, as a query states it.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.set.len()).unwrap_or(u32::MAX)
    }

    /// The first query.
    ///
    /// # Errors
    /// Never; the type is the comparison's.
    pub(super) fn query(&self) -> Result<Vec<u8>, MalformedSyncMessage> {
        if let Some(query) = self.query.get() {
            return Ok(query.clone());
        }
        let query = self.set.query()?;
        Ok(self.query.get_or_init(|| query).clone())
    }

    /// The envelopes that a client with these cells lacks, in the order of making; `None` if the
    /// cells are not enough.
    pub(super) fn lacking(&self, theirs: &[SketchCell]) -> Option<Vec<EnvelopeId>> {
        let hash = SketchHash::new(self.salt);
        let ours = self.sketch.get_or_init(|| Sketch::new(&self.set, &hash));
        let differences = ours.cells.iter().zip(theirs).map(|(one, other)| one.less(*other));
        let shorts = hash.elements(differences.collect())?;
        // A short id that is not among ours is of an envelope that the client alone has: nothing is
        // uploaded.
        let mut places: Vec<usize> = shorts.iter().filter_map(|short| ours.place(*short)).collect();
        places.sort_unstable();
        Some(places.into_iter().filter_map(|place| self.set.id(place)).collect())
    }
}

impl Sketch {
    fn new(set: &EnvelopeSet, hash: &SketchHash) -> Self {
        let shorts = set.ids().map(|id| hash.short(&id));
        let mut places: Vec<(u64, usize)> = Vec::with_capacity(set.len());
        places.extend(shorts.zip(0..));
        let most = sketch::most_cells(set.len());
        let cells = hash.cells(places.iter().map(|(short, _)| *short), most);
        places.sort_unstable();
        Self { cells, places }
    }

    fn place(&self, short: u64) -> Option<usize> {
        let at = self.places.binary_search_by_key(&short, |(short, _)| *short).ok()?;
        self.places.get(at).map(|(_, place)| *place)
    }
}

impl core::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { set, salt: _, query: _, sketch: _ } = self;
        f.debug_tuple("Snapshot").field(set).finish()
    }
}
