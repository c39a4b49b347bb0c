//! The ways a request is answered, a file each.

mod assign;
mod client;
mod forward;
mod homeward;
mod placing;
pub(crate) mod problem;
pub(crate) mod proxy;
pub(crate) mod ready;
mod redirect;
mod refusal;
pub(crate) mod sticky;

use http::Response;

use crate::body::Content;

/// An answer without the request's turn, which [`crate::request`] adds.
pub(crate) type Answered = Response<Content>;
