use std::sync::Arc;

use steadfast_core::client::Sources;
use steadfast_core::settings::{SingleSettings, Sticky, StickySettings};
use steadfast_core::{Incarnation, InstanceId, Span};
use steadfast_store::faulty::{Call, Control, Fault, Faulty};
use steadfast_store::{Key, Memory};

use super::*;
use crate::BeatRecord;

/// More than one batch of any store, and more than one page.
const CLIENTS: usize = 2_500;
const CLIENT_BYTES: usize = 700;

fn sticky() -> SetName {
    "recorder".parse().unwrap()
}

fn single() -> SetName {
    "web".parse().unwrap()
}

fn sticky_settings() -> SetSettings {
    let client = Sources(vec!["cookie:c".parse().unwrap()]);
    SetSettings::Sticky(Box::new(StickySettings::new(Sticky { client, ..Sticky::default() }).unwrap()))
}

fn empty() -> (Registry, Control) {
    let faulty = Faulty::new(Arc::new(Memory::new()));
    let control = faulty.control();
    (Registry::new(Arc::new(faulty)), control)
}

async fn put(books: &Registry, key: Key, bytes: Vec<u8>) {
    let old = books.store.read(&key, CALL_WITHIN).await.unwrap();
    let expect = old.map_or(Expect::Absent, |record| Expect::Version(record.version));
    books.store.commit(Batch::one(key, expect, Write::Put(bytes.into(), None)), CALL_WITHIN).await.unwrap();
}

fn client(number: usize) -> Key {
    // Not only printable ones: a client's key is any bytes.
    Key::new(keys::space(&sticky()), [keys::CLIENTS, &(number as u32).to_be_bytes()].concat())
}

/// Two sets, with a lease, events, beats and clients.
async fn filled() -> (Registry, Control) {
    let (books, control) = empty();
    let settings = SingleSettings::new(Span::from_millis(20_000), 100, Span::ZERO, Span::from_millis(2_000)).unwrap();
    books.introduce_set(&single(), &SetSettings::Single(settings)).await.unwrap();
    books.introduce_set(&sticky(), &sticky_settings()).await.unwrap();
    put(&books, keys::lease(&single()), b"a lease".to_vec()).await;
    put(&books, Key::new(keys::space(&single()), keys::event(7)), b"an event".to_vec()).await;
    for number in 0..CLIENTS {
        put(&books, client(number), vec![number as u8; CLIENT_BYTES]).await;
    }
    beat(&books, 1).await;
    (books, control)
}

async fn beat(books: &Registry, number: u64) {
    let id: InstanceId = "rec-1".parse().unwrap();
    books.beat(&sticky(), &id, &BeatRecord::new(Incarnation(1), number)).await.unwrap();
}

/// Everything in the spaces of both sets and the catalog.
async fn content(books: &Registry) -> Vec<(Space, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for space in [keys::space(&sticky()), keys::space(&single()), keys::catalog()] {
        let mut walk = Walk { skip_beats: false, ..Walk::new(&*books.store, &space) };
        while let Some((name, record)) = walk.next().await.unwrap() {
            all.push((space.clone(), name, record.value.to_vec()));
        }
    }
    all
}

async fn content_but_beats(books: &Registry) -> Vec<(Space, Vec<u8>, Vec<u8>)> {
    content(books).await.into_iter().filter(|(_, name, _)| !name.starts_with(BEAT)).collect()
}

async fn copy(from: &Registry, to: &Registry, rules: CopyRules) -> Result<Copied, CopyError> {
    from.copy_to(to, rules, |_| ()).await
}

const UPDATE: CopyRules = CopyRules { update: true, dry_run: false };

