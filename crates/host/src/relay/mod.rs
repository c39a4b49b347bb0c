//! Bytes between two TCP connections, moved inside the kernel (splice(2)), while a gate is open.
//!
//! A half-closed connection stays half open: the end of one direction is passed on and the other goes on. Any other
//! end is passed on as what it is: both connections are reset, so that nobody takes a torn stream for a whole one.

mod pipes;

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use steadfast_core::Moment;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::clock;
use crate::sys;
use pipes::Pipe;

/// Why a relay ended.
#[derive(Debug)]
pub enum Ended {
    /// Both sides said that they were done, and got all of it.
    Closed,
    /// The permit was withdrawn.
    Revoked,
    /// Nothing passed in either direction for the idle time.
    Idle,
    /// One side broke off (a reset), or the kernel refused.
    Failed(io::Error),
}

/// What a relay has done so far; to be read from outside while it runs.
#[derive(Debug)]
pub struct Meter {
    there: AtomicU64,
    back: AtomicU64,
    /// When bytes last passed, in nanoseconds of the boot clock.
    last: AtomicU64,
    /// They went there.
    last_there: AtomicBool,
    /// Bytes that were read and not yet written.
    held: AtomicU64,
}

impl Default for Meter {
    /// Nothing has passed; idleness counts from now.
    fn default() -> Meter {
        let now = clock::now().as_nanos();
        let (there, back) = (AtomicU64::new(0), AtomicU64::new(0));
        let (last_there, held) = (AtomicBool::new(false), AtomicU64::new(0));
        Meter { there, back, last: AtomicU64::new(now), last_there, held }
    }
}

impl Meter {
    /// Bytes that went from the first connection to the second.
    pub fn there(&self) -> u64 {
        self.there.load(Ordering::Relaxed)
    }

    /// Bytes that went from the second connection to the first.
    pub fn back(&self) -> u64 {
        self.back.load(Ordering::Relaxed)
    }

    /// When bytes last passed, either way; at first, when it was made.
    pub fn last(&self) -> Moment {
        Moment::from_nanos(self.last.load(Ordering::Relaxed))
    }

    /// Whether the second side has had the last word: as far as can be told without knowing what they speak, nobody
    /// waits for an answer.
    pub fn is_answered(&self) -> bool {
        !self.last_there.load(Ordering::Relaxed) && self.held.load(Ordering::Relaxed) == 0
    }

    fn took(&self, direction: Direction, count: usize) {
        self.held.fetch_add(count as u64, Ordering::Relaxed);
        self.last_there.store(matches!(direction, Direction::There), Ordering::Relaxed);
    }

    fn gave(&self, direction: Direction, count: usize) {
        let moved = match direction {
            Direction::There => &self.there,
            Direction::Back => &self.back,
        };
        moved.fetch_add(count as u64, Ordering::Relaxed);
        self.last.store(clock::now().as_nanos(), Ordering::Relaxed);
        self.held.fetch_sub(count as u64, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
enum Direction {
    There,
    Back,
}

/// Relays between `one` and `other` until both directions have ended, nothing passed for `idle`, `revoked` completes,
/// or `permit` says no. It is asked before every read and every write, because a task that was ready when the machine
/// or the process stopped runs before any timer when it goes on. Unless both sides ended in good order, both
/// connections are reset, also when the future is dropped. `meter` tells how far it has come.
pub async fn relay<P, R>(
    one: TcpStream,
    other: TcpStream,
    idle: Duration,
    meter: &Meter,
    permit: P,
    revoked: R,
) -> Ended
where
    P: Fn() -> bool,
    R: Future<Output = ()>,
{
    let shared = Shared { permit, meter };
    let result = match reset_when_dropped(&one).and_then(|()| reset_when_dropped(&other)) {
        Err(error) => Err(Ended::Failed(error)),
        Ok(()) => {
            let both = async {
                let there = shared.one_way(&one, &other, Direction::There);
                tokio::try_join!(there, shared.one_way(&other, &one, Direction::Back)).map(drop)
            };
            tokio::select! {
                biased;
                () = revoked => Err(Ended::Revoked),
                result = pin!(both) => result,
                () = shared.idle(idle) => Err(Ended::Idle),
            }
        }
    };
    let ended = result.and_then(|()| end_in_good_order(&one, &other).map_err(Ended::Failed)).err();
    ended.unwrap_or(Ended::Closed)
}

struct Shared<'a, P> {
    permit: P,
    meter: &'a Meter,
}

impl<P: Fn() -> bool> Shared<'_, P> {
    async fn one_way(&self, from: &TcpStream, to: &TcpStream, direction: Direction) -> Result<(), Ended> {
        loop {
            from.readable().await.map_err(Ended::Failed)?;
            // A pipe is held only while something is in it: thousands of quiet connections need none.
            let pipe = Pipe::take().map_err(Ended::Failed)?;
            self.permitted()?;
            let read =
                from.try_io(Interest::READABLE, || sys::splice(from.as_fd(), pipe.writing_end(), pipes::PIPE_BYTES));
            match read {
                Ok(0) => {
                    pipe.give_back();
                    return SockRef::from(to).shutdown(std::net::Shutdown::Write).or_else(already_gone);
                }
                Ok(count) => {
                    self.meter.took(direction, count);
                    self.empty(&pipe, count, to, direction).await?;
                    pipe.give_back();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.give_back(),
                Err(error) => return Err(Ended::Failed(error)),
            }
        }
    }

    /// Writes the `left` bytes in `pipe`.
    async fn empty(&self, pipe: &Pipe, mut left: usize, to: &TcpStream, direction: Direction) -> Result<(), Ended> {
        while left > 0 {
            to.writable().await.map_err(Ended::Failed)?;
            self.permitted()?;
            match to.try_io(Interest::WRITABLE, || sys::splice(pipe.reading_end(), to.as_fd(), left)) {
                Ok(count) => {
                    left -= count;
                    self.meter.gave(direction, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Ended::Failed(error)),
            }
        }
        Ok(())
    }

    fn permitted(&self) -> Result<(), Ended> {
        if (self.permit)() { Ok(()) } else { Err(Ended::Revoked) }
    }

    async fn idle(&self, idle: Duration) {
        loop {
            let until = self.meter.last() + idle;
            if clock::now() >= until {
                return;
            }
            clock::sleep_until(until).await;
        }
    }
}

/// A close from now on is a reset.
fn reset_when_dropped(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// A close delivers what was written, as usual.
fn end_in_good_order(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    SockRef::from(one).set_linger(None)?;
    SockRef::from(other).set_linger(None)
}

/// The end of one direction cannot be passed on to a side that has closed both; the other direction will tell.
fn already_gone(error: io::Error) -> Result<(), Ended> {
    if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(Ended::Failed(error)) }
}

#[cfg(test)]
mod tests;
