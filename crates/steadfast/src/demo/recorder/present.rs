//! Which cameras are here, told to the agent: an application that reports who is there (`presence = "report"`).
//!
//! One task tells, one camera after the other, what is so at that moment: so a camera that leaves and comes back at once
//! is never told to have left after it has come.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_core::Endpoint;
use steadfast_host::http::{Call, Client, Method, StatusCode, Target, percent_encode};
use steadfast_host::shutdown::Shutdown;
use tokio::sync::mpsc;

/// How long the agent may take to answer, and when it is asked again if it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Words that wait to be told: one a connection that opens or closes.
const WORDS_WAITING: usize = 16_384;

/// The cameras that are here. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Present {
    cameras: Arc<Mutex<HashMap<String, Camera>>>,
    changed: mpsc::Sender<String>,
}

/// A camera that is here, or was and was not yet told to have left.
#[derive(Debug, Default)]
struct Camera {
    connections: usize,
    told: bool,
    leave: Shutdown,
}

/// A connection of a camera; dropped, it has closed.
#[derive(Debug)]
pub(super) struct Connected {
    present: Present,
    camera: String,
    /// Begins when the camera shall go: its home is elsewhere.
    pub(super) leave: Shutdown,
}

impl Present {
    /// Nobody is here. What changes is told to the agent that `STEADFAST_API` names; to nobody if it names none.
    pub(super) fn new() -> Present {
        let (changed, changes) = mpsc::channel(WORDS_WAITING);
        let present = Present { cameras: Arc::default(), changed };
        let agent = std::env::var("STEADFAST_API").ok().and_then(|url| target(&url));
        tokio::spawn(tell(Arc::clone(&present.cameras), changes, agent));
        present
    }

    /// A camera has opened a connection.
    pub(super) fn came(&self, camera: &str) -> Connected {
        let mut cameras = lock(&self.cameras);
        let entry = cameras.entry(camera.to_owned()).or_default();
        if entry.leave.begun() {
            entry.leave = Shutdown::new();
        }
        entry.connections += 1;
        let connected = Connected { present: self.clone(), camera: camera.to_owned(), leave: entry.leave.clone() };
        drop(cameras);
        self.note(camera);
        connected
    }

    fn note(&self, camera: &str) {
        // A full queue has a word about almost everybody; the next connection of this camera brings another.
        let _ = self.changed.try_send(camera.to_owned());
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.present.cameras).get_mut(&self.camera) {
            entry.connections = entry.connections.saturating_sub(1);
        }
        self.present.note(&self.camera);
    }
}

fn lock(cameras: &Mutex<HashMap<String, Camera>>) -> MutexGuard<'_, HashMap<String, Camera>> {
    cameras.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `unix:/path`, or `http://address:port`.
fn target(url: &str) -> Option<Target> {
    match url.strip_prefix("unix:") {
        Some(path) => Some(Target::Unix(PathBuf::from(path))),
        None => url.parse::<Endpoint>().ok().map(|endpoint| Target::from(&endpoint)),
    }
}

/// Tells the agent what has changed, for as long as anybody is here to change it.
async fn tell(
    cameras: Arc<Mutex<HashMap<String, Camera>>>,
    mut changes: mpsc::Receiver<String>,
    agent: Option<Target>,
) {
    let client = Client::default();
    while let Some(camera) = changes.recv().await {
        let Some(method) = due(&cameras, &camera) else { continue };
        let Some(agent) = &agent else { continue };
        let path = format!("/v1/clients/{}", percent_encode(camera.as_bytes()));
        loop {
            let reply = client.call(agent, Call::new(method.clone(), path.as_str()), ANSWER_WITHIN).await;
            match reply.map(|reply| reply.status) {
                Ok(status) if status == StatusCode::MISDIRECTED_REQUEST => {
                    if let Some(entry) = lock(&cameras).get(&camera) {
                        entry.leave.begin();
                    }
                    break;
                }
                // The set does not ask for reports.
                Ok(status) if status == StatusCode::CONFLICT => break,
                Ok(status) if status.is_success() => {
                    settle(&cameras, &camera, &method);
                    break;
                }
                _ => tokio::time::sleep(AGAIN_AFTER).await,
            }
            // Meanwhile it may have left, or come.
            if due(&cameras, &camera).as_ref() != Some(&method) {
                break;
            }
        }
    }
}

/// What is to be told of a camera now.
fn due(cameras: &Mutex<HashMap<String, Camera>>, camera: &str) -> Option<Method> {
    let mut cameras = lock(cameras);
    let entry = cameras.get(camera)?;
    match (entry.connections > 0, entry.told) {
        (true, false) => Some(Method::PUT),
        (false, true) => Some(Method::DELETE),
        (true, true) => None,
        (false, false) => {
            cameras.remove(camera);
            None
        }
    }
}

fn settle(cameras: &Mutex<HashMap<String, Camera>>, camera: &str, told: &Method) {
    let mut cameras = lock(cameras);
    if let Some(entry) = cameras.get_mut(camera) {
        entry.told = *told == Method::PUT;
        if !entry.told && entry.connections == 0 {
            cameras.remove(camera);
        }
    }
}

#[cfg(test)]
mod tests;
