//! Entity group transactions: several operations in one request, all or nothing, told apart in the answer.
//!
//! The answer's own status is 202 whatever became of it. Inside is either an answer for each operation, or a single one
//! that says which operation failed and why: then nothing was done.

use bytes::Bytes;
use steadfast_host::random;

use super::entity::Entity;
use super::failure::{Refusal, explained};

/// Operations of one transaction, at most; one more is refused by the service.
pub(super) const OPERATIONS: usize = 100;

/// One operation on one entity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    /// The row.
    pub(super) row: String,
    /// What is done.
    pub(super) does: Does,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Does {
    /// Makes an entity that is not there.
    Insert(Entity),
    /// Writes all of an entity that still has this ETag.
    Replace(Entity, String),
    /// Deletes an entity that still has this ETag (`*`: any).
    Delete(String),
}

/// Where a transaction goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination<'a> {
    /// The table's URL: `https://account.table.core.windows.net/steadfast`.
    pub(super) table: &'a str,
    /// The partition all its entities are in.
    pub(super) partition: &'a str,
}

/// The request's content type and body.
pub(super) fn request(destination: Destination<'_>, operations: &[Operation]) -> (String, Bytes) {
    let (batch, changes) = (random::u64(), random::u64());
    let mut body = format!("--batch_{batch:016x}\r\n");
    body.push_str(&format!("Content-Type: multipart/mixed; boundary=changeset_{changes:016x}\r\n\r\n"));
    for (index, operation) in operations.iter().enumerate() {
        body.push_str(&format!("--changeset_{changes:016x}\r\n"));
        body.push_str("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n");
        body.push_str(&operation.head(destination));
        body.push_str("Accept: application/json;odata=nometadata\r\nPrefer: return-no-content\r\n");
        body.push_str(&format!("DataServiceVersion: 3.0;\r\nContent-ID: {}\r\n", index + 1));
        if let Does::Replace(_, etag) | Does::Delete(etag) = &operation.does {
            body.push_str(&format!("If-Match: {etag}\r\n"));
        }
        match &operation.does {
            Does::Insert(entity) | Does::Replace(entity, _) => {
                body.push_str(&format!("Content-Type: application/json\r\n\r\n{}\r\n", entity.json()));
            }
            Does::Delete(_) => body.push_str("\r\n\r\n"),
        }
    }
    body.push_str(&format!("--changeset_{changes:016x}--\r\n--batch_{batch:016x}--\r\n"));
    (format!("multipart/mixed; boundary=batch_{batch:016x}"), Bytes::from(body))
}

impl Operation {
    /// The request line. Rows and partitions have no character that a URL would have to encode.
    fn head(&self, Destination { table, partition }: Destination<'_>) -> String {
        let method = match &self.does {
            Does::Insert(_) => return format!("POST {table} HTTP/1.1\r\n"),
            Does::Replace(..) => "PUT",
            Does::Delete(_) => "DELETE",
        };
        format!("{method} {table}(PartitionKey='{partition}',RowKey='{}') HTTP/1.1\r\n", self.row)
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// All of it, and the ETags of what was written (none for what was deleted).
    Done(Vec<Option<String>>),
    /// Nothing.
    Refused(Refusal),
}

/// Reads the answer to `operations` operations; `Err` says why it is none.
pub(super) fn answer(body: &[u8], operations: usize) -> Result<Answer, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer to a transaction is no text".to_owned())?;
    let mut etags = Vec::new();
    for part in parts(text)?.take(OPERATIONS + 1) {
        let inner = Inner::of(part)?;
        match inner.status {
            200..300 => etags.push(inner.header("etag").map(str::to_owned)),
            status => {
                let (code, message, operation) = explained(inner.body.as_bytes());
                let code = code.unwrap_or_default();
                return Ok(Answer::Refused(Refusal { status, code, message, operation, date: None }));
            }
        }
    }
    if etags.len() == operations {
        return Ok(Answer::Done(etags));
    }
    Err(format!("the answer to a transaction of {operations} operations tells of {}", etags.len()))
}

/// The answers inside: what stands between the lines of the inner boundary.
fn parts(text: &str) -> Result<impl Iterator<Item = &str>, String> {
    let no_boundary = || "the answer to a transaction has no boundary between its parts".to_owned();
    // What comes first names the boundary of the answers in its head.
    let (head, rest) = text.split_once("\r\n\r\n").ok_or_else(no_boundary)?;
    let (_, boundary) = head.split_once("boundary=").ok_or_else(no_boundary)?;
    let boundary = boundary.split(['\r', '\n', ';']).next().unwrap_or_default().trim().trim_matches('"');
    if boundary.is_empty() {
        return Err(no_boundary());
    }
    let line = format!("--{boundary}");
    let end = rest.find(&format!("{line}--")).ok_or("the answer to a transaction breaks off")?;
    let inside = &rest[..end];
    let begin = inside.find(&line).ok_or_else(no_boundary)? + line.len();
    let parts: Vec<&str> = inside[begin..].split(line.as_str()).take(OPERATIONS + 1).collect();
    Ok(parts.into_iter())
}

/// An answer inside an answer.
struct Inner<'a> {
    status: u16,
    headers: &'a str,
    body: &'a str,
}

impl<'a> Inner<'a> {
    fn of(part: &'a str) -> Result<Inner<'a>, String> {
        let strange = || "a part of the answer to a transaction is no answer".to_owned();
        let (_, http) = part.split_once("\r\n\r\n").ok_or_else(strange)?;
        let (head, body) = http.split_once("\r\n\r\n").unwrap_or((http, ""));
        let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(strange)?;
        Ok(Inner { status: status.parse().map_err(|_| strange())?, headers, body })
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
