//! A disk that is full, fails to sync, or cannot be written any more: under the store, and under an agent's own files.
//! What is not on the disk is not accepted, what was accepted stays, and everything heals without a restart.

mod support;

use std::collections::BTreeMap;

use support::{
    Cluster, FailingDisk, Home, Homes, Member, SOON, STORE_DISK, Sandbox, Signal, SmallDisk, get, wait_for, wait_until,
};

/// Room enough for a store and the journal of a test.
const DISK_BYTES: u64 = 16 << 20;

/// Cameras that come one after the other, and the homes they were told.
#[derive(Default)]
struct Cameras {
    homes: BTreeMap<String, Home>,
    next: usize,
}

impl Cameras {
    /// So many new ones, each asked for until it has a home.
    fn come(&mut self, homes: &Homes, number: usize) {
        for _ in 0..number {
            let query = self.next();
            let home = homes.home(0, &query);
            self.homes.insert(query, home);
        }
    }

    /// One new one, which is told what becomes of it.
    fn try_one(&mut self, homes: &Homes) -> (u16, String) {
        let query = self.next();
        let answer = wait_for("an answer", SOON, || homes.gateways[0].answer(&query));
        let text = |name: &str| answer.header(name).map(str::to_owned);
        if let (307, Some(instance), Some(location)) = (answer.status, text("steadfast-instance"), text("location")) {
            self.homes.insert(query, Home { instance, location });
        }
        (answer.status, answer.text())
    }

    fn next(&mut self) -> String {
        self.next += 1;
        format!("camera=cam-{}&mbps=1", self.next)
    }

    /// Everyone who was told a home is told the same.
    #[track_caller]
    fn assert_at_home(&self, homes: &Homes) {
        for (query, home) in &self.homes {
            assert_eq!(homes.home(0, query), *home, "{query}");
        }
    }

    /// New ones are refused from now on, the others go home. Why, is told those who look after the machine, and not
    /// every client.
    #[track_caller]
    fn assert_refused_for(&mut self, homes: &Homes, why: &str) {
        wait_until("new cameras to be refused", SOON, || self.try_one(homes).0 != 307);
        for _ in 0..5 {
            let (status, text) = self.try_one(homes);
            assert!(status == 503 && text.contains("store-unavailable"), "{status}: {text}");
        }
        self.assert_at_home(homes);
        wait_until(&format!("an operator to be told `{why}`"), SOON, || {
            let ended = homes.run(&["place", "recorder", "by-hand", "--on", "rec-1"]);
            assert_eq!(ended.code(), 3, "{ended:?}");
            ended.err.contains(why)
        });
        assert!(homes.gateways[0].process.log().contains(why));
    }

    /// New ones are taken again.
    #[track_caller]
    fn assert_taken(&mut self, homes: &Homes) {
        wait_until("new cameras to be taken again", SOON, || self.try_one(homes).0 == 307);
        self.assert_at_home(homes);
    }
}

/// A gateway that serves the store from a failing disk, and two recorders.
fn homes_on_failing_disk(name: &str) -> (Homes, FailingDisk) {
    let sandbox = Sandbox::new(name);
    let disk = FailingDisk::make(&sandbox, STORE_DISK);
    sandbox.put_behind("gateway-0", disk.prefix());
    (Homes::start_in(sandbox, 1, &[("rec-1", 10_000), ("rec-2", 10_000)]), disk)
}

#[test]
fn a_full_disk_refuses_who_is_new_and_heals_by_itself() {
    let sandbox = Sandbox::new("full");
    let disk = SmallDisk::mount(&sandbox, STORE_DISK, DISK_BYTES);
    for name in ["gateway-0", "agent-rec-1", "agent-rec-2"] {
        sandbox.put_behind(name, disk.prefix());
    }
    let homes = Homes::start_in(sandbox, 1, &[("rec-1", 10_000), ("rec-2", 10_000)]);
    let mut cameras = Cameras::default();
    cameras.come(&homes, 20);
    for _ in 0..2 {
        let ballast = disk.fill();
        cameras.assert_refused_for(&homes, "no space left for ");
        drop(ballast);
        cameras.assert_taken(&homes);
    }
    homes.wait_until_open(2);
    homes.assert_books_agree(0, cameras.homes.len() as u64);
}

