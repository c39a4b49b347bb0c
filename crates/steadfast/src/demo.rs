//! The demo. Stub.
use crate::cli;
use crate::exit::{Exit, Outcome};
pub(crate) async fn run(_flags: &cli::Demo) -> Outcome {
    Ok(Exit::No)
}
pub(crate) async fn application(_flags: &cli::DemoApp) -> Outcome {
    Ok(Exit::No)
}
