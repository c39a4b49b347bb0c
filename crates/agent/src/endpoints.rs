//! Turns where endpoints are said to come from into addresses, once, before the instance registers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use steadfast_core::{Endpoint, EndpointName, Host};
use steadfast_host::net::{ReservedPort, reserve_port};
use steadfast_host::process::{self, Spec};

use crate::{AgentConfig, EndpointSource, Error};

/// How long an `exec:` endpoint's command may take.
const EXEC_WITHIN: Duration = Duration::from_secs(10);
/// So much of what it prints is read.
const PRINTED_BYTES: usize = 4096;

/// The application's own addresses.
#[derive(Debug)]
pub(crate) struct Endpoints {
    /// Where the application is reached, gate or not.
    pub(crate) direct: BTreeMap<EndpointName, Endpoint>,
    /// Ports kept for the application until it starts.
    reserved: Vec<ReservedPort>,
}

impl Endpoints {
    /// Finds every endpoint of `config`.
    pub(crate) async fn resolve(config: &AgentConfig) -> Result<Endpoints, Error> {
        let mut found = Endpoints { direct: BTreeMap::new(), reserved: Vec::new() };
        for (name, source) in &config.endpoints {
            let endpoint = match source {
                EndpointSource::Fixed(endpoint) => endpoint.clone(),
                EndpointSource::Auto => found.reserve(config, name)?,
                EndpointSource::Env(variable) => {
                    let value = std::env::var(variable).map_err(|error| {
                        Error::Config(format!("endpoint {name} is env:{variable}, but {variable}: {error}"))
                    })?;
                    parse(config, name, &value, &format!("the environment variable {variable}"))?
                }
                EndpointSource::Exec(command) => {
                    let value = printed(name, command).await?;
                    parse(config, name, &value, &format!("what `{command}` prints"))?
                }
            };
            found.direct.insert(name.clone(), endpoint);
        }
        Ok(found)
    }

    /// The port the application listens on for an endpoint of this name.
    pub(crate) fn port_of(&self, name: &str) -> Option<u16> {
        self.direct.get(name).map(Endpoint::port)
    }

    /// Gives the reserved ports away, to the application about to start.
    pub(crate) fn release(&mut self) {
        for port in self.reserved.drain(..) {
            port.release();
        }
    }

    fn reserve(&mut self, config: &AgentConfig, name: &EndpointName) -> Result<Endpoint, Error> {
        let reserved = reserve_port(IpAddr::V4(Ipv4Addr::UNSPECIFIED), config.ports.clone())
            .map_err(|error| Error::Config(format!("endpoint {name}: {error}")))?;
        let port = reserved.port();
        self.reserved.push(reserved);
        made(name, own_host(config), port)
    }
}

/// The host others reach `listening` by.
pub(crate) fn advertised(config: &AgentConfig, listening: IpAddr) -> Result<Host, Error> {
    if let Some(host) = &config.advertise {
        return Ok(host.clone());
    }
    if !listening.is_unspecified() {
        return Ok(Host::Ip(listening));
    }
    let named = config.endpoints.values().find_map(|source| match source {
        EndpointSource::Fixed(endpoint) => Some(endpoint.host().clone()),
        _ => None,
    });
    named.ok_or_else(|| {
        Error::Config(format!(
            "agent {} listens on {listening}, which tells nobody where it is: say --advertise HOST",
            config.instance
        ))
    })
}

/// The host of an endpoint that is given by its port alone.
fn own_host(config: &AgentConfig) -> Host {
    advertised(config, config.probe.ip()).unwrap_or(Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}

fn made(name: &EndpointName, host: Host, port: u16) -> Result<Endpoint, Error> {
    // `http` and `https` say what they speak; every other name is bytes.
    let scheme = if matches!(name.as_str(), "http" | "https") { name.as_str() } else { "tcp" };
    Endpoint::new(scheme, host, port).map_err(|error| Error::Config(format!("endpoint {name}: {error}")))
}

/// A URL, `host:port`, or a port.
fn parse(config: &AgentConfig, name: &EndpointName, value: &str, from: &str) -> Result<Endpoint, Error> {
    let value = value.trim();
    if let Ok(port) = value.parse() {
        return made(name, own_host(config), port);
    }
    let url = if value.contains("://") { value.to_owned() } else { format!("tcp://{value}") };
    let bad = || Error::Config(format!("endpoint {name}: {from} is {value:?}; expected a URL, host:port or a port"));
    let endpoint: Endpoint = url.parse().map_err(|_| bad())?;
    if value.contains("://") { Ok(endpoint) } else { made(name, endpoint.host().clone(), endpoint.port()) }
}

async fn printed(name: &EndpointName, command: &str) -> Result<String, Error> {
    let failed = |why: String| Error::Config(format!("endpoint {name}: `{command}`: {why}"));
    let spec = Spec::new(["sh", "-c", command]);
    let ran = process::run(&spec, EXEC_WITHIN, PRINTED_BYTES).await.map_err(|error| failed(error.to_string()))?;
    if !ran.exit.success() {
        let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
        return Err(failed(format!("it ended with {} {said}", ran.exit).trim_end().to_owned()));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

#[cfg(test)]
mod tests;
