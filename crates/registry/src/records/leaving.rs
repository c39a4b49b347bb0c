//! `leaving/<n>`: an application is still to be asked to send a client away.

use serde::{Deserialize, Serialize};
use steadfast_core::client::ClientKey;

use super::Extras;
use crate::text::Text;

/// Written with the commit that moves or forgets the client, deleted when its application was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeavingRecord {
    client: Text<ClientKey>,
    /// Who moved it, for people.
    by: String,
    /// When, for people.
    since: String,
    #[serde(flatten)]
    extras: Extras,
}

impl LeavingRecord {
    /// Of a client that `by` moved now.
    pub(crate) fn new(client: &ClientKey, by: &str) -> LeavingRecord {
        let since = steadfast_host::clock::wall().to_string();
        LeavingRecord { client: Text(client.clone()), by: by.to_owned(), since, extras: Extras::new() }
    }

    /// Who is to leave.
    pub(crate) fn client(self) -> ClientKey {
        self.client.0
    }
}
