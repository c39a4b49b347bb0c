//! The statements, and what their answers mean. Each is one round trip.

use bytes::Bytes;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::schema::Schema;
use crate::feed::tail::{Entry, Head, LogPage};
use crate::seen::Sight;
use crate::{Batch, Cursor, Expect, Key, Named, PAGE_BYTES, Page, PageToken, Record, Revision, Space, Write};

/// Bytes of names and values in a page of the log; the first commit comes even so.
const LOG_PAGE_BYTES: i64 = 4 << 20;

/// Of a name that is believed to be absent.
const ABSENT: i64 = -1;

/// One record.
pub(super) async fn read(client: &Client, schema: &Schema, key: &Key) -> Result<Option<Record>, Error> {
    let sql = format!("SELECT version, value FROM \"{}\".record WHERE space = $1 AND name = $2", schema.name());
    let parameters = [(&key.space.as_str() as _, Type::TEXT), (&key.name as _, Type::BYTEA)];
    let row = client.query_typed_opt(&sql, &parameters).await?;
    row.map(|row| Ok(Record { version: revision(&row, 0)?, value: bytes(&row, 1)? })).transpose()
}

/// A batch, as the parameters of `commit_v1`.
pub(super) struct Commit<'a> {
    space: &'a str,
    mark: &'a [u8],
    /// What this handle saw of the log: the highest number, and a commit that must still be there.
    floor: i64,
    at: i64,
    known: Option<&'a [u8]>,
    is_beat: bool,
    keep: i32,
    names: Vec<&'a [u8]>,
    beliefs: Vec<i64>,
    kinds: Vec<i16>,
    values: Vec<Option<&'a [u8]>>,
}

/// What became of it.
pub(super) struct Done {
    /// The space no longer has what was seen of it.
    pub(super) jumped: bool,
    pub(super) outcome: Result<Cursor, crate::Error>,
}

impl<'a> Commit<'a> {
    pub(super) fn of(batch: &'a Batch, mark: &'a [u8], seen: &'a Sight, keep: i32) -> Commit<'a> {
        let belief = |expect| match expect {
            Expect::Absent => ABSENT,
            Expect::Version(version) => number(version),
        };
        let kind = |write: &Write| match write {
            Write::Nothing => 0,
            Write::Put(..) => 1,
            Write::Delete => 2,
        };
        let value = |write: &'a Write| match write {
            Write::Put(value, _) => Some(&value[..]),
            Write::Nothing | Write::Delete => None,
        };
        let changes = &batch.changes;
        Commit {
            space: batch.space.as_str(),
            mark,
            floor: number(seen.floor),
            at: seen.known.as_ref().map_or(0, |known| number(known.revision)),
            known: seen.known.as_ref().map(|known| known.mark.as_slice()),
            is_beat: batch.is_beat(),
            keep,
            names: changes.iter().map(|change| change.name.as_slice()).collect(),
            beliefs: changes.iter().map(|change| belief(change.expect)).collect(),
            kinds: changes.iter().map(|change| kind(&change.write)).collect(),
            values: changes.iter().map(|change| value(&change.write)).collect(),
        }
    }

    pub(super) async fn make(&self, client: &Client, schema: &Schema) -> Result<Done, Error> {
        let parameters = [
            (&self.space as _, Type::TEXT),
            (&self.mark as _, Type::BYTEA),
            (&self.floor as _, Type::INT8),
            (&self.at as _, Type::INT8),
            (&self.known as _, Type::BYTEA),
            (&self.is_beat as _, Type::BOOL),
            (&self.keep as _, Type::INT4),
            (&self.names as _, Type::BYTEA_ARRAY),
            (&self.beliefs as _, Type::INT8_ARRAY),
            (&self.kinds as _, Type::INT2_ARRAY),
            (&self.values as _, Type::BYTEA_ARRAY),
        ];
        let row = client.query_typed_one(schema.commit(), &parameters).await?;
        let jumped = row.try_get::<_, Option<bool>>(2)?.unwrap_or(false);
        let Some(differ) = row.try_get::<_, Option<Vec<&[u8]>>>(3)? else {
            return Ok(Done { jumped, outcome: Ok(cursor(&row, 0)?) });
        };
        let versions: Vec<Option<i64>> = row.try_get(4)?;
        let contents: Vec<Option<&[u8]>> = row.try_get(5)?;
        let records = versions.into_iter().zip(contents).map(|(version, content)| {
            let (version, value) = (version?, content?);
            Some(Record { version: as_revision(version), value: Bytes::copy_from_slice(value) })
        });
        let conflicts = differ.into_iter().map(<[u8]>::to_vec).zip(records).collect();
        Ok(Done { jumped, outcome: Err(crate::Error::Conflict(conflicts)) })
    }
}

