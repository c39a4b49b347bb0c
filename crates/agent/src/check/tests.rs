use steadfast_core::Span;
use steadfast_host::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const WITHIN: Duration = Duration::from_secs(10);

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

/// A server that answers every connection with these bytes, or with nothing.
async fn answering(answer: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while !matches!(stream.read(&mut request).await, Ok(0) | Err(_)) {
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}").parse().unwrap()
}

async fn http(answer: &'static [u8], within: Duration) -> CheckResult {
    let endpoint = answering(answer).await;
    check(&CheckTarget::Http { endpoint, path: "/healthz".into() }, within).await
}

#[tokio::test]
async fn a_2xx_passes_another_answer_fails_and_silence_is_neither() {
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..], CheckResult::Passed),
        (b"HTTP/1.1 204 No Content\r\n\r\n", CheckResult::Passed),
        // A body that never ends is an answer all the same.
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nok", CheckResult::Passed),
        (b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", CheckResult::Failed),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", CheckResult::Failed),
        (b"hello\r\n\r\n", CheckResult::Failed),
    ] {
        assert_eq!(http(answer, WITHIN).await, expected, "{}", String::from_utf8_lossy(answer));
    }
    assert_eq!(http(b"", Duration::from_millis(50)).await, CheckResult::TimedOut);
}

#[tokio::test]
async fn a_connection_is_enough_for_tcp_and_code_0_for_a_command() {
    let there = answering(b"").await;
    assert_eq!(check(&CheckTarget::Tcp(there), WITHIN).await, CheckResult::Passed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    assert_eq!(check(&CheckTarget::Tcp(gone), WITHIN).await, CheckResult::Failed);
    for (command, within, expected) in [
        ("exit 0", WITHIN, CheckResult::Passed),
        ("exit 1", WITHIN, CheckResult::Failed),
        ("/nowhere", WITHIN, CheckResult::Failed),
        ("sleep 60", Duration::from_millis(50), CheckResult::TimedOut),
    ] {
        assert_eq!(check(&CheckTarget::Command(command.into()), within).await, expected, "{command}");
    }
}

#[tokio::test]
async fn silence_is_told_from_an_answer_however_late_it_is_looked_for() {
    const SHORT: Duration = Duration::from_millis(10);
    let silent = answering(b"").await;
    for target in
        [CheckTarget::Http { endpoint: silent, path: "/healthz".into() }, CheckTarget::Command("sleep 60".into())]
    {
        // The check has begun when the machine is busy with something else for many times its time-out.
        let busy = async {
            let until = clock::now() + SHORT * 20;
            while clock::now() < until {
                std::hint::spin_loop();
            }
        };
        let (result, ()) = tokio::join!(check(&target, SHORT), busy);
        assert_eq!(result, CheckResult::TimedOut, "{target:?}");
    }
}

fn checks() -> Checks {
    let target = CheckTarget::Tcp("tcp://127.0.0.1:1".parse().unwrap());
    let policy = CheckPolicy::new(Span::from_millis(1_000), Span::from_millis(1_000), 1, 2).unwrap();
    Checks::new(Some(target), policy)
}

#[test]
fn one_that_starts_is_checked_eagerly_then_at_the_usual_pace() {
    let mut checks = checks();
    assert!(checks.next(at(0)).is_none(), "nothing runs yet");
    checks.begin(at(1_000), 1);
    assert!(checks.next(at(1_000)).is_some());
    assert!(checks.next(at(1_000)).is_none() && checks.deadline().is_none(), "one at a time");
    checks.ended(at(1_001), 1, at(1_000), CheckResult::Failed);
    assert_eq!(checks.deadline(), Some(at(1_100)));
    assert!(checks.ended(at(1_101), 1, at(1_100), CheckResult::Passed));
    assert_eq!((checks.verdict(), checks.deadline()), (Verdict::Healthy, Some(at(2_100))));
    assert!(!checks.ended(at(2_000), 0, at(1_200), CheckResult::Failed), "of a former start");
    assert_eq!(checks.deadline(), Some(at(2_100)));

    checks.begin(at(5_000), 2);
    assert_eq!((checks.verdict(), checks.was_healthy()), (Verdict::Unknown, false));
    checks.ended(at(16_000), 2, at(15_999), CheckResult::Failed);
    assert_eq!(checks.deadline(), Some(at(16_999)), "one that takes long to start is not asked ten times a second");
    checks.end();
    assert_eq!((checks.verdict(), checks.deadline()), (Verdict::Unknown, None));
}

#[test]
fn only_one_that_was_healthy_is_started_again_for_being_unhealthy() {
    let mut checks = checks();
    checks.begin(at(0), 1);
    checks.ended(at(0), 1, at(0), CheckResult::Failed);
    checks.ended(at(1), 1, at(1), CheckResult::Failed);
    assert_eq!((checks.verdict(), checks.restart_at()), (Verdict::Failed, None), "it may be starting still");
    checks.ended(at(2), 1, at(2), CheckResult::Passed);
    assert_eq!(checks.healthy_since(), Some(at(2)));
    checks.ended(at(3), 1, at(3), CheckResult::Failed);
    assert_eq!(checks.restart_at(), None, "once is not enough");
    checks.ended(at(4), 1, at(4), CheckResult::Failed);
    assert_eq!(checks.restart_at(), Some(at(30_004)));
    checks.ended(at(5), 1, at(5), CheckResult::TimedOut);
    assert_eq!((checks.verdict(), checks.restart_at()), (Verdict::Silent, Some(at(30_004))), "since it fell ill");
}

#[test]
fn without_a_check_what_runs_is_healthy() {
    let mut checks = Checks::new(None, CheckPolicy::default());
    assert_eq!(checks.verdict(), Verdict::Unknown);
    checks.begin(at(7), 1);
    assert_eq!((checks.verdict(), checks.healthy_since()), (Verdict::Healthy, Some(at(7))));
    assert!(checks.next(at(7)).is_none() && checks.deadline().is_none());
}
