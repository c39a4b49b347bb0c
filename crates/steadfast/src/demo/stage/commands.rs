//! The gateway's file and the agents' command lines: what a user would write and type.

use std::ffi::OsString;
use std::path::Path;

use super::{LEASE_TTL, RECORDER_SET, SET};

/// The gateway's file.
pub(super) fn config(place: &Path, admin: u16, gateway: u16, evict: u16) -> String {
    let place = place.display().to_string();
    let ttl = LEASE_TTL.as_secs();
    format!(
        r#"state_dir = {place:?}

[admin]
listen = "127.0.0.1:{admin}"

# Three copies, of which one answers.
[sets.{SET}]
kind = "single"
lease_ttl = "{ttl}s"

# Recorders, and every camera at home at one of them. They report which cameras are there. A camera that lost its home
# returns when the home is back.
[sets.{RECORDER_SET}]
kind = "sticky"
client = "query:camera"
weight = "query:mbps"
presence = "report"
idle_after = "30s"
return_home = "always"
evict = "http://127.0.0.1:{evict}/evict/{{client}}"

[[listeners]]
listen = "127.0.0.1:{gateway}"
linger = "0s"
routes = [
    {{ path = "/ingest/control/", set = "{RECORDER_SET}", answer = "redirect", endpoint = "control" }},
    {{ path = "/ingest/", set = "{RECORDER_SET}", answer = "redirect" }},
    {{ path = "/", set = "{SET}" }},
]
"#
    )
}

/// What all command lines have in common.
pub(super) struct Ground<'a> {
    /// This program.
    pub(super) program: &'a Path,
    /// The demo's directory.
    pub(super) place: &'a Path,
    /// The port of the API, and of the store.
    pub(super) admin: u16,
}

impl Ground<'_> {
    /// The agent of a copy of the single set.
    pub(super) fn copy(&self, name: &str, probe: u16) -> Vec<OsString> {
        let mut words = self.agent(SET, name, probe);
        words.flag("--endpoint", "http=auto");
        words.flag("--check", "http://127.0.0.1:{http.port}/healthz");
        words.command(self.program, &["demo-app", "--listen", "127.0.0.1:{http.port}"]);
        words.0
    }

    /// The agent of a recorder, whose addresses stay the same whenever it is started.
    pub(super) fn recorder(&self, name: &str, capacity: u32, http: u16, control: u16, probe: u16) -> Vec<OsString> {
        let mut words = self.agent(RECORDER_SET, name, probe);
        words.flag("--capacity", capacity.to_string());
        words.flag("--endpoint", format!("http=http://127.0.0.1:{http}"));
        words.flag("--endpoint", format!("control=http://127.0.0.1:{control}"));
        words.flag("--check", format!("http://127.0.0.1:{http}/healthz"));
        let (http, control) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{control}"));
        words.command(self.program, &["demo-recorder", "--listen", &http, "--control", &control]);
        words.0
    }

    fn agent(&self, set: &str, name: &str, probe: u16) -> Words {
        let mut words = Words(vec!["agent".into()]);
        words.flag("--store", format!("http://127.0.0.1:{}", self.admin));
        words.flag("--token-file", self.place.join("admin.token"));
        words.flag("--state-dir", self.place);
        words.flag("--set", set);
        words.flag("--instance", name);
        words.flag("--advertise", "127.0.0.1");
        words.flag("--probe", format!("127.0.0.1:{probe}"));
        words
    }
}

/// The words of a command line.
struct Words(Vec<OsString>);

impl Words {
    fn flag(&mut self, flag: &str, value: impl AsRef<std::ffi::OsStr>) {
        self.0.extend([flag.into(), value.as_ref().to_owned()]);
    }

    fn command(&mut self, program: &Path, arguments: &[&str]) {
        self.0.extend(["--".into(), program.into()]);
        self.0.extend(arguments.iter().map(OsString::from));
    }
}

/// The whole command. Flags of ours that stand in the environment were meant for the demo, not for its parts.
pub(super) fn argv(program: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("STEADFAST_"));
    let mut words: Vec<OsString> = Vec::new();
    for name in ours {
        words.extend(["-u".into(), name]);
    }
    if !words.is_empty() {
        words.insert(0, "env".into());
    }
    words.push(program.into());
    words.extend(arguments);
    words
}
