use std::time::Duration;

use h2::server;
use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::etcd::proto::{AuthenticateRequest, AuthenticateResponse};

const PATH: &str = "/etcdserverpb.Auth/Authenticate";

/// Longer than any answer here takes.
const LONG: Duration = Duration::from_secs(60);

/// For what must run out.
const SHORT: Duration = Duration::from_millis(200);

fn question() -> AuthenticateRequest {
    AuthenticateRequest { name: "steadfast".to_owned(), password: "x".repeat(100_000) }
}

async fn ask(connection: &Connection, within: Duration) -> Result<String, Missed> {
    let deadline = clock::now() + within;
    let answer = connection.call::<AuthenticateResponse>(PATH, &question(), None, deadline).await;
    answer.map(|answer| answer.token)
}

async fn connect() -> (Connection, DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    (Connection::open(ours, "http://etcd:2379".to_owned()).await.unwrap(), theirs)
}

/// What a server of ours sends for a call.
struct Script {
    head: Response<()>,
    /// Each in a frame of HTTP/2 of its own.
    data: Vec<Bytes>,
    trailers: &'static [(&'static str, &'static str)],
}

fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::builder().status(status);
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    head.body(()).unwrap()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

fn token(text: &str) -> Bytes {
    framed(&AuthenticateResponse { token: text.to_owned() })
}

/// Answers each call, if it is the one of [`question`], by the script.
fn serve(io: DuplexStream, script: Script) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut server = server::handshake(io).await.unwrap();
        while let Some(Ok((request, mut reply))) = server.accept().await {
            let (data, trailers, head) = (script.data.clone(), script.trailers, script.head.clone());
            tokio::spawn(async move {
                assert_eq!(request.uri().path(), PATH);
                assert_eq!(request.headers()["te"], "trailers");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                assert!(request.headers()["grpc-timeout"].to_str().unwrap().ends_with('m'));
                assert_eq!(read(request.into_body()).await, question());
                let over = data.is_empty() && trailers.is_empty();
                let mut body = reply.send_response(head, over).unwrap();
                for piece in data {
                    body.send_data(piece, false).unwrap();
                }
                if !over {
                    let trailers =
                        trailers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
                    body.send_trailers(trailers.collect()).unwrap();
                }
            });
        }
    })
}

async fn read(mut body: RecvStream) -> AuthenticateRequest {
    let mut frames = Frames::default();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        frames.add(&data);
    }
    AuthenticateRequest::decode(frames.next().unwrap().expect("a whole message")).unwrap()
}

/// What a call ends with that is answered so.
async fn answered(head: Response<()>, data: Vec<Bytes>, trailers: &'static [(&str, &str)]) -> Result<String, Missed> {
    let (connection, theirs) = connect().await;
    let serving = serve(theirs, Script { head, data, trailers });
    let answer = ask(&connection, LONG).await;
    serving.abort();
    answer
}

#[tokio::test]
async fn a_call_is_answered_in_whatever_pieces() {
    let bytes = token(&"t".repeat(300));
    let pieces = bytes.chunks(1).map(Bytes::copy_from_slice).collect();
    assert_eq!(answered(head(200, &[GRPC]), pieces, OK).await, Ok("t".repeat(300)));
    assert_eq!(answered(head(200, &[GRPC]), vec![token("")], OK).await, Ok(String::new()));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let refused = |code, message: &str| Err(Missed::Refused(Status { code, message: message.to_owned() }));
    let alone = head(200, &[GRPC, ("grpc-status", "7"), ("grpc-message", "etcdserver: no %e2%9c%93%0a")]);
    assert_eq!(answered(alone, Vec::new(), &[]).await, refused(7, "etcdserver: no ✓"));
    let late: &[(&str, &str)] = &[("grpc-status", "14"), ("grpc-message", "50% sure")];
    assert_eq!(answered(head(200, &[GRPC]), vec![token("t")], late).await, refused(14, "50% sure"));
    let odd: &[(&str, &str)] = &[("grpc-status", "what")];
    assert_eq!(answered(head(200, &[GRPC]), Vec::new(), odd).await, refused(2, ""));
}

