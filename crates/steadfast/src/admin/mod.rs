//! The administration of a store's sets: one surface, in this process or over HTTP.
//!
//! [`Api`] is what can be asked and ordered. [`Service`] does it, over a store; [`Remote`] asks a Steadfast that does;
//! [`http`] is how it is asked. So every command works the same with `--admin` and with `--store`.

mod findings;
pub mod http;
mod probes;
mod remote;
mod service;
pub mod view;

use async_trait::async_trait;
use steadfast_core::settings::SetSettings;
use steadfast_core::{InstanceId, SetName};
use steadfast_host::problem::Problem;

pub(crate) use self::findings::difference;
pub use self::remote::Remote;
pub use self::service::{GatewayLook, Local, Service};
use self::view::{
    EventCursor, Events, Instances, LeaderView, SetView, Sets, SettingsChange, StateChange, StatusView,
    SwitchoverOrdered,
};

/// What can be asked of, and ordered in, a Steadfast. A refusal says why, with a `reason` to switch on.
#[async_trait]
pub trait Api: Send + Sync {
    /// Everything, for one screen.
    async fn status(&self) -> Result<StatusView, Problem>;
    /// Every set.
    async fn sets(&self) -> Result<Sets, Problem>;
    /// One set.
    async fn set(&self, set: &SetName) -> Result<SetView, Problem>;
    /// The instances of a set.
    async fn instances(&self, set: &SetName) -> Result<Instances, Problem>;
    /// The lease of a set.
    async fn leader(&self, set: &SetName) -> Result<LeaderView, Problem>;
    /// The events of one set, or of all, from `since` on.
    async fn events(&self, set: Option<&SetName>, since: &EventCursor) -> Result<Events, Problem>;
    /// Takes an instance out.
    async fn drain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem>;
    /// Lets it take part again.
    async fn undrain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem>;
    /// Orders the leader to hand over, to `to` if named.
    async fn switchover(&self, set: &SetName, to: Option<&InstanceId>) -> Result<SwitchoverOrdered, Problem>;
    /// Writes a set's settings over the store's.
    async fn apply(&self, set: &SetName, settings: &SetSettings) -> Result<SettingsChange, Problem>;
}
