//! The thread that owns the file, and the store that calls it.
//!
//! Group commit: all batches that wait are judged one after the other in one transaction, which reaches the disk
//! once; one that conflicts writes nothing and stops nobody. Nobody is answered before the transaction is on the
//! disk. Reads are answered first, from what was acknowledged before.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_host::clock::{self, Moment};
use tokio::sync::oneshot;

use super::failure::{Doubt, Failure, Kind};
use super::file::File;
use super::fold::FoldBound;
use super::place::{Lock, Place};
use super::queue::{Call, Queue, Reply, Scan, answer};
use super::transaction::Transaction;
use crate::history::{History, locked};
use crate::page::records_at_most;
use crate::{
    Batch, Cursor, Description, Error, Key, Limits, LogBound, Page, PageToken, Record, Revision, Space, Store, Watch,
    rules,
};

/// What waits in the log is folded in slices of so many changed records: a call that comes meanwhile waits for one.
const SLICE_CHANGES: usize = 1024;

/// Without a call for so long, the next slice is folded.
const BETWEEN_SLICES: Duration = Duration::from_millis(20);

/// Commits fold a share as they go. Where that is less, a slice is folded so often, whoever calls.
const SLICE_AT_LEAST_EVERY: Duration = Duration::from_millis(100);

/// How many slices are folded when the store is closed; whoever serves next does the rest.
const SLICES_AT_THE_END: usize = 16;

/// After the disk was full, nothing is written for so long, and for so many times what it takes to open the file again:
/// who has no room must not read all of the log for each commit that finds none.
const REST_AFTER_FULL: Duration = Duration::from_millis(250);
const REST_TIMES_OPENING: u32 = 4;

/// The store, served by a thread of this process.
#[derive(Debug)]
pub(super) struct Engine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Doubt>>>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    bound: LogBound,
    fold: FoldBound,
    queue: Queue,
    histories: Mutex<HashMap<Space, Arc<History>>>,
}

