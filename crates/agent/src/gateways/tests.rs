use super::*;

fn at(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

#[test]
fn a_gateway_has_let_go_when_it_says_so_knowing_of_the_no() {
    let gateways = Gateways::default();
    gateways.heard("g", 3, at(10), true);
    assert_eq!(gateways.holding(at(0)), ["g"]);
    gateways.heard("g", 0, at(20), false);
    assert_eq!(gateways.holding(at(0)), ["g"], "as it asked, it did not know");
    gateways.heard("g", 1, at(30), false);
    assert_eq!(gateways.holding(at(0)), ["g"]);
    gateways.heard("g", 0, at(40), false);
    assert!(gateways.holding(at(0)).is_empty());
    gateways.heard("g", 0, at(50), true);
    assert_eq!(gateways.holding(at(0)), ["g"], "a new permission begins anew");
    assert!(gateways.holding(at(51)).is_empty(), "one not heard of for long does not count");
}

#[test]
fn the_gateways_remembered_are_bounded() {
    let gateways = Gateways::default();
    for n in 0..1_000 {
        gateways.heard(&format!("g{n}"), 0, at(n), true);
    }
    gateways.heard("", 0, at(2_000), true);
    gateways.heard(&"x".repeat(200), 0, at(2_000), true);
    assert_eq!(gateways.holding(at(0)).len(), GATEWAYS_KEPT);
    assert_eq!(gateways.holding(at(999)), ["g999"]);
}

#[tokio::test]
async fn waiting_ends_with_the_news_or_at_the_bound() {
    let gateways = Gateways::default();
    let now = clock::now();
    gateways.heard("g", 1, now, true);
    assert_eq!(gateways.let_go(now, now + Duration::from_millis(5)).await, ["g"]);
    let waiting = tokio::spawn({
        let gateways = gateways.clone();
        async move { gateways.let_go(now, now + Duration::from_secs(60)).await }
    });
    gateways.heard("g", 0, clock::now(), false);
    gateways.heard("g", 0, clock::now(), false);
    assert!(waiting.await.unwrap().is_empty());
}
