//! What an error of the server or of the way to it means for who called.

use std::error::Error as _;

use steadfast_host::net::{Address, DialError};
use steadfast_host::tls::Refused;
use tokio_postgres::Error as PgError;
use tokio_postgres::error::{DbError, SqlState};

use super::Settings;
use crate::Error;

/// What was asked: only a commit can have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something that changes nothing.
    Look,
    /// A commit.
    Commit,
}

impl Asked {
    /// It was sent, and no answer came.
    pub(super) fn unanswered(self, why: String) -> Error {
        match self {
            Asked::Look => Error::Unavailable(why),
            Asked::Commit => Error::OutcomeUnknown(why),
        }
    }
}

/// What the SQLSTATE of a refusal says.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    /// The server knows us, and says no.
    Denied,
    /// We ask for what there is not.
    Config,
    /// Rolled back, and may do the next time.
    Unavailable,
    /// The data is damaged.
    Corrupt,
    /// The server goes down: a commit may have been made before its answer was lost.
    Unanswered,
}

/// Of a call that was sent.
pub(super) fn of_call(error: &PgError, asked: Asked, settings: &Settings) -> Error {
    let Some(said) = error.as_db_error() else {
        return asked.unanswered(format!("{}: {}", settings.place, told(error)));
    };
    let why = sentence(said, settings);
    match class(said.code().code()) {
        Class::Denied => Error::Denied(why),
        Class::Config => Error::Config(why),
        Class::Unavailable => Error::Unavailable(why),
        Class::Corrupt => Error::Corrupt(why),
        Class::Unanswered => asked.unanswered(why),
    }
}

/// Of a connection that was not made: nothing was sent that could happen.
pub(super) fn of_connecting(error: &PgError, place: &str, settings: &Settings) -> Error {
    match error.as_db_error() {
        Some(_) => match of_call(error, Asked::Look, settings) {
            Error::Unavailable(why) => Error::Unavailable(format!("{place}: {why}")),
            other => other,
        },
        None if refused_for_good(error) => Error::Config(format!("{place}: {}", told(error))),
        None => Error::Unavailable(format!("{place}: {}", told(error))),
    }
}

/// Of a place where nobody was reached.
pub(super) fn of_dialling(error: &DialError, place: &Address) -> Error {
    Error::Unavailable(format!("cannot reach {place}: {error}"))
}

/// Whether the connection can be used on: the server has ended the call, and waits for the next.
pub(super) fn leaves_the_connection(error: &PgError) -> bool {
    error.as_db_error().is_some_and(|said| class(said.code().code()) != Class::Unanswered && said.severity() == "ERROR")
}

/// What no later try would change: how we are to prove who we are, or that the server speaks no TLS.
fn refused_for_good(error: &PgError) -> bool {
    let text = error.to_string();
    text.contains("authentication") || text.contains("configuration") || text.contains("TLS")
}

fn class(state: &str) -> Class {
    match state {
        "28P01" | "28000" | "42501" => Class::Denied,
        "3D000" | "3F000" | "42P01" | "42883" | "0A000" | "08004" => Class::Config,
        "XX001" | "XX002" => Class::Corrupt,
        "57P01" | "57P02" | "40003" => Class::Unanswered,
        _ if state.starts_with("08") => Class::Unanswered,
        // All others end the transaction, which did nothing then: read-only (25006), starting or stopping (57P03), out of
        // space or connections (53…), a lock, a deadlock, cancelled.
        _ => Class::Unavailable,
    }
}

/// What the server says, and what to do about it where that is known.
fn sentence(said: &DbError, settings: &Settings) -> String {
    let (state, place) = (said.code(), &settings.place);
    let advice = if *state == SqlState::READ_ONLY_SQL_TRANSACTION {
        ": the database is read-only, or a standby"
    } else if *state == SqlState::DISK_FULL {
        ": it is out of space"
    } else if *state == SqlState::INVALID_PASSWORD {
        ": give the user's password with --token-file"
    } else if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        ": the user may not make or use the schema; have the database's owner make it, and grant its use"
    } else if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME].contains(state) {
        ": the schema is not there any more, or is not whole"
    } else {
        ""
    };
    format!("{place}: {} ({}){advice}", said.message(), state.code())
}

/// An error of the driver's, and what caused it.
fn told(error: &PgError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
