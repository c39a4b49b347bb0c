//! The keeper: a thread of each handle that serves the file or stays in touch with the process that does. It has a
//! runtime of its own, so that a handle works from any, and outlives none.
//!
//! In touch: one idle connection to the serving process. The kernel ends it when that process ends, however it ends,
//! and gives the lock back; whoever takes the lock first serves.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use steadfast_host::http::{self as host_http, Target};
use steadfast_host::net::Listener;
use steadfast_host::random;
use steadfast_host::shutdown::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::engine::Engine;
use super::failure::{Doubt, cannot_open};
use super::fold::FoldBound;
use super::handle::Role;
use super::place::{Lock, Place};
use super::socket::Address;
use crate::http::{BODY_BYTES, Http, Service};
use crate::{Error, LogBound, Store};

/// Between two attempts to reach the serving process or to become it: from this to twice this, by chance, so that
/// many handles do not step in time.
const RETRY: Duration = Duration::from_millis(8);

/// The same after a failure that is not likely to pass so soon.
const RETRY_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// How long calls of other processes that are under way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(1);

/// Connections of other processes at once.
const CONNECTIONS: usize = 4096;

/// Without a request so long, a connection of another process is closed; keepers make theirs anew then.
const IDLE: Duration = Duration::from_secs(3600);

/// Makes a handle's steps between its roles.
pub(super) struct Keeper {
    pub(super) place: Place,
    pub(super) bound: LogBound,
    pub(super) fold: FoldBound,
    pub(super) address: Address,
    /// Where the role is told.
    pub(super) tell: watch::Sender<Role>,
    pub(super) stop: Shutdown,
}

impl Keeper {
    /// Keeps until told to stop. `opened` learns how the first step went; if it failed, that was all.
    pub(super) fn run(self, opened: &mpsc::Sender<Result<(), Error>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime.map_err(|e| Error::Unavailable(format!("start the store's runtime: {e}"))) {
            Ok(runtime) => runtime,
            Err(error) => return drop(opened.send(Err(error))),
        };
        runtime.block_on(self.keep(opened));
        self.away(Error::Unavailable("the store was closed".to_owned()));
    }

    async fn keep(&self, opened: &mpsc::Sender<Result<(), Error>>) {
        // A sync that failed is not forgotten by who fails to serve, and tries again.
        let mut doubt = Doubt::None;
        // The first to serve must be able to; later the handle goes on trying.
        let first = self.become_server(&mut doubt);
        let failed = first.is_err();
        drop(opened.send(first.as_ref().map(drop).map_err(Error::clone)));
        if failed {
            return;
        }
        let mut next = first;
        while !self.stop.begun() {
            let pause = match next {
                Ok(Some(serving)) => {
                    doubt = serving.until_over(self).await;
                    RETRY
                }
                Ok(None) => {
                    self.call_until_over().await;
                    RETRY
                }
                Err(error) => {
                    self.failed(error);
                    RETRY_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.stop.requested() => return,
                () = sleep(jittered(pause)) => {}
            }
            next = self.become_server(&mut doubt);
        }
    }

    /// Serves the file, if nobody else does.
    fn become_server(&self, doubt: &mut Doubt) -> Result<Option<Serving>, Error> {
        match self.place.lock()? {
            Some(lock) => Serving::start(self, lock, doubt),
            None => Ok(None),
        }
    }

    /// Stays in touch with the process that has the lock, until it is gone or cannot be reached.
    async fn call_until_over(&self) {
        match UnixStream::connect(&self.address.path).await {
            Ok(mut connection) => {
                // A new caller for each: kept connections to the last server are dead, and this one may be of
                // another version.
                match Http::connect(Target::Unix(self.address.path.clone()), None) {
                    Ok(caller) => self.tell.send_replace(Role::Calling(Arc::new(caller))),
                    Err(error) => return self.away(error),
                };
                tokio::select! {
                    () = self.stop.requested() => return,
                    // Nothing is ever sent to who asks nothing: whatever comes is the end.
                    _ = connection.read_u8() => {}
                }
                self.away(Error::Unavailable("the process that served the store is gone".to_owned()));
            }
            // It has the lock and does not listen yet, or any more.
            Err(e) => self.away(Error::Unavailable(format!(
                "another process holds the store and cannot be reached at {}: {e}",
                self.place.socket.display()
            ))),
        }
    }

    /// Nobody else has the lock, and the file cannot be served. Logged once, not at each attempt.
    fn failed(&self, error: Error) {
        let known = matches!(&*self.tell.borrow(), Role::Away(last) if *last == error);
        if !known {
            tracing::warn!(%error, "cannot serve the store");
            self.away(error);
        }
    }

    fn away(&self, error: Error) {
        self.tell.send_replace(Role::Away(error));
    }
}

/// The file being served.
struct Serving {
    engine: Arc<Engine>,
    listener: Listener,
    /// Says that the engine ended by itself, and why.
    ended: oneshot::Receiver<Error>,
}

impl Serving {
    /// Listens, then opens the file. `None`: a process answers at the socket without having the lock, whose file
    /// somebody must have removed; it will notice at its next call, and until then the file is not to be touched.
    fn start(keeper: &Keeper, lock: Lock, doubt: &mut Doubt) -> Result<Option<Serving>, Error> {
        let listener = match Listener::unix(&keeper.address.path) {
            Ok(listener) => listener,
            Err(e) if e.source.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(e) => return Err(cannot_open(&keeper.place.socket, &e.source)),
        };
        let (tell, ended) = oneshot::channel();
        let engine = Arc::new(Engine::start(keeper.place.clone(), lock, keeper.bound, keeper.fold, tell, doubt)?);
        keeper.tell.send_replace(Role::Serving(Arc::clone(&engine)));
        tracing::info!(file = %keeper.place.file.display(), "serving the store");
        Ok(Some(Serving { engine, listener, ended }))
    }

    /// Serves until told to stop, or until the engine ends by itself; returns the doubt it leaves.
    async fn until_over(self, keeper: &Keeper) -> Doubt {
        let Serving { engine, listener, ended } = self;
        let limits = host_http::Limits {
            connections: CONNECTIONS,
            body_bytes: BODY_BYTES,
            idle: IDLE,
            drain: DRAIN,
            ..host_http::Limits::default()
        };
        let over = keeper.stop.child();
        let service = Arc::new(Service(Arc::clone(&engine) as Arc<dyn Store>));
        let serving = host_http::serve(listener, service, limits, over.clone());
        let ending = async {
            let why = tokio::select! {
                () = keeper.stop.requested() => "the store was closed".to_owned(),
                ended = ended => ended.map_or_else(|_| "the store's thread panicked".to_owned(), |e| e.to_string()),
            };
            keeper.away(Error::Unavailable(why));
            over.begin();
        };
        // The socket goes before the lock does: nobody else can have put another there.
        tokio::join!(serving, ending);
        engine.stop()
    }
}

/// A span from this one to twice as long, by chance.
fn jittered(span: Duration) -> Duration {
    const STEPS: u32 = 1000;
    let step = u32::try_from(random::u64() % u64::from(STEPS)).unwrap_or_default();
    span + span * step / STEPS
}
