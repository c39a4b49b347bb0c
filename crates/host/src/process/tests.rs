use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::table::Entry;
use super::*;
use crate::clock;
use crate::shutdown::Shutdown;

const SOON: Duration = Duration::from_secs(30);

fn sh(script: &str) -> Spec {
    Spec::new(["sh", "-c", script])
}

async fn exit_of(group: &Group) -> Exit {
    clock::timeout_at(clock::now() + SOON, group.exited()).await.expect("the program ends in time")
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(clock::timeout_at(clock::now() + SOON, wait).await.is_some(), "not in time: {what}");
}

fn all(belongs: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    table::entries().unwrap().into_iter().filter(|entry| belongs(entry)).collect()
}

/// The guardian of process `parent`, which may be a moment without one.
fn guardian_of(parent: i32) -> Option<Entry> {
    let is_guard = |pid| std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"steadfast-guard\n");
    all(|entry| entry.parent == parent && !entry.ended && is_guard(entry.pid)).first().copied()
}

fn members(group: i32) -> usize {
    all(|entry| entry.group == group && !entry.ended).len()
}

async fn line(group: &mut Group) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(char::from(group.stdout.as_mut().unwrap().read_u8().await.unwrap()));
    }
    line.trim_end().to_string()
}

#[tokio::test]
async fn an_exit_is_told_as_it_was_to_everybody() {
    for (script, exit, code) in [
        ("exit 0", Exit::Code(0), 0),
        ("exit 3", Exit::Code(3), 3),
        ("kill -TERM $$", Exit::Signal(libc::SIGTERM), 143),
        ("kill -9 $$", Exit::Signal(libc::SIGKILL), 137),
    ] {
        let group = Group::spawn(&sh(script)).await.unwrap();
        assert_eq!(tokio::join!(exit_of(&group), exit_of(&group)), (exit, exit), "{script}");
        assert_eq!((group.exit(), exit.code()), (Some(exit), code));
        assert!(group.wait_empty(clock::now() + SOON).await);
        assert_eq!(exit_of(&group).await, exit, "it is still known when nothing is left");
    }
    assert_eq!(Exit::Signal(libc::SIGKILL).to_string(), "killed by SIGKILL");
    assert_eq!(Exit::Code(7).to_string(), "exit code 7");
}

#[tokio::test]
async fn a_program_starts_in_a_clean_state() {
    let spec =
        sh("echo $$ $(cut -d' ' -f5 /proc/$$/stat) $FRUIT $(pwd) $(readlink /proc/$$/fd/0); exec ls /proc/self/fd");
    let spec = Spec { cwd: Some("/proc".into()), ..spec.env("FRUIT", "pear") };
    let ran = run(&spec, SOON, 4096).await.unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let words: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!(words[0], words[1], "it leads a group of its own");
    assert_eq!(words[2..], ["pear", "/proc", "/dev/null"]);
    // Whoever started the test may have left some open for everybody.
    let plain = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
    assert_eq!(
        lines[1..].join("\n"),
        String::from_utf8(plain.stdout).unwrap().trim_end(),
        "it has a descriptor of ours"
    );
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    // Written by another process: what this one has open for writing, a child forked by another test may have, too,
    // and then it cannot be executed (ETXTBSY).
    let file = |name: &str, content: &str, mode: &str| {
        let path = dir.path().join(name);
        let script = "printf '%s\\n' \"$2\" > \"$1\" && chmod \"$3\" \"$1\"";
        let made = Command::new("sh").args(["-c", script, "sh"]).arg(&path).args([content, mode]).status();
        assert!(made.unwrap().success());
        path
    };
    let bad_interpreter = file("bad", "#!/no/such/sh", "755");
    let mut foreseen = 0;
    for (spec, why, code) in [
        (Spec::new(["no-such-command-here"]), "there is no such command in PATH", 127),
        (Spec::new(["./no/such/file"]), "there is no such file", 127),
        (Spec::new([dir.path()]), "it is a directory", 126),
        (Spec::new([file("plain", "#!/bin/sh", "644")]), "it is not executable by this user (chmod +x?)", 126),
        (Spec::new([bad_interpreter]), "the interpreter named in its first line does not exist", 126),
        (
            Spec { cwd: Some("/no/such/dir".into()), ..sh("true") },
            "its working directory /no/such/dir does not exist",
            126,
        ),
        (Spec::default(), "the command is empty", 126),
    ] {
        let error = Group::spawn(&spec).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot start {}: {why}", spec.program()));
        assert_eq!(error.exit_code(), code);
        if let Err(told) = spec.check() {
            assert_eq!((told.to_string(), told.exit_code()), (error.to_string(), code));
            foreseen += 1;
        }
    }
    assert_eq!(foreseen, 5, "all but what only the kernel or the working directory knows");
    Spec::new(["sh"]).check().unwrap();
    Spec::new(["/bin/sh"]).check().unwrap();
}

