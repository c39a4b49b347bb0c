use serde_json::json;
use steadfast_core::settings::SingleSettings;

use super::*;

/// `view` is written as `golden`, and read back as what it was.
#[track_caller]
pub(super) fn check<T: Serialize + for<'de> Deserialize<'de> + PartialEq + fmt::Debug>(
    view: &T,
    golden: serde_json::Value,
) {
    let written = serde_json::to_value(view).unwrap();
    assert_eq!(written, golden, "written as\n{written:#}");
    assert_eq!(serde_json::from_value::<T>(golden).unwrap(), *view);
}

fn leader() -> LeaderView {
    LeaderView {
        set: Text("web".parse().unwrap()),
        instance: Some(Text("web-1".parse().unwrap())),
        state: LeaseState::Leading,
        epoch: 7,
        incarnation: Some(Text(Incarnation(0xab))),
        since: Some("2026-01-02T03:04:05.678Z".to_owned()),
        ttl_ms: Some(3000),
        valid_for_ms: Some(2100),
    }
}

fn leader_json() -> serde_json::Value {
    json!({
        "set": "web", "instance": "web-1", "state": "leading", "epoch": 7, "incarnation": "00000000000000ab",
        "since": "2026-01-02T03:04:05.678Z", "ttl_ms": 3000, "valid_for_ms": 2100
    })
}

fn instance() -> InstanceView {
    let endpoint = |text: &str| Text(text.parse::<Endpoint>().unwrap());
    InstanceView {
        id: Text("web-1".parse().unwrap()),
        incarnation: Some(Text(Incarnation(0xab))),
        state: LedgerState::Open,
        role: Some(Role::Leader),
        reason: "leading".to_owned(),
        epoch: Some(7),
        valid_for_ms: Some(2100),
        endpoints: [(Text("http".parse().unwrap()), endpoint("http://10.0.0.4:8081"))].into(),
        gate: false,
        probe: Some(endpoint("http://10.0.0.4:7401")),
        host: Some("alpha".to_owned()),
        since: Some("2026-01-02T03:04:05.678Z".to_owned()),
        capacity: Amount::from_milli(100_000),
        charged: Amount::from_milli(12_500),
        clients: 3,
        labels: [(Text("region".parse().unwrap()), "eu".to_owned())].into(),
    }
}

fn instance_json() -> serde_json::Value {
    json!({
        "id": "web-1", "incarnation": "00000000000000ab", "state": "open", "role": "leader", "reason": "leading",
        "epoch": 7, "valid_for_ms": 2100, "endpoints": {"http": "http://10.0.0.4:8081"}, "gate": false,
        "probe": "http://10.0.0.4:7401", "host": "alpha", "since": "2026-01-02T03:04:05.678Z",
        "capacity": 100, "charged": 12.5, "clients": 3, "labels": {"region": "eu"}
    })
}

fn settings() -> SettingsView {
    SettingsView::new(&SetSettings::Single(SingleSettings::default()))
}

fn settings_json() -> serde_json::Value {
    json!({"kind": "single", "lease_ttl": "3s", "clock_drift": 0.1, "park_for": "10s", "release_after": "0s"})
}

#[test]
fn a_leader_has_its_form() {
    check(&leader(), leader_json());
    let none = LeaderView {
        instance: None,
        state: LeaseState::None,
        epoch: 0,
        incarnation: None,
        since: None,
        ttl_ms: None,
        valid_for_ms: None,
        ..leader()
    };
    check(
        &none,
        json!({"set": "web", "instance": null, "state": "none", "epoch": 0, "incarnation": null, "since": null,
               "ttl_ms": null, "valid_for_ms": null}),
    );
    for (state, word) in [
        (LeaseState::Unconfirmed, "unconfirmed"),
        (LeaseState::SteppingDown, "stepping-down"),
        (LeaseState::Expired, "expired"),
        (LeaseState::Released, "released"),
    ] {
        assert_eq!(serde_json::to_value(state).unwrap(), word);
    }
}

