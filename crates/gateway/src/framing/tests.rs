use http::Uri;

use super::*;

mod hypers;

/// Numbers below the one it is given, the same ones in each run.
pub(crate) fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

const LIMITS: Limits = Limits { line: 100, head: 400, fields: 5 };

/// Where requests end in bytes that come in pieces, and what is wrong with what follows the last. A head that is not
/// complete is shown again, as the intake does.
fn ends(bytes: &[u8], pieces: usize) -> (Vec<usize>, Option<Fault>) {
    let mut framing = Framing::new(LIMITS);
    let (mut ends, mut read, mut here) = (Vec::new(), 0, 0);
    while here < bytes.len() {
        here = (here + pieces).min(bytes.len());
        while read < here {
            match framing.step(&bytes[read..here]) {
                Ok(Step::More) => break,
                Ok(Step::Pass(count)) => read += count,
                Ok(Step::End(count)) => {
                    read += count;
                    ends.push(read);
                }
                Err(fault) => return (ends, Some(fault)),
            }
        }
    }
    (ends, None)
}

/// All that was refused of a head, in whatever pieces it comes.
#[track_caller]
fn refused(bytes: &[u8]) -> &'static str {
    let (found, fault) = ends(bytes, usize::MAX >> 1);
    let shown = String::from_utf8_lossy(bytes);
    let Some(Fault::Head(refused)) = fault else { panic!("{shown:?}: {fault:?}") };
    assert_eq!(found, [] as [usize; 0], "{shown:?}");
    for pieces in [1, 2, 3, 7, 50] {
        let (_, again) = ends(bytes, pieces);
        assert!(matches!(again, Some(Fault::Head(_))), "{shown:?} in pieces of {pieces}: {again:?}");
    }
    refused.reason
}

#[track_caller]
fn one(head: &str, body: &str) {
    let bytes = format!("{head}{body}");
    let behind = format!("{bytes}GET / HTTP/1.1\r\n");
    for pieces in [1, 2, 3, 7, 50, 1_000] {
        assert_eq!(ends(bytes.as_bytes(), pieces), (vec![bytes.len()], None), "{bytes:?} in pieces of {pieces}");
        assert_eq!(ends(behind.as_bytes(), pieces), (vec![bytes.len()], None), "{behind:?} in pieces of {pieces}");
    }
}

#[test]
fn a_request_ends_where_its_head_says() {
    for (fields, body) in [
        ("", ""),
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: 5\r\n", "hello"),
        ("content-LENGTH:5\r\n", "\r\n\r\n\r"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding:CHUNKED \r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "05;x=y\r\nhello\r\n1\r\n\n\r\n00\r\nA: b\r\nC:\r\n\r\n"),
        ("Content-Encoding: x\r\nTransfer-Length: 5\r\n", ""),
    ] {
        one(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), body);
    }
    one("\r\nGET / HTTP/1.1\r\n\r\n", "");
    one("GET / HTTP/1.0\r\n\r\n", "");
    one("GET /?%20ü HTTP/1.1\r\nX: \u{fc}\t \r\n\r\n", "");
    one("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "");
}

#[test]
fn a_head_of_two_meanings_is_refused_as_soon_as_it_shows() {
    for (bytes, reason) in [
        ("\u{1}", "not-http"),
        ("\0", "not-http"),
        ("{\"json\": true}\n", "not-http"),
        ("GET /\u{1}", "bad-line"),
        ("GET / HTTP/1.1\r\nX: \0", "bad-line"),
        ("GET / HTTP/1.1\n", "bad-line"),
        ("GET / HTTP/1.1\r\nX: y\n", "bad-line"),
        ("GET / HTTP/1.1\r\rX", "bad-line"),
        ("GET / HTTP/3.0\r\n", "http-version"),
        ("GET / HTTPS/1.1\r\n", "not-http"),
        ("GET x HTTP/1.1 HTTP/1.1\r\n", "bad-target"),
        ("GET / HTTP/1.1\r\n X: y\r\n", "bad-field"),
        ("GET / HTTP/1.1\r\nX : y\r\n", "bad-field"),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "ambiguous-length"),
        ("GET / HTTP/1.1\r\nContent-Length: 01\r\n", "bad-length"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "ambiguous-length"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: a, chunked\r\n", "unknown-transfer-coding"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: a b, chunked\r\n", "bad-transfer-coding"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked, a\r\n", "bad-transfer-coding"),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "bad-transfer-coding"),
    ] {
        assert_eq!(refused(bytes.as_bytes()), reason, "{bytes:?}");
    }
}

