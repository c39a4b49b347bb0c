//! What a request asks for in its query and says in its body. What two readers could read in two ways is refused: a
//! parameter or key that is there twice, and one whose encoding is broken.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use steadfast_core::client::ClientKey;
use steadfast_host::http::{Request, percent_decode};
use steadfast_host::problem::Problem;

/// The parameters of a query that nobody has taken yet, decoded. `+` is a space.
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    pub(super) fn of(request: &Request) -> Result<Query, Problem> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        let text = request.query.as_deref().unwrap_or_default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                percent_decode(&text.replace('+', " ")).ok_or_else(|| bad(format!("{pair:?} is badly encoded")))
            };
            let name = String::from_utf8(decode(name)?).map_err(|_| bad(format!("{pair:?} has a name of no text")))?;
            if found.iter().any(|(known, _)| *known == name) {
                return Err(bad(format!("{name} is there more than once")));
            }
            found.push((name, decode(value)?));
        }
        Ok(Query(found))
    }

    /// The client's key that the parameter `name` has; its bytes need not be text.
    pub(super) fn client(&mut self, name: &str) -> Result<Option<ClientKey>, Problem> {
        let key = |bytes: Vec<u8>| {
            ClientKey::new(&bytes).map_err(|error| Problem::bad_request("bad-client", format!("{name}: {error}")))
        };
        self.take(name).map(key).transpose()
    }

    /// What the parameter `name` says.
    pub(super) fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.take(name).map(|bytes| value_of(name, bytes)).transpose()
    }

    /// Refuses what was not taken; `known` is what could have been.
    pub(super) fn finish(self, known: &str) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((other, _)) => Err(bad(format!("{other:?} is not asked for here: {known}"))),
        }
    }

    /// All that was not taken, as names and texts.
    pub(super) fn rest<N, V>(self) -> Result<Vec<(N, V)>, Problem>
    where
        N: FromStr<Err: Display>,
        V: FromStr<Err: Display>,
    {
        let of_pair = |(name, value): (String, Vec<u8>)| {
            let value = value_of(&name, value)?;
            Ok((name.parse().map_err(|error| bad(format!("{error}")))?, value))
        };
        self.0.into_iter().map(of_pair).collect()
    }

    fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }
}

fn bad(detail: String) -> Problem {
    Problem::bad_request("bad-query", detail)
}

fn value_of<T: FromStr<Err: Display>>(name: &str, bytes: Vec<u8>) -> Result<T, Problem> {
    let text = String::from_utf8(bytes).map_err(|_| bad(format!("{name} is no text")))?;
    text.parse().map_err(|error| bad(format!("{name}: {error}")))
}

/// The body of a change: a JSON object, or nothing, which is an empty one.
pub(super) fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let text: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    let wrong = |error: serde_json::Error| Problem::bad_request("bad-body", format!("the body: {error}"));
    serde_json::from_slice::<NothingTwice>(text).map_err(wrong)?;
    serde_json::from_slice(text).map_err(wrong)
}

/// The body of a change that says everything in its path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Any JSON in which no object has a key twice: serde's maps would take the last, other readers the first.
struct NothingTwice;

impl<'de> Deserialize<'de> for NothingTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NothingTwice, D::Error> {
        deserializer.deserialize_any(NothingTwice)
    }
}

impl<'de> Visitor<'de> for NothingTwice {
    type Value = NothingTwice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<NothingTwice, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NothingTwice, A::Error> {
        while items.next_element::<NothingTwice>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NothingTwice, A::Error> {
        let mut keys = std::collections::BTreeSet::new();
        while let Some((key, _)) = map.next_entry::<String, NothingTwice>()? {
            if let Some(twice) = keys.replace(key) {
                return Err(serde::de::Error::custom(format_args!("the key {twice:?} is there twice")));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
