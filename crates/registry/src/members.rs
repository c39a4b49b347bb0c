//! From what is known of a set to what core decides by.

use std::time::Duration;

use steadfast_core::Moment;
use steadfast_core::placement::{Member, Members};

use crate::presence::{Beating, Beats};
use crate::{InstanceRecord, LedgerRecord, Snapshot};

/// A load that was reported longer ago says nothing about now.
const LOAD_COUNTS_FOR: Duration = Duration::from_secs(10);

impl Snapshot {
    /// The instances as decisions see them: those with a ledger. One that no life described which the ledger is about
    /// is suspended: nobody would know where to send a client.
    pub fn members(&self, beats: &Beats, now: Moment) -> Members {
        let with_ledger = self.instances.iter().filter_map(|(id, seen)| Some((id, seen, seen.ledger.as_ref()?)));
        with_ledger
            .map(|(id, seen, ledger)| (id.clone(), member(seen.description.as_ref(), ledger, beats.get(id), now)))
            .collect()
    }
}

/// One instance as decisions see it.
pub(crate) fn member(
    description: Option<&InstanceRecord>,
    ledger: &LedgerRecord,
    beating: Option<&Beating>,
    now: Moment,
) -> Member {
    let described = description.filter(|description| description.incarnation == ledger.incarnation);
    let beating = beating.filter(|beating| beating.incarnation == ledger.incarnation);
    let recent = beating.filter(|beating| now.since(beating.changed) <= LOAD_COUNTS_FOR);
    Member {
        ledger: ledger.ledger(),
        labels: described.map(InstanceRecord::labels).unwrap_or_default(),
        load_milli: recent.and_then(|beating| beating.load_milli),
        suspended: described.is_none(),
    }
}
