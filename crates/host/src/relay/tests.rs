use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const SOON: Duration = Duration::from_secs(30);

/// What became of a relay.
#[derive(Debug)]
struct Outcome {
    there: u64,
    back: u64,
    ended: Ended,
}

/// A client and a server with a relay between them.
struct Between {
    client: TcpStream,
    server: TcpStream,
    open: Arc<AtomicBool>,
    revoke: Option<oneshot::Sender<()>>,
    meter: Arc<Meter>,
    relay: JoinHandle<Outcome>,
}

impl Between {
    async fn new(idle: Duration) -> Between {
        let (client, one) = connected().await;
        let (other, server) = connected().await;
        let open = Arc::new(AtomicBool::new(true));
        let (revoke, revoked) = oneshot::channel::<()>();
        let gate = Arc::clone(&open);
        let permit = move || gate.load(Ordering::SeqCst);
        let revoked = async move {
            if revoked.await.is_err() {
                std::future::pending().await
            }
        };
        let meter = Arc::new(Meter::default());
        let metered = Arc::clone(&meter);
        let relay = tokio::spawn(async move {
            let ended = relay(one, other, idle, &metered, permit, revoked).await;
            Outcome { there: metered.there(), back: metered.back(), ended }
        });
        Between { client, server, open, revoke: Some(revoke), meter, relay }
    }

    async fn ended(relay: JoinHandle<Outcome>) -> Outcome {
        tokio::time::timeout(SOON, relay).await.expect("the relay ends in time").unwrap()
    }
}

