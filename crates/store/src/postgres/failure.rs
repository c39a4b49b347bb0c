//! What an error of the server or of the way to it means for who called.

use std::error::Error as _;

use steadfast_host::net::{Address, DialError};
use steadfast_host::tls::Refused;
use tokio_postgres::Error as PgError;
use tokio_postgres::error::{DbError, Severity, SqlState};

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
    if said.parsed_severity() != Some(Severity::Error) {
        // It ends the connection, and can come between a commit and the word that it was made.
        return asked.unanswered(why);
    }
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
        Some(said) => {
            let why = sentence(said, settings);
            match class(said.code().code()) {
                Class::Denied => Error::Denied(why),
                Class::Config => Error::Config(why),
                Class::Corrupt => Error::Corrupt(why),
                Class::Unavailable | Class::Unanswered => Error::Unavailable(format!("{place}: {why}")),
            }
        }
        None if refused_for_good(error) => Error::Config(format!("{place}: {}", told(error))),
        None => Error::Unavailable(format!("{place}: {}", told(error))),
    }
}

/// Of a place where nobody was reached.
pub(super) fn of_dialling(error: &DialError, place: &Address) -> Error {
    Error::Unavailable(format!("cannot reach {place}: {error}"))
}

/// Whether the connection can be used on: the server has ended the call, and waits for the next. Not where a new one
/// would make what is missing, or lead to another server.
pub(super) fn leaves_the_connection(error: &PgError, settings: &Settings) -> bool {
    let Some(said) = error.as_db_error() else { return false };
    let elsewhere = *said.code() == SqlState::READ_ONLY_SQL_TRANSACTION && settings.places.len() > 1;
    said.parsed_severity() == Some(Severity::Error)
        && class(said.code().code()) != Class::Unanswered
        && !is_missing(said.code())
        && !elsewhere
}

/// What no later try would change: how we are to prove who we are, that the server speaks no TLS, or is another one. A
/// connection that broke meanwhile is none of these.
fn refused_for_good(error: &PgError) -> bool {
    let text = told(error);
    ["authentication", "configuration", "not support TLS"].iter().any(|part| text.contains(part))
        || refused(error).is_some()
}

/// What our TLS has against the other end, if that is what is wrong.
fn refused(error: &PgError) -> Option<&Refused> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let in_io = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = inner.downcast_ref().or_else(|| in_io?.downcast_ref());
        if found.is_some() {
            return found;
        }
        cause = inner.source();
    }
    None
}

/// Whether the schema, or something in it, is not there.
pub(super) fn is_missing(state: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME].contains(state)
}

fn class(state: &str) -> Class {
    match state {
        "28P01" | "28000" | "42501" => Class::Denied,
        "3D000" | "3F000" | "42P01" | "42883" | "42704" | "0A000" | "08004" => Class::Config,
        "XX001" | "XX002" => Class::Corrupt,
        "57P01" | "57P02" | "40003" => Class::Unanswered,
        _ if state.starts_with("08") => Class::Unanswered,
        // All others end the transaction, which did nothing then: read-only (25006), starting or stopping (57P03), out of
        // space or connections (53…), a lock, a deadlock, cancelled (57014). What is cancelled while it waits for a
        // standby is no error: it stands, and the server warns of it.
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
        ": the user may not make or use the schema; `steadfast store init` with --print-sql and --role prints what the \
         database's owner is to run"
    } else if is_missing(state) {
        ": the schema is not there any more, or is not whole"
    } else {
        ""
    };
    format!("{place}: {} ({}){advice}", said.message(), state.code())
}

/// An error of the driver's, and what caused it.
fn told(error: &PgError) -> String {
    if let Some(refused) = refused(error) {
        return refused.to_string();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
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