#[test]
fn lists_are_objects() {
    check(
        &Instances { instances: vec![instance()], next: None },
        json!({"instances": [instance_json()], "next": null}),
    );
    let set = SetView {
        set: Text("web".parse().unwrap()),
        settings: Some(settings()),
        leader: Some(leader()),
        totals: None,
        instances: vec![instance()],
    };
    let set_json = json!({
        "set": "web", "settings": settings_json(), "leader": leader_json(), "totals": null,
        "instances": [instance_json()]
    });
    check(&set, set_json.clone());
    let totals = TotalsView {
        capacity: Amount::from_milli(100_000),
        charged: Amount::from_milli(12_500),
        clients: 3,
        fill: Some(0.125),
    };
    let sticky = SetView { leader: None, totals: Some(totals), settings: None, instances: Vec::new(), ..set.clone() };
    check(
        &sticky,
        json!({"set": "web", "settings": null, "leader": null,
               "totals": {"capacity": 100, "charged": 12.5, "clients": 3, "fill": 0.125}, "instances": []}),
    );
    check(&Sets { sets: vec![set], next: None }, json!({"sets": [set_json], "next": null}));
}

#[test]
fn events_have_their_form_and_their_place() {
    let kind = EventKind::State { instance: Text("web-1".parse().unwrap()), state: LedgerState::Draining };
    let event = EventView {
        set: Text("web".parse().unwrap()),
        number: 12,
        at: "2026-01-02T03:04:05.678Z".to_owned(),
        kind,
        by: "operator".to_owned(),
    };
    let next = EventCursor { others: 0, sets: [("web".parse().unwrap(), 13)].into() };
    check(
        &Events { events: vec![event], next: Text(next) },
        json!({
            "events": [{"set": "web", "number": 12, "at": "2026-01-02T03:04:05.678Z", "event": "state",
                        "instance": "web-1", "state": "draining", "by": "operator"}],
            "next": "0,web:13"
        }),
    );
}

#[test]
fn a_place_in_the_events_is_read_as_it_is_written() {
    for text in ["0", "12", "0,db:3,web:13"] {
        assert_eq!(text.parse::<EventCursor>().map(|cursor| cursor.to_string()).as_deref(), Ok(text));
    }
    let cursor: EventCursor = "5,web:13".parse().unwrap();
    assert_eq!((cursor.of(&"web".parse().unwrap()), cursor.of(&"db".parse().unwrap())), (13, 5));
    for text in ["", "x", "web:", "web:-1", "We b:1", "1,,2"] {
        assert!(text.parse::<EventCursor>().is_err(), "{text:?} must be refused");
    }
}

