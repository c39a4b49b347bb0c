//! An answer's body, passed on piece by piece while the right to forward lasts.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::set::TargetHere;
use super::upstream::{Broken, Upstream, late};
use super::{ConnState, Worker};
use crate::body::{Content, Cut};
use crate::headers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    incoming: Incoming,
    /// Read ahead of the client.
    first: Option<Bytes>,
    /// None once the connection went back to its pool or ended.
    upstream: Option<Box<Upstream>>,
    here: Rc<TargetHere>,
    slot: usize,
    conn: Rc<ConnState>,
    worker: Rc<Worker>,
}

impl Relay {
    pub(crate) fn new(
        incoming: Incoming,
        upstream: Box<Upstream>,
        here: Rc<TargetHere>,
        slot: usize,
        conn: Rc<ConnState>,
        worker: Rc<Worker>,
    ) -> Relay {
        Relay { incoming, first: None, upstream: Some(upstream), here, slot, conn, worker }
    }

    /// Waits for the first piece of a body whose length was announced, before the client sees anything: an instance
    /// that dies between head and body has not answered yet, and the request may still be repeated. The usual small
    /// answer is whole by then, and its connection free for the next request before the client has the answer.
    pub(crate) async fn begin(mut self) -> Result<Content, Broken> {
        poll_fn(|cx| self.poll_begin(cx)).await?;
        Ok(match (self.first.take(), self.is_end_stream()) {
            (None, true) => Content::Empty,
            (Some(first), true) => Content::Whole(first),
            (first, false) => Content::Relayed(Box::new(Relay { first, ..self })),
        })
    }

    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.incoming.is_end_stream() {
            self.settle(cx);
            return Poll::Ready(Ok(()));
        }
        if self.incoming.size_hint().exact().is_none() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.first = frame.into_data().ok();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(None) => Poll::Ready(Ok(())),
            Poll::Ready(Some(Err(Cut::Lost))) => Poll::Ready(Err(Broken::Lost)),
            Poll::Ready(Some(Err(Cut::Client))) => Poll::Ready(Err(Broken::Body)),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(Broken::Sent)),
            Poll::Pending => late(&self.conn).map_or(Poll::Pending, |late| Poll::Ready(Err(late))),
        }
    }

    /// The next piece for the client.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let frame = self.poll_next(cx);
        if let Poll::Ready(Some(Err(why))) = &frame {
            // The client must see that this was not the end.
            self.upstream = None;
            self.conn.cut();
            if *why == Cut::Instance {
                self.here.broke();
            }
            self.worker.counters().cut.add_one();
            tracing::debug!(%why, instance = %self.here.target.instance, "an answer was cut");
        }
        frame
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if !self.conn.may_forward() {
            return Poll::Ready(Some(Err(Cut::Lost)));
        }
        let mut driven = false;
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(mut frame))) => {
                    if self.incoming.is_end_stream() {
                        self.settle(cx);
                    }
                    if let Some(trailers) = frame.trailers_mut() {
                        headers::clean_trailers(trailers);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                // Without the rest of its request, the instance has done nothing wrong.
                Poll::Ready(Some(Err(_))) => {
                    let cut = if self.conn.body_fault().is_some() { Cut::Client } else { Cut::Instance };
                    return Poll::Ready(Some(Err(cut)));
                }
                Poll::Ready(None) => {
                    self.settle(cx);
                    return Poll::Ready(None);
                }
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => driven = true,
            }
            if let Some(upstream) = &mut self.upstream
                && upstream.poll_drive(cx).is_ready()
            {
                self.upstream = None;
            }
        }
    }

    /// The answer is here whole: its connection may carry the next request, if the instance keeps it open.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if let Some(mut upstream) = self.upstream.take()
            && upstream.is_ready(cx)
            && let Some(pool) = self.here.pools.get(self.slot)
        {
            upstream.reused = true;
            pool.put(upstream, self.worker.tick.get());
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let left = self.incoming.size_hint();
        match (left.exact(), &self.first) {
            (Some(exact), Some(first)) => SizeHint::with_exact(exact + first.len() as u64),
            _ => left,
        }
    }
}
