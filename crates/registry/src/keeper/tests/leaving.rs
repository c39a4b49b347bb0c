//! Who is to be asked to leave is asked, whoever is killed: the move and that it is to be asked are one commit.

use super::*;

/// The keeper is killed at one of its commits, and another keeps on. Whether there was such a commit.
async fn case(step: u64, fault: Fault) -> bool {
    let (url, asked, _application) = application(0).await;
    let ground = ground(|sticky| (sticky.presence, sticky.evict) = (Presence::Report, Some(url))).await;
    ground.ask("cam-0", Wish::Report { at: id("rec-1"), weight: None }).await;
    ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(1)), "operator").await.unwrap();
    ground.set_time(1).await;
    let store = Faulty::new(ground.registry.store().clone());
    let control = store.control();
    control.at(Some(Call::Commit), step, fault);
    let parts = Parts::start(&Registry::new(Arc::new(store)), ground.set.clone(), "keeper");
    let working = Task(tokio::spawn(async move { moves::run(&parts).await }));
    let done = async {
        asked.until(1).await;
        until_nobody_is_to_be_asked(&ground).await;
        ground.until_event("that it is empty", |kind| matches!(kind, EventKind::Drained { .. })).await;
    };
    tokio::select! {
        () = done => {}
        () = control.died() => {}
    }
    let visited = !control.waits();
    control.kill();
    drop(working);
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move {
        tokio::join!(moves::run(&parts), super::super::leaving::run(&parts));
    }));
    ground.until("it move", "cam-0", |found| found.is_some_and(|one| one.home == id("rec-2"))).await;
    asked.until(1).await;
    until_nobody_is_to_be_asked(&ground).await;
    assert_eq!(ground.client("cam-0").await.unwrap().owner_epoch.0, 2, "it was moved once");
    ground.agrees().await;
    visited
}

async fn until_nobody_is_to_be_asked(ground: &Ground) {
    let asking = async {
        while !ground.registry.leavers(&ground.set).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, asking).await.expect("that it was asked is written down");
}

#[tokio::test]
async fn who_was_to_leave_when_a_keeper_was_killed_is_asked_by_the_next() {
    for fault in [Fault::Die, Fault::DieDone] {
        let mut step = 0;
        while case(step, fault).await {
            step += 1;
            assert!(step < kills::MOST_STEPS, "{fault:?}: where does it end?");
        }
        assert!(step >= 2, "{fault:?}: only {step} commits were visited");
    }
}

#[tokio::test]
async fn where_a_set_does_not_say_any_more_how_nobody_is_asked_for_ever() {
    let ground = ground(|_| {}).await;
    let note = crate::leaving::note(&ground.set, "1.0", &key("cam-0"), "keeper");
    ground.registry.commit(keys::space(&ground.set), vec![note]).await.unwrap();
    let parts = ground.parts();
    let _working = Task(tokio::spawn(async move { super::super::leaving::run(&parts).await }));
    until_nobody_is_to_be_asked(&ground).await;
}
