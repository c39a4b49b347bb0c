//! The administration over HTTP: the same as in the process, for those who may ask.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use steadfast::admin::http::Admin;
use steadfast::admin::view::{DrainOrder, EventCursor};
use steadfast::admin::{Api, Local, Remote, Service};
use steadfast_core::settings::{SetSettings, SingleSettings};
use steadfast_core::{Endpoint, Host, Incarnation, InstanceId, SetName};
use steadfast_host::clock;
use steadfast_host::http::{Call, Client, HeaderName, HeaderValue, Method, Reply, ReplyStream, Target, header, serve};
use steadfast_host::net::Listener;
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::Shutdown;
use steadfast_registry::{InstanceRecord, LedgerState, Registration, Registry};
use steadfast_store::Store;
use steadfast_store::faulty::{Fault, Faulty};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const WITHIN: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(60);

/// An API on a free port, over books in memory with one set of one instance.
struct Served {
    address: SocketAddr,
    service: Arc<Service>,
    set: SetName,
    instance: InstanceId,
    admin: Arc<Admin>,
    end: Shutdown,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end.begin();
    }
}

impl Served {
    async fn start() -> Served {
        Served::start_over(steadfast_store::open("memory:", &steadfast_store::Access::default()).unwrap()).await
    }

    async fn start_over(store: Arc<dyn Store>) -> Served {
        let registry = Registry::new(store);
        let (set, instance): (SetName, InstanceId) = ("web".parse().unwrap(), "web-1".parse().unwrap());
        registry.introduce_set(&set, &SetSettings::Single(SingleSettings::default())).await.unwrap();
        let nobody = Endpoint::new("http", Host::Ip([127, 0, 0, 1].into()), 1).unwrap();
        let record = InstanceRecord::new(Incarnation(1), [].into(), nobody, false, "alpha".into());
        registry
            .register(&set, &instance, &record, steadfast_core::Weight::ZERO, &Registration::default())
            .await
            .unwrap();
        let service = Arc::new(Service::new(registry.clone(), Local::default()));
        let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let store = Arc::new(steadfast_store::http::Service(registry.store().clone()));
        let admin = Arc::new(Admin::new(service.clone(), address, TOKEN.to_owned()).with_store(store));
        let end = Shutdown::new();
        tokio::spawn(serve(listener, admin.clone(), admin.limits(), end.clone()));
        Served { address, service, set, instance, admin, end }
    }

    fn target(&self) -> Target {
        Target::Tcp { host: Host::Ip(self.address.ip()), port: self.address.port() }
    }

