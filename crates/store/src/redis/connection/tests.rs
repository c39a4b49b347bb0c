use steadfast_host::clock;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What must come comes within this.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> Moment {
    clock::now() + PATIENCE
}

/// Both ends of a connection.
async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("its address")).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    (Connection::over(Wire::new(Stream::Tcp(client))), server)
}

fn echo(number: usize) -> Commands {
    Commands::default().and(&[format!("{number:06}")])
}

/// What one [`echo`] is on the wire.
async fn heard(server: &mut TcpStream) -> String {
    let mut bytes = [0; 16];
    server.read_exact(&mut bytes).await.expect("a command");
    String::from_utf8(bytes[8..14].to_vec()).expect("a number")
}

#[tokio::test]
async fn many_share_a_connection_and_each_has_its_own_answers() {
    const CALLERS: usize = 100;
    let (connection, mut server) = pair().await;
    tokio::spawn(async move {
        for _ in 0..2 * CALLERS {
            let number = heard(&mut server).await;
            // In two pieces, which the reader has to put together.
            server.write_all(b":").await.expect("a reader");
            tokio::task::yield_now().await;
            server.write_all(format!("{number}\r\n").as_bytes()).await.expect("a reader");
        }
    });
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let connection = connection.clone();
        callers.spawn(async move {
            let both = echo(number).and(&[format!("{:06}", number + CALLERS)]);
            let expected = [number, number + CALLERS].map(|n| Reply::Integer(i64::try_from(n).expect("small")));
            assert_eq!(connection.call(both, soon()).await, Ok(expected.to_vec()));
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller");
    }
}

#[tokio::test]
async fn a_late_answer_is_nobody_elses() {
    let (connection, mut server) = pair().await;
    let late = connection.call(echo(1), clock::now() + Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Missed::Unanswered(_))), "{late:?}");
    let second = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(echo(2), soon()).await }
    });
    assert_eq!((heard(&mut server).await, heard(&mut server).await), ("000001".to_owned(), "000002".to_owned()));
    server.write_all(b":1\r\n:2\r\n").await.expect("a reader");
    assert_eq!(second.await.expect("a caller"), Ok(vec![Reply::Integer(2)]));
}

#[tokio::test]
async fn what_was_not_begun_was_not_sent() {
    const MORE_THAN_SOCKETS_TAKE: usize = 48 << 20;
    let (connection, server) = pair().await;
    let large = Commands::default().and(&[vec![0; MORE_THAN_SOCKETS_TAKE]]);
    let first = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(large, soon()).await }
    });
    // Until it is taken from the queue the large one holds its room there.
    while connection.room.available_permits() < WAITING_BYTES || server.peek(&mut [0]).await.expect("bytes") == 0 {
        tokio::task::yield_now().await;
    }
    let behind = connection.call(echo(2), clock::now() + Duration::from_millis(50)).await;
    assert!(matches!(behind, Err(Missed::NotSent(_))), "{behind:?}");
    drop(server);
    let first = first.await.expect("a caller");
    assert!(matches!(first, Err(Missed::Unanswered(_))), "{first:?}");
}

#[tokio::test]
async fn a_broken_connection_says_so_to_all() {
    for said in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n", b":1\r\n:2\r\n"] {
        let (connection, mut server) = pair().await;
        if said.starts_with(b":") {
            // An answer that nobody asked for.
            let asked = tokio::spawn({
                let connection = connection.clone();
                async move { connection.call(echo(1), soon()).await }
            });
            heard(&mut server).await;
            server.write_all(said).await.expect("a reader");
            assert_eq!(asked.await.expect("a caller"), Ok(vec![Reply::Integer(1)]));
        } else {
            let asked = tokio::spawn({
                let connection = connection.clone();
                async move { connection.call(echo(1), soon()).await }
            });
            heard(&mut server).await;
            server.write_all(said).await.expect("a reader");
            drop(server);
            let unanswered = asked.await.expect("a caller");
            assert!(matches!(unanswered, Err(Missed::Unanswered(_))), "{unanswered:?}");
        }
        connection.queue.closed().await;
        assert!(connection.is_closed());
        let late = connection.call(echo(2), soon()).await;
        assert_eq!(late, Err(Missed::NotSent(CLOSED.to_owned())));
    }
}

#[tokio::test]
async fn a_forgotten_connection_closes_when_nobody_waits_on_it() {
    let (connection, mut server) = pair().await;
    let waits = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(echo(1), soon()).await }
    });
    heard(&mut server).await;
    let late = connection.call(echo(2), clock::now() + Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Missed::Unanswered(_))), "{late:?}");
    drop(connection);
    heard(&mut server).await;
    // Forgotten by all who could ask for more, but one still waits, and is answered.
    server.write_all(b":1\r\n").await.expect("a reader");
    assert_eq!(waits.await.expect("a caller"), Ok(vec![Reply::Integer(1)]));
    // Whom the next answer was for has left.
    let closed = tokio::time::timeout(PATIENCE, server.read(&mut [0])).await.expect("the end");
    assert_eq!(closed.expect("an orderly end"), 0);
}
