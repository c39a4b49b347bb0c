//! Errors over HTTP: RFC 9457 problem documents, with a `reason` a program can switch on.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, for a program (`status`, `reason`) and for a person (`title`, `detail`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({status} {reason})")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs, in kebab-case: `store-unavailable`.
    pub reason: String,
    /// A short name that is the same for every occurrence. Left empty it is the status' own phrase.
    pub title: String,
    /// A sentence for a person: what, where, what would be right.
    pub detail: String,
    /// When asking again may help, in whole seconds rounded up; none where it does not.
    pub retry_after: Option<Duration>,
    /// The methods that would be right, for 405 (RFC 9110 §15.5.6 wants them named).
    pub allow: Option<&'static str>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    title: Option<String>,
    status: Option<u16>,
    reason: Option<String>,
    detail: Option<String>,
}

impl Problem {
    /// A problem that asking again does not help.
    pub fn new(status: StatusCode, reason: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem {
            status: status.as_u16(),
            reason: reason.into(),
            title: String::new(),
            detail: detail.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// The same problem, with the advice to ask again after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Problem {
        self.retry_after = Some(wait);
        self
    }

    /// 404 for a path or thing that is not there.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 400 for a request that can never be right.
    pub fn bad_request(reason: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    /// 405, where the path is known and the method is none of those that are `allow`ed: `"GET, HEAD"`.
    pub fn method_not_allowed(allow: &'static str, detail: impl Into<String>) -> Problem {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
        Problem { allow: Some(allow), ..problem }
    }

    /// 500 for our own mistakes; what exactly is in the log, not in the answer.
    pub fn internal() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a bug in Steadfast; the log says more")
    }

    /// 503 of a process that is going away.
    pub(crate) fn stopping() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "this process is stopping")
            .retry_after(Duration::from_secs(1))
    }

    /// The problem an answer carries; none for answers below 400. An answer of 400 or above that is no problem
    /// document (some proxy's page) becomes a problem with the reason `http-<status>`.
    pub fn of(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<Problem> {
        if status.as_u16() < 400 {
            return None;
        }
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let document: Option<Document> =
            if media_type.starts_with(MEDIA_TYPE) { serde_json::from_slice(body).ok() } else { None };
        let document = document.unwrap_or(Document { title: None, status: None, reason: None, detail: None });
        let phrase = || status.canonical_reason().unwrap_or("an unknown status").to_string();
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Some(Problem {
            status: status.as_u16(),
            reason: document.reason.unwrap_or_else(|| format!("http-{}", status.as_u16())),
            detail: document.detail.unwrap_or_else(phrase),
            title: document.title.unwrap_or_default(),
            retry_after: seconds.map(Duration::from_secs),
            allow: None,
        })
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Response {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title =
            if problem.title.is_empty() { status.canonical_reason().map(str::to_string) } else { Some(problem.title) };
        let document = Document {
            title,
            status: Some(status.as_u16()),
            reason: Some(problem.reason),
            detail: Some(problem.detail),
        };
        // Four strings and a number always make a document.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::full(status, MEDIA_TYPE, body);
        if let Some(allow) = problem.allow {
            response = response.with(header::ALLOW, HeaderValue::from_static(allow));
        }
        match problem.retry_after {
            None => response,
            Some(wait) => {
                let seconds = wait.as_millis().div_ceil(1000);
                response.with(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
