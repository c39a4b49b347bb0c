use bytes::Bytes;

use super::*;

const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\nused_memory:1000\r\n\
                    maxmemory:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\n\
                    connected_slaves:0\r\ncluster_enabled:0\r\n";

fn says(info: &str, fsync: Option<&'static str>) -> Says {
    let string = |text: &str| Reply::String(Bytes::copy_from_slice(text.as_bytes()));
    let configured = match fsync {
        Some(value) => {
            let (fsync, lax) = value.split_once(", and lax").map_or((value, "no"), |(fsync, _)| (fsync, "yes"));
            Reply::Array(["no-appendfsync-on-rewrite", lax, "appendfsync", fsync].map(string).to_vec())
        }
        None => Reply::Error("NOPERM".to_owned()),
    };
    Says::of(&string(info), &configured)
}

#[test]
fn a_lone_master_that_syncs_always_loses_nothing() {
    let lone = says(INFO, Some("always"));
    assert_eq!((lone.version.as_deref(), lone.numbers), (Some("Redis 7.0.15"), Some((7, 0))));
    assert_eq!((lone.is_master, lone.is_cluster, lone.replicas), (Some(true), false, Some(0)));
    assert_eq!(lone.may_lose(false), None);
}

#[test]
fn every_way_to_lose_a_write_is_named() {
    for (from, to, fsync, sentinel, said) in [
        ("", "", "always", true, "what was not replicated yet"),
        ("connected_slaves:0", "connected_slaves:1", "always", false, "what was not replicated yet"),
        ("", "", "everysec", false, "up to two seconds"),
        ("", "", "no", false, "the kernel"),
        ("aof_enabled:1", "aof_enabled:0", "always", false, "its last snapshot"),
        ("noeviction", "allkeys-lru", "always", false, "any record"),
        ("", "", "always, and lax", false, "no-appendfsync-on-rewrite"),
    ] {
        let info = INFO.replace(from, to).replace("maxmemory:0", "maxmemory:100");
        let lost = says(&info, Some(fsync)).may_lose(sentinel);
        assert!(lost.as_ref().is_some_and(|ways| ways.contains(said) && !ways.contains(';')), "{lost:?}");
    }
    let volatile = INFO.replace("noeviction", "volatile-lru").replace("maxmemory:0", "maxmemory:100");
    assert_eq!(says(&volatile, Some("always")).may_lose(false), None, "what has no time to live is never evicted");
    let silent = says("", None).may_lose(false);
    assert_eq!(silent.as_deref(), Some("not known: the server does not tell how it writes"));
}

#[test]
fn a_role_is_a_master_with_so_many_replicas_or_none_of_ours() {
    let text = |text: &'static str| Reply::String(Bytes::from_static(text.as_bytes()));
    let replica = Reply::Array(vec![text("10.0.0.2"), text("6379"), text("7")]);
    let of = |role, then: Vec<Reply>| super::role(Reply::Array([vec![text(role), Reply::Integer(7)], then].concat()));
    assert_eq!(of("master", vec![Reply::Array(vec![replica])]), Some(Role::Master { replicas: 1 }));
    assert_eq!(of("slave", vec![Reply::Integer(6379), text("connect"), Reply::Integer(-1)]), Some(Role::Replica));
    assert_eq!(of("sentinel", vec![]), None);
    assert_eq!(super::role(Reply::Error("NOPERM".to_owned())), None);
}

#[test]
fn valkey_is_called_by_its_name_and_measured_as_the_redis_it_behaves_like() {
    let valkey = says(&INFO.replace("redis_mode", "valkey_version:8.0.1\r\nredis_mode"), Some("always"));
    assert_eq!((valkey.version.as_deref(), valkey.numbers), (Some("Valkey 8.0.1"), Some((7, 0))));
}
