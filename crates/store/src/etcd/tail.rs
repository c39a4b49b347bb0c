//! A space's history from etcd's own watch.
//!
//! The watch begins *with* the commit that is known, so that its mark proves that this is the same history. Beside the
//! watch, which only tells what happens, the head is read over and over: it proves contact, shows a watch that is stuck,
//! and a cluster that was brought back to an older state.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};
use tokio::time::sleep;

use super::events::Teller;
use super::failure::{self, Asked};
use super::grpc::{self, Answer, Missed, Status};
use super::heads::Head;
use super::keys::mod_revision;
use super::members::Member;
use super::proto::{RangeRequest, RangeResponse, WatchCall, WatchCreateRequest, WatchRequest, WatchResponse};
use super::{Core, RANGE, transaction};
use crate::feed::{News, Rhythm, Sink, Tail};
use crate::history::locked;
use crate::{Committed, Cursor, Error, Space};

const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// How long the beginning of a watch may take.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// How long one read of the head may take.
const CONTACT_WITHIN: Duration = Duration::from_secs(2);

/// How long a watch may keep back what the head shows. Then it is stuck, and ends.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// After each read of the head a feed rests for this part of its interval, however many watches wait for a proof.
const REST: u32 = 10;

/// How far the watch has told.
struct Told {
    at: Cursor,
    since: Moment,
}

/// Where a watch of etcd's begins, as a revision of etcd's.
enum Beginning {
    /// With the commit that is known.
    With(i64),
    /// With the next one, which cannot come before this.
    Next(i64),
}

#[async_trait]
impl Tail for Core {
    async fn verify(
        &self,
        space: &Space,
        bulk: bool,
        from: &Cursor,
        within: Duration,
    ) -> Result<Option<Committed>, Error> {
        let deadline = clock::now() + within;
        match self.beginning(space, from, deadline).await? {
            Beginning::With(_) => self.commit_at(space, bulk, from, deadline).await.map(Some),
            Beginning::Next(_) => Ok(None),
        }
    }

