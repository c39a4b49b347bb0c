//! The whole system on the servers of other engines: what the tests of our own store say must hold there as well,
//! under whatever happens to such a server.

mod cuts;
mod outage;
mod rollback;
#[path = "../support/mod.rs"]
mod support;

use std::thread;
use std::time::Duration;

use cuts::gateways_agree_by_nothing_but_the_store;
use outage::everybody_gets_what_is_promised_while_the_store_is_away;
use rollback::a_store_that_goes_back_is_noticed_and_has_no_second_leader;
use steadfast_store::conformance::servers::{Kind, Options, Place, Server};
use support::{
    Cluster, Home, Homes, Load, Member, Report, SOON, Sandbox, Signal, any_machine_takes_the_first_request, get,
    holds_for, sandbox_on, wait_until,
};

/// Each story on a server of this kind, and those that only some kinds are told.
macro_rules! on {
    ($module:ident, $kind:expr $(, $more:ident)*) => {
        mod $module {
            use super::*;

            story!($kind, a_leader_dies_and_no_request_fails);
            story!($kind, a_leader_whose_store_stands_still_stops_in_time);
            story!($kind, a_camera_has_one_home_and_keeps_it);
            story!($kind, gateways_agree_by_nothing_but_the_store);
            story!($kind, everybody_gets_what_is_promised_while_the_store_is_away);
            $(story!($kind, $more);)*
        }
    };
}

macro_rules! story {
    ($kind:expr, $story:ident) => {
        #[test]
        fn $story() {
            super::$story($kind);
        }
    };
}

/// A server for one test.
fn server(kind: Kind) -> Server {
    let usual = Options::default();
    match kind {
        Kind::Etcd => Server::etcd(&usual),
        Kind::Redis => Server::redis(&usual),
        Kind::Postgres => Server::postgres(&usual),
        Kind::Azurite => Server::azurite(&usual),
        Kind::Sentinel | Kind::PgBouncer => panic!("{kind:?} has no store by itself"),
    }
}

fn sandbox(name: &str, server: &Server) -> Sandbox {
    sandbox_at(name, &server.fresh_place(), server)
}

/// One whose processes share this place on it.
fn sandbox_at(name: &str, place: &Place, server: &Server) -> Sandbox {
    sandbox_on(name, &place.url(), server.secret())
}

/// The leader's machine dies under load: another follows when its time is up, and clients only wait.
fn a_leader_dies_and_no_request_fails(kind: Kind) {
    let server = server(kind);
    let cluster = Cluster::start_in(sandbox("dies", &server));
    let (former, epoch) = (cluster.leader().name.clone(), cluster.epoch());
    let clients: Vec<Load> = (0..2).map(|_| Load::start(&cluster.url())).collect();
    wait_until("answers", SOON, || clients.iter().all(|client| client.served() > 10));
    cluster.leader().signal_all(Signal::Kill);
    let by_another = |client: &Load| client.so_far().turns().last().is_some_and(|by| *by != former);
    wait_until("every client to be answered by another", SOON, || clients.iter().all(by_another));
    let report = Report::merge(clients.into_iter().map(Load::stop));
    assert!(report.failures().is_empty(), "{:?}", report.failures().first());
    report.assert_one_active();
    assert!(cluster.epoch() > epoch, "a new leader has a new epoch");
}

/// Whoever cannot renew its lease stops, and nobody else leads; when the server goes on, or is started again, so does all
/// else.
fn a_leader_whose_store_stands_still_stops_in_time(kind: Kind) {
    let mut server = server(kind);
    let cluster = Cluster::start_in(sandbox("still", &server));
    let nobody = || !cluster.members.iter().any(Member::leads);
    let epoch = cluster.epoch();
    server.freeze();
    wait_until("the leader to stop", SOON, nobody);
    holds_for("nobody leads without a store", Duration::from_secs(1), nobody);
    for member in &cluster.members {
        let running = get(&format!("http://127.0.0.1:{}/", member.app_port));
        assert!(running.is_ok(), "liveness never depends on the store: {running:?}");
    }
    server.thaw();
    cluster.wait_until_ready();
    let second = cluster.epoch();
    assert!(second > epoch, "after its deadline a holder serves again only at a new epoch");
    server.kill9();
    wait_until("the leader to stop", SOON, nobody);
    server.start_again();
    cluster.wait_until_ready();
    wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
    // Azurite may have forgotten the last epochs with all else that it was told in its last seconds.
    assert!(cluster.epoch() > second || kind == Kind::Azurite, "{} after {second}", cluster.epoch());
}

/// However many ask at once and wherever: one home, that is kept while the store stands still and after everything
/// died.
fn a_camera_has_one_home_and_keeps_it(kind: Kind) {
    const CALLERS: usize = 64;
    const CAMERAS: usize = 40;
    let mut server = server(kind);
    let mut homes = Homes::start_in(sandbox("home", &server), 2, &[("rec-1", 100), ("rec-2", 100)]);
    let query = "camera=cam-7&mbps=1";
    let asked: Vec<Home> = thread::scope(|scope| {
        let homes = &homes;
        let callers: Vec<_> = (0..CALLERS).map(|n| scope.spawn(move || homes.home(n % 2, query))).collect();
        callers.into_iter().map(|caller| caller.join().expect("sent home")).collect()
    });
    assert!(asked.iter().all(|home| *home == asked[0]), "one camera, two homes: {asked:?}");
    let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
    let first = homes.homes(0, &queries);
    assert_eq!(homes.homes(1, &queries), first);
    homes.assert_books_agree(1, CAMERAS as u64);

    server.freeze();
    assert_eq!(homes.homes(0, &queries), first, "who is known is sent home without a store");
    server.thaw();
    homes.wait_until_open(2);
    assert_eq!(homes.homes(1, &queries), first);

    for gateway in [0, 1] {
        homes.kill_gateway(gateway);
    }
    // Azurite, killed, forgets what it acknowledged; asked to end, it does not.
    if kind == Kind::Azurite {
        server.stop();
    } else {
        server.kill9();
    }
    server.start_again();
    for gateway in [0, 1] {
        homes.restart_gateway(gateway);
    }
    homes.wait_until_open(2);
    assert_eq!(homes.homes(0, &queries), first, "after everything died");
    homes.assert_books_agree(1, CAMERAS as u64);
}

/// The one-tier topology, as on a file of one machine.
fn any_machine_takes_the_first_request_and_one_may_die(kind: Kind) {
    let server = server(kind);
    any_machine_takes_the_first_request(sandbox("one-tier", &server));
}

on!(
    in_redis,
    Kind::Redis,
    any_machine_takes_the_first_request_and_one_may_die,
    a_store_that_goes_back_is_noticed_and_has_no_second_leader
);
on!(
    in_etcd,
    Kind::Etcd,
    any_machine_takes_the_first_request_and_one_may_die,
    a_store_that_goes_back_is_noticed_and_has_no_second_leader
);
on!(
    in_postgres,
    Kind::Postgres,
    any_machine_takes_the_first_request_and_one_may_die,
    a_store_that_goes_back_is_noticed_and_has_no_second_leader
);
// It has one thread for all who ask, and leases of a few seconds are lost to a machine that is slow as well.
on!(in_azurite, Kind::Azurite);