#[tokio::test]
async fn what_is_no_grpc_is_told_from_what_broke() {
    let stranger = |answer: Result<String, Missed>| assert!(matches!(answer, Err(Missed::Stranger(_))), "{answer:?}");
    let unanswered =
        |answer: Result<String, Missed>| assert!(matches!(answer, Err(Missed::Unanswered(_))), "{answer:?}");
    stranger(answered(head(404, &[("content-type", "text/html")]), Vec::new(), OK).await);
    stranger(answered(head(200, &[("content-type", "text/html")]), vec![token("t")], OK).await);
    stranger(answered(head(200, &[GRPC]), vec![Bytes::from_static(&[1, 0, 0, 0, 0])], OK).await);
    stranger(answered(head(200, &[GRPC]), vec![Bytes::from_static(&[0, 0, 0, 0, 1, 0x12])], OK).await);
    stranger(answered(head(200, &[GRPC]), vec![token("t"), token("t")], OK).await);
    stranger(answered(head(200, &[GRPC]), Vec::new(), OK).await);
    unanswered(answered(head(503, &[]), Vec::new(), &[]).await);
    // Too much of an answer is one, all the same.
    unanswered(answered(head(200, &[GRPC]), vec![Bytes::from_static(&[0, 0xff, 0, 0, 0])], OK).await);
    unanswered(answered(head(200, &[GRPC]), vec![token("t").slice(..4)], OK).await);
    unanswered(answered(head(200, &[GRPC]), vec![token("t")], &[("other", "0")]).await);
}

/// The other end of a connection, frame by frame (RFC 9113 §4.1): for what no library's server does on demand.
struct Peer(DuplexStream);

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

