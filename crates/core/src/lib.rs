//! Steadfast's decisions, without a machine under them.
//!
//! Everything here is a value or a state machine. Time comes in as a [`Moment`] and goes out as a
//! deadline; nothing reads a clock, waits, logs or depends on the order of a hash. So the same code
//! runs in the binary and in a seeded simulation of thousands of failures a second.
//!
//! A machine has four kinds of method: `handle(now, event)` takes what happened, `tick(now)` lets
//! time pass, `deadline()` says when to tick next, `next_action(now)` says what to do.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod endpoint;
mod id;
mod near;
mod size;
mod time;
mod weight;

pub mod client;
pub mod conceal;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod health;
pub mod lease;
pub mod placement;
pub mod route;
pub mod settings;

pub use endpoint::{Endpoint, EndpointName, Host};
pub use id::{BadText, Epoch, Incarnation, InstanceId, Nonce, SetName};
pub use near::nearest;
pub use size::Size;
pub use time::{Moment, Span};
pub use weight::Weight;
