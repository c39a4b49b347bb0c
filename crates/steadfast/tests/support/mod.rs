//! The harness of the black-box tests: a directory, processes, ports, a small HTTP client, and a steady client.
//!
//! A test knows only what a user knows: the program, its files, its addresses, its processes. Everything a
//! [`Sandbox`] starts is gone when it is dropped, also after a panic, and a failed test prints the logs.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses its own part of the harness")]

mod browser;
mod cluster;
mod homes;
mod http;
mod installation;
mod load;
mod machine;
mod one_tier;
mod ports;
mod process;
mod sandbox;
mod signal;
mod stores;

use std::time::{Duration, Instant};

pub use browser::{Browser, Key};
pub use cluster::{Cluster, DEFAULT_TTL, Member, STORE_DISK, gateway_config, start_app, store_url};
pub use homes::{Home, Homes};
pub use http::{Answer, Connection, get, post};
pub use installation::{Installation, Role};
pub use load::{Load, Outcome, Pace, Report, Sample};
pub use machine::{Ballast, FailingDisk, SmallDisk};
pub use one_tier::any_machine_takes_the_first_request;
pub use ports::free_port;
pub use process::{Ended, Process};
pub use sandbox::Sandbox;
pub use signal::Signal;
pub use stores::sandbox_on;

/// How long a test waits for something that should happen soon: long enough for a loaded machine.
pub const SOON: Duration = Duration::from_secs(60);

/// How long a polling test rests between two looks.
const REST: Duration = Duration::from_millis(5);

/// Looks at `condition` again and again until it holds; panics with `what` if it does not within `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Like [`wait_until`], for a condition that comes with a value.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(REST);
    }
}

/// Makes sure that `condition` holds at every look for the whole of `time`.
#[track_caller]
pub fn holds_for(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < time {
        assert!(condition(), "after {:?} it no longer held that {what}", began.elapsed());
        std::thread::sleep(REST);
    }
}