#[tokio::test]
async fn stopping_lets_the_program_end_first_and_then_what_it_left() {
    let worker = "trap 'echo worker asked; exit' TERM; echo worker up; while :; do sleep 0.02; done";
    let spec = Spec::new(["sh", "-c", "trap 'echo leader asked; exit 5' TERM; sh -c \"$WORKER\" & wait"]);
    let mut group = Group::spawn(&spec.env("WORKER", worker).output(Output::Piped)).await.unwrap();
    assert_eq!(line(&mut group).await, "worker up");
    assert_eq!(clock::timeout_at(clock::now() + SOON, group.stop(SOON)).await, Some(Exit::Code(5)));
    assert_eq!(line(&mut group).await, "leader asked");
    assert_eq!(line(&mut group).await, "worker asked");
    assert!(group.is_empty());
}

#[tokio::test]
async fn a_stopped_program_can_be_stopped() {
    let mut group = Group::spawn(&sh("echo up; kill -STOP $$; sleep 60").output(Output::Piped)).await.unwrap();
    assert_eq!(line(&mut group).await, "up");
    let exit = clock::timeout_at(clock::now() + SOON, group.stop(SOON)).await;
    assert_eq!(exit, Some(Exit::Signal(libc::SIGTERM)));
}

#[tokio::test]
async fn a_program_that_ignores_requests_is_killed_with_its_group() {
    let spec =
        sh("trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo ready; while :; do sleep 0.05; done");
    let mut group = Group::spawn(&spec.output(Output::Piped)).await.unwrap();
    assert_eq!(line(&mut group).await, "ready");
    assert!(!group.is_empty());
    let stop = clock::timeout_at(clock::now() + SOON, group.stop(Duration::from_millis(100)));
    assert_eq!(stop.await, Some(Exit::Signal(libc::SIGKILL)));
    assert!(group.is_empty());
    assert_eq!(members(group.pid()), 0);
    assert!(
        group.signal(Signal::TERM).is_err() && group.signal_group(Signal::TERM).is_err(),
        "its id may be anybody's"
    );
}

#[tokio::test]
async fn a_group_is_not_empty_while_a_grandchild_runs() {
    let mut group = Group::spawn(&sh("sleep 60 & echo $!; exit 1").output(Output::Piped)).await.unwrap();
    let grandchild: i32 = line(&mut group).await.parse().unwrap();
    assert_eq!(exit_of(&group).await, Exit::Code(1));
    assert!(!group.is_empty() && !group.wait_empty(clock::now() + Duration::from_millis(30)).await);
    group.kill();
    assert!(group.wait_empty(clock::now() + SOON).await);
    assert!(table::entry(grandchild).unwrap().is_none_or(|entry| entry.ended));
}

#[tokio::test]
async fn a_dropped_group_leaves_nothing_behind() {
    let mut group = Group::spawn(&sh("sleep 60 & echo up; sleep 60").output(Output::Piped)).await.unwrap();
    assert_eq!(line(&mut group).await, "up");
    let pid = group.pid();
    drop(group);
    // What it left behind is init's to reap, which in a container may never do so.
    let is_gone = || members(pid) == 0 && table::entry(pid).unwrap().is_none();
    eventually("the group is gone, the program reaped", is_gone).await;
}

