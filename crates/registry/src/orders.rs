//! Orders: what operators wish of those who hold something.

use steadfast_core::lease::Observed;
use steadfast_core::{Epoch, InstanceId, Nonce, SetName};
use steadfast_store::Key;

use crate::records::Extras;
use crate::registry::Decision;
use crate::{Error, EventKind, LedgerState, OrderRecord, Registry, keys};

impl OrderRecord {
    /// A wish that the holder of `epoch` hands over.
    pub fn new(epoch: Epoch, to: Option<InstanceId>, by: &str) -> OrderRecord {
        OrderRecord {
            id: Nonce(steadfast_host::random::u64()),
            epoch: epoch.0,
            to: to.map(Into::into),
            by: by.to_owned(),
            at: steadfast_host::clock::wall().to_string(),
            extras: Extras::new(),
        }
    }
}

impl Registry {
    /// Orders the present leader of `set` to hand over, to `to` if named. Answers with the lease that shall end.
    pub async fn order_switchover(&self, set: &SetName, to: Option<&InstanceId>, by: &str) -> Result<Observed, Error> {
        if self.set(set).await?.is_none() {
            return Err(Error::NoSet(set.clone()));
        }
        let leases = crate::Leases::new(self.clone(), set.clone());
        let held = leases.read(crate::registry::CALL_WITHIN).await?.filter(|lease| !lease.record.released);
        let Some(lease) = held else {
            return Err(Error::Refused {
                reason: "no-leader",
                detail: format!("set {set} has no leader to switch over from"),
            });
        };
        self.check_successor(set, &lease, to).await?;
        let key = Key::new(keys::space(set), keys::SWITCHOVER);
        self.update(&key, |old: Option<&OrderRecord>| {
            let mut order = OrderRecord::new(lease.record.epoch, to.cloned(), by);
            order.extras = old.map(|order| order.extras.clone()).unwrap_or_default();
            Ok(Decision::Write(order, ()))
        })
        .await?;
        self.note(set, EventKind::Switchover { epoch: lease.record.epoch.0, to: to.cloned().map(Into::into) }, by)
            .await;
        Ok(lease)
    }

    async fn check_successor(&self, set: &SetName, lease: &Observed, to: Option<&InstanceId>) -> Result<(), Error> {
        let others = self.instances(set).await?;
        let open = |id: &InstanceId| {
            others
                .get(id)
                .and_then(|one| one.ledger.as_ref())
                .is_some_and(|ledger| ledger.record.state == LedgerState::Open)
        };
        match to {
            Some(id) if *id == lease.record.holder => {
                Err(Error::Refused { reason: "already-leader", detail: format!("{id} leads set {set} already") })
            }
            Some(id) if !others.contains_key(id) => Err(Error::NoInstance(set.clone(), id.clone())),
            Some(id) if !open(id) => Err(Error::Refused {
                reason: "not-open",
                detail: format!("{id} is not open: undrain or start it first"),
            }),
            None if !others.keys().any(|id| *id != lease.record.holder && open(id)) => Err(Error::Refused {
                reason: "no-successor",
                detail: format!("no other instance of set {set} is open: there is nobody to hand over to"),
            }),
            _ => Ok(()),
        }
    }
}
