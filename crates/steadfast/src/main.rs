//! The `steadfast` command.

use std::process::ExitCode;

use clap::Parser;
use steadfast::{cli, commands};

fn main() -> ExitCode {
    commands::report(commands::run(cli::Cli::parse())).into()
}
