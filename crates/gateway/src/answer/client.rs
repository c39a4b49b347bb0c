//! Who sends a request of a sticky set, what it says of itself, and whether it stands at home.

use std::rc::Rc;

use http::request::Parts;
use steadfast_core::Weight;
use steadfast_core::client::{BadRequest, KeyBytes, RequestView};
use steadfast_core::placement::Phase;
use steadfast_core::route::Captures;
use steadfast_core::settings::Presence;

use crate::clients::{Entry, Hash};
use crate::config::Answer;
use crate::home::{Home, View};
use crate::route::Route;
use crate::worker::{Guest, Homes};

/// A client and its home.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) asked: Asked,
    pub(super) entry: Entry,
    pub(super) homes: Rc<Homes>,
}

impl Client {
    pub(super) fn home(&self) -> Option<&Home> {
        self.homes.view.home(self.entry.home).map(AsRef::as_ref)
    }
}

/// Who sends a request, and what it says of itself.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: KeyBytes,
    pub(super) hash: Hash,
    /// What it says it weighs.
    pub(super) weight: Option<Weight>,
    /// What is asked for is carried here: it is seen to be there.
    pub(super) present: bool,
}

impl Asked {
    /// Reads what a request says, where its route or its set has it.
    pub(super) fn read(shown: &Shown<'_>, route: &Route, view: &View) -> Result<Asked, BadRequest> {
        let key = route.client.as_ref().unwrap_or(&view.settings.client).key_bytes(shown)?;
        let weight = view.settings.weight_said(route.weight.as_ref(), shown)?;
        let present = route.answer == Answer::Proxy && view.settings.presence == Presence::Connection;
        Ok(Asked { hash: view.clients.hash(&key), key, weight, present })
    }
}

/// A request, as the sources of keys, weights and labels look at it.
pub(super) struct Shown<'a> {
    pub(super) head: &'a Parts,
    pub(super) captures: &'a Captures<'a>,
    pub(super) guest: &'a Guest,
}

impl RequestView for Shown<'_> {
    fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.head.headers.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }

    fn capture(&self, name: &str) -> Option<&str> {
        self.captures.get(name)
    }

    fn source(&self) -> std::net::IpAddr {
        self.guest.origin.borrow().source(&self.head.headers, &self.guest.worker.shared.trusted_proxies)
    }
}

/// Whether a client is charged, and its home is there. A reservation whose time is over may be deleted at any moment.
pub(super) fn stands_at_home(view: &View, entry: &Entry) -> bool {
    let charged = match entry.phase {
        Phase::Active => true,
        Phase::Reserved => view.tick < entry.until,
        Phase::Idle => false,
    };
    charged && view.home(entry.home).is_some_and(|home| !home.lost)
}
