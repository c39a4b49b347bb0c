//! The agent's API for its application: clients that are there, the load it carries, where it stands.

use serde_json::{Value, json};
use steadfast_agent::ApiAddress;
use steadfast_core::placement::{Phase, Placement, Tick, Wish};
use steadfast_core::settings::Presence;
use steadfast_core::{Span, Weight};
use steadfast_host::http::{Call, Client, Method, Reply, StatusCode, Target};
use steadfast_registry::LedgerState;

use crate::sticky::{cluster, config, healthy, ledger, tick, unhealthy};
use crate::support::{Agent, Cluster, SOON, eventually, kill, shell};

/// An agent's API, as its application finds it.
struct Api(Target);

impl Api {
    fn of(cluster: &Cluster, agent: &Agent) -> Api {
        let path = cluster.path(&format!("state/agents/{}/{}/api.sock", agent.set, agent.instance));
        Api(Target::Unix(path))
    }

    async fn call(&self, call: Call) -> Reply {
        Client::default().call(&self.0, call, SOON).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        String::from_utf8(self.call(Call::get(path)).await.body.to_vec()).unwrap()
    }

    /// The same, again while a busy machine keeps the store from answering in time.
    async fn taken(&self, call: Call) -> Reply {
        let away = |reply: &Reply| String::from_utf8_lossy(&reply.body).contains("store-unavailable");
        eventually("the store", async || Some(self.call(call.clone()).await).filter(|reply| !away(reply))).await
    }

