//! The `steadfast` command.

use std::process::ExitCode;

use steadfast::{cli, commands};

fn main() -> ExitCode {
    commands::report(commands::run(cli::Cli::read())).into()
}
