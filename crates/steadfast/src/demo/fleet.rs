//! The fleet: cameras that know one address, the gateway's. Each asks it where to go, goes there, streams, and holds a
//! second connection to turn it by, asked for in the same way. What it meets becomes a [`Seen`].
//!
//! A camera ends its session every few seconds and begins another, through the gateway again: so a fleet of some dozens
//! asks as often as a large one.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::{Endpoint, Host, Moment};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, ClientLimits, ReplyStream, StatusCode, Target, header};
use steadfast_host::shutdown::Shutdown;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::recorder::{Greeting, WORD_EVERY};
use crate::watch::INSTANCE_HEADER;

/// What each camera brings, in Mb/s; as many as there are cameras. Together well below what the recorders can carry
/// without the largest of them.
pub(super) const CAMERAS: [u32; 32] =
    [2, 4, 8, 3, 6, 1, 4, 10, 5, 2, 3, 8, 6, 2, 4, 1, 9, 3, 5, 4, 2, 6, 8, 3, 4, 2, 1, 10, 5, 3, 2, 6];
/// Sightings on their way to whoever counts.
pub(super) const SEEN_WAITING: usize = 1_024;

/// How long the gateway and a recorder may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A recorder that says nothing for so long is not there.
const SILENT_FOR: Duration = Duration::from_millis(WORD_EVERY.as_millis() as u64 * 6);
/// How long a session lasts: between these two.
const SESSION: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(12));
/// How long a camera that was refused or cut off waits: between these two.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(750));
/// The largest part of a longest session that the cameras take to switch themselves on.
const BEGIN_WITHIN: Duration = Duration::from_millis(1_500);

/// What a camera met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A recorder took a connection of it.
    Home(Home),
    /// Its session broke off, or it was sent away: it looks for its home.
    Away {
        /// Which camera.
        camera: usize,
        /// What happened.
        why: String,
    },
}

/// A connection of a camera, and who took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// Which camera.
    pub(super) camera: usize,
    /// By the gateway's word.
    pub(super) named: Option<String>,
    /// By the recorder's own word.
    pub(super) recorder: String,
    /// When the recorder had greeted.
    pub(super) at: Moment,
    /// It was the second connection of a session: the session stands.
    pub(super) complete: bool,
}

/// What camera `index` is called.
pub(super) fn name(index: usize) -> String {
    format!("cam-{:02}", index + 1)
}

/// Which camera is called so.
pub(super) fn index(name: &str) -> Option<usize> {
    name.strip_prefix("cam-")?.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < CAMERAS.len())
}

/// The cameras. They stop when it is dropped.
pub(super) struct Fleet {
    cameras: JoinSet<()>,
    bells: Bells,
    stop: Shutdown,
}

/// One for each camera: rung, it ends its session and looks for its home anew.
pub(super) type Bells = Arc<[Notify]>;

impl Fleet {
    /// Switches every camera on; all they know is `gateway`, a port of this machine.
    pub(super) fn start(gateway: u16, seen: &mpsc::Sender<Seen>) -> Fleet {
        let stop = Shutdown::new();
        let mut cameras = JoinSet::new();
        let bells: Bells = CAMERAS.iter().map(|_| Notify::new()).collect();
        for (index, mbps) in CAMERAS.into_iter().enumerate() {
            let camera =
                Camera { index, mbps, gateway, client: client(), seen: seen.clone(), bells: Arc::clone(&bells) };
            let stop = stop.clone();
            cameras.spawn(async move {
                tokio::select! {
                    () = camera.live() => {}
                    () = stop.requested() => {}
                }
            });
        }
        Fleet { cameras, bells, stop }
    }

    /// The cameras' bells.
    pub(super) fn bells(&self) -> Bells {
        Arc::clone(&self.bells)
    }

    /// Switches them off.
    pub(super) async fn end(mut self) {
        self.stop.begin();
        while self.cameras.join_next().await.is_some() {}
    }
}

/// A client that keeps no connection: every step of a camera's way is one that a stranger could take.
fn client() -> Client {
    Client::new(ClientLimits { idle_per_target: 0, ..ClientLimits::default() })
}

struct Camera {
    index: usize,
    mbps: u32,
    gateway: u16,
    client: Client,
    seen: mpsc::Sender<Seen>,
    bells: Bells,
}

