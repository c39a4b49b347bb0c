//! An amount of work as the API writes it: a JSON number with at most three decimal places, such as `12.5`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use steadfast_core::Weight;

/// The largest amount that is read: what a million instances of the greatest capacity carry together. Every thousandth
/// below it has a JSON number of its own.
const LARGEST_MILLI: u64 = 1_000_000_000_000_000;

/// So many thousandths: a weight, a capacity, or a sum of them, which may be greater than any weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// So many thousandths.
    pub fn from_milli(milli: u64) -> Amount {
        Amount(milli)
    }

    /// Thousandths.
    pub fn as_milli(self) -> u64 {
        self.0
    }

    /// The weight of a client; `None` for nothing, which no client weighs, and for more than the heaviest.
    pub fn weight(self) -> Option<Weight> {
        Weight::from_milli(self.0).filter(|weight| *weight != Weight::ZERO)
    }

    /// Which part of `whole` this is, to four places; `None` where there is no whole.
    pub fn part_of(self, whole: Amount) -> Option<f64> {
        let parts = u128::from(self.0) * 10_000;
        let whole = u128::from(whole.0);
        (whole > 0).then(|| ((parts + whole / 2) / whole) as f64 / 10_000.0)
    }
}

impl From<Weight> for Amount {
    fn from(weight: Weight) -> Amount {
        Amount(weight.as_milli())
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        Amount(amounts.fold(0, |sum, one| sum.saturating_add(one.0)))
    }
}

impl fmt::Display for Amount {
    /// As a weight is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            return serializer.serialize_u64(self.0 / 1_000);
        }
        serializer.serialize_f64(self.0 as f64 / 1_000.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 with at most three decimal places, such as 12.5")
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Amount, E> {
        let milli = whole.checked_mul(1_000).filter(|milli| *milli <= LARGEST_MILLI);
        milli.map(Amount).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(whole), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
        let milli = (number * 1_000.0).round();
        // Whatever is not the number nearest to some thousandth has more places than are kept.
        if !(0.0..=LARGEST_MILLI as f64).contains(&milli) || milli / 1_000.0 != number {
            return Err(E::invalid_value(de::Unexpected::Float(number), &self));
        }
        Ok(Amount(milli as u64))
    }
}

#[cfg(test)]
mod tests;