    async fn follow(&self, space: &Space, bulk: bool, from: Cursor, rhythm: Rhythm, sink: &Sink) -> Error {
        let told = Mutex::new(Told { at: from.clone(), since: clock::now() });
        let ended: Result<Infallible, Error> = tokio::select! {
            ended = self.tell(space, bulk, from, &told, sink) => ended,
            ended = self.keep_contact(space, rhythm, &told, sink) => ended,
        };
        match ended {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

impl Core {
    /// Where history goes on from `from`, if it does.
    async fn beginning(&self, space: &Space, from: &Cursor, deadline: Moment) -> Result<Beginning, Error> {
        let begins = *from == Cursor::START;
        let at = if begins {
            let head = self.head_at(space, 0, deadline).await?;
            match head.kvs.first() {
                Some(kv) => kv.create_revision,
                None => return Ok(Beginning::Next(after(&head))),
            }
        } else {
            // 0, which etcd takes for now, is that of no commit.
            i64::try_from(from.revision.0).ok().filter(|at| *at > 0).ok_or_else(|| other_history(from))?
        };
        match self.head_at(space, at, deadline).await {
            // What was compacted is missing from a history that begins at the beginning.
            Ok(_) if begins => Ok(Beginning::Next(at)),
            Ok(head) if transaction::head_of(&head) == *from => Ok(Beginning::With(at)),
            Ok(_) => Err(other_history(from)),
            Err(Error::Unavailable(why)) if failure::is_of_another_history(&why) => {
                // Of a space in which nothing happens, etcd forgets the last commit, too: nothing is missed where it
                // is the last one still. Later, whoever knows it has to read anew.
                let head = self.head_at(space, 0, deadline).await?;
                match !begins && transaction::head_of(&head) == *from {
                    true => Ok(Beginning::Next(after(&head))),
                    false => Err(Error::Compacted(from.revision, why)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The head of the space as it was at `revision`; 0: as it is.
    async fn head_at(&self, space: &Space, revision: i64, deadline: Moment) -> Result<RangeResponse, Error> {
        let head = RangeRequest { revision, ..RangeRequest::one(self.keys.head(space)) };
        self.members.call(Asked::Look, RANGE, &head, deadline).await
    }

    /// The commit at `at`, which is one, with all it did.
    async fn commit_at(&self, space: &Space, bulk: bool, at: &Cursor, deadline: Moment) -> Result<Committed, Error> {
        let teller = Teller::with(&self.keys, space, at.clone());
        let mut watch = self.begin(bulk, mod_revision(at.revision), teller, deadline).await?;
        let first = async {
            loop {
                if let Some(first) = watch.next().await?.into_iter().next() {
                    return Ok(first);
                }
            }
        };
        let late = || Err(Error::Unavailable("etcd: the watch did not begin in time".to_owned()));
        let first = clock::timeout_at(deadline, first).await.unwrap_or_else(late)?;
        if first.cursor == *at { Ok(first) } else { Err(other_history(at)) }
    }

    /// Tells what etcd's watch tells after `from`, for ever.
    async fn tell(
        &self,
        space: &Space,
        bulk: bool,
        from: Cursor,
        told: &Mutex<Told>,
        sink: &Sink,
    ) -> Result<Infallible, Error> {
        let deadline = clock::now() + BEGIN_WITHIN;
        let (start, teller) = match self.beginning(space, &from, deadline).await? {
            Beginning::With(at) => (at, Teller::with(&self.keys, space, from.clone())),
            Beginning::Next(at) => (at, Teller::after(&self.keys, space, from.clone())),
        };
        let mut watch = self.begin(bulk, start, teller, deadline).await?;
        loop {
            for commit in watch.next().await? {
                // It was told by who verified it.
                if commit.cursor == from {
                    continue;
                }
                let at = commit.cursor.clone();
                sink.push(commit);
                *locked(told) = Told { at, since: clock::now() };
            }
        }
    }

    /// A watch of etcd's that begins with what has revision `start`.
    async fn begin<'a>(
        &'a self,
        bulk: bool,
        start: i64,
        teller: Teller<'a>,
        deadline: Moment,
    ) -> Result<Begun<'a>, Error> {
        let (key, range_end) = self.keys.history(teller.space(), bulk);
        let create = WatchCreateRequest { key, range_end, start_revision: start, fragment: true };
        let request = WatchRequest { call: Some(WatchCall::Create(create)) };
        let (member, answers) = self.members.stream(WATCH, &request, deadline).await?;
        let mut begun = Begun { core: self, member, answers, teller };
        let created = clock::timeout_at(deadline, begun.answer()).await;
        let late = || Missed::Unanswered("the watch did not begin in time".to_owned());
        let created = created.unwrap_or_else(|| Err(begun.failed(late())))?;
        if !created.created {
            return Err(begun.failed(Missed::Unanswered("the watch begins with something else".to_owned())));
        }
        Ok(begun)
    }

    /// Proves contact at the asked pace, for ever, and looks whether the watch keeps up with the head.
    async fn keep_contact(
        &self,
        space: &Space,
        mut rhythm: Rhythm,
        told: &Mutex<Told>,
        sink: &Sink,
    ) -> Result<Infallible, Error> {
        let followed = self.followed(space);
        let mut behind: Option<Moment> = None;
        loop {
            let every = rhythm.every().max(self.pace);
            let now = clock::now();
            // Others who ask for contact at the same pace are content with one answer.
            let since = tokio::select! {
                () = sleep(every) => clock::now() - every / 2,
                news = rhythm.news() => match news {
                    News::Poked => now,
                    News::Changed => continue,
                },
            };
            let head = followed.head(since, clock::now() + CONTACT_WITHIN).await;
            let Head { asked, at } = match head {
                Ok(head) => head,
                // Silence says it. If it is the member's failure, the watch ends with its connection.
                Err(Error::Unavailable(_)) => continue,
                Err(error) => return Err(error),
            };
            let standing = {
                let told = locked(told);
                Standing::of(&told, asked, &at)
            };
            match standing {
                Standing::Level => {
                    behind = None;
                    sink.contact(at);
                }
                Standing::Passed => behind = None,
                Standing::RolledBack => {
                    let why = format!("the store stands at revision {}: it was rolled back or replaced", at.revision);
                    return Err(Error::Compacted(locked(told).at.revision, why));
                }
                Standing::Behind if now - STUCK_AFTER > *behind.get_or_insert(now) => {
                    return Err(Error::Unavailable(
                        "etcd's watch is stuck: the head shows what it does not tell".to_owned(),
                    ));
                }
                Standing::Behind => {}
            }
            self.compact_in_turn().await;
            // A watch that joins is not a reason to ask more often than this.
            sleep(every / REST).await;
        }
    }
}

/// A watch of etcd's that has begun.
struct Begun<'a> {
    core: &'a Core,
    member: Arc<Member>,
    answers: Answer,
    teller: Teller<'a>,
}

impl Begun<'_> {
    /// The commits of the next answer; of one that is not whole, none.
    async fn next(&mut self) -> Result<Vec<Committed>, Error> {
        let answer = self.answer().await?;
        self.teller.tell(answer)
    }

    async fn answer(&mut self) -> Result<WatchResponse, Error> {
        let next = tokio::select! {
            next = self.answers.next() => next,
            () = self.member.connection.closed() => Err(Missed::Unanswered("the connection was given up".to_owned())),
        };
        let ended = || Missed::Unanswered("the member ended the watch".to_owned());
        let answer = next.and_then(|next| next.ok_or_else(ended)).and_then(grpc::decode::<WatchResponse>);
        let answer = answer.map_err(|missed| self.failed(missed))?;
        if answer.canceled { Err(self.canceled(&answer)) } else { Ok(answer) }
    }

    /// Why etcd ended it.
    fn canceled(&self, answer: &WatchResponse) -> Error {
        const PERMISSION_DENIED: u32 = 7;
        const UNAVAILABLE: u32 = 14;
        let why = &answer.cancel_reason;
        if answer.compact_revision > 0 || failure::is_of_another_history(why) {
            let kept = answer.compact_revision;
            let why = format!("etcd's history was compacted up to revision {kept}");
            return Error::Compacted(self.teller.at().revision, why);
        }
        let code = if why.contains("permission denied") { PERMISSION_DENIED } else { UNAVAILABLE };
        let message = format!("it ended the watch: {}", why.escape_debug());
        self.failed(Missed::Refused(Status { code, message }))
    }

    fn failed(&self, missed: Missed) -> Error {
        self.core.members.failed(&self.member, Asked::Look, missed)
    }
}

/// How the watch stands to the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Everything is told.
    Level,
    /// The watch has told more, meanwhile.
    Passed,
    /// The head shows what the watch has not told yet.
    Behind,
    /// The head is before what was told, or another commit than that.
    RolledBack,
}

impl Standing {
    fn of(told: &Told, asked: Moment, head: &Cursor) -> Standing {
        // What somebody wrote by hand was told later than the head, under its mark.
        if head.mark == told.at.mark && head.revision <= told.at.revision {
            return Standing::Level;
        }
        if head.revision > told.at.revision {
            return Standing::Behind;
        }
        // An answer to what was asked before the last commit was told may be older than that.
        if asked > told.since { Standing::RolledBack } else { Standing::Passed }
    }
}

/// The first revision after that at which this was read.
fn after(read: &RangeResponse) -> i64 {
    read.header.as_ref().map_or(0, |header| header.revision).saturating_add(1)
}

fn other_history(from: &Cursor) -> Error {
    let why = "its commits carry other marks: the store was rolled back or replaced";
    Error::Compacted(from.revision, why.to_owned())
}

#[cfg(test)]
mod tests;
