//! What an ask does to the books.

use crate::client::ClientKey;

use super::{Ask, Books, Decision, Placement, Refusal};

/// What `ask` does to the record of `client`, of which the books say `known`.
pub fn decide(
    _books: Books<'_>,
    _client: &ClientKey,
    _known: Option<&Placement>,
    _ask: &Ask,
) -> Result<Decision, Refusal> {
    todo!("core's engineer")
}
