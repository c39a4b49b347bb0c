//! What the process around an agent may ask of it while it runs.

use steadfast_host::notify::Notify;
use steadfast_host::process::Signal;
use steadfast_host::shutdown::Shutdown;
use tokio::sync::mpsc;

/// Signals waiting to be passed on; more are dropped, as the kernel does with equal pending ones.
const SIGNALS_WAITING: usize = 16;

/// What an agent is told from outside. A [`Shutdown`] alone is enough: `run(config, registry, shutdown)`.
#[derive(Debug)]
pub struct Controls {
    /// Leave in good order: hand over, stop the application, release, say good-bye.
    pub(crate) leave: Shutdown,
    /// Kill the application instead of waiting for it.
    pub(crate) at_once: Shutdown,
    /// Signals to pass on to the application.
    pub(crate) signals: Option<mpsc::Receiver<Signal>>,
    /// The service manager, if this agent is what it manages.
    pub(crate) notify: Notify,
}

/// Passes signals on to the application of one agent.
#[derive(Clone, Debug)]
pub struct ForwardSignal(mpsc::Sender<Signal>);

impl Controls {
    /// Leaves when `leave` begins; once `at_once` begins too, it kills the application instead of asking it.
    pub fn new(leave: Shutdown, at_once: Shutdown) -> Controls {
        Controls { leave, at_once, signals: None, notify: Notify::default() }
    }

    /// The same, and a handle that passes signals on to the application.
    #[must_use]
    pub fn with_signals(mut self) -> (Controls, ForwardSignal) {
        let (sender, receiver) = mpsc::channel(SIGNALS_WAITING);
        self.signals = Some(receiver);
        (self, ForwardSignal(sender))
    }

    /// The same, telling the service manager how the agent fares: for a process that is this agent and nothing else.
    #[must_use]
    pub fn with_notify(mut self, notify: Notify) -> Controls {
        self.notify = notify;
        self
    }
}

impl From<Shutdown> for Controls {
    fn from(leave: Shutdown) -> Controls {
        Controls::new(leave, Shutdown::new())
    }
}

impl ForwardSignal {
    /// Sends `signal` to the application's main process, if it runs. Never waits.
    pub fn send(&self, signal: Signal) {
        if self.0.try_send(signal).is_err() {
            tracing::debug!(%signal, "a signal was not passed on: the agent has ended or has too many waiting");
        }
    }
}
