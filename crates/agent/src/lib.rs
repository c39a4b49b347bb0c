//! Stands beside an application: registers it, checks it, contends for the set's lease, answers the load
//! balancer's probe, and supervises it.
//!
//! [`run`] is the whole surface: `steadfast agent`, `[[agents]]` in a file and a program that embeds this crate
//! all go through it. What is decided, [`steadfast_core::lease::Machine`] decides; this crate carries it out.

mod api;
mod application;
mod books;
mod check;
mod config;
mod contender;
mod controls;
mod driver;
mod endpoints;
mod epoch_file;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod gateways;
mod life;
mod load;
mod member;
mod notes;
mod own_thread;
mod probe;
mod register;
mod run;
mod standing;
mod supervise;
#[cfg(test)]
mod testing;

pub use config::{AgentConfig, ApiAddress, Check, CheckTarget, EndpointSource, Restart, Template};
pub use controls::{Controls, ForwardSignal};
pub use error::{Class, Error};
pub use run::run;

/// How an agent that did nothing wrong ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to leave, and did so in good order.
    Left,
    /// Its application ended, and the agent with it.
    Application {
        /// As a shell tells it: the exit code, or 128 + the signal that killed it.
        code: u8,
    },
}

impl Exit {
    /// The exit code of a process that did nothing but run this agent.
    pub fn code(self) -> u8 {
        match self {
            Exit::Left => 0,
            Exit::Application { code } => code,
        }
    }
}
