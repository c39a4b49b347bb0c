//! What this process tells of itself, on standard error. Nothing waits for it to be read.

mod lines;

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::cli::{Log, LogFormat};
use crate::exit::Failure;
use lines::Lines;

/// How long the last lines may take at the end of the process.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(1);

/// What was begun by [`start`]. Dropped, it has written what was logged.
pub(crate) struct Logging(Lines);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.finish(LAST_LINES_WITHIN);
    }
}

/// Lines carry the time of day in UTC, as every record and event does.
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", steadfast_host::clock::wall())
    }
}

/// Begins to log, until what is returned is dropped; `default` where the flags do not say what.
pub(crate) fn start(flags: &Log, default: &str) -> Result<Logging, Failure> {
    let text = flags.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::builder().parse(text).map_err(|error| {
        Failure::usage(format!(
            "--log {text:?}: {error}; expected error, warn, info, debug, trace, or info,steadfast_agent=debug"
        ))
    })?;
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !unwanted;
    let lines = Lines::start(std::io::stderr())?;
    let writer = lines.clone();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).with_timer(Wall);
    let started = match flags.log_format {
        LogFormat::Text => builder.with_ansi(colours).with_target(false).compact().try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Failure::new(crate::exit::Exit::No, anyhow::anyhow!("start to log: {error}")))?;
    Ok(Logging(lines))
}