#[test]
fn a_head_has_its_limits() {
    let (long, fits) = ("x".repeat(500), "x".repeat(86));
    assert_eq!(refused(format!("GET /{long}").as_bytes()), "uri-too-long");
    assert_eq!(refused(format!("GET /{long} HTTP/1.1\r\n").as_bytes()), "uri-too-long");
    assert_eq!(refused(format!("GET /{fits}x HTTP/1.1\r\n").as_bytes()), "uri-too-long");
    assert_eq!(refused(format!("GET / HTTP/1.1\r\nX: {long}").as_bytes()), "head-too-large");
    assert_eq!(refused(format!("GET / HTTP/1.1\r\nX: {long}\r\n").as_bytes()), "head-too-large");
    assert_eq!(refused(format!("GET / HTTP/1.1\r\n{}", "X:\r\n".repeat(6)).as_bytes()), "head-too-large");
    one(&format!("GET /{fits} HTTP/1.1\r\n\r\n"), "");
    one(&format!("GET / HTTP/1.1\r\n{}\r\n", "X:\r\n".repeat(5)), "");
    let head = "GET / HTTP/1.1\r\nX: \r\n\r\n";
    let most = head.replace("X: ", &format!("X: {}", "y".repeat(400 - head.len())));
    one(&most, "");
    assert_eq!(refused(most.replace("X: ", "X:  ").as_bytes()), "head-too-large");
}

#[test]
fn a_chunked_body_is_read_as_it_is_written() {
    let broken = |body: &str| {
        let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        for pieces in [1, 3, 1_000_000] {
            let (found, fault) = ends(bytes.as_bytes(), pieces);
            assert!(found.is_empty() && matches!(fault, Some(Fault::Body(_))), "{body:?}: {found:?} {fault:?}");
        }
    };
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\r1",
        "1;\n",
        "1;\0",
        ";\r\n",
        "00000000000000001\r\n",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\r\r",
        "0\r\n\n",
        "0\r\n\r\r",
        "0\r\n x\r\n",
        "0\r\n:\r\n",
        "0\r\nx\r\n",
        "0\r\nx y: z\r\n",
        "0\r\nx: y\n",
        "0\r\nx: \0\r\n",
        "0\r\nx: y\rz",
    ] {
        broken(body);
    }
    broken(&format!("1;{}\r\n", "x".repeat(256)));
    broken(&format!("0\r\n{}", "x:\r\n".repeat(6)));
    broken(&format!("0\r\nx: {}", "y".repeat(400)));
}

/// The largest size there is ends nothing early.
#[test]
fn a_large_body_ends_late() {
    let mut framing = Framing::new(LIMITS);
    let head = b"POST / HTTP/1.1\r\nContent-Length: 999999999999999999\r\n\r\n";
    assert_eq!(framing.step(head), Ok(Step::Pass(head.len())));
    assert_eq!(framing.step(&[b'x'; 1_000]), Ok(Step::Pass(1_000)));
    let mut framing = Framing::new(LIMITS);
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(framing.step(head), Ok(Step::Pass(head.len())));
    assert_eq!(framing.step(b"ffffffffffffffff\r\n"), Ok(Step::Pass(18)));
    assert_eq!(framing.step(&[b'0'; 1_000]), Ok(Step::Pass(1_000)));
}

/// hyper must be able to read every target that passes.
#[test]
fn a_target_that_passes_is_a_target_to_hyper() {
    for byte in 0..=u8::MAX {
        for target in [&[b'/', byte][..], &[b'/', b'?', byte], &[byte], &[b'a', byte], b"http://a", &[b'/', 0xc3, byte]]
        {
            let bytes = [b"GET ", target, b" HTTP/1.1\r\n\r\n"].concat();
            if ends(&bytes, 1_000).1.is_none() && byte != b' ' {
                assert!(Uri::try_from(target).is_ok(), "{target:?}");
            }
        }
        let method = [b"A", &[byte][..]].concat();
        let bytes = [&method, &b" / HTTP/1.1\r\n\r\n"[..]].concat();
        if ends(&bytes, 1_000).1.is_none() && byte != b' ' {
            assert!(http::Method::from_bytes(&method).is_ok(), "{method:?}");
        }
    }
}
