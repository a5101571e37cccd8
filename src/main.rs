//! The program: its command line, carried out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(undertone::program(std::env::args_os()))
}
