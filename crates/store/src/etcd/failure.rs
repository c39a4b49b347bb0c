//! What a failed call of etcd's means for the caller.

use super::grpc::{Missed, Status};
use crate::Error;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To be shown something, or to be let in: what brings no answer did not happen.
    Look,
    /// To commit: what brings no answer may have happened.
    Commit,
}

/// Whether the server wants to be told anew who asks. It did nothing of what was asked.
pub(super) fn wants_to_know_us(missed: &Missed) -> bool {
    const PHRASES: [&str; 2] = ["invalid auth token", OLD_RIGHTS];
    matches!(missed, Missed::Refused(status) if PHRASES.iter().any(|phrase| status.message.contains(phrase)))
}

/// Whether another member may do better.
pub(super) fn is_of_the_member(missed: &Missed) -> bool {
    match missed {
        Missed::NotSent(_) | Missed::Stranger(_) => true,
        // That a call was not answered in time is judged by the connection: others may have been.
        Missed::Unanswered(_) => false,
        Missed::Refused(status) => status.code == UNAVAILABLE,
    }
}

/// Somebody's rights were changed since we were let in.
const OLD_RIGHTS: &str = "revision of auth store is old";

const UNKNOWN: u32 = 2;
const INVALID_ARGUMENT: u32 = 3;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const FAILED_PRECONDITION: u32 = 9;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;
const UNAUTHENTICATED: u32 = 16;

/// The contract's error for a call of `place` that failed.
pub(super) fn error(place: &str, asked: Asked, missed: Missed) -> Error {
    match missed {
        Missed::NotSent(why) => Error::Unavailable(format!("etcd at {place}: {why}")),
        Missed::Unanswered(why) => unanswered(asked, format!("etcd at {place}: {why}")),
        Missed::Stranger(why) if asked == Asked::Commit => {
            Error::OutcomeUnknown(format!("etcd at {place} answers what no etcd does: {why}"))
        }
        Missed::Stranger(why) => {
            Error::Config(format!("no etcd of version 3.4 or later answers at {place} ({why}): name its client port"))
        }
        Missed::Refused(status) => refused(place, asked, &status),
    }
}

fn refused(place: &str, asked: Asked, status: &Status) -> Error {
    let said = |phrase: &str| status.message.contains(phrase);
    let at = format!("etcd at {place}: {status}");
    match status.code {
        PERMISSION_DENIED => Error::Denied(format!("{at}: grant the user a role that reads and writes the prefix")),
        UNAUTHENTICATED => Error::Denied(at),
        INVALID_ARGUMENT if said("authentication failed") => {
            Error::Denied(format!("{at}: the user or the password is wrong"))
        }
        INVALID_ARGUMENT if said("user name is empty") => Error::Denied(format!(
            "{at}: it asks who we are: name a user in the URL, and give the password with --token-file"
        )),
        // Rights are being changed while it is asked; of what was asked nothing was done.
        INVALID_ARGUMENT if said(OLD_RIGHTS) => Error::Unavailable(at),
        INVALID_ARGUMENT if said("auth") => Error::Denied(at),
        INVALID_ARGUMENT if said("too many operations") => Error::Config(format!(
            "{at}: give the store's URL the server's --max-txn-ops as max_txn_ops (128 where it has none)"
        )),
        INVALID_ARGUMENT if said("too large") => {
            Error::Config(format!("{at}: raise the server's --max-request-bytes, or lower the URL's max_txn_ops"))
        }
        FAILED_PRECONDITION if said("authentication is not enabled") => {
            Error::Config(format!("{at}: the store's URL names a user, and this etcd asks for none"))
        }
        // The one that finds the quota used up is told so, and is applied all the same.
        RESOURCE_EXHAUSTED if said("database space exceeded") => unanswered(
            asked,
            format!(
                "{at}: it is out of space: compact (`etcdctl compact`), defragment (`etcdctl defrag`), then `etcdctl alarm disarm`"
            ),
        ),
        // Of a message beyond what the server takes, which it never read, or one of ours.
        RESOURCE_EXHAUSTED if said("larger than max") => {
            Error::Config(format!("{at}: raise the server's --max-request-bytes, or lower the URL's max_txn_ops"))
        }
        RESOURCE_EXHAUSTED => Error::Unavailable(at),
        DATA_LOSS => Error::Corrupt(at),
        UNKNOWN if said("corrupt cluster") => Error::Corrupt(at),
        UNIMPLEMENTED => Error::Config(format!("no etcd of version 3.4 or later answers at {place} ({status})")),
        // No leader, a leader that changed, no time left, whatever has no name here: it may have been proposed to the
        // members, and be agreed upon yet.
        _ => unanswered(asked, at),
    }
}

fn unanswered(asked: Asked, why: String) -> Error {
    match asked {
        Asked::Look => Error::Unavailable(why),
        Asked::Commit => Error::OutcomeUnknown(why),
    }
}

/// Whether what was to be read or watched is gone, or is not yet: both are other histories than the one known.
pub(super) fn is_of_another_history(message: &str) -> bool {
    message.contains("has been compacted") || message.contains("is a future revision")
}

/// Whether the server only says that we may not ask this.
pub(super) fn is_about_rights(status: &Status) -> bool {
    let unknown_user = status.code == INVALID_ARGUMENT && status.message.contains("user name is empty");
    matches!(status.code, PERMISSION_DENIED | UNAUTHENTICATED) || unknown_user
}
