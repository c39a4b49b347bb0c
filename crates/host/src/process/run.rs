//! Short programs: run to their end, their output collected.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::{Exit, Group, Output, SpawnError, Spec};
use crate::clock;

/// What a program that ran to its end left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote, up to the limit.
    pub stdout: Vec<u8>,
    /// What it complained of, up to the limit.
    pub stderr: Vec<u8>,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It took too long, and was killed with all it had started.
    #[error("{program} did not end within {within:?} and was killed")]
    TimedOut {
        /// The program, as given.
        program: String,
        /// How long it was waited for.
        within: Duration,
    },
}

/// Runs a program to its end, keeping the first `output_bytes` of each of its outputs. What it leaves running in the
/// background is killed when it ends, or after `within`.
///
/// # Errors
///
/// [`RunError`]. A program that fails is `Ok`, with its exit.
pub async fn run(spec: &Spec, within: Duration, output_bytes: usize) -> Result<Ran, RunError> {
    let deadline = clock::now() + within;
    let late = || RunError::TimedOut { program: spec.program(), within };
    let piped = spec.clone().output(Output::Piped);
    let mut group = clock::timeout_at(deadline, Group::spawn(&piped)).await.ok_or_else(late)??;
    let (stdout, stderr) = (group.stdout.take(), group.stderr.take());
    let exited = async {
        let exit = group.exited().await;
        // Whoever still holds the pipes would keep us reading.
        group.kill();
        exit
    };
    let finished = async { tokio::join!(exited, collect(stdout, output_bytes), collect(stderr, output_bytes)) };
    match clock::timeout_at(deadline, finished).await {
        Some((exit, stdout, stderr)) => Ok(Ran { exit, stdout, stderr }),
        None => Err(late()),
    }
}

/// Reads to the end, so that the program is never held up, and keeps the beginning.
async fn collect(pipe: Option<pipe::Receiver>, keep_bytes: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let mut chunk = vec![0; 8 * 1024];
    // A broken pipe is an end like any other.
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        let room = keep_bytes.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
    kept
}
