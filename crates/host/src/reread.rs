//! Files whose content may change while we run: certificates, keys, authorities, tokens.
//!
//! [`Reread`] gives what is in them, looks at most once in [`LOOK_EVERY`] whether they changed, and only when somebody
//! asks: no thread, no signal, no inotify (which knows nothing of a mount that is replaced as a whole). What it promises
//! is that there is always something usable: new content that does not parse is told once, in the log, and what was
//! there before stays. Files that belong together (a certificate and its key) are read together, so that the moment
//! between the replacing of the one and of the other is just such content.
//!
//! What it refuses to know: what the bytes mean.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast_core::Moment;

use crate::clock;

/// The shortest time between two looks at the same files.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why files could not be read at the start. Later the same is logged, and the content of before stays.
#[derive(Debug, thiserror::Error)]
pub enum RereadError {
    /// One could not be read at all.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// One is longer than what it is to hold can be.
    #[error("{} has more than {most_bytes} bytes: is it the right file?", file.display())]
    TooLong {
        /// Which.
        file: PathBuf,
        /// What it may have.
        most_bytes: u64,
    },
    /// The content is not what it is to be. The sentence names the file.
    #[error("{0}")]
    Wrong(String),
}

/// What some files hold, as of now. A clone is the same one.
pub struct Reread<T>(Arc<Shared<T>>);

type Parse<T> = dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync;

struct Shared<T> {
    files: Vec<PathBuf>,
    most_bytes: u64,
    parse: Box<Parse<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    generation: u64,
    looked: Moment,
    stamps: Vec<Option<Stamp>>,
    /// The files had changed at the last look, or could not be read. They are read at the next one too, whatever their
    /// stamps are then: two changes within one tick of the file system's clock have one stamp, and what kept us from
    /// reading (no descriptor left, say) may have been about us.
    unsettled: bool,
    /// What was last read, good or not; `None`: it could not be read.
    contents: Option<Vec<Vec<u8>>>,
}

/// What changes when a file is written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// A pipe, as a shell's `<(…)`, gives its content once, and keeps waiting who wants more.
    once: bool,
    place: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T> Clone for Reread<T> {
    fn clone(&self) -> Reread<T> {
        Reread(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Reread<T> {
    /// Names the files, and shows nothing of what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reread").field(&self.0.files).finish()
    }
}

impl<T> Reread<T> {
    /// Reads `files`, of at most `most_bytes` each, and makes their contents, in the same order, into what they mean.
    /// `parse` says in a sentence, which names the file and quotes no secret, what is wrong with them.
    ///
    /// # Errors
    ///
    /// [`RereadError`], where there is nothing to begin with.
    pub fn open(
        files: Vec<PathBuf>,
        most_bytes: u64,
        parse: impl Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Reread<T>, RereadError> {
        // Stamps first: what is changed after them is seen at the next look.
        let stamps = stamps(&files);
        let contents = read_all(&files, most_bytes)?;
        let value = Arc::new(parse(&contents).map_err(RereadError::Wrong)?);
        let state =
            State { value, generation: 0, looked: clock::now(), stamps, unsettled: true, contents: Some(contents) };
        Ok(Reread(Arc::new(Shared { files, most_bytes, parse: Box::new(parse), state: Mutex::new(state) })))
    }

    /// What the files hold, or last held that was usable. Looks at them if the last look was [`LOOK_EVERY`] ago.
    pub fn current(&self) -> Arc<T> {
        self.looked_at(LOOK_EVERY).value.clone()
    }

    /// The same, looking now: for who was just told that what it has is no longer right.
    pub fn look_now(&self) -> Arc<T> {
        self.looked_at(Duration::ZERO).value.clone()
    }

    /// How often the files have changed to something else usable. Looks as [`Reread::current`] does.
    pub fn generation(&self) -> u64 {
        self.looked_at(LOOK_EVERY).generation
    }

    /// [`Reread::current`] and [`Reread::generation`], of one and the same look.
    pub fn current_of(&self) -> (Arc<T>, u64) {
        let state = self.looked_at(LOOK_EVERY);
        (state.value.clone(), state.generation)
    }

    fn looked_at(&self, every: Duration) -> MutexGuard<'_, State<T>> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        if now.since(state.looked) >= every {
            state.looked = now;
            self.0.look(&mut state);
        }
        state
    }
}

impl<T> Shared<T> {
    fn look(&self, state: &mut State<T>) {
        let stamps = stamps(&self.files);
        if stamps.iter().flatten().any(|stamp| stamp.once) {
            return;
        }
        let changed = stamps != state.stamps;
        if !changed && !state.unsettled {
            return;
        }
        state.unsettled = changed;
        state.stamps = stamps;
        match read_all(&self.files, self.most_bytes) {
            Ok(contents) if state.contents.as_ref() == Some(&contents) => {}
            Ok(contents) => {
                match (self.parse)(&contents) {
                    Ok(value) => {
                        state.value = Arc::new(value);
                        state.generation += 1;
                        tracing::info!(files = %Listed(&self.files), "the files changed: what is in them counts from now on");
                    }
                    Err(why) => self.complain(&why),
                }
                state.contents = Some(contents);
            }
            Err(error) => {
                state.unsettled = true;
                // Said once, and not at each look until it is there again.
                if state.contents.take().is_some() {
                    self.complain(&error);
                }
            }
        }
    }

    fn complain(&self, why: &dyn fmt::Display) {
        tracing::warn!(files = %Listed(&self.files), "the files changed, and what is in them cannot be used: {why}; what was there before stays in use");
    }
}

struct Listed<'a>(&'a [PathBuf]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, file) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{}", file.display())?;
        }
        Ok(())
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}

/// Of what the path leads to: secrets are often mounted as links, of which one is replaced.
fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some(Stamp {
        once: !(found.is_file() || found.is_dir()),
        place: (found.dev(), found.ino()),
        bytes: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

fn read_all(files: &[PathBuf], most_bytes: u64) -> Result<Vec<Vec<u8>>, RereadError> {
    files.iter().map(|file| read(file, most_bytes)).collect()
}

fn read(file: &Path, most_bytes: u64) -> Result<Vec<u8>, RereadError> {
    let mut content = Vec::new();
    let opened = File::open(file).and_then(|open| open.take(most_bytes + 1).read_to_end(&mut content));
    opened.map_err(|source| RereadError::Unreadable { file: file.to_path_buf(), source })?;
    if content.len() as u64 > most_bytes {
        return Err(RereadError::TooLong { file: file.to_path_buf(), most_bytes });
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
