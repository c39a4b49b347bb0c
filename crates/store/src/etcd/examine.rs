//! What the members say of themselves, for people.

use std::sync::Arc;
use std::time::Duration;

use steadfast_host::clock::{self, Moment};
use tokio::task::JoinSet;

use super::Core;
use super::failure::Asked;
use super::proto::{StatusRequest, StatusResponse};
use crate::{Error, Finding, Grade};

/// Bytes of a database that an etcd takes which was not told otherwise.
const QUOTA_BYTES: i64 = 2 << 30;

/// Of the quota, so many percent may be in use before somebody should look.
const USED_PERCENT: i64 = 50;

impl Core {
    pub(super) async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        let deadline = clock::now() + within;
        let path = "/etcdserverpb.Maintenance/Status";
        let status: StatusResponse = self.members.call(Asked::Look, path, &StatusRequest {}, deadline).await?;
        let mut findings = vec![
            finding("version", format!("etcd {}", status.version.escape_debug()), Grade::Good, None),
            space(&status),
            self.compaction(),
        ];
        if !status.errors.is_empty() {
            let said = status.errors.join("; ").escape_debug().to_string();
            let advice = "`etcdctl alarm list`; an alarm for space ends with `etcdctl alarm disarm`";
            findings.push(finding("alarms", said, Grade::Bad, Some(advice)));
        }
        findings.push(self.count_members(deadline).await);
        Ok(findings)
    }

    fn compaction(&self) -> Finding {
        match self.compactor.every {
            Some(every) => {
                let value = format!("by Steadfast, every {} s", every.as_secs());
                finding("compaction", value, Grade::Good, None)
            }
            None => {
                let advice = "without --auto-compaction-retention on the server it fills up";
                finding("compaction", "left to others".to_owned(), Grade::Note, Some(advice))
            }
        }
    }

    /// How many of the URL's members serve.
    async fn count_members(&self, deadline: Moment) -> Finding {
        let all = self.members.cluster().addresses.len();
        let mut asked = JoinSet::new();
        for index in 0..all {
            let cluster = Arc::clone(self.members.cluster());
            asked.spawn(async move { cluster.reach(index).await.map(drop) });
        }
        let mut failed = Vec::new();
        let mut serving = 0;
        while let Some(Some(answer)) = clock::timeout_at(deadline, asked.join_next()).await {
            match answer {
                Ok(Ok(())) => serving += 1,
                Ok(Err(error)) => failed.push(error.to_string()),
                Err(stopped) => failed.push(stopped.to_string()),
            }
        }
        let value = format!("{serving} of {all} serve");
        match (serving == all, all) {
            (true, 1) => {
                let advice = "one member is one machine's availability, unless its name stands for more";
                finding("members", value, Grade::Note, Some(advice))
            }
            (true, _) => finding("members", value, Grade::Good, None),
            (false, _) => Finding { advice: failed.into_iter().next(), ..finding("members", value, Grade::Bad, None) },
        }
    }
}

/// How full the database is.
fn space(status: &StatusResponse) -> Finding {
    let (quota, told) = match status.db_size_quota {
        0 => (QUOTA_BYTES, "if it has the quota that etcd has by default"),
        quota => (quota, "of its quota"),
    };
    let percent = status.db_size_in_use.saturating_mul(100) / quota.max(1);
    let mib = |bytes: i64| bytes >> 20;
    let value = format!(
        "{} MiB, {} MiB of it in use: {percent} % of {} MiB, {told}",
        mib(status.db_size),
        mib(status.db_size_in_use),
        mib(quota)
    );
    if percent > USED_PERCENT {
        let advice = "look whether history is compacted, and what else lies there; then `etcdctl defrag`";
        return finding("space", value, Grade::Bad, Some(advice));
    }
    finding("space", value, Grade::Good, None)
}

fn finding(about: &'static str, value: String, grade: Grade, advice: Option<&str>) -> Finding {
    Finding { about: about.into(), value, grade, advice: advice.map(str::to_owned) }
}
