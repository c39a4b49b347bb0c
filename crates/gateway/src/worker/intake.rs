//! A client's bytes on their way to hyper: told apart by [`crate::framing`], and one request at a time.
//!
//! What comes behind a request waits here until that one is answered, unread by anybody. So a request behind one that
//! was refused is never looked at, an answer to a bad head is written behind those of its predecessors, and what a
//! client says before its upgrade was granted is not taken for a request.
//!
//! To refuse a head, hyper is shown [`REFUSAL`] in its place: it is answered in its turn as every other request, with
//! what [`Intake::refused`] says, and the connection ends.

use std::io;

use tokio::io::ReadBuf;

use crate::framing::{Fault, Framing, Limits, Refused, Step};

/// What hyper reads in place of a head that is refused.
const REFUSAL: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// See the module.
#[derive(Debug)]
pub(crate) struct Intake {
    framing: Framing,
    /// Read, and not handed on yet: the beginning of a head, or what is behind the present request.
    held: Vec<u8>,
    /// So many of these may go on.
    cleared: usize,
    /// The last byte of the present request has gone on. So it has where there is none.
    complete: bool,
    /// The present request is answered. So is none at all.
    answered: bool,
    refused: Option<Refused>,
    /// What is wrong with the present request's body.
    broken: Option<&'static str>,
}

/// What the reader of a connection is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has something.
    Taken,
    /// Wait for the end of the request under way.
    Wait,
    /// Read on from the socket.
    Read,
}

impl Intake {
    pub(super) fn new(limits: Limits) -> Intake {
        Intake {
            framing: Framing::new(limits),
            held: Vec::new(),
            cleared: 0,
            complete: true,
            answered: true,
            refused: None,
            broken: None,
        }
    }

    /// Why the request that hyper shows now is to be refused.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Whether all of the request under way has gone on to hyper.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Refuses a head that is not whole, if there is none that is.
    pub(super) fn refuse(&mut self, refused: Refused) {
        if self.refused.is_none() && !self.waits() && self.complete {
            self.refused = Some(refused);
            self.keep(Vec::new());
        }
    }

    /// The request under way has been answered. True if there is something behind it.
    pub(super) fn end_turn(&mut self) -> bool {
        self.answered = true;
        !self.held.is_empty()
    }

    /// Whether the client has sent, or may still be sending, what nobody is going to read.
    pub(super) fn is_left_over(&self) -> bool {
        self.refused.is_some() || !self.complete || !self.held.is_empty()
    }

    /// What was read and not handed on, for whoever carries the connection on.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Before the socket is read: hands on what was read already.
    pub(super) fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<Next> {
        if self.cleared == 0 && !self.held.is_empty() && !self.waits() {
            let held = std::mem::take(&mut self.held);
            self.cleared = self.judge(&held);
            self.keep(held);
        }
        if self.cleared > 0 {
            let now = self.cleared.min(buf.remaining());
            buf.put_slice(&self.held[..now]);
            self.held.drain(..now);
            self.cleared -= now;
            if self.held.is_empty() {
                // A connection that says nothing more holds nothing more.
                self.held = Vec::new();
            }
            return Ok(Next::Taken);
        }
        if let Some(why) = self.broken {
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        // Where nothing waits, the socket is read all the same: a client that leaves is noticed.
        Ok(if self.waits() && (self.refused.is_some() || !self.held.is_empty()) { Next::Wait } else { Next::Read })
    }

    /// After the socket was read: leaves in the buffer what may go on. Whether that is anything.
    pub(super) fn take_in(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        let read = &buf.filled()[before..];
        let pass = if self.held.is_empty() && !self.waits() { self.judge(read) } else { 0 };
        let rest = &read[pass..];
        if !rest.is_empty() {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(rest);
            self.keep(held);
        }
        buf.set_filled(before + pass);
        pass > 0
    }

    /// Whether what comes next is not to be looked at: not yet, or never again. The reader of a body that was found to be
    /// wrong stands in the middle of it.
    fn waits(&self) -> bool {
        self.refused.is_some() || self.broken.is_some() || (self.complete && !self.answered)
    }

    fn keep(&mut self, held: Vec<u8>) {
        match self.refused {
            Some(_) if self.cleared == 0 => {
                self.held = REFUSAL.to_vec();
                self.cleared = REFUSAL.len();
            }
            _ => self.held = held,
        }
    }

    /// How many of the bytes may go on: those of one request at most.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut pass = 0;
        while pass < bytes.len() {
            let (here, ends) = match self.framing.step(&bytes[pass..]) {
                Ok(Step::More) => break,
                Ok(Step::Pass(here)) => (here, false),
                Ok(Step::End(here)) => (here, true),
                Err(Fault::Head(refused)) => {
                    self.refused = Some(refused);
                    break;
                }
                Err(Fault::Body(why)) => {
                    self.broken = Some(why);
                    break;
                }
            };
            if self.complete {
                // That was a head.
                self.answered = false;
            }
            self.complete = ends;
            pass += here;
            if ends {
                break;
            }
        }
        pass
    }
}

#[cfg(test)]
mod tests;
