//! The commands: each reads its flags, asks the [`Api`](crate::admin::Api), and prints for people or as JSON.

mod clients;
mod copy;
mod doctor;
mod drain;
mod events;
mod explain;
mod files;
mod manual;
mod orders;
pub(crate) mod print;
pub(crate) mod reach;
mod sets;
mod status;
mod store;
mod verify;

use std::io::ErrorKind;

use steadfast_host::process::raise_open_files;

use crate::cli::{Cli, Command, StoreCommand};
use crate::exit::{Exit, Failure, Outcome, told_once};
use crate::{app, demo, logging, watch};

/// Does what the command line says.
///
/// # Errors
/// What went wrong, and how the process ends.
pub fn run(cli: Cli) -> Outcome {
    let long_lived = matches!(cli.command, Command::Run(_) | Command::Agent(_));
    let _logging = logging::start(&cli.log, if long_lived { "info" } else { "warn" })?;
    if long_lived {
        // Before anybody reckons with it.
        raise_open_files()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(dispatch(cli));
    // What still runs in the background has nothing to say any more.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(cli: Cli) -> Outcome {
    match cli.command {
        Command::Run(flags) => app::run(&flags).await,
        Command::Agent(flags) => app::agent(&flags).await,
        Command::Demo(flags) => demo::run(&flags).await,
        Command::DemoApp(flags) => demo::application(&flags).await,
        Command::DemoRecorder(flags) => demo::recorder(&flags).await,
        Command::Watch(flags) => watch::run(&flags).await,
        Command::Init(flags) => files::init(&flags),
        Command::Check(flags) => files::check(&flags),
        Command::Completions(flags) => manual::completions(&flags),
        Command::Man(flags) => manual::man(&flags),
        Command::Status(flags) => status::run(&flags).await,
        Command::Instances(flags) => sets::instances(&flags).await,
        Command::Leader(flags) => sets::leader(&flags).await,
        Command::Events(flags) => events::run(&flags).await,
        Command::Clients(flags) => clients::list(&flags).await,
        Command::Explain(flags) => explain::run(&flags).await,
        Command::Place(flags) => clients::place(&flags).await,
        Command::Move(flags) => clients::move_to(&flags).await,
        Command::Forget(flags) => clients::forget(&flags).await,
        Command::Drain(flags) => drain::drain(&flags).await,
        Command::Undrain(flags) => drain::undrain(&flags).await,
        Command::Verify(flags) => verify::run(&flags).await,
        Command::Doctor(flags) => doctor::run(&flags).await,
        Command::Copy(flags) => copy::run(&flags).await,
        Command::Store(StoreCommand::Init(flags)) => store::init(&flags).await,
        Command::Switchover(flags) => orders::switchover(&flags).await,
        Command::Apply(flags) => orders::apply(&flags).await,
    }
}

/// Tells on standard error what went wrong, and how the process ends.
pub fn report(outcome: Outcome) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(Failure { exit, error }) => {
            // Who reads our output stopped reading: they know, and there is nobody left to tell.
            let unread = error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe);
            if !unread {
                print::err(format_args!("steadfast: {}", told_once(&error)));
            }
            exit
        }
    }
}
