//! `[[agents]]`, and the same by the flags of `steadfast agent`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use steadfast_agent::{AgentConfig, ApiAddress, Check, EndpointSource, Restart};
use steadfast_core::client::{ClientKey, LabelName, Labels};
use steadfast_core::settings::{SetSettings, StickySettings, Value};
use steadfast_core::{EndpointName, Host, InstanceId, SetName, Span, Weight};

use super::gateway::known_set;
use super::reader::{At, Either, Table};
use super::sets::{Sets, default_settings, policy, read_policy};
use super::{Addresses, fit, listen_address, parse_listen};
use crate::cli;

pub(super) fn read(root: &Table<'_>, addresses: &mut Addresses, sets: &Sets) -> Vec<AgentConfig> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for table in root.tables("agents") {
        let agent = read_agent(&table, addresses, sets);
        table.finish();
        let Some(agent) = agent else { continue };
        if !names.insert((agent.set.clone(), agent.instance.clone())) {
            let what = format!("instance {:?} of set {:?} is there twice", agent.instance.as_str(), agent.set.as_str());
            table.source().wrong(table.span(), what);
        }
        found.push(agent);
    }
    found
}

fn read_agent(table: &Table<'_>, addresses: &mut Addresses, sets: &Sets) -> Option<AgentConfig> {
    let set = table.parsed::<SetName>("set");
    let instance = table.parsed::<InstanceId>("instance");
    let endpoints = read_endpoints(table);
    let ports = table.text("ports").and_then(|text| parse_at(table, "ports", &text, parse_ports));
    let advertise = table.parsed::<Host>("advertise");
    let capacity = table.weight("capacity");
    let labels = table.table("labels").map(|below| (read_labels(&below), below.span().clone()));
    let api = table.parsed::<ApiAddress>("api");
    let probe = table.text("probe").and_then(|text| listen_address(table, "probe", text));
    let gates = read_gates(table);
    let command = table.texts("command").map(|words| words.value.into_iter().map(|word| word.value).collect());
    let restart = table.parsed::<Restart>("restart");
    let stop_within = table.parsed::<Span>("stop_within");
    let check = read_check(table);

    let set = table.require("set", set, "\"web\"")?;
    known_set(table, &set, sets);
    let known = sets.get(&set.value).and_then(|known| known.value.as_ref());
    if let Some(known) = known {
        let offer = fit::Offer {
            capacity: capacity.as_ref(),
            labels: labels.as_ref().map(|(_, span)| span),
            gate: gates.first().map(|(_, address)| &address.span),
        };
        offer.check(table, &set.value, known);
    }
    let instance = match instance {
        Some(at) => at.value,
        None => host_instance().map_err(|why| table.source().wrong(table.span(), why)).ok()?,
    };
    let mut agent = AgentConfig::new(set.value, instance, PathBuf::new());
    agent.introduce = known.map(|set| set.settings.clone());
    agent.endpoints = endpoints;
    agent.capacity = capacity.map(|at| at.value);
    agent.labels = labels.map(|(labels, _)| labels).unwrap_or_default();
    agent.api = api.map(|at| at.value);
    agent.advertise = advertise.map(|at| at.value);
    agent.command = command;
    for (name, address) in gates {
        addresses.take(table, &address, format!("the gate of {name} of {}", agent.instance));
        agent.gates.insert(name, address.value);
    }
    if let Some(probe) = probe {
        addresses.take(table, &probe, format!("the probe of {}", agent.instance));
        agent.probe = probe.value;
    }
    set_if(&mut agent.ports, ports);
    set_if(&mut agent.restart, restart.map(|at| at.value));
    set_if(&mut agent.stop_within, stop_within.map(|at| at.value));
    if let Some((check, policy)) = check {
        agent.check = check;
        set_if(&mut agent.check_policy, policy);
    }
    agent.check().map_err(|error| table.source().wrong(table.span(), error.to_string())).ok()?;
    Some(agent)
}

