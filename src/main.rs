//! The program: its command line, carried out.

use std::process::ExitCode;

use undertone::shell::cli::args::Cli;
use undertone::shell::cli::commands;

fn main() -> ExitCode {
    ExitCode::from(match Cli::of_words(std::env::args_os()) {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::print_parser_message(&error),
    })
}
