//! A set that the books know: a single one is followed to its leader, a sticky one to its homes. Which it is is known
//! when they have been read.

use std::sync::Arc;

use steadfast_core::settings::SetSettings;
use steadfast_registry::{Mirror, Registry, Snapshot};

use super::{Control, leader, sticky};
use crate::set::{Known, SetShared};

/// Runs until it is dropped.
pub(super) async fn follow(set: Arc<SetShared>, registry: Registry, gateway: String, control: Control) {
    let mirror = Arc::new(Mirror::follow(&registry, &set.name));
    let mut books = mirror.subscribe();
    let mut is_sticky = false;
    loop {
        let snapshot = books.borrow_and_update().clone();
        is_sticky = kind(&snapshot).unwrap_or(is_sticky);
        let other_kind = async {
            loop {
                let snapshot = books.borrow_and_update().clone();
                if kind(&snapshot).is_some_and(|sticky| sticky != is_sticky) {
                    return true;
                }
                if !is_sticky {
                    set.set_known(known(&snapshot));
                }
                if books.changed().await.is_err() {
                    return false;
                }
            }
        };
        let goes_on = if is_sticky {
            tokio::select! {
                goes_on = other_kind => goes_on,
                () = sticky::follow(set.clone(), &registry, mirror.clone(), &control) => false,
            }
        } else {
            tokio::select! {
                goes_on = other_kind => goes_on,
                () = leader::follow(set.clone(), &mirror, gateway.clone(), control.workers) => false,
            }
        };
        set.publish(None);
        set.show(None);
        set.set_known(Known::NotYet);
        if !goes_on {
            tracing::error!(set = %set.name, "the books are not followed any more");
            return;
        }
    }
}

/// Whether it is a sticky set, as far as the books say: settings that cannot be read change nothing.
fn kind(books: &Snapshot) -> Option<bool> {
    match &books.settings {
        Some(SetSettings::Sticky(_)) => Some(true),
        Some(SetSettings::Single(_)) => Some(false),
        None => books.lease.as_ref().map(|_| false),
    }
}

fn known(books: &Snapshot) -> Known {
    match kind(books) {
        Some(_) => Known::Single,
        None if books.complete => Known::Absent,
        None if books.trouble.is_some() => Known::Unheard,
        None => Known::NotYet,
    }
}
