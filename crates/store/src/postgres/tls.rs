//! TLS as the driver wants to be given it: over our own, whose refusals are sentences.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use steadfast_host::Host;
use steadfast_host::net::{Address, Stream};
use steadfast_host::tls::Client;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Goes over TLS once the server has said that it can.
pub(super) struct Over(Option<(Client, Host)>);

/// A connection inside TLS.
pub(super) struct Inside(Stream);

impl Over {
    /// To `place`; without `tls`, in the open.
    pub(super) fn new(tls: Option<&Client>, place: &Address) -> Over {
        match (tls, place) {
            (Some(client), Address::Tcp { host, .. }) => Over(Some((client.clone(), host.clone()))),
            _ => Over(None),
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }
}

impl TlsConnect<Stream> for Over {
    type Stream = Inside;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Inside>> + Send>>;

    fn connect(self, stream: Stream) -> Self::Future {
        Box::pin(async move {
            match (self.0, stream) {
                (Some((client, host)), Stream::Tcp(tcp)) => client.connect(tcp, &host).await.map(Inside),
                _ => Err(io::Error::other("TLS goes over TCP, and was not asked for here")),
            }
        })
    }
}

impl TlsStream for Inside {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Inside {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Inside {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
