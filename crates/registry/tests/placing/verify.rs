//! Proving the books, while they are being written and when they are wrong.

use steadfast_core::placement::Wish;
use steadfast_store::{Batch, Expect, Key, Write};

use crate::support::*;

#[tokio::test]
async fn books_that_are_being_written_all_the_while_are_proved_exactly() {
    let ground = in_memory(&[("rec-1", "5000"), ("rec-2", "5000"), ("rec-3", "5000")]).await;
    let placer = ground.placer("gateway");
    let first = (0..600).map(|client| (placer.clone(), key(&format!("cam-{client}")), arrive("1"))).collect();
    homes(&ask_all(first).await);
    let churn = tokio::spawn(async move {
        for round in 0.. {
            let wishes = [move_by_operator(None), Wish::Forget, arrive("2")];
            for (n, wish) in wishes.into_iter().enumerate() {
                let clients = (0..40).map(|client| key(&format!("cam-{}", (round * 37 + client * 13 + n) % 600)));
                drop(ask_all(clients.map(|client| (placer.clone(), client, wish.clone())).collect()).await);
            }
        }
    });
    let mut last = steadfast_store::Revision(0);
    for _ in 0..10 {
        let verified = ground.registry.verify(&ground.set).await.unwrap();
        assert_eq!(verified.faults, []);
        assert!(verified.revision >= last);
        last = verified.revision;
        tokio::task::yield_now().await;
    }
    churn.abort();
}

/// Changes the text of a record behind everybody's back.
async fn tamper(ground: &Ground, name: &str, change: impl Fn(String) -> String) {
    let key = Key::new(ground.space(), name);
    let found = ground.registry.store().read(&key, SOON).await.unwrap().unwrap();
    let text = change(String::from_utf8(found.value.to_vec()).unwrap());
    let batch = Batch::one(key, Expect::Version(found.version), Write::Put(text.into_bytes().into(), None));
    ground.registry.store().commit(batch, SOON).await.unwrap();
}

async fn faults(name: &str, change: impl Fn(String) -> String) -> Vec<String> {
    let ground = in_memory(&[("rec-1", "10")]).await;
    let placer = ground.placer("gateway");
    for n in 0..4 {
        placer.ask(key(&format!("cam-{n}")), arrive("2")).await.unwrap();
    }
    ground.agrees(4).await;
    tamper(&ground, name, change).await;
    let verified = ground.registry.verify(&ground.set).await.unwrap();
    verified.faults.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn each_kind_of_fault_is_named() {
    let replaced = |from: &'static str, to: &'static str| {
        move |text: String| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        }
    };
    let charge = faults("ledger/rec-1", replaced("\"charged_milli\":8000", "\"charged_milli\":7000")).await;
    assert_eq!(charge, ["rec-1 is charged 7000/1000, its clients weigh 8000/1000 together"]);
    let weight = faults("client/cam-1", replaced("\"weight\":\"2\"", "\"weight\":\"1.5\"")).await;
    assert_eq!(weight, ["rec-1 is charged 8000/1000, its clients weigh 7500/1000 together"]);
    let count = faults("ledger/rec-1", replaced("\"clients\":4", "\"clients\":5")).await;
    assert_eq!(count, ["rec-1 counts 5 clients, 4 are at home there"]);
    let overfull = faults("ledger/rec-1", replaced("\"capacity\":\"10\"", "\"capacity\":\"7\"")).await;
    assert_eq!(overfull, ["rec-1 is charged 8000/1000 of a capacity of 7000/1000"]);
    let homeless = faults("client/cam-1", replaced("\"home\":\"rec-1\"", "\"home\":\"rec-9\"")).await;
    assert!(homeless.contains(&"cam-1 is at home at rec-9, of which there is no ledger".to_owned()), "{homeless:?}");
    let unreadable = faults("client/cam-1", replaced("\"v\":1", "\"v\":7")).await;
    assert!(
        unreadable.iter().any(|fault| fault.contains("client/cam-1") && fault.contains("format 7")),
        "{unreadable:?}"
    );
    let ledger = faults("ledger/rec-1", replaced("\"v\":1", "\"v\":7")).await;
    assert_eq!(ledger.len(), 1, "clients of a ledger that cannot be read are not homeless: {ledger:?}");
}

#[tokio::test]
async fn a_capacity_that_was_lowered_is_no_fault_and_admits_nobody() {
    let ground = in_memory(&[("rec-1", "10")]).await;
    let placer = ground.placer("gateway");
    for n in 0..4 {
        placer.ask(key(&format!("cam-{n}")), arrive("2")).await.unwrap();
    }
    ground.register("rec-1", "6", 2).await;
    ground.agrees(4).await;
    ground.registry.place_once(&ground.set, key("cam-9"), arrive("1"), "operator").await.unwrap_err();
    for n in 0..3 {
        ground.registry.place_once(&ground.set, key(&format!("cam-{n}")), Wish::Forget, "operator").await.unwrap();
    }
    ground.agrees(1).await;
}

#[tokio::test]
async fn of_a_single_set_there_is_nothing_to_prove() {
    let ground = in_memory(&[]).await;
    let web = "web".parse().unwrap();
    let unknown = ground.registry.verify(&web).await.unwrap_err();
    assert!(unknown.to_string().contains("no set web"), "{unknown}");
    let settings = steadfast_core::settings::SetSettings::Single(Default::default());
    ground.registry.introduce_set(&web, &settings).await.unwrap();
    let single = ground.registry.verify(&web).await.unwrap_err();
    assert!(single.to_string().contains("single"), "{single}");
    assert!(!matches!(single, steadfast_registry::Error::Store(_)));
}
