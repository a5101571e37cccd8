//! The program: its command line, carried out.

use std::process::ExitCode;

use clap::Parser as _;
use undertone::shell::cli::args::Cli;
use undertone::shell::cli::commands;

fn main() -> ExitCode {
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::print_parser_message(&error),
    })
}
