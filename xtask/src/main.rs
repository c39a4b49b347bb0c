//! The project's own tasks: `cargo xtask test`, `tidy`, `bench`, `soak` and `fuzz`.
//!
//! Depends on no crate of the workspace, so that it can say what is wrong with them when they do not build.

mod bench;
mod fuzz;
mod install;
mod process;
mod soak;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  test [STEP…] [--keep-going] [--list]   everything CI runs; with STEPs, only those (and what they need)
  soak [--for 30m] [--seed N] [--json]   an installation under random faults, checked all the time
  tidy                                   the house rules, checked mechanically
  bench [PART…] [--json] [--write]       proxy, failover, redirect, place, beside nginx, HAProxy and Envoy;
                                         --runs N, --seconds S, --events N, --clients N;
                                         --write: all parts, and docs/performance.md made of them
  fuzz [TARGET…] [--for 5m] [--json]     each reader of outside bytes under libfuzzer; --jobs N
";

/// The exit code for a command line that cannot be understood, as in `steadfast` itself.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match args.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let done = match task {
        "test" => test::run(root(), rest),
        "bench" => bench::run(root(), rest),
        "soak" => soak::run(root(), rest),
        "fuzz" => fuzz::run(root(), rest),
        "tidy" => tidy::run(root(), rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(!args.is_empty())
        }
        other => Err(Usage(format!("there is no task `{other}`")).into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Usage>() => {
            eprintln!("error: {error}\n\n{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the work tree this task runner was built in.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A command line that cannot be understood; the text says which part.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