impl Engine {
    /// Opens the file and starts the thread, which holds the lock as long as the file is open.
    /// `ended` is told why the thread ended, if it does so by itself. `doubt` is of what the journal holds, before and
    /// after.
    pub(super) fn start(
        place: Place,
        lock: Lock,
        bound: LogBound,
        fold: FoldBound,
        ended: oneshot::Sender<Error>,
        doubt: &mut Doubt,
    ) -> Result<Engine, Error> {
        let shared = Arc::new(Shared { place, bound, fold, queue: Queue::default(), histories: Mutex::default() });
        let file = shared.open(doubt)?;
        let mut owner = Owner {
            shared: Arc::clone(&shared),
            file: Some(file),
            failing: None,
            doubt: Doubt::None,
            ended: Some(ended),
            last_slice: clock::now(),
            opening: Duration::ZERO,
            rests_until: Moment::ZERO,
            lock,
        };
        let thread = Builder::new()
            .name("store".to_owned())
            .spawn(move || owner.run())
            .map_err(|e: io::Error| Error::Unavailable(format!("start the store's thread: {e}")))?;
        Ok(Engine { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread, after the transaction under way; what waits is refused. Returns when the file is closed, with
    /// the doubt that is left of what the journal holds.
    pub(super) fn stop(&self) -> Doubt {
        self.shared.end(&closed());
        match locked(&self.thread).take() {
            // It panicked if this fails, and has said so, but not where.
            Some(thread) => thread.join().unwrap_or(Doubt::SyncFailed),
            None => Doubt::None,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn closed() -> Error {
    Error::Unavailable("the store was closed".to_owned())
}

impl Shared {
    /// Opens the file and takes over where it stands. Watches of spaces that stand where they stood go on.
    ///
    /// Nothing is shown that a power loss could take back: what the disk would not take is not read either. Only where it
    /// has no room, and holds nothing whose sync failed, the file can be read all the same.
    fn open(&self, doubt: &mut Doubt) -> Result<File, Error> {
        let mut file = File::open(&self.place.file, self.fold)?;
        if let Err(failure) = file.settle(doubt)
            && (*doubt == Doubt::SyncFailed || failure.kind != Kind::Full)
        {
            return Err(failure.error);
        }
        let mut found = file.histories(self.bound)?;
        let mut histories = locked(&self.histories);
        histories.retain(|space, history| {
            let head = found.get(space).map_or(Cursor::START, History::head);
            let same = head == history.head();
            if same {
                found.remove(space);
            } else {
                history.end(Error::Unavailable("the store's file was opened anew".to_owned()));
            }
            same
        });
        histories.extend(found.into_iter().map(|(space, history)| (space, Arc::new(history))));
        *doubt = Doubt::None;
        Ok(file)
    }

    fn history(&self, space: &Space) -> Arc<History> {
        let mut histories = locked(&self.histories);
        if let Some(history) = histories.get(space) {
            return Arc::clone(history);
        }
        let fresh = Arc::new(History::new(self.bound, Revision::default()));
        Arc::clone(histories.entry(space.clone()).or_insert(fresh))
    }

    fn end(&self, error: &Error) {
        self.queue.close(error.clone());
        locked(&self.histories).values().for_each(|history| history.end(error.clone()));
    }
}

/// The thread's own.
struct Owner {
    shared: Arc<Shared>,
    /// `None` after a failure, until it opens again.
    file: Option<File>,
    /// The failure last logged, until a transaction succeeds: a full disk is reported once, not a thousand times.
    failing: Option<Error>,
    /// Of what the journal holds.
    doubt: Doubt,
    ended: Option<oneshot::Sender<Error>>,
    /// When something was folded beside the commits.
    last_slice: Moment,
    /// How long it took to open the file again, the last time.
    opening: Duration,
    /// The disk is full: until then nothing is written.
    rests_until: Moment,
    /// Declared after the file, so that the file is closed when the lock is given back.
    lock: Lock,
}

/// However the thread ends: nobody waits for it.
impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.end(&Error::Unavailable("the store's thread ended".to_owned()));
    }
}

impl Owner {
    /// Serves until the end; returns the doubt that is left.
    fn run(&mut self) -> Doubt {
        while let Some(calls) = self.shared.queue.take(self.patience()) {
            if let Err(lost) = self.lock.guards(&self.shared.place) {
                calls.into_iter().for_each(|call| call.refuse(lost.clone()));
                self.shared.end(&lost);
                if let Some(ended) = self.ended.take() {
                    drop(ended.send(lost));
                }
                return self.doubt;
            }
            match self.reopen() {
                Ok(()) if calls.is_empty() => self.fold(),
                Ok(()) => self.serve(calls),
                Err(error) => calls.into_iter().for_each(|call| call.refuse(error.clone())),
            }
            // Whoever reads all the time does not keep the log from being folded.
            if self.is_folding() && clock::now() >= self.last_slice + SLICE_AT_LEAST_EVERY {
                self.fold_slice();
            }
        }
        self.leave();
        self.doubt
    }

    /// How long calls are waited for before there is other work. After a failure there is none until somebody calls.
    fn patience(&self) -> Option<Duration> {
        let unfolded = self.file.as_ref()?.unfolded();
        if unfolded.is_folding() { Some(BETWEEN_SLICES) } else { unfolded.quiet() }
    }

    /// Nobody has called for a while: brings what the log holds into the table, a slice at a time.
    fn fold(&mut self) {
        if let Some(file) = &mut self.file {
            file.freeze();
        }
        while self.is_folding() && !self.shared.queue.has_calls() {
            self.fold_slice();
        }
    }

    fn is_folding(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.unfolded().is_folding())
    }

    fn fold_slice(&mut self) {
        if self.lock.guards(&self.shared.place).is_err() {
            // Whoever calls next is told. Until then the file is not touched: it may be another's by now.
            self.file = None;
        }
        let Some(file) = &mut self.file else { return };
        self.last_slice = clock::now();
        let begun = file.begin(&mut self.doubt);
        if let Err(failure) = begun.and_then(|()| file.fold(SLICE_CHANGES)).and_then(|()| file.commit()) {
            // The log has it all. What is not folded now is folded when the file has been opened anew.
            self.given_up(failure);
        }
    }

    /// At the end: leaves a table that people can read, as far as that does not take long. The log has the rest.
    fn leave(&mut self) {
        for _ in 0..SLICES_AT_THE_END {
            if let Some(file) = &mut self.file {
                file.freeze();
            }
            if self.is_folding() {
                self.fold_slice();
            }
        }
    }

    /// Opens the file again after a failure.
    fn reopen(&mut self) -> Result<(), Error> {
        if self.file.is_none() {
            let begin = clock::now();
            match self.shared.open(&mut self.doubt) {
                Ok(file) => self.file = Some(file),
                Err(error) => {
                    self.note(&error);
                    return Err(error);
                }
            }
            self.opening = clock::now().since(begin);
        }
        Ok(())
    }

    fn serve(&mut self, calls: Vec<Call>) {
        let mut batches = Vec::new();
        for call in calls {
            match call {
                Call::Commit(batch, reply) => batches.push((batch, reply)),
                Call::Read(key, reply) => self.look(reply, |_, file| file.read(&key.space, &key.name)),
                Call::Scan(scan, reply) => self.look(reply, |shared, file| {
                    let known = locked(&shared.histories).get(&scan.space).map(|history| history.head());
                    let head = known.unwrap_or(Cursor::START);
                    file.scan(&scan.space, &scan.prefix, scan.token.as_ref(), scan.records_at_most, head)
                }),
            }
        }
        if !batches.is_empty() {
            self.commit(batches);
        }
    }

    /// Answers from what the file holds, if somebody still asks.
    fn look<T>(&mut self, reply: Reply<T>, from: impl FnOnce(&Shared, &File) -> Result<T, Failure>) {
        if !reply.begin() {
            return;
        }
        let found = match (self.reopen(), &self.file) {
            (Ok(()), Some(file)) => from(&self.shared, file),
            (Err(error), _) => Err(Failure { error, kind: Kind::Passing }),
            (Ok(()), None) => Err(Failure { error: closed(), kind: Kind::Passing }),
        };
        reply.send(found.map_err(|failure| self.failed(failure)));
    }

    /// Judges and writes all batches in one transaction, and answers them when it is on the disk.
    fn commit(&mut self, batches: Vec<(Batch, Reply<Cursor>)>) {
        if let Some(full) = self.failing.clone().filter(|_| clock::now() < self.rests_until) {
            return batches.into_iter().for_each(|(_, reply)| reply.send(Err(full.clone())));
        }
        let mut transaction = Transaction::default();
        let mut batches = batches.into_iter();
        match self.write(&mut transaction, &mut batches) {
            Ok(()) => {}
            Err(failure) => {
                let error = self.failed(failure);
                transaction.refuse(&error);
                batches.for_each(|(_, reply)| reply.send(Err(error.clone())));
                return;
            }
        }
        match self.file.as_mut().map(File::commit) {
            Some(Ok(())) => {
                self.failing = None;
                transaction.publish();
            }
            Some(Err(failure)) => self.settle(transaction, failure),
            None => transaction.refuse(&closed()),
        }
    }

    /// Up to the end of the transaction, but for the commit. After a failure nothing of it happened: without its
    /// commit, the journal's part of it is void.
    fn write(
        &mut self,
        transaction: &mut Transaction,
        batches: &mut impl Iterator<Item = (Batch, Reply<Cursor>)>,
    ) -> Result<(), Failure> {
        self.reopen().map_err(|error| Failure { error, kind: Kind::Passing })?;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.begin(&mut self.doubt)?;
        let written =
            transaction.write(file, |space| self.shared.history(space), batches).and_then(|()| transaction.stand(file));
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// A transaction whose commit failed may or may not be in the file. The connection is given up; what the file,
    /// opened anew, says of it decides.
    fn settle(&mut self, transaction: Transaction, failure: Failure) {
        let touched = transaction.heads.iter().next();
        let before = touched.map(|(space, (history, _))| (space.clone(), history.head()));
        let error = self.given_up(failure);
        let happened = match (self.reopen(), before) {
            (Ok(()), Some((space, before))) => self.shared.history(&space).head() != before,
            (Ok(()), None) => false,
            (Err(_), _) => true,
        };
        if happened {
            transaction.refuse(&Error::OutcomeUnknown(format!("the commit ended with: {error}")));
        } else {
            transaction.refuse(&error);
        }
    }

    /// The same of a failure after which nobody knows what is in the file.
    fn given_up(&mut self, failure: Failure) -> Error {
        let kind = if failure.kind == Kind::Full { Kind::Full } else { Kind::Lasting };
        if kind == Kind::Lasting {
            self.doubt = Doubt::SyncFailed;
        }
        self.failed(Failure { kind, ..failure })
    }

    /// Logs a failure of the file, gives the connection up unless it is as good as before, and says what to answer.
    fn failed(&mut self, failure: Failure) -> Error {
        if failure.kind != Kind::Passing {
            self.file = None;
        }
        if failure.kind == Kind::Full {
            self.rests_until = clock::now() + REST_AFTER_FULL.max(REST_TIMES_OPENING * self.opening);
        }
        self.note(&failure.error);
        failure.error
    }

    /// Logs a failure, unless it is the one that was logged last.
    fn note(&mut self, error: &Error) {
        if self.failing.as_ref() != Some(error) {
            tracing::warn!(%error, "the store's file failed");
            self.failing = Some(error.clone());
        }
    }
}

#[async_trait]
impl Store for Engine {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        rules::check_name(&key.name, rules::LIMITS)?;
        let (reply, answer) = answer();
        self.shared.queue.push(Call::Read(key.clone(), reply));
        answer.wait(within, Error::Unavailable).await
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        batch.check(rules::LIMITS)?;
        let (reply, answer) = answer();
        self.shared.queue.push(Call::Commit(batch, reply));
        answer.wait(within, Error::OutcomeUnknown).await
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        rules::check_prefix(prefix, rules::LIMITS)?;
        let records_at_most = records_at_most(space, limit)?;
        let scan = Scan { space: space.clone(), prefix: prefix.to_vec(), token: page, records_at_most };
        let (reply, answer) = answer();
        self.shared.queue.push(Call::Scan(scan, reply));
        answer.wait(within, Error::Unavailable).await
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        rules::check_prefixes(prefixes, rules::LIMITS)?;
        Ok(Box::new(self.shared.history(space).watch(prefixes, from, progress_every)?))
    }

    fn limits(&self) -> Limits {
        rules::LIMITS
    }

    fn describe(&self) -> Description {
        self.shared.place.describe()
    }
}

#[cfg(test)]
mod tests;
