//! Instances without agents: the gateway as the load balancer of an application that answers 200 or 503.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_core::Span;
use steadfast_core::health::CheckPolicy;
use steadfast_core::settings::SingleSettings;
use steadfast_gateway::{Error, FixedCheck, FixedInstance, FixedSet, Gateway, GatewayConfig};
use steadfast_host::shutdown::Shutdown;
use support::{App, Client, Got, Probe, Reply, config, endpoint, rand, set, until};

/// An application that answers its check with what it is told to.
struct Copy {
    id: &'static str,
    app: App,
    says: Arc<AtomicU16>,
    checks: Arc<AtomicUsize>,
}

impl Copy {
    fn new(id: &'static str, says: u16) -> Copy {
        let (says, checks) = (Arc::new(AtomicU16::new(says)), Arc::new(AtomicUsize::new(0)));
        let (status, counted) = (says.clone(), checks.clone());
        let app = App::new(move |seen| match seen.line() {
            "GET /probe HTTP/1.1" => {
                counted.fetch_add(1, Ordering::SeqCst);
                Reply::raw(&format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status.load(Ordering::SeqCst)))
            }
            _ => Reply::ok(id),
        });
        Copy { id, app, says, checks }
    }

    fn say(&self, status: u16) {
        self.says.store(status, Ordering::SeqCst);
    }

    /// Returns when it was checked once more, and that check was taken in.
    fn await_check(&self) {
        let checks = self.checks.load(Ordering::SeqCst);
        until("it is checked", || self.checks.load(Ordering::SeqCst) > checks + 1);
    }

    fn fixed(&self) -> FixedInstance {
        let at = endpoint(self.app.address());
        fixed(self.id, at.clone(), at)
    }
}

fn fixed(id: &str, at: steadfast_core::Endpoint, probe: steadfast_core::Endpoint) -> FixedInstance {
    // Long enough for a busy machine, short enough for a test.
    let (every, timeout) = (Span::from_millis(500), Span::from_millis(500));
    FixedInstance {
        id: id.parse().unwrap(),
        endpoints: vec![("http".parse().unwrap(), at)],
        check: FixedCheck {
            endpoint: probe,
            path: "/probe".to_owned(),
            policy: CheckPolicy::new(every, timeout, 1, 2).unwrap(),
        },
    }
}

struct Site {
    gateway: Option<Gateway>,
    shutdown: Shutdown,
}

fn configured(instances: Vec<FixedInstance>) -> GatewayConfig {
    let (ttl, park_for) = (Span::from_millis(3_000), Span::from_millis(15_000));
    let settings = SingleSettings::new(ttl, 100, Span::ZERO, park_for).unwrap();
    GatewayConfig { fixed: vec![FixedSet { name: set(), settings, instances }], ..config() }
}