/// What a camera asks the gateway for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// Somebody to take its pictures: says what it weighs.
    Stream,
    /// Somebody to turn it: does not.
    Control,
}

impl Camera {
    async fn live(&self) {
        tokio::time::sleep(between(Duration::ZERO, BEGIN_WITHIN)).await;
        loop {
            if let Err(why) = self.session().await {
                let away = Seen::Away { camera: self.index, why };
                if self.seen.send(away).await.is_err() {
                    return;
                }
                tokio::time::sleep(between(RETRY.0, RETRY.1)).await;
            }
        }
    }

    /// Two connections, held until the session is over or one of them breaks.
    async fn session(&self) -> Result<(), String> {
        // Every fourth camera comes first with the connection that does not say what it weighs.
        let order =
            if self.index % 4 == 3 { [Wanted::Control, Wanted::Stream] } else { [Wanted::Stream, Wanted::Control] };
        let mut first = self.connect(order[0], false).await?;
        let mut second = self.connect(order[1], true).await?;
        let over = clock::now() + between(SESSION.0, SESSION.1);
        let held = async {
            tokio::select! {
                why = hold(&mut first) => why,
                why = hold(&mut second) => why,
                () = self.bells[self.index].notified() => "asked to leave".to_owned(),
            }
        };
        match clock::timeout_at(over, held).await {
            None => Ok(()),
            Some(why) => Err(why),
        }
    }

    /// Asks the gateway, goes where it says, and listens to who is there.
    async fn connect(&self, wanted: Wanted, complete: bool) -> Result<ReplyStream, String> {
        let name = name(self.index);
        let path = match wanted {
            Wanted::Stream => format!("/ingest/stream?camera={name}&mbps={}", self.mbps),
            Wanted::Control => format!("/ingest/control/?camera={name}"),
        };
        let gateway = Target::Tcp { host: Host::Ip(std::net::Ipv4Addr::LOCALHOST.into()), port: self.gateway };
        let told = self.client.call(&gateway, Call::get(path), ANSWER_WITHIN).await.map_err(|e| e.to_string())?;
        if told.status != StatusCode::TEMPORARY_REDIRECT {
            let reason = told.problem().map(|problem| problem.reason).unwrap_or_default();
            return Err(format!("the gateway answers {} {reason}", told.status.as_u16()));
        }
        let text = |name: &str| told.headers.get(name).and_then(|value| value.to_str().ok());
        let location = text(header::LOCATION.as_str()).unwrap_or_default();
        let (target, path) = go_to(location).ok_or_else(|| format!("nobody can go to {location:?}"))?;
        let stream = self.client.stream(&target, Call::get(path), ANSWER_WITHIN).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        let line = tokio::time::timeout(ANSWER_WITHIN, stream.next_line()).await;
        let line = line.map_err(|_| "the recorder does not greet")?.map_err(|error| error.to_string())?;
        let greeting = line.and_then(|line| serde_json::from_slice::<Greeting>(&line).ok());
        let greeting = greeting.ok_or_else(|| format!("no recorder answers at {location}: {}", stream.status))?;
        let home = Home {
            camera: self.index,
            named: text(INSTANCE_HEADER).map(str::to_owned),
            recorder: greeting.recorder,
            at: clock::now(),
            complete,
        };
        self.seen.send(Seen::Home(home)).await.map_err(|_| "nobody counts any more")?;
        Ok(stream)
    }
}

/// Listens until the recorder falls silent, and says how that came.
async fn hold(stream: &mut ReplyStream) -> String {
    loop {
        match tokio::time::timeout(SILENT_FOR, stream.next_line()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return "the recorder ended the connection".to_owned(),
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the recorder fell silent".to_owned(),
        }
    }
}

/// Where a `Location` leads: `http://host:port/path?query`.
fn go_to(location: &str) -> Option<(Target, String)> {
    let (scheme, rest) = location.split_once("://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let endpoint: Endpoint = format!("{scheme}://{authority}").parse().ok()?;
    (endpoint.scheme() == "http").then(|| (Target::from(&endpoint), path.to_owned()))
}

fn between(least: Duration, most: Duration) -> Duration {
    let part = (steadfast_host::random::u64() % 1_024) as f64 / 1_024.0;
    least + (most - least).mul_f64(part)
}

#[cfg(test)]
mod tests;