impl Peer {
    async fn send(&mut self, kind: u8, stream: u32, payload: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_uint(payload.len() as u64, 3);
        frame.put_slice(&[kind, 0]);
        frame.put_u32(stream);
        frame.put_slice(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The stream of the next call, when all of it is here.
    async fn call(&mut self) -> u32 {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if head[3] == DATA && head[4] & END_STREAM != 0 {
                return stream;
            }
        }
    }
}

async fn with_peer() -> (Connection, Peer) {
    const PREFACE_BYTES: usize = 24;
    let (connection, theirs) = connect().await;
    let mut peer = Peer(theirs);
    peer.0.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
    // A window that holds the whole question.
    peer.send(SETTINGS, 0, &[0, 4, 0x00, 0x10, 0, 0]).await;
    const WINDOW_UPDATE: u8 = 8;
    peer.send(WINDOW_UPDATE, 0, &(1u32 << 20).to_be_bytes()).await;
    (connection, peer)
}

/// What a call ends with to which the peer says this.
async fn told(answer: impl AsyncFnOnce(&mut Peer, u32)) -> (Missed, Connection) {
    let (connection, mut peer) = with_peer().await;
    let peers = async {
        let stream = peer.call().await;
        answer(&mut peer, stream).await;
        // What it said is to be heard before it goes.
        peer
    };
    let (missed, _peer) = tokio::join!(ask(&connection, LONG), peers);
    (missed.unwrap_err(), connection)
}

fn reset(reason: u32) -> [u8; 4] {
    reason.to_be_bytes()
}

fn goaway(last: u32, reason: u32) -> Vec<u8> {
    [last.to_be_bytes(), reason.to_be_bytes()].concat()
}

/// The one dangerous confusion: what the server may have acted upon is never said to be not sent.
#[tokio::test]
async fn only_what_the_server_says_it_left_alone_was_not_sent() {
    const INTERNAL_ERROR: u32 = 2;
    const REFUSED_STREAM: u32 = 7;
    const ENHANCE_YOUR_CALM: u32 = 11;
    let not_sent = |missed: Missed| assert!(matches!(missed, Missed::NotSent(_)), "{missed:?}");
    let unanswered = |missed: Missed| assert!(matches!(missed, Missed::Unanswered(_)), "{missed:?}");
    not_sent(told(async |peer, stream| peer.send(RST_STREAM, stream, &reset(REFUSED_STREAM)).await).await.0);
    not_sent(told(async |peer, _| peer.send(GOAWAY, 0, &goaway(0, 0)).await).await.0);
    not_sent(told(async |peer, _| peer.send(GOAWAY, 0, &goaway(0, ENHANCE_YOUR_CALM)).await).await.0);
    unanswered(told(async |peer, stream| peer.send(RST_STREAM, stream, &reset(INTERNAL_ERROR)).await).await.0);
    unanswered(told(async |peer, _| peer.0.shutdown().await.unwrap()).await.0);
    let other = told(async |peer, _| peer.0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap()).await.0;
    assert!(matches!(other, Missed::Stranger(_)), "{other:?}");
    let seen = told(async |peer, stream| {
        peer.send(GOAWAY, 0, &goaway(stream, ENHANCE_YOUR_CALM)).await;
        peer.0.shutdown().await.unwrap();
    });
    unanswered(seen.await.0);
}

#[tokio::test]
async fn a_connection_that_ends_takes_no_more_calls() {
    let (_, connection) = told(async |peer, _| peer.send(GOAWAY, 0, &goaway(0, 0)).await).await;
    tokio::time::timeout(LONG, connection.closed()).await.expect("it was said to go away");
    assert!(matches!(ask(&connection, LONG).await, Err(Missed::NotSent(_))));
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let (connection, _silent) = with_peer().await;
    let missed = ask(&connection, SHORT).await;
    assert!(matches!(missed, Err(Missed::Unanswered(_))), "{missed:?}");
    assert!(connection.is_closed());
}

/// A member that lost the others says of each call that it took too long.
#[tokio::test]
async fn who_only_says_that_it_is_late_is_given_up() {
    let (connection, theirs) = connect().await;
    let late: &[(&str, &str)] = &[("grpc-status", "4"), ("grpc-message", "context deadline exceeded")];
    let serving = serve(theirs, Script { head: head(200, &[GRPC]), data: Vec::new(), trailers: late });
    let missed = ask(&connection, LONG).await;
    serving.abort();
    assert!(matches!(&missed, Err(Missed::Refused(status)) if status.code == 4), "{missed:?}");
    assert!(connection.is_closed());
}

/// While others are answered, a call that is not answered in time says nothing of the connection.
#[tokio::test]
async fn a_slow_call_is_not_taken_for_a_silent_connection() {
    // A machine with much else to do may take long to answer the others; then it is given longer.
    for within in [SHORT, 10 * SHORT, 100 * SHORT] {
        let (connection, theirs) = connect().await;
        let serving = tokio::spawn(answer_but_the_slow(theirs));
        let question = question();
        let slow = connection.call::<AuthenticateResponse>(SLOW, &question, None, clock::now() + within);
        let (late, answered) = tokio::join!(slow, ask(&connection, within));
        assert!(matches!(late, Err(Missed::Unanswered(_))), "{late:?}");
        let closed = connection.is_closed();
        serving.abort();
        if answered.is_ok() {
            assert!(!closed, "others were answered");
            return;
        }
    }
    panic!("nothing is answered in time on this machine");
}

/// The path of what is not answered.
const SLOW: &str = "/etcdserverpb.Auth/Slow";

/// Answers whatever is asked by [`PATH`], and nothing else.
async fn answer_but_the_slow(io: DuplexStream) {
    let mut server = server::handshake(io).await.unwrap();
    let mut kept = Vec::new();
    while let Some(Ok((request, mut reply))) = server.accept().await {
        if request.uri().path() == SLOW {
            kept.push((request, reply));
            continue;
        }
        let mut body = reply.send_response(head(200, &[GRPC]), false).unwrap();
        body.send_data(token("t"), false).unwrap();
        body.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]))
            .unwrap();
    }
}

#[test]
fn messages_come_out_of_any_pieces() {
    let whole = [token("one"), token(""), token(&"x".repeat(70_000))].concat();
    for size in [1, 2, 5, 7, 4096, whole.len()] {
        let (mut frames, mut told) = (Frames::default(), Vec::new());
        for piece in whole.chunks(size) {
            frames.add(piece);
            while let Some(message) = frames.next().unwrap() {
                told.push(decode::<AuthenticateResponse>(message).unwrap().token.len());
            }
        }
        assert_eq!((told, frames.is_empty()), (vec![3, 0, 70_000], true), "in pieces of {size}");
    }
}
