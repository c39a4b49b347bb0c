//! The keys of a sticky set's settings and their values as text: the one definition that the file, the record and the
//! API go by. A key that is missing has its default.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Display};
use core::str::FromStr;

use crate::client::{LabelName, Sources};
use crate::{Span, Weight};

use super::{BadSticky, Presence, Sticky, StickySettings, WeightRule};

/// What stands behind a key. Written, it is TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A number, as its decimal digits.
    Number(String),
    /// Several strings.
    List(Vec<String>),
    /// More of them, by name.
    Table(BTreeMap<String, Value>),
    /// Something that no key takes, and what it is: "a boolean".
    Other(&'static str),
}

impl StickySettings {
    /// Every key, in the order in which people read them.
    pub const KEYS: &[&'static str] = &[
        "client",
        "weight",
        "weight_default",
        "weight_max",
        "policy",
        "admit_below",
        "presence",
        "claim_within",
        "idle_after",
        "forget_after",
        "home_wait",
        "on_home_lost",
        "return_home",
        "home_full",
        "require",
        "prefer",
        "max_clients",
        "new_per_source",
        "evict",
    ];

    /// The settings that say `value_of(key)` for each of [`StickySettings::KEYS`], checked.
    ///
    /// # Errors
    /// Everything that cannot be read; or else the first that does not fit.
    pub fn read(mut value_of: impl FnMut(&'static str) -> Option<Value>) -> Result<StickySettings, Vec<BadSticky>> {
        let mut values = Sticky::default();
        let mut problems = Vec::new();
        let mut read = |values: &mut Sticky, key| {
            let Some(value) = value_of(key) else { return };
            if let Err(problem) = values.set(key, &value) {
                problems.push(problem.of(key));
            }
        };
        // Another value's default depends on it.
        read(&mut values, "presence");
        values = Sticky::with_presence(values.presence);
        for key in Self::KEYS.iter().filter(|key| **key != "presence") {
            read(&mut values, key);
        }
        if problems.is_empty() {
            StickySettings::new(values).map_err(|problem| Vec::from([problem]))
        } else {
            Err(problems)
        }
    }
}

impl Sticky {
    /// Each key and its value, in the order of [`StickySettings::KEYS`]; without those that say nothing.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        let text = |value: &dyn Display| Some(Value::Text(value.to_string()));
        let number = |value: &dyn Display| Some(Value::Number(value.to_string()));
        let value = |key| match key {
            "client" => sources_value(&self.client),
            "weight" => rule_value(&self.weight),
            "weight_default" => number(&self.weight_default),
            "weight_max" => self.weight_max.and_then(|most| number(&most)),
            "policy" => text(&self.policy),
            "admit_below" => Weight::from_milli(self.admit_below_milli.into()).and_then(|part| number(&part)),
            "presence" => text(&self.presence),
            "claim_within" => text(&self.claim_within),
            "idle_after" => text(&self.idle_after),
            "forget_after" => self.forget_after.map_or_else(|| text(&NEVER), |span| text(&span)),
            "home_wait" => text(&self.home_wait),
            "on_home_lost" => text(&self.on_home_lost),
            "return_home" => text(&self.return_home),
            "home_full" => text(&self.home_full),
            "require" => labels_value(&self.require),
            "prefer" => labels_value(&self.prefer),
            "max_clients" => number(&self.max_clients),
            "new_per_source" => number(&self.new_per_source),
            "evict" => self.evict.clone().map(Value::Text),
            _ => None,
        };
        StickySettings::KEYS.iter().filter_map(|key| Some((*key, value(key)?))).collect()
    }

    fn set(&mut self, key: &'static str, value: &Value) -> Result<(), Problem> {
        match key {
            "client" => self.client = value.sources()?,
            "weight" => self.weight = value.weight_rule()?,
            "weight_default" => self.weight_default = value.weight()?,
            "weight_max" => self.weight_max = Some(value.weight()?),
            "policy" => self.policy = value.parsed()?,
            "admit_below" => self.admit_below_milli = value.thousandths()?,
            "presence" => self.presence = value.parsed::<Presence>()?,
            "claim_within" => self.claim_within = value.parsed()?,
            "idle_after" => self.idle_after = value.parsed()?,
            "forget_after" => {
                let never = matches!(value, Value::Text(text) if text == NEVER);
                self.forget_after = if never { None } else { Some(value.parsed::<Span>()?) };
            }
            "home_wait" => self.home_wait = value.parsed()?,
            "on_home_lost" => self.on_home_lost = value.parsed()?,
            "return_home" => self.return_home = value.parsed()?,
            "home_full" => self.home_full = value.parsed()?,
            "require" => self.require = value.labels()?,
            "prefer" => self.prefer = value.labels()?,
            "max_clients" => self.max_clients = value.whole()?,
            "new_per_source" => self.new_per_source = value.whole()?,
            "evict" => self.evict = Some(value.text("a string")?.into()),
            _ => {}
        }
        Ok(())
    }
}

const NEVER: &str = "never";

/// Why a value cannot be read.
enum Problem {
    /// It is of another type than the key takes.
    Type(String),
    /// Its text says something else.
    Text(String),
}

