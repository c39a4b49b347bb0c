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

#[tokio::test]
async fn a_gate_is_empty_once_its_last_connection_has_ended() {
    let gates = Gates::new(Cell::new(), true);
    gates.emptied().await;
    let (one, other) = (Carrying::new(&gates), Carrying::new(&gates));
    let mut emptied = Box::pin(gates.emptied());
    let mut look = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(emptied.as_mut().poll(&mut look).is_pending());
    // A cut alone says nothing of what is being passed on right now.
    gates.cut();
    drop(one);
    assert!(emptied.as_mut().poll(&mut look).is_pending() && !gates.is_empty());
    drop(other);
    assert!(emptied.as_mut().poll(&mut look).is_ready() && gates.is_empty());
}
