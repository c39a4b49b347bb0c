//! A set's lease held by Azure itself: on the same kind of blob (a page blob of size 0) that the `BlobLeaseManager` of
//! Microsoft's leader-election sample leases, so that both can contend for it.
//!
//! ```text
//! Take     leave word for those who would hold it by its ETag → acquire, with an id that was never used → read → write the record under the lease, if it is as expected
//! Renew    renew → write the record         what is vouched for is held
//! Release  write the record → release
//! ```
//! The id that an answer names is compared. Where the outcome of an acquire or a release is not known, this handle
//! acquires nothing until that lease must have run out: a release that arrives late can only end its own lease.
//! The record stands in the blob's metadata, since such a blob has no content.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use steadfast_host::clock::{self, Moment};
use steadfast_host::http::{Method, Reply};
use steadfast_host::random;

use super::super::apart::Seen;
use super::super::failure::Failure;
use super::super::keys;
use super::super::rest::{Ask, Rest, Service};
use super::etag::Blobs;
use super::{GONE, MODE, Mode, VERSION, mode_of};
use crate::turn::{Turn, Turns};
use crate::{Change, Error, Hold, Key, Revision, Space, Write};

/// Metadata of a lease's blob: the record. JSON as it is, or `~` and base64 where a header could not hold it.
const RECORD: &str = "x-ms-meta-steadfast_record";

/// Bytes of a record in metadata: Azure gives all of it 8 KiB.
const RECORD_BYTES: usize = 7 << 10;

/// Which sets' leases are Azure's, where they are, and what this handle holds.
#[derive(Debug)]
pub(in super::super) struct Native {
    /// The blob of a set's lease; `{set}` is the set's name.
    blob: String,
    /// How long one lasts.
    pub(in super::super) lasts: Duration,
    /// What this handle has of each set's lease; who has the turn asks for it, and nobody else.
    turns: Turns<Hand>,
}

/// What this handle has of one lease.
#[derive(Clone, Debug, Default)]
struct Hand {
    held: Option<Held>,
    /// Until then an acquire or a release of ours may take effect.
    doubtful: Option<Moment>,
    /// Those who would hold it by its ETag were told.
    has_left_word: bool,
}

#[derive(Clone, Debug)]
struct Held {
    id: String,
    /// `None`: a write of the record had no answer, and it has to be looked at.
    written: Option<(Revision, String)>,
}

/// The blob as it is.
#[derive(Clone, Debug)]
struct Blob {
    /// The record, if there ever was one.
    seen: Option<Seen>,
    etag: String,
}

impl Native {
    pub(in super::super) fn new(blob: &str, lasts: Duration) -> Native {
        Native { blob: blob.to_owned(), lasts, turns: Turns::default() }
    }

    /// Whether it is the lease that Azure holds: the one of the set whose space it is in. Others, like the keeper's, are
    /// shorter than Azure's may be.
    pub(in super::super) fn is_mine(&self, key: &Key) -> bool {
        key.name == super::own_name(&key.space)
    }

    fn path(&self, rest: &Rest, space: &Space) -> String {
        format!("/{}/{}", rest.account.container, self.blob.replace("{set}", &keys::partition(space)))
    }

    /// What is there, unless it still has this ETag (`Ok(None)`).
    pub(in super::super) async fn look(
        &self,
        rest: &Rest,
        key: &Key,
        known: Option<&str>,
        deadline: Moment,
    ) -> Result<super::etag::Look, Failure> {
        use super::etag::Look;
        match self.head(rest, key, known, deadline).await? {
            None => Ok(Look::Same),
            Some(blob) => Ok(blob.and_then(|blob| blob.seen).map_or(Look::None, Look::Is)),
        }
    }

