//! What the store needs in the database, and the statements that use it.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::url::{shown, wrong};

/// Which form of the tables this version works with. A later one adds functions beside those of this one and changes the
/// meaning of no column, so that both run together.
const FORMAT: i32 = 1;

/// The text for the schema `steadfast`.
const TEXT: &str = include_str!("schema.sql");

/// A schema's name is also that of a channel, and leaves room for that of a probe.
const NAME_BYTES: usize = 40;

/// The schema, and the statements with its name in them.
#[derive(Debug)]
pub(super) struct Schema {
    name: String,
    commit: String,
    format: String,
}

/// Whether a connection finds the schema as it is to be.
pub(super) enum Found {
    /// As it should be.
    Ready,
    /// Made by a later version that did not keep to what is there.
    Newer(i32),
}

impl Schema {
    /// Of the option `schema`.
    pub(super) fn of(option: Option<String>) -> Result<Schema, crate::Error> {
        let name = option.unwrap_or_else(|| "steadfast".to_owned());
        let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()) && !name.starts_with("pg_");
        if !letters || !begins || name.len() > NAME_BYTES {
            return Err(wrong(format!(
                "gives `schema` the value `{}`; expected 1 to {NAME_BYTES} of a-z, 0-9 and _, not beginning with a \
                 digit or pg_",
                shown(&name)
            )));
        }
        let commit = format!(
            "SELECT revision, mark, jumped, differ, versions, contents \
             FROM \"{name}\".commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        let format = format!("SELECT format FROM \"{name}\".meta");
        Ok(Schema { name, commit, format })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes a batch.
    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    /// All that it needs, as a database administrator would run it.
    pub(super) fn text(&self) -> String {
        TEXT.replace("\"steadfast\"", &format!("\"{}\"", self.name))
    }

    /// Looks whether it is there, and makes it if it is not.
    pub(super) async fn ensure(&self, client: &Client) -> Result<Found, Error> {
        let format = match self.format(client).await {
            Err(error) if is_missing(&error) => self.make(client).await?,
            found => found?,
        };
        Ok(if format == FORMAT { Found::Ready } else { Found::Newer(format) })
    }

    async fn format(&self, client: &Client) -> Result<i32, Error> {
        client.query_typed_one(&self.format, &[]).await?.try_get(0)
    }

    async fn make(&self, client: &Client) -> Result<i32, Error> {
        // Several statements sent as one are one transaction.
        match client.batch_execute(&self.text()).await {
            // Of two who make it at once, one finds what the other has made.
            Err(error) if !was_made_meanwhile(&error) => Err(error),
            _ => self.format(client).await,
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME))
}

fn was_made_meanwhile(error: &Error) -> bool {
    const MADE: [SqlState; 4] = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_FUNCTION,
    ];
    error.code().is_some_and(|code| MADE.contains(code))
}