#[test]
fn a_disk_that_turns_read_only_refuses_who_is_new_and_heals_by_itself() {
    let (homes, disk) = homes_on_failing_disk("read-only");
    let mut cameras = Cameras::default();
    cameras.come(&homes, 20);
    disk.fail("write EROFS");
    cameras.assert_refused_for(&homes, "state.db failed");
    disk.work();
    cameras.assert_taken(&homes);
    homes.assert_books_agree(0, cameras.homes.len() as u64);
}

/// Each sync that fails loses what it should have brought to the disk. Whoever was told a home has it after a power
/// loss at any later moment.
#[test]
fn what_was_accepted_around_failing_syncs_survives_a_power_loss() {
    let (mut homes, disk) = homes_on_failing_disk("sync");
    let mut cameras = Cameras::default();
    cameras.come(&homes, 10);
    for still_fails in [false, true, false, true] {
        for _ in 0..3 {
            disk.fail("sync EIO");
            cameras.try_one(&homes);
            disk.work();
            cameras.assert_taken(&homes);
        }
        if still_fails {
            // Nobody is shown what was written and not synced, and told of it.
            disk.fail("sync EIO");
            cameras.assert_refused_for(&homes, "failed to sync");
        }
        // An agent that stands still takes the file over from nobody.
        homes.recorders.iter().for_each(|recorder| recorder.agent.signal(Signal::Stop));
        homes.kill_gateway(0);
        disk.lose_power();
        if still_fails {
            disk.work();
        }
        homes.restart_gateway(0);
        homes.recorders.iter().for_each(|recorder| recorder.agent.signal(Signal::Cont));
        homes.wait_until_open(2);
        cameras.assert_at_home(&homes);
    }
    for recorder in &homes.recorders {
        let log = recorder.agent.log();
        assert!(!log.contains("holds another history"), "a watch showed what was not on the disk yet:\n{log}");
    }
    assert_eq!(homes.run(&["verify", "recorder"]).code(), 0);
}

#[test]
fn a_leader_whose_store_has_no_space_stops_in_time_and_comes_back() {
    let sandbox = Sandbox::new("full-lease");
    let disk = SmallDisk::mount(&sandbox, STORE_DISK, DISK_BYTES);
    sandbox.put_behind("gateway", disk.prefix());
    sandbox.put_agents_behind(&[]);
    let cluster = Cluster::start_over_http_in(sandbox);
    let epoch = cluster.epoch();
    let ballast = disk.fill();
    wait_until("the leader to stop", SOON, || !cluster.members.iter().any(Member::leads));
    let says = |member: &Member| member.probe().is_some_and(|probe| probe["reason"] == "store-unavailable");
    wait_until("the probes to say why", SOON, || cluster.members.iter().all(says));
    drop(ballast);
    cluster.wait_until_ready();
    assert!(cluster.epoch() > epoch, "after its deadline a holder serves again only at a new epoch");
    wait_until("the gateway to answer", SOON, || get(&cluster.url()).is_ok_and(|answer| answer.status == 200));
}

/// An agent that cannot write its epoch down does not lead at it.
#[test]
fn an_agent_whose_own_disk_is_full_leaves_the_lease_to_others() {
    let sandbox = Sandbox::new("full-agent");
    let disk = SmallDisk::mount(&sandbox, "state-web-1", 1 << 20);
    sandbox.put_agents_behind(&[]);
    sandbox.put_behind("agent-web-1", disk.prefix());
    let cluster = Cluster::start_in(sandbox);
    let switch = |to: &str| cluster.sandbox.run(&mut cluster.command(&["switchover", "web", "--to", to, "--wait"]));
    let first = &cluster.members[0];
    if first.leads() {
        assert_eq!(switch("web-2").code(), 0);
        cluster.wait_until_ready();
    }
    let ballast = disk.fill();
    for member in &cluster.members[1..] {
        member.signal_all(Signal::Stop);
    }
    wait_until("it to say why it cannot lead", SOON, || first.agent.log().contains("cannot write the epoch down"));
    assert!(!first.leads());
    for member in &cluster.members[1..] {
        member.signal_all(Signal::Cont);
    }
    wait_until("another one to lead", SOON, || cluster.members[1..].iter().any(Member::leads));
    assert!(!first.leads());
    drop(ballast);
    cluster.wait_until_ready();
    let ended = switch("web-1");
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(cluster.leader().name, "web-1");
}
