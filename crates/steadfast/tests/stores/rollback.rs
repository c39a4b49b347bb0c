//! A store that goes back to what it was: a backup brought back, a disk that lied. It happens under leaders that hold
//! their lease and clients that are at home, and nobody tells them.

use std::time::Duration;

use serde_json::Value;
use steadfast_store::conformance::servers::Kind;

use crate::support::{Cluster, Home, Homes, Load, Pace, Report, SOON, get, wait_until};
use crate::{sandbox_at, server};

const CAMERAS: usize = 20;
/// What a process says that notices.
const NOTICED: &str = "the store holds another history";

/// The lease lasts longer than it takes to bring a copy back: the leader is still there when the store says that the
/// lease was released. Who believed that would lead beside it.
pub(super) fn a_store_that_goes_back_is_noticed_and_has_no_second_leader(kind: Kind) {
    let mut server = server(kind);
    let place = server.fresh_place();
    let web = sandbox_at("back-lease", &place, &server);
    web.settle("park_for = \"60s\"\nlease_ttl = \"8s\"\n");
    let cluster = Cluster::start_in(web);
    let homes = Homes::start_in(sandbox_at("back-homes", &place, &server), 2, &[("rec-1", 100), ("rec-2", 100)]);
    let queries = |names: std::ops::Range<usize>| -> Vec<String> {
        names.map(|number| format!("camera=cam-{number}&mbps=1")).collect()
    };
    let (early, late) = (queries(0..CAMERAS), queries(CAMERAS..2 * CAMERAS));
    let first = homes.homes(0, &early);

    given_back(&cluster);
    let then = server.save();
    for member in &cluster.members {
        std::fs::remove_file(cluster.sandbox.path(&format!("{}.sick", member.name))).expect("well again");
    }
    cluster.wait_until_ready();
    homes.wait_until_open(2);
    assert_eq!(homes.homes(1, &early), first);
    let forgotten = homes.homes(1, &late);
    assert_eq!(homes.homes(0, &late), forgotten);
    let epoch = cluster.epoch();

    let pace = Pace { pause: Duration::from_millis(5), limit: Duration::from_millis(500), keep_alive: true };
    let probes: Vec<Load> =
        cluster.members.iter().map(|member| Load::at_pace(&member.probe_url(), pace.clone())).collect();
    wait_until("the probes to be asked", SOON, || probes.iter().any(|probe| probe.served() > 10));
    server.restore(&then);
    let processes = homes.gateways.iter().map(|door| &door.process);
    let agents = cluster.members.iter().map(|member| &member.agent);
    for process in processes.chain(agents).chain([&cluster.gateway]) {
        wait_until("everybody who follows the store to notice", SOON, || process.log().contains(NOTICED));
    }
    wait_until("a leader at a new epoch", SOON, || {
        let leads = |probe: &Value| probe["role"] == "leader" && probe["epoch"].as_u64() > Some(epoch);
        cluster.members.iter().filter_map(|member| member.probe()).any(|probe| leads(&probe))
    });
    cluster.wait_until_ready();
    Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();
    wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));

    homes.wait_until_open(2);
    for gateway in [0, 1] {
        assert_eq!(homes.homes(gateway, &early), first, "who was at home then is at home");
    }
    // The others are new to the store, and get a home again, the same at every gateway.
    let now: Vec<Home> = homes.homes(0, &late);
    assert_eq!(homes.homes(1, &late), now);
    homes.assert_books_agree(0, 2 * CAMERAS as u64);
}

/// No application is well, and the lease is released: a record that anybody may take who saw it held.
fn given_back(cluster: &Cluster) {
    for member in &cluster.members {
        cluster.sandbox.write(&format!("{}.sick", member.name), "");
    }
    let released = || {
        let url = format!("http://127.0.0.1:{}/api/v1/sets/web/leader", cluster.admin_port);
        get(&url).is_ok_and(|answer| answer.status == 200 && answer.json()["state"] == "released")
    };
    wait_until("the lease to be released", SOON, released);
}
