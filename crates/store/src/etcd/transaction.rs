//! A batch as one transaction of etcd, and its answer as the contract's. Pure: nothing is sent here.
//!
//! ```text
//! if    for each change   the key's last change is at the version believed (0: there is no key)
//! then  put the head = a fresh mark; put or delete each            (beats and mere preconditions: read the head)
//! else  read every key of the batch
//! ```
//! The version of a record is the revision of etcd at its last change, which all keys of one transaction share.

use bytes::Bytes;

use super::keys::{Keys, mod_revision, revision};
use super::proto::{
    Compare, EQUAL, KeyValue, MOD, RangeRequest, RangeResponse, RequestOp, Response, TargetUnion, TxnRequest,
    TxnResponse,
};
use crate::{Batch, Cursor, Error, Expect, Named, Record, Revision, Space, Write};

/// Operations of a transaction beside the changes of its batch: the head's.
pub(super) const BESIDES: usize = 1;

/// The transaction that commits `batch` under `mark`.
pub(super) fn request(keys: &Keys, batch: &Batch, mark: &[u8]) -> TxnRequest {
    let head = keys.head(&batch.space);
    let (mut compare, mut success, mut failure) = (Vec::new(), Vec::new(), Vec::new());
    success.push(match is_logged(batch) {
        true => RequestOp::put(head, Bytes::copy_from_slice(mark)),
        false => RequestOp::range(RangeRequest::one(head)),
    });
    for change in &batch.changes {
        let key = keys.record(&batch.space, &change.name);
        let target_union = Some(TargetUnion::ModRevision(believed(change.expect)));
        compare.push(Compare { result: EQUAL, target: MOD, key: key.clone(), target_union });
        failure.push(RequestOp::range(RangeRequest::one(key.clone())));
        match &change.write {
            Write::Put(value, _) => success.push(RequestOp::put(key, value.clone())),
            Write::Delete => success.push(RequestOp::delete(key)),
            Write::Nothing => {}
        }
    }
    TxnRequest { compare, success, failure }
}

/// What the answer to [`request`] says of `batch`.
pub(super) fn outcome(batch: &Batch, mark: &[u8], answer: TxnResponse) -> Result<Cursor, Error> {
    if !answer.succeeded {
        return Err(conflict(batch, answer));
    }
    let at = answer.header.as_ref().map(|header| revision(header.revision));
    let at = at.filter(|at| *at > Revision(0)).ok_or_else(|| unreadable("a commit without a revision"))?;
    if is_logged(batch) {
        return Ok(Cursor { revision: at, mark: mark.to_vec() });
    }
    let head = ranges(answer).next().ok_or_else(|| unreadable("a commit without the head it read"))?;
    let head = head_of(&head);
    // A beat is in no history; what only looked made no commit.
    Ok(if batch.is_beat() && writes(batch) { Cursor { revision: at, ..head } } else { head })
}

/// Where a space stands, from its head as it was read.
pub(super) fn head_of(head: &RangeResponse) -> Cursor {
    let at = |kv: &KeyValue| Cursor { revision: revision(kv.mod_revision), mark: kv.value.to_vec() };
    head.kvs.first().map_or(Cursor::START, at)
}

/// What was read, in the order it was asked for.
pub(super) fn ranges(answer: TxnResponse) -> impl Iterator<Item = RangeResponse> {
    answer.responses.into_iter().filter_map(|op| match op.response {
        Some(Response::Range(range)) => Some(range),
        _ => None,
    })
}

/// A record as etcd has it.
pub(super) fn record_of(kv: KeyValue) -> Record {
    Record { version: revision(kv.mod_revision), value: kv.value }
}

/// A record of the space with its name. [`Error::Corrupt`] where something else lies among them.
pub(super) fn named(keys: &Keys, space: &Space, kv: KeyValue) -> Result<(Vec<u8>, Record), Error> {
    let name = keys.name(space, &kv.key).map(<[u8]>::to_vec);
    let name = name.ok_or_else(|| {
        let key = kv.key.escape_ascii();
        Error::Corrupt(format!("at the key `{key}` of etcd lies what Steadfast did not put there: delete it"))
    })?;
    Ok((name, record_of(kv)))
}

fn conflict(batch: &Batch, answer: TxnResponse) -> Error {
    let read: Vec<RangeResponse> = ranges(answer).collect();
    if read.len() != batch.changes.len() {
        return unreadable("a conflict that does not show every record");
    }
    let now = read.into_iter().map(|range| range.kvs.into_iter().next().map(record_of));
    let differing = batch.changes.iter().zip(now).filter(|(change, record)| {
        let version = record.as_ref().map(|record: &Record| record.version);
        !change.expect.holds(version)
    });
    let differing: Vec<Named> = differing.map(|(change, record)| (change.name.clone(), record)).collect();
    if differing.is_empty() { unreadable("a conflict in which nothing differs") } else { Error::Conflict(differing) }
}

/// The revision of the last change that `expect` asks for. No record has version 0, which to etcd is that of an absent
/// one: who expects it is shown the difference.
fn believed(expect: Expect) -> i64 {
    const NEVER: i64 = -1;
    match expect {
        Expect::Absent => 0,
        Expect::Version(Revision(0)) => NEVER,
        Expect::Version(version) => mod_revision(version),
    }
}

/// Whether a watch shows it.
fn is_logged(batch: &Batch) -> bool {
    writes(batch) && !batch.is_beat()
}

fn writes(batch: &Batch) -> bool {
    batch.changes.iter().any(|change| change.write != Write::Nothing)
}

/// An answer that no etcd gives: what it was asked to do it may have done.
fn unreadable(what: &str) -> Error {
    Error::OutcomeUnknown(format!("the server answers what no etcd does: {what}"))
}
