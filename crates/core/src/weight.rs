//! An amount of work: what a client brings and what an instance can carry, in the same unit.

use core::fmt;
use core::str::FromStr;

use crate::BadText;

/// Expected work, in thousandths of whatever unit the set counts in (megabits a second, players, rooms).
/// Written as a decimal with at most three places: `8`, `0.5`, `2.125`. At most [`Weight::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(u64);

impl Weight {
    /// Nothing. A client never weighs nothing; an instance without room has this capacity.
    pub const ZERO: Weight = Weight(0);
    /// One unit.
    pub const ONE: Weight = Weight(1_000);
    /// A thousand million units. Products of two weights and sums of a million million of them fit 128 bits.
    pub const MAX: Weight = Weight(1_000_000_000_000);

    /// So many thousandths; `None` above [`Weight::MAX`].
    pub const fn from_milli(milli: u64) -> Option<Weight> {
        if milli <= Self::MAX.0 { Some(Weight(milli)) } else { None }
    }

    /// Thousandths.
    pub const fn as_milli(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Weight {
    /// The shortest exact form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        match rest {
            0 => f.pad_integral(true, "", &alloc::format!("{whole}")),
            _ if rest % 100 == 0 => write!(f, "{whole}.{}", rest / 100),
            _ if rest % 10 == 0 => write!(f, "{whole}.{:02}", rest / 10),
            _ => write!(f, "{whole}.{rest:03}"),
        }
    }
}

impl FromStr for Weight {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Weight, BadText> {
        let bad = || {
            BadText::new("a weight", text, "a decimal from 0 to 1000000000 with at most three places, such as 8 or 0.5")
        };
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, longest: usize| {
            (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 10) || !digits(rest, 3) {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let scale = [100, 10, 1][rest.len() - 1];
        let rest: u64 = rest.parse().map_err(|_| bad())?;
        Weight::from_milli(whole * 1_000 + rest * scale).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests;
