//! `turn`: a placer's request that the others let it go first.

use serde::{Deserialize, Serialize};
use steadfast_core::Nonce;

use super::Extras;
use crate::text::field;

/// The last request of a placer that lost too many commits in a row to others. It is never cleared away: each version
/// of it is one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// Names this request.
    #[serde(with = "field")]
    pub id: Nonce,
    /// Who asked, for people.
    pub by: String,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}
