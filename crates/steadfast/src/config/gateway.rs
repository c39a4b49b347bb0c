//! `[[listeners]]` and their routes.

use std::fmt::Display;
use std::str::FromStr;

use steadfast_core::route::{HostPattern, PathPattern};
use steadfast_core::{EndpointName, SetName, Span};
use steadfast_gateway::{Answer, ListenerConfig, RouteConfig};

use super::problem::{listed, nearest};
use super::reader::{At, Table};
use super::sets::Sets;
use super::{Addresses, fit, listen_address};

const DEFAULT_READY_PATH: &str = "/.steadfast/ready";
const DEFAULT_LINGER: Span = Span::from_millis(5_000);
const DEFAULT_HOST: &str = "*";
const DEFAULT_PATH: &str = "/";
/// The endpoint that is meant where none is named.
pub(super) const DEFAULT_ENDPOINT: &str = "http";

pub(super) fn read(root: &Table<'_>, addresses: &mut Addresses, sets: &Sets) -> Vec<ListenerConfig> {
    let mut found = Vec::new();
    let mut ways = fit::Ways::default();
    for table in root.tables("listeners") {
        let listener = read_listener(&table, addresses, sets, &mut ways);
        table.finish();
        found.extend(listener);
    }
    ways.check(root.source(), sets);
    found
}

fn read_listener(
    table: &Table<'_>,
    addresses: &mut Addresses,
    sets: &Sets,
    ways: &mut fit::Ways,
) -> Option<ListenerConfig> {
    let listen = table.text("listen").and_then(|text| listen_address(table, "listen", text));
    let listen = table.require("listen", listen, "\"0.0.0.0:8080\"");
    if let Some(at) = &listen {
        addresses.take(table, at, "one of [[listeners]]".to_owned());
    }
    let ready_path = table.text("ready_path").and_then(|path| absolute_path(table, "ready_path", path));
    let linger = table.parsed("linger").map_or(DEFAULT_LINGER, |at| at.value);
    let mut routes = Vec::new();
    let tables = table.tables("routes");
    if tables.is_empty() {
        table.require("routes", None::<()>, "[{ path = \"/\", set = \"web\" }]");
    }
    for below in tables {
        let route = read_route(&below, sets, ways);
        below.finish();
        routes.extend(route);
    }
    let ready_path = ready_path.unwrap_or_else(|| DEFAULT_READY_PATH.to_owned());
    Some(ListenerConfig { listen: listen?.value, ready_path, linger, routes })
}

const ANSWERS: &[(&str, Answer)] =
    &[("proxy", Answer::Proxy), ("redirect", Answer::Redirect), ("assign", Answer::Assign)];

fn read_route(table: &Table<'_>, sets: &Sets, ways: &mut fit::Ways) -> Option<RouteConfig> {
    let host = pattern::<HostPattern>(table, "host", DEFAULT_HOST);
    let path = pattern::<PathPattern>(table, "path", DEFAULT_PATH);
    let set = table.parsed::<SetName>("set");
    let answer = table.choice("answer", ANSWERS);
    let endpoint = table.parsed::<EndpointName>("endpoint").map(|at| at.value);
    let endpoint = endpoint.or_else(|| DEFAULT_ENDPOINT.parse().ok());
    let client = table.sources("client");
    let weight = table.weight_rule("weight");
    let set = table.require("set", set, "\"web\"")?;
    known_set(table, &set, sets);
    let way = fit::Way { path: path?, answer, client, weight };
    if let Some(set) = sets.get(&set.value).and_then(|known| known.value.as_ref()) {
        way.check(table, set);
    }
    ways.add(&set.value, &way, table.span());
    let fit::Way { path, answer, client, weight } = way;
    Some(RouteConfig {
        host: host?.value,
        path: path.value,
        set: set.value,
        answer: answer.map_or(Answer::Proxy, |at| at.value),
        endpoint: endpoint?,
        client: client.map(|at| at.value),
        weight: weight.map(|at| at.value),
    })
}

/// A pattern, or the one that is meant where none is given.
fn pattern<P: FromStr<Err: Display>>(table: &Table<'_>, key: &'static str, default: &str) -> Option<At<P>> {
    let span = table.span().clone();
    let text = table.text(key).unwrap_or(At { value: default.to_owned(), span });
    table.parse::<P>(key, text)
}

pub(super) fn absolute_path(table: &Table<'_>, key: &'static str, path: At<String>) -> Option<String> {
    if !path.value.starts_with('/') {
        table.source().wrong(&path.span, format!("{key} = {:?} is to start with \"/\"", path.value));
    }
    Some(path.value)
}

/// A file that has sets has all it names. One without any goes by the store's.
pub(super) fn known_set(table: &Table<'_>, set: &At<SetName>, sets: &Sets) {
    if sets.is_empty() || sets.contains_key(&set.value) {
        return;
    }
    let names = || sets.keys().map(SetName::as_str);
    let hint = match nearest(set.value.as_str(), names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("this file has {}; add [sets.{}]", listed(names()), set.value),
    };
    table.source().wrong(&set.span, format!("there is no set {:?}: {hint}", set.value.as_str()));
}
