//! `set/<name>`: the settings of a set. The kind decides which fields there are.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value as Json};
use steadfast_core::settings::{SetSettings, SingleSettings, StickySettings, Value};
use steadfast_core::{SetName, Span};

use super::Extras;
use crate::Error;
use crate::text::Text;

/// `set/<name>`: the settings of a set. Fields that are not known here are kept when it is rewritten.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRecord {
    /// `single` or `sticky`.
    pub kind: String,
    fields: Fields,
}

/// What there is beside the kind.
#[derive(Clone, Debug, PartialEq)]
enum Fields {
    Single(Single),
    /// As they stand there: of a sticky set, [`StickySettings::KEYS`]; of a kind that is not known here, whatever it has.
    Other(Extras),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Single {
    lease_ttl: Text<Span>,
    clock_drift: f64,
    park_for: Text<Span>,
    release_after: Text<Span>,
    #[serde(flatten)]
    extras: Extras,
}

impl SetRecord {
    /// The settings as a record.
    pub fn new(settings: &SetSettings) -> SetRecord {
        let fields = match settings {
            SetSettings::Single(single) => Fields::Single(Single::new(single)),
            SetSettings::Sticky(sticky) => Fields::Other(
                sticky.entries().into_iter().map(|(key, value)| (key.to_owned(), setting_to_json(&value))).collect(),
            ),
        };
        SetRecord { kind: settings.kind().to_owned(), fields }
    }

    /// This record with other settings of the same kind in it, and all else as it is.
    pub fn rewritten(&self, settings: &SetSettings) -> SetRecord {
        let mut new = SetRecord::new(settings);
        match (&mut new.fields, &self.fields) {
            (Fields::Single(new), Fields::Single(old)) => new.extras = old.extras.clone(),
            (Fields::Other(new), Fields::Other(old)) => {
                let unknown = old.iter().filter(|(key, _)| !StickySettings::KEYS.contains(&key.as_str()));
                new.extend(unknown.map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {}
        }
        new
    }

    /// The settings this record of `set` stands for, checked.
    pub fn settings(&self, set: &SetName) -> Result<SetSettings, Error> {
        let problem = |problem: String| Error::Record { key: format!("set/{set}"), problem };
        match &self.fields {
            Fields::Single(single) => single.settings().map(SetSettings::Single).map_err(problem),
            Fields::Other(fields) if self.kind == StickySettings::KIND => {
                let sticky = StickySettings::read(|key| fields.get(key).map(setting_from_json));
                let sticky = sticky.map_err(|problems| {
                    problem(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
                })?;
                Ok(SetSettings::Sticky(Box::new(sticky)))
            }
            Fields::Other(_) => {
                Err(problem(format!("kind {:?} is not known here: expected \"single\" or \"sticky\"", self.kind)))
            }
        }
    }
}

impl Single {
    fn new(settings: &SingleSettings) -> Single {
        let timing = settings.timing();
        Single {
            lease_ttl: Text(timing.ttl()),
            clock_drift: f64::from(timing.drift_milli()) / 1000.0,
            park_for: Text(settings.park_for()),
            release_after: Text(timing.release_after()),
            extras: Extras::new(),
        }
    }

    fn settings(&self) -> Result<SingleSettings, String> {
        let milli = (self.clock_drift * 1000.0).round();
        if !(0.0..=1000.0).contains(&milli) {
            return Err(format!("clock_drift {} is not between 0 and 1", self.clock_drift));
        }
        let settings = SingleSettings::new(self.lease_ttl.0, milli as u32, self.release_after.0, self.park_for.0);
        settings.map_err(|refused| refused.to_string())
    }
}

impl Serialize for SetRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a, T> {
            kind: &'a str,
            #[serde(flatten)]
            fields: &'a T,
        }
        match &self.fields {
            Fields::Single(fields) => Flat { kind: &self.kind, fields }.serialize(serializer),
            Fields::Other(fields) => Flat { kind: &self.kind, fields }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SetRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SetRecord, D::Error> {
        let mut fields = Extras::deserialize(deserializer)?;
        let Some(Json::String(kind)) = fields.remove("kind") else { return Err(de::Error::missing_field("kind")) };
        let fields = if kind == SingleSettings::KIND {
            Fields::Single(serde_json::from_value(fields.into()).map_err(de::Error::custom)?)
        } else {
            Fields::Other(fields)
        };
        Ok(SetRecord { kind, fields })
    }
}

/// A value of a sticky set's settings as JSON: what is a number in the file is a number there.
pub fn setting_to_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Number(digits) => {
            let whole = digits.parse::<u64>().ok().map(Number::from);
            let number = whole.or_else(|| digits.parse().ok().and_then(Number::from_f64));
            number.map_or_else(|| Json::from(digits.as_str()), Json::Number)
        }
        Value::List(texts) => Json::from(texts.as_slice()),
        Value::Table(named) => {
            Json::Object(named.iter().map(|(key, value)| (key.clone(), setting_to_json(value))).collect())
        }
        Value::Other(_) => Json::Null,
    }
}

/// The value that this JSON stands for.
pub fn setting_from_json(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map_or(Value::Other("a list of other things than strings"), Value::List)
        }
        Json::Object(fields) => Value::Table(named(fields)),
        Json::Bool(_) => Value::Other("a boolean"),
        Json::Null => Value::Other("null"),
    }
}

fn named(fields: &Map<String, Json>) -> std::collections::BTreeMap<String, Value> {
    fields.iter().map(|(key, json)| (key.clone(), setting_from_json(json))).collect()
}

#[cfg(test)]
mod tests;
