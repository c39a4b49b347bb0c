//! What sets one kind of agent apart from the other: the part its instance has in the set.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_registry::Snapshot;

use super::Agent;
use crate::event::Event;

/// The part of an instance: a contender for the lease of a single set, or a member of a sticky one. The driver does
/// what both need; here it asks what only the part can know. Nothing in here waits.
pub(crate) trait Part {
    /// The books were read, and what every agent takes from them has been taken.
    fn learn(&mut self, agent: &mut Agent, now: Moment, snapshot: &Snapshot);

    /// Something happened that means nothing to the driver.
    fn hear(&mut self, agent: &mut Agent, now: Moment, event: Event);

    /// The application died by itself.
    fn died(&mut self, agent: &mut Agent, now: Moment);

    /// What follows from where things stand, first after every event.
    fn decide(&mut self, agent: &mut Agent, now: Moment);

    /// What follows then, once the application was started or stopped as it had to be.
    fn conclude(&mut self, agent: &mut Agent, now: Moment);

    /// When [`Part::decide`] has something to do at the latest.
    fn deadline(&self, agent: &Agent) -> Option<Moment>;

    /// From when on an application that does not run may be started; `None`: not now.
    fn start_from(&self) -> Option<Moment>;

    /// Whether an application that stays unhealthy may be started again.
    fn may_restart(&self) -> bool;

    /// Whether something is promised to somebody for which the application must go on.
    fn is_bound(&self) -> bool;

    /// Whether it is on its way out of such a promise.
    fn is_stopping(&self) -> bool;

    /// Whether nothing is held any more that the good-bye has to wait for.
    fn is_released(&self) -> bool;

    /// How long others are given to notice, between the application's end and the good-bye.
    fn notice(&self) -> Duration;

    /// The agent has ended: ends what the part still has under way, within this time.
    async fn finish(self, within: Duration);
}
