//! The one file that reads a clock.
//!
//! Decisions use [`now`], the boot clock, which goes on counting while the machine is suspended. The wall
//! clock is read for people only: nothing compares two [`WallTime`]s. The clock is read through libc, not
//! through the vDSO directly, so that a test can put libfaketime under a process and have it believed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use steadfast_core::Moment;

use crate::sys;

/// The longest single wait on tokio's timer, which stands still while the machine is suspended and may run
/// at another rate than the boot clock: a sleeper is late by at most this, counted from the resume.
const LONGEST_NAP: Duration = Duration::from_millis(500);

/// Now, on the boot clock (`CLOCK_BOOTTIME`, which counts while the machine sleeps).
pub fn now() -> Moment {
    let (seconds, nanos) = sys::read_clock(sys::Clock::Boot);
    Moment::from_nanos(seconds.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(u64::from(nanos)))
}

/// Returns once [`now`] has reached `deadline`; never earlier. Cancel safe.
pub async fn sleep_until(deadline: Moment) {
    loop {
        let left = deadline.since(now());
        if left.is_zero() {
            return;
        }
        // Tokio rounds up to whole milliseconds, so this does not spin on a remainder.
        tokio::time::sleep(left.min(LONGEST_NAP)).await;
    }
}

/// The output of `work`, or `None` (and `work` dropped) if `deadline` came first.
pub async fn timeout_at<F: Future>(deadline: Moment, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = sleep_until(deadline) => None,
    }
}

/// The time of day, for people: shown and logged, never compared. Displayed as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    unix_ms: i64,
}

/// The time of day now.
pub fn wall() -> WallTime {
    let (seconds, nanos) = sys::read_clock(sys::Clock::Wall);
    WallTime { unix_ms: seconds.saturating_mul(1_000).saturating_add(i64::from(nanos / 1_000_000)) }
}

impl WallTime {
    /// The time `ms` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_unix_millis(ms: i64) -> WallTime {
        WallTime { unix_ms: ms }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn unix_millis(self) -> i64 {
        self.unix_ms
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 86_400_000;
        let (year, month, day) = civil_date(self.unix_ms.div_euclid(DAY_MS));
        let ms = self.unix_ms.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
    }
}

/// Not a time in the form of [`WallTime`]'s display.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: expected one like 2026-01-02T03:04:05.678Z")]
pub struct BadTime(String);

impl FromStr for WallTime {
    type Err = BadTime;

    /// Reads exactly what [`WallTime`]'s display writes.
    fn from_str(text: &str) -> Result<WallTime, BadTime> {
        let part = |range| text.get::<std::ops::Range<usize>>(range)?.parse::<u32>().ok().map(i64::from);
        let read = || {
            let days = days_since_1970(part(0..4)?, part(5..7)?, part(8..10)?);
            let seconds = (part(11..13)? * 60 + part(14..16)?) * 60 + part(17..19)?;
            Some(WallTime { unix_ms: (days * 86_400 + seconds) * 1_000 + part(20..23)? })
        };
        // What is not written back as it was read had another form, or was no date.
        read().filter(|time| time.to_string() == text).ok_or_else(|| BadTime(text.chars().take(80).collect()))
    }
}

/// The inverse of [`civil_date`].
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The Gregorian date `days` days after 1970-01-01, counted in eras of 400 years that begin on 1 March, so
/// that the leap day is the last of its year.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_PER_ERA: i64 = 146_097;
    let from_march_0 = days + DAYS_TO_1970;
    let era = from_march_0.div_euclid(DAYS_PER_ERA);
    let day_of_era = from_march_0.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Names this boot of this machine; a [`Moment`] means nothing under another one.
///
/// # Errors
///
/// Where `/proc` is not mounted or is hidden.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_string())
}

#[cfg(test)]
mod tests;
