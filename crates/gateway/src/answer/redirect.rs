//! Sends a client to its home's direct address: 307, so that the method and the body stay what they are.

use bytes::{BufMut, BytesMut};
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use http::{Response, StatusCode, Uri};

use super::{Answered, refusal};
use crate::body::Content;
use crate::headers::STEADFAST_INSTANCE;
use crate::home::Home;
use crate::set::SetShared;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Fields of the answer, and what hyper adds.
const FIELDS: usize = 5;

/// The home's endpoint and the path and query of the request, byte for byte.
pub(super) fn answer(set: &SetShared, home: &Home, slot: usize, uri: &Uri, secure: bool) -> Answered {
    let Some(direct) = home.direct.get(slot).and_then(Option::as_ref) else {
        return refusal::no_direct(set, slot, &home.target);
    };
    if secure && !direct.secure {
        return refusal::insecure(set, &home.target);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut location = BytesMut::with_capacity(direct.prefix.len() + path.len());
    location.put_slice(&direct.prefix);
    location.put_slice(path.as_bytes());
    let Ok(location) = HeaderValue::from_maybe_shared(location.freeze()) else {
        return refusal::bad_target();
    };
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(STEADFAST_INSTANCE, home.target.instance_header.clone());
    let mut answer = Response::new(Content::Empty);
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    *answer.headers_mut() = headers;
    answer
}
