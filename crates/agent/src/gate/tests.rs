use super::*;

#[test]
fn a_connection_rests_when_it_was_answered_a_while_ago() {
    let gates = Gates::new(Cell::new(), true);
    let now = clock::now();
    assert!(gates.carried().is_at_rest(now));
    let one = Carrying::new(&gates);
    assert!(!gates.carried().is_at_rest(now + QUIET * 2), "it is on its way to the application");
    let meter = one.reached();
    assert!(!gates.carried().is_at_rest(meter.last() + QUIET / 2));
    assert!(gates.carried().is_at_rest(meter.last() + QUIET));
    let other = Carrying::new(&gates);
    assert!(!gates.carried().is_at_rest(meter.last() + QUIET), "one of two is not enough");
    drop(other);
    assert!(gates.carried().is_at_rest(meter.last() + QUIET));
    drop(one);
    assert!(gates.carried().connections.is_empty());
}
