//! The keeper: the one process that expires, forgets, moves at deadlines, declares losses and trims.
//!
//! All its writes are conditional: safety never depends on there being one, nor on there being only one.

use steadfast_host::shutdown::Shutdown;

use crate::Registry;

/// Contends for `lease/keeper` of the catalog and, while holding it, keeps every sticky set the store knows. Runs until
/// `shutdown`, and then releases. `name` is this process', for the record.
pub async fn keep(_registry: Registry, _name: String, _shutdown: Shutdown) {
    todo!("the registry's engineer")
}
