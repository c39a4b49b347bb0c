//! What the demo's page can do beyond the API: kill a process of the demo, and bring it back. And what the set's `evict`
//! calls: sending a camera away.
//!
//! The page is served by the gateway's process; the processes are ours. So the gateway's process, told where our socket
//! is, passes on to it what begins with `/demo/`, under the API's own rules (see [`Passage`]). The socket lies in the
//! demo's directory, which only we may enter.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use steadfast_host::http::{
    Answering, Call, Client, Handler, Limits, Method, Request, Response, StatusCode, Target, serve,
};
use steadfast_host::net::{Listener, Sharing, bind_tcp};
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fleet::{Bells, index};
use super::stage::Player;
use crate::exit::{Exit, Failure};

/// How long the demo may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// `GET /demo/v1`.
#[derive(Debug, Serialize)]
struct DemoView {
    /// A line for people.
    about: String,
    /// What can be killed and brought back.
    instances: Vec<PlayerView>,
}

/// A process of the demo.
#[derive(Debug, Serialize)]
struct PlayerView {
    set: &'static str,
    instance: String,
    /// It runs, or is started again by itself in a moment.
    running: bool,
}

impl PlayerView {
    fn new(player: &Player) -> PlayerView {
        PlayerView { set: player.set, instance: player.name.clone(), running: player.is_wanted() }
    }
}

/// The control of a demo, served.
pub(super) struct Control {
    tasks: [JoinHandle<()>; 2],
    stop: Shutdown,
}

/// Sends cameras away, as whoever manages them can.
struct Door(Bells);

struct ControlPage {
    players: Vec<Player>,
    about: watch::Receiver<String>,
}

impl Control {
    /// Serves `players` on a socket at `path`; `about` is what the page says of the demo. On `evict`, a port of this
    /// machine, cameras are sent away by their `bells`.
    pub(super) fn serve(
        path: &Path,
        players: Vec<Player>,
        about: watch::Receiver<String>,
        evict: u16,
        bells: Bells,
    ) -> Result<Control, Failure> {
        let failed = |error| Failure::new(Exit::No, error);
        let listener = Listener::unix(path).map_err(failed)?;
        // The port is reserved, and shared.
        let door = bind_tcp((Ipv4Addr::LOCALHOST, evict).into(), Sharing::Shared).map_err(failed)?;
        let door = Listener::from_std(door)?;
        let stop = Shutdown::new();
        let tasks = [
            tokio::spawn(serve(listener, Arc::new(ControlPage { players, about }), Limits::default(), stop.clone())),
            tokio::spawn(serve(door, Arc::new(Door(bells)), Limits::default(), stop.clone())),
        ];
        Ok(Control { tasks, stop })
    }

    /// Serves nobody any more.
    pub(super) async fn end(self) {
        self.stop.begin();
        for task in self.tasks {
            // Nothing depends on how it ended: the demo is over.
            let _ = task.await;
        }
    }
}

impl Handler for Door {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            let camera = request.path.strip_prefix("/evict/").and_then(index);
            let bell = camera.and_then(|camera| self.0.get(camera)).filter(|_| request.method == Method::POST);
            match bell {
                Some(bell) => {
                    bell.notify_one();
                    Response::new(StatusCode::NO_CONTENT)
                }
                None => Problem::not_found("POST /evict/{camera} sends a camera of the demo away").into(),
            }
        })
    }
}

impl ControlPage {
    fn respond(&self, request: &Request) -> Result<Response, Problem> {
        let segments = request.segments().unwrap_or_default();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET | &Method::HEAD, ["demo", "v1"]) => {
                let instances = self.players.iter().map(PlayerView::new).collect();
                Ok(Response::json(StatusCode::OK, &DemoView { about: self.about.borrow().clone(), instances }))
            }
            (&Method::POST, ["demo", "v1", "instances", set, id, verb @ ("kill" | "start")]) => {
                let player = self.players.iter().find(|player| player.set == *set && player.name == *id);
                let player =
                    player.ok_or_else(|| Problem::not_found(format!("the demo runs no instance {id:?} of {set:?}")))?;
                if *verb == "kill" {
                    player.kill()
                } else {
                    player.start()
                }
                Ok(Response::json(StatusCode::OK, &PlayerView::new(player)))
            }
            _ => Err(Problem::not_found(
                "the demo can be asked GET /demo/v1, and POST …/instances/{set}/{id}/kill or start",
            )),
        }
    }
}

impl Handler for ControlPage {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move { self.respond(&request).unwrap_or_else(Response::from) })
    }
}

/// The way from the API of the gateway's process to the demo.
pub(crate) struct Passage {
    client: Client,
    target: Target,
}

impl Passage {
    /// To the demo whose socket is at `path`.
    pub(crate) fn to(path: PathBuf) -> Passage {
        Passage { client: Client::default(), target: Target::Unix(path) }
    }
}

impl Handler for Passage {
    fn answer(self: Arc<Self>, request: Request) -> Answering {
        Box::pin(async move {
            let call = Call { body: request.body, ..Call::new(request.method, request.path) };
            match self.client.call(&self.target, call, ANSWER_WITHIN).await {
                Ok(reply) => Response::full(reply.status, "application/json", reply.body),
                Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "demo-away", error.to_string()).into(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
