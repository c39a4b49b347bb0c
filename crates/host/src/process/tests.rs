use std::time::Duration;

use super::*;
use crate::clock;

const SOON: Duration = Duration::from_secs(10);

fn sh(script: &str) -> Spec {
    Spec::new(["sh", "-c", script])
}

async fn exit_of(group: &Group) -> Exit {
    clock::timeout_at(clock::now() + SOON, group.exited()).await.expect("the program ends in time")
}

#[tokio::test]
async fn an_exit_is_told_as_it_was() {
    for (script, exit, code) in [
        ("exit 0", Exit::Code(0), 0),
        ("exit 3", Exit::Code(3), 3),
        ("kill -TERM $$", Exit::Signal(libc::SIGTERM), 143),
        ("kill -9 $$", Exit::Signal(libc::SIGKILL), 137),
    ] {
        let group = Group::spawn(&sh(script)).await.unwrap();
        assert_eq!(exit_of(&group).await, exit, "{script}");
        assert_eq!(group.exit(), Some(exit));
        assert_eq!(exit.code(), code);
        assert!(group.wait_empty(clock::now() + SOON).await);
    }
    assert_eq!(Exit::Signal(libc::SIGKILL).to_string(), "killed by SIGKILL");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        path
    };
    for (spec, why, code) in [
        (Spec::new(["no-such-command-here"]), "there is no such command in PATH", 127),
        (Spec::new(["./no/such/file"]), "there is no such file", 127),
        (Spec::new([dir.path()]), "it is a directory", 126),
        (Spec::new([file("plain", "#!/bin/sh\n", 0o644)]), "it is not executable by this user (chmod +x?)", 126),
        (
            Spec::new([file("bad", "#!/no/such/sh\n", 0o755)]),
            "the interpreter named in its first line does not exist",
            126,
        ),
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
    }
}

#[tokio::test]
async fn a_program_that_ignores_requests_is_killed_with_its_group() {
    let spec =
        sh("trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo ready; while :; do sleep 0.05; done");
    let mut group = Group::spawn(&spec.output(Output::Piped)).await.unwrap();
    let mut ready = [0; 6];
    tokio::io::AsyncReadExt::read_exact(group.stdout.as_mut().unwrap(), &mut ready).await.unwrap();
    assert!(!group.is_empty());
    let stop = clock::timeout_at(clock::now() + SOON, group.stop(Duration::from_millis(100)));
    assert_eq!(stop.await, Some(Exit::Signal(libc::SIGKILL)));
    assert!(group.is_empty());
    assert!(
        group.signal(Signal::TERM).is_err() && group.signal_group(Signal::TERM).is_err(),
        "its id may be anybody's"
    );
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
