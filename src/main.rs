//! The program: its command line, carried out.

use std::process::ExitCode;

use clap::Parser as _;
use undertone::shell::cli::Cli;
use undertone::shell::commands;

fn main() -> ExitCode {
    ExitCode::from(commands::run(Cli::parse()))
}
