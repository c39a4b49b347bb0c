//! Sticky sets over stores that fail: however many placers work at once and whatever becomes of their commits, a client
//! has one home, everybody is told the same, and the books agree to the unit.
#![allow(clippy::unwrap_used, reason = "what the tests share is test code too")]

mod doubts;
mod kills;
mod many;
mod orders;
mod queue;
mod support;
mod time;
mod verify;
