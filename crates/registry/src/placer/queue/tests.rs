use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use steadfast_core::client::Labels;
use tokio::sync::Semaphore;

use super::*;

/// Looks how many places are free at the moment it is woken.
struct Woken {
    places: Arc<Semaphore>,
    free: AtomicUsize,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.free.store(self.places.available_permits(), Ordering::Relaxed);
    }
}

#[test]
fn whoever_was_answered_may_ask_again() {
    let places = Arc::new(Semaphore::new(1));
    let place = places.clone().try_acquire_owned().expect("free");
    let wish = Wish::Arrive { weight: None, labels: Labels::default(), present: false };
    let client = ClientKey::new(b"cam-7").expect("a key");
    let (pending, answer) = Pending::new(client, wish, "gateway".to_owned(), steadfast_host::clock::now(), Some(place));
    let woken = Arc::new(Woken { places, free: AtomicUsize::new(0) });
    let (mut answer, waker) = (std::pin::pin!(answer), woken.clone().into());
    assert!(answer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    pending.answer(Err(PlaceError::Busy));
    assert_eq!(woken.free.load(Ordering::Relaxed), 1);
}
