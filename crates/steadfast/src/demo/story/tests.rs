use steadfast_core::Moment;
use steadfast_registry::Text;

use super::*;

fn event(kind: EventKind) -> EventView {
    let set = Text("web".parse().unwrap());
    EventView { set, number: 0, at: String::new(), kind, by: String::new() }
}

#[test]
fn the_cause_is_what_the_books_say() {
    let id = |name: &str| Text(name.parse().unwrap());
    let takeover = Takeover { from: "a".into(), to: "b".into(), epoch: 2, gap: Duration::ZERO, at: Moment::ZERO };
    let stopped = |reason: &str| event(EventKind::Stopped { instance: id("a"), epoch: 1, reason: reason.into() });
    let leading = |reason: &str| {
        event(EventKind::Leading { instance: id("b"), epoch: 2, from: Some(id("a")), reason: reason.into() })
    };
    assert_eq!(cause(&[stopped("application-died"), leading("released")], &takeover), "the application of a died");
    assert_eq!(cause(&[leading("expired")], &takeover), "a fell silent, and its lease ran out");
    assert_eq!(cause(&[], &takeover), "", "nothing is made up");
}
