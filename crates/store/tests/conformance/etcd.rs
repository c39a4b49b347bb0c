//! etcd, on real servers.

mod failures;
mod history;
mod rights;
mod support;

use std::sync::Arc;
use std::time::Duration;

use steadfast_store::conformance::servers::{Kind, Options, Server, shared};
use steadfast_store::conformance::{Fixture, Later};

use super::FAULTS;

/// More than what etcd's watch tells at once; it forgets nothing unless it is told to.
const LOG_COMMITS: usize = 256;

fn on(server: &Server) -> Fixture {
    // Clauses wait for proofs of contact, which a process wants less often.
    let place = server.fresh_place().with("pace=50ms");
    Fixture::of_all(vec![place.open(), place.open()], LOG_COMMITS, Duration::from_secs(30))
}

/// A place in the server that all share. Whoever has it forget has one of its own.
fn fixture() -> Fixture {
    let alone: Later<Fixture> = Box::pin(async {
        let server = Arc::new(Server::etcd(&Options::default()));
        let fixture = on(&server);
        let forgetful = Arc::clone(&server);
        let trim = move || -> Later<()> {
            support::compact(&forgetful);
            Box::pin(std::future::ready(()))
        };
        Fixture { trim: Some(Box::new(trim)), keep: Box::new(server), ..fixture }
    });
    Fixture { alone: Some(alone), ..on(shared(Kind::Etcd)) }
}

steadfast_store::conformance!(plain, || async { fixture() });
steadfast_store::conformance!(through_faults, || async {
    fixture().through_faults(FAULTS, Duration::from_millis(600))
});
