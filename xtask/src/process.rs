//! Other programs: run with a time limit, their output passed on line by line while it is read.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long output is still awaited after the program itself has ended: a child it left may hold the pipe open.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);

/// Runs `command` and hands each line of its standard output to `on_line`; standard error goes to ours.
///
/// A program still running after `limit` is killed, and that is an error.
pub(crate) fn stream(command: &mut Command, limit: Duration, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let name = shown(command);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("start `{name}`"))?;
    let lines = lines_of(child.stdout.take().context("take the program's output")?);
    let deadline = Instant::now() + limit;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => on_line(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        match ended {
            Some((_, since)) if since.elapsed() > OUTPUT_GRACE => break,
            Some(_) => {}
            None => ended = child.try_wait()?.map(|status| (status, Instant::now())),
        }
        if ended.is_none() && Instant::now() > deadline {
            kill(&mut child);
            bail!("`{name}` was still running after {} s and was killed", limit.as_secs());
        }
    }
    match ended {
        Some((status, _)) => Ok(status),
        None => wait_until(&mut child, deadline, &name),
    }
}

/// Runs `command` to its end and returns its status and whole output; for short programs.
pub(crate) fn capture(command: &mut Command) -> Result<(ExitStatus, String)> {
    let name = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{name}`"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status, text))
}

/// Whether `command` can be started and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Where `program` is installed: in `PATH`, or where Debian keeps servers, which a user's `PATH` often lacks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(servers).chain(postgres_versions());
    places.map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Where Debian keeps each version of PostgreSQL it has.
fn postgres_versions() -> impl Iterator<Item = PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    versions.flatten().map(|version| version.path().join("bin"))
}

/// The command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            if send.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    lines
}

fn wait_until(child: &mut Child, deadline: Instant, name: &str) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            kill(child);
            bail!("`{name}` closed its output but did not end, and was killed");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills and collects `child`; one that has already ended needs neither.
fn kill(child: &mut Child) {
    if child.kill().is_ok() {
        child.wait().ok();
    }
}