impl Problem {
    fn of(self, key: &'static str) -> BadSticky {
        match self {
            Problem::Type(problem) => BadSticky::Value { key, problem },
            Problem::Text(problem) => BadSticky::Text { key, problem },
        }
    }
}

impl Value {
    /// The weight rule this is: a number, a place in a request, or a list of places.
    ///
    /// # Errors
    /// What is wrong with the value of `key`, and what would be right.
    pub fn to_weight_rule(&self, key: &'static str) -> Result<WeightRule, BadSticky> {
        self.weight_rule().map_err(|problem| problem.of(key))
    }

    /// The places in a request this is: one or a list of them.
    ///
    /// # Errors
    /// What is wrong with the value of `key`, and what would be right.
    pub fn to_sources(&self, key: &'static str) -> Result<Sources, BadSticky> {
        self.sources().map_err(|problem| problem.of(key))
    }

    /// The weight this is.
    ///
    /// # Errors
    /// What is wrong with the value of `key`, and what would be right.
    pub fn to_weight(&self, key: &'static str) -> Result<Weight, BadSticky> {
        self.weight().map_err(|problem| problem.of(key))
    }

    fn not(&self, expected: &str) -> Problem {
        let found = match self {
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(what) => what,
        };
        Problem::Type(alloc::format!("is to be {expected}, not {found}"))
    }

    fn text(&self, expected: &str) -> Result<&str, Problem> {
        match self {
            Value::Text(text) => Ok(text),
            _ => Err(self.not(expected)),
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&self) -> Result<T, Problem> {
        parse(self.text("a string")?)
    }

    fn sources(&self) -> Result<Sources, Problem> {
        match self {
            Value::Text(text) => Ok(Sources(Vec::from([parse(text)?]))),
            Value::List(texts) => Ok(Sources(texts.iter().map(|text| parse(text)).collect::<Result<_, _>>()?)),
            _ => Err(self.not("a place in a request, such as \"query:camera\", or a list of such")),
        }
    }

    fn weight_rule(&self) -> Result<WeightRule, Problem> {
        match self {
            Value::Number(digits) => Ok(WeightRule::Fixed(parse(digits)?)),
            Value::Text(_) | Value::List(_) => Ok(WeightRule::Said(self.sources()?)),
            _ => Err(self.not("a number, a place in a request, such as \"query:mbps\", or a list of such")),
        }
    }

    /// Weights are numbers here; as a string one is a weight too, as it is elsewhere.
    fn weight(&self) -> Result<Weight, Problem> {
        match self {
            Value::Number(text) | Value::Text(text) => parse(text),
            _ => Err(self.not("a number, such as 8 or 0.5")),
        }
    }

    fn thousandths(&self) -> Result<u32, Problem> {
        let expected = "a number with at most three places, such as 0.85";
        let Value::Number(digits) = self else { return Err(self.not(expected)) };
        let part = digits.parse::<Weight>().ok().and_then(|part| u32::try_from(part.as_milli()).ok());
        part.ok_or_else(|| Problem::Type(alloc::format!("is to be {expected}, not {digits}")))
    }

    fn whole<T: FromStr>(&self) -> Result<T, Problem> {
        let Value::Number(digits) = self else { return Err(self.not("a whole number")) };
        digits
            .parse()
            .map_err(|_| Problem::Type(alloc::format!("is to be a whole number that is not too large, not {digits}")))
    }

    fn labels(&self) -> Result<BTreeMap<LabelName, Sources>, Problem> {
        let Value::Table(named) = self else {
            return Err(self.not("a table of labels and places, such as { region = \"query:region\" }"));
        };
        named.iter().map(|(name, value)| Ok((parse(name)?, value.sources()?))).collect()
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|bad: T::Err| Problem::Text(bad.to_string()))
}

/// One place as a string, several as a list; nothing for none.
fn sources_value(sources: &Sources) -> Option<Value> {
    match sources.0.as_slice() {
        [] => None,
        [one] => Some(Value::Text(one.to_string())),
        many => Some(Value::List(many.iter().map(ToString::to_string).collect())),
    }
}

fn rule_value(rule: &WeightRule) -> Option<Value> {
    match rule {
        WeightRule::Fixed(weight) => Some(Value::Number(weight.to_string())),
        WeightRule::Said(sources) => sources_value(sources),
    }
}

fn labels_value(labels: &BTreeMap<LabelName, Sources>) -> Option<Value> {
    let named = labels.iter().filter_map(|(name, sources)| Some((name.to_string(), sources_value(sources)?)));
    let named: BTreeMap<String, Value> = named.collect();
    (!named.is_empty()).then_some(Value::Table(named))
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => quote(f, text),
            Value::Number(digits) => f.write_str(digits),
            Value::List(texts) => {
                f.write_str("[")?;
                for (number, text) in texts.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { ", " })?;
                    quote(f, text)?;
                }
                f.write_str("]")
            }
            Value::Table(named) => {
                f.write_str("{")?;
                for (number, (name, value)) in named.iter().enumerate() {
                    write!(f, "{}{name} = {value}", if number == 0 { " " } else { ", " })?;
                }
                f.write_str(" }")
            }
            Value::Other(what) => f.write_str(what),
        }
    }
}

/// A basic string of TOML.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            control if control.is_control() => write!(f, "\\u{:04X}", u32::from(control))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests;