    /// The blob: `None`: it still has this ETag; `Some(None)`: there is none.
    async fn head(
        &self,
        rest: &Rest,
        key: &Key,
        known: Option<&str>,
        deadline: Moment,
    ) -> Result<Option<Option<Blob>>, Failure> {
        let mut ask = Ask::new(Service::Blobs, Method::HEAD, self.path(rest, &key.space));
        if let Some(etag) = known {
            ask = ask.with("if-none-match", etag);
        }
        match rest.ask(ask, deadline).await {
            Ok(reply) => blob(key, &reply).map(|blob| Some(Some(blob))).map_err(Failure::Known),
            Err(Failure::Refused(refusal)) if refusal.status == 304 => Ok(None),
            Err(Failure::Refused(refusal)) if refusal.is_missing_blob() => Ok(Some(None)),
            Err(failure) => Err(failure),
        }
    }

    /// Makes the change; returns the version it has (`None`: it wrote nothing), which is above `floor`.
    pub(in super::super) async fn commit(
        &self,
        rest: &Arc<Rest>,
        key: &Key,
        change: &Change,
        floor: Revision,
        deadline: Moment,
    ) -> Result<Option<Revision>, Error> {
        let hand = self.turns.wait(&key.space, deadline.since(clock::now())).await?;
        let mut attempt = Attempt { native: self, rest, key, change, floor, deadline, hand };
        match &change.write {
            Write::Nothing => {
                let blob = attempt.look().await?;
                attempt.judge(blob.as_ref()).map(|_| None)
            }
            Write::Put(_, Some(Hold::Take)) => attempt.take().await.map(Some),
            Write::Put(_, Some(Hold::Renew)) => attempt.renew().await.map(Some),
            Write::Put(_, Some(Hold::Release)) | Write::Delete => attempt.release().await.map(Some),
            Write::Put(_, None) => attempt.write_plainly().await.map(Some),
        }
    }
}

impl Hand {
    /// An acquire or a release may take effect until its lease, which lasts so long, has run out. Said before it is sent,
    /// too: whoever asked for it may not wait for the answer.
    fn doubts(&mut self, lasts: Duration) {
        (self.held, self.doubtful) = (None, Some(clock::now() + lasts));
    }

    /// What became of it is known: this is held.
    fn knows(&mut self, held: Option<Held>) {
        (self.held, self.doubtful) = (held, None);
    }
}

/// One commit of a lease.
struct Attempt<'a> {
    native: &'a Native,
    rest: &'a Arc<Rest>,
    key: &'a Key,
    change: &'a Change,
    /// The highest version seen of it.
    floor: Revision,
    deadline: Moment,
    hand: Turn<Hand>,
}

