//! A TLS connection as a stream of bytes, which tells its user in words why the other side wanted none.
//!
//! With TLS 1.3 a client is done before the server has looked at its certificate, and hears of a refusal when it reads,
//! or, if the server hung up meanwhile, not even then. So a client's stream remembers, until the first byte has come,
//! whether the server asked for a certificate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, SignatureScheme};
use steadfast_core::Host;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Refused, sentence};

/// A TLS connection over TCP, of either side.
#[derive(Debug)]
pub struct TlsStream {
    inner: tokio_rustls::TlsStream<TcpStream>,
    /// On a client's side, until the server has said something.
    unheard: Option<Box<Unheard>>,
}

/// What a client can tell of a connection on which the server has not said anything yet.
#[derive(Debug)]
pub(super) struct Unheard {
    /// Host and port, as dialled.
    pub(super) peer: String,
    /// The name its certificate is to have.
    pub(super) name: Host,
    /// Whose authorities count.
    pub(super) trusted: String,
    pub(super) proof: Arc<Proof>,
}

/// What we can prove ourselves by, and whether the server asked for it.
#[derive(Debug)]
pub(super) struct Proof {
    own: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Proof {
    pub(super) fn of(own: Option<Arc<CertifiedKey>>) -> Arc<Proof> {
        Arc::new(Proof { own, asked: AtomicBool::new(false) })
    }

    pub(super) fn is_given(&self) -> bool {
        self.own.is_some()
    }

    /// Whether the server asked for what we do not have. Some servers ask, and do without.
    fn is_missing(&self) -> bool {
        self.own.is_none() && self.asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Proof {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.own.clone()
    }

    fn has_certs(&self) -> bool {
        self.own.is_some()
    }
}

impl Unheard {
    /// What ended the handshake, in words where it is about TLS.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        let why = match told(&error) {
            // Servers differ in how they say it, and some hang up without a word.
            Some(rustls::Error::AlertReceived(_)) | None if self.proof.is_missing() => {
                sentence::certificate_wanted(&self.peer)
            }
            Some(told) => sentence::of_client(self, told),
            None if error.kind() == io::ErrorKind::UnexpectedEof => sentence::hung_up(&self.peer),
            None => return error,
        };
        refused(why)
    }

    /// What ended the connection after our side of the handshake. Only an alert about our certificate proves that
    /// nothing of what we sent was read.
    fn explain_late(&self, error: io::Error) -> io::Error {
        match told(&error) {
            Some(rustls::Error::AlertReceived(alert)) if is_about_certificates(*alert) => self.explain(error),
            None if self.proof.is_missing() => {
                io::Error::new(error.kind(), sentence::certificate_perhaps_wanted(&self.peer))
            }
            _ => error,
        }
    }

    fn explain_end(&self) -> io::Result<()> {
        if self.proof.is_missing() { Err(self.explain_late(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }
}

fn told(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, Refused(why))
}

/// These are sent in a handshake alone.
pub(super) fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

impl TlsStream {
    pub(super) fn of_client(inner: tokio_rustls::client::TlsStream<TcpStream>, unheard: Unheard) -> TlsStream {
        TlsStream { inner: inner.into(), unheard: Some(Box::new(unheard)) }
    }

    pub(super) fn of_server(inner: tokio_rustls::server::TlsStream<TcpStream>) -> TlsStream {
        TlsStream { inner: inner.into(), unheard: None }
    }

    fn explained<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| match &self.unheard {
            Some(unheard) => unheard.explain_late(error),
            None => error,
        })
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = (buf.filled().len(), buf.remaining());
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if buf.filled().len() > before.0 {
            self.unheard = None;
        } else if let (Ok(()), Some(unheard), true) = (&read, &self.unheard, before.1 > 0) {
            return Poll::Ready(unheard.explain_end());
        }
        Poll::Ready(self.explained(read))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        Poll::Ready(self.explained(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        Poll::Ready(self.explained(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.explained(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
