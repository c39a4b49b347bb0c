//! Bodies of answers: whole, or produced while they are sent.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::shutdown::Shutdown;

/// How many chunks wait between a producer and the socket. A producer that is ahead of its reader waits. It runs whenever
/// a chunk is taken, so more would gain nothing, and cost memory for each reader that does not read.
const QUEUED_CHUNKS: usize = 1;

/// The body of an answer, and what is kept as long as it is there.
pub(crate) struct Answer(Kind, Option<Box<dyn std::any::Any + Send>>);

enum Kind {
    Whole(Option<Bytes>),
    Streamed(Streamed),
}

struct Streamed {
    /// None once it has ended.
    producer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    chunks: mpsc::Receiver<Bytes>,
    /// Resolves when the server stops. None where no server has the answer yet.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The reader of a stream is gone; nothing written arrives any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader is gone")]
pub struct Gone;

/// Where the producer of a streamed answer writes.
#[derive(Clone, Debug)]
pub struct Sink(mpsc::Sender<Bytes>);

impl Sink {
    /// Sends a chunk, waiting while [the queue](QUEUED_CHUNKS) is full.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn send(&self, chunk: impl Into<Bytes>) -> Result<(), Gone> {
        let chunk = chunk.into();
        // An empty chunk would be the end of a chunked body.
        if chunk.is_empty() {
            return Ok(());
        }
        self.0.send(chunk).await.map_err(|_| Gone)
    }

    /// Sends a value as one line of JSON (NDJSON).
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn send_json(&self, value: &impl serde::Serialize) -> Result<(), Gone> {
        let mut line = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "cannot write a line as JSON");
            Gone
        })?;
        line.push(b'\n');
        self.send(line).await
    }
}

impl Answer {
    pub(crate) fn whole(bytes: Bytes) -> Answer {
        Answer(Kind::Whole(Some(bytes)), None)
    }

    pub(crate) fn streamed<F, Fut>(produce: F) -> Answer
    where
        F: FnOnce(Sink) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (sender, chunks) = mpsc::channel(QUEUED_CHUNKS);
        let producer: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(produce(Sink(sender)));
        Answer(Kind::Streamed(Streamed { producer: Some(producer), chunks, stopped: None }), None)
    }

    pub(crate) fn keeping(mut self, what: impl Send + 'static) -> Answer {
        self.1 = Some(Box::new((what, self.1.take())));
        self
    }

    pub(crate) fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => bytes.as_ref(),
            Kind::Streamed(_) => None,
        }
    }

    /// A stream ends when `shutdown` begins; a whole body is sent to its end.
    pub(crate) fn ending_with(mut self, shutdown: &Shutdown) -> Answer {
        if let Kind::Streamed(streamed) = &mut self.0 {
            let shutdown = shutdown.clone();
            streamed.stopped = Some(Box::pin(async move { shutdown.requested().await }));
        }
        self
    }
}

impl Streamed {
    /// The producer runs inside the connection that sends its chunks, so that it lives exactly as long.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.stopped.as_mut().is_some_and(|stopped| stopped.as_mut().poll(cx).is_ready()) {
            self.stopped = None;
            self.producer = None;
            self.chunks.close();
        }
        if let Some(producer) = &mut self.producer
            && producer.as_mut().poll(cx).is_ready()
        {
            self.producer = None;
        }
        self.chunks.poll_recv(cx)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty())),
            Kind::Streamed(streamed) => streamed.poll_chunk(cx),
        };
        chunk.map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streamed(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "{bytes:?}"),
            Kind::Streamed(_) => f.write_str("a stream"),
        }
    }
}
