use super::*;

#[test]
fn what_was_ordered_is_told_with_the_way_back() {
    let change = |before| StateChange {
        set: Text("web".parse().unwrap()),
        instance: Text("web-1".parse().unwrap()),
        before,
        now: LedgerState::Draining,
    };
    assert!(drained(&change(LedgerState::Open)).ends_with("`steadfast undrain web web-1`"));
    assert!(drained(&change(LedgerState::Draining)).contains("already"));
    assert!(undrained(&change(LedgerState::Draining)).contains("takes part again"));
    assert!(undrained(&change(LedgerState::Gone)).contains("its agent has stopped"));
}
