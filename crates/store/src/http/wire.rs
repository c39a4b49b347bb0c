//! What goes over the wire: the contract's types as JSON, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use steadfast_host::http::StatusCode;

use crate::{
    Batch, Change, Committed, Cursor, Description, Error, Expect, Finding, Hold, Limits, Named, Notice, Page,
    PageToken, Record, Revision, Space, Write,
};

/// Bytes as text in base64 (RFC 4648 §4, padded).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw(pub(super) Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Raw).map_err(|e| de::Error::custom(format!("not base64: {e}")))
    }
}

/// Serialized as its text, which it is also read from.
macro_rules! by_text {
    ($name:ident($of:ty), $text:expr, $read:expr) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) $of);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text: fn(&$of) -> String = $text;
                serializer.serialize_str(&text(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                let read: fn(&str) -> Result<$of, String> = $read;
                read(&text).map($name).map_err(de::Error::custom)
            }
        }
    };
}

by_text!(WireSpace(Space), |space| space.to_string(), |text| {
    Space::new(text).ok_or_else(|| "a space is 1 to 64 printable ASCII characters without `/`".to_owned())
});
by_text!(WireCursor(Cursor), |cursor| cursor.to_string(), |text| text.parse().map_err(|e| format!("{e}")));

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) space: WireSpace,
    pub(super) name: Raw,
    pub(super) within_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReadReply {
    pub(super) record: Option<WireRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireRecord {
    version: Revision,
    value: Raw,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Commit {
    pub(super) space: WireSpace,
    changes: Vec<WireChange>,
    pub(super) within_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireChange {
    name: Raw,
    /// The version expected; `null`: no record.
    expect: Option<Revision>,
    write: WireWrite,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireWrite {
    Put {
        value: Raw,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<WireHold>,
    },
    Delete,
    Nothing,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireHold {
    Take,
    Renew,
    Release,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommitReply {
    pub(super) cursor: WireCursor,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Scan {
    pub(super) space: WireSpace,
    pub(super) prefix: Raw,
    pub(super) page: Option<WireToken>,
    pub(super) limit: usize,
    pub(super) within_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Examine {
    pub(super) within_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExamineReply {
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireToken {
    cursor: WireCursor,
    after: Raw,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ScanReply {
    cursor: WireCursor,
    records: Vec<WireNamed>,
    next: Option<WireToken>,
}

/// A name and what is there; `null`: nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireNamed {
    name: Raw,
    record: Option<WireRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) space: WireSpace,
    pub(super) prefixes: Vec<Raw>,
    pub(super) from: WireCursor,
    pub(super) progress_ms: u64,
}

/// A line of a watch. The last one is `ended`; a watch that stops without it was cut off.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Committed { cursor: WireCursor, changes: Vec<WireNamed> },
    Progress(WireCursor),
    Ended(Problem),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Describe {
    pub(super) protocol: u32,
    pub(super) limits: Limits,
    pub(super) description: Description,
}

/// The one field of [`Describe`] that every protocol has.
#[derive(Debug, Deserialize)]
pub(super) struct Speaks {
    pub(super) protocol: u32,
}

/// An error as a problem document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    pub(super) status: u16,
    reason: String,
    detail: String,
    /// Of a conflict: the current records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    records: Vec<WireNamed>,
    /// Of a lost history: the revision asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

impl Commit {
    pub(super) fn of(batch: Batch, within_ms: u64) -> Commit {
        let changes = batch.changes.into_iter().map(WireChange::of).collect();
        Commit { space: WireSpace(batch.space), changes, within_ms }
    }

    pub(super) fn batch(self) -> Batch {
        Batch { space: self.space.0, changes: self.changes.into_iter().map(WireChange::change).collect() }
    }
}

impl WireChange {
    fn of(change: Change) -> WireChange {
        let expect = match change.expect {
            Expect::Absent => None,
            Expect::Version(version) => Some(version),
        };
        let write = match change.write {
            Write::Put(value, hold) => WireWrite::Put { value: Raw(value.into()), hold: hold.map(WireHold::of) },
            Write::Delete => WireWrite::Delete,
            Write::Nothing => WireWrite::Nothing,
        };
        WireChange { name: Raw(change.name), expect, write }
    }

    fn change(self) -> Change {
        let write = match self.write {
            WireWrite::Put { value, hold } => Write::Put(Bytes::from(value.0), hold.map(WireHold::hold)),
            WireWrite::Delete => Write::Delete,
            WireWrite::Nothing => Write::Nothing,
        };
        Change { name: self.name.0, expect: self.expect.map_or(Expect::Absent, Expect::Version), write }
    }
}

impl WireHold {
    fn of(hold: Hold) -> WireHold {
        match hold {
            Hold::Take => WireHold::Take,
            Hold::Renew => WireHold::Renew,
            Hold::Release => WireHold::Release,
        }
    }

    fn hold(self) -> Hold {
        match self {
            WireHold::Take => Hold::Take,
            WireHold::Renew => Hold::Renew,
            WireHold::Release => Hold::Release,
        }
    }
}

impl WireRecord {
    pub(super) fn of(record: Record) -> WireRecord {
        WireRecord { version: record.version, value: Raw(record.value.into()) }
    }

    pub(super) fn record(self) -> Record {
        Record { version: self.version, value: Bytes::from(self.value.0) }
    }
}

impl WireNamed {
    fn of((name, record): Named) -> WireNamed {
        WireNamed { name: Raw(name), record: record.map(WireRecord::of) }
    }

    fn pair(self) -> Named {
        (self.name.0, self.record.map(WireRecord::record))
    }
}

impl WireToken {
    pub(super) fn of(token: PageToken) -> WireToken {
        WireToken { cursor: WireCursor(token.cursor), after: Raw(token.after) }
    }

    pub(super) fn token(self) -> PageToken {
        PageToken { cursor: self.cursor.0, after: self.after.0 }
    }
}

impl ScanReply {
    pub(super) fn of(page: Page) -> ScanReply {
        let records = page.records.into_iter().map(|(name, record)| WireNamed::of((name, Some(record)))).collect();
        ScanReply { cursor: WireCursor(page.cursor), records, next: page.next.map(WireToken::of) }
    }

    pub(super) fn page(self) -> Page {
        let present = |(name, record): Named| Some((name, record?));
        Page {
            cursor: self.cursor.0,
            records: self.records.into_iter().map(WireNamed::pair).filter_map(present).collect(),
            next: self.next.map(WireToken::token),
        }
    }
}

impl Line {
    pub(super) fn of(notice: Notice) -> Line {
        match notice {
            Notice::Committed(Committed { cursor, changes }) => Line::Committed {
                cursor: WireCursor(cursor),
                changes: changes.into_iter().map(WireNamed::of).collect(),
            },
            Notice::Progress(cursor) => Line::Progress(WireCursor(cursor)),
        }
    }

    pub(super) fn notice(self) -> Result<Notice, Error> {
        match self {
            Line::Committed { cursor, changes } => Ok(Notice::Committed(Committed {
                cursor: cursor.0,
                changes: changes.into_iter().map(WireNamed::pair).collect(),
            })),
            Line::Progress(cursor) => Ok(Notice::Progress(cursor.0)),
            Line::Ended(problem) => Err(problem.error().unwrap_or_else(|| {
                Error::Unavailable("the watch ended for a reason this build does not know".to_owned())
            })),
        }
    }
}

impl Problem {
    pub(super) fn of(error: Error) -> Problem {
        let mut problem = Problem {
            title: String::new(),
            status: 0,
            reason: String::new(),
            detail: String::new(),
            records: Vec::new(),
            revision: None,
        };
        let (status, reason, title, detail) = match error {
            Error::Conflict(records) => {
                problem.records = records.into_iter().map(WireNamed::of).collect();
                let detail = "the records are not as the batch expects".to_owned();
                (StatusCode::CONFLICT, "conflict", "Another write came first", detail)
            }
            Error::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Did not happen", why),
            Error::OutcomeUnknown(why) => (StatusCode::GATEWAY_TIMEOUT, "outcome-unknown", "May have happened", why),
            Error::Compacted(revision, why) => {
                problem.revision = Some(revision);
                (StatusCode::GONE, "compacted", "The history is gone or another", why)
            }
            Error::Denied(why) => (StatusCode::FORBIDDEN, "denied", "Refused", why),
            Error::Corrupt(why) => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt", "The content cannot be used", why),
            Error::Config(why) => (StatusCode::BAD_REQUEST, "config", "Asked wrongly", why),
        };
        Problem { status: status.as_u16(), reason: reason.to_owned(), title: title.to_owned(), detail, ..problem }
    }

    /// The error it was made of; `None` if its reason is none of a store's.
    pub(super) fn error(self) -> Option<Error> {
        Some(match self.reason.as_str() {
            "conflict" => Error::Conflict(self.records.into_iter().map(WireNamed::pair).collect()),
            "unavailable" => Error::Unavailable(self.detail),
            "outcome-unknown" => Error::OutcomeUnknown(self.detail),
            "compacted" => Error::Compacted(self.revision?, self.detail),
            "denied" => Error::Denied(self.detail),
            "corrupt" => Error::Corrupt(self.detail),
            "config" => Error::Config(self.detail),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
