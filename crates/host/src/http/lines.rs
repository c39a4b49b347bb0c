//! Lines out of a stream, however it was cut on its way.

use bytes::{Buf, Bytes, BytesMut};

/// What arrived of a stream and was not given out.
#[derive(Debug)]
pub(crate) struct Lines {
    buffered: BytesMut,
    /// How many of these bytes are known to hold no line's end.
    searched: usize,
    limit: usize,
}

/// A line is longer than the limit.
#[derive(Debug)]
pub(crate) struct TooLong;

impl Lines {
    /// Of a stream whose lines are `limit` bytes long at most, without their ends.
    pub(crate) fn new(limit: usize) -> Lines {
        Lines { buffered: BytesMut::new(), searched: 0, limit }
    }

    /// The next piece of the stream.
    pub(crate) fn arrived(&mut self, piece: &[u8]) {
        self.buffered.extend_from_slice(piece);
    }

    /// The next line without its end (`\n` or `\r\n`); `None`: more must arrive first.
    pub(crate) fn line(&mut self) -> Result<Option<Bytes>, TooLong> {
        if let Some(at) = self.buffered[self.searched..].iter().position(|byte| *byte == b'\n') {
            let mut line = self.buffered.split_to(self.searched + at);
            self.buffered.advance(1);
            self.searched = 0;
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            return if line.len() > self.limit { Err(TooLong) } else { Ok(Some(line.freeze())) };
        }
        self.searched = self.buffered.len();
        // The first half of an end may be there already, and is none of the line's bytes.
        let end = usize::from(self.buffered.last() == Some(&b'\r'));
        if self.searched - end > self.limit { Err(TooLong) } else { Ok(None) }
    }

    /// At the end of the stream: a last line without an end, if there is one.
    pub(crate) fn last(&mut self) -> Result<Option<Bytes>, TooLong> {
        self.searched = 0;
        let last = self.buffered.split().freeze();
        if last.len() > self.limit { Err(TooLong) } else { Ok((!last.is_empty()).then_some(last)) }
    }

    /// Bytes that arrived and were not given out.
    pub(crate) fn waiting(&self) -> usize {
        self.buffered.len()
    }

    /// These bytes.
    pub(crate) fn rest(self) -> Bytes {
        self.buffered.freeze()
    }
}
