//! What went wrong, as Azure says it, and what of the contract that is.

use steadfast_host::http::{CallError, Reply};

use crate::Error;

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no answer came that says what became of it.
    Unanswered(String),
    /// The answer has more than we read: it was handled.
    TooLarge(String),
    /// The service says no.
    Refused(Refusal),
    /// What is wrong is known already.
    Known(Error),
}

/// A service's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status, of the answer or of the operation within it.
    pub(super) status: u16,
    /// Azure's own word for it, like `ServerBusy`; empty if there was none.
    pub(super) code: String,
    /// What it says to a person.
    pub(super) message: String,
    /// Which operation of a transaction it is about.
    pub(super) operation: Option<usize>,
    /// When the service thinks it is.
    pub(super) date: Option<String>,
}

impl Refusal {
    /// What an answer other than success says.
    pub(super) fn of(reply: &Reply) -> Refusal {
        let header = |name: &str| Some(reply.headers.get(name)?.to_str().ok()?.to_owned());
        let (code, message, operation) = explained(&reply.body);
        Refusal {
            status: reply.status.as_u16(),
            code: header("x-ms-error-code").or(code).unwrap_or_default(),
            message,
            operation,
            date: header("date"),
        }
    }

    /// What belongs on the screen: status, code and the first line of the message.
    fn shown(&self) -> String {
        const SHOWN_CHARACTERS: usize = 200;
        let first = self.message.lines().next().unwrap_or_default();
        let first: String = first.chars().take(SHOWN_CHARACTERS).flat_map(char::escape_default).collect();
        match (self.code.is_empty(), first.is_empty()) {
            (true, true) => format!("status {}", self.status),
            (true, false) => format!("status {}: {first}", self.status),
            (false, true) => format!("{} ({})", self.code, self.status),
            (false, false) => format!("{} ({}): {first}", self.code, self.status),
        }
    }

    /// Whether a condition of the request did not hold. A lease that somebody else has of the blob is none: it stands in
    /// the way of every write, whatever is there.
    pub(super) fn is_condition(&self) -> bool {
        (self.status == 412 && !self.is_of_a_lease())
            || (self.status == 409 && matches!(&*self.code, "EntityAlreadyExists" | "BlobAlreadyExists"))
            || (self.status == 404 && matches!(&*self.code, "ResourceNotFound" | "EntityNotFound" | "BlobNotFound"))
            || self.status == 304
    }

    /// Whether Azure's own lease of the blob is not as the request needs it.
    pub(super) fn is_of_a_lease(&self) -> bool {
        matches!(self.status, 409 | 412) && self.code.starts_with("Lease")
    }

    /// Whether there is no such blob, in a container that is there.
    pub(super) fn is_missing_blob(&self) -> bool {
        self.status == 404 && self.code == "BlobNotFound"
    }

    /// Whether what holds everything is not there.
    pub(super) fn is_missing_place(&self) -> bool {
        self.status == 404 && matches!(&*self.code, "TableNotFound" | "ContainerNotFound")
    }

    /// What of the contract it is. `sent`: what is said of a request whose outcome is unknown.
    fn error(&self, unknown: fn(String) -> Error) -> Error {
        let shown = self.shown();
        match (self.status, &*self.code) {
            (_, "AuthorizationPermissionMismatch" | "AuthorizationFailure" | "InsufficientAccountPermissions") => {
                Error::Denied(format!(
                    "{shown}; the identity needs the roles `Storage Blob Data Contributor` and \
                     `Storage Table Data Contributor`, a SAS the permissions racwdlu"
                ))
            }
            (_, "KeyBasedAuthenticationNotPermitted") => Error::Denied(format!(
                "{shown}; this account takes no keys: use an identity (credential=managed, workload, cli …)"
            )),
            (401 | 403, _) => Error::Denied(match &self.date {
                Some(date) => {
                    format!("{shown}; its clock says {date}: one more than 15 minutes away from ours is refused")
                }
                None => shown,
            }),
            (404, "TableNotFound" | "ContainerNotFound") => Error::Config(format!(
                "{shown}, and it may not be made by us: make it with `az storage container create` and `az storage \
                 table create`"
            )),
            (404, "ResourceNotFound" | "AccountNotFound") => {
                Error::Config(format!("{shown}: is the account's name right?"))
            }
            (409, "AccountIsDisabled" | "TableBeingDeleted" | "ContainerBeingDeleted" | "ContainerDisabled")
            | (503, "ServerBusy")
            | (429, _) => Error::Unavailable(shown),
            _ if self.is_of_a_lease() => Error::Unavailable(format!("{shown}: somebody else leases the blob")),
            // The account is full; it takes nothing until something was deleted.
            (507, _) => Error::Unavailable(format!("{shown}: out of space")),
            (408, _) => unknown(shown),
            (400..500, _) => Error::Config(format!("Azure refuses the request: {shown}")),
            _ => unknown(shown),
        }
    }
}

impl Failure {
    /// Of a call that answered nothing.
    pub(super) fn of(error: &CallError) -> Failure {
        match error {
            CallError::TooLarge { .. } => Failure::TooLarge(error.to_string()),
            _ if error.may_have_happened() => Failure::Unanswered(error.to_string()),
            _ => Failure::NotSent(error.to_string()),
        }
    }

    /// The refusal, if it is one of a condition.
    pub(super) fn condition(&self) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal) if refusal.is_condition() => Some(refusal),
            _ => None,
        }
    }

    /// For a request that changes nothing.
    pub(super) fn of_look(self) -> Error {
        match self {
            Failure::NotSent(why) | Failure::Unanswered(why) | Failure::TooLarge(why) => Error::Unavailable(why),
            Failure::Refused(refusal) => refusal.error(Error::Unavailable),
            Failure::Known(Error::OutcomeUnknown(why)) => Error::Unavailable(why),
            Failure::Known(error) => error,
        }
    }

    /// For one that may have changed something.
    pub(super) fn of_commit(self) -> Error {
        match self {
            Failure::NotSent(why) => Error::Unavailable(why),
            Failure::Unanswered(why) | Failure::TooLarge(why) => Error::OutcomeUnknown(why),
            Failure::Refused(refusal) => refusal.error(Error::OutcomeUnknown),
            Failure::Known(error) => error,
        }
    }
}

/// Code, message and operation of an error's body: JSON of the table's, XML of the container's.
pub(super) fn explained(body: &[u8]) -> (Option<String>, String, Option<usize>) {
    if let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) {
        let error = &document["odata.error"];
        let code = error["code"].as_str().map(str::to_owned);
        let message = error["message"]["value"].as_str().unwrap_or_default();
        // In a transaction, the message begins with the index of the operation.
        return match message.split_once(':').and_then(|(index, rest)| Some((index.parse().ok()?, rest))) {
            Some((index, rest)) => (code, rest.to_owned(), Some(index)),
            None => (code, message.to_owned(), None),
        };
    }
    let text = String::from_utf8_lossy(body);
    (between(&text, "<Code>", "</Code>"), between(&text, "<Message>", "</Message>").unwrap_or_default(), None)
}

/// The text between two others.
pub(super) fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner.to_owned())
}

#[cfg(test)]
mod tests;
