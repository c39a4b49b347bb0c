//! Agents as a library: over a store in this process, with real probes and real child processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod gate;
mod handover;
mod identity;
mod kills;
mod leadership;
mod outage;
mod refusals;
mod reports;
mod sticky;
mod supervision;
mod support;