#[tokio::test(start_paused = true)]
async fn everything_but_beats_is_there_and_the_catalog_came_last() {
    let ((from, _), (to, _)) = (filled().await, empty());
    let mut order = Vec::new();
    let copied = from
        .copy_to(&to, CopyRules::default(), |news| {
            if let CopyNews::Copying(space, _) = news
                && order.last() != Some(&space)
            {
                order.push(space);
            }
        })
        .await
        .unwrap();
    assert_eq!(content(&to).await, content_but_beats(&from).await);
    assert_eq!(order.last(), Some(&keys::catalog()));
    assert_eq!(copied.records, CLIENTS as u64 + 4);
    assert_eq!((copied.written, copied.deleted), (copied.records, 0));
    assert!(copied.bytes > (CLIENTS * CLIENT_BYTES) as u64);
    let stood = from.store.scan(&keys::space(&single()), b"", None, 1, CALL_WITHIN).await.unwrap().cursor;
    assert!(copied.sets.contains(&(single(), stood)));
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_overwritten_only_when_that_was_said() {
    let ((from, _), (to, _)) = (filled().await, empty());
    copy(&from, &to, CopyRules::default()).await.unwrap();
    put(&from, client(3), b"changed".to_vec()).await;
    put(&from, client(CLIENTS), b"new".to_vec()).await;
    put(&to, client(CLIENTS + 7), b"to be deleted".to_vec()).await;
    let before = content(&to).await;

    let refused = copy(&from, &to, CopyRules::default()).await.unwrap_err();
    assert!(matches!(&refused, CopyError::NotEmpty(spaces) if spaces.len() == 3), "{refused}");
    let dry = copy(&from, &to, CopyRules { update: true, dry_run: true }).await.unwrap();
    assert_eq!((dry.written, dry.deleted), (2, 1));
    assert_eq!(content(&to).await, before, "nothing was written by either");

    let copied = copy(&from, &to, UPDATE).await.unwrap();
    assert_eq!((copied.written, copied.deleted), (2, 1));
    assert_eq!(content(&to).await, content_but_beats(&from).await);
}

#[tokio::test(start_paused = true)]
async fn a_store_of_other_sets_is_left_alone() {
    let ((from, _), (to, _)) = (filled().await, empty());
    let other: SetName = "games".parse().unwrap();
    to.introduce_set(&other, &sticky_settings()).await.unwrap();
    assert_eq!(copy(&from, &to, UPDATE).await, Err(CopyError::OtherSets(vec![other])));
    assert_eq!(copy(&to, &from, UPDATE).await, Err(CopyError::OtherSets(vec![sticky(), single()])));
    assert_eq!(copy(&empty().0, &from, UPDATE).await, Err(CopyError::NothingThere));
}

/// Copies while `every` after the beginning something is done to one of the stores.
async fn copy_beside(from: &Registry, to: &Registry, after: Duration, what: impl AsyncFnOnce()) -> CopyError {
    let beside = async {
        tokio::time::sleep(after).await;
        what().await;
    };
    tokio::join!(copy(from, to, UPDATE), beside).0.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn stores_in_use_are_not_copied() {
    let ((from, _), (to, _)) = (filled().await, empty());
    let in_use = |error: CopyError| error.to_string();
    let soon = Duration::from_secs(1);
    let told = in_use(copy_beside(&from, &to, soon, async || beat(&from, 2).await).await);
    assert!(told.starts_with("FROM is in use (instance rec-1 of `recorder` gives signs of life)"), "{told}");
    let told = in_use(copy_beside(&from, &to, soon, async || put(&from, client(1), b"now".into()).await).await);
    assert!(told.starts_with("FROM is in use (`recorder` was written to)"), "{told}");
    let told = in_use(copy_beside(&from, &to, soon, async || beat(&to, 1).await).await);
    assert!(told.starts_with("TO is in use (instance rec-1 of `recorder`"), "{told}");
    // A leader renews every quarter of its 20 s: it must be seen too.
    let late = Duration::from_millis(5_500);
    let told =
        in_use(copy_beside(&from, &to, late, async || put(&from, keys::lease(&single()), b"x".into()).await).await);
    assert!(told.starts_with("FROM is in use (`lease/web` of `web` was written)"), "{told}");
    assert_eq!(content_but_beats(&to).await, [], "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn who_writes_to_the_target_meanwhile_is_noticed() {
    let ((from, _), (to, control)) = (filled().await, empty());
    copy(&from, &to, CopyRules::default()).await.unwrap();
    put(&from, client(3), b"changed".to_vec()).await;
    control.next(Call::Commit, Fault::Delay(Duration::from_secs(2)));
    let error =
        copy_beside(&from, &to, Duration::from_secs(7), async || put(&to, client(3), b"theirs".into()).await).await;
    assert!(error.to_string().starts_with("TO is in use (`client/"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_break_it_off() {
    for number in 0..4 {
        for fault in [Fault::LoseReply, Fault::HangDone, Fault::Hang] {
            let ((from, _), (to, control)) = (filled().await, empty());
            control.at(Some(Call::Commit), number, fault);
            copy(&from, &to, CopyRules::default()).await.unwrap();
            assert!(!control.waits());
            assert_eq!(content(&to).await, content_but_beats(&from).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_named() {
    let ((from, from_control), (to, to_control)) = (filled().await, empty());
    to_control.next(Call::Commit, Fault::Refuse);
    let error = copy(&from, &to, CopyRules::default()).await.unwrap_err();
    assert!(matches!(error, CopyError::To(_)) && error.of_a_store().is_some(), "{error}");
    from_control.next(Call::Scan, Fault::Refuse);
    assert!(matches!(copy(&from, &to, UPDATE).await, Err(CopyError::From(_))));
    copy(&from, &to, UPDATE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_target_cannot_hold_is_found_before_anything_is_written() {
    let (from, _) = filled().await;
    let (spaces, wide) = ([keys::space(&sticky()), keys::space(&single()), keys::catalog()], from.store.limits());
    let client_bytes = client(1).name.len() + CLIENT_BYTES;
    let exact = Limits { bytes: client_bytes, ..wide };
    fits(&*from.store, exact, &spaces).await.unwrap();
    let error = fits(&*from.store, Limits { bytes: client_bytes - 1, ..wide }, &spaces).await.unwrap_err();
    let told = error.to_string();
    assert!(told.starts_with("TO cannot hold `client/") && told.contains(&client_bytes.to_string()), "{told}");
    let error = fits(&*from.store, Limits { name_bytes: 9, ..wide }, &spaces).await.unwrap_err();
    assert!(matches!(&error, CopyError::TooLarge { what: "a name", at_most: 9, .. }), "{error}");
}
