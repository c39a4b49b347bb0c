//! What cannot work is said at the start: what, where, and what would be right.

use std::time::Duration;

use steadfast_agent::{AgentConfig, Class};
use steadfast_host::net::Listener;
use steadfast_registry::Role;
use steadfast_store::faulty::{Call, Fault};
use steadfast_store::{Batch, Change, Expect, Key, Space, Write};

use crate::support::{Cluster, SOON, eventually};

async fn refused(cluster: &Cluster, config: AgentConfig, class: Class, words: &[&str]) {
    let error = cluster.start(config).ended().await.unwrap_err();
    assert_eq!(error.class(), class, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is missing in: {error}");
    }
    assert!(cluster.processes("web-1").is_empty());
}

#[tokio::test]
async fn a_set_nobody_knows() {
    let cluster = Cluster::new();
    let mut config = cluster.config("web-1");
    config.introduce = None;
    refused(&cluster, config, Class::Configuration, &["web", "--kind single"]).await;
}

#[tokio::test]
async fn a_set_that_is_made_known_a_little_later_is_waited_for() {
    let cluster = Cluster::new();
    let mut config = cluster.config("web-1");
    config.introduce = None;
    let (agent, store) =
        cluster.start_apart(config, |store| store.at(Some(Call::Read), 1, Fault::Delay(Duration::ZERO)));
    eventually("the agent to look for the set again", async || (!store.waits()).then_some(())).await;
    cluster.registry.introduce_set(&cluster.set, &Cluster::settings()).await.unwrap();
    agent.says("that it leads", |answer| answer.role == Role::Leader).await;
    agent.left().await.unwrap();
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used() {
    let cluster = Cluster::new();
    let mut config = cluster.config("web-1");
    config.state_dir = cluster.path("file");
    std::fs::write(&config.state_dir, "").unwrap();
    let place = config.state_dir.display().to_string();
    refused(&cluster, config, Class::Configuration, &["state directory", &place]).await;
}

#[tokio::test]
async fn a_port_in_use() {
    let cluster = Cluster::new();
    let taken = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let by_us = format!("pid {}", std::process::id());
    let mut config = cluster.config("web-1");
    config.probe = address;
    refused(&cluster, config, Class::Configuration, &["the probe", &address.to_string(), &by_us]).await;
    let mut config = cluster.config("web-1");
    config.endpoints.insert("http".parse().unwrap(), "http://127.0.0.1:1".parse().unwrap());
    config.gates.insert("http".parse().unwrap(), address);
    refused(&cluster, config, Class::Configuration, &["the gate of http", &address.to_string(), &by_us]).await;
}

#[tokio::test]
async fn a_wildcard_nobody_can_find() {
    let cluster = Cluster::new();
    let mut config = cluster.config("web-1");
    config.probe = "0.0.0.0:0".parse().unwrap();
    refused(&cluster, config, Class::Configuration, &["0.0.0.0", "--advertise"]).await;
}

#[tokio::test]
async fn a_store_of_a_newer_format() {
    let cluster = Cluster::new();
    let space = Space::new("web").unwrap();
    let newer = Write::Put(r#"{"v":2}"#.into(), None);
    let changes = vec![Change { name: b"instance/web-1".into(), expect: Expect::Absent, write: newer }];
    cluster.registry.store().commit(Batch { space: space.clone(), changes }, SOON).await.unwrap();
    let config = cluster.config("web-1");
    refused(&cluster, config, Class::Configuration, &["instance/web-1", "format 2", "newer"]).await;
    let kept = cluster.registry.store().read(&Key::new(space, "instance/web-1"), SOON).await.unwrap();
    assert_eq!(kept.unwrap().value, r#"{"v":2}"#, "and touches nothing");
}