/// A page of records.
pub(super) struct Scan<'a> {
    pub(super) space: &'a Space,
    pub(super) prefix: &'a [u8],
    pub(super) token: Option<PageToken>,
    pub(super) records_at_most: usize,
}

impl Scan<'_> {
    /// The head and the records, as they stood at one moment.
    pub(super) async fn ask(&self, client: &Client, schema: &Schema) -> Result<Page, Error> {
        let begin = match &self.token {
            // Nothing lies between a name and itself with a zero behind it.
            Some(token) if token.after.as_slice() >= self.prefix => [&token.after[..], &[0]].concat(),
            _ => self.prefix.to_vec(),
        };
        let end = successor(self.prefix);
        // One more than are wanted says whether there is another page; their sizes are known without reading them.
        let limit = i64::try_from(self.records_at_most + 1).unwrap_or(i64::MAX);
        let (sql, space) = (self.sql(schema, end.is_some()), self.space.as_str());
        let mut parameters = vec![
            (&space as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
            (&begin, Type::BYTEA),
            (&limit, Type::INT8),
        ];
        if let Some(end) = &end {
            parameters.push((end, Type::BYTEA));
        }
        let rows = client.query_typed(&sql, &parameters).await?;
        let cursor = match (&self.token, rows.first()) {
            (Some(token), _) => token.cursor.clone(),
            (None, Some(row)) => cursor(row, 0)?,
            (None, None) => Cursor::START,
        };
        let mut page = Page { cursor, records: Vec::with_capacity(rows.len()), next: None };
        let mut there = 0;
        for row in &rows {
            let Some(name) = row.try_get::<_, Option<&[u8]>>(2)? else { continue };
            there = row.try_get::<_, i64>(5)?;
            if page.records.len() < self.records_at_most {
                page.records.push((name.to_vec(), Record { version: revision(row, 3)?, value: bytes(row, 4)? }));
            }
        }
        if there > i64::try_from(page.records.len()).unwrap_or(i64::MAX) {
            let after = page.records.last().map_or_else(Vec::new, |(name, _)| name.clone());
            page.next = Some(PageToken { cursor: page.cursor.clone(), after });
        }
        Ok(page)
    }

    fn sql(&self, schema: &Schema, has_end: bool) -> String {
        let (schema, end) = (schema.name(), if has_end { "AND name < $4" } else { "" });
        format!(
            "SELECT s.logged, s.mark, r.name, r.version, r.value, r.there \
             FROM (SELECT 1) AS one LEFT JOIN \"{schema}\".space s ON s.space = $1 \
             LEFT JOIN (\
                 SELECT name, version, value, count(*) OVER () AS there, \
                        sum(octet_length(name) + octet_length(value)) \
                            OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
                 FROM (SELECT name, version, value FROM \"{schema}\".record \
                       WHERE space = $1 AND name >= $2 {end} ORDER BY name LIMIT $3) found\
             ) r ON coalesce(r.before, 0) < {PAGE_BYTES} \
             ORDER BY r.name"
        )
    }
}

/// A part of the log, beginning with the commit at `from`.
pub(super) async fn page(
    client: &Client,
    schema: &Schema,
    space: &Space,
    bulk: bool,
    from: Revision,
    limit: usize,
) -> Result<LogPage, Error> {
    let (from, limit) = (number(from), i64::try_from(limit).unwrap_or(i64::MAX));
    let parameters = [(&space.as_str() as _, Type::TEXT), (&from as _, Type::INT8), (&limit as _, Type::INT8)];
    let rows = client.query_typed(&page_sql(schema, bulk), &parameters).await?;
    let head = match rows.first() {
        Some(row) => head(row, 0)?,
        None => Head { logged: Cursor::START, base: Revision::default() },
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get::<_, Option<i64>>(3)?.is_some() {
            entries.push(entry(row, bulk)?);
        }
    }
    let more = entries.last().is_some_and(|last| last.cursor.revision < head.logged.revision);
    Ok(LogPage { entries, head, more })
}

fn page_sql(schema: &Schema, bulk: bool) -> String {
    let schema = schema.name();
    let (columns, size) = if bulk {
        (", l.bulk_names, l.bulk_contents", "coalesce(pg_column_size(bulk_contents), 0) + ")
    } else {
        ("", "")
    };
    format!(
        "SELECT s.logged, s.mark, s.base, l.revision, l.mark, l.prev, l.names, l.contents{columns} \
         FROM (SELECT 1) AS one LEFT JOIN \"{schema}\".space s ON s.space = $1 \
         LEFT JOIN (\
             SELECT *, sum({size}coalesce(pg_column_size(contents), 0)) \
                 OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
             FROM (SELECT * FROM \"{schema}\".log WHERE space = $1 AND revision >= $2 \
                   ORDER BY revision LIMIT $3) found\
         ) l ON coalesce(l.before, 0) < {LOG_PAGE_BYTES} \
         ORDER BY l.revision"
    )
}

fn entry(row: &Row, bulk: bool) -> Result<Entry, Error> {
    let cursor = cursor(row, 3)?;
    let prev = row.try_get::<_, &[u8]>(5)?.to_vec();
    let mut changes = named(row, 6, cursor.revision)?;
    if bulk {
        changes.append(&mut named(row, 8, cursor.revision)?);
    }
    Ok(Entry { cursor, prev, changes })
}

/// Names in one column, and in the next what they are since: nothing is a deletion.
fn named(row: &Row, column: usize, version: Revision) -> Result<Vec<Named>, Error> {
    let Some(names) = row.try_get::<_, Option<Vec<&[u8]>>>(column)? else { return Ok(Vec::new()) };
    let contents: Vec<Option<&[u8]>> = row.try_get(column + 1)?;
    let record = |content: &[u8]| Record { version, value: Bytes::copy_from_slice(content) };
    Ok(names.into_iter().zip(contents).map(|(name, content)| (name.to_vec(), content.map(record))).collect())
}

/// Where each of `spaces` stands.
pub(super) async fn heads(client: &Client, schema: &Schema, spaces: &[Space]) -> Result<Vec<Head>, Error> {
    let sql = format!(
        "SELECT s.logged, s.mark, s.base FROM unnest($1) WITH ORDINALITY AS asked(space, place) \
         LEFT JOIN \"{}\".space s ON s.space = asked.space ORDER BY asked.place",
        schema.name()
    );
    let spaces: Vec<&str> = spaces.iter().map(Space::as_str).collect();
    let rows = client.query_typed(&sql, &[(&spaces as _, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| head(row, 0)).collect()
}

/// The head in three columns; nothing where the space has none yet.
fn head(row: &Row, column: usize) -> Result<Head, Error> {
    Ok(Head { logged: cursor(row, column)?, base: revision(row, column + 2)? })
}

/// A revision in one column and its mark in the next.
fn cursor(row: &Row, column: usize) -> Result<Cursor, Error> {
    let mark = row.try_get::<_, Option<&[u8]>>(column + 1)?;
    Ok(Cursor { revision: revision(row, column)?, mark: mark.unwrap_or_default().to_vec() })
}

fn revision(row: &Row, column: usize) -> Result<Revision, Error> {
    Ok(as_revision(row.try_get::<_, Option<i64>>(column)?.unwrap_or(0)))
}

fn bytes(row: &Row, column: usize) -> Result<Bytes, Error> {
    Ok(Bytes::copy_from_slice(row.try_get::<_, &[u8]>(column)?))
}

fn as_revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or(0))
}

/// A revision that the database cannot hold is one that it has never given.
fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// The first of all names after those that begin with `prefix`, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}
