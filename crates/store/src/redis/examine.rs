//! What the server says of itself, for people: nothing depends on it.

use steadfast_host::clock::{self, Moment};

use super::failure;
use super::link::Link;
use super::resp::{Commands, Reply};
use super::says::Says;
use crate::{Error, Finding, Grade};

/// What is worth knowing of the server, most of it as it says it now.
pub(super) async fn examine(link: &Link, deadline: Moment) -> Result<Vec<Finding>, Error> {
    let open = link.open(deadline).await?;
    let asked = clock::wall();
    let question = Commands::default().and(&["INFO"]).and(&["CONFIG", "GET", "appendfsync"]).and(&["TIME"]);
    let replies = link.ask(&open, question, deadline).await.map_err(super::connection::Missed::of_look)?;
    let answered = clock::wall();
    let [info, fsync, time] = &replies[..] else { return Ok(Vec::new()) };
    if let Reply::Error(said) = info {
        return Err(failure::of_look(link.refused(&open, said)));
    }
    let says = Says::of(info, fsync);
    let mut findings = findings(&says, link.has_sentinels(), link.settings.wait);
    findings.extend(offset(time, asked.unix_millis(), answered.unix_millis()));
    Ok(findings)
}

/// What `says` means.
fn findings(says: &Says, behind_sentinels: bool, wait: u64) -> Vec<Finding> {
    let unknown = || "not told".to_owned();
    let find = |about, value: String, grade, advice: Option<&str>| Finding {
        about,
        value,
        grade,
        advice: advice.map(str::to_owned),
    };
    let version = says.version.clone().unwrap_or_else(unknown);
    let (fsync, fsync_grade, fsync_advice) = match (says.appends, says.fsync.as_deref()) {
        (Some(true), Some("always")) => ("always".to_owned(), Grade::Good, None),
        (Some(true), Some(other)) => (other.to_owned(), Grade::Bad, Some("set appendfsync to always")),
        (Some(false), _) => {
            ("appendonly no".to_owned(), Grade::Bad, Some("set appendonly to yes and appendfsync to always"))
        }
        _ => (unknown(), Grade::Note, Some("see that appendonly is yes and appendfsync is always")),
    };
    let moves = behind_sentinels || says.replicas.is_some_and(|replicas| replicas > 0);
    let replicas = says.replicas.map_or_else(unknown, |replicas| match wait {
        0 => format!("{replicas}, asynchronous"),
        wait => format!("{replicas}, of which {wait} are waited for"),
    });
    let lost = "a failover can lose acknowledged writes (docs/stores/redis.md)";
    let eviction = says.eviction.clone().unwrap_or_else(unknown);
    let keep = "set maxmemory-policy to noeviction: another policy removes records";
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let memory = match (says.used_memory, says.maxmemory) {
        (Some(used), Some(most)) if most > 0 => format!("{} of {}", mib(used), mib(most)),
        (Some(used), _) => format!("{}, without a bound", mib(used)),
        _ => unknown(),
    };
    let full =
        matches!((says.used_memory, says.maxmemory), (Some(used), Some(most)) if most > 0 && used > most / 4 * 3);
    vec![
        find("version", version, Grade::Good, None),
        find("fsync", fsync, fsync_grade, fsync_advice),
        find("replicas", replicas, if moves { Grade::Bad } else { Grade::Good }, moves.then_some(lost)),
        find("eviction", eviction, if says.evicts() { Grade::Bad } else { Grade::Good }, says.evicts().then_some(keep)),
        find(
            "memory",
            memory,
            if full { Grade::Bad } else { Grade::Good },
            full.then_some("more than three quarters are used: raise maxmemory before writes are refused"),
        ),
    ]
}

/// How far the server's clock is from ours, by the middle of the call; nothing compares the two.
fn offset(time: &Reply, asked: i64, answered: i64) -> Option<Finding> {
    let Reply::Array(parts) = time else { return None };
    let [Reply::String(seconds), Reply::String(micros)] = &parts[..] else { return None };
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let theirs = number(seconds)?.checked_mul(1_000)?.checked_add(number(micros)? / 1_000)?;
    let offset = theirs.checked_sub(asked / 2 + answered / 2)?;
    let side = if offset < 0 { "behind" } else { "ahead of" };
    let value = format!("{} ms {side} this machine's", offset.unsigned_abs());
    Some(Finding { about: "clock", value, grade: Grade::Good, advice: None })
}

#[cfg(test)]
mod tests;
