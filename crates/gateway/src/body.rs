//! Bodies on their way: a request's to the instance, an answer's to the client. Streamed, never gathered.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::headers;
use crate::worker::{ConnState, Fault, Relay, Turn};

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the right to forward ended")]
    Lost,
    #[error("the client's body broke off")]
    Client,
    #[error("the instance's answer broke off")]
    Instance,
}

fn cleaned(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        headers::clean_trailers(trailers);
    }
    frame
}

/// The body of a request on its way to an instance, from its beginning.
#[derive(Debug)]
pub(crate) struct Carried {
    /// Where it comes from; there may be none.
    body: Option<Rc<RefCell<Kept>>>,
    /// How many of the pieces that are kept were sent.
    sent: usize,
    conn: Rc<ConnState>,
}

/// The body of a request, and what was read of it where it may have to be sent again.
#[derive(Debug)]
pub(crate) struct Kept {
    incoming: Incoming,
    size: SizeHint,
    chunks: Vec<Bytes>,
    room: usize,
    whole: bool,
}

impl Kept {
    /// Keeps up to `room` bytes.
    pub(crate) fn new(incoming: Incoming, room: usize) -> Kept {
        Kept { size: incoming.size_hint(), incoming, chunks: Vec::new(), room, whole: true }
    }

    /// Goes through once.
    pub(crate) fn once(incoming: Incoming) -> Kept {
        Kept { whole: false, ..Kept::new(incoming, 0) }
    }

    /// Whether everything read so far is still here.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What was not read of it.
    pub(crate) fn into_rest(self) -> Incoming {
        self.incoming
    }

    fn poll_frame(
        &mut self,
        sent: &mut usize,
        conn: &ConnState,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(chunk) = self.chunks.get(*sent) {
            *sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        let frame = ready!(poll_client(&mut self.incoming, conn, cx));
        match &frame {
            Some(Ok(frame)) => self.keep(frame, sent),
            Some(Err(_)) => self.whole = false,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn keep(&mut self, frame: &Frame<Bytes>, sent: &mut usize) {
        match frame.data_ref() {
            Some(data) if self.whole && data.len() <= self.room => {
                self.room -= data.len();
                self.chunks.push(data.clone());
                *sent += 1;
            }
            // Too much, or trailers: it goes through once.
            _ => {
                self.whole = false;
                self.chunks.clear();
                *sent = 0;
            }
        }
    }
}

/// The next piece of what the client sends. Notes in the connection's state that it is waited for, and how much came.
fn poll_client(
    incoming: &mut Incoming,
    conn: &ConnState,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
    if conn.body_fault().is_some() {
        return Poll::Ready(Some(Err(Cut::Client)));
    }
    let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
        conn.starve();
        return Poll::Pending;
    };
    conn.starve_no_more();
    Poll::Ready(frame.map(|frame| {
        let frame = frame.map_err(|_| {
            conn.blame_body(Fault::Broken);
            Cut::Client
        })?;
        // A piece that is too much goes nowhere: without its end, nobody takes what went before for the whole.
        conn.take_body(frame.data_ref().map_or(0, Bytes::len)).map_err(|_| Cut::Client)?;
        Ok(frame)
    }))
}

impl Carried {
    pub(crate) fn new(body: Option<Rc<RefCell<Kept>>>, conn: Rc<ConnState>) -> Carried {
        Carried { body, sent: 0, conn }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Between two attempts nobody waits for the client.
        self.conn.starve_no_more();
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Carried { body, sent, conn } = &mut *self;
        let Some(body) = body else { return Poll::Ready(None) };
        let frame = ready!(body.borrow_mut().poll_frame(sent, conn, cx));
        if !conn.may_forward() {
            return Poll::Ready(Some(Err(Cut::Lost)));
        }
        Poll::Ready(frame.map(|frame| frame.map(cleaned)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| {
            let body = body.borrow();
            self.sent == body.chunks.len() && body.incoming.is_end_stream()
        })
    }

    fn size_hint(&self) -> SizeHint {
        // Asked once, before the first byte.
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.borrow().size)
    }
}

/// The body of an answer on its way to the client, and the request it ends.
#[derive(Debug)]
pub(crate) struct Outgoing {
    content: Content,
    /// Held until hyper has taken the last byte: then the request is over.
    _turn: Turn,
}

#[derive(Debug)]
pub(crate) enum Content {
    Empty,
    Whole(Bytes),
    Relayed(Box<Relay>),
}

impl Content {
    /// Whether its length is not known beforehand.
    pub(crate) fn is_unbounded(&self) -> bool {
        matches!(self, Content::Relayed(relay) if relay.size_hint().exact().is_none())
    }
}

impl Outgoing {
    pub(crate) fn new(content: Content, turn: Turn) -> Outgoing {
        Outgoing { content, _turn: turn }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Relayed(relay) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(_) => false,
            Content::Relayed(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relayed(relay) => relay.size_hint(),
        }
    }
}
