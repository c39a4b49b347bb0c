//! A scan: records, beats and leases, which are kept in three places, in the one order of their names.

use std::ops::Bound;
use std::sync::Arc;

use steadfast_host::clock::Moment;

use super::beats;
use super::entity::Row;
use super::failure::Failure;
use super::keys::{self, Shelf};
use super::lease::Leases;
use super::lease::etag::Look;
use super::rest::{Continuation, Rest};
use crate::page::PageBuilder;
use crate::{BEAT, Error, Key, LEASE, PAGE_BYTES, Record, Space};

/// Entities asked for first, before anything is known of their size; and the most that Azure gives at once.
const TOP: (usize, usize) = (32, 1_000);

/// What is scanned.
pub(super) struct Scan<'a> {
    pub(super) rest: &'a Arc<Rest>,
    pub(super) leases: &'a Leases,
    pub(super) space: &'a Space,
    /// Records that are wanted.
    pub(super) limit: usize,
    pub(super) deadline: Moment,
}

/// A range of names, all of which are kept in one place.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    shelf: Shelf,
    from: Bound<Vec<u8>>,
    /// Excluded; `None`: no end.
    to: Option<Vec<u8>>,
}

/// The stretches that names under `prefix` lie in, beginning after `after`.
fn stretches(prefix: &[u8], after: Option<&[u8]>) -> Vec<Stretch> {
    let (beats, leases) = (successor(BEAT), successor(LEASE));
    let all = [
        (Shelf::Records, Some(Vec::new()), Some(BEAT.to_vec())),
        (Shelf::Beats, Some(BEAT.to_vec()), beats.clone()),
        (Shelf::Records, beats, Some(LEASE.to_vec())),
        (Shelf::Leases, Some(LEASE.to_vec()), leases.clone()),
        (Shelf::Records, leases, None),
    ];
    let end = successor(prefix);
    let within = |(shelf, from, to): (Shelf, Option<Vec<u8>>, Option<Vec<u8>>)| {
        let from = from?.max(prefix.to_vec());
        let to = match (to, &end) {
            (Some(to), Some(end)) => Some(to.min(end.clone())),
            (to, end) => to.or_else(|| end.clone()),
        };
        let from = match after {
            Some(after) if after >= from.as_slice() => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(from),
        };
        let (Bound::Included(first) | Bound::Excluded(first)) = &from else { return None };
        to.as_ref().is_none_or(|to| first < to).then_some(Stretch { shelf, from, to })
    };
    all.into_iter().filter_map(within).collect()
}

/// The first name after all that begin with `prefix`; `None`: there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

impl Stretch {
    fn holds(&self, name: &[u8]) -> bool {
        let begun = match &self.from {
            Bound::Included(from) => name >= from.as_slice(),
            Bound::Excluded(from) => name > from.as_slice(),
            Bound::Unbounded => true,
        };
        begun && self.to.as_ref().is_none_or(|to| name < to.as_slice())
    }

    /// The rows of it, as a query says it.
    fn filter(&self, partition: &str, row: impl Fn(&[u8]) -> String) -> String {
        let from = match &self.from {
            Bound::Included(from) => format!("RowKey ge '{}'", row(from)),
            Bound::Excluded(from) => format!("RowKey gt '{}'", row(from)),
            Bound::Unbounded => format!("RowKey ge '{}'", row(b"")),
        };
        let to = self.to.as_ref().map_or_else(|| format!("{}{}", row(b""), keys::ABOVE), |to| row(to));
        format!("PartitionKey eq '{partition}' and {from} and RowKey lt '{to}'")
    }
}

impl Scan<'_> {
    /// Fills `page` with what lies under `prefix` and after `after`.
    pub(super) async fn fill(&self, page: &mut PageBuilder, prefix: &[u8], after: Option<&[u8]>) -> Result<(), Error> {
        for stretch in stretches(prefix, after) {
            let full = match stretch.shelf {
                Shelf::Records => {
                    let filter = stretch.filter(&keys::partition(self.space), keys::record);
                    let name = |row: &Row| keys::bytes_of(row.key.strip_prefix("r-")?);
                    self.query(page, &filter, |row| Ok(Some((strange(row, name(row))?, row.record()?)))).await?
                }
                Shelf::Beats => {
                    let filter = stretch.filter(&keys::beats(self.space), keys::beat);
                    let beat = |row: &Row| {
                        let name = strange(row, keys::bytes_of(&row.key))?;
                        Ok(beats::seen(row)?.record().map(|record| (name, record)))
                    };
                    self.query(page, &filter, beat).await?
                }
                Shelf::Leases => self.leases(page, &stretch).await?,
            };
            if full {
                break;
            }
        }
        Ok(())
    }

    /// Adds what `filter` finds; `true`: the page is full, and there is more.
    async fn query(
        &self,
        page: &mut PageBuilder,
        filter: &str,
        read: impl Fn(&Row) -> Result<Option<(Vec<u8>, Record)>, Error>,
    ) -> Result<bool, Error> {
        let (mut top, mut from) = (TOP.0.min(self.limit.saturating_add(1)), Continuation::default());
        loop {
            let (rows, more) = self.rest.query(filter, "", top, from, self.deadline).await.map_err(Failure::of_look)?;
            let mut bytes = 1;
            for row in &rows {
                let Some((name, record)) = read(row)? else { continue };
                if page.is_full() {
                    return Ok(true);
                }
                bytes += name.len() + record.value.len();
                page.add(&name, record);
            }
            let Some(more) = more else { return Ok(false) };
            from = more;
            top = (rows.len().max(1) * PAGE_BYTES / bytes).clamp(1, TOP.1);
        }
    }

    async fn leases(&self, page: &mut PageBuilder, stretch: &Stretch) -> Result<bool, Error> {
        let names = self.leases.names(self.rest, self.space, self.deadline).await.map_err(Failure::of_look)?;
        for name in names.into_iter().filter(|name| stretch.holds(name)) {
            let key = Key::new(self.space.clone(), name);
            let look = self.leases.look(self.rest, &key, None, self.deadline).await.map_err(Failure::of_look)?;
            let Look::Is(seen) = look else { continue };
            let Some(record) = seen.record() else { continue };
            if page.is_full() {
                return Ok(true);
            }
            page.add(&key.name, record);
        }
        Ok(false)
    }
}

fn strange(row: &Row, name: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
    name.ok_or_else(|| Error::Corrupt(format!("the row `{}` of the table is no record's", row.key)))
}

#[cfg(test)]
mod tests;