fn set_if<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn read_endpoints(table: &Table<'_>) -> BTreeMap<EndpointName, EndpointSource> {
    let Some(below) = table.table("endpoints") else { return BTreeMap::new() };
    let named = below.named_texts::<EndpointName>().into_iter();
    let parsed = named.filter_map(|(name, text)| {
        let source = below.parse::<EndpointSource>(name.value.as_str(), text)?.value;
        Some((name.value, source))
    });
    parsed.collect()
}

fn read_labels(table: &Table<'_>) -> Labels {
    let named = table.named_texts::<LabelName>().into_iter();
    let read = named.filter_map(|(name, text)| Some((parse_at(table, name.value.as_str(), &text, label_value)?, name)));
    read.map(|(value, name)| (name.value, value)).collect()
}

fn read_gates(table: &Table<'_>) -> Vec<(EndpointName, At<SocketAddr>)> {
    let Some(below) = table.table("gate") else { return Vec::new() };
    let named = below.named_texts::<EndpointName>().into_iter();
    let parsed = named.filter_map(|(name, text)| {
        let address = listen_address(&below, name.value.as_str(), text)?;
        Some((name.value, address))
    });
    parsed.collect()
}

type ReadCheck = (Option<Check>, Option<steadfast_core::health::CheckPolicy>);

fn read_check(table: &Table<'_>) -> Option<ReadCheck> {
    match table.text_or_table("check")? {
        Either::Text(text) => Some((table.parse::<Check>("check", text).map(|at| at.value), None)),
        Either::Table(below) => {
            let url = below.parsed::<Check>("url").map(|at| at.value);
            let policy = read_policy(&below);
            below.finish();
            Some((url, Some(policy)))
        }
    }
}

fn parse_at<T>(
    table: &Table<'_>,
    key: &str,
    text: &At<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    parse(&text.value).map_err(|why| table.source().wrong(&text.span, format!("{key}: {why}"))).ok()
}

/// `20000-29999`.
fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    });
    parsed.ok_or_else(|| format!("{text:?} is not a range of ports: expected first-last, such as 20000-29999"))
}

/// The instance called as this host is.
fn host_instance() -> Result<InstanceId, String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| error.to_string());
    let parsed = name.and_then(|name| name.trim().parse::<InstanceId>().map_err(|error| error.to_string()));
    parsed.map_err(|why| format!("the host's name cannot be the instance's ({why}); name the instance"))
}

/// The agent that the flags of `steadfast agent` describe. Its state directory is not known here.
///
/// # Errors
/// Which flag is wrong, and what would be right.
pub fn agent_from_flags(flags: &cli::Agent) -> Result<AgentConfig, String> {
    let instance = match &flags.instance {
        Some(instance) => instance.clone(),
        None => host_instance().map_err(|why| format!("{why} with --instance"))?,
    };
    let mut agent = AgentConfig::new(flags.set.clone(), instance, PathBuf::new());
    let copy = &flags.copy;
    agent.introduce = introduced(flags)?;
    agent.capacity = copy.capacity;
    agent.api.clone_from(&copy.api);
    for label in &copy.label {
        let (name, value) = name_and_rest::<LabelName>("--label", "VALUE", label)?;
        let value = label_value(value).map_err(|why| format!("--label {name}: {why}"))?;
        agent.labels.insert(name, value);
    }
    for (name, source) in named::<EndpointSource>("--endpoint", "URL", &copy.endpoint)? {
        agent.endpoints.insert(name, source);
    }
    for gate in &copy.gate {
        let (name, address) = name_and_rest::<EndpointName>("--gate", "ADDRESS", gate)?;
        agent.gates.insert(name, parse_listen(address).map_err(|why| format!("--gate: {why}"))?);
    }
    if let Some(ports) = &copy.ports {
        agent.ports = parse_ports(ports).map_err(|why| format!("--ports: {why}"))?;
    }
    if let Some(probe) = &copy.probe {
        agent.probe = parse_listen(probe).map_err(|why| format!("--probe: {why}"))?;
    }
    if let Some(check) = &copy.check {
        agent.check = Some(check.parse().map_err(|why| format!("--check: {why}"))?);
    }
    agent.advertise.clone_from(&copy.advertise);
    let policy = policy(copy.check_every, copy.check_timeout, copy.check_rise, copy.check_fall);
    agent.check_policy = policy.map_err(|refused| refused.to_string())?;
    set_if(&mut agent.restart, copy.restart);
    set_if(&mut agent.stop_within, copy.stop_within);
    agent.command = (!flags.command.is_empty()).then(|| flags.command.clone());
    agent.check().map_err(|error| error.to_string())?;
    Ok(agent)
}

