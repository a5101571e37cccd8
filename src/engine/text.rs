//! Text from others, which no sink sees uncleaned.

/// A string somebody else chose. It has no `Display`, no `Deref` and no `Into<String>`: the only
/// way out is through the cleaner of a sink. STUB.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerText(String);

impl PeerText {
    /// Takes text as it came.
    #[must_use]
    pub fn new(raw: String) -> Self {
        Self(raw)
    }
}

impl core::fmt::Debug for PeerText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PeerText({} bytes)", self.0.len())
    }
}
