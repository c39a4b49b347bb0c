//! An agent's probe that says what a test has it say, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use steadfast_core::{Incarnation, InstanceId, SetName};
use steadfast_registry::{ProbeAnswer, ProbeReason, Role};

use super::DEADLINE;
use super::app::{App, Reply, Seen};

/// See the module.
pub struct Probe {
    app: App,
    says: Arc<Mutex<Says>>,
}

struct Says {
    answer: ProbeAnswer,
    /// The next answer is the last one; told when.
    last: Option<mpsc::Sender<Instant>>,
    silent: bool,
}

impl Probe {
    pub fn new(set: SetName, instance: InstanceId, incarnation: Incarnation) -> Probe {
        let answer = ProbeAnswer {
            set,
            instance,
            incarnation,
            role: Role::Standby,
            epoch: 0,
            valid_for_ms: 0,
            reason: ProbeReason::Standby,
        };
        let says = Arc::new(Mutex::new(Says { answer, last: None, silent: false }));
        let inner = says.clone();
        let app = App::new(move |_| {
            let mut says = inner.lock().unwrap();
            let answer = says.answer.clone();
            if says.silent {
                return Reply::Close(Vec::new());
            }
            if let Some(answered) = says.last.take() {
                says.silent = true;
                answered.send(Instant::now()).unwrap();
            }
            let status = if answer.role == Role::Leader { "200 OK" } else { "503 Service Unavailable" };
            let body = serde_json::to_string(&answer).unwrap();
            Reply::raw(&format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
        });
        Probe { app, says }
    }

    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// From now on: leads at this epoch, for `valid_for` from each question on.
    pub fn lead(&self, epoch: u64, valid_for: Duration) {
        let mut says = self.says.lock().unwrap();
        says.answer.role = Role::Leader;
        says.answer.reason = ProbeReason::Leading;
        says.answer.epoch = epoch;
        says.answer.valid_for_ms = valid_for.as_millis() as u64;
        says.silent = false;
    }

    /// Answers once more that it leads at this epoch for `valid_for`, and never again. When that is over.
    pub fn lead_for_the_last_time(&self, epoch: u64, valid_for: Duration) -> Instant {
        let (answered, when) = mpsc::channel();
        self.lead(epoch, valid_for);
        self.says.lock().unwrap().last = Some(answered);
        when.recv_timeout(DEADLINE).unwrap() + valid_for
    }

    /// From now on: does not lead.
    pub fn stand_by(&self, reason: ProbeReason) {
        let mut says = self.says.lock().unwrap();
        says.answer.role = Role::Standby;
        says.answer.reason = reason;
        says.answer.valid_for_ms = 0;
    }

    /// From now on: closes every connection instead of answering.
    pub fn fall_silent(&self) {
        self.says.lock().unwrap().silent = true;
    }

    /// From now on: says that it is another life.
    pub fn pretend(&self, incarnation: Incarnation) {
        self.says.lock().unwrap().answer.incarnation = incarnation;
    }

    pub fn asked(&self) -> usize {
        self.app.requests()
    }

    pub fn questions(&self) -> Vec<Seen> {
        self.app.seen()
    }

    /// The last `Steadfast-In-Flight` told.
    pub fn in_flight(&self) -> Option<usize> {
        self.app.seen().last()?.field("steadfast-in-flight")?.parse().ok()
    }
}
