//! Asks the instances themselves: what their probes answer now.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::InstanceId;
use steadfast_host::http::{Call, Client, Target};
use steadfast_registry::{InstanceSeen, ProbeAnswer, Role};

/// How long a probe may take. It answers from memory: what takes longer is not there.
const PROBE_WITHIN: Duration = Duration::from_millis(300);
/// Probes asked at once.
const ASKED_AT_ONCE: usize = 64;

/// What was found at an instance's probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// It answers, and is the life that is registered.
    Answers(ProbeAnswer),
    /// Another instance, or another life of it, answers there.
    Replaced,
    /// Nobody answers.
    Silent,
}

impl Live {
    pub(super) fn answer(&self) -> Option<&ProbeAnswer> {
        match self {
            Live::Answers(answer) => Some(answer),
            _ => None,
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.answer().is_some_and(|answer| answer.role == Role::Leader)
    }
}

/// Asks the probe of every instance that has one.
pub(super) async fn ask(client: &Client, instances: &BTreeMap<InstanceId, InstanceSeen>) -> BTreeMap<InstanceId, Live> {
    let mut found = BTreeMap::new();
    let described: Vec<_> =
        instances.iter().filter_map(|(id, one)| Some((id.clone(), one.description.clone()?))).collect();
    for some in described.chunks(ASKED_AT_ONCE) {
        let mut asking = tokio::task::JoinSet::new();
        for (id, description) in some.iter().cloned() {
            let client = client.clone();
            asking.spawn(async move {
                let target = Target::from(&description.probe.0);
                let reply = client.call(&target, Call::get("/"), PROBE_WITHIN).await.ok();
                let answer = reply.and_then(|reply| serde_json::from_slice::<ProbeAnswer>(&reply.body).ok());
                let live = match answer {
                    None => Live::Silent,
                    Some(answer) if answer.instance == id && answer.incarnation == description.incarnation => {
                        Live::Answers(answer)
                    }
                    Some(_) => Live::Replaced,
                };
                (id, live)
            });
        }
        while let Some(asked) = asking.join_next().await {
            found.extend(asked.ok());
        }
    }
    found
}