#[tokio::test]
async fn the_meter_knows_who_had_the_last_word() {
    let Between { mut client, mut server, meter, relay: _relay, .. } = Between::new(SOON).await;
    assert!(meter.is_answered());
    let made = meter.last();
    let becomes = async |answered: bool| {
        let deadline = clock::now() + SOON;
        while meter.is_answered() != answered {
            assert!(clock::now() < deadline, "answered: {answered}");
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..2 {
        pass(&mut client, &mut server, b"question").await;
        becomes(false).await;
        pass(&mut server, &mut client, b"answer").await;
        becomes(true).await;
    }
    assert!(meter.last() > made && (meter.there(), meter.back()) == (16, 12));

    // More than the sockets on the way hold, to a client that does not read: the answer is still being given.
    let all = tokio::spawn(async move {
        server.write_all(&vec![0; 64 * 1024 * 1024]).await.unwrap();
        server
    });
    becomes(false).await;
    let mut read = vec![0; 64 * 1024 * 1024];
    tokio::time::timeout(SOON, client.read_exact(&mut read)).await.unwrap().unwrap();
    becomes(true).await;
    drop(all.await.unwrap());
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, words: &[u8]) {
    from.write_all(words).await.unwrap();
    let mut read = vec![0; words.len()];
    tokio::time::timeout(SOON, to.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, words);
}

async fn is_reset(stream: &mut TcpStream) {
    let read = tokio::time::timeout(SOON, stream.read(&mut [0; 1])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_half_closed_connection_goes_on_in_the_other_direction_whichever_ends_first() {
    for client_first in [true, false] {
        let Between { mut client, mut server, relay, .. } = Between::new(SOON).await;
        let (first, second) = if client_first { (&mut client, &mut server) } else { (&mut server, &mut client) };
        pass(first, second, b"question").await;
        first.shutdown().await.unwrap();
        assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0, "the end is passed on");
        pass(second, first, b"a late answer").await;
        second.shutdown().await.unwrap();
        assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
        let outcome = Between::ended(relay).await;
        assert!(matches!(outcome.ended, Ended::Closed), "{outcome:?}");
        let counts = if client_first { (outcome.there, outcome.back) } else { (outcome.back, outcome.there) };
        assert_eq!(counts, (8, 13));
    }
}

#[tokio::test]
async fn much_passes_in_both_directions_at_once_unharmed() {
    const BYTES: usize = 24 * 1024 * 1024;
    let pattern: Arc<Vec<u8>> = Arc::new((0..BYTES).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    let Between { client, server, relay, .. } = Between::new(SOON).await;
    let end = |stream: TcpStream| {
        let pattern = Arc::clone(&pattern);
        tokio::spawn(async move {
            let (mut reading, mut writing) = stream.into_split();
            let write = async {
                writing.write_all(&pattern).await.unwrap();
                writing.shutdown().await.unwrap();
            };
            let mut read = Vec::new();
            let (_, result) = tokio::join!(write, reading.read_to_end(&mut read));
            result.unwrap();
            assert!(read == *pattern, "what arrived is not what was sent");
        })
    };
    let (one, other) = tokio::join!(end(client), end(server));
    one.unwrap();
    other.unwrap();
    let outcome = Between::ended(relay).await;
    assert_eq!((outcome.there, outcome.back), (BYTES as u64, BYTES as u64), "{:?}", outcome.ended);
}

#[tokio::test]
async fn without_a_permit_not_one_byte_passes() {
    let Between { mut client, mut server, open, relay, .. } = Between::new(SOON).await;
    pass(&mut client, &mut server, b"before").await;
    open.store(false, Ordering::SeqCst);
    client.write_all(b"after").await.unwrap();
    let outcome = Between::ended(relay).await;
    assert!(matches!(outcome.ended, Ended::Revoked), "{outcome:?}");
    assert_eq!(outcome.there, 6);
    is_reset(&mut server).await;
    is_reset(&mut client).await;
}

#[tokio::test]
async fn a_quiet_relay_is_reset_the_moment_it_is_revoked() {
    let Between { mut client, mut server, mut revoke, relay, .. } = Between::new(SOON).await;
    pass(&mut server, &mut client, b"before").await;
    revoke.take().unwrap().send(()).unwrap();
    assert!(matches!(Between::ended(relay).await.ended, Ended::Revoked));
    is_reset(&mut client).await;
    is_reset(&mut server).await;
}

#[tokio::test]
async fn a_dropped_relay_resets_both_sides() {
    let Between { mut client, mut server, relay, .. } = Between::new(SOON).await;
    pass(&mut server, &mut client, b"before").await;
    relay.abort();
    is_reset(&mut client).await;
    is_reset(&mut server).await;
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let Between { mut client, mut server, relay, .. } = Between::new(SOON).await;
    pass(&mut server, &mut client, b"before").await;
    SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    let outcome = Between::ended(relay).await;
    assert!(
        matches!(&outcome.ended, Ended::Failed(error) if error.kind() == io::ErrorKind::ConnectionReset),
        "{outcome:?}"
    );
    is_reset(&mut client).await;
}

#[tokio::test]
async fn a_relay_that_carries_nothing_ends() {
    let Between { mut client, mut server, relay, .. } = Between::new(Duration::from_millis(50)).await;
    let outcome = Between::ended(relay).await;
    assert!(matches!(outcome.ended, Ended::Idle), "{outcome:?}");
    is_reset(&mut client).await;
    is_reset(&mut server).await;
}

#[tokio::test]
async fn idle_is_counted_from_the_last_byte() {
    const IDLE: Duration = Duration::from_millis(50);
    let meter = Meter::default();
    let shared = Shared { permit: || true, meter: &meter };
    let traffic = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            meter.took(Direction::There, 1);
            meter.gave(Direction::There, 1);
        }
    };
    // However the machine stalls, it never ends sooner than that after what was last seen.
    let quiet = async {
        shared.idle(IDLE).await;
        clock::now().since(meter.last())
    };
    let (_, quiet) = tokio::join!(traffic, quiet);
    assert!(quiet >= IDLE, "{quiet:?}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_its_writer_up() {
    let Between { mut client, mut server, relay, .. } = Between::new(SOON).await;
    let chunk = vec![7; 64 * 1024];
    let mut written = 0;
    // Bounded by the sockets' buffers and one pipe: far less than this.
    while written < 256 * 1024 * 1024 {
        match tokio::time::timeout(Duration::from_millis(200), client.write(&chunk)).await {
            Ok(count) => written += count.unwrap(),
            Err(_) => break,
        }
    }
    assert!(written < 256 * 1024 * 1024, "nothing held the writer up");
    client.shutdown().await.unwrap();
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read.len(), written);
    drop((client, server));
    assert_eq!(Between::ended(relay).await.there, written as u64);
}