    /// Reports a client.
    async fn put(&self, client: &str, weight: &str) -> (StatusCode, Value) {
        let path = format!("/v1/clients/{client}");
        let reply = self.taken(Call::json(Method::PUT, path, &json!({ "weight": weight }))).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    async fn delete(&self, client: &str) -> StatusCode {
        self.taken(Call::new(Method::DELETE, format!("/v1/clients/{client}"))).await.status
    }

    /// How many clients are reported.
    async fn count(&self) -> Option<u64> {
        let page = self.get("/metrics").await;
        let line = page.lines().find(|line| line.starts_with("steadfast_agent_clients{"))?.to_owned();
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

async fn placement(cluster: &Cluster, client: &str) -> Option<Placement> {
    let found = cluster.registry.client(&cluster.set, &client.parse().unwrap()).await.unwrap();
    found.map(|stored| stored.record)
}

/// A member of a set that goes by reports, open.
async fn open(cluster: &Cluster, instance: &str) -> (Agent, Api) {
    let agent = cluster.start(config(cluster, instance));
    healthy(cluster, &agent, LedgerState::Open).await;
    let api = Api::of(cluster, &agent);
    (agent, api)
}

#[tokio::test]
async fn a_reported_client_is_at_home_and_stays_charged() {
    let cluster = cluster(Presence::Report);
    let (agent, api) = open(&cluster, "rec-1").await;
    // An agent whose mirror does not show yet that it is open cannot place anybody.
    let placed = eventually("the first report is taken", async || {
        let (status, body) = api.put("cam%2F7", "8").await;
        (status == StatusCode::OK).then_some(body)
    })
    .await;
    assert_eq!(
        (&placed["client"], &placed["instance"], &placed["phase"]),
        (&json!("cam%2F7"), &json!("rec-1"), &json!("active"))
    );
    assert_eq!((&placed["weight"], &placed["endpoints"]["http"]), (&json!(8), &json!("http://127.0.0.1:4711")));
    assert_eq!(api.put("cam%2F7", "8").await.1["owner_epoch"], placed["owner_epoch"], "once more changes nothing");
    assert_eq!((ledger(&agent).await.charged_milli, api.count().await), (8_000, Some(1)));

    let before = placement(&cluster, "cam%2F7").await.unwrap();
    assert_eq!((before.phase, before.weight), (Phase::Active, "8".parse::<Weight>().unwrap()));
    tick(&cluster, before.until.0 - 1).await;
    let after = eventually("it is refreshed", async || {
        placement(&cluster, "cam%2F7").await.filter(|after| after.until > before.until)
    })
    .await;
    assert_eq!((after.phase, after.weight, after.owner_epoch), (before.phase, before.weight, before.owner_epoch));

    let now = before.until.0 - 1;
    assert_eq!(api.delete("cam%2F7").await, StatusCode::NO_CONTENT);
    assert_eq!(api.count().await, Some(0));
    let left = placement(&cluster, "cam%2F7").await.unwrap();
    assert_eq!(left.until, Tick(now).after(Some(Span::from_millis(60_000))), "it stays charged for idle_after");
    assert_eq!(api.delete("cam-unknown").await, StatusCode::NO_CONTENT);

    assert_eq!(api.put("cam-8", "0.5").await.1["weight"], json!(0.5));
    let everybody = api.call(Call::new(Method::DELETE, "/v1/clients")).await;
    assert_eq!((everybody.status, api.count().await), (StatusCode::NO_CONTENT, Some(0)));
}

#[tokio::test]
async fn what_does_not_belong_here_or_does_not_fit_is_told_so() {
    let cluster = cluster(Presence::Report);
    let (_first, api) = open(&cluster, "rec-1").await;
    let (second, _) = open(&cluster, "rec-2").await;
    let to = Some(second.instance.clone());
    let wish = Wish::Place { to, weight: None, labels: [].into() };
    cluster.registry.place_once(&cluster.set, "cam-2".parse().unwrap(), wish, "operator").await.unwrap();
    let elsewhere = eventually("a client of another home", async || {
        let (status, body) = api.put("cam-2", "1").await;
        let known = status == StatusCode::MISDIRECTED_REQUEST && body["endpoints"]["http"].is_string();
        known.then_some(body)
    })
    .await;
    assert_eq!((&elsewhere["reason"], &elsewhere["instance"]), (&json!("not-home-here"), &json!("rec-2")));

    let (status, body) = api.put("cam-3", "101").await;
    assert_eq!((status, &body["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("too-heavy")));
    assert_eq!(api.put("cam-4", "90").await.0, StatusCode::OK);
    let reply = api.taken(Call::json(Method::PUT, "/v1/clients/cam-5", &json!({"weight": 20}))).await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &body["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("no-room")));
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(api.count().await, Some(1), "only who is charged is kept");
}

#[tokio::test]
async fn a_dead_application_has_no_clients() {
    let cluster = cluster(Presence::Report);
    let (agent, api) = open(&cluster, "rec-1").await;
    eventually("a report is taken", async || (api.put("cam-7", "8").await.0 == StatusCode::OK).then_some(())).await;
    kill(cluster.main_process("rec-1"));
    eventually("nobody is here", async || (api.count().await == Some(0)).then_some(())).await;
    assert_eq!(ledger(&agent).await.charged_milli, 8_000, "it stays charged until idle_after is over");
}

#[tokio::test]
async fn reports_of_an_application_that_cannot_serve_are_not_renewed() {
    let cluster = cluster(Presence::Report);
    let (agent, api) = open(&cluster, "rec-1").await;
    let (_other, other) = open(&cluster, "rec-2").await;
    for (api, client) in [(&api, "cam-1"), (&other, "cam-2")] {
        eventually("a report is taken", async || (api.put(client, "8").await.0 == StatusCode::OK).then_some(())).await;
    }
    unhealthy(&cluster, &agent).await;
    let before = placement(&cluster, "cam-1").await.unwrap();
    // Two rounds of the agent that is well are at least one of the other.
    for _ in 0..2 {
        let due = placement(&cluster, "cam-2").await.unwrap().until;
        tick(&cluster, due.0 - 1).await;
        eventually("those of others are", async || {
            placement(&cluster, "cam-2").await.filter(|after| after.until > due).map(drop)
        })
        .await;
    }
    assert_eq!(placement(&cluster, "cam-1").await.unwrap(), before);
    assert_eq!(api.count().await, Some(1), "it may yet recover");
    healthy(&cluster, &agent, LedgerState::Open).await;
    eventually("it has recovered", async || {
        placement(&cluster, "cam-1").await.filter(|after| after.until > before.until).map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_application_sees_by_the_incarnation_that_its_reports_are_forgotten() {
    let cluster = cluster(Presence::Report);
    let mut config = config(&cluster, "rec-1");
    config.command = None;
    let life = async |api: &Api| -> Value {
        let answer: Value = serde_json::from_str(&api.get("/v1/epoch").await).unwrap();
        answer["incarnation"].clone()
    };
    let agent = cluster.start(config.clone());
    healthy(&cluster, &agent, LedgerState::Open).await;
    let api = Api::of(&cluster, &agent);
    eventually("a report is taken", async || (api.put("cam-7", "8").await.0 == StatusCode::OK).then_some(())).await;
    let before = life(&api).await;
    assert!(before.is_string(), "{before}");
    assert_eq!(life(&api).await, before, "one life, one incarnation");
    agent.left().await.unwrap();

    let agent = cluster.start(config);
    healthy(&cluster, &agent, LedgerState::Open).await;
    let api = Api::of(&cluster, &agent);
    assert_ne!(life(&api).await, before);
    assert_eq!(api.count().await, Some(0), "what was reported to the former life has to be reported again");
    assert_eq!(api.put("cam-7", "8").await.0, StatusCode::OK);
    assert_eq!((ledger(&agent).await.charged_milli, api.count().await), (8_000, Some(1)), "it is charged once");
}

#[tokio::test]
async fn the_reported_load_goes_with_the_beats() {
    let cluster = cluster(Presence::Request);
    let (agent, api) = open(&cluster, "rec-1").await;
    let beat = async || cluster.registry.last_beat(&cluster.set, &agent.instance).await.unwrap()?.load_milli;
    assert_eq!(beat().await, None);
    eventually("the load", async || {
        let reply = api.call(Call::json(Method::PUT, "/v1/load", &json!({"used": 12.5}))).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        (beat().await == Some(12_500)).then_some(())
    })
    .await;
    assert!(api.get("/metrics").await.contains("steadfast_agent_load{set=\"web\",instance=\"rec-1\"} 12.500\n"));
    let (status, body) = api.put("cam-7", "8").await;
    assert_eq!((status, &body["reason"]), (StatusCode::CONFLICT, &json!("presence-not-report")));
}

#[tokio::test]
async fn an_application_is_told_where_its_api_is() {
    let cluster = Cluster::new();
    for (api, prefix) in
        [(None, "unix:/"), (Some(ApiAddress::Loopback(([127, 0, 0, 1], 0).into())), "http://127.0.0.1:")]
    {
        let out = cluster.path("api");
        let mut config = cluster.config("web-1");
        config.api = api;
        config.command =
            shell(&format!("echo $STEADFAST_API > {0}.new; mv {0}.new {0}; exec sleep 1000", out.display()));
        let agents = [cluster.start(config)];
        let (_, epoch) = cluster.leader(&agents, 0).await;
        let told = eventually("what it was told", async || std::fs::read_to_string(&out).ok()).await;
        assert!(told.starts_with(prefix), "{told}");
        let target = match told.trim().strip_prefix("unix:") {
            Some(path) => Target::Unix(path.into()),
            None => Target::from(&told.trim().parse::<steadfast_core::Endpoint>().unwrap()),
        };
        let answer: Value = serde_json::from_str(&Api(target).get("/v1/epoch").await).unwrap();
        assert_eq!((&answer["role"], &answer["epoch"]), (&json!("leader"), &json!(epoch)));
        let [agent] = agents;
        agent.left().await.unwrap();
        std::fs::remove_file(&out).unwrap();
    }
}
