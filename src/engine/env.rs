//! The environment of one turn of the engine: two readings of time, and borrowed entropy.
//!
//! The engine never asks for the time and never keeps a generator: a reader of memory could predict
//! all later keys from a generator kept there, and a clock read inside could not be replayed from a
//! seed.

use serde::{Deserialize, Serialize};

/// Time and entropy for one call of [`crate::engine::node::Node::handle`].
#[derive(Debug)]
pub struct Env<'a> {
    /// Monotonic time since some fixed start of this process; orders and delays.
    pub mono: Millis,
    /// The wall clock, as far as this machine knows; for expiry and for people.
    pub wall: UnixSeconds,
    entropy: &'a mut dyn Entropy,
}

impl<'a> Env<'a> {
    /// Lends `entropy` and two readings of time for one turn.
    pub fn new(mono: Millis, wall: UnixSeconds, entropy: &'a mut dyn Entropy) -> Self {
        Self { mono, wall, entropy }
    }

    /// The time by both clocks.
    #[must_use]
    pub const fn now(&self) -> (Millis, UnixSeconds) {
        (self.mono, self.wall)
    }

    /// Draws `N` bytes, uniform and unpredictable.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Fills `bytes` with uniform, unpredictable bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.entropy.fill(bytes);
    }

    /// A number uniform in `0..2^64`.
    pub fn draw_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.draw())
    }

    /// A delay from the exponential distribution with the given mean, capped at 8 times the mean.
    ///
    /// The intervals of a Poisson process: memoryless, so that one delay tells nothing of the next.
    pub fn exponential(&mut self, mean: Millis) -> Millis {
        // 53 uniform bits in (0, 1]: never 0, whose logarithm has no value.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let uniform = ((self.draw_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 ms")]
        let delay = -uniform.ln().max(-8.0) * mean.0 as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 8 times a mean that was a u64"
        )]
        Millis(delay as u64)
    }
}

/// A source of bytes nobody can predict; the operating system's in the shell, seeded in the
/// simulator.
pub trait Entropy {
    /// Fills `bytes` entirely.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl core::fmt::Debug for dyn Entropy + '_ {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy")
    }
}

/// Milliseconds of monotonic time, or a span of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment and a span after it; stops at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// Seconds since 1970-01-01 UTC, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// This moment and a span after it; stops at the end of time instead of wrapping.
    #[must_use]
    pub const fn plus(self, span: Seconds) -> Self {
        Self(self.0.saturating_add(span.0 as u64))
    }

    /// Whether a clock that is right can have shown it: this program is younger than 2026.
    #[must_use]
    pub const fn is_credible(self) -> bool {
        self.0 >= START_OF_2026
    }

    /// This moment and a span before it; stops at 1970 instead of wrapping.
    #[must_use]
    pub const fn minus(self, span: Seconds) -> Self {
        Self(self.0.saturating_sub(span.0 as u64))
    }
}

/// 2026-01-01 00:00 UTC.
const START_OF_2026: u64 = 1_767_225_600;

/// A span of whole seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seconds(pub u32);
