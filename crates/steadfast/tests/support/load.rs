//! A steady client: asks the same question again and again on a thread of its own and keeps every answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::http::{Answer, Connection, split};

/// One question and what became of it.
#[derive(Debug, Clone)]
pub struct Sample {
    pub sent: Instant,
    pub done: Instant,
    pub outcome: Outcome,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered with this status, by whom (empty if the answer does not say), at which epoch (0 likewise).
    Answered { status: u16, by: String, epoch: u64 },
    /// No answer, or a broken one.
    Failed(String),
}

impl Sample {
    /// The instance that answered, if the answer was 200.
    pub fn served_by(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered { status: 200, by, .. } => Some(by),
            _ => None,
        }
    }

    /// The epoch the answer was given in, if the answer was 200.
    pub fn served_in(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Answered { status: 200, epoch, .. } => Some(epoch),
            _ => None,
        }
    }
}

/// How a [`Load`] asks.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Between the end of an answer and the next question.
    pub pause: Duration,
    /// How long an answer may take.
    pub limit: Duration,
    /// Ask on one connection for as long as it lasts, instead of one a question.
    pub keep_alive: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { pause: Duration::from_millis(2), limit: Duration::from_secs(90), keep_alive: true }
    }
}

/// A running client. Ended with [`Load::stop`], or when dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    samples: Arc<Mutex<Vec<Sample>>>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Asks `url` for ever, at the usual pace.
    pub fn start(url: &str) -> Load {
        Load::at_pace(url, Pace::default())
    }

    pub fn at_pace(url: &str, pace: Pace) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (ended, seen, url) = (Arc::clone(&stop), Arc::clone(&samples), url.to_owned());
        let thread = std::thread::spawn(move || {
            let mut client = Client { url, limit: pace.limit, keep_alive: pace.keep_alive, connection: None };
            while !ended.load(Ordering::Relaxed) {
                let sample = client.ask();
                lock(&seen).push(sample);
                std::thread::sleep(pace.pause);
            }
        });
        Load { stop, samples, thread: Some(thread) }
    }

    /// What has been seen so far.
    pub fn so_far(&self) -> Report {
        Report { samples: lock(&self.samples).clone() }
    }

    /// The number of questions answered with 200 so far.
    pub fn served(&self) -> usize {
        lock(&self.samples).iter().filter(|sample| sample.served_by().is_some()).count()
    }

    /// Waits for the question that is under way, ends the client, and returns all it saw.
    pub fn stop(mut self) -> Report {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the client's thread ends");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(samples: &Mutex<Vec<Sample>>) -> MutexGuard<'_, Vec<Sample>> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Client {
    url: String,
    limit: Duration,
    keep_alive: bool,
    connection: Option<Connection>,
}

impl Client {
    fn ask(&mut self) -> Sample {
        let sent = Instant::now();
        let outcome = match self.exchange() {
            Ok(answer) => outcome(&answer),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        Sample { sent, done: Instant::now(), outcome }
    }

    fn exchange(&mut self) -> std::io::Result<Answer> {
        let (address, path) = split(&self.url);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(address, self.limit)?,
        };
        let answer = connection.exchange("GET", path, &[], b"")?;
        if self.keep_alive && connection.is_reusable() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

/// Who answered is in a header from Steadfast itself, or in the JSON of a probe.
fn outcome(answer: &Answer) -> Outcome {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let by = answer.header("steadfast-instance").or_else(|| json["instance"].as_str()).unwrap_or_default();
    let epoch = answer.header("steadfast-epoch").and_then(|text| text.parse().ok()).or_else(|| json["epoch"].as_u64());
    Outcome::Answered { status: answer.status, by: by.to_owned(), epoch: epoch.unwrap_or(0) }
}

/// All that one or several clients saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub samples: Vec<Sample>,
}

impl Report {
    /// Several clients' reports as one, in the order of the questions.
    pub fn merge(reports: impl IntoIterator<Item = Report>) -> Report {
        let mut samples: Vec<Sample> = reports.into_iter().flat_map(|report| report.samples).collect();
        samples.sort_by_key(|sample| sample.sent);
        Report { samples }
    }

    /// The samples that are not an answer with 200.
    pub fn failures(&self) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.served_by().is_none()).collect()
    }

    /// The longest time between two answers with 200, of which the second was done after `since`: for the bench.
    pub fn longest_gap_after(&self, since: Instant) -> Duration {
        let mut served: Vec<Instant> = self.served().map(|sample| sample.done).collect();
        served.sort_unstable();
        let gaps = served.windows(2).filter(|pair| pair[1] >= since).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or(Duration::ZERO)
    }

    /// Who answered, one after the other, each turn once.
    pub fn turns(&self) -> Vec<&str> {
        let mut turns: Vec<&str> = self.served().filter_map(Sample::served_by).collect();
        turns.dedup();
        turns
    }

    /// Panics if a question was answered 200 in an older epoch than one whose answer had come before the question
    /// was sent (then two served at once), or if one epoch had two holders.
    #[track_caller]
    pub fn assert_one_active(&self) {
        let mut by_end: Vec<(Instant, u64)> = Vec::new();
        let mut holders: HashMap<u64, &str> = HashMap::new();
        let mut served: Vec<&Sample> = self.served().collect();
        served.sort_by_key(|sample| sample.done);
        for sample in &served {
            let (epoch, by) = (sample.served_in().unwrap_or(0), sample.served_by().unwrap_or_default());
            assert!(epoch > 0, "an answer without an epoch: {sample:?}");
            let holder = holders.entry(epoch).or_insert(by);
            assert_eq!(*holder, by, "epoch {epoch} had two holders: {sample:?}");
            let highest = by_end.last().map_or(epoch, |(_, highest)| epoch.max(*highest));
            by_end.push((sample.done, highest));
        }
        for sample in served {
            let before = by_end.partition_point(|(done, _)| *done < sample.sent);
            let highest = before.checked_sub(1).map_or(0, |last| by_end[last].1);
            assert!(sample.served_in() >= Some(highest), "epoch {highest} had already answered before {sample:?}");
        }
    }

    fn served(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.served_by().is_some())
    }
}
