//! A request's head, line by line (RFC 9112 §§ 2 to 5), each line looked at once however the bytes come.

use http::{StatusCode, Uri};
use memchr::memchr;

use super::{Announced, Limits, Refused, is_control, is_token};
use crate::limit::Limit;

/// How far a head was read, and what of it decides where its request ends.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the current line begins.
    line: usize,
    /// The end of that line is not before here.
    searched: usize,
    /// There was an empty line before the first one: one is overlooked (RFC 9112 §2.2).
    blank: bool,
    /// Once the first line was read: whether it says HTTP/1.1.
    version_11: Option<bool>,
    fields: usize,
    length: Option<u64>,
    chunked: bool,
}

/// A complete head.
#[derive(Debug)]
pub(super) struct End {
    /// How many bytes it has, the empty line at its end included.
    pub(super) bytes: usize,
    pub(super) announced: Announced,
}

const TOO_LONG: Refused = Refused {
    status: StatusCode::URI_TOO_LONG,
    reason: "uri-too-long",
    detail: "the first line of the request is longer than this gateway takes",
    limit: Some(Limit::RequestLine),
};
const TOO_LARGE: Refused = Refused {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    reason: "head-too-large",
    detail: "the head of the request has more bytes than this gateway takes",
    limit: Some(Limit::Head),
};
const TOO_MANY: Refused = Refused {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    reason: "head-too-large",
    detail: "the head of the request has more fields than this gateway takes",
    limit: Some(Limit::HeadFields),
};
const NOT_HTTP: Refused = Refused::bad("not-http", "this is not HTTP/1: expected a line such as GET /path HTTP/1.1");
const OTHER_VERSION: Refused = Refused {
    status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    reason: "http-version",
    detail: "this gateway speaks HTTP/1.1 and HTTP/1.0",
    limit: None,
};
const LINE_END: Refused = Refused::bad("bad-line", "each line of a head ends in CR LF, which stand nowhere else");
const TARGET: Refused = Refused::bad(
    "bad-target",
    "the request's target is not a path with a query, or an http URL, in UTF-8 (write other bytes as %XX, and no #)",
);
const FIELD: Refused = Refused::bad(
    "bad-field",
    "a field is a name of letters, digits and -, a colon right behind it, and a value on the same line without \
     control characters",
);
const LENGTH: Refused =
    Refused::bad("bad-length", "Content-Length is not a number of bytes in decimal digits, without leading zeros");
const LENGTHS: Refused = Refused::bad(
    "ambiguous-length",
    "the request says its length more than once: expected one Content-Length or one Transfer-Encoding",
);
const CODING: Refused = Refused::bad(
    "bad-transfer-coding",
    "Transfer-Encoding is to be chunked, once, in a request of HTTP/1.1: else nobody knows where the request ends",
);
const UNKNOWN_CODING: Refused = Refused {
    status: StatusCode::NOT_IMPLEMENTED,
    reason: "unknown-transfer-coding",
    detail: "this gateway knows no transfer coding but chunked",
    limit: None,
};

impl Head {
    /// Looks at what is new in `bytes`, which begin with the head's first one and of which some are new.
    pub(super) fn scan(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<End>, Refused> {
        if self.searched == 0 && bytes.first().is_some_and(|first| !is_token(*first) && !matches!(first, b'\r' | b'\n'))
        {
            return Err(NOT_HTTP);
        }
        let old = self.searched;
        while let Some(found) = bytes.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let (begin, end) = (self.line, self.searched + found);
            self.line = end + 1;
            self.searched = end + 1;
            if end >= limits.head {
                return Err(self.too_large(end - begin, limits));
            }
            let Some((b'\r', line)) = bytes[begin..end].split_last() else { return Err(LINE_END) };
            if self.version_11.is_some() && line.is_empty() {
                return Ok(Some(End { bytes: self.line, announced: self.announced()? }));
            }
            self.read(line, limits)?;
        }
        // A line's end may have come in two pieces.
        let new = &bytes[old.saturating_sub(1).max(self.line)..];
        self.searched = bytes.len();
        let line = bytes.len() - self.line;
        if bytes.len() > limits.head || (self.version_11.is_none() && line > limits.line.saturating_add(1)) {
            return Err(self.too_large(line, limits));
        }
        // Who speaks something else waits for an answer before it sends more: it is to hear ours now.
        if has_control(new.strip_suffix(b"\r").unwrap_or(new)) { Err(LINE_END) } else { Ok(None) }
    }

    fn too_large(&self, line: usize, limits: &Limits) -> Refused {
        if self.version_11.is_none() && line > limits.line { TOO_LONG } else { TOO_LARGE }
    }

