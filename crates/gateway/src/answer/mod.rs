//! The ways a request is answered, a file each.

pub(crate) mod problem;
pub(crate) mod proxy;
pub(crate) mod ready;

use http::Response;

use crate::body::Content;

/// An answer without the request's turn, which [`crate::request`] adds.
pub(crate) type Answered = Response<Content>;
