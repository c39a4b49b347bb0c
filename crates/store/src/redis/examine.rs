//! What the server says of itself, for people: nothing depends on it.

use steadfast_host::clock::{self, Moment};

use super::link::Link;
use super::resp::{Commands, Reply};
use super::says::{CONFIG, Says};
use super::{failure, scripts};
use crate::{Error, Finding, Grade};

/// What is worth knowing of the server, most of it as it says it now.
pub(super) async fn examine(link: &Link, deadline: Moment) -> Result<Vec<Finding>, Error> {
    let open = link.open(deadline).await?;
    let asked = clock::wall();
    let mut question = Commands::default().and(&["INFO"]).and(&CONFIG).and(&["TIME"]);
    scripts::rights(&mut question, &link.settings.prefix);
    let replies = link.ask(&open, question, deadline).await.map_err(super::connection::Missed::of_look)?;
    let answered = clock::wall();
    let [info, config, time, lacks] = &replies[..] else { return Ok(Vec::new()) };
    if let Reply::Error(said) = info {
        return Err(failure::of_look(link.refused(&open, said)));
    }
    let says = Says::of(info, config);
    let mut findings = findings(&says, link.has_sentinels(), link.settings.wait);
    link.tell(|told| *told = says);
    findings.push(rights(lacks));
    findings.extend(offset(time, asked.unix_millis(), answered.unix_millis()));
    Ok(findings)
}

/// What `says` means.
fn findings(says: &Says, behind_sentinels: bool, wait: u64) -> Vec<Finding> {
    let unknown = || "not told".to_owned();
    let find = |about: &'static str, value: String, grade, advice: Option<&str>| Finding {
        about: about.into(),
        value,
        grade,
        advice: advice.map(str::to_owned),
    };
    let version = says.version.clone().unwrap_or_else(unknown);
    let (fsync, fsync_grade, fsync_advice) = match (says.appends, says.fsync.as_deref()) {
        (Some(true), Some("always")) if says.writes_fail => (
            "always".to_owned(),
            Grade::Bad,
            Some("it could not write one of its files: its own log says why; is its disk full?"),
        ),
        (Some(true), Some("always")) if says.lax_on_rewrite => (
            "always, save while a file is rewritten".to_owned(),
            Grade::Bad,
            Some("set no-appendfsync-on-rewrite to no"),
        ),
        (Some(true), Some("always")) => ("always".to_owned(), Grade::Good, None),
        (Some(true), Some(other)) => (other.to_owned(), Grade::Bad, Some("set appendfsync to always")),
        (Some(false), _) => {
            ("appendonly no".to_owned(), Grade::Bad, Some("set appendonly to yes and appendfsync to always"))
        }
        _ => (unknown(), Grade::Note, Some("see that appendonly is yes and appendfsync is always")),
    };
    let moves = behind_sentinels || says.replicas.is_some_and(|replicas| replicas > 0);
    let replicas = says.replicas.map_or_else(unknown, |replicas| match (replicas, wait) {
        (0, 0) => "none".to_owned(),
        (_, 0) => format!("{replicas}, asynchronous"),
        _ => format!("{replicas}, of which {wait} are waited for"),
    });
    let too_few = says.replicas.is_some_and(|replicas| replicas < wait);
    let lost = match (too_few, moves) {
        (true, _) => Some("fewer than `wait` asks for: every commit is left in doubt"),
        (false, true) => Some("a failover can lose acknowledged writes (docs/stores/redis.md)"),
        (false, false) => None,
    };
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
        find("replicas", replicas, if lost.is_some() { Grade::Bad } else { Grade::Good }, lost),
        find("eviction", eviction, if says.evicts() { Grade::Bad } else { Grade::Good }, says.evicts().then_some(keep)),
        find(
            "memory",
            memory,
            if full { Grade::Bad } else { Grade::Good },
            full.then_some("more than three quarters are used: raise maxmemory before writes are refused"),
        ),
    ]
}

/// Whether the user may do all that a store is used for, by what the script says that he may not.
fn rights(lacks: &Reply) -> Finding {
    let (value, grade) = match lacks {
        Reply::Array(lacks) if lacks.is_empty() => ("all that are needed".to_owned(), Grade::Good),
        Reply::Array(lacks) => {
            let name = |reply: &Reply| match reply {
                Reply::String(name) => String::from_utf8_lossy(name).into_owned(),
                _ => String::new(),
            };
            (format!("lacks {}", lacks.iter().map(name).collect::<Vec<_>>().join(", ")), Grade::Bad)
        }
        Reply::Error(said) if matches!(failure::refusal("", said).error, Error::Denied(_)) => {
            ("may run no script on its keys".to_owned(), Grade::Bad)
        }
        _ => ("not told".to_owned(), Grade::Note),
    };
    let advice = (grade != Grade::Good).then(|| "docs/stores/redis.md lists the rights that a user needs".to_owned());
    Finding { about: "rights".into(), value, grade, advice }
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
    Some(Finding { about: "clock".into(), value, grade: Grade::Good, advice: None })
}

#[cfg(test)]
mod tests;
