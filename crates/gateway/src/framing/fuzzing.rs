//! A connection's bytes, beside the parser that reads them next and one that takes its time.

use super::{Fault, Framing, Limits, Step};

const LIMITS: Limits = Limits { line: 200, head: 1_000, fields: 20 };

/// The bytes of a connection, which arrive whole or in the pieces that the first byte says: the same is told apart. Of
/// each request that passes, hyper's parser reads the same head as a slow one, it has one length, and ends where that says.
pub fn framing(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = tell(std::iter::once(stream));
    let pieces = tell(stream.chunks(1 + usize::from(*size % 24)));
    assert_eq!(whole, pieces, "{}", stream.escape_ascii());
    let mut begin = 0;
    for request in &whole.requests {
        let head = &stream[begin..request.head_end];
        let body = &stream[request.head_end..request.end.unwrap_or(stream.len())];
        check(head, body, request.end.is_some());
        begin = request.end.unwrap_or(stream.len());
    }
}

/// Where requests begin and end; the last one may be under way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    requests: Vec<Bounds>,
    /// What ended it, if anything did: a head, or a body.
    fault: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Bounds {
    head_end: usize,
    end: Option<usize>,
}

fn tell<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Told {
    let (mut framing, mut told) = (Framing::new(LIMITS), Told::default());
    let (mut waiting, mut at, mut in_body) = (Vec::new(), 0, false);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while !waiting.is_empty() {
            let (here, ends) = match framing.step(&waiting) {
                Ok(Step::More) => break,
                Ok(Step::Pass(here)) => (here, false),
                Ok(Step::End(here)) => (here, true),
                Err(fault) => {
                    told.fault = Some(if matches!(fault, Fault::Head(_)) { "head" } else { "body" });
                    assert_eq!(told.fault == Some("body"), in_body);
                    return told;
                }
            };
            assert!((1..=waiting.len()).contains(&here), "nothing passes for ever");
            at += here;
            waiting.drain(..here);
            match told.requests.last_mut().filter(|_| in_body) {
                Some(request) => request.end = ends.then_some(at),
                None => told.requests.push(Bounds { head_end: at, end: ends.then_some(at) }),
            }
            in_body = !ends;
        }
    }
    told
}

fn check(head: &[u8], body: &[u8], complete: bool) {
    assert!(head.len() <= LIMITS.head + 2, "a head of {} bytes passes", head.len());
    let slow = Slow::of(head);
    let mut fields = [httparse::EMPTY_HEADER; LIMITS.fields];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(head), Ok(httparse::Status::Complete(head.len())), "{}", head.escape_ascii());
    assert_eq!(request.method.map(str::as_bytes), Some(slow.method));
    assert_eq!(request.path.map(str::as_bytes), Some(slow.target));
    assert_eq!(request.version, Some(u8::from(slow.version == b"HTTP/1.1")));
    let read: Vec<(&[u8], &[u8])> = request.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!(read, slow.fields);
    assert!(http::Method::from_bytes(slow.method).is_ok() && http::Uri::try_from(slow.target).is_ok());
    let named =
        |name: &'static str| slow.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
    let (mut lengths, mut codings) = (named("content-length"), named("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => assert!(complete && body.is_empty()),
        (Some((_, length)), None) => {
            let length: usize = std::str::from_utf8(length).expect("digits").parse().expect("a number");
            assert!(if complete { body.len() == length } else { body.len() < length });
        }
        (None, Some((_, coding))) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked") && slow.version == b"HTTP/1.1");
            if complete {
                assert_eq!(chunks(body), Some(body.len()), "{}", body.escape_ascii());
            }
        }
        (Some(_), Some(_)) => panic!("a length and a coding"),
    }
    assert!(lengths.next().is_none() && codings.next().is_none(), "a length is said twice");
}

/// A head, taken apart at its line ends.
struct Slow<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Slow<'a> {
    fn of(head: &'a [u8]) -> Slow<'a> {
        let text = head.strip_prefix(b"\r\n").unwrap_or(head).strip_suffix(b"\r\n\r\n").expect("a head ends so");
        let mut lines = Vec::new();
        let mut rest = text;
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            lines.push(&rest[..end]);
            rest = &rest[end + 2..];
        }
        lines.push(rest);
        assert!(lines.iter().flat_map(|line| line.iter()).all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        let mut words = lines[0].split(|byte| *byte == b' ');
        let mut word = || words.next().expect("three words");
        let (method, target, version) = (word(), word(), word());
        assert!(words.next().is_none(), "a target has no spaces");
        let fields = lines[1..].iter().map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            (&line[..colon], blankless(&line[colon + 1..]))
        });
        Slow { method, target, version, fields: fields.collect() }
    }
}

fn blankless(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Where a body in chunks ends.
fn chunks(body: &[u8]) -> Option<usize> {
    let line = |from: usize| Some(from + body.get(from..)?.windows(2).position(|two| two == b"\r\n")?);
    let mut at = 0;
    loop {
        let end = line(at)?;
        let size = body[at..end].split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        at = end + 2;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?;
        if body.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    while body.get(at..at + 2)? != b"\r\n" {
        at = line(at)? + 2;
    }
    Some(at + 2)
}
