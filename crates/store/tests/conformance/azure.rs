//! Azure Storage, as Azurite is it.

use std::time::Duration;

use steadfast_store::conformance::Fixture;
use steadfast_store::conformance::servers::{Kind, Place, shared};

use crate::FAULTS;

/// Commits that the stores here keep.
const KEEP: usize = 256;

/// The log is cut once in so many commits.
const CUT_EVERY: usize = 64;

/// A place that is looked at as often as may be, and keeps little.
fn brisk(place: Place) -> Place {
    place.with(&format!("keep={KEEP}")).with("poll=100ms")
}

fn fixture() -> Fixture {
    let place = brisk(shared(Kind::Azurite).fresh_place());
    let stores = vec![place.open(), place.open()];
    Fixture { counts_apart: true, ..Fixture::of_all(stores, KEEP + CUT_EVERY, Duration::from_secs(30)) }
}

steadfast_store::conformance!(plain, || async { fixture() });
steadfast_store::conformance!(through_faults, || async { fixture().through_faults(FAULTS, Duration::from_secs(2)) });
