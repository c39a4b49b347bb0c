//! A request on its way to an instance, which may have to be sent more than once.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Uri};
use http_body::Body;
use hyper::body::Incoming;

use crate::body::{Carried, Kept};
use crate::worker::ConnState;

/// See the module.
#[derive(Debug)]
pub(crate) struct Message {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Option<Rc<RefCell<Kept>>>,
    upgrades: bool,
    conn: Rc<ConnState>,
    sends: u32,
}

impl Message {
    /// The request of `head` and `body`; what is passed on of the head is taken out of it. Where repeating makes sense, up
    /// to `room` bytes of the body are kept.
    pub(crate) fn new(head: &mut Parts, body: Incoming, room: usize, conn: &Rc<ConnState>) -> Message {
        let mut headers = std::mem::take(&mut head.headers);
        let body = (!body.is_end_stream()).then(|| {
            if body.size_hint().exact().is_none() {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            let fits = head.method.is_idempotent() && body.size_hint().lower() <= room as u64;
            Rc::new(RefCell::new(if fits { Kept::new(body, room) } else { Kept::once(body) }))
        });
        let upgrades = headers.contains_key(UPGRADE);
        let (method, uri) = (std::mem::take(&mut head.method), std::mem::take(&mut head.uri));
        Message { method, uri, headers, body, upgrades, conn: conn.clone(), sends: 0 }
    }

    /// Whether it may be sent once more although it may have been carried out.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.body.as_ref().is_none_or(|body| body.borrow().is_whole())
    }

    /// HTTP/1.1 needs a host, even for a client of HTTP/1.0 that names none.
    pub(crate) fn ensure_host(&mut self, instance: SocketAddr) {
        if !self.headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::try_from(instance.to_string())
        {
            self.headers.insert(HOST, host);
        }
    }

    /// Whether it asks for an upgrade that is passed on.
    pub(crate) fn upgrades(&self) -> bool {
        self.upgrades
    }

    /// How often it was sent.
    pub(crate) fn sends(&self) -> u32 {
        self.sends
    }

    /// What its head holds in memory, about.
    pub(crate) fn head_bytes(&self) -> usize {
        let uri = self.uri.path_and_query().map_or(0, |path| path.as_str().len());
        uri + self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
    }

    /// The request to be sent now.
    pub(crate) fn request(&mut self) -> Request<Carried> {
        self.sends += 1;
        let mut request = Request::new(Carried::new(self.body.clone(), self.conn.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() =
            if self.is_repeatable() { self.headers.clone() } else { std::mem::take(&mut self.headers) };
        request
    }

    /// A request that was not sent after all.
    pub(crate) fn take_back(&mut self, request: Request<Carried>) {
        self.sends -= 1;
        self.headers = request.into_parts().0.headers;
    }

    /// What nobody has read of its body. None where it is still being sent.
    pub(crate) fn into_unread(self) -> Option<Incoming> {
        Rc::try_unwrap(self.body?).ok().map(|body| body.into_inner().into_rest())
    }
}
