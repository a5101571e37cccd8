//! A reader of fixed layouts, from the front. It never reads beyond the end and never panics.

/// The unread rest of some bytes. Numbers are little-endian.
pub(super) struct ByteCursor<'a>(&'a [u8]);

impl<'a> ByteCursor<'a> {
    /// Starts at the first byte.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes; `None` when fewer are left.
    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `count` bytes; `None` when fewer are left.
    pub(super) fn slice(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| *byte)
    }

    /// The next 8 bytes as a number.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Succeeds if nothing but zeros is left: padding has one form.
    pub(super) fn padding(self) -> Option<()> {
        self.0.iter().all(|byte| *byte == 0).then_some(())
    }
}
