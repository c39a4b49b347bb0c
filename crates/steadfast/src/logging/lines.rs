//! Lines on their way to standard error. Whoever logs leaves a line here and goes on: a pipe nobody reads, a reader
//! that is gone and a full disk cost lines, and never a thread of ours or the process.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// What waits to be written, at most. A line that finds no room is dropped and counted.
const WAITING_BYTES: usize = 1 << 20;

/// Lines that wait, and the thread that writes them. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Says that something waits, or that nothing does any more.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// Lines that nobody will read: there was no room, or they could not be written.
    dropped: u64,
    /// What was taken last is still being written.
    writing: bool,
}

impl Lines {
    /// Starts the thread that writes to `out`. It ends with the process.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Lines> {
        let lines = Lines::default();
        let theirs = lines.clone();
        Builder::new().name("log".to_owned()).spawn(move || theirs.write_on(out))?;
        Ok(lines)
    }

    /// Waits until all is written, but not longer than `within`.
    pub(super) fn finish(&self, within: Duration) {
        let busy = |waiting: &mut Waiting| waiting.writing || waiting.lines > 0;
        drop(self.0.news.wait_timeout_while(self.waiting(), within, busy));
    }

    fn write_on(&self, mut out: impl Write) {
        loop {
            let (text, lines, dropped) = self.take();
            let mut lost = dropped;
            if write(&mut out, &text).is_err() {
                lost += lines;
            } else if dropped > 0 {
                let told = format!("({dropped} lines of this log could not be written and are lost)\n");
                if write(&mut out, told.as_bytes()).is_ok() {
                    lost = 0;
                }
            }
            // Told with the next line that can be written.
            self.waiting().dropped += lost;
        }
    }

    /// All that waits, as soon as something does.
    fn take(&self) -> (Vec<u8>, u64, u64) {
        let mut waiting = self.waiting();
        waiting.writing = false;
        self.0.news.notify_all();
        let mut waiting =
            self.0.news.wait_while(waiting, |waiting| waiting.lines == 0).unwrap_or_else(PoisonError::into_inner);
        waiting.writing = true;
        let lines = std::mem::take(&mut waiting.lines);
        (std::mem::take(&mut waiting.text), lines, std::mem::take(&mut waiting.dropped))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a line; never waits and never fails.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.text.len() + line.len() > WAITING_BYTES {
            waiting.dropped += 1;
        } else {
            waiting.text.extend_from_slice(line);
            waiting.lines += 1;
            if !waiting.writing {
                self.0.news.notify_all();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of it. Not by `write_all`: a standard error set to non-blocking by whoever shares it is waited for.
fn write(out: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    /// Between two tries on a pipe that is full and does not block.
    const AGAIN_AFTER: Duration = Duration::from_millis(20);
    while !text.is_empty() {
        match out.write(text) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => text = &text[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN_AFTER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
