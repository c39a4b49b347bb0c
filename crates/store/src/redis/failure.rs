//! What a server's refusal means: sorted by what the caller does next, with what would be right.

use crate::Error;

/// A refusal, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// [`Error::OutcomeUnknown`] where the reply does not say that nothing was done.
    pub(super) error: Error,
    /// Another connection may lead to a server that takes it.
    pub(super) look_elsewhere: bool,
}

/// How an error's code is understood. It stands first in an error, and in one of a script somewhere in it.
struct Known {
    code: &'static str,
    kind: fn(String) -> Error,
    look_elsewhere: bool,
    /// What it means and what would be right; empty: it says so itself.
    meaning: &'static str,
}

const fn known(code: &'static str, kind: fn(String) -> Error, look_elsewhere: bool, meaning: &'static str) -> Known {
    Known { code, kind, look_elsewhere, meaning }
}

/// Those that say that nothing was done. A script is refused before its first write, or not at all.
const KNOWN: [Known; 18] = [
    known("READONLY", Error::Unavailable, true, "it is a replica"),
    known("LOADING", Error::Unavailable, true, "it is reading its data in"),
    known("MASTERDOWN", Error::Unavailable, true, "it is a replica that has lost its master"),
    known("BUSY", Error::Unavailable, false, "it is busy with somebody's script"),
    known("OOM", Error::Unavailable, false, "it is out of memory: raise `maxmemory`, or remove what else lies there"),
    known("MISCONF", Error::Unavailable, false, "it is out of space, or its disk failed: its own log says which"),
    known("NOREPLICAS", Error::Unavailable, false, "it has fewer replicas than its `min-replicas-to-write`"),
    known("CLUSTERDOWN", Error::Unavailable, false, ""),
    known("TRYAGAIN", Error::Unavailable, false, ""),
    known("WRONGPASS", Error::Denied, true, "the user or the password is wrong"),
    known("NOAUTH", Error::Denied, true, "it wants a password: give it with --token-file"),
    known("NOPERM", Error::Denied, false, RIGHT),
    known("DENIED", Error::Denied, true, "it is in protected mode: give it a password, or bind it to loopback"),
    known("WRONGTYPE", Error::Corrupt, false, "something else lies under the prefix: choose another one"),
    known("DAMAGED", Error::Corrupt, false, REMOVED),
    known("MOVED", Error::Config, false, CLUSTER),
    known("ASK", Error::Config, false, CLUSTER),
    known("CROSSSLOT", Error::Config, false, CLUSTER),
];

/// Why a cluster is no store.
pub(super) const CLUSTER: &str = "it is in cluster mode, where nothing moves a whole store to another master: name a single master, or its Sentinels";

/// Errors without a code of their own, by what stands in them.
const BY_TEXT: [(&str, Known); 7] = [
    ("unknown command", known("", Error::Config, false, "Redis 6.2 or later is needed, with scripts and streams")),
    ("without any password configured", known("", Error::Config, false, "a password is given, and it has none")),
    ("max number of clients", known("", Error::Unavailable, true, "")),
    ("DB index is out of range", known("", Error::Config, false, "it has no database of the number that `db` gives")),
    ("smaller than the target stream", known("", Error::Corrupt, false, REMOVED)),
    // As Redis 6.2 says `NOPERM` of a script, and as any says it whose script was ended before it wrote.
    ("executing the script can't", known("", Error::Denied, false, RIGHT)),
    ("Script killed by user", known("", Error::Unavailable, false, "somebody ended the script (SCRIPT KILL)")),
];

/// What is to be done about a right that is missing.
const RIGHT: &str = "the user lacks a right: docs/stores/redis.md lists what is needed";

/// What lies there is not all that was written.
const REMOVED: &str = "keys were evicted, or removed by hand: remove all of the space's, or bring them back";

/// What `said`, an error of the server at `place`, means.
pub(super) fn refusal(place: &str, said: &str) -> Refusal {
    match KNOWN.iter().find(|known| known.is_said_in(said)) {
        Some(known) => known.refusal(place, said),
        None => match BY_TEXT.iter().find(|(text, _)| said.contains(text)) {
            Some((_, known)) => known.refusal(place, said),
            None => Refusal {
                error: Error::OutcomeUnknown(format!("{place} says {}", quoted(said))),
                look_elsewhere: false,
            },
        },
    }
}

impl Known {
    /// It is the first word, or a word of a script's error: `ERR Error running script (…): -OOM command not allowed`.
    fn is_said_in(&self, said: &str) -> bool {
        let mut words = said.split_ascii_whitespace().map(|word| word.trim_start_matches('-'));
        match words.next() {
            Some("ERR") if said.contains("script") => words.any(|word| word == self.code),
            first => first == Some(self.code),
        }
    }

    fn refusal(&self, place: &str, said: &str) -> Refusal {
        let why = match self.meaning {
            "" => format!("{place} says {}", quoted(said)),
            meaning => format!("{place}: {meaning} ({})", quoted(said)),
        };
        Refusal { error: (self.kind)(why), look_elsewhere: self.look_elsewhere }
    }
}

/// What a call that changes nothing says of an outcome.
pub(super) fn of_look(error: Error) -> Error {
    match error {
        Error::OutcomeUnknown(why) => Error::Unavailable(why),
        other => other,
    }
}

/// The server's words, in a line that is not too long. Left out is what Redis adds about where in a script it was, and
/// what it quotes of a command that it does not know: that may be a password, or somebody's record.
fn quoted(said: &str) -> String {
    const QUOTED_CHARACTERS: usize = 160;
    let said =
        [" script: ", ", with args beginning"].iter().fold(said, |said, end| said.split(end).next().unwrap_or(said));
    let short: String = said.chars().take(QUOTED_CHARACTERS).flat_map(char::escape_debug).collect();
    format!("`{}`", short.trim_end())
}

#[cfg(test)]
mod tests;
