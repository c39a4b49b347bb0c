//! The demo's application: it says who it is. It knows nothing of leases; an agent starts it, checks it and stops it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use steadfast_host::http::{Answering, Handler, Limits, Method, Request, Response, StatusCode, serve};
use steadfast_host::net::Listener;
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::{self, Asked, Shutdown};

use crate::cli::DemoApp;
use crate::exit::{Exit, Failure, Outcome};

/// What the application answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// Which copy it is.
    pub(super) instance: String,
    /// Its process id.
    pub(super) pid: i32,
    /// The epoch at which it may write, as its agent tells it in a file; none while it does not lead.
    pub(super) epoch: Option<u64>,
    /// How many requests this process has answered: state that a copy elsewhere does not have.
    pub(super) answered: u64,
    /// How many bytes it was sent.
    pub(super) received: usize,
}

struct Application {
    instance: String,
    epoch_file: Option<PathBuf>,
    answered: AtomicU64,
}

/// `demo-app`: listens until it is asked to end, then finishes what it has begun.
pub(crate) async fn application(flags: &DemoApp) -> Outcome {
    let mut signals = shutdown::signals()?;
    let listener = Listener::tcp(flags.listen).map_err(|error| Failure::new(Exit::No, error))?;
    let application = Arc::new(Application {
        instance: std::env::var("STEADFAST_INSTANCE").unwrap_or_else(|_| "nobody".to_owned()),
        epoch_file: std::env::var_os("STEADFAST_EPOCH_FILE").map(PathBuf::from),
        answered: AtomicU64::new(0),
    });
    let end = Shutdown::new();
    let serving = tokio::spawn(serve(listener, application, Limits::default(), end.clone()));
    while signals.next().await == Asked::Reload {}
    end.begin();
    serving.await.map_err(|error| Failure::new(Exit::No, error))?;
    Ok(Exit::Yes)
}

impl Handler for Application {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            if request.path == "/healthz" {
                return Response::text("well\n");
            }
            if !matches!(request.method, Method::GET | Method::HEAD | Method::POST) {
                return Problem::method_not_allowed("GET, HEAD, POST", "ask with GET, or send with POST").into();
            }
            let text = self.epoch_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
            let said = Said {
                instance: self.instance.clone(),
                pid: std::process::id().cast_signed(),
                epoch: text.and_then(|text| text.trim().parse().ok()),
                answered: self.answered.fetch_add(1, Ordering::Relaxed) + 1,
                received: request.body.len(),
            };
            Response::json(StatusCode::OK, &said)
        })
    }
}
