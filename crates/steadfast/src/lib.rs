//! Wires Steadfast together: the command line, the configuration, the composition root, the administration.
//!
//! Nothing is decided here that concerns a lease or a request: `core` decides, the other crates carry it out.

pub mod admin;
mod app;
pub mod cli;
pub mod commands;
pub mod config;
mod demo;
pub mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod logging;
mod stores;
mod token;
mod watch;
