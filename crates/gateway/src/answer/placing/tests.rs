use steadfast_core::placement::{Placement, Refusal, Tick, Why};
use steadfast_core::{Epoch, Weight};
use steadfast_registry::Stored;
use steadfast_store::Revision;

use super::*;

fn placed(reason: Reason, epoch: u64, wrote: bool) -> Result<Placed, PlaceError> {
    let record = Placement {
        home: "web-1".parse().unwrap(),
        owner_epoch: Epoch(epoch),
        weight: Weight::ONE,
        declared: Weight::ONE,
        phase: Phase::Active,
        until: Tick(10),
        labels: Labels::new(),
        return_to: None,
        why: Why { reason, since: String::new(), from: None, by: String::new() },
    };
    Ok(Placed { client: Some(Stored { version: Revision(7), record }), wrote })
}

#[test]
fn a_token_comes_back_only_where_certainly_nobody_new_came() {
    for (what, answer, comes_back) in [
        ("new", placed(Reason::Placed, 1, true), false),
        ("the store knew it", placed(Reason::Placed, 1, false), true),
        ("it returned", placed(Reason::Returned, 1, true), true),
        ("its home was lost", placed(Reason::HomeLost, 2, true), true),
        ("refused", Err(Refusal::NoInstance.into()), true),
        ("too many wait", Err(PlaceError::Busy), true),
        ("nobody knows", Err(PlaceError::Unavailable("time out".to_owned())), false),
    ] {
        assert_eq!(is_no_newcomer(&answer), comes_back, "{what}");
    }
}
