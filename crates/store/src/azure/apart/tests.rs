use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_host::clock;

use super::super::failure::Refusal;
use super::*;
use crate::{Expect, Space};

/// One thing, compared and set as Azure does it.
#[derive(Default)]
struct Shelf {
    there: Mutex<Option<Seen>>,
    writes: AtomicU64,
}

#[async_trait]
impl Place for Shelf {
    async fn look(&self, _: &Key, _: Moment) -> Result<Option<Seen>, Failure> {
        Ok(locked(&self.there).clone())
    }

    async fn write(
        &self,
        _: &Key,
        before: Option<&str>,
        version: Revision,
        value: Option<&Bytes>,
        _: Moment,
    ) -> Result<String, Failure> {
        let mut there = locked(&self.there);
        if before != Some("*") && there.as_ref().map(|seen| seen.etag.as_str()) != before {
            let (code, message) = ("ConditionNotMet".to_owned(), String::new());
            return Err(Failure::Refused(Refusal { status: 412, code, message, operation: None, date: None }));
        }
        let etag = format!("\"{}\"", self.writes.fetch_add(1, Ordering::Relaxed));
        *there = Some(Seen { version, value: value.cloned(), etag: etag.clone() });
        Ok(etag)
    }
}

/// What this handle's change comes to.
async fn commit(handle: &Memory, shelf: &Shelf, expect: Expect, write: Write) -> Result<Option<Revision>, Error> {
    let key = Key::new(Space::new("web").unwrap(), "lease/web");
    let change = Change { name: key.name.clone(), expect, write };
    handle.commit(shelf, &key, &change, clock::now() + Duration::from_secs(60)).await
}

fn put() -> Write {
    Write::Put("x".into(), None)
}

fn version(number: u64) -> Expect {
    Expect::Version(Revision(number))
}

#[tokio::test]
async fn who_remembers_what_was_there_does_not_write_over_what_is() {
    let (shelf, one, other) = (Shelf::default(), Memory::default(), Memory::default());
    assert_eq!(commit(&one, &shelf, Expect::Absent, put()).await, Ok(Some(Revision(1))));
    assert_eq!(commit(&other, &shelf, version(1), put()).await, Ok(Some(Revision(2))));
    let stale = commit(&one, &shelf, version(1), put()).await;
    let Err(Error::Conflict(records)) = stale else { panic!("the other wrote it: {stale:?}") };
    assert_eq!(records[0].1.as_ref().map(|record| record.version), Some(Revision(2)));
    assert_eq!(commit(&one, &shelf, version(2), put()).await, Ok(Some(Revision(3))));
}

#[tokio::test]
async fn what_went_back_goes_on_above_what_was_seen() {
    let (shelf, handle) = (Shelf::default(), Memory::default());
    commit(&handle, &shelf, Expect::Absent, put()).await.unwrap();
    let saved = locked(&shelf.there).clone();
    commit(&handle, &shelf, version(1), put()).await.unwrap();
    *locked(&shelf.there) = saved;
    assert_eq!(commit(&handle, &shelf, version(1), put()).await, Ok(Some(Revision(3))));
    *locked(&shelf.there) = None;
    assert_eq!(commit(&handle, &shelf, Expect::Absent, put()).await, Ok(Some(Revision(4))));
}

#[tokio::test]
async fn a_number_lives_on_after_a_deletion() {
    let (shelf, handle) = (Shelf::default(), Memory::default());
    commit(&handle, &shelf, Expect::Absent, put()).await.unwrap();
    assert_eq!(commit(&handle, &shelf, version(1), Write::Delete).await, Ok(Some(Revision(2))));
    assert!(matches!(commit(&handle, &shelf, version(2), put()).await, Err(Error::Conflict(_))), "it is gone");
    assert_eq!(commit(&Memory::default(), &shelf, Expect::Absent, put()).await, Ok(Some(Revision(3))));
}
