//! Where each request of a connection begins and ends, told from its bytes before anybody else reads them.
//!
//! hyper reads requests well, and more generously than a gateway may: lines that end in a bare LF, two lengths, a length
//! beside a transfer coding, codings it does not know. Somebody else on the way (the proxy in front, the application
//! behind) reads such bytes differently, and sees requests that this gateway did not see. So every byte of a client
//! passes here first. What has one meaning goes on unchanged; what has two is refused ([`Refused`]) before any of it was
//! seen by hyper, by routes or by an instance.
//!
//! Nothing here waits, allocates or reads a clock. [`head`] knows lines and fields, [`chunks`] knows the chunked coding
//! (RFC 9112), and [`Framing`] which of them is next.

mod chunks;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod head;

use http::StatusCode;

use chunks::Chunks;
use head::Head;

use crate::limit::Limit;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) detail: &'static str,
    /// The limit that it ran into, if that is why.
    pub(crate) limit: Option<Limit>,
}

impl Refused {
    /// A request that can never be right.
    pub(crate) const fn bad(reason: &'static str, detail: &'static str) -> Refused {
        Refused { status: StatusCode::BAD_REQUEST, reason, detail, limit: None }
    }
}

/// How much of a head there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the first line. Beyond: 414 `uri-too-long`.
    pub(crate) line: usize,
    /// Bytes of the whole. Beyond: 431 `head-too-large`.
    pub(crate) head: usize,
    /// Fields. Beyond: 431 `head-too-large`.
    pub(crate) fields: usize,
}

/// How far the bytes of a connection have been told apart.
#[derive(Debug)]
pub(crate) struct Framing {
    limits: Limits,
    part: Part,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Part {
    Head(Head),
    /// A body of which so many bytes are still to come.
    Length(u64),
    Chunks(Chunks),
}

/// What is known of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A head that is not complete yet: show them again, with more behind.
    More,
    /// So many of them belong to the request under way.
    Pass(usize),
    /// So many of them do, and it ends with the last of these.
    End(usize),
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A request's head: nobody has seen anything of it.
    Head(Refused),
    /// The body of a request whose head was passed.
    Body(&'static str),
}

/// The body that a head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Nothing,
    Length(u64),
    Chunks,
}

impl Framing {
    pub(crate) fn new(limits: Limits) -> Framing {
        Framing { limits, part: Part::Head(Head::default()) }
    }

    /// Tells the next bytes apart; there is at least one. Of a head all of it is shown each time until it is complete.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        match &mut self.part {
            Part::Head(head) => match head.scan(bytes, &self.limits).map_err(Fault::Head)? {
                None => Ok(Step::More),
                Some(end) => Ok(self.begin_body(end.announced, end.bytes)),
            },
            Part::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                Ok(if *left == 0 { self.end(here) } else { Step::Pass(here) })
            }
            Part::Chunks(chunks) => {
                let (read, ended) = chunks.scan(bytes, &self.limits).map_err(Fault::Body)?;
                Ok(if ended { self.end(read) } else { Step::Pass(read) })
            }
        }
    }

    fn begin_body(&mut self, announced: Announced, head: usize) -> Step {
        self.part = match announced {
            Announced::Nothing | Announced::Length(0) => return self.end(head),
            Announced::Length(length) => Part::Length(length),
            Announced::Chunks => Part::Chunks(Chunks::default()),
        };
        Step::Pass(head)
    }

    fn end(&mut self, bytes: usize) -> Step {
        self.part = Part::Head(Head::default());
        Step::End(bytes)
    }
}

/// RFC 9110 §5.6.2: what names are made of.
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~')
}

/// A byte that stands nowhere in a line.
const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

#[cfg(test)]
pub(crate) mod tests;
