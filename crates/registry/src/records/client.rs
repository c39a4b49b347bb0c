//! `client/<key>`: core's placement as the store keeps it. Written once a placement and read once a follower, so it is
//! the one record that is written without a copy and read without a detour.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steadfast_core::client::{LabelName, Labels};
use steadfast_core::placement::{Phase, Placement, Reason, Tick, Why};
use steadfast_core::{Epoch, InstanceId, Weight};
use steadfast_store::Key;

use super::{Extras, FORMAT, decode};
use crate::Error;
use crate::text::Text;

/// A client's record: what core decides about, and what a newer version added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientRecord {
    pub(crate) placement: Placement,
    pub(crate) extras: Extras,
}

impl ClientRecord {
    /// The bytes that are stored.
    pub(crate) fn encode(placement: &Placement, extras: &Extras) -> Vec<u8> {
        serde_json::to_vec(&Document { placement, extras })
            .unwrap_or_else(|e| unreachable!("a record is always JSON: {e}"))
    }

    /// The record in `bytes`, stored under `key` (for the error).
    pub(crate) fn decode(key: &Key, bytes: &[u8]) -> Result<ClientRecord, Error> {
        serde_json::from_slice::<ClientRecord>(bytes).map_err(|error| {
            let key = format!("{key:?}");
            // The long way round knows what is wrong: no JSON, another format, or else a field.
            let known = decode::<serde_json::Value>(&key, bytes).err();
            known.unwrap_or_else(|| Error::Record { key, problem: error.to_string() })
        })
    }
}

struct Document<'a> {
    placement: &'a Placement,
    extras: &'a Extras,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Placement { home, owner_epoch, weight, declared, phase, until, labels, return_to, why } = self.placement;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &FORMAT)?;
        map.serialize_entry("home", home.as_str())?;
        map.serialize_entry("owner_epoch", &owner_epoch.0)?;
        map.serialize_entry("weight", &Text(*weight))?;
        if declared != weight {
            map.serialize_entry("declared", &Text(*declared))?;
        }
        map.serialize_entry("phase", phase.as_str())?;
        if *until != Tick::NEVER {
            map.serialize_entry("until", &until.0)?;
        }
        if !labels.is_empty() {
            map.serialize_entry("labels", &Asked(labels))?;
        }
        if let Some(id) = return_to {
            map.serialize_entry("return_to", id.as_str())?;
        }
        map.serialize_entry("reason", why.reason.as_str())?;
        map.serialize_entry("since", &why.since)?;
        if let Some(id) = &why.from {
            map.serialize_entry("from", id.as_str())?;
        }
        map.serialize_entry("by", &why.by)?;
        for (name, value) in self.extras {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct Asked<'a>(&'a Labels);

impl Serialize for Asked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

#[derive(Deserialize)]
struct Fields {
    v: u64,
    home: Text<InstanceId>,
    owner_epoch: u64,
    weight: Text<Weight>,
    declared: Option<Text<Weight>>,
    phase: Text<Phase>,
    until: Option<u64>,
    #[serde(default)]
    labels: BTreeMap<Text<LabelName>, String>,
    return_to: Option<Text<InstanceId>>,
    reason: String,
    since: String,
    from: Option<Text<InstanceId>>,
    by: String,
    #[serde(flatten)]
    extras: Extras,
}

impl<'de> Deserialize<'de> for ClientRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClientRecord, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        if fields.v > FORMAT {
            return Err(D::Error::custom("a newer format"));
        }
        let why = Why {
            // A reason is for people and decides nothing: one that a newer version gave makes no record unusable.
            reason: fields.reason.parse().unwrap_or(Reason::Placed),
            since: fields.since,
            from: fields.from.map(|id| id.0),
            by: fields.by,
        };
        let placement = Placement {
            home: fields.home.0,
            owner_epoch: Epoch(fields.owner_epoch),
            weight: fields.weight.0,
            declared: fields.declared.unwrap_or(fields.weight).0,
            phase: fields.phase.0,
            until: fields.until.map_or(Tick::NEVER, Tick),
            labels: fields.labels.into_iter().map(|(name, value)| (name.0, value)).collect(),
            return_to: fields.return_to.map(|id| id.0),
            why,
        };
        Ok(ClientRecord { placement, extras: fields.extras })
    }
}
