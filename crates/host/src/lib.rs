//! Waits: the machine under the processes. Everything Linux-only and everything unsafe is here; nothing of sets is.
//!
//! What the other crates need of a machine, each as a small surface over a deep module:
//!
//! | module | promises |
//! |---|---|
//! | [`clock`] | the one reading of time |
//! | [`random`] | numbers nobody can guess |
//! | [`net`] | listeners, ports, names, errors that say who has the address |
//! | [`tls`] | who is at the other end is proven, by files that may change meanwhile |
//! | [`reread`] | what is in a file now |
//! | [`http`] | control-plane HTTP/1.1, both sides, every wait and size bounded |
//! | [`problem`] | errors over HTTP, RFC 9457 |
//! | [`relay`] | bytes between two sockets, without touching them, while a gate is open |
//! | [`process`] | groups of child processes that never outlive us unnoticed |
//! | [`notify`] | word to systemd |
//! | [`state`] | a directory of files that survive a crash |
//! | [`shutdown`] | the wish to end, and the signals that carry it |

pub mod clock;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod net;
pub mod notify;
pub mod problem;
pub mod process;
pub mod random;
pub mod relay;
pub mod reread;
pub mod shutdown;
pub mod state;
pub mod tls;

mod sys;

/// What those who know no more of `core` than its words need of it: the store, for one.
pub use steadfast_core::{Host, Span, nearest};