impl Attempt<'_> {
    async fn take(&mut self) -> Result<Revision, Error> {
        if self.hand.held.is_some() {
            // No release of this id was ever sent: it is as good as a fresh one, if it is still held.
            return self.renew().await;
        }
        if let Some(until) = self.hand.doubtful
            && clock::now() < until
        {
            return Err(Error::Unavailable(
                "the outcome of this process' last acquire or release of the lease is not known: it waits until that \
                 lease must have run out"
                    .to_owned(),
            ));
        }
        self.leave_word().await?;
        let id = fresh_id();
        self.acquire(&id).await?;
        let blob = match self.look().await {
            Ok(blob) => blob,
            Err(error) => return Err(self.give_back(&id, error).await),
        };
        let Some(blob) = blob else {
            return Err(self.give_back(&id, Error::Unavailable("the lease's blob is gone".to_owned())).await);
        };
        match self.judge(Some(&blob)) {
            Ok(version) => self.write(Some(&id), &blob.etag, version).await,
            Err(error) => Err(self.give_back(&id, error).await),
        }
    }

    async fn renew(&mut self) -> Result<Revision, Error> {
        let Some(held) = self.hand.held.clone() else {
            return Err(Error::Unavailable(
                "this process does not hold the lease: it waits until its former one has run out".to_owned(),
            ));
        };
        let answered = self.rest.ask(self.lease("renew").with("x-ms-lease-id", &held.id), self.deadline).await;
        match answered {
            Ok(reply) if named(&reply, &held.id) => {}
            Ok(_) => return Err(self.lost().await),
            Err(Failure::Refused(refusal)) if refusal.is_of_a_lease() || refusal.is_missing_blob() => {
                return Err(self.lost().await);
            }
            // The record is not written: whatever became of the renewal, nothing was vouched for.
            Err(failure) => return Err(failure.of_look()),
        }
        let known = held.written.filter(|(version, _)| self.change.expect.holds(Some(*version)));
        let (version, etag) = match known {
            Some(written) => written,
            None => match self.look().await? {
                Some(blob) => (self.judge(Some(&blob))?, blob.etag),
                None => return Err(self.lost().await),
            },
        };
        self.write(Some(&held.id), &etag, version).await
    }

    async fn release(&mut self) -> Result<Revision, Error> {
        let Some(held) = self.hand.held.clone() else { return self.write_plainly().await };
        let blob = self.look().await?;
        let version = self.judge(blob.as_ref())?;
        let etag = blob.map(|blob| blob.etag).unwrap_or_default();
        let written = self.write(Some(&held.id), &etag, version).await;
        if let Err(Error::OutcomeUnknown(_)) = written {
            self.hand.doubts(self.native.lasts);
        }
        let written = written?;
        self.end(&held.id).await;
        Ok(written)
    }

    /// Sees to it that nobody holds the same lease by the ETag of another blob.
    async fn leave_word(&mut self) -> Result<(), Error> {
        if !self.hand.has_left_word {
            Blobs(self.rest).leave_word(self.key, self.deadline).await?;
            self.hand.has_left_word = true;
        }
        Ok(())
    }

    /// Without a lease: only while nobody has one.
    async fn write_plainly(&mut self) -> Result<Revision, Error> {
        self.leave_word().await?;
        let blob = match self.look().await? {
            Some(blob) => blob,
            None => {
                self.judge(None)?;
                self.make().await?;
                self.look().await?.ok_or_else(|| Error::Unavailable("the lease's blob is gone".to_owned()))?
            }
        };
        let version = self.judge(Some(&blob))?;
        let id = self.hand.held.as_ref().map(|held| held.id.clone());
        self.write(id.as_deref(), &blob.etag, version).await
    }

    /// Leases the blob under `id`, which is made if it is not there.
    async fn acquire(&mut self, id: &str) -> Result<(), Error> {
        let lasts = self.native.lasts.as_secs().to_string();
        let ask = self.lease("acquire").with("x-ms-lease-duration", &lasts).with("x-ms-proposed-lease-id", id);
        self.hand.doubts(self.native.lasts);
        let mut answered = self.rest.ask(ask.clone(), self.deadline).await;
        if matches!(&answered, Err(Failure::Refused(refusal)) if refusal.is_missing_blob()) {
            self.hand.knows(None);
            self.make().await?;
            self.hand.doubts(self.native.lasts);
            answered = self.rest.ask(ask, self.deadline).await;
        }
        match answered {
            Ok(reply) if named(&reply, id) => {
                self.hand.knows(Some(Held { id: id.to_owned(), written: None }));
                Ok(())
            }
            Ok(_) => Err(Error::Unavailable("the lease was given under another id than ours".to_owned())),
            Err(Failure::Refused(refusal)) if refusal.is_of_a_lease() => {
                self.hand.knows(None);
                let blob = self.look().await?;
                self.judge(blob.as_ref())?;
                Err(Error::Unavailable("the lease's blob is leased by somebody else".to_owned()))
            }
            Err(failure) => match failure.of_commit() {
                Error::OutcomeUnknown(why) => {
                    self.hand.doubts(self.native.lasts);
                    // The record was not written, and will not be.
                    Err(Error::Unavailable(why))
                }
                error => {
                    self.hand.knows(None);
                    Err(error)
                }
            },
        }
    }

    /// Makes the blob, as the sample does.
    async fn make(&self) -> Result<(), Error> {
        let ask = Ask::new(Service::Blobs, Method::PUT, self.native.path(self.rest, &self.key.space))
            .with("x-ms-blob-type", "PageBlob")
            .with("x-ms-blob-content-length", "0")
            .with("if-none-match", "*");
        match self.rest.ask(ask, self.deadline).await {
            Ok(_) => Ok(()),
            // Somebody else made it first, and may have leased it already.
            Err(Failure::Refused(refusal)) if refusal.is_condition() || refusal.is_of_a_lease() => Ok(()),
            Err(failure) => Err(failure.of_look()),
        }
    }

    /// Writes the record, under the lease `id`, over what has this ETag and this version.
    async fn write(&mut self, id: Option<&str>, etag: &str, before: Revision) -> Result<Revision, Error> {
        let version = before.max(self.floor).next();
        let mut ask = Ask::new(Service::Blobs, Method::PUT, self.native.path(self.rest, &self.key.space))
            .query("comp", "metadata")
            .with("if-match", etag)
            .with(VERSION, &version.to_string())
            .with(MODE, Mode::Native.as_str());
        ask = match &self.change.write {
            Write::Put(value, _) => ask.with(RECORD, &written(value)?),
            Write::Delete | Write::Nothing => ask.with(GONE, "1"),
        };
        if let Some(id) = id {
            ask = ask.with("x-ms-lease-id", id);
        }
        let holds = |written| id.map(|id| Held { id: id.to_owned(), written });
        // Until the answer it is not known whether it was written; the lease is ours or runs out.
        self.hand.held = holds(None);
        match self.rest.ask(ask, self.deadline).await {
            Ok(reply) => {
                let etag = reply.headers.get("etag").and_then(|etag| etag.to_str().ok());
                let Some(etag) = etag else {
                    return Err(Error::OutcomeUnknown("the answer to the write of a lease has no ETag".to_owned()));
                };
                self.hand.held = holds(Some((version, etag.to_owned())));
                Ok(version)
            }
            Err(Failure::Refused(refusal)) if refusal.is_of_a_lease() || refusal.is_missing_blob() => {
                Err(self.lost().await)
            }
            // A write of ours came late, or somebody wrote who has no lease and found nobody to have one.
            Err(failure) if failure.condition().is_some() => {
                let blob = self.look().await?;
                self.judge(blob.as_ref())?;
                Err(Error::Unavailable("the lease's blob was written to meanwhile".to_owned()))
            }
            Err(failure) => Err(failure.of_commit()),
        }
    }

    /// Azure does not hold the lease for us, or not any more: what shows. Whoever led by it leads no more, whatever the
    /// record says, and is told so, for it would go on to its deadline: a renewal conflicts with there being no lease.
    async fn lost(&mut self) -> Error {
        self.hand.held = None;
        let looked = match self.look().await {
            Ok(blob) => self.judge(blob.as_ref()).map(drop),
            Err(error) => Err(error),
        };
        let is_renewal = matches!(&self.change.write, Write::Put(_, Some(Hold::Renew)));
        match looked {
            Err(conflict @ Error::Conflict(_)) => conflict,
            _ if is_renewal => Error::Conflict(vec![(self.key.name.clone(), None)]),
            Err(error) => error,
            Ok(()) => Error::Unavailable("the lease's blob is leased by somebody else".to_owned()),
        }
    }

    /// Ends a lease that is of no use, and says why it is not.
    async fn give_back(&mut self, id: &str, error: Error) -> Error {
        self.end(id).await;
        error
    }

    /// Releases the lease `id`.
    async fn end(&mut self, id: &str) {
        self.hand.doubts(self.native.lasts);
        let answered = self.rest.ask(self.lease("release").with("x-ms-lease-id", id), self.deadline).await;
        match answered.map_err(Failure::of_commit) {
            Ok(_) => self.hand.knows(None),
            Err(Error::OutcomeUnknown(_)) => self.hand.doubts(self.native.lasts),
            // Not released: it runs out, or was no longer ours.
            Err(_) => self.hand.knows(None),
        }
    }

    /// Whether the record is as the change believes, and what number it has.
    fn judge(&self, blob: Option<&Blob>) -> Result<Revision, Error> {
        let seen = blob.and_then(|blob| blob.seen.as_ref());
        let record = seen.and_then(Seen::record);
        if !self.change.expect.holds(record.as_ref().map(|record| record.version)) {
            return Err(Error::Conflict(vec![(self.key.name.clone(), record)]));
        }
        Ok(seen.map_or(Revision(0), |seen| seen.version))
    }

    async fn look(&self) -> Result<Option<Blob>, Error> {
        let blob = self.native.head(self.rest, self.key, None, self.deadline).await;
        blob.map(Option::flatten).map_err(Failure::of_look)
    }

    fn lease(&self, action: &str) -> Ask {
        Ask::new(Service::Blobs, Method::PUT, self.native.path(self.rest, &self.key.space))
            .query("comp", "lease")
            .with("x-ms-lease-action", action)
    }
}