#[test]
fn a_program_outlives_the_thread_that_asked_for_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asking = std::thread::spawn(move || {
        let runtime = runtime();
        (runtime.block_on(Group::spawn(&sh("sleep 60"))).unwrap(), runtime)
    });
    let (group, runtime) = asking.join().unwrap();
    // The kernel's signal for a parent thread's death would be there at once.
    let exited = async { clock::timeout_at(clock::now() + Duration::from_millis(50), group.exited()).await };
    assert_eq!(runtime.block_on(exited), None);
}

#[tokio::test]
async fn output_is_collected_and_bounded() {
    let ran = run(&sh("echo out; echo err >&2; exit 4"), SOON, 100).await.unwrap();
    assert_eq!(ran, Ran { exit: Exit::Code(4), stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec() });
    let ran = run(&sh("head -c 1000000 /dev/zero"), SOON, 100).await.unwrap();
    assert_eq!((ran.exit, ran.stdout.len()), (Exit::Code(0), 100));
    let ran = run(&sh("sleep 60 & echo done"), SOON, 100).await.unwrap();
    assert_eq!(ran.stdout, b"done\n", "what it leaves in the background does not hold us up");
    let error = run(&sh("sleep 60"), Duration::from_millis(50), 100).await.unwrap_err();
    assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
}

/// A program in a group of its own that nobody guards, as a killed agent might have left it.
fn unguarded(script: &str) -> (Child, GroupId) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdout(Stdio::piped());
    let mut child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
    let mut up = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut up).unwrap();
    let id = GroupId::of(&table::entry(child.id().cast_signed()).unwrap().unwrap()).unwrap();
    (child, id)
}

#[tokio::test]
async fn a_group_of_a_former_life_is_ended_with_or_without_its_leader() {
    for script in ["sleep 60 & echo up; sleep 60", "sleep 60 & echo up; exec sleep 60"] {
        let (mut child, id) = unguarded(script);
        let id: GroupId = id.to_string().parse().unwrap();
        eventually("all of it runs", || members(id.group()) >= 2).await;
        assert!(end_stale(&id, SOON).await.unwrap());
        assert_eq!(members(id.group()), 0);
        child.wait().unwrap();
    }
    let (mut child, id) = unguarded("sleep 60 & echo up");
    child.wait().unwrap();
    assert_eq!(members(id.group()), 1, "the leader is gone, its child is not");
    assert!(end_stale(&id, SOON).await.unwrap());
    assert_eq!(members(id.group()), 0);
    assert!(!end_stale(&id, SOON).await.unwrap(), "there is nothing left");
}

