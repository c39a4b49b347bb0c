//! Stands in front of instances: accepts clients, and brings each to the instance it belongs to.
//!
//! A *single* set has one instance that may answer: requests are passed on to it as long as it may, and held while there
//! is none. In a *sticky* set each client has a home: it is redirected there, told where that is, or passed on.
//!
//! ```text
//! control thread (may stall)                       worker threads, one a core
//!                                                  framing → worker::intake → hyper → validate
//!   books + probes, or checks of its own      ──▶  set::Target {address, epoch, until}  ◀── read before every piece
//!   control::{leader, follow, fixed}               worker::{connection, conn_state, watchdog, set, pool, upstream,
//!                                                  relay, tunnel}
//!   books + feed of clients + deferred writes ──▶  home::View, clients::Clients         ◀── read once a request
//!   control::{sticky, homes, deferred}             request → answer::{proxy, sticky → redirect, assign, homeward}
//! ```
//! What it promises: nothing is passed to an instance of a single set, and nothing of its answers on, unless that
//! instance's probe vouched for it at the highest epoch seen, and only until then (rule 7 of the lease). A client of a
//! sticky set goes to the home its record names, as far as this gateway has heard, and to nobody else; one that is known
//! costs no call to the store. What it refuses to know: where instances come from, why they lead, and who is placed where
//! and why.

mod answer;
mod body;
mod bounds;
mod clients;
mod config;
mod connections;
mod control;
mod counters;
mod error;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gateway;
mod headers;
mod home;
mod limit;
mod message;
mod new_clients;
mod parked;
mod request;
mod route;
mod set;
mod shared;
mod source;
mod status;
mod validate;
mod worker;

pub use bounds::Bounds;
pub use config::{Answer, FixedCheck, FixedInstance, FixedSet, GatewayConfig, ListenerConfig, RouteConfig};
pub use counters::Totals;
pub use error::Error;
pub use gateway::{Gateway, run, start};
pub use status::{ClientsStatus, ConnectionsStatus, ParkedStatus, SetStatus, Status, TargetStatus};
