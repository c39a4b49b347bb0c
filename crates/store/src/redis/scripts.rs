//! What is asked of the server: the two scripts, and how they are called.

use super::keys::Keys;
use super::resp::Commands;
use crate::seen::Sight;
use crate::{BEAT, BULK, Batch, Cursor, Expect, PAGE_BYTES, PageToken, Write};

/// Commits a batch, or says which records differ.
pub(super) const COMMIT: &str = include_str!("commit.lua");

/// Reads a page.
pub(super) const SCAN: &str = include_str!("scan.lua");

/// Looks which rights are missing.
const RIGHTS: &str = include_str!("rights.lua");

/// What commands need beside a script's arguments.
const OVERHEAD_BYTES: usize = 1024;

/// A script as the server is told which it is: by the name it gave it, or, where it has forgotten it, by its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Known(String),
    Text(&'static str),
}

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) commits: u64,
    pub(super) bytes: u64,
}

impl Script {
    fn call(&self, commands: &mut Commands, keys: &[&str], arguments: usize) {
        commands.begin(3 + keys.len() + arguments);
        match self {
            Script::Known(name) => {
                commands.argument("EVALSHA");
                commands.argument(name);
            }
            Script::Text(text) => {
                commands.argument("EVAL");
                commands.argument(text);
            }
        }
        commands.argument(keys.len().to_string());
        keys.iter().for_each(|key| commands.argument(key));
    }
}

/// Commits `batch` with this mark, on the strength of what was `seen` of the log.
pub(super) fn commit(script: &Script, keys: &Keys, batch: &Batch, mark: &[u8], seen: &Sight, keep: Keep) -> Commands {
    const BEFORE_CHANGES: usize = 8;
    const EACH_CHANGE: usize = 4;
    let Keys { head, records, names, log, bulk } = keys;
    let mut commands = Commands::with_capacity(batch.bytes() + 64 * batch.changes.len() + OVERHEAD_BYTES);
    script.call(&mut commands, &[head, records, names, log, bulk], BEFORE_CHANGES + EACH_CHANGE * batch.changes.len());
    commands.argument(mark);
    let nothing = Cursor::START;
    let known = seen.known.as_ref().unwrap_or(&nothing);
    commands.argument(seen.floor.to_string());
    commands.argument(known.revision.to_string());
    commands.argument(&known.mark);
    commands.argument(if batch.is_beat() { "1" } else { "0" });
    commands.argument(keep.commits.to_string());
    commands.argument(keep.bytes.to_string());
    commands.argument(BULK);
    for change in &batch.changes {
        commands.argument(&change.name);
        match change.expect {
            Expect::Absent => commands.argument(""),
            Expect::Version(version) => commands.argument(version.to_string()),
        }
        let (kind, value): (&str, &[u8]) = match &change.write {
            Write::Put(value, _) => ("p", value),
            Write::Delete => ("d", &[]),
            Write::Nothing => ("n", &[]),
        };
        commands.argument(kind);
        commands.argument(value);
    }
    commands
}

/// Reads a page of the names under `prefix`.
pub(super) fn scan(
    script: &Script,
    keys: &Keys,
    prefix: &[u8],
    token: Option<&PageToken>,
    records_at_most: usize,
) -> Commands {
    let from = match token {
        Some(token) if token.after.as_slice() >= prefix => [b"(", token.after.as_slice()].concat(),
        _ => [b"[", prefix].concat(),
    };
    let to = after_all_under(prefix).map_or_else(|| b"+".to_vec(), |end| [b"(", end.as_slice()].concat());
    let mut commands = Commands::with_capacity(OVERHEAD_BYTES);
    script.call(&mut commands, &[&keys.head, &keys.records, &keys.names], 4);
    commands.argument(from);
    commands.argument(to);
    commands.argument(records_at_most.to_string());
    commands.argument(PAGE_BYTES.to_string());
    commands
}

/// Asks which rights are missing, at keys under `prefix` that no space has.
pub(super) fn rights(commands: &mut Commands, prefix: &str) {
    let Keys { head, records, names, log, bulk } = Keys::named(prefix, "");
    Script::Text(RIGHTS).call(commands, &[&head, &records, &names, &log, &bulk], 0);
}

/// The first name after all that begin with `prefix`; none if there are no more names then.
fn after_all_under(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Whether a commit of `batch` goes into the log, if it is made.
pub(super) fn is_logged(batch: &Batch) -> bool {
    let writes = |write: &Write| !matches!(write, Write::Nothing);
    batch.changes.iter().any(|change| writes(&change.write) && !change.name.starts_with(BEAT))
}

#[cfg(test)]
mod tests;
