//! Clients: where each is at home, read one by one, in pages, or followed.

use steadfast_core::client::ClientKey;
use steadfast_core::placement::Placement;
use steadfast_core::{Moment, SetName};
use steadfast_store::{Cursor, Revision};
use tokio::sync::mpsc;

use crate::{Error, Registry, Stored};

/// A page of clients, in the order of their keys.
#[derive(Clone, Debug)]
pub struct ClientPage {
    /// Keys and records.
    pub clients: Vec<(ClientKey, Stored<Placement>)>,
    /// Give this as `after` to the next call; `None`: that was all.
    pub next: Option<ClientKey>,
}

/// What a feed says of a set's clients, in order.
#[derive(Clone, Debug)]
pub enum ClientNews {
    /// From here on every change is told. What was known before is worth nothing (`other_history`), or may have
    /// changed unseen.
    Begin {
        /// Where the set stood.
        at: Cursor,
    },
    /// One commit changed these clients (`None`: forgotten).
    Changed {
        /// By which revision: compare with [`Stored::version`].
        revision: Revision,
        /// Which.
        clients: Vec<(ClientKey, Option<Placement>)>,
        /// When it reached this process.
        at: Moment,
    },
    /// Nothing changed, the store is there.
    Contact(Moment),
    /// The store cannot be heard, and why. Changes may be missed until the next news, but none is lost: the feed goes
    /// on where it stopped, or begins anew.
    Trouble(String),
}

impl Registry {
    /// Where a client is at home.
    pub async fn client(&self, _set: &SetName, _client: &ClientKey) -> Result<Option<Stored<Placement>>, Error> {
        todo!("the registry's engineer")
    }

    /// A page of at most `limit` clients after this key.
    pub async fn clients(
        &self,
        _set: &SetName,
        _after: Option<&ClientKey>,
        _limit: usize,
    ) -> Result<ClientPage, Error> {
        todo!("the registry's engineer")
    }

    /// Follows every change of a set's clients from now on, without reading those that are there. Must be called
    /// inside a Tokio runtime; ends when the receiver is dropped.
    pub fn follow_clients(&self, _set: &SetName) -> mpsc::Receiver<ClientNews> {
        todo!("the registry's engineer")
    }
}
