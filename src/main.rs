//! The program: its command line, carried out.

use std::process::ExitCode;

/// What a peer made us take for a moment goes back to the system when the peer is gone.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ExitCode::from(undertone::program(std::env::args_os()))
}
