//! The administration of a store's sets: one surface, in this process or over HTTP.
//!
//! [`Api`] is what can be asked and ordered. [`Service`] does it, over a store; [`Remote`] asks a Steadfast that does;
//! [`http`] is how it is asked. So every command works the same with `--admin` and with `--store`.

mod findings;
pub mod http;
mod probes;
mod remote;
mod service;
mod tell;
pub mod view;

use async_trait::async_trait;
use steadfast_core::client::ClientKey;
use steadfast_core::settings::SetSettings;
use steadfast_core::{InstanceId, SetName};
use steadfast_host::problem::Problem;

pub(crate) use self::findings::difference;
pub use self::remote::Remote;
pub use self::service::{GatewayLook, Local, Service};
pub(crate) use self::tell::percent;
use self::view::{
    ClientQuery, ClientView, Clients, DrainOrder, DrainView, EventCursor, Events, ExplainQuery, ExplainView,
    ForgottenView, Instances, LeaderView, MoveOrder, PlaceOrder, PlacedView, SetView, Sets, SettingsChange,
    StateChange, StatusView, SwitchoverOrdered, VerifyView,
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
    /// The lease of a single set.
    async fn leader(&self, set: &SetName) -> Result<LeaderView, Problem>;
    /// The events of one set, or of all, from `since` on.
    async fn events(&self, set: Option<&SetName>, since: &EventCursor) -> Result<Events, Problem>;
    /// A page of the clients of a sticky set.
    async fn clients(&self, set: &SetName, query: &ClientQuery) -> Result<Clients, Problem>;
    /// Where a client is at home, and why.
    async fn client(&self, set: &SetName, client: &ClientKey) -> Result<ClientView, Problem>;
    /// Why a client is where it is, and where it would go.
    async fn explain(&self, set: &SetName, client: &ClientKey, query: &ExplainQuery) -> Result<ExplainView, Problem>;
    /// Places a client before it comes; one that has a home keeps it.
    async fn place(&self, set: &SetName, client: &ClientKey, order: &PlaceOrder) -> Result<PlacedView, Problem>;
    /// Moves a client to another home.
    async fn move_client(&self, set: &SetName, client: &ClientKey, order: &MoveOrder) -> Result<PlacedView, Problem>;
    /// Forgets a client, as if it had never been there.
    async fn forget(&self, set: &SetName, client: &ClientKey) -> Result<ForgottenView, Problem>;
    /// Takes an instance out.
    async fn drain(&self, set: &SetName, instance: &InstanceId, order: &DrainOrder) -> Result<StateChange, Problem>;
    /// How far the drain of an instance of a sticky set has come.
    async fn drain_progress(&self, set: &SetName, instance: &InstanceId) -> Result<DrainView, Problem>;
    /// Lets it take part again.
    async fn undrain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem>;
    /// Says that an instance is lost: its clients need another home. Its next start brings it back. Refused while it can
    /// serve by its own word.
    async fn lost(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem>;
    /// Whether the books of a sticky set agree.
    async fn verify(&self, set: &SetName) -> Result<VerifyView, Problem>;
    /// Orders the leader to hand over, to `to` if named.
    async fn switchover(&self, set: &SetName, to: Option<&InstanceId>) -> Result<SwitchoverOrdered, Problem>;
    /// Writes a set's settings over the store's.
    async fn apply(&self, set: &SetName, settings: &SetSettings) -> Result<SettingsChange, Problem>;
}
