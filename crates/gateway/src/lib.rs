//! Stands in front of instances: accepts clients, finds the one instance of a set that may answer, passes requests on
//! to it as long as it may, and holds them while there is none.
//!
//! ```text
//! control thread (may stall)                    worker threads, one a core
//!   books + probes, or checks of its own   ──▶   set::Target {address, epoch, until}  ◀── read before every piece
//!   control::{leader, follow, fixed}             worker::{connection, seat, warden, here, pool, upstream, relay}
//!                                                request → answer::{proxy, problem, ready}
//! ```
//! What it promises: nothing is passed to an instance, and nothing of its answers on, unless that instance's probe
//! vouched for it at the highest epoch seen, and only until then (rule 7 of the lease). What it refuses to know:
//! where instances come from and why they lead.

mod answer;
mod body;
mod clients;
mod config;
mod control;
mod counters;
mod error;
mod gateway;
mod headers;
mod home;
mod message;
mod newcomers;
mod parked;
mod request;
mod route;
mod screen;
mod set;
mod shared;
mod source;
mod status;
mod worker;

pub use config::{Answer, Bounds, FixedCheck, FixedInstance, FixedSet, GatewayConfig, ListenerConfig, RouteConfig};
pub use counters::Totals;
pub use error::Error;
pub use gateway::{Gateway, run, start};
pub use status::{ClientsStatus, ParkedStatus, SetStatus, Status, TargetStatus};
