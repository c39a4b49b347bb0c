//! Which leases a space has.

use std::collections::BTreeSet;
use std::sync::Arc;

use steadfast_host::clock::Moment;
use steadfast_host::http::Method;

use super::super::failure::{Failure, between};
use super::super::keys;
use super::super::rest::{Ask, Rest, Service};
use crate::{Error, Space};

/// Leases of one space, at most: a set has one.
const LEASES: usize = 1_000;

/// The names of all leases of `space` that are kept on blobs of their own, in order.
pub(in super::super) async fn names(
    rest: &Arc<Rest>,
    space: &Space,
    deadline: Moment,
) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let mut names = BTreeSet::new();
    let mut marker = String::new();
    loop {
        let mut ask = Ask::new(Service::Blobs, Method::GET, format!("/{}", rest.account.container))
            .query("restype", "container")
            .query("comp", "list")
            .query("prefix", keys::lease_folder(space));
        if !marker.is_empty() {
            ask = ask.query("marker", &*marker);
        }
        let reply = rest.ask(ask, deadline).await?;
        let text = String::from_utf8_lossy(&reply.body);
        names.extend(listed(space, &text));
        if names.len() > LEASES {
            let why = format!("space `{space}` has more than {LEASES} leases: are these blobs Steadfast's?");
            return Err(Failure::Known(Error::Corrupt(why)));
        }
        marker = between(&text, "<NextMarker>", "</NextMarker>").unwrap_or_default();
        if marker.is_empty() {
            return Ok(names);
        }
    }
}

/// The leases that a list names. The names of their blobs have no character that XML would have to write otherwise.
fn listed(space: &Space, text: &str) -> impl Iterator<Item = Vec<u8>> {
    let blobs = text.split("<Name>").skip(1).filter_map(|rest| rest.split("</Name>").next());
    blobs.filter_map(|blob| keys::leased(space, blob))
}
