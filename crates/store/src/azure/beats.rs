//! Beats: entities of a partition of their own, written without head or log.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use steadfast_host::clock::Moment;

use super::apart::{Place, Seen};
use super::batch::{Does, Operation};
use super::entity::{Entity, Row};
use super::failure::Failure;
use super::keys;
use super::rest::Rest;
use crate::{Error, Key, Revision};

/// The beats of an account's table.
pub(super) struct Beats<'a>(pub(super) &'a Arc<Rest>);

/// What the row of a beat says.
pub(super) fn seen(row: &Row) -> Result<Seen, Error> {
    let record = row.record()?;
    let value = (!row.is("Gone")).then_some(record.value);
    Ok(Seen { version: record.version, value, etag: row.etag.clone() })
}

#[async_trait]
impl Place for Beats<'_> {
    async fn look(&self, key: &Key, deadline: Moment) -> Result<Option<Seen>, Failure> {
        let row = self.0.entity(&keys::beats(&key.space), &keys::beat(&key.name), deadline).await?;
        row.as_ref().map(seen).transpose().map_err(Failure::Known)
    }

    async fn write(
        &self,
        key: &Key,
        before: Option<&str>,
        version: Revision,
        value: Option<&Bytes>,
        deadline: Moment,
    ) -> Result<String, Failure> {
        let (partition, row) = (keys::beats(&key.space), keys::beat(&key.name));
        let entity = Entity::new(&partition, &row);
        let entity = match value {
            Some(value) => entity.record(version, value),
            None => entity.record(version, b"").is("Gone"),
        };
        let does = match before {
            Some(etag) => Does::Replace(entity, etag.to_owned()),
            None => Does::Insert(entity),
        };
        let etags = self.0.transact(&partition, &[Operation { row, does }], deadline).await?;
        etags
            .into_iter()
            .next()
            .flatten()
            .ok_or_else(|| Failure::Unanswered("the answer to the write of a beat has no ETag".to_owned()))
    }
}