/// The settings that `--kind` and what goes with it describe.
fn introduced(flags: &cli::Agent) -> Result<Option<SetSettings>, String> {
    let said = [
        ("--client", !flags.client.is_empty()),
        ("--weight", !flags.weight.is_empty()),
        ("--presence", flags.presence.is_some()),
    ];
    match flags.kind {
        Some(cli::Kind::Sticky) => {}
        kind => {
            if let Some((flag, _)) = said.iter().find(|(_, said)| *said) {
                return Err(format!("{flag} is for --kind sticky, where the store does not know the set yet"));
            }
            let of_clients = flags.copy.capacity.is_some() || !flags.copy.label.is_empty();
            if kind.is_some() && of_clients {
                return Err(
                    "--capacity and --label are for sticky sets: in a single one an instance carries all".into()
                );
            }
            return Ok(kind.map(|_| default_settings()));
        }
    }
    if !flags.copy.gate.is_empty() {
        return Err(format!("--gate: {}", fit::NO_GATE));
    }
    if flags.client.is_empty() {
        return Err(
            "--kind sticky needs --client, such as --client query:camera: where a request says who it is".into()
        );
    }
    if flags.copy.capacity.is_none() {
        return Err(
            "--kind sticky needs --capacity: what this copy can carry, in the unit of its clients' weights".into()
        );
    }
    let weight = match flags.weight.as_slice() {
        [] => None,
        [one] if one.parse::<Weight>().is_ok() => Some(Value::Number(one.clone())),
        places => Some(Value::List(places.to_vec())),
    };
    let settings = StickySettings::read(|key| match key {
        "client" => Some(Value::List(flags.client.clone())),
        "weight" => weight.clone(),
        "presence" => flags.presence.map(|presence| Value::Text(presence.to_string())),
        _ => None,
    });
    let settings = settings
        .map_err(|problems| problems.iter().map(|problem| format!("--{problem}")).collect::<Vec<_>>().join("; "))?;
    Ok(Some(SetSettings::Sticky(Box::new(settings))))
}

fn named<T: FromStr<Err: Display>>(flag: &str, what: &str, texts: &[String]) -> Result<Vec<(EndpointName, T)>, String> {
    let parse = |text: &String| {
        let (name, rest) = name_and_rest(flag, what, text)?;
        Ok((name, rest.parse().map_err(|why| format!("{flag}: {why}"))?))
    };
    texts.iter().map(parse).collect()
}

fn name_and_rest<'t, N: FromStr<Err: Display>>(flag: &str, what: &str, text: &'t str) -> Result<(N, &'t str), String> {
    let (name, rest) = text.split_once('=').ok_or_else(|| format!("{flag} {text:?}: expected NAME={what}"))?;
    Ok((name.parse().map_err(|why| format!("{flag}: {why}"))?, rest))
}

/// The value of a label: as long as a request's may be.
fn label_value(text: &str) -> Result<String, String> {
    if (1..=ClientKey::LONGEST_BYTES).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("a label's value has 1 to {} bytes, not {}", ClientKey::LONGEST_BYTES, text.len()))
}
