//! What the store needs in the database, and the statements that use it.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::failure::is_missing;
use crate::url::{shown, wrong};

/// Which form of the tables this version works with. A later one adds functions beside those of this one and changes the
/// meaning of no column, so that both run together.
pub(super) const FORMAT: i32 = 1;

/// The text for the schema `steadfast`.
const TEXT: &str = include_str!("schema.sql");

/// What whoever commits, reads and trims needs on each table.
const RIGHTS: [(&str, &str); 4] = [
    ("meta", "SELECT"),
    ("space", "SELECT, INSERT, UPDATE"),
    ("record", "SELECT, INSERT, UPDATE, DELETE"),
    ("log", "SELECT, INSERT, DELETE"),
];

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
             FROM \"{name}\".commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
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

    /// All that it needs, as a database administrator would run it: for who runs it, and for `role`. One transaction.
    pub(super) fn text(&self, role: Option<&str>) -> String {
        let text = TEXT.replace("\"steadfast\"", &format!("\"{}\"", self.name));
        format!("BEGIN;\n{text}{}COMMIT;\n", role.map(|role| self.grants(role)).unwrap_or_default())
    }

    fn grants(&self, role: &str) -> String {
        let (schema, role) = (&self.name, format!("\"{}\"", role.replace('"', "\"\"")));
        let on_tables = RIGHTS.map(|(table, rights)| format!("GRANT {rights} ON \"{schema}\".{table} TO {role};\n"));
        format!(
            "GRANT USAGE ON SCHEMA \"{schema}\" TO {role};\n{}\
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA \"{schema}\" TO {role};\n",
            on_tables.concat()
        )
    }

    /// Looks whether it is there, and makes it if it is not.
    pub(super) async fn ensure(&self, client: &Client) -> Result<Found, Error> {
        if let Some(found) = self.look(client).await? {
            return Ok(found);
        }
        self.make(client, None).await?;
        self.format(client).await.map(Found::of)
    }

    /// What is there; `None`: nothing, or not all.
    pub(super) async fn look(&self, client: &Client) -> Result<Option<Found>, Error> {
        match self.format(client).await {
            Err(error) if error.code().is_some_and(is_missing) => Ok(None),
            format => format.map(|format| Some(Found::of(format))),
        }
    }

    /// Makes what is not there. A connection on which this fails is of no more use.
    pub(super) async fn make(&self, client: &Client, role: Option<&str>) -> Result<(), Error> {
        client.batch_execute(&self.text(role)).await
    }

    /// Whether `role` may do all that it needs to.
    pub(super) async fn may_use(&self, client: &Client, role: &str) -> Result<bool, Error> {
        let each = |(table, rights): (&'static str, &'static str)| rights.split(", ").map(move |right| (table, right));
        let (tables, rights): (Vec<&str>, Vec<&str>) = RIGHTS.into_iter().flat_map(each).unzip();
        let sql = "SELECT has_schema_privilege($1, $2, 'USAGE') \
             AND (SELECT bool_and(has_table_privilege($1, format('%I.%I', $2, need.place), need.may)) \
                  FROM unnest($3, $4) AS need(place, may)) \
             AND (SELECT bool_and(has_function_privilege($1, p.oid, 'EXECUTE')) \
                  FROM pg_proc p WHERE p.pronamespace = to_regnamespace(quote_ident($2)))";
        let parameters = [
            (&role as _, Type::TEXT),
            (&self.name as _, Type::TEXT),
            (&tables as _, Type::TEXT_ARRAY),
            (&rights as _, Type::TEXT_ARRAY),
        ];
        Ok(client.query_typed_one(sql, &parameters).await?.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
    }

    async fn format(&self, client: &Client) -> Result<i32, Error> {
        client.query_typed_one(&self.format, &[]).await?.try_get(0)
    }
}

impl Found {
    fn of(format: i32) -> Found {
        if format == FORMAT { Found::Ready } else { Found::Newer(format) }
    }
}
