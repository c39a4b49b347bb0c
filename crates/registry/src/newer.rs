//! Fields of lease records that only a newer Steadfast knows: they are kept when this one writes the record.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use steadfast_core::SetName;
use steadfast_store::Revision;

use crate::records::Extras;

/// What a newer version added to each set's lease, at the version this process saw last, by reading or in a mirror:
/// to be written back with our next change.
#[derive(Debug, Default)]
pub(crate) struct NewerFields(Mutex<BTreeMap<SetName, (Revision, Extras)>>);

impl NewerFields {
    /// The lease of `set` was seen. What is older than what was seen already counts for nothing.
    pub(crate) fn saw(&self, set: &SetName, version: Revision, extras: Extras) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(set).is_none_or(|(last, _)| *last < version) {
            seen.insert(set.clone(), (version, extras));
        }
    }

    /// The store holds another history of `set`: its versions count from elsewhere.
    pub(crate) fn forget(&self, set: &SetName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(set);
    }

    /// What is to be written back with a change of that version.
    pub(crate) fn of(&self, set: &SetName, version: Revision) -> Extras {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(set).filter(|(last, _)| *last == version).map(|(_, extras)| extras.clone()).unwrap_or_default()
    }
}
