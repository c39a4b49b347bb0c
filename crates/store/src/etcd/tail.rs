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

/// Where a space's history begins, as a revision of etcd's.
enum Beginning {
    /// Here is its first commit.
    FirstCommit(i64),
    /// It has none, and none can come before this.
    NoneBefore(i64),
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
        let at = match *from == Cursor::START {
            // What was compacted is missing from a history that begins at the beginning.
            true => match self.beginning(space, deadline).await? {
                Beginning::FirstCommit(at) => at,
                Beginning::NoneBefore(_) => return Ok(None),
            },
            // 0, which etcd takes for now, is that of no commit.
            false => i64::try_from(from.revision.0).ok().filter(|at| *at > 0).ok_or_else(|| other_history(from))?,
        };
        let then = RangeRequest { revision: at, ..RangeRequest::one(self.keys.head(space)) };
        let then: Result<RangeResponse, Error> = self.members.call(Asked::Look, RANGE, &then, deadline).await;
        match then {
            Ok(_) if *from == Cursor::START => Ok(None),
            Ok(head) if transaction::head_of(&head) == *from => {
                self.commit_at(space, bulk, from, deadline).await.map(Some)
            }
            Ok(_) => Err(other_history(from)),
            Err(Error::Unavailable(why)) if failure::is_of_another_history(&why) => {
                Err(Error::Compacted(from.revision, why))
            }
            Err(error) => Err(error),
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
    /// Where a space's history begins.
    async fn beginning(&self, space: &Space, deadline: Moment) -> Result<Beginning, Error> {
        let head = RangeRequest::one(self.keys.head(space));
        let head: RangeResponse = self.members.call(Asked::Look, RANGE, &head, deadline).await?;
        let now = head.header.map_or(0, |header| header.revision);
        Ok(match head.kvs.first() {
            Some(kv) => Beginning::FirstCommit(kv.create_revision),
            None => Beginning::NoneBefore(now.saturating_add(1)),
        })
    }

    /// The commit at `at`, which is one, with all it did.
    async fn commit_at(&self, space: &Space, bulk: bool, at: &Cursor, deadline: Moment) -> Result<Committed, Error> {
        let mut watch = self.begin(space, bulk, mod_revision(at.revision), at.clone(), deadline).await?;
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
        let start = match from == Cursor::START {
            true => match self.beginning(space, deadline).await? {
                Beginning::FirstCommit(at) | Beginning::NoneBefore(at) => at,
            },
            false => mod_revision(from.revision),
        };
        let mut watch = self.begin(space, bulk, start, from.clone(), deadline).await?;
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

    /// A watch of etcd's that begins with what has revision `start`: the commit at `from`, or the first of all.
    async fn begin<'a>(
        &'a self,
        space: &'a Space,
        bulk: bool,
        start: i64,
        from: Cursor,
        deadline: Moment,
    ) -> Result<Begun<'a>, Error> {
        let (key, range_end) = self.keys.history(space, bulk);
        let create = WatchCreateRequest { key, range_end, start_revision: start, fragment: true };
        let request = WatchRequest { call: Some(WatchCall::Create(create)) };
        let (member, answers) = self.members.stream("/etcdserverpb.Watch/Watch", &request, deadline).await?;
        let mut begun = Begun { core: self, member, answers, teller: Teller::new(&self.keys, space, from) };
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
        if *head == told.at {
            return Standing::Level;
        }
        if head.revision > told.at.revision {
            return Standing::Behind;
        }
        // An answer to what was asked before the last commit was told may be older than that.
        if asked > told.since { Standing::RolledBack } else { Standing::Passed }
    }
}

fn other_history(from: &Cursor) -> Error {
    let why = "its commits carry other marks: the store was rolled back or replaced";
    Error::Compacted(from.revision, why.to_owned())
}
