//! Entities of the table as JSON: what is written, and what an answer says.
//!
//! Bytes that are longer than a property may be are cut into several, `V0`, `V1` … Numbers of 64 bits go as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Error, Record, Revision};

/// Bytes of one property, at most.
const PROPERTY_BYTES: usize = 64 << 10;

/// Properties that bytes are cut into, at most: an entity has room for a MiB.
const PROPERTIES: usize = 16;

/// The parts of a log row: of the changes, and of those of names under `client/`, which not everybody reads.
pub(super) const CHANGES: char = 'C';
pub(super) const BULK: char = 'B';

/// A record's value, where it is text that people can read.
const TEXT: &str = "Value";

/// Bytes of such a text, at most: a property has room for 64 KiB of UTF-16.
const TEXT_BYTES: usize = 16 << 10;

/// One entity of an answer.
#[derive(Debug)]
pub(super) struct Row {
    /// Its row key.
    pub(super) key: String,
    /// What a conditional write of it gives.
    pub(super) etag: String,
    properties: Map<String, Value>,
}

/// An entity that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity(Map<String, Value>);

/// The entities of an answer to a query.
pub(super) fn rows(body: &[u8]) -> Result<Vec<Row>, Error> {
    let strange = |what: &str| Error::Corrupt(format!("the table answers a query with what is no list: {what}"));
    let mut answer: Value = serde_json::from_slice(body).map_err(|e| strange(&e.to_string()))?;
    let Some(Value::Array(entities)) = answer.get_mut("value").map(Value::take) else {
        return Err(strange("it has no `value`"));
    };
    entities.into_iter().map(|entity| Row::of(entity).ok_or_else(|| strange("an entity has no row key"))).collect()
}

impl Row {
    fn of(entity: Value) -> Option<Row> {
        let Value::Object(mut properties) = entity else { return None };
        let Some(Value::String(key)) = properties.remove("RowKey") else { return None };
        let etag = match properties.remove("odata.etag") {
            Some(Value::String(etag)) => etag,
            _ => String::new(),
        };
        Some(Row { key, etag, properties })
    }

    /// A number; `None` if the entity has none of this name.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.properties.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| self.wrong(name)),
            Some(other) => other.as_u64().map(Some).ok_or_else(|| self.wrong(name)),
        }
    }

    /// A number that must be there.
    pub(super) fn revision(&self, name: &str) -> Result<Revision, Error> {
        self.number(name)?.map(Revision).ok_or_else(|| self.wrong(name))
    }

    /// Whether it says so.
    pub(super) fn is(&self, name: &str) -> bool {
        self.properties.get(name) == Some(&Value::Bool(true))
    }

    /// Bytes; none if the entity has none of this name.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        match self.properties.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => STANDARD.decode(text).map_err(|_| self.wrong(name)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// Bytes that were cut.
    pub(super) fn parts(&self, letter: char) -> Result<Vec<u8>, Error> {
        let mut whole = self.bytes(&format!("{letter}0"))?;
        for n in 1..PROPERTIES {
            let part = self.bytes(&format!("{letter}{n}"))?;
            if part.is_empty() {
                break;
            }
            whole.extend(part);
        }
        Ok(whole)
    }

    /// The record of it.
    pub(super) fn record(&self) -> Result<Record, Error> {
        let value = match self.properties.get(TEXT) {
            Some(Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
            _ => Bytes::from(self.parts('V')?),
        };
        Ok(Record { version: self.revision("Version")?, value })
    }

    fn wrong(&self, name: &str) -> Error {
        Error::Corrupt(format!("the entity `{}` of the table has no usable `{name}`", self.key))
    }
}

impl Entity {
    pub(super) fn new(partition: &str, row: &str) -> Entity {
        let text = |text: &str| Value::String(text.to_owned());
        Entity(Map::from_iter([("PartitionKey".to_owned(), text(partition)), ("RowKey".to_owned(), text(row))]))
    }

    /// The same with a number.
    #[must_use]
    pub(super) fn number(self, name: &str, number: u64) -> Entity {
        self.typed(name, "Edm.Int64", Value::String(number.to_string()))
    }

    /// The same with bytes.
    #[must_use]
    pub(super) fn bytes(self, name: &str, bytes: &[u8]) -> Entity {
        self.typed(name, "Edm.Binary", Value::String(STANDARD.encode(bytes)))
    }

    /// The same with bytes in as many properties as they need.
    #[must_use]
    pub(super) fn parts(self, letter: char, bytes: &[u8]) -> Entity {
        let parts = bytes.chunks(PROPERTY_BYTES).enumerate();
        parts.fold(self, |entity, (n, part)| entity.bytes(&format!("{letter}{n}"), part))
    }

    /// The same with a record.
    #[must_use]
    pub(super) fn record(self, version: Revision, value: &[u8]) -> Entity {
        let mut entity = self.number("Version", version.0);
        match std::str::from_utf8(value) {
            Ok(text) if is_plain(text) => drop(entity.0.insert(TEXT.to_owned(), Value::String(text.to_owned()))),
            _ => entity = entity.parts('V', value),
        }
        entity
    }

    /// The same, saying that something is so.
    #[must_use]
    pub(super) fn is(mut self, name: &str) -> Entity {
        self.0.insert(name.to_owned(), Value::Bool(true));
        self
    }

    fn typed(mut self, name: &str, kind: &str, value: Value) -> Entity {
        self.0.insert(format!("{name}@odata.type"), Value::String(kind.to_owned()));
        self.0.insert(name.to_owned(), value);
        self
    }

    /// As it is sent, in one line.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

/// Whether a text comes back as it went: short, not empty, and of characters that nobody takes for something else.
fn is_plain(text: &str) -> bool {
    (1..=TEXT_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// The properties of a row of the log, for a query that wants no others.
pub(super) fn log_properties(bulk: bool) -> String {
    let letters: &[char] = if bulk { &[CHANGES, BULK] } else { &[CHANGES] };
    let parts = letters.iter().flat_map(|letter| (0..PROPERTIES).map(move |n| format!("{letter}{n}")));
    ["RowKey", "Mark", "Prev"].into_iter().map(str::to_owned).chain(parts).collect::<Vec<_>>().join(",")
}
