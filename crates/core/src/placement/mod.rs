//! Placement: which instance is a client's home, and what every change of that does to the ledgers.
//!
//! One commit changes a client's record and the ledgers it touches; [`decide`] says which change, from what the
//! books say, and is the only place that does. The ledger carries everything a commit must be checked against, so a
//! change that was decided from stale books conflicts instead of doing harm.
//!
//! ```text
//! ask + books + record ─► decide ─► the record after ─► settle ─► the ledgers after      (one commit of all)
//!                            └─► score: the one ranking ◄─┐
//!                                                       explain
//! ```
//!
//! What a client may become is the table of [`Transition`]; what that does to the ledgers follows from the record before
//! and after alone. The module knows nothing of versions, commits and retries: whoever writes a [`Change`] expects the
//! client's record, and each ledger in it, to be as they were shown to [`decide`].

mod ask;
mod decide;
mod draw;
mod explain;
mod record;
mod refusal;
mod score;
mod transition;

pub use ask::{Ask, Books, Change, Decision, Member, Members, Note, Wish};
pub use decide::decide;
pub use explain::{Candidate, Exclusion, Explanation, Rule, explain};
pub use record::{Ledger, LedgerState, Phase, Placement, Reason, TICK, Tick, Why};
pub use refusal::Refusal;
pub use transition::{Legal, Transition};
