//! What the server says of itself: what it may lose, and what a person should know.

use tokio_postgres::{Client, Error};

use crate::{Finding, Grade};

/// What one look told.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    version: String,
    fsync: bool,
    full_page_writes: bool,
    synchronous_commit: String,
    /// Standbys that commits wait for; empty: none.
    waits_for: String,
    replicas: i64,
    standby: bool,
    read_only: bool,
    connections_left: i64,
}

const SQL: &str = "SELECT current_setting('server_version'), current_setting('fsync') = 'on', \
     current_setting('full_page_writes') = 'on', current_setting('synchronous_commit'), \
     current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication), pg_is_in_recovery(), \
     current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint \
         - (SELECT sum(numbackends) FROM pg_stat_database), current_setting('transaction_read_only') = 'on'";

impl Facts {
    pub(super) async fn ask(client: &Client) -> Result<Facts, Error> {
        let row = client.query_typed_one(SQL, &[]).await?;
        Ok(Facts {
            version: row.try_get(0)?,
            fsync: row.try_get(1)?,
            full_page_writes: row.try_get(2)?,
            synchronous_commit: row.try_get(3)?,
            waits_for: row.try_get(4)?,
            replicas: row.try_get(5)?,
            standby: row.try_get(6)?,
            connections_left: row.try_get(7)?,
            read_only: row.try_get(8)?,
        })
    }

    /// Whether it takes no commits.
    pub(super) fn is_standby(&self) -> bool {
        self.standby
    }

    /// Whether its connections may change nothing, unless they ask for more.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether commits wait for a standby. With `off` ours ask for `on`; `local` asks for no standby.
    fn waits(&self) -> bool {
        !self.waits_for.is_empty() && self.synchronous_commit != "local"
    }

    /// Whether what it acknowledged survives a loss of power.
    pub(super) fn is_durable(&self) -> bool {
        self.fsync && self.full_page_writes
    }

    /// How what it acknowledged can be lost, if it can. Beats do not count: nobody misses the last of them.
    pub(super) fn may_lose(&self) -> Option<String> {
        if !self.fsync {
            return Some("whatever the server's machine had not written when it fails: fsync is off".to_owned());
        }
        if !self.full_page_writes {
            return Some("what was being written when the server's machine fails: full_page_writes is off".to_owned());
        }
        (self.replicas > 0 && !self.waits())
            .then(|| "what an asynchronous standby had not received yet, when it takes over".to_owned())
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let on = |yes: bool| if yes { "on" } else { "off" };
        let finding = |about: &'static str, value: String, grade, advice: Option<&str>| Finding {
            about: about.into(),
            value,
            grade,
            advice: advice.map(str::to_owned),
        };
        let must_be_on = |about, yes: bool| {
            let advice = (!yes).then_some("turn it on: acknowledged writes can be lost");
            finding(about, on(yes).to_owned(), if yes { Grade::Good } else { Grade::Bad }, advice)
        };
        let replicas = match (self.replicas, self.waits()) {
            (0, _) => finding("replicas", "none seen".to_owned(), Grade::Good, None),
            (some, true) => finding("replicas", format!("{some}, commits wait for one"), Grade::Good, None),
            (some, false) => {
                let advice = "a failover can lose acknowledged writes: set synchronous_standby_names, and not synchronous_commit=local";
                finding("replicas", format!("{some}, asynchronous"), Grade::Bad, Some(advice))
            }
        };
        let few = self.connections_left < 10;
        let advice = few.then_some("raise max_connections, or put a connection pooler in front");
        let connections = format!("{} left", self.connections_left);
        vec![
            finding("version", self.version.clone(), Grade::Good, None),
            must_be_on("fsync", self.fsync),
            must_be_on("full_page_writes", self.full_page_writes),
            finding("synchronous_commit", self.synchronous_commit.clone(), Grade::Good, None),
            replicas,
            finding("connections", connections, if few { Grade::Note } else { Grade::Good }, advice),
        ]
    }
}