    fn remote(&self, token: Option<&str>) -> Remote {
        Remote::new(&format!("http://{}", self.address), token).unwrap()
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut call = Call::new(method, path);
        call.body = body.as_bytes().to_vec().into();
        for (name, value) in headers {
            call = call.with(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Client::default().call(&self.target(), call, WITHIN).await.unwrap()
    }

    /// The status and the reason of a refusal.
    async fn refusal(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let problem = self.call(method, path, headers, body).await.problem().expect("it is refused");
        (problem.status, problem.reason)
    }
}

const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn over_http_everything_is_as_in_the_process() {
    let served = Served::start().await;
    let (local, remote) = (served.service.as_ref(), served.remote(Some(TOKEN)));
    let (set, id) = (&served.set, &served.instance);
    assert_eq!(remote.sets().await.unwrap(), local.sets().await.unwrap());
    assert_eq!(remote.set(set).await.unwrap(), local.set(set).await.unwrap());
    assert_eq!(remote.instances(set).await.unwrap(), local.instances(set).await.unwrap());
    assert_eq!(remote.leader(set).await.unwrap(), local.leader(set).await.unwrap());
    assert_eq!(remote.status().await.unwrap(), local.status().await.unwrap());
    let drained = remote.drain(set, id, &DrainOrder::default()).await.unwrap();
    assert_eq!((drained.before, drained.now), (LedgerState::Open, LedgerState::Draining));
    let none = EventCursor::default();
    let events = remote.events(Some(set), &none).await.unwrap();
    assert_eq!(events.events.len(), 1);
    assert_eq!(events, local.events(Some(set), &none).await.unwrap());
    let settings = SetSettings::Single(SingleSettings::default());
    assert_eq!(remote.apply(set, &settings).await.unwrap(), local.apply(set, &settings).await.unwrap());
    let unknown = "nobody".parse().unwrap();
    let told = |problem: Problem| (problem.status, problem.reason, problem.detail);
    assert_eq!(told(remote.set(&unknown).await.unwrap_err()), told(local.set(&unknown).await.unwrap_err()));
    let refused = local.switchover(set, None).await.unwrap_err();
    assert_eq!(told(remote.switchover(set, None).await.unwrap_err()), told(refused));
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let served = Served::start().await;
    let host = served.address.to_string();
    let drain = "/api/v1/sets/web/instances/web-1/drain";
    for (expected, method, path, headers) in [
        ((401, "token-needed"), Method::POST, drain, vec![JSON]),
        ((401, "token-needed"), Method::GET, "/store/v1/read", vec![]),
        ((401, "token-needed"), Method::POST, drain, vec![JSON, ("authorization", "Bearer nonsense")]),
        ((415, "not-json"), Method::POST, drain, vec![BEARER]),
        ((421, "foreign-host"), Method::GET, "/api/v1/sets", vec![("host", "evil.example")]),
        ((403, "cross-site"), Method::POST, drain, vec![BEARER, JSON, ("origin", "http://evil.example")]),
        ((403, "cross-site"), Method::GET, "/metrics", vec![("sec-fetch-site", "cross-site")]),
        ((404, "not-found"), Method::GET, "/nothing", vec![]),
        ((404, "not-found"), Method::GET, "/demo/v1", vec![]),
        ((401, "token-needed"), Method::POST, "/demo/v1/instances/web/web-1/kill", vec![JSON]),
        ((404, "no-set"), Method::GET, "/api/v1/sets/nobody", vec![]),
        ((400, "bad-name"), Method::GET, "/api/v1/sets/No%20Body", vec![]),
        ((405, "method-not-allowed"), Method::GET, "/api/v1/sets/web/switchover", vec![]),
        ((409, "not-sticky"), Method::GET, drain, vec![]),
        ((409, "not-sticky"), Method::GET, "/api/v1/sets/web/clients", vec![]),
        ((409, "not-sticky"), Method::DELETE, "/api/v1/sets/web/clients/cam-7", vec![BEARER, JSON]),
        ((400, "bad-client"), Method::GET, "/api/v1/sets/web/clients/cam%7", vec![]),
        ((400, "bad-query"), Method::GET, "/api/v1/sets/web/clients?homes=rec-1", vec![]),
        ((400, "bad-query"), Method::GET, "/api/v1/sets/web/explain", vec![]),
        ((405, "method-not-allowed"), Method::DELETE, "/api/v1/sets", vec![BEARER, JSON]),
        ((400, "bad-body"), Method::POST, "/api/v1/sets/web/switchover", vec![BEARER, JSON]),
    ] {
        let body = if path.ends_with("switchover") { r#"{"too": "web-2"}"# } else { "" };
        let refused = served.refusal(method, path, &headers, body).await;
        assert_eq!((refused.0, refused.1.as_str()), expected, "{path} {headers:?}");
    }
    let reply = served.call(Method::POST, drain, &[JSON], "").await;
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    let origin = format!("http://{host}");
    let own = served.call(Method::GET, "/api/v1/sets", &[("origin", origin.as_str())], "").await;
    assert_eq!(own.status, 200);
    let states = served.service.instances(&served.set).await.unwrap();
    assert_eq!(states.instances[0].state, LedgerState::Open, "nothing of that has changed anything");
}

#[tokio::test]
async fn a_sticky_sets_settings_are_put_as_they_stand_in_a_file() {
    let served = Served::start().await;
    let put = async |set: &str, body: &str| {
        let reply = served.call(Method::PUT, &format!("/api/v1/sets/{set}"), &[BEARER, JSON], body).await;
        (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).unwrap())
    };
    let (status, created) = put("rec", r#"{"kind": "sticky", "client": "query:camera", "weight": 2.5}"#).await;
    assert_eq!(status, 200, "{created}");
    assert!(created.contains(r#""before":null"#) && created.contains(r#""weight":2.5"#), "{created}");
    let SetSettings::Sticky(sticky) = served
        .service
        .registry()
        .set(&"rec".parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .record
        .settings(&served.set)
        .unwrap()
    else {
        panic!("it is sticky")
    };
    assert_eq!(sticky.client.to_string(), "query:camera");
    for (set, body, expected) in [
        ("rec", r#"{"kind": "sticky", "cleint": "query:camera"}"#, (422, "did you mean \\\"client\\\"?")),
        (
            "rec",
            r#"{"kind": "sticky", "client": "query:camera", "max_clients": 0}"#,
            (422, "max_clients is to be from 1"),
        ),
        ("rec", r#"{"kind": "mirrored"}"#, (400, "expected `single` or `sticky`")),
        ("web", r#"{"kind": "sticky", "client": "query:camera"}"#, (409, "cannot become sticky")),
    ] {
        let (status, text) = put(set, body).await;
        assert!(status == expected.0 && text.contains(expected.1), "{status} {text}");
    }
}

#[tokio::test]
async fn the_store_is_there_for_peers() {
    let served = Served::start().await;
    let url = format!("http://{}", served.address);
    let peer = Registry::new(steadfast_store::open(&url, &steadfast_store::Access::with_secret(TOKEN)).unwrap());
    assert_eq!(peer.sets().await.unwrap().len(), 1);
    let stranger =
        Registry::new(steadfast_store::open(&url, &steadfast_store::Access::with_secret("nonsense")).unwrap());
    let refused = stranger.sets().await.unwrap_err().to_string();
    assert!(refused.contains("refuses"), "{refused}");
}

#[tokio::test]
async fn health_readiness_and_numbers_need_no_token() {
    let served = Served::start().await;
    let status = async |path: &str| served.call(Method::GET, path, &[], "").await.status.as_u16();
    assert_eq!(status("/healthz").await, 200);
    assert_eq!(status("/readyz").await, 503);
    served.admin.set_ready(true);
    assert_eq!(status("/readyz").await, 200);
    served.service.set(&served.set).await.unwrap();
    let page = served.call(Method::GET, "/metrics", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("steadfast_instances{set=\"web\",state=\"open\"} 1\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok() && name.starts_with("steadfast_"), "{line}");
        let family = name.split('{').next().unwrap();
        assert!(text.contains(&format!("# TYPE {family} ")), "{family} has no type");
    }
}

#[tokio::test]
async fn events_are_followed_and_resumed() {
    let served = Served::start().await;
    served.service.drain(&served.set, &served.instance, &DrainOrder::default()).await.unwrap();
    let call = |since: &str| {
        let call = Call::get("/api/v1/events")
            .with(HeaderName::from_static("accept"), HeaderValue::from_static("text/event-stream"));
        call.with(HeaderName::from_static("last-event-id"), HeaderValue::from_str(since).unwrap())
    };
    let client = Client::default();
    let mut stream = client.stream(&served.target(), call("0"), WITHIN).await.unwrap();
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let (id, first) = event(&mut stream).await;
    assert!(first.contains("\"state\":\"draining\""), "{first}");
    served.service.registry().set_state(&served.set, &served.instance, None, LedgerState::Open, "x").await.unwrap();
    let (_, second) = event(&mut stream).await;
    assert!(second.contains("\"state\":\"open\""), "{second}");
    let mut resumed = client.stream(&served.target(), call(&id), WITHIN).await.unwrap();
    assert_eq!(event(&mut resumed).await.1, second, "what was told is not told again");
}

/// The id and the data of the next event of a stream.
async fn event(stream: &mut ReplyStream) -> (String, String) {
    let mut id = String::new();
    loop {
        let line = tokio::time::timeout(SOON, stream.next_line()).await.expect("an event in time");
        let line = String::from_utf8(line.unwrap().expect("the stream goes on").to_vec()).unwrap();
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.to_owned();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (id, data.to_owned());
        }
    }
}

#[tokio::test]
async fn many_who_follow_cost_the_store_as_much_as_one_and_miss_nothing() {
    const FOLLOWERS: u64 = 60;
    /// Calls that one look for news takes at most, and how often there is one.
    const CALLS: u64 = 4;
    const LOOK_EVERY: Duration = Duration::from_millis(250);
    let faulty = Faulty::new(steadfast_store::open("memory:", &steadfast_store::Access::default()).unwrap());
    let store = faulty.control();
    let served = Served::start_over(Arc::new(faulty)).await;
    let drain = async |id: &InstanceId| served.service.drain(&served.set, id, &DrainOrder::default()).await.unwrap();
    drain(&served.instance).await;
    let mut followers = Vec::new();
    for number in 0..FOLLOWERS {
        let path = if number % 2 == 0 { "/api/v1/events" } else { "/api/v1/events?set=web" };
        let call = Call::get(path).with(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let mut stream = Client::default().stream(&served.target(), call, WITHIN).await.unwrap();
        assert!(event(&mut stream).await.1.contains("\"state\":\"draining\""));
        followers.push(stream);
    }

    // Once each has heard that it has missed nothing, one looks for all.
    let calm = async {
        loop {
            let (began, before) = (clock::now(), store.calls());
            tokio::time::sleep(4 * LOOK_EVERY).await;
            let looks = clock::now().since(began).as_millis() / LOOK_EVERY.as_millis() + 2;
            if u128::from(store.calls() - before) <= looks * u128::from(CALLS) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, calm).await.expect("the store is left in peace");

    served.service.undrain(&served.set, &served.instance).await.unwrap();
    for stream in &mut followers {
        assert!(event(stream).await.1.contains("\"state\":\"open\""));
    }
    // What happens while the store cannot be looked at is told later.
    store.always(Fault::Refuse);
    tokio::time::sleep(2 * LOOK_EVERY).await;
    store.heal();
    drain(&served.instance).await;
    store.always(Fault::Refuse);
    tokio::time::sleep(2 * LOOK_EVERY).await;
    store.heal();
    for stream in &mut followers {
        assert!(event(stream).await.1.contains("\"state\":\"draining\""));
    }
}
