//! Contact: where the followed spaces stand, asked for all of them at once.
//!
//! etcd can be asked to say in a watch how far it has told everything, but before 3.4.25 and 3.5.8 that answer can
//! overtake what it speaks of (<https://github.com/etcd-io/etcd/issues/15220>). A read that all members agree upon
//! cannot, and it proves more: that the member in use has not lost the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use steadfast_host::clock::{self, Moment};

use super::failure::Asked;
use super::proto::{RangeRequest, RequestOp, TxnRequest};
use super::{Core, transaction};
use crate::history::locked;
use crate::{Cursor, Error, Space};

/// Where the followed spaces stand.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// With how many follow each.
    followed: Mutex<BTreeMap<Space, usize>>,
    /// The last answer. Whoever asks holds it, so that others wait for the same answer.
    last: tokio::sync::Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    asked: Moment,
    heads: HashMap<Space, Cursor>,
}

/// Where a space stood at some time after `asked`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) asked: Moment,
    pub(super) at: Cursor,
}

/// A space that is followed, until it is dropped.
pub(super) struct Followed<'a> {
    core: &'a Core,
    space: &'a Space,
}

impl Core {
    pub(super) fn followed<'a>(&'a self, space: &'a Space) -> Followed<'a> {
        *locked(&self.heads.followed).entry(space.clone()).or_default() += 1;
        Followed { core: self, space }
    }
}

impl Followed<'_> {
    /// Where the space stands, asked no earlier than `since`.
    pub(super) async fn head(&self, since: Moment, deadline: Moment) -> Result<Head, Error> {
        let late = || Error::Unavailable("etcd: nobody said in time where the space stands".to_owned());
        let mut last = clock::timeout_at(deadline, self.core.heads.last.lock()).await.ok_or_else(late)?;
        if let Some(Seen { asked, heads }) = &*last
            && *asked >= since
            && let Some(at) = heads.get(self.space)
        {
            return Ok(Head { asked: *asked, at: at.clone() });
        }
        let asked = clock::now();
        let heads = self.ask(deadline).await?;
        let at = heads.get(self.space).cloned().unwrap_or(Cursor::START);
        *last = Some(Seen { asked, heads });
        Ok(Head { asked, at })
    }

    /// Where this and the other followed spaces stand, as many as fit one transaction.
    async fn ask(&self, deadline: Moment) -> Result<HashMap<Space, Cursor>, Error> {
        let core = self.core;
        let mut spaces = vec![self.space.clone()];
        let others: Vec<Space> = locked(&core.heads.followed).keys().filter(|s| *s != self.space).cloned().collect();
        spaces.extend(others.into_iter().take(core.limits.operations - 1));
        let read = |space: &Space| RequestOp::range(RangeRequest::one(core.keys.head(space)));
        let request = TxnRequest { success: spaces.iter().map(read).collect(), ..TxnRequest::default() };
        let answer = core.transact(Asked::Look, &request, deadline).await?;
        let heads = transaction::ranges(answer).map(|range| transaction::head_of(&range));
        Ok(spaces.into_iter().zip(heads).collect())
    }
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        let mut followed = locked(&self.core.heads.followed);
        if let Some(count) = followed.get_mut(self.space) {
            *count -= 1;
            if *count == 0 {
                followed.remove(self.space);
            }
        }
    }
}