    fn read(&mut self, line: &[u8], limits: &Limits) -> Result<(), Refused> {
        if self.version_11.is_some() {
            self.fields += 1;
            return if self.fields > limits.fields { Err(TOO_MANY) } else { self.field(line) };
        }
        if line.is_empty() && !self.blank {
            self.blank = true;
            return Ok(());
        }
        if line.len() > limits.line {
            return Err(TOO_LONG);
        }
        self.version_11 = Some(request_line(line)?);
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refused> {
        let (name, value) = memchr(b':', line).map(|colon| (&line[..colon], &line[colon + 1..])).ok_or(FIELD)?;
        // A line that begins with a space (a folded one) and a space before the colon are no names either.
        if name.is_empty() || !is_name(name) {
            return Err(FIELD);
        }
        if has_control(value) {
            return Err(if value.contains(&b'\r') { LINE_END } else { FIELD });
        }
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value.trim_ascii()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value.trim_ascii()),
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refused> {
        if self.length.is_some() {
            return Err(LENGTHS);
        }
        // Nineteen digits fit 64 bits, and leave room for a head.
        let is_number =
            matches!(value, [b'0'] | [b'1'..=b'9', ..]) && value.len() < 19 && value.iter().all(u8::is_ascii_digit);
        let number = || value.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        self.length = Some(is_number.then(number).ok_or(LENGTH)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Refused> {
        if value.eq_ignore_ascii_case(b"chunked") && !self.chunked {
            self.chunked = true;
            return Ok(());
        }
        let codings = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let names = codings().all(|one| !one.is_empty() && one.iter().all(|byte| is_token(*byte)));
        let ends_well =
            codings().next_back().is_some_and(is_chunked) && codings().filter(|one| is_chunked(one)).count() == 1;
        let unknown = names && ends_well && !self.chunked;
        Err(if unknown { UNKNOWN_CODING } else { CODING })
    }

    fn announced(&self) -> Result<Announced, Refused> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(LENGTHS),
            (None, true) if self.version_11 != Some(true) => Err(CODING),
            (None, true) => Ok(Announced::Chunks),
            (Some(length), false) => Ok(Announced::Length(length)),
            (None, false) => Ok(Announced::Nothing),
        }
    }
}

/// Without an end at the first one found, so that the compiler looks at many bytes at once.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | is_control(*byte))
}

/// Reads the first line; true: HTTP/1.1.
fn request_line(line: &[u8]) -> Result<bool, Refused> {
    let (rest, version_11) = match (line.strip_suffix(b" HTTP/1.1"), line.strip_suffix(b" HTTP/1.0")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(if is_of_other_version(line) { OTHER_VERSION } else { NOT_HTTP }),
    };
    let space = memchr(b' ', rest).ok_or(NOT_HTTP)?;
    if space == 0 || !is_name(&rest[..space]) {
        return Err(NOT_HTTP);
    }
    if is_target(&rest[space + 1..]) { Ok(version_11) } else { Err(TARGET) }
}

fn is_of_other_version(line: &[u8]) -> bool {
    matches!(line, [b'A'..=b'Z', .., b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// Whether hyper can read a target. What it is to be besides, `validate` says.
fn is_target(target: &[u8]) -> bool {
    let (path, query) = match memchr(b'?', target) {
        Some(mark) => (&target[..mark], &target[mark + 1..]),
        None => (target, &[][..]),
    };
    let reads = are_all(path, IN_PATH) && are_all(query, IN_QUERY);
    reads
        && (target.is_ascii() || str::from_utf8(target).is_ok())
        && (path.first() == Some(&b'/') || Uri::try_from(target).is_ok())
}

fn is_name(bytes: &[u8]) -> bool {
    are_all(bytes, IN_NAME)
}

fn are_all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |common, byte| common & CLASSES[usize::from(*byte)]) == class
}

const IN_NAME: u8 = 1;
const IN_PATH: u8 = 2;
const IN_QUERY: u8 = 4;

/// Which bytes may stand where. In a target: what browsers send unescaped, and bytes beyond ASCII, as they do in UTF-8.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = b'!';
    loop {
        let name = is_token(byte);
        let path = !matches!(byte, b'#' | b'<' | b'>' | b'`' | 0x7f);
        let query = !matches!(byte, b'"' | b'#' | b'<' | b'>' | 0x7f);
        classes[byte as usize] =
            if name { IN_NAME } else { 0 } | if path { IN_PATH } else { 0 } | if query { IN_QUERY } else { 0 };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};
