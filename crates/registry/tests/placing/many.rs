//! Many placers, many clients, one table.

use std::sync::Arc;

use steadfast_registry::{PlaceError, Placer};
use steadfast_store::faulty::Plan;
use steadfast_store::{Memory, Sqlite};

use crate::support::*;

const CAPACITIES: [(&str, &str); 4] = [("rec-1", "1000"), ("rec-2", "500"), ("rec-3", "2000"), ("rec-4", "700")];

fn everybody(
    placers: &[Placer],
    clients: usize,
) -> Vec<(Placer, steadfast_core::client::ClientKey, steadfast_core::placement::Wish)> {
    let each = |client: usize| {
        let said = format!("{}", client % 3 + 1);
        placers.iter().map(move |placer| (placer.clone(), key(&format!("cam-{client}")), arrive(&said)))
    };
    (0..clients).flat_map(each).collect()
}

#[tokio::test]
async fn many_placers_that_place_one_client_at_once_give_it_one_home() {
    let ground = in_memory(&CAPACITIES).await;
    let placers: Vec<Placer> = (0..8).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    let asks = placers.iter().map(|placer| (placer.clone(), key("cam-1"), arrive("8"))).collect();
    let answers = ask_all(asks).await;
    assert_eq!(homes(&answers).len(), 1);
    assert_eq!(answers.iter().filter(|(_, answer)| answer.as_ref().unwrap().wrote).count(), 1);
    ground.agrees(1).await;
}

#[tokio::test]
async fn two_placers_asked_of_500_clients_at_once_say_the_same_of_each() {
    let ground = in_memory(&CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 500)).await;
    assert_eq!(homes(&answers).len(), 500);
    ground.agrees(500).await;
}

#[tokio::test]
async fn the_same_over_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path().join("state.db")).unwrap();
    let ground = ground(Arc::new(store), &CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 300)).await;
    assert_eq!(homes(&answers).len(), 300);
    ground.agrees(300).await;
}

#[tokio::test]
async fn whatever_the_store_does_everybody_who_is_answered_hears_the_same_and_nobody_is_charged_twice() {
    let ground = in_memory(&CAPACITIES).await;
    let placers: Vec<Placer> = (0..3).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    // Once so that the mirrors are complete: the faults then meet placements.
    homes(&ask_all(everybody(&placers, 1)).await);
    for seed in 0..6 {
        ground.control.plan(Plan {
            seed,
            refuse_percent: 5,
            lose_reply_percent: 30,
            cut_watch_percent: 5,
            ..Plan::default()
        });
        let answers = ask_all(everybody(&placers, 60 + seed as usize)).await;
        let answered: Vec<_> = answers.into_iter().filter(|(_, answer)| answer.is_ok()).collect();
        let told = homes(&answered);
        ground.control.heal();
        for (client, home) in told {
            let found = ground.registry.client(&ground.set, &client).await.unwrap().unwrap();
            assert_eq!(found.record.home, home, "{client} was told another home than the books say");
        }
        assert_eq!(ground.registry.verify(&ground.set).await.unwrap().faults, []);
    }
    homes(&ask_all(everybody(&placers, 70)).await);
    ground.agrees(70).await;
}

#[tokio::test]
async fn more_than_a_batch_holds_is_placed_in_several() {
    let ground = in_memory(&[("rec-1", "5000"), ("rec-2", "5000")]).await;
    let placer = ground.placer("gateway-1");
    let answers = ask_all(everybody(&[placer], 3_000)).await;
    assert_eq!(homes(&answers).len(), 3_000);
    ground.agrees(3_000).await;
}

#[tokio::test]
async fn a_set_is_filled_to_the_last_unit_and_no_further_however_many_ask() {
    let ground = in_memory(&[("rec-1", "40"), ("rec-2", "60")]).await;
    let placers: Vec<Placer> = (0..4).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    let asks = (0..200).map(|client| (placers[client % 4].clone(), key(&format!("cam-{client}")), arrive("1")));
    let answers = ask_all(asks.collect()).await;
    let placed = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    assert_eq!(placed, 100);
    for (_, answer) in answers.iter().filter(|(_, answer)| answer.is_err()) {
        assert!(matches!(answer, Err(PlaceError::Refused(refusal)) if refusal.reason() == "no-room"), "{answer:?}");
    }
    ground.agrees(100).await;
}

#[tokio::test]
async fn a_store_without_room_for_many_changes_takes_many_batches() {
    // One of the limits a network store has.
    let ground = ground(Arc::new(support_small::Small::new(Memory::new(), 8)), &CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 40)).await;
    assert_eq!(homes(&answers).len(), 40);
    ground.agrees(40).await;
}

/// A store that takes few changes at once.
mod support_small {
    use std::time::Duration;

    use async_trait::async_trait;
    use steadfast_store::{
        Batch, Cursor, Description, Error, Key, Limits, Page, PageToken, Record, Space, Store, Watch,
    };

    #[derive(Debug)]
    pub(crate) struct Small<S> {
        inner: S,
        operations: usize,
    }

    impl<S> Small<S> {
        pub(crate) fn new(inner: S, operations: usize) -> Small<S> {
            Small { inner, operations }
        }
    }

    #[async_trait]
    impl<S: Store> Store for Small<S> {
        async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
            self.inner.read(key, within).await
        }
        async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
            batch.check(self.limits())?;
            self.inner.commit(batch, within).await
        }
        async fn scan(
            &self,
            space: &Space,
            prefix: &[u8],
            page: Option<PageToken>,
            limit: usize,
            within: Duration,
        ) -> Result<Page, Error> {
            self.inner.scan(space, prefix, page, limit, within).await
        }
        async fn watch(
            &self,
            space: &Space,
            prefixes: &[&[u8]],
            from: Cursor,
            every: Duration,
        ) -> Result<Box<dyn Watch>, Error> {
            self.inner.watch(space, prefixes, from, every).await
        }
        fn limits(&self) -> Limits {
            Limits { operations: self.operations, ..self.inner.limits() }
        }
        fn describe(&self) -> Description {
            self.inner.describe()
        }
    }
}
