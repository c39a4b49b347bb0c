//! The demo's recorder: cameras stream to it for as long as they like. It knows nothing of placements; an agent starts
//! it, checks it, and is told who is there.

mod present;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_host::http::{Answering, Handler, Limits, Method, Request, Response, Sink, serve};
use steadfast_host::net::{Listener, Sharing, bind_tcp};
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::{self, Asked, Shutdown};

use self::present::Present;
use crate::cli::DemoRecorder;
use crate::exit::{Exit, Failure, Outcome};

/// How often a camera hears that its recorder is there.
pub(super) const WORD_EVERY: Duration = Duration::from_millis(500);
/// No camera's key is longer.
const KEY_BYTES: usize = 256;
/// Connections that a recorder holds at once, on each of its two addresses.
const CONNECTIONS: usize = 4_096;

/// The first line of every stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// Which recorder this is, by its own word.
    pub(super) recorder: String,
    /// Who is recorded.
    pub(super) camera: String,
    /// What the connection is for: `http` takes the pictures, `control` turns the camera.
    pub(super) endpoint: String,
}

/// One address of the recorder.
struct Recorder {
    name: String,
    endpoint: &'static str,
    present: Present,
}

/// `demo-recorder`: holds what comes until it is asked to end.
pub(crate) async fn recorder(flags: &DemoRecorder) -> Outcome {
    let mut signals = shutdown::signals()?;
    let name = std::env::var("STEADFAST_INSTANCE").unwrap_or_else(|_| "nobody".to_owned());
    let (end, present) = (Shutdown::new(), Present::new());
    let mut serving = Vec::new();
    for (listen, endpoint) in [(flags.listen, "http"), (flags.control, "control")] {
        // The demo keeps the port for us also while we are dead.
        let bound = bind_tcp(listen, Sharing::Shared).map_err(|error| Failure::new(Exit::No, error))?;
        let listener = Listener::from_std(bound)?;
        let recorder = Arc::new(Recorder { name: name.clone(), endpoint, present: present.clone() });
        let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
        serving.push(tokio::spawn(serve(listener, recorder, limits, end.clone())));
    }
    while signals.next().await == Asked::Reload {}
    end.begin();
    for one in serving {
        one.await.map_err(|error| Failure::new(Exit::No, error))?;
    }
    Ok(Exit::Yes)
}

impl Handler for Recorder {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            if request.path == "/healthz" {
                return Response::text("well\n");
            }
            if request.method != Method::GET {
                return Problem::method_not_allowed("GET", "a camera comes with GET").into();
            }
            let camera = request.query_value("camera").filter(|key| !key.is_empty() && key.len() <= KEY_BYTES);
            let Some(camera) = camera else {
                return Problem::bad_request("no-camera", "who is recorded? ?camera=KEY").into();
            };
            let connected = self.present.came(&camera);
            let greeting = Greeting { recorder: self.name.clone(), camera, endpoint: self.endpoint.to_owned() };
            Response::stream("application/x-ndjson", move |sink| async move {
                tokio::select! {
                    () = record(&greeting, &sink) => {}
                    () = connected.leave.requested() => {}
                }
            })
        })
    }
}

/// Greets, and says again and again that it is there, until nobody listens.
async fn record(greeting: &Greeting, sink: &Sink) {
    if sink.send_json(greeting).await.is_err() {
        return;
    }
    loop {
        tokio::time::sleep(WORD_EVERY).await;
        if sink.send("\n").await.is_err() {
            return;
        }
    }
}
