//! The wish to end, as a value that is passed down, and the signals that carry it from outside.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A wish to end that everybody holding a clone or a child of it learns of. Once begun it stays begun.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that has not begun.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// One that begins with this one, and can begin alone without this one noticing.
    pub fn child(&self) -> Shutdown {
        Shutdown(self.0.child_token())
    }

    /// Asks everybody to end.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    pub fn begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once it has begun. Cancel safe.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

/// What a signal asks of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The first SIGTERM or SIGINT: end in good order.
    End,
    /// A further SIGTERM or SIGINT: end now.
    EndAtOnce,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals of this process, from the moment of [`signals`] on.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    asked_to_end: bool,
}

/// Takes SIGTERM, SIGINT and SIGHUP over from the kernel's default. Needs a tokio runtime.
///
/// # Errors
///
/// Those of sigaction(2).
pub fn signals() -> io::Result<Signals> {
    Ok(Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
        asked_to_end: false,
    })
}

impl Signals {
    /// The next thing asked. Cancel safe. Two signals of one kind that arrive together count once.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => self.end(),
            _ = self.interrupt.recv() => self.end(),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    fn end(&mut self) -> Asked {
        if std::mem::replace(&mut self.asked_to_end, true) { Asked::EndAtOnce } else { Asked::End }
    }
}

#[cfg(test)]
mod tests;