#[test]
fn orders_have_their_form() {
    let to = Some(Text("web-2".parse().unwrap()));
    check(&SwitchoverOrder { to: to.clone() }, json!({"to": "web-2"}));
    assert_eq!(serde_json::from_str::<SwitchoverOrder>("{}").unwrap(), SwitchoverOrder { to: None });
    assert!(serde_json::from_str::<SwitchoverOrder>(r#"{"two": 1}"#).is_err(), "a slip must not become another order");
    let set = || Text("web".parse().unwrap());
    check(
        &SwitchoverOrdered { set: set(), from: Text("web-1".parse().unwrap()), epoch: 7, to },
        json!({"set": "web", "from": "web-1", "epoch": 7, "to": "web-2"}),
    );
    check(
        &StateChange {
            set: set(),
            instance: Text("web-1".parse().unwrap()),
            before: LedgerState::Open,
            now: LedgerState::Draining,
        },
        json!({"set": "web", "instance": "web-1", "before": "open", "now": "draining"}),
    );
    check(
        &SettingsChange { set: set(), before: None, now: settings() },
        json!({"set": "web", "before": null, "now": settings_json()}),
    );
}

#[test]
fn settings_are_read_as_they_are_written_and_refused_when_unsafe() {
    let read = settings().settings().unwrap();
    assert_eq!(read, SetSettings::Single(SingleSettings::default()));
    let wrong = |change: fn(&mut SingleView)| {
        let SettingsView::Single(mut view) = settings() else { panic!("it is single") };
        change(&mut view);
        SettingsView::Single(view).settings().unwrap_err()
    };
    assert!(wrong(|view| view.lease_ttl = Text(Span::from_millis(1000))).contains("lease_ttl must be"));
    assert!(wrong(|view| view.clock_drift = f64::NAN).contains("not between 0 and 1"));
}

#[test]
fn settings_of_a_sticky_set_are_those_of_its_file() {
    let few = json!({"kind": "sticky", "client": "query:camera", "weight": 8, "require": {"region": "query:region"}});
    let view: SettingsView = serde_json::from_value(few).unwrap();
    let settings = view.settings().unwrap();
    check(
        &SettingsView::new(&settings),
        json!({
            "kind": "sticky", "client": "query:camera", "weight": 8, "weight_default": 1, "policy": "spread",
            "admit_below": 1, "presence": "request", "claim_within": "30s", "idle_after": "1d", "forget_after": "30d",
            "home_wait": "0s", "on_home_lost": "move", "return_home": "never", "home_full": "move",
            "require": {"region": "query:region"}, "max_clients": 10_000_000, "new_per_source": 1_000
        }),
    );
    assert_eq!(SettingsView::new(&settings).settings(), Ok(settings));
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_what_would_be_right() {
    for (wrong, expected) in [
        (json!({"kind": "sticky", "cleint": "query:a"}), "unknown key \"cleint\": did you mean \"client\"?"),
        (
            json!({"kind": "sticky", "client": "query:a", "park_for": "1s"}),
            "unknown key \"park_for\": a sticky set has",
        ),
        (json!({"kind": "sticky"}), "client is missing: it says where"),
        (json!({"kind": "sticky", "client": 1, "policy": 1}), "; policy is to be a string, not a number"),
    ] {
        let refused = serde_json::from_value::<SettingsView>(wrong).unwrap().settings().unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
    for (wrong, expected) in [
        (json!({"kind": "mirrored"}), "unknown variant `mirrored`, expected `single` or `sticky`"),
        (json!({"client": "query:a"}), "missing field `kind`"),
        (json!({"kind": "single", "client": "query:a"}), "unknown field `client`"),
    ] {
        let refused = serde_json::from_value::<SettingsView>(wrong).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn the_status_has_its_form() {
    let status = StatusView {
        version: "0.1.0".to_owned(),
        store: StoreView {
            engine: "sqlite".to_owned(),
            place: "/var/lib/steadfast/state.db".to_owned(),
            durable: true,
            one_machine: true,
            may_lose: None,
            notes: vec!["polls".to_owned()],
        },
        sets: Vec::new(),
        gateway: Some(GatewayView {
            listeners: vec!["0.0.0.0:8080".to_owned()],
            sets: vec![GatewaySetView {
                set: Text("web".parse().unwrap()),
                instance: None,
                epoch: None,
                left_ms: None,
                handing_over: false,
                running: 0,
                waiting: 3,
                clients: Some(GatewayClientsView {
                    remembered: 2,
                    bytes: 128,
                    evicted: 0,
                    carried: 1,
                    silent_ms: Some(150),
                }),
            }],
            connections: GatewayConnectionsView { now: 5, most: 100, most_per_source: 25, sources: 2 },
            totals: GatewayTotals { requests: 10, answered: 9, failed: 1, ..GatewayTotals::default() },
        }),
        warnings: vec![Warning {
            reason: "no-leader".to_owned(),
            set: Some(Text("web".parse().unwrap())),
            detail: "web has no leader".to_owned(),
            advice: "wait".to_owned(),
        }],
    };
    check(
        &status,
        json!({
            "version": "0.1.0",
            "store": {"engine": "sqlite", "place": "/var/lib/steadfast/state.db", "durable": true, "one_machine": true,
                      "may_lose": null, "notes": ["polls"]},
            "sets": [],
            "gateway": {
                "listeners": ["0.0.0.0:8080"],
                "sets": [{"set": "web", "instance": null, "epoch": null, "left_ms": null, "handing_over": false,
                          "running": 0, "waiting": 3,
                          "clients": {"remembered": 2, "bytes": 128, "evicted": 0, "carried": 1, "silent_ms": 150}}],
                "connections": {"now": 5, "most": 100, "most_per_source": 25, "sources": 2},
                "totals": {"connections": 0, "requests": 10, "answered": 9, "failed": 1, "retried": 0, "waited": 0,
                           "leader_lost": 0, "home_broke": 0, "no_leader": 0, "overloaded": 0, "timeouts": 0, "cut": 0,
                           "tunnels": 0, "limited": {}, "clients": {"redirected": 0, "assigned": 0, "known": 0, "asked_for": 0, "placed": 0,
                                       "returned": 0, "moved": 0, "served_away": 0, "refused": {}}}
            },
            "warnings": [{"reason": "no-leader", "set": "web", "detail": "web has no leader", "advice": "wait"}]
        }),
    );
}
