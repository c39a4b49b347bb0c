//! Sets: their settings live in the store, and every process goes by those.

use steadfast_core::settings::SetSettings;
use steadfast_core::{SetName, Span};

use crate::registry::Decision;
use crate::{Error, EventKind, Registry, SetRecord, Stored, keys};

/// How the settings somebody brought compare with the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetStanding {
    /// The store did not know the set; it does now.
    Created,
    /// The store says the same.
    Same,
    /// The store says something else, and that is what counts.
    Differs(SetSettings),
}

impl SetStanding {
    /// The settings that count, given the ones that were brought.
    pub fn settings(self, brought: SetSettings) -> SetSettings {
        match self {
            SetStanding::Created | SetStanding::Same => brought,
            SetStanding::Differs(stored) => stored,
        }
    }
}

impl Registry {
    /// The settings of `set`, if the store knows it.
    pub async fn set(&self, set: &SetName) -> Result<Option<Stored<SetRecord>>, Error> {
        self.get(&keys::set(set)).await
    }

    /// Every set the store knows, in the order of names.
    pub async fn sets(&self) -> Result<Vec<(SetName, Stored<SetRecord>)>, Error> {
        let found = self.all::<SetRecord>(&keys::catalog(), keys::SETS).await?;
        found.into_iter().map(|(name, record)| Ok((parse_name(&name)?, record))).collect()
    }

    /// Makes `set` known with these settings, unless the store knows it already; as another kind it is refused.
    pub async fn introduce_set(&self, set: &SetName, settings: &SetSettings) -> Result<SetStanding, Error> {
        self.update(&keys::set(set), |old: Option<&SetRecord>| {
            let Some(record) = old else {
                self.check_lease(set, settings)?;
                return Ok(Decision::Write(SetRecord::new(settings), SetStanding::Created));
            };
            let known = record.settings(set)?;
            if known.kind() != settings.kind() {
                return Err(other_kind(set, &known, settings));
            }
            Ok(Decision::Leave(if known == *settings { SetStanding::Same } else { SetStanding::Differs(known) }))
        })
        .await
    }

    /// Writes these settings over the store's; `by` whom, for the history. Says what was there. A set keeps its kind:
    /// settings of another one are refused.
    pub async fn change_set(
        &self,
        set: &SetName,
        settings: &SetSettings,
        by: &str,
    ) -> Result<Option<SetSettings>, Error> {
        self.check_lease(set, settings)?;
        let key = keys::set(set);
        let before = self
            .update(&key, |old: Option<&SetRecord>| {
                let before = old.map(|record| record.settings(set)).transpose()?;
                if before.as_ref() == Some(settings) {
                    return Ok(Decision::Leave(before));
                }
                if let Some(before) = before.as_ref().filter(|before| before.kind() != settings.kind()) {
                    return Err(other_kind(set, before, settings));
                }
                let record = old.map_or_else(|| SetRecord::new(settings), |old| old.rewritten(settings));
                Ok(Decision::Write(record, before))
            })
            .await?;
        if before.as_ref() != Some(settings) {
            self.note(set, EventKind::Settings, by).await;
        }
        Ok(before)
    }

    /// Whether the set's lease lasts no longer than the store itself holds one, where it does: whoever else leases the
    /// same could have it while its holder still serves.
    ///
    /// # Errors
    /// [`Error::Refused`], with both numbers.
    pub fn check_lease(&self, set: &SetName, settings: &SetSettings) -> Result<(), Error> {
        let SetSettings::Single(single) = settings else { return Ok(()) };
        let ttl = single.timing().ttl();
        match self.store.describe().lease_lasts_ms.map(Span::from_millis) {
            Some(lasts) if lasts < ttl => Err(Error::Refused {
                reason: "lease-too-long",
                detail: format!(
                    "the lease of set {set} is for {ttl}, and the store itself holds it for {lasts}: give the set a \
                     `lease_ttl` of {lasts} at most"
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// What is written of a set (a lease, or who is at home where) means nothing to a set of another kind.
fn other_kind(set: &SetName, before: &SetSettings, now: &SetSettings) -> Error {
    let (before, now) = (before.kind(), now.kind());
    Error::Refused {
        reason: "other-kind",
        detail: format!("set {set} is {before} in the store and cannot become {now}: give the {now} set another name"),
    }
}

fn parse_name(name: &str) -> Result<SetName, Error> {
    name.parse().map_err(|e| Error::Record { key: format!("set/{name}"), problem: format!("{e}") })
}
