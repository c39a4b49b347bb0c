//! Numbers for Prometheus, in its text format. The one file that knows their names.
//!
//! A scrape asks nobody: not the store, not a probe. What is shown is what this process knows anyway.

use std::fmt::{Display, Write};
use std::sync::Arc;

use steadfast_core::settings::SetSettings;
use steadfast_host::clock;
use steadfast_host::http::{Response, StatusCode};
use steadfast_registry::{LedgerState, Snapshot};

use super::Admin;
use crate::admin::Service;
use crate::admin::view::{Amount, GatewayClientsView, GatewayView};

const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn answer(admin: &Admin) -> Response {
    let service = &admin.service;
    let mut page = Page::default();
    page.family("steadfast_info", "gauge", "The version of this Steadfast.");
    page.value("steadfast_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
    of_sets(&mut page, service);
    of_gateway(&mut page, service);
    of_admin(&mut page, admin);
    Response::full(StatusCode::OK, MEDIA_TYPE, page.0)
}

fn of_sets(page: &mut Page, service: &Service) {
    let known = service.known();
    page.family("steadfast_lease_epoch", "gauge", "The epoch of a set's lease.");
    for (set, lease) in known.iter().filter_map(|s| Some((&s.set, &s.lease.as_ref()?.observed.record))) {
        page.value("steadfast_lease_epoch", &[("set", set)], lease.epoch.0);
    }
    page.family("steadfast_leader", "gauge", "1 for the instance that holds a set's lease, as the store says.");
    for (set, lease) in known.iter().filter_map(|s| Some((&s.set, &s.lease.as_ref()?.observed.record))) {
        if !lease.released {
            page.value("steadfast_leader", &[("set", set), ("instance", &lease.holder)], 1);
        }
    }
    page.family("steadfast_instances", "gauge", "Instances of a set, by state.");
    for snapshot in &known {
        for (state, number) in by_state(snapshot) {
            page.value("steadfast_instances", &[("set", &snapshot.set), ("state", &state)], number);
        }
    }
    of_homes(page, &known);
    page.family("steadfast_store_silent_seconds", "gauge", "How long the store has not been heard about a set.");
    for (snapshot, contact) in known.iter().filter_map(|s| Some((s, s.contact?))) {
        let silent = clock::now().since(contact).as_secs_f64();
        page.value("steadfast_store_silent_seconds", &[("set", &snapshot.set)], format!("{silent:.3}"));
    }
}

fn by_state(snapshot: &Snapshot) -> Vec<(&'static str, usize)> {
    let states = LedgerState::ALL;
    let ledgers: Vec<LedgerState> =
        snapshot.instances.values().filter_map(|one| Some(one.ledger.as_ref()?.state)).collect();
    states.iter().map(|state| (state.as_str(), ledgers.iter().filter(|one| *one == state).count())).collect()
}

/// What the ledgers of sticky sets say.
fn of_homes(page: &mut Page, known: &[Arc<Snapshot>]) {
    let sticky = |snapshot: &&Arc<Snapshot>| matches!(snapshot.settings, Some(SetSettings::Sticky(_)));
    let ledgers: Vec<_> = known
        .iter()
        .filter(sticky)
        .flat_map(|snapshot| snapshot.instances.iter().map(move |(id, one)| (&snapshot.set, id, one.ledger.as_ref())))
        .filter_map(|(set, id, ledger)| Some((set, id, ledger?)))
        .collect();
    page.family("steadfast_instance_capacity", "gauge", "What an instance of a sticky set can carry.");
    for (set, id, ledger) in &ledgers {
        page.value("steadfast_instance_capacity", &[("set", set), ("instance", id)], ledger.capacity.0);
    }
    page.family("steadfast_instance_charged", "gauge", "What the clients at home at an instance weigh together.");
    for (set, id, ledger) in &ledgers {
        let charged = Amount::from_milli(ledger.charged_milli);
        page.value("steadfast_instance_charged", &[("set", set), ("instance", id)], charged);
    }
    page.family("steadfast_instance_clients", "gauge", "Clients at home at an instance, charged or not.");
    for (set, id, ledger) in &ledgers {
        page.value("steadfast_instance_clients", &[("set", set), ("instance", id)], ledger.clients);
    }
}

fn of_gateway(page: &mut Page, service: &Service) {
    let Some(gateway) = service.gateway() else { return };
    page.family("steadfast_gateway_waiting", "gauge", "Requests that wait for a leader at the moment.");
    for set in &gateway.sets {
        page.value("steadfast_gateway_waiting", &[("set", &set.set.0)], set.waiting);
    }
    page.family("steadfast_gateway_running", "gauge", "Requests running at a set's leader at the moment.");
    for set in &gateway.sets {
        page.value("steadfast_gateway_running", &[("set", &set.set.0)], set.running);
    }
    page.family("steadfast_gateway_forwards", "gauge", "1 where the gateway has somebody to forward to.");
    for set in &gateway.sets {
        page.value("steadfast_gateway_forwards", &[("set", &set.set.0)], u8::from(set.instance.is_some()));
    }
    let connections = &gateway.connections;
    for (name, help, value) in [
        ("steadfast_gateway_connections", "Client connections open now.", connections.now),
        ("steadfast_gateway_connections_max", "Client connections there may be; further ones wait.", connections.most),
        (
            "steadfast_gateway_connections_per_source_max",
            "Client connections one source address may have; further ones are refused.",
            connections.most_per_source,
        ),
        ("steadfast_gateway_sources", "Source addresses that have connections now.", connections.sources),
    ] {
        page.family(name, "gauge", help);
        page.value(name, &[], value);
    }
    let totals = &gateway.totals;
    let name = "steadfast_gateway_limited_total";
    page.family(name, "counter", "How often clients ran into a limit, by its key in [limits].");
    for (limit, count) in &totals.limited {
        page.value(name, &[("limit", limit)], count);
    }
    for (name, help, value) in [
        ("steadfast_gateway_connections_total", "Client connections accepted.", totals.connections),
        ("steadfast_gateway_requests_total", "Requests whose head was read.", totals.requests),
        ("steadfast_gateway_answered_total", "Answers below 500.", totals.answered),
        ("steadfast_gateway_failed_total", "Answers of 500 and above.", totals.failed),
        ("steadfast_gateway_retried_total", "Requests sent once more after a connection failed.", totals.retried),
        ("steadfast_gateway_waited_total", "Requests that had to wait for a leader.", totals.waited),
        ("steadfast_gateway_leader_lost_total", "Requests answered 502 leader-lost.", totals.leader_lost),
        ("steadfast_gateway_home_broke_total", "Requests answered 502 home-broke.", totals.home_broke),
        ("steadfast_gateway_no_leader_total", "Requests answered 503 no-leader.", totals.no_leader),
        ("steadfast_gateway_overloaded_total", "Requests answered 503 overloaded.", totals.overloaded),
        ("steadfast_gateway_timeouts_total", "Requests answered 504 upstream-timeout.", totals.timeouts),
        ("steadfast_gateway_cut_total", "Answers cut in the middle.", totals.cut),
        ("steadfast_gateway_tunnels_total", "WebSocket connections carried.", totals.tunnels),
    ] {
        page.family(name, "counter", help);
        page.value(name, &[], value);
    }
    of_clients(page, &gateway);
}

/// Clients of sticky sets, as a gateway knows and counts them.
fn of_clients(page: &mut Page, gateway: &GatewayView) {
    let sets: Vec<_> = gateway.sets.iter().filter_map(|set| Some((&set.set.0, set.clients?))).collect();
    type Figure = (&'static str, &'static str, fn(&GatewayClientsView) -> u64);
    let figures: [Figure; 3] = [
        ("steadfast_gateway_clients", "Clients the gateway remembers.", |clients| clients.remembered),
        ("steadfast_gateway_clients_bytes", "Bytes of memory that takes.", |clients| clients.bytes),
        ("steadfast_gateway_clients_carried", "Clients connected through the gateway now.", |clients| clients.carried),
    ];
    for (name, help, figure) in figures {
        page.family(name, "gauge", help);
        for (set, clients) in &sets {
            page.value(name, &[("set", set)], figure(clients));
        }
    }
    let name = "steadfast_gateway_clients_evicted_total";
    page.family(name, "counter", "Clients that made room for others.");
    for (set, clients) in &sets {
        page.value(name, &[("set", set)], clients.evicted);
    }
    let name = "steadfast_gateway_feed_silent_seconds";
    page.family(name, "gauge", "How long nothing has been heard of changes of clients, not even that there are none.");
    for (set, silent_ms) in sets.iter().filter_map(|(set, clients)| Some((set, clients.silent_ms?))) {
        page.value(name, &[("set", set)], format!("{}.{:03}", silent_ms / 1_000, silent_ms % 1_000));
    }
    let totals = &gateway.totals.clients;
    for (name, help, value) in [
        ("steadfast_gateway_redirected_total", "Clients redirected home.", totals.redirected),
        ("steadfast_gateway_assigned_total", "Clients told their home.", totals.assigned),
        ("steadfast_gateway_known_total", "Clients sent home without a call to the store.", totals.known),
        ("steadfast_gateway_asked_for_total", "Clients the store was asked for.", totals.asked_for),
        ("steadfast_gateway_placed_total", "New clients placed.", totals.placed),
        ("steadfast_gateway_returned_total", "Clients that came back from idle.", totals.returned),
        ("steadfast_gateway_moved_total", "Clients that got another home when they came.", totals.moved),
        ("steadfast_gateway_served_away_total", "Idle clients sent home without the store.", totals.served_away),
    ] {
        page.family(name, "counter", help);
        page.value(name, &[], value);
    }
    let name = "steadfast_gateway_refused_total";
    page.family(name, "counter", "Clients refused, by reason.");
    for (reason, count) in &totals.refused {
        page.value(name, &[("reason", reason)], count);
    }
}

/// This API itself.
fn of_admin(page: &mut Page, admin: &Admin) {
    let tally = admin.refused.tally();
    for (name, help, value) in [
        ("steadfast_admin_connections", "Connections to the API and the store now.", tally.connections()),
        ("steadfast_admin_followers", "Streams of events now.", admin.followers.taken() as u64),
        ("steadfast_admin_watches", "Watches of the store by http:// peers now.", admin.watches.taken() as u64),
    ] {
        page.family(name, "gauge", help);
        page.value(name, &[], value);
    }
    let name = "steadfast_admin_refused_total";
    page.family(name, "counter", "Requests and connections to the API that were turned away, by reason.");
    for (reason, count) in admin.refused.counts() {
        page.value(name, &[("reason", &reason)], count);
    }
}

/// A page in the text format: families of values with labels.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| {
                let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{label}=\"{value}\"")
            })
            .collect();
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{}}} {value}", labels.join(","))
        };
    }
}
