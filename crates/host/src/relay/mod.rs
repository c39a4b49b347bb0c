//! Bytes between two TCP connections, moved inside the kernel (splice(2)), while a gate is open.
//!
//! A half-closed connection stays half open: the end of one direction is passed on and the other goes on. Any other
//! end is passed on as what it is: both connections are reset, so that nobody takes a torn stream for a whole one.

mod pipes;

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// What became of a relay.
#[derive(Debug)]
pub struct Outcome {
    /// Bytes that went from the first connection to the second.
    pub there: u64,
    /// Bytes that went from the second connection to the first.
    pub back: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Relays between `one` and `other` until both directions have ended, nothing passed for `idle`, `revoked` completes,
/// or `permit` says no. It is asked before every read and every write, because a task that was ready when the machine
/// or the process stopped runs before any timer when it goes on. Unless both sides ended in good order, both
/// connections are reset, also when the future is dropped.
pub async fn relay<P, R>(one: TcpStream, other: TcpStream, idle: Duration, permit: P, revoked: R) -> Outcome
where
    P: Fn() -> bool,
    R: Future<Output = ()>,
{
    let shared = Shared { permit, last: AtomicU64::new(clock::now().as_nanos()) };
    let (there, back) = (AtomicU64::new(0), AtomicU64::new(0));
    let result = match reset_when_dropped(&one).and_then(|()| reset_when_dropped(&other)) {
        Err(error) => Err(Ended::Failed(error)),
        Ok(()) => {
            let both = async {
                tokio::try_join!(shared.one_way(&one, &other, &there), shared.one_way(&other, &one, &back)).map(drop)
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
    Outcome { there: there.into_inner(), back: back.into_inner(), ended: ended.unwrap_or(Ended::Closed) }
}

struct Shared<P> {
    permit: P,
    /// When bytes last passed, in nanoseconds of the boot clock.
    last: AtomicU64,
}

impl<P: Fn() -> bool> Shared<P> {
    async fn one_way(&self, from: &TcpStream, to: &TcpStream, moved: &AtomicU64) -> Result<(), Ended> {
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
                    self.empty(&pipe, count, to, moved).await?;
                    pipe.give_back();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.give_back(),
                Err(error) => return Err(Ended::Failed(error)),
            }
        }
    }

    /// Writes the `left` bytes in `pipe`.
    async fn empty(&self, pipe: &Pipe, mut left: usize, to: &TcpStream, moved: &AtomicU64) -> Result<(), Ended> {
        while left > 0 {
            to.writable().await.map_err(Ended::Failed)?;
            self.permitted()?;
            match to.try_io(Interest::WRITABLE, || sys::splice(pipe.reading_end(), to.as_fd(), left)) {
                Ok(count) => {
                    left -= count;
                    moved.fetch_add(count as u64, Ordering::Relaxed);
                    self.last.store(clock::now().as_nanos(), Ordering::Relaxed);
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
            let until = Moment::from_nanos(self.last.load(Ordering::Relaxed)) + idle;
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