fn blob(key: &Key, reply: &Reply) -> Result<Blob, Error> {
    let header = |name: &str| reply.headers.get(name)?.to_str().ok();
    let strange = |what: &str| Error::Corrupt(format!("the blob of {key:?} {what}: is it Steadfast's?"));
    let etag = header("etag").ok_or_else(|| strange("came without an ETag"))?.to_owned();
    if mode_of(header(MODE)) == Some(Mode::Etag) {
        return Err(Error::Config(format!(
            "{key:?} is kept with lease=etag by somebody else, and here as a native blob lease: all who share a store \
             need the same `lease` in its URL"
        )));
    }
    let Some(version) = header(VERSION) else { return Ok(Blob { seen: None, etag }) };
    let version = version.parse().map(Revision).map_err(|_| strange("has no usable `steadfast_version`"))?;
    let value = match (header(GONE), header(RECORD)) {
        (Some(_), _) => None,
        (None, Some(text)) => Some(read(text).ok_or_else(|| strange("has no usable `steadfast_record`"))?),
        (None, None) => return Err(strange("has no metadata `steadfast_record`")),
    };
    Ok(Blob { seen: Some(Seen { version, value, etag: etag.clone() }), etag })
}

/// A record as metadata.
fn written(value: &Bytes) -> Result<String, Error> {
    if value.len() > RECORD_BYTES {
        return Err(Error::Config(format!(
            "a lease's record has {} bytes; a native blob lease holds {RECORD_BYTES}",
            value.len()
        )));
    }
    let plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let is_plain = value.starts_with(b"{") && value.ends_with(b"}") && value.iter().all(plain);
    match std::str::from_utf8(value) {
        // White space in a row may be made one on its way, and signatures are made of what arrives.
        Ok(text) if is_plain && !text.contains("  ") => Ok(text.to_owned()),
        _ => Ok(format!("~{}", URL_SAFE_NO_PAD.encode(value))),
    }
}

/// The record that is written so.
fn read(text: &str) -> Option<Bytes> {
    match text.strip_prefix('~') {
        Some(encoded) => URL_SAFE_NO_PAD.decode(encoded).ok().map(Bytes::from),
        None => Some(Bytes::copy_from_slice(text.as_bytes())),
    }
}

/// Whether the answer is about the lease of this id. (An emulator was seen to renew one with another's id.)
fn named(reply: &Reply, id: &str) -> bool {
    reply.headers.get("x-ms-lease-id").is_some_and(|answered| answered.as_bytes().eq_ignore_ascii_case(id.as_bytes()))
}

/// An id that no lease had before: a random UUID (RFC 9562, version 4).
fn fresh_id() -> String {
    let (high, low) = (random::u64(), random::u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests;
