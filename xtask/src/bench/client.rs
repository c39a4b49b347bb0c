//! The client of the black-box tests: the bench asks, and counts what failed, with the same code as they do.
#![allow(dead_code, unreachable_pub, reason = "the bench uses a part of it")]

#[path = "../../../crates/steadfast/tests/support/http.rs"]
mod http;
#[path = "../../../crates/steadfast/tests/support/load.rs"]
mod load;
#[path = "../../../crates/steadfast/tests/support/ports.rs"]
mod ports;
#[path = "../../../crates/steadfast/tests/support/signal.rs"]
mod signal;

pub(super) use http::{Answer, Connection, get};
pub(super) use load::{Load, Report};
pub(super) use ports::free_port;
pub(super) use signal::Signal;
