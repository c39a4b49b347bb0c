//! A server under measurement: started on one core, its processor time read, ended.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client::{Signal, get};
use crate::process;

/// How long a server may take to answer for the first time, and to end when asked to.
const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(3);

/// A running server; dropped, it is ended with its whole group.
pub(super) struct Server {
    name: String,
    child: Child,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts `command` on `core` (any core without one), its output in `<dir>/<name>.log`.
    pub(super) fn start(name: &str, command: &[&str], core: Option<usize>, dir: &Path) -> Result<Server> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        let errors = output.try_clone().context("share the log")?;
        let [program, args @ ..] = command else { bail!("start {name}: no program") };
        let program = process::find(program).with_context(|| format!("find {program}"))?;
        // Ended with us, also when we are killed.
        let mut line = Command::new("setpriv");
        line.args(["--pdeathsig", "TERM", "--"]);
        if let Some(core) = core {
            line.args(["taskset", "-c", &core.to_string()]);
        }
        line.arg(program).args(args).current_dir(dir).process_group(0);
        line.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = line.spawn().with_context(|| format!("start `{}`", process::shown(&line)))?;
        Ok(Server { name: name.to_owned(), child, log })
    }

    /// Waits until `url` answers 200.
    pub(super) fn wait_until_answering(&mut self, url: &str) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !get(url).is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                bail!("{} does not answer {url} after {START_LIMIT:?}: {}", self.name, self.last_words());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// User and system time of the server and all its descendants so far.
    pub(super) fn cpu_time(&self) -> Duration {
        cpu_time_of(self.child.id())
    }

    /// Whether it is there no more.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Bytes of memory the server has now. (What stands before it on its command line has become it.)
    pub(super) fn memory_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        parse_memory(&status).with_context(|| format!("find VmRSS in {path}"))
    }

    /// Sends a signal to the server and all it started.
    pub(super) fn signal(&self, signal: Signal) {
        signal.send_to_group(self.child.id());
    }

    /// Ends the server at once, without a word to it.
    pub(super) fn kill(mut self) {
        self.signal(Signal::Kill);
        self.child.wait().ok();
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        Signal::Term.send_to_group(self.child.id());
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Signal::Kill.send_to_group(self.child.id());
        self.child.wait().ok();
    }
}

/// The unit of `/proc/<pid>/stat`: `USER_HZ`, which Linux shows to programs as 100 on every platform Rust runs on.
const TICKS_A_SECOND: u64 = 100;

/// User and system time of a process and all its descendants so far.
pub(super) fn cpu_time_of(pid: u32) -> Duration {
    let ticks: u64 = tree(pid).into_iter().filter_map(ticks_of).sum();
    Duration::from_millis(1_000 / TICKS_A_SECOND * ticks)
}

fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        found.extend(
            lists.flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<u32>>()),
        );
        next += 1;
    }
    found
}

fn ticks_of(pid: u32) -> Option<u64> {
    parse_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// User and system time out of `/proc/<pid>/stat`; the name in parentheses may hold anything, also parentheses.
pub(super) fn parse_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Resident bytes out of `/proc/<pid>/status`.
pub(super) fn parse_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Writes `template` into `dir` as `name` with each `{{key}}` replaced, and returns where it is.
pub(super) fn configure(dir: &Path, name: &str, template: &str, values: &[(&str, &str)]) -> Result<String> {
    let path = dir.join(name);
    fs::write(&path, fill(template, values)?).with_context(|| format!("write {}", path.display()))?;
    Ok(path.display().to_string())
}

pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let filled =
        values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value));
    match filled.find("{{") {
        Some(at) => bail!("nothing to put in at `{}`", filled[at..].lines().next().unwrap_or_default()),
        None => Ok(filled),
    }
}
