//! A thread with a runtime of its own: what must answer while everything else stands still runs in one.

use std::thread::JoinHandle;

use steadfast_host::shutdown::Shutdown;

use crate::Error;

/// A running thread. Dropping it asks it to end.
#[derive(Debug)]
pub(crate) struct OwnThread {
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl OwnThread {
    /// Runs `work` on a thread called `name` until it ends, which it must once its [`Shutdown`] begins.
    /// `work` is called on that thread, inside its runtime.
    pub(crate) fn start<W, F>(name: &str, work: W) -> Result<OwnThread, Error>
    where
        W: FnOnce(Shutdown) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let failed = |cause| Error::Machine { what: "start a thread", cause };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let shutdown = Shutdown::new();
        let inner = shutdown.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(async move { work(inner).await }))
            .map_err(failed)?;
        Ok(OwnThread { shutdown, thread: Some(thread) })
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn end(mut self) {
        self.shutdown.begin();
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join());
            if !matches!(joined.await, Ok(Ok(()))) {
                tracing::error!("a thread ended by a panic: this is a bug in Steadfast");
            }
        }
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}
