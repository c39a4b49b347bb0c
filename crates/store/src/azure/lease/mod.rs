//! Leases are blobs: compared and set on their ETag ([`etag`]), or held by Azure itself ([`native`]).

pub(super) mod etag;
pub(super) mod list;
pub(super) mod native;
pub(super) mod poll;

use std::collections::BTreeSet;
use std::sync::Arc;

use steadfast_host::clock::Moment;
use tokio::sync::watch;

use super::apart::Memory;
use super::failure::Failure;
use super::rest::Rest;
use crate::{Change, Error, Key, Revision, Space};
use etag::{Blobs, Look};
use native::Native;

/// The leases of a store.
#[derive(Debug)]
pub(super) struct Leases {
    /// Those that Azure holds, if there are any.
    pub(super) native: Option<Native>,
    memory: Memory,
    /// Says that this process wrote one.
    written: watch::Sender<()>,
}

impl Leases {
    pub(super) fn new(native: Option<Native>) -> Leases {
        Leases { native, memory: Memory::default(), written: watch::Sender::new(()) }
    }

    /// Makes the change; returns the version it has (`None`: it wrote nothing).
    pub(super) async fn commit(
        &self,
        rest: &Arc<Rest>,
        key: &Key,
        change: &Change,
        deadline: Moment,
    ) -> Result<Option<Revision>, Error> {
        let made = match self.native_of(key) {
            Some(native) => {
                let made = native.commit(rest, key, change, self.memory.floor(key), deadline).await;
                if let Ok(Some(version)) = &made {
                    self.memory.saw(key, *version);
                }
                made
            }
            None => self.memory.commit(&Blobs(rest), key, change, deadline).await,
        };
        if matches!(made, Ok(Some(_))) {
            self.written.send_replace(());
        }
        made
    }

    /// What is there, unless it still has this ETag.
    pub(super) async fn look(
        &self,
        rest: &Arc<Rest>,
        key: &Key,
        known: Option<&str>,
        deadline: Moment,
    ) -> Result<Look, Failure> {
        let look = match self.native_of(key) {
            Some(native) => native.look(rest, key, known, deadline).await,
            None => Blobs(rest).look_anew(key, known, deadline).await,
        }?;
        if let Look::Is(seen) = &look {
            self.memory.saw(key, seen.version);
        }
        Ok(look)
    }

    /// The names of the leases that a space has or may have, in order.
    pub(super) async fn names(
        &self,
        rest: &Arc<Rest>,
        space: &Space,
        deadline: Moment,
    ) -> Result<BTreeSet<Vec<u8>>, Failure> {
        let mut names = list::names(rest, space, deadline).await?;
        names.insert(own_name(space));
        Ok(names)
    }

    fn native_of(&self, key: &Key) -> Option<&Native> {
        self.native.as_ref().filter(|native| native.is_mine(key))
    }
}

/// The lease of the set whose space it is.
pub(super) fn own_name(space: &Space) -> Vec<u8> {
    [crate::LEASE, space.as_str().as_bytes()].concat()
}

/// Metadata of a lease's blob: its number.
const VERSION: &str = "x-ms-meta-steadfast_version";

/// How it is held.
const MODE: &str = "x-ms-meta-steadfast_mode";

/// There is none any more.
const GONE: &str = "x-ms-meta-steadfast_gone";

/// How a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// By compare-and-set on the blob's ETag.
    Etag,
    /// By Azure's own lease of the blob.
    Native,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Mode::Etag => "etag",
            Mode::Native => "native",
        }
    }
}

/// The mode that a blob's metadata names.
fn mode_of(text: Option<&str>) -> Option<Mode> {
    [Mode::Etag, Mode::Native].into_iter().find(|mode| Some(mode.as_str()) == text)
}
