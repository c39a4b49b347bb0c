//! True time, which nobody in the simulation can see, and the clocks of its machines.

use steadfast_core::Moment;
use steadfast_core::lease::CUT;

use crate::random::Random;

/// True time in nanoseconds since the beginning.
pub(crate) type True = u64;

pub(crate) const MS: True = 1_000_000;

/// A machine's boot clock: starts somewhere, runs at its own rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    pub(crate) rate_ppm: u64,
}

impl Clock {
    /// One whose rate is within 1 ± `drift_milli` thousandths, as often as not at an extreme.
    pub(crate) fn new(random: &mut Random, drift_milli: u32) -> Clock {
        let drift_ppm = u64::from(drift_milli) * 1_000;
        let (slowest, fastest) = (1_000_000 - drift_ppm, 1_000_000 + drift_ppm);
        let any = random.between(slowest, fastest);
        Clock { offset: 0, rate_ppm: random.pick(&[slowest, fastest, any]) }.rebooted(random)
    }

    /// The same clock after its machine started again.
    pub(crate) fn rebooted(self, random: &mut Random) -> Clock {
        Clock { offset: random.between(0, 1_000_000_000_000_000), ..self }
    }

    pub(crate) fn local(&self, at: True) -> Moment {
        Moment::from_nanos(self.offset + at * self.rate_ppm / 1_000_000)
    }

    /// The first true time at which this clock shows `moment` or later.
    pub(crate) fn true_at(&self, moment: Moment) -> True {
        let elapsed = u128::from(moment.as_nanos().saturating_sub(self.offset));
        u64::try_from((elapsed * 1_000_000).div_ceil(u128::from(self.rate_ppm))).unwrap_or(u64::MAX)
    }

    /// When traffic that may go on until `moment` is surely cut.
    pub(crate) fn cut_at(&self, moment: Moment) -> True {
        self.true_at(moment).saturating_add(CUT.as_nanos() as u64)
    }
}
