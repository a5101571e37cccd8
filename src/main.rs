//! The program: its command line, carried out.

use std::process::ExitCode;

use clap::Parser as _;
use undertone::shell::cli::args::Cli;
use undertone::shell::cli::commands;

fn main() -> ExitCode {
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(told) => commands::told_by_the_parser(&told),
    })
}
