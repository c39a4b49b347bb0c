//! hyper reads what passes, and sees the same requests in it: as many, with the same bodies.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// An answer without a body.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// The lengths of the bodies that hyper reads whole in these bytes, and what it answers.
async fn read_by_hyper(bytes: &[u8]) -> (Vec<usize>, String) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let read = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let read = read.clone();
        async move {
            let (mut length, mut body) = (0, request.into_body());
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(frame) = frame else { return Ok::<_, Infallible>(Response::new(Nothing)) };
                length += frame.data_ref().map_or(0, Bytes::len);
            }
            read.borrow_mut().push(length);
            Ok(Response::new(Nothing))
        }
    });
    // Half closed is not closed: every request is answered.
    let mut builder = Builder::new();
    builder.half_close(true).max_header_size(LIMITS.head);
    let _ = builder.serve_connection(TokioIo::new(server), service).await;
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    let read = read.borrow().clone();
    (read, answers)
}

/// The lengths of the bodies in what passes, and all that passes.
fn read_by_us(bytes: &[u8]) -> (usize, usize) {
    let mut framing = Framing::new(LIMITS);
    let (mut complete, mut read) = (0, 0);
    while read < bytes.len() {
        match framing.step(&bytes[read..]) {
            Ok(Step::Pass(count)) => read += count,
            Ok(Step::End(count)) => {
                read += count;
                complete += 1;
            }
            Ok(Step::More) | Err(_) => break,
        }
    }
    (complete, read)
}

#[test]
fn hyper_sees_the_requests_that_pass_and_no_others() {
    let seeds = [
        "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
        "\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ];
    let splices: [&[u8]; 14] = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"0",
        b";",
        b"\0",
        b"\xff",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"chunked, ",
        b"\r\n\r\n",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut random = random();
    let (mut requests, mut refused) = (0, 0);
    for round in 0..4_000 {
        let mut bytes: Vec<u8> = (0..=random(3)).flat_map(|_| seeds[random(seeds.len())].bytes()).collect();
        for _ in 0..random(4) {
            let at = random(bytes.len());
            match random(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = random(256) as u8,
                _ => drop(bytes.splice(at..at, splices[random(splices.len())].iter().copied())),
            }
        }
        let (complete, passed) = read_by_us(&bytes);
        let (seen, answers) = runtime.block_on(read_by_hyper(&bytes[..passed]));
        let shown = String::from_utf8_lossy(&bytes);
        // It takes no other request behind one of HTTP/1.0.
        let closes = passed > 0 && answers.contains("HTTP/1.0 ");
        assert!(seen.len() == complete || (closes && seen.len() < complete), "round {round}: {shown:?}: {answers}");
        assert!(
            !answers.contains("HTTP/1.1 4") && !answers.contains("HTTP/1.1 5"),
            "round {round}: {shown:?}: {answers}"
        );
        requests += complete;
        refused += usize::from(passed < bytes.len());
    }
    // The test tests something.
    assert!(requests > 2_000 && refused > 1_000, "{requests} requests, {refused} refusals");
}
