//! Compaction: etcd keeps all history until somebody has it forget, and takes no more writes when its space is used up.
//!
//! As Kubernetes does it, whoever is there does it and nobody is chosen: each process looks once a span at one key. If
//! nobody changed it since its last look, it changes it, on the condition that it is still the same, and has etcd forget
//! what came before that last look. So one of any number does it, another one when that is gone, and what happened in
//! the last span is always there.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use steadfast_host::clock::{self, Moment};

use super::failure::{self, Asked};
use super::proto::{
    CompactionRequest, Compare, Done, EQUAL, MOD, RangeRequest, RangeResponse, RequestOp, TargetUnion, TxnRequest,
};
use super::{Core, RANGE};
use crate::Error;
use crate::history::locked;

/// How long the calls of one turn may take.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// Whose turn it is, as this process knows it.
#[derive(Debug)]
pub(super) struct Compactor {
    /// `None`: others do it.
    pub(super) every: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The next look; `None`: at once.
    due: Option<Moment>,
    /// What the last look saw.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// The revision of the key's last change; 0: there was none.
    turn: i64,
    /// Where etcd stood.
    revision: i64,
}

impl Compactor {
    pub(super) fn new(every: Option<Duration>) -> Compactor {
        Compactor { every, state: Mutex::default() }
    }

    /// Whether it is time to look; then the next time is a span later.
    fn is_due(&self, now: Moment) -> bool {
        let Some(every) = self.every else { return false };
        let mut state = locked(&self.state);
        let due = state.due.is_none_or(|due| now >= due);
        if due {
            state.due = Some(now + every);
        }
        due
    }
}

impl Core {
    /// Looks whose turn it is, once a span, and compacts if it is ours. A failure is told in the log: the next span
    /// makes up for it.
    pub(super) async fn compact_in_turn(&self) {
        if !self.compactor.is_due(clock::now()) {
            return;
        }
        match self.take_turn(clock::now() + TURN_WITHIN).await {
            Ok(Some(revision)) => tracing::debug!(revision, "etcd's history was compacted"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot compact etcd's history"),
        }
    }

    /// The revision compacted at, if it was our turn.
    pub(super) async fn take_turn(&self, deadline: Moment) -> Result<Option<i64>, Error> {
        let key = self.keys.compact();
        let look: RangeResponse =
            self.members.call(Asked::Look, RANGE, &RangeRequest::one(key.clone()), deadline).await?;
        let turn = look.kvs.first().map_or(0, |kv| kv.mod_revision);
        let now = Seen { turn, revision: look.header.map_or(0, |header| header.revision) };
        let before = locked(&self.compactor.state).seen.replace(now);
        let Some(before) = before.filter(|before| before.turn == turn && before.revision > 0) else {
            return Ok(None);
        };
        let ours = TxnRequest {
            compare: vec![Compare {
                result: EQUAL,
                target: MOD,
                key: key.clone(),
                target_union: Some(TargetUnion::ModRevision(turn)),
            }],
            success: vec![RequestOp::put(key, Bytes::from(before.revision.to_string()))],
            failure: Vec::new(),
        };
        let answer = self.transact(Asked::Look, &ours, deadline).await?;
        if !answer.succeeded {
            return Ok(None);
        }
        let turn = answer.header.map_or(0, |header| header.revision);
        locked(&self.compactor.state).seen = Some(Seen { turn, ..now });
        self.compact_at(before.revision, deadline).await?;
        Ok(Some(before.revision))
    }

    /// Has etcd forget what came before `revision`.
    pub(super) async fn compact_at(&self, revision: i64, deadline: Moment) -> Result<(), Error> {
        let request = CompactionRequest { revision };
        let done: Result<Done, Error> =
            self.members.call(Asked::Look, "/etcdserverpb.KV/Compact", &request, deadline).await;
        match done {
            // Somebody else, perhaps etcd itself, went further.
            Err(Error::Unavailable(why)) if failure::is_of_another_history(&why) => Ok(()),
            done => done.map(drop),
        }
    }
}
