//! Sets: their settings live in the store, and every process goes by those.

use steadfast_core::SetName;
use steadfast_core::settings::SetSettings;
use steadfast_store::Error as StoreError;

use crate::registry::put;
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

    /// Makes `set` known with these settings, unless the store knows it already.
    pub async fn introduce_set(&self, set: &SetName, settings: &SetSettings) -> Result<SetStanding, Error> {
        loop {
            if let Some(stored) = self.set(set).await? {
                let known = stored.record.settings(set)?;
                return Ok(if known == *settings { SetStanding::Same } else { SetStanding::Differs(known) });
            }
            let change = put(&keys::set(set), None, &SetRecord::new(settings));
            match self.commit(keys::catalog(), vec![change]).await {
                Ok(_) => return Ok(SetStanding::Created),
                Err(Error::Store(StoreError::Conflict(_) | StoreError::OutcomeUnknown(_))) => continue,
                Err(other) => return Err(other),
            }
        }
    }

    /// Writes these settings over the store's; `by` whom, for the history. Says what was there.
    pub async fn change_set(
        &self,
        set: &SetName,
        settings: &SetSettings,
        by: &str,
    ) -> Result<Option<SetSettings>, Error> {
        loop {
            let old = self.set(set).await?;
            let before = old.as_ref().map(|stored| stored.record.settings(set)).transpose()?;
            if before.as_ref() == Some(settings) {
                return Ok(before);
            }
            let mut record = SetRecord::new(settings);
            if let Some(stored) = &old {
                record.extras.clone_from(&stored.record.extras);
            }
            let change = put(&keys::set(set), old.as_ref().map(|stored| stored.version), &record);
            match self.commit(keys::catalog(), vec![change]).await {
                Ok(_) => {
                    self.note(set, EventKind::Settings, by).await;
                    return Ok(before);
                }
                Err(Error::Store(StoreError::Conflict(_))) => continue,
                Err(other) => return Err(other),
            }
        }
    }
}

fn parse_name(name: &str) -> Result<SetName, Error> {
    name.parse().map_err(|e| Error::Record { key: format!("set/{name}"), problem: format!("{e}") })
}
