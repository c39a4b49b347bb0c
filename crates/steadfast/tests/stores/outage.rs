//! The table "With the store away", row by row, for both kinds of sets at once: the server stands still, then nobody
//! reaches it, under load. Afterwards everything is as before, and nobody has started anything again.

use std::time::{Duration, Instant};

use steadfast_store::conformance::servers::{Kind, Mode};

use crate::support::{Answer, Cluster, Home, Homes, Load, Member, Pace, Report, SOON, Signal, get, wait_until};
use crate::{sandbox_at, server};

/// How long the store is away in each of the two ways. Twice that is longer than a lease lasts, than an instance may be
/// silent, and than a client that nobody hears of is charged.
const AWAY: Duration = Duration::from_secs(15);
/// Cameras that come all the while.
const CAMERAS: usize = 12;
const IDLE: &str = "camera=idle&mbps=1";
const NEW: &str = "camera=new&mbps=1";

/// Both sets in one store, and what was known before it was away.
struct World {
    cluster: Cluster,
    homes: Homes,
    known: Vec<(String, Home)>,
    idle: Home,
    probes: Vec<Load>,
}

/// Who asks, and what must be true of what it gets, looked at again and again while the store is away.
type Row = (&'static str, fn(&World));

const SILENT: &[Row] = &[
    ("a charged client whose home answers", World::who_is_known_goes_home),
    ("an idle client", World::who_is_idle_goes_home),
    ("a new client", World::nobody_new_is_accepted),
    ("a single set", World::nobody_leads),
];
const REFUSED: &[Row] = &[
    ("a charged client whose home answers", World::who_is_known_goes_home),
    ("a charged client whose home does not answer", World::who_misses_its_home_is_told_to_come_again),
    ("an idle client", World::who_is_idle_goes_home),
    ("a new client", World::nobody_new_is_accepted),
    ("a single set", World::nobody_leads),
];

pub(super) fn everybody_gets_what_is_promised_while_the_store_is_away(kind: Kind) {
    let server = server(kind);
    let (place, line) = server.fresh_place().through_a_proxy();
    let recorders = sandbox_at("away-homes", &place, &server);
    // Nobody is charged for longer than they are heard of.
    recorders.settle("idle_after = \"5s\"\n");
    let web = sandbox_at("away-lease", &place, &server);
    web.settle("park_for = \"2s\"\n");
    let homes = Homes::start_in(recorders, 2, &[("rec-1", 100), ("rec-2", 100)]);
    let cluster = Cluster::start_in(web);
    let mut world = World::of(homes, cluster);
    let epoch = world.cluster.epoch();

    server.freeze();
    wait_until("the leader to stop", SOON, || !world.cluster.members.iter().any(Member::leads));
    world.look_at(SILENT);
    line.set(Mode::Refuse);
    server.thaw();
    // Its machine dies while nobody can be told.
    world.homes.recorders[1].signal_all(Signal::Kill);
    world.look_at(REFUSED);
    world.no_order_is_accepted();
    world.homes.kill_gateway(1);
    world.homes.restart_gateway(1);
    for (query, _) in &world.known[..3] {
        refused(world.homes.gateways[1].answer(query), &["store-unavailable", "placing-timed-out"]);
    }
    world.who_misses_its_home_is_told_to_come_again();
    line.set(Mode::Pass);
    world.all_is_well_again(epoch);
}

/// It is told to come again, for one of these reasons.
#[track_caller]
fn refused(answer: Option<Answer>, reasons: &[&str]) -> String {
    let answer = answer.expect("an answer");
    let text = answer.text();
    assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{}: {text}", answer.status);
    let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reasons.contains(&reason.as_str()), "{text}");
    reason
}

impl World {
    fn of(homes: Homes, cluster: Cluster) -> World {
        let idle = homes.home(0, IDLE);
        let queries: Vec<String> = (0..CAMERAS).map(|number| format!("camera=cam-{number}&mbps=1")).collect();
        let known = queries.iter().cloned().zip(homes.homes(0, &queries)).collect();
        let pace = Pace { pause: Duration::from_millis(10), limit: Duration::from_millis(500), keep_alive: true };
        let probes = cluster.members.iter().map(|member| Load::at_pace(&member.probe_url(), pace.clone())).collect();
        let world = World { cluster, homes, known, idle, probes };
        wait_until("the idle client to be idle", SOON, || {
            world.who_is_known_goes_home();
            world.phase("idle").as_deref() == Some("idle")
        });
        for gateway in [0, 1] {
            assert_eq!(
                world.homes.homes(gateway, &queries),
                world.known.iter().map(|k| k.1.clone()).collect::<Vec<_>>()
            );
        }
        world
    }