#[tokio::test]
async fn a_stranger_with_the_same_number_is_spared() {
    let (mut child, id) = unguarded("echo up; exec sleep 60");
    let text = id.to_string();
    let parts: Vec<&str> = text.split('/').collect();
    let [boot, group, session, started] = parts[..] else { panic!("{text}") };
    let started: u64 = started.parse().unwrap();
    for other in [
        format!("another-boot/{group}/{session}/{started}"),
        format!("{boot}/{group}/{session}/{}", started + 1),
        format!("{boot}/{group}/{session}/{}", started - 1),
    ] {
        assert!(!end_stale(&other.parse().unwrap(), SOON).await.unwrap(), "{other}");
        assert_eq!(members(id.group()), 1);
    }
    for broken in ["", "b/1/1/1", "b/-7/1/1", "b/7/1", "/7/1/1", "b/7/1/x", "b/7/1/1/1"] {
        assert_eq!(broken.parse::<GroupId>(), Err(BadGroupId), "{broken}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Says in a child process which part of a test it plays.
const PART: &str = "STEADFAST_TEST_PART";

/// A process of ours that plays the other part of a test, and ends with it at the latest.
struct OtherPart(Child);

impl OtherPart {
    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for OtherPart {
    fn drop(&mut self) {
        // Fails where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the test that calls it again, as a process of its own, to play its other part.
fn other_part() -> OtherPart {
    let test = std::thread::current().name().unwrap().to_string();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture", "--test-threads=1"]).env(PART, &test);
    OtherPart(command.stdout(Stdio::piped()).spawn().unwrap())
}

fn plays_other_part() -> bool {
    std::env::var_os(PART).is_some()
}

/// A process of ours that plays the other part, the group it has started, and its guardian.
async fn supervising(members_wanted: usize) -> (OtherPart, i32, i32) {
    let mut us = other_part();
    let lines = BufReader::new(us.0.stdout.take().unwrap()).lines();
    let told = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("group ")?.parse().ok());
    let group: i32 = told.expect("it says which group it started");
    eventually("the group is complete", || members(group) >= members_wanted).await;
    eventually("there is a guardian", || guardian_of(us.pid()).is_some()).await;
    let guardian = guardian_of(us.pid()).unwrap();
    assert_eq!(guardian.session, guardian.pid, "it stands apart, in a session of its own");
    (us, group, guardian.pid)
}

async fn supervise(script: &str) {
    let group = Group::spawn(&sh(script)).await.unwrap();
    println!("\ngroup {}", group.pid());
    std::future::pending::<()>().await;
}

fn has_ended(pid: i32) -> bool {
    table::entry(pid).unwrap().is_none_or(|entry| entry.ended)
}

#[tokio::test]
async fn when_we_are_killed_nothing_of_the_group_survives() {
    if plays_other_part() {
        supervise("trap '' TERM HUP INT; sleep 60 & (sleep 60 & sleep 60) & sleep 60").await;
    }
    let (mut us, group, guardian) = supervising(5).await;
    us.kill();
    eventually("the whole group is gone", || members(group) == 0).await;
    eventually("its guardian is gone", || has_ended(guardian)).await;
}

#[tokio::test]
async fn when_our_guardian_is_killed_with_us_the_program_still_dies() {
    if plays_other_part() {
        supervise("exec sleep 60").await;
    }
    let (mut us, group, guardian) = supervising(1).await;
    crate::sys::signal_process(guardian, libc::SIGKILL).unwrap();
    eventually("the guardian is gone", || has_ended(guardian)).await;
    assert_eq!(members(group), 1);
    us.kill();
    eventually("the program is gone", || members(group) == 0).await;
}

#[tokio::test]
async fn a_guardian_that_is_killed_has_a_successor() {
    if plays_other_part() {
        supervise("sleep 60 & sleep 60").await;
    }
    let (mut us, group, first) = supervising(3).await;
    crate::sys::signal_process(first, libc::SIGKILL).unwrap();
    let successor = || guardian_of(us.pid()).filter(|guardian| guardian.pid != first);
    eventually("there is another guardian", || successor().is_some()).await;
    let second = successor().unwrap().pid;
    us.kill();
    eventually("the whole group is gone", || members(group) == 0).await;
    eventually("the second guardian is gone", || has_ended(second)).await;
}

#[tokio::test]
async fn orphans_are_reaped_and_our_own_children_are_not() {
    if plays_other_part() {
        become_subreaper().unwrap();
        let shutdown = Shutdown::new();
        let reaper = tokio::spawn(reap_orphans(shutdown.clone()));
        let ours = std::process::id().cast_signed();
        let mut groups = Vec::new();
        for code in 1..=20 {
            let group = Group::spawn(&sh(&format!("setsid sleep 60 & exit {code}"))).await.unwrap();
            groups.push((group, code));
        }
        eventually("there is a guardian", || guardian_of(ours).is_some()).await;
        let guardian = guardian_of(ours).unwrap().pid;
        let known: Vec<i32> = groups.iter().map(|(group, _)| group.pid()).chain([guardian]).collect();
        let inherited = || all(|entry| entry.parent == ours && !known.contains(&entry.pid));
        eventually("all orphans are inherited", || inherited().len() == 20).await;
        inherited().iter().for_each(|orphan| crate::sys::signal_process(orphan.pid, libc::SIGKILL).unwrap());
        eventually("all orphans are reaped", || inherited().is_empty()).await;
        for (group, code) in &groups {
            assert_eq!(exit_of(group).await, Exit::Code(*code), "its status was stolen");
        }
        drop(groups);
        let children = || all(|entry| entry.parent == ours && entry.pid != guardian);
        eventually("all of our own children are reaped", || children().is_empty()).await;
        shutdown.begin();
        reaper.await.unwrap().unwrap();
        return;
    }
    let mut us = other_part();
    assert!(us.0.wait().unwrap().success(), "the other part failed");
}
