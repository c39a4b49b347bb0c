use steadfast_core::Moment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::ProbeReason;
use crate::presence::Beating;
use crate::{InstanceRecord, InstanceSeen, LedgerState};

const STEP: Duration = Duration::from_secs(2);

fn id() -> InstanceId {
    "rec-1".parse().unwrap()
}

impl Suspect {
    /// That life of an instance, whose last beat was this one.
    pub(in crate::keeper) fn of(id: &str, life: u64, beat: Option<u64>) -> Suspect {
        let probe = "http://127.0.0.1:9".parse().unwrap();
        Suspect { id: id.parse().unwrap(), life: Incarnation(life), beat, probe }
    }
}

fn snapshot(life: u64, state: LedgerState) -> Snapshot {
    let seen = InstanceSeen {
        description: Some(InstanceRecord::new(
            Incarnation(life),
            [].into(),
            "http://127.0.0.1:9".parse().unwrap(),
            false,
            "here".into(),
        )),
        ledger: Some(LedgerRecord::new(Incarnation(life), state, "rec-1")),
        ..InstanceSeen::default()
    };
    Snapshot { instances: [(id(), seen)].into(), ..Snapshot::blank("recorder".parse().unwrap()) }
}

fn beat(life: u64, beat: u64) -> Beats {
    [(id(), Beating { incarnation: Incarnation(life), beat, changed: Moment::ZERO, load_milli: None })].into()
}

#[test]
fn who_does_not_beat_for_ten_seconds_is_suspect() {
    let (mut silences, open) = (BTreeMap::new(), snapshot(1, LedgerState::Open));
    let mut suspects = |beats: &Beats| listen(&mut silences, &open, beats, STEP).len();
    for number in 0..20 {
        assert_eq!(suspects(&beat(1, number)), 0, "it beats");
    }
    let silent: Vec<usize> = (0..6).map(|_| suspects(&beat(1, 19))).collect();
    assert_eq!(silent, [0, 0, 0, 0, 1, 1]);
    assert_eq!(suspects(&beat(1, 20)), 0, "it beats again");
}

#[test]
fn who_never_beat_is_suspect_as_soon() {
    let (mut silences, open) = (BTreeMap::new(), snapshot(1, LedgerState::Open));
    let silent: Vec<usize> = (0..7).map(|_| listen(&mut silences, &open, &Beats::new(), STEP).len()).collect();
    assert_eq!(silent, [0, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn another_life_begins_anew_and_who_is_lost_already_is_not_lost_again() {
    let mut silences = BTreeMap::new();
    for _ in 0..4 {
        listen(&mut silences, &snapshot(1, LedgerState::Open), &beat(1, 7), STEP);
    }
    assert_eq!(listen(&mut silences, &snapshot(2, LedgerState::Open), &beat(1, 7), STEP), []);
    for _ in 0..20 {
        assert_eq!(listen(&mut silences, &snapshot(2, LedgerState::Lost), &beat(1, 7), STEP), []);
    }
    for state in [LedgerState::Draining, LedgerState::Leaving] {
        let (mut silences, seen) = (BTreeMap::new(), snapshot(1, state));
        let last = (0..7).map(|_| listen(&mut silences, &seen, &Beats::new(), STEP).len()).last();
        assert_eq!(last, Some(1), "{state}");
    }
}

/// A probe that answers so, and ends with the test.
async fn probe(answer: String) -> (Endpoint, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            drop(stream.read(&mut head).await);
            let length = answer.len();
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}");
            drop(stream.write_all(reply.as_bytes()).await);
        }
    });
    (endpoint, task)
}

#[tokio::test]
async fn only_the_word_of_that_very_life_that_it_serves_saves_it() {
    let http = Client::new(ClientLimits::default());
    let set = "recorder".parse().unwrap();
    let word = |life: u64, role: Role| {
        let answer = ProbeAnswer {
            set: "recorder".parse().unwrap(),
            instance: id(),
            incarnation: Incarnation(life),
            role,
            epoch: 0,
            valid_for_ms: 0,
            reason: ProbeReason::Healthy,
        };
        serde_json::to_string(&answer).unwrap()
    };
    for (answer, expected) in [
        (word(1, Role::Member), true),
        (word(1, Role::Standby), false),
        (word(2, Role::Member), false),
        ("no JSON".to_owned(), false),
    ] {
        let (endpoint, probe) = probe(answer.clone()).await;
        let suspect = Suspect { probe: endpoint, ..Suspect::of("rec-1", 1, None) };
        assert_eq!(serves(&http, &set, &suspect).await, expected, "{answer}");
        probe.abort();
    }
}
