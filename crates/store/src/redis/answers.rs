//! What the server's replies mean: values of the contract, or what is wrong with them. Nothing here asks anybody.

use bytes::Bytes;

use super::resp::Reply;
use crate::{Cursor, Error, Named, Page, PageToken, Record, Revision};

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was made, and stands here.
    Done { cursor: Cursor, jumped: bool },
    /// Records differ from what was believed.
    Differs { records: Vec<Named>, jumped: bool },
    /// What lies there is not ours, or was damaged.
    Damaged(String),
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) mark: Vec<u8>,
    /// The mark of the entry before it.
    pub(super) prev: Vec<u8>,
    /// The other stream has more of it.
    pub(super) has_bulk: bool,
    pub(super) changes: Vec<Named>,
}

/// The answer of the script that commits; `None`: it is no such answer.
pub(super) fn outcome(reply: Reply) -> Option<Outcome> {
    let mut parts = array(reply)?.into_iter();
    match &string(parts.next()?)?[..] {
        b"done" => {
            let cursor = Cursor { revision: revision(parts.next()?)?, mark: string(parts.next()?)?.to_vec() };
            Some(Outcome::Done { cursor, jumped: flag(parts.next()?)? })
        }
        b"differs" => {
            let jumped = flag(parts.next()?)?;
            let mut records = Vec::new();
            for (name, record) in pairs(array(parts.next()?)?)? {
                match record_or_none(record) {
                    Ok(record) => records.push((name.to_vec(), record)),
                    Err(NoRecord) => return Some(Outcome::Damaged(no_record(&name))),
                }
            }
            Some(Outcome::Differs { records, jumped })
        }
        _ => None,
    }
}

/// The record that a `HGET` shows.
pub(super) fn record(name: &[u8], reply: Reply) -> Result<Option<Record>, Error> {
    record_or_none(reply).map_err(|NoRecord| Error::Corrupt(no_record(name)))
}

/// A page as the script that scans shows it; `begun` is the page it follows.
pub(super) fn page(reply: Reply, begun: Option<&PageToken>) -> Result<Page, Error> {
    let strange = || Error::Corrupt("a page of it has another form than those written here".to_owned());
    let mut parts = array(reply).ok_or_else(strange)?.into_iter();
    let mut part = || parts.next().ok_or_else(strange);
    let revision = revision(part()?).ok_or_else(strange)?;
    let stands = Cursor { revision, mark: string(part()?).ok_or_else(strange)?.to_vec() };
    let cursor = begun.map_or(stands, |token| token.cursor.clone());
    let more = flag(part()?).ok_or_else(strange)?;
    let mut records = Vec::new();
    for (name, found) in array(part()?).and_then(pairs).ok_or_else(strange)? {
        let found = record(&name, found)?.ok_or_else(|| Error::Corrupt(no_record(&name)))?;
        records.push((name.to_vec(), found));
    }
    let last = records.last().filter(|_| more).map(|(name, _)| name.clone());
    let next = last.map(|after| PageToken { cursor: cursor.clone(), after });
    Ok(Page { cursor, records, next })
}

/// Where a space stands, as a `HMGET` of `logged` and `mark` shows it; START if nothing was ever logged there.
pub(super) fn head(reply: Reply) -> Option<Cursor> {
    let mut parts = array(reply)?.into_iter();
    match (parts.next()?, parts.next()?) {
        (Reply::Nil, Reply::Nil) => Some(Cursor::START),
        (logged, mark) => Some(Cursor { revision: revision(logged)?, mark: string(mark)?.to_vec() }),
    }
}

/// Entries of the log, as an `XRANGE` shows them.
pub(super) fn entries(reply: Reply) -> Option<Vec<Entry>> {
    array(reply)?.into_iter().map(|entry| logged_entry(stream_entry(entry)?)).collect()
}

/// Entries of the bulk: which commit, and what it changed.
pub(super) fn bulk(reply: Reply) -> Option<Vec<(Revision, Vec<Named>)>> {
    let of = |entry| {
        let (revision, fields) = stream_entry(entry)?;
        Some((revision, changes(revision, fields)?))
    };
    array(reply)?.into_iter().map(of).collect()
}

fn logged_entry((revision, mut fields): (Revision, Vec<Reply>)) -> Option<Entry> {
    const OF_THE_COMMIT: usize = 6;
    if fields.len() < OF_THE_COMMIT {
        return None;
    }
    let changes = changes(revision, fields.split_off(OF_THE_COMMIT))?;
    let mut fields = fields.into_iter();
    let mut field = |name: &[u8]| {
        let named = string(fields.next()?)? == name;
        string(fields.next()?).filter(|_| named)
    };
    let (mark, prev) = (field(b"m")?.to_vec(), field(b"p")?.to_vec());
    Some(Entry { revision, mark, prev, has_bulk: field(b"b")? == b"1"[..], changes })
}

/// The revision that an entry's id is, and its fields.
fn stream_entry(entry: Reply) -> Option<(Revision, Vec<Reply>)> {
    let mut parts = array(entry)?.into_iter();
    let id = string(parts.next()?)?;
    let revision = digits(id.strip_suffix(b"-0")?)?;
    Some((Revision(revision), array(parts.next()?)?))
}

fn changes(version: Revision, fields: Vec<Reply>) -> Option<Vec<Named>> {
    let of = |(name, written): (Bytes, Reply)| {
        let written = string(written)?;
        let record = match written.split_first()? {
            (b'p', value) => Some(Record { version, value: Bytes::copy_from_slice(value) }),
            (b'd', []) => None,
            _ => return None,
        };
        Some((name.to_vec(), record))
    };
    pairs(fields)?.into_iter().map(of).collect()
}

/// There is something, and it is no record.
struct NoRecord;

fn record_or_none(reply: Reply) -> Result<Option<Record>, NoRecord> {
    if reply == Reply::Nil {
        return Ok(None);
    }
    let text = string(reply).ok_or(NoRecord)?;
    let colon = text.iter().position(|byte| *byte == b':').ok_or(NoRecord)?;
    let version = Revision(digits(&text[..colon]).ok_or(NoRecord)?);
    // Copied: a record that is kept for long must not keep the whole reply that it came in.
    Ok(Some(Record { version, value: Bytes::copy_from_slice(&text[colon + 1..]) }))
}

fn no_record(name: &[u8]) -> String {
    format!("under `{}` stands no record that was written here", name.escape_ascii())
}

fn array(reply: Reply) -> Option<Vec<Reply>> {
    if let Reply::Array(parts) = reply { Some(parts) } else { None }
}

fn string(reply: Reply) -> Option<Bytes> {
    if let Reply::String(text) = reply { Some(text) } else { None }
}

fn flag(reply: Reply) -> Option<bool> {
    match reply {
        Reply::Integer(0) => Some(false),
        Reply::Integer(1) => Some(true),
        _ => None,
    }
}

fn revision(reply: Reply) -> Option<Revision> {
    digits(&string(reply)?).map(Revision)
}

fn digits(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

/// A flat array of names, each with what follows it.
fn pairs(parts: Vec<Reply>) -> Option<Vec<(Bytes, Reply)>> {
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    let mut parts = parts.into_iter();
    while let Some(name) = parts.next() {
        pairs.push((string(name)?, parts.next()?));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests;
