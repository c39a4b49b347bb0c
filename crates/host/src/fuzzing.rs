//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

use bytes::Bytes;

use crate::http::lines::Lines;
use crate::http::{HeaderMap, HeaderValue, Method, Peer, Request, StatusCode, header, percent_decode, percent_encode};
use crate::problem::{MEDIA_TYPE, Problem};

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[("http_request", http_request), ("http_lines", http_lines), ("problem", problem)];

/// A path and a query, decoded: as one who takes apart first and decodes each part then.
pub fn http_request(data: &[u8]) {
    let encoded = percent_encode(data);
    assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)), "{encoded:?}");
    assert_eq!(percent_decode(&encoded).as_deref(), Some(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(percent_decode(text), slow_decode(text));
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let request = Request {
        method: Method::GET,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        peer: Peer::Unix { pid: None },
    };
    let decoded = |text: &str| String::from_utf8(slow_decode(text)?).ok();
    let segments: Option<Vec<String>> = path.strip_prefix('/').unwrap_or(path).split('/').map(decoded).collect();
    assert_eq!(request.segments(), segments);
    let mut pairs = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let form = |text: &str| decoded(&text.replace('+', "%20"));
        pairs.extend(form(name).zip(form(value)));
    }
    assert_eq!(request.query_pairs(), pairs);
    for (name, value) in &pairs {
        let only = pairs.iter().filter(|(other, _)| other == name).count() == 1;
        assert_eq!(request.query_value(name), only.then(|| value.clone()), "{name:?}");
    }
}

/// `%XX` by XX, in pieces.
fn slow_decode(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.as_bytes().split(|byte| *byte == b'%');
    let mut bytes = pieces.next()?.to_vec();
    for piece in pieces {
        let digits =
            std::str::from_utf8(piece.get(..2)?).ok().filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(&piece[2..]);
    }
    Some(bytes)
}

/// The longest line that is taken here, in bytes.
const LINE_BYTES: usize = 32;

/// The lines of a stream are the same however it arrives: whole, or in the pieces that the first byte says.
pub fn http_lines(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = lines(std::iter::once(stream));
    let pieces = lines(stream.chunks(1 + usize::from(*size % 16)));
    assert_eq!(whole, pieces);
    let mut slow = Vec::new();
    // A line's end is no line; what stands behind the last one is, unless it is nothing.
    let mut rest = stream;
    while !rest.is_empty() {
        let (line, tail) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        if line.len() > LINE_BYTES {
            slow.push(None);
            break;
        }
        slow.push(Some(line.to_vec()));
        rest = tail;
    }
    assert_eq!(whole, slow);
}

/// What is told of a stream that arrives so; `None` for a line that is too long, which is the last.
fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    let mut lines = Lines::new(LINE_BYTES);
    let mut told = Vec::new();
    for piece in pieces {
        lines.arrived(piece);
        loop {
            match lines.line() {
                Ok(Some(line)) => told.push(Some(line.to_vec())),
                Ok(None) => break,
                Err(_) => return [told, vec![None]].concat(),
            }
        }
    }
    match lines.last() {
        Ok(last) => told.extend(last.map(|line| Some(line.to_vec()))),
        Err(_) => told.push(None),
    }
    told
}

/// A status in two bytes, a line for `Retry-After`, and an answer's body: what is read as a problem is written as one
/// that is read as the same.
pub fn problem(data: &[u8]) {
    let [high, low, rest @ ..] = data else { return };
    let Ok(status) = StatusCode::from_u16(u16::from_be_bytes([*high, *low])) else { return };
    let (wait, body) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Ok(wait) = HeaderValue::from_bytes(wait) {
        headers.insert(header::RETRY_AFTER, wait);
    }
    let Some(problem) = Problem::of(status, &headers, &Bytes::copy_from_slice(body)) else {
        assert!(status.as_u16() < 400);
        return;
    };
    assert_eq!(problem.status, status.as_u16(), "what the document says of the status does not count");
    let response = crate::http::Response::from(problem.clone());
    let body = response.body().cloned().unwrap_or_default();
    let again = Problem::of(response.status, &response.headers, &body).expect("it was a problem");
    let title = if problem.title.is_empty() { again.title.clone() } else { problem.title.clone() };
    assert_eq!(again, Problem { title, ..problem });
}

#[cfg(test)]
mod tests;
