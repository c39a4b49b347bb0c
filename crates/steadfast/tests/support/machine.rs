//! What can go wrong with one machine, brought about on purpose: a disk that is full, or fails, or cannot be written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::process::Process;
use super::sandbox::Sandbox;
use super::{SOON, wait_until};

const FAILING_DISK: &str = include_str!("failing_disk.c");

/// A small file system of its own, in a mount namespace that only the processes put into it see. Needs root.
pub struct SmallDisk {
    holder: Process,
    /// Where its files are for the test, which does not live in that namespace.
    root: PathBuf,
    prefix: Vec<String>,
}

impl SmallDisk {
    /// Mounts one of so many bytes at `name` in the sandbox.
    pub fn mount(sandbox: &Sandbox, name: &str, bytes: u64) -> SmallDisk {
        let place = sandbox.path(name);
        fs::create_dir_all(&place).expect("make the mount point");
        let script = format!("mount -t tmpfs -o size={bytes},mode=700 none '{}' && exec sleep inf", place.display());
        let mut command = sandbox.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let holder = sandbox.spawn(&format!("disk-{name}"), &mut command);
        let root = PathBuf::from(format!("/proc/{}/root{}", holder.pid(), place.display()));
        let mounted = || {
            let mounts = fs::read_to_string(format!("/proc/{}/mounts", holder.pid())).unwrap_or_default();
            mounts.lines().any(|line| line.split(' ').nth(1) == place.to_str())
        };
        wait_until("the disk to be mounted (this needs root)", SOON, mounted);
        let enter = ["nsenter", "--mount", "--target", &holder.pid().to_string(), "--", "sh", "-c"].map(str::to_owned);
        let there = ["cd \"$0\" && exec \"$@\"".to_owned(), sandbox.dir().display().to_string()];
        let prefix = enter.into_iter().chain(there).collect();
        SmallDisk { holder, root, prefix }
    }

    /// What a command is put behind to see the disk.
    pub fn prefix(&self) -> Vec<String> {
        self.prefix.clone()
    }

    /// A file on it, for the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Takes every byte of it, and whatever becomes free, until that is dropped.
    pub fn fill(&self) -> Ballast {
        let path = self.path("ballast");
        let stop = Arc::new(AtomicBool::new(false));
        let mut file = File::create(&path).expect("make the ballast");
        let full = Arc::new(AtomicBool::new(false));
        let (ended, seen) = (Arc::clone(&stop), Arc::clone(&full));
        let thread = std::thread::spawn(move || {
            let block = [7; 64 << 10];
            while !ended.load(Ordering::Relaxed) {
                if file.write_all(&block).is_err() {
                    seen.store(true, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        wait_until("the disk to be full", SOON, || full.load(Ordering::Relaxed));
        Ballast { path, stop, thread: Some(thread) }
    }
}

/// What fills a disk. Dropped, it is gone.
pub struct Ballast {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        fs::remove_file(&self.path).ok();
    }
}

/// A directory whose files fail when they are told to, under processes that are put behind [`FailingDisk::prefix`].
pub struct FailingDisk {
    files: PathBuf,
    kept: PathBuf,
    order: PathBuf,
    prefix: Vec<String>,
}

impl FailingDisk {
    /// Makes the directory `name`, and what fails in it.
    pub fn make(sandbox: &Sandbox, name: &str) -> FailingDisk {
        let at = |suffix: &str| sandbox.path(&format!("{name}{suffix}"));
        let (files, kept, order, library) = (at(""), at("-kept"), at("-order"), at(".so"));
        let source = sandbox.write(&format!("{name}.c"), FAILING_DISK);
        for directory in [&files, &kept] {
            fs::create_dir_all(directory).expect("make a directory");
        }
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        assert!(compile.stdin(Stdio::null()).status().expect("start cc").success(), "the failing disk compiles");
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        let prefix = vec![
            "env".to_owned(),
            set("LD_PRELOAD", &library),
            // The true path, as the kernel tells it of an open file.
            set("FAILING_DISK_FILES", &files.canonicalize().expect("it is there")),
            set("FAILING_DISK_ORDER", &order),
            set("FAILING_DISK_KEPT", &kept),
        ];
        FailingDisk { files, kept, order, prefix }
    }

    pub fn prefix(&self) -> Vec<String> {
        self.prefix.clone()
    }

    /// From now on this fails: `sync EIO`, `write ENOSPC`, `write EROFS`.
    pub fn fail(&self, what: &str) {
        // Whole or not at all: it is read meanwhile.
        let fresh = self.order.with_extension("new");
        fs::write(&fresh, what).expect("write the order");
        fs::rename(fresh, &self.order).expect("give the order");
    }

    /// From now on it works again.
    pub fn work(&self) {
        fs::remove_file(&self.order).expect("take the order back");
    }

    /// The power is lost and comes back. Whoever used the disk must be dead.
    pub fn lose_power(&self) {
        for entry in fs::read_dir(&self.files).expect("list the files").flatten() {
            fs::remove_file(entry.path()).expect("remove a file");
        }
        for entry in fs::read_dir(&self.kept).expect("list what was kept").flatten() {
            fs::copy(entry.path(), self.files.join(entry.file_name())).expect("put back what was kept");
        }
    }
}
