//! The way from code for every processor to code for this one: the only unsafe code of the program.
//!
//! A function that uses instructions which not every processor has may be called only where they are
//! there; elsewhere the processor does something else, or stops. The compiler cannot know that, so the
//! calls below are unsafe, and each stands behind the question to the processor. Nothing else is
//! unsafe about them: they take and give values, and touch no memory by an address.
#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "whether a processor has an instruction is known when it runs")
)]

use super::Kernel;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, sse2};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon_sha3};

/// The kernels that this processor has the instructions for, the fastest first.
#[cfg(target_arch = "x86_64")]
pub(super) fn vectorised() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    // AVX-512F brings AVX2, FMA and F16C for the compiler; a machine that hides some of them is asked, too.
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        kernels.push(Kernel {
            name: "avx512",
            lanes: avx512::LANES,
            // SAFETY: AVX-512F, AVX-512BW and all that they imply are there, as was asked just now;
            // these functions use no others.
            scan: |sweep| unsafe { avx512::scan(sweep) },
            // SAFETY: as above.
            hash: |messages, digests| unsafe { avx512::hash(messages, digests) },
        });
    }
    if is_x86_feature_detected!("avx2") {
        kernels.push(Kernel {
            name: "avx2",
            lanes: avx2::LANES,
            // SAFETY: AVX2 is there, as was asked just now; these functions use nothing else.
            scan: |sweep| unsafe { avx2::scan(sweep) },
            // SAFETY: as above.
            hash: |messages, digests| unsafe { avx2::hash(messages, digests) },
        });
    }
    if is_x86_feature_detected!("sse2") {
        kernels.push(Kernel {
            name: "sse2",
            lanes: sse2::LANES,
            // SAFETY: SSE2 is there, as was asked just now; these functions use nothing else.
            scan: |sweep| unsafe { sse2::scan(sweep) },
            // SAFETY: as above.
            hash: |messages, digests| unsafe { sse2::hash(messages, digests) },
        });
    }
    kernels
}

/// The kernels that this processor has the instructions for, the fastest first.
#[cfg(target_arch = "aarch64")]
pub(super) fn vectorised() -> Vec<Kernel> {
    use std::arch::is_aarch64_feature_detected;

    let mut kernels = Vec::new();
    if is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("sha3") {
        kernels.push(Kernel {
            name: "neon-sha3",
            lanes: neon_sha3::LANES,
            // SAFETY: NEON and FEAT_SHA3 are there, as was asked just now; these functions use
            // nothing else.
            scan: |sweep| unsafe { neon_sha3::scan(sweep) },
            // SAFETY: as above.
            hash: |messages, digests| unsafe { neon_sha3::hash(messages, digests) },
        });
    }
    if is_aarch64_feature_detected!("neon") {
        kernels.push(Kernel {
            name: "neon",
            lanes: neon::LANES,
            // SAFETY: NEON is there, as was asked just now; these functions use nothing else.
            scan: |sweep| unsafe { neon::scan(sweep) },
            // SAFETY: as above.
            hash: |messages, digests| unsafe { neon::hash(messages, digests) },
        });
    }
    kernels
}

/// No kernel is written for the instructions of these processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const fn vectorised() -> Vec<Kernel> {
    Vec::new()
}
