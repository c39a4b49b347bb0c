//! The system calls that neither std nor tokio offers. All unsafe code of the workspace is in this file.
//!
//! Every function is safe to call with any argument; what it takes beyond plain numbers it takes as owned or borrowed
//! descriptors. Nothing here waits, except where a name says so, and nothing decides.
#![allow(unsafe_code)]

#[cfg(test)]
use std::io;

/// A clock of the kernel.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// Since boot, suspension included.
    Boot,
    /// The time of day.
    Wall,
}

/// Seconds and nanoseconds on `clock`.
pub(crate) fn read_clock(clock: Clock) -> (i64, u32) {
    let id = match clock {
        Clock::Boot => libc::CLOCK_BOOTTIME,
        Clock::Wall => libc::CLOCK_REALTIME,
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    // Both clocks exist since Linux 2.6.39; a lease judged by a clock that does not answer would be judged wrongly.
    assert_eq!(result, 0, "clock_gettime({id}) failed");
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Sends `signal` to one process.
#[cfg(test)]
pub(crate) fn signal_process(pid: i32, signal: i32) -> io::Result<()> {
    // 0 and negative numbers mean groups to kill(2): never by accident.
    if pid <= 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

#[cfg(test)]
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
