//! Everything that can happen to an agent. The driver applies one at a time, and awaits nothing while it does.

use std::sync::Arc;

use steadfast_core::health::CheckResult;
use steadfast_core::lease::{Observed, Outcome};
use steadfast_core::{Moment, Nonce};
use steadfast_host::process::{Exit, Group, Signal, SpawnError};
use steadfast_registry::{Error as RegistryError, LedgerState, Snapshot};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A deadline has come.
    Tick,
    /// The mirror shows the books anew.
    Books(Arc<Snapshot>),
    /// An attempt on the lease ended.
    Settled {
        nonce: Nonce,
        outcome: Outcome,
        /// Why the store will have none of it, if that is so.
        refusal: Option<RegistryError>,
    },
    /// The lease was read (`None`: it could not be).
    Read(Option<Option<Observed>>),
    /// The highest epoch was written to the disk.
    Remembered,
    /// A check of the `start`th start of the application, begun at that moment, ended.
    Checked { start: u64, began: Moment, result: CheckResult },
    /// The application was started, or could not be.
    Started(Result<Arc<Group>, SpawnError>),
    /// The main process of the `start`th start of the application ended.
    Died { start: u64, exit: Exit },
    /// Nothing of the `start`th start of the application runs any more; its main process ended like this.
    Empty { start: u64, exit: Exit },
    /// Everybody who used the instance has let go, or was given enough time to.
    LetGo,
    /// What the gates carried when they were cut has ended.
    Emptied,
    /// Asked to leave.
    Leave,
    /// Asked to leave without waiting for anybody.
    LeaveAtOnce,
    /// A signal to be passed on.
    Signal(Signal),
    /// A beat was written, or could not be.
    Beaten,
    /// The instance was registered anew, or could not be.
    Registered(Result<(), RegistryError>),
    /// Our word in the ledger was accepted by the store, or could not be brought there.
    Said { state: LedgerState, accepted: bool },
}
