//! What a server says of itself, by `INFO` and `CONFIG`, and what that means for what it promises. It may say nothing:
//! then nothing is known, and that is said.

use std::collections::HashMap;

use super::resp::Reply;

/// What a server said when it was connected to; `None` where it may not be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Says {
    /// `Redis 7.0.15`, `Valkey 8.0.1`.
    pub(super) version: Option<String>,
    /// The version of Redis it is, or behaves like.
    pub(super) numbers: Option<(u32, u32)>,
    pub(super) is_master: Option<bool>,
    pub(super) is_cluster: bool,
    pub(super) is_sentinel: bool,
    pub(super) replicas: Option<u64>,
    /// It writes a log of its own.
    pub(super) appends: Option<bool>,
    /// `always`, `everysec` or `no`.
    pub(super) fsync: Option<String>,
    /// It does not wait for its disk while a child of it writes a file anew.
    pub(super) lax_on_rewrite: bool,
    /// The last time that it wrote one of its files, that failed.
    pub(super) writes_fail: bool,
    pub(super) maxmemory: Option<u64>,
    /// What is removed when memory is short.
    pub(super) eviction: Option<String>,
    /// Bytes it uses.
    pub(super) used_memory: Option<u64>,
}

/// The first version that has all that is needed: `XTRIM` by what is older.
pub(super) const OLDEST: (u32, u32) = (6, 2);

/// What of its configuration a server is asked for.
pub(super) const CONFIG: [&str; 3] = ["CONFIG", "GET", "*appendfsync*"];

impl Says {
    /// Out of the replies to `INFO` and [`CONFIG`].
    pub(super) fn of(info: &Reply, config: &Reply) -> Says {
        let text = if let Reply::String(text) = info { String::from_utf8_lossy(text) } else { "".into() };
        let fields: HashMap<&str, &str> = text.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
        let is = |name: &str, value: &str| fields.get(name).map(|said| *said == value);
        let redis = fields.get("redis_version");
        let valkey = fields.get("valkey_version").map(|version| format!("Valkey {version}"));
        Says {
            version: valkey.or_else(|| redis.map(|version| format!("Redis {version}"))),
            numbers: redis.and_then(|version| {
                let mut parts = version.split('.');
                Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
            }),
            is_master: is("role", "master"),
            is_cluster: is("redis_mode", "cluster") == Some(true) || number("cluster_enabled") == Some(1),
            is_sentinel: is("redis_mode", "sentinel") == Some(true),
            replicas: number("connected_slaves"),
            appends: number("aof_enabled").map(|enabled| enabled == 1),
            fsync: configured(config, "appendfsync"),
            lax_on_rewrite: configured(config, "no-appendfsync-on-rewrite").as_deref() == Some("yes"),
            writes_fail: ["aof_last_write_status", "rdb_last_bgsave_status"]
                .iter()
                .any(|of| is(of, "err") == Some(true)),
            maxmemory: number("maxmemory"),
            eviction: fields.get("maxmemory_policy").map(|policy| (*policy).to_owned()),
            used_memory: number("used_memory"),
        }
    }

    /// Whether the server may remove records to make room. Those policies that only remove what has a time to live
    /// remove none of ours.
    pub(super) fn evicts(&self) -> bool {
        self.eviction.as_ref().is_some_and(|policy| policy.starts_with("allkeys")) && self.maxmemory != Some(0)
    }

    /// How acknowledged writes can be lost, if they can; `behind_sentinel`: there is somebody who fails over.
    pub(super) fn may_lose(&self, behind_sentinel: bool) -> Option<String> {
        let mut ways = Vec::new();
        if behind_sentinel || self.replicas.is_some_and(|replicas| replicas > 0) {
            ways.push("what was not replicated yet, in a failover, with or without `wait`");
        }
        match (self.appends, self.fsync.as_deref()) {
            (Some(true), Some("always")) if self.lax_on_rewrite => ways.push(
                "what came while it wrote a file anew, when the machine dies then (no-appendfsync-on-rewrite yes)",
            ),
            (Some(true), Some("always")) => {}
            (Some(false), _) => ways.push("everything since its last snapshot, when the server dies (appendonly no)"),
            (Some(true), Some("everysec")) => {
                ways.push("up to two seconds, when the machine dies (appendfsync everysec)");
            }
            (Some(true), Some("no")) => {
                ways.push("what the kernel has not written yet, when the machine dies (appendfsync no)");
            }
            _ => ways.push("not known: the server does not tell how it writes"),
        }
        if self.evicts() {
            ways.push("any record, when memory is short (maxmemory-policy is not noeviction)");
        }
        (!ways.is_empty()).then(|| ways.join("; "))
    }
}

/// What a server is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Master { replicas: u64 },
    Replica,
}

/// What a reply to `ROLE` says; `None`: it says nothing.
pub(super) fn role(reply: Reply) -> Option<Role> {
    let Reply::Array(parts) = reply else { return None };
    match &parts[..] {
        [Reply::String(role), _, Reply::Array(replicas)] if role == "master" => {
            Some(Role::Master { replicas: replicas.len() as u64 })
        }
        [Reply::String(role), ..] if role == "slave" || role == "replica" => Some(Role::Replica),
        _ => None,
    }
}

/// The value of `name` in a reply to `CONFIG GET`.
fn configured(reply: &Reply, name: &str) -> Option<String> {
    let Reply::Array(parts) = reply else { return None };
    parts.chunks_exact(2).find_map(|pair| match pair {
        [Reply::String(of), Reply::String(value)] if of == name => String::from_utf8(value.to_vec()).ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
