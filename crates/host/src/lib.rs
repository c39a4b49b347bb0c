//! Waits: the machine under the processes. Everything Linux-only and everything unsafe is here; nothing of sets is.

pub mod clock;
