//! A lease as a blob that is compared and set on its ETag: any TTL, one request a renewal.
//!
//! The content is the record; its number and the mode stand in the metadata. A deletion leaves an empty blob that says
//! so, for its number must live on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use steadfast_host::clock::Moment;
use steadfast_host::http::{Method, Reply};

use super::super::apart::{Place, Seen};
use super::super::failure::Failure;
use super::super::keys;
use super::super::rest::{Ask, Rest, Service};
use super::{GONE, MODE, Mode, VERSION, mode_of};
use crate::{Error, Key, Revision};

/// The leases of an account's container.
pub(in super::super) struct Blobs<'a>(pub(in super::super) &'a Arc<Rest>);

impl Blobs<'_> {
    fn path(&self, key: &Key) -> Result<String, Failure> {
        let blob = keys::lease(&key.space, &key.name).map_err(Failure::Known)?;
        Ok(format!("/{}/{blob}", self.0.account.container))
    }

    /// Leaves word where the lease would be that it is held natively, so that nobody takes it here.
    ///
    /// # Errors
    /// [`Error::Config`], if somebody does.
    pub(in super::super) async fn leave_word(&self, key: &Key, deadline: Moment) -> Result<(), Error> {
        let word = || -> Result<Ask, Failure> {
            let ask = Ask::new(Service::Blobs, Method::PUT, self.path(key)?)
                .with("x-ms-blob-type", "BlockBlob")
                .with(MODE, Mode::Native.as_str());
            Ok(ask.with("if-none-match", "*"))
        };
        let look = || async {
            let ask = Ask::new(Service::Blobs, Method::HEAD, self.path(key)?);
            self.0.ask(ask, deadline).await
        };
        let there = match look().await {
            Err(Failure::Refused(refusal)) if refusal.is_missing_blob() => {
                match self.0.ask(word().map_err(Failure::of_look)?, deadline).await {
                    Ok(_) => return Ok(()),
                    Err(failure) if failure.condition().is_some() => look().await.map_err(Failure::of_look)?,
                    Err(failure) => return Err(failure.of_look()),
                }
            }
            answered => answered.map_err(Failure::of_look)?,
        };
        let mode = there.headers.get(MODE).and_then(|mode| mode.to_str().ok());
        if mode_of(mode) == Some(Mode::Native) {
            return Ok(());
        }
        Err(Error::Config(format!(
            "{key:?} is kept with lease=etag by somebody else, and here as a native blob lease: all who share a store \
             need the same `lease` in its URL"
        )))
    }

    /// What is there, unless it still has this ETag.
    pub(in super::super) async fn look_anew(
        &self,
        key: &Key,
        known: Option<&str>,
        deadline: Moment,
    ) -> Result<Look, Failure> {
        let mut ask = Ask::new(Service::Blobs, Method::GET, self.path(key)?);
        if let Some(etag) = known {
            ask = ask.with("if-none-match", etag);
        }
        match self.0.ask(ask, deadline).await {
            Ok(reply) => seen(key, &reply).map(Look::Is).map_err(Failure::Known),
            Err(Failure::Refused(refusal)) if refusal.status == 304 => Ok(Look::Same),
            Err(Failure::Refused(refusal)) if refusal.is_missing_blob() => Ok(Look::None),
            Err(failure) => Err(failure),
        }
    }
}

/// What a look at a lease shows.
#[derive(Debug)]
pub(in super::super) enum Look {
    /// What was known already.
    Same,
    /// This.
    Is(Seen),
    /// There is none, and never was.
    None,
}

fn seen(key: &Key, reply: &Reply) -> Result<Seen, Error> {
    let strange = |what: &str| Error::Corrupt(format!("the blob of {key:?} {what}: is it Steadfast's?"));
    let header = |name: &str| reply.headers.get(name)?.to_str().ok();
    if mode_of(header(MODE)) == Some(Mode::Native) {
        return Err(Error::Config(format!(
            "{key:?} is kept as a native blob lease by somebody else, and here as lease=etag: all who share a store \
             need the same `lease` in its URL"
        )));
    }
    let version = header(VERSION).and_then(|text| text.parse().ok()).map(Revision);
    let version = version.ok_or_else(|| strange("has no metadata `steadfast_version`"))?;
    let etag = header("etag").ok_or_else(|| strange("came without an ETag"))?.to_owned();
    let value = header(GONE).is_none().then(|| reply.body.clone());
    Ok(Seen { version, value, etag })
}

#[async_trait]
impl Place for Blobs<'_> {
    async fn look(&self, key: &Key, deadline: Moment) -> Result<Option<Seen>, Failure> {
        Ok(match self.look_anew(key, None, deadline).await? {
            Look::Is(seen) => Some(seen),
            Look::Same | Look::None => None,
        })
    }

    async fn write(
        &self,
        key: &Key,
        before: Option<&str>,
        version: Revision,
        value: Option<&Bytes>,
        deadline: Moment,
    ) -> Result<String, Failure> {
        let mut ask = Ask::new(Service::Blobs, Method::PUT, self.path(key)?)
            .with("x-ms-blob-type", "BlockBlob")
            .with(VERSION, &version.to_string())
            .with(MODE, Mode::Etag.as_str());
        ask = match before {
            Some(etag) => ask.with("if-match", etag),
            None => ask.with("if-none-match", "*"),
        };
        ask = match value {
            Some(value) => ask.body("application/json", value.clone()),
            None => ask.with(GONE, "1"),
        };
        let reply = self.0.ask(ask, deadline).await?;
        let etag = reply.headers.get("etag").and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned)
            .ok_or_else(|| Failure::Unanswered("the answer to the write of a lease has no ETag".to_owned()))
    }
}
