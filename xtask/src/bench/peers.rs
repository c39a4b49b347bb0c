//! The programs Steadfast is measured beside: how each is started with a file, and which version it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::process::{capture, find};

/// nginx, HAProxy and Envoy, all with one worker each by their files or flags.
pub(super) struct Peers {
    envoy: PathBuf,
}

impl Peers {
    /// As they were installed for this work tree.
    pub(super) fn of(root: &Path) -> Peers {
        Peers { envoy: install::python::envoy(root) }
    }

    /// The command that starts nginx with the file that follows.
    pub(super) fn nginx(&self) -> [&str; 4] {
        ["nginx", "-e", "/dev/null", "-c"]
    }

    /// The same of HAProxy.
    pub(super) fn haproxy(&self) -> [&str; 2] {
        ["haproxy", "-f"]
    }

    /// The same of Envoy.
    pub(super) fn envoy(&self) -> [&str; 7] {
        let program = self.envoy.to_str().unwrap_or("envoy");
        [program, "--concurrency", "1", "-l", "critical", "--use-dynamic-base-id", "-c"]
    }

    /// How a file for this program must end: Envoy tells the language by it.
    pub(super) fn ending(&self, name: &str) -> &'static str {
        if name == "envoy" { "yaml" } else { "conf" }
    }

    /// What each says of its version.
    pub(super) fn versions(&self) -> Vec<(&'static str, String)> {
        vec![
            ("nginx", said(Path::new("nginx"), "-v")),
            ("HAProxy", said(Path::new("haproxy"), "-v")),
            ("Envoy", said(&self.envoy, "--version")),
            ("wrk", said(Path::new("wrk"), "-v")),
        ]
    }
}

/// The servers of the stores.
pub(super) fn store_versions(root: &Path) -> Vec<(&'static str, String)> {
    let azurite = root.join("target/outside/azurite/node_modules/azurite/package.json");
    let package = std::fs::read_to_string(azurite).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap_or_default();
    vec![
        ("etcd", said(Path::new("etcd"), "--version")),
        ("Redis", said(Path::new("redis-server"), "--version")),
        ("PostgreSQL", said(Path::new("postgres"), "--version")),
        ("Azurite", package["version"].as_str().unwrap_or("?").to_owned()),
    ]
}

/// The version that a program says it has.
fn said(program: &Path, flag: &str) -> String {
    let said = find(&program.display().to_string()).and_then(|program| capture(Command::new(program).arg(flag)).ok());
    said.and_then(|(_, text)| number(&text)).unwrap_or_else(|| "?".to_owned())
}

/// The first thing in a text that looks like a version: numbers with dots between them.
pub(super) fn number(text: &str) -> Option<String> {
    let numbers = |part: &&str| {
        part.contains('.') && part.split('.').all(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let apart = |c: char| c.is_whitespace() || matches!(c, '/' | '-' | '+' | '=');
    text.split(apart).find(numbers).map(str::to_owned)
}
