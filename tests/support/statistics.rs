//! How far bytes are from uniform, and two samples from each other, in standard deviations.

pub(crate) fn at(bodies: &[Vec<u8>], position: usize) -> impl Iterator<Item = u8> {
    bodies.iter().filter_map(move |body| body.get(position).copied())
}

pub(crate) fn histogram(bytes: impl Iterator<Item = u8>) -> [f64; 256] {
    let mut counts = [0.0; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1.0;
        }
    }
    counts
}

/// Pearson's chi-square against the uniform distribution, in standard deviations from its mean:
/// 255 degrees of freedom, so mean 255 and deviation sqrt(510), near enough to normal.
pub(crate) fn surprise(counts: &[f64; 256]) -> f64 {
    let expected = counts.iter().sum::<f64>() / 256.0;
    let chi: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    (chi - 255.0) / 510_f64.sqrt()
}

/// The same for two samples of one size that should come from one distribution.
pub(crate) fn disagreement(one: &[f64; 256], two: &[f64; 256]) -> f64 {
    let pairs = one.iter().zip(two).filter(|(one, two)| **one + **two > 0.0);
    let chi: f64 = pairs.map(|(one, two)| (one - two).powi(2) / (one + two)).sum();
    (chi - 255.0) / 510_f64.sqrt()
}

/// The most unbalanced bit of all positions, in standard deviations.
pub(crate) fn worst_bit(bodies: &[Vec<u8>]) -> f64 {
    let (count, deviation) = (bodies.len() as f64, (bodies.len() as f64 / 4.0).sqrt());
    let mut worst = 0.0_f64;
    for position in 0..length(bodies) {
        for bit in 0..8 {
            let ones = at(bodies, position).filter(|byte| byte >> bit & 1 == 1).count();
            worst = worst.max((ones as f64 - count / 2.0).abs() / deviation);
        }
    }
    worst
}

/// The most uneven position, in standard deviations.
pub(crate) fn worst_position(bodies: &[Vec<u8>]) -> f64 {
    let surprises = (0..length(bodies)).map(|position| surprise(&histogram(at(bodies, position))));
    surprises.fold(0.0, f64::max)
}

/// The position at which two samples of one size disagree most, in standard deviations.
pub(crate) fn worst_disagreement(one: &[Vec<u8>], two: &[Vec<u8>]) -> f64 {
    let differences = (0..length(one))
        .map(|position| disagreement(&histogram(at(one, position)), &histogram(at(two, position))));
    differences.fold(0.0, f64::max)
}

fn length(bodies: &[Vec<u8>]) -> usize {
    bodies.first().map_or(0, Vec::len)
}

/// 16,160 bits: the worst of that many exceeds this for one seed in 10^4 or fewer.
pub(crate) const BIT_BOUND: f64 = 6.0;
/// 2,020 positions: chi-square leans right, so its bound is further out.
pub(crate) const POSITION_BOUND: f64 = 6.5;
/// One number: 4 deviations.
pub(crate) const TOTAL_BOUND: f64 = 4.0;

/// The chance that a value of `one` is above one of `other`, ties by half (the area under the ROC
/// curve): 0.5 if the two cannot be told apart, 1 or 0 if each can.
pub(crate) fn auc(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|&value| (value, true)).collect();
    all.extend(other.iter().map(|&value| (value, false)));
    all.sort_unstable_by(|(left, _), (right, _)| left.total_cmp(right));
    let (mut rank, mut sum) = (1.0, 0.0);
    for tied in all.chunk_by(|(left, _), (right, _)| left.total_cmp(right).is_eq()) {
        let count = tied.len() as f64;
        let mean = rank + (count - 1.0) / 2.0;
        sum += mean * tied.iter().filter(|(_, of_one)| *of_one).count() as f64;
        rank += count;
    }
    let (ones, others) = (one.len() as f64, other.len() as f64);
    (sum - ones * (ones + 1.0) / 2.0) / (ones * others)
}
