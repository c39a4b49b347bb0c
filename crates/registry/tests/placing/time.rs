//! The set's time: what is promised for a span is counted from the present, however far a mirror lags behind.

use std::sync::Arc;

use steadfast_core::Span;
use steadfast_core::placement::{TICK, Tick};
use steadfast_store::Memory;

use crate::support::*;

/// How many ticks a client of this set is charged after it was seen last, at least.
const CHARGED_TICKS: u64 = 20;
const NOW: u64 = 500;

#[tokio::test]
async fn whoever_is_placed_by_a_mirror_that_lags_is_not_over_at_once() {
    let ground = ground_with(Arc::new(Memory::new()), &[("rec-1", "100")], |sticky| {
        sticky.idle_after = Span::from_millis(CHARGED_TICKS * TICK.as_millis());
    })
    .await;
    ground.set_time(1).await;
    let placer = ground.placer("gateway");
    placer.ask(key("known"), arrive("1")).await.unwrap();
    ground.deafen();
    ground.set_time(NOW).await;
    for client in ["new", "known"] {
        let placed = placer.ask(key(client), arrive("1")).await.unwrap().client.unwrap().record;
        assert!(placed.until > Tick(NOW + CHARGED_TICKS), "{client} is charged until {}", placed.until);
        assert_eq!(ground.client(client).await.unwrap(), placed);
    }
    ground.agrees(2).await;
}