    fn phase(&self, client: &str) -> Option<String> {
        let client = self.homes.api(&format!("/api/v1/sets/recorder/clients/{client}"))?;
        client["phase"].as_str().map(str::to_owned)
    }

    /// Looks at every row, again and again.
    fn look_at(&self, rows: &[Row]) {
        let began = Instant::now();
        while began.elapsed() < AWAY {
            for (who, is_right) in rows {
                eprintln!("{:?} into it: {who}", began.elapsed());
                is_right(self);
            }
        }
    }

    fn who_is_known_goes_home(&self) {
        for gateway in &self.homes.gateways {
            for (query, home) in &self.known {
                assert_eq!(gateway.sends(query).as_ref(), Some(home), "{query}");
            }
        }
    }

    fn who_is_idle_goes_home(&self) {
        assert_eq!(self.homes.gateways[0].sends(IDLE).as_ref(), Some(&self.idle));
    }

    fn nobody_new_is_accepted(&self) {
        refused(self.homes.gateways[0].answer(NEW), &["store-unavailable", "placing-timed-out"]);
    }

    fn nobody_leads(&self) {
        assert!(!self.cluster.members.iter().any(Member::leads));
        // Parked first.
        let answer = get(&self.cluster.url()).expect("an answer");
        assert_eq!(answer.status, 503, "{}", answer.text());
        for member in &self.cluster.members {
            let running = get(&format!("http://127.0.0.1:{}/", member.app_port));
            assert!(running.is_ok(), "liveness never depends on the store: {running:?}");
        }
    }

    /// Through the gateway, which meets nobody there; it is sent nowhere else.
    fn who_misses_its_home_is_told_to_come_again(&self) {
        let (query, _) = self.known.iter().find(|(_, home)| home.instance == "rec-2").expect("both are homes");
        wait_until("the gateway to say that the store is away", SOON, || {
            let door = &self.homes.gateways[0];
            let answer = get(&format!("http://127.0.0.1:{}/through/?{query}", door.port)).ok();
            // Until it is known that the store is away, its home is what is to blame.
            refused(answer, &["store-unavailable", "home-unreachable"]) == "store-unavailable"
        });
    }

    fn no_order_is_accepted(&self) {
        for order in [&["drain", "recorder", "rec-1"][..], &["move", "recorder", "cam-0", "--to", "rec-2"]] {
            let ended = self.homes.run(order);
            assert!(ended.code() != 0 && ended.err.contains("store"), "{order:?}: {ended:?}");
        }
    }

    fn all_is_well_again(&mut self, epoch: u64) {
        let probes = std::mem::take(&mut self.probes);
        let World { cluster, homes, known, .. } = &*self;
        cluster.wait_until_ready();
        assert!(cluster.epoch() > epoch, "after its deadline a holder serves again only at a new epoch");
        wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
        Report::merge(probes.into_iter().map(Load::stop)).assert_one_active();

        homes.home(0, NEW);
        homes.home(1, IDLE);
        wait_until("the idle client to be charged", SOON, || self.phase("idle").as_deref() == Some("active"));
        // Whoever was at home at the machine that died has another home by now, and nobody else has.
        let moved = |gateway: usize| {
            known.iter().all(|(query, before)| {
                let now = homes.home(gateway, query);
                if before.instance == "rec-2" { now.instance == "rec-1" } else { now == *before }
            })
        };
        for gateway in [0, 1] {
            wait_until("the lost machine's cameras, and only they, to have another home", SOON, || moved(gateway));
        }
        let states = homes.instances().expect("the API answers");
        let open = |id: &str| states.iter().any(|one| one["id"] == id && one["state"] == "open");
        assert!(open("rec-1"), "the drain that was refused did not happen: {states:#?}");
        homes.assert_books_agree(0, CAMERAS as u64 + 2);
    }
}