impl Site {
    fn new(instances: Vec<FixedInstance>) -> Site {
        let shutdown = Shutdown::new();
        let gateway = steadfast_gateway::start(configured(instances), None, &shutdown).unwrap();
        Site { gateway: Some(gateway), shutdown }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    fn client(&self) -> Client {
        Client::connect(self.gateway().addresses()[0])
    }

    fn get(&self) -> Got {
        self.client().get("/")
    }

    fn goes_to(&self) -> Option<String> {
        Some(self.gateway().status().sets()[0].target.as_ref()?.instance.to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.begin();
        self.gateway.take().unwrap().wait().unwrap();
    }
}

#[test]
fn requests_go_to_the_one_that_answers_200_and_follow_it() {
    let (one, two) = (Copy::new("b1", 503), Copy::new("b2", 200));
    let site = Site::new(vec![one.fixed(), two.fixed()]);
    let got = site.get();
    assert_eq!((got.text().as_str(), got.field("steadfast-instance").as_deref()), ("b2", Some("b2")));
    assert_eq!(got.field("steadfast-epoch"), None);
    two.say(503);
    one.say(200);
    until("it follows", || site.goes_to().as_deref() == Some("b1"));
    assert_eq!(site.get().text(), "b1");
    one.say(503);
    until("nobody", || site.goes_to().is_none());
    let mut waiting = site.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("it waits", || site.gateway().status().parked().now == 1);
    two.say(200);
    assert_eq!(waiting.read_answer().text(), "b2");
}

#[test]
fn only_200_is_a_yes() {
    let (one, two) = (Copy::new("b1", 204), Copy::new("b2", 200));
    let site = Site::new(vec![one.fixed(), two.fixed()]);
    until("it is found", || site.goes_to().is_some());
    for status in [201, 204, 302, 404, 500] {
        one.say(status);
        one.await_check();
        assert_eq!(site.goes_to().as_deref(), Some("b2"), "{status}");
    }
}

#[test]
fn of_several_the_present_one_is_kept_and_else_the_first_taken() {
    let (one, two, three) = (Copy::new("b1", 503), Copy::new("b2", 503), Copy::new("b3", 200));
    let site = Site::new(vec![one.fixed(), two.fixed(), three.fixed()]);
    until("it is found", || site.goes_to().as_deref() == Some("b3"));
    one.say(200);
    two.say(200);
    one.await_check();
    two.await_check();
    assert_eq!(site.goes_to().as_deref(), Some("b3"));
    three.say(503);
    until("it follows", || site.goes_to().as_deref() == Some("b1"));
}

#[test]
fn one_failed_check_is_not_the_end() {
    let failed = Arc::new(AtomicUsize::new(0));
    let counted = failed.clone();
    // Every other check fails; two in a row would count.
    let app = App::new(move |_| {
        let count = counted.fetch_add(1, Ordering::SeqCst);
        if count % 2 == 1 { Reply::raw("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n") } else { Reply::ok("") }
    });
    let at = endpoint(app.address());
    let site = Site::new(vec![fixed("b1", at.clone(), at)]);
    until("it is found", || site.goes_to().is_some());
    let begun = failed.load(Ordering::SeqCst);
    until("it is checked on", || {
        assert_eq!(site.goes_to().as_deref(), Some("b1"));
        failed.load(Ordering::SeqCst) > begun + 9
    });
}

#[test]
fn a_crash_is_noticed_by_the_request_it_hits() {
    let (one, two) = (Copy::new("b1", 200), Copy::new("b2", 503));
    let mut slow = one.fixed();
    slow.check.policy = CheckPolicy::new(Span::from_millis(60_000), Span::from_millis(1_000), 1, 1).unwrap();
    let site = Site::new(vec![slow, two.fixed()]);
    assert_eq!(site.get().text(), "b1");
    two.say(200);
    two.await_check();
    one.app.kill();
    // Its next check would be in a minute.
    assert_eq!(site.get().text(), "b2");
}

#[test]
fn one_that_vouches_for_itself_is_taken_at_its_word() {
    let app = App::named("led");
    let probe = Probe::new(set(), "web-1".parse().unwrap(), steadfast_core::Incarnation(rand()));
    probe.lead(7, Duration::from_secs(5));
    let site = Site::new(vec![fixed("b1", endpoint(app.address()), endpoint(probe.address()))]);
    let got = site.get();
    assert_eq!((got.text().as_str(), got.field("steadfast-epoch").as_deref()), ("led", Some("7")));
    let over = probe.lead_for_the_last_time(7, Duration::from_secs(5));
    until("nothing is forwarded any more", || site.goes_to().is_none());
    assert!(std::time::Instant::now() < over, "forwarded after the last moment vouched for");
    probe.lead(6, Duration::from_secs(60));
    let asked = probe.asked();
    until("it is asked on", || probe.asked() > asked + 3);
    assert_eq!(site.goes_to(), None, "a lower epoch");
    probe.lead(8, Duration::from_secs(60));
    until("a higher one", || site.goes_to().is_some());
}

#[test]
fn a_route_to_nowhere_is_told_at_the_start() {
    let one = Copy::new("b1", 200);
    let refused = |change: &dyn Fn(&mut GatewayConfig)| {
        let mut config = configured(vec![one.fixed()]);
        change(&mut config);
        let error = steadfast_gateway::start(config, None, &Shutdown::new()).unwrap_err();
        (error.exit_code(), error)
    };
    let (code, error) = refused(&|config| config.listeners[0].routes[0].endpoint = "stream".parse().unwrap());
    assert!(matches!(error, Error::NoEndpoint { .. }) && code == 2, "{error}");
    let (code, error) = refused(&|config| config.listeners[0].routes[0].set = "other".parse().unwrap());
    assert!(matches!(error, Error::NoStore(_)) && code == 2, "{error}");
    let taken = std::net::TcpListener::bind(support::local()).unwrap();
    let (code, error) = refused(&|config| config.listeners[0].listen = taken.local_addr().unwrap());
    assert!(matches!(error, Error::Bind(_)) && code == 1 && error.to_string().contains("in use"), "{error}");
    let site = Site::new(vec![one.fixed()]);
    let (_, error) = refused(&|config| config.listeners[0].listen = site.gateway().addresses()[0]);
    assert!(matches!(error, Error::Bind(_)), "a second gateway must not share the address of the first: {error}");
}
