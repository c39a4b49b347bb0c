//! Every state meets every event.

use alloc::string::{String, ToString};

use super::*;

/// A letter for each state: Idle, Watching, Taking, Leading, `s`topping, sto`p`ped, e`x`piring, Releasing.
const STATES: &str = "IWTLspxR";

/// What each state becomes. A leader is made by nothing but a confirmed take, and by no state but Taking
/// (or Watching, which a flap of fitness makes of it).
const TABLE: [(&str, &str); 20] = [
    ("as it was", "IWTLspxR"),
    ("fit", "WWTLspxR"),
    ("unfit", "IIIsspxR"),
    ("seen again", "IWTLspxR"),
    ("seen older", "IWTLspxR"),
    ("seen another", "IWWWWWWW"),
    ("seen none", "IWWWWWWW"),
    ("contact", "IWTLspxR"),
    ("reset", "IWWLspxW"),
    ("committed", "IWLLspxW"),
    ("conflict", "IWWWWWWW"),
    ("unavailable", "IWTLspxR"),
    ("unknown", "IWTLspxR"),
    ("stopped", "IWTLRpxR"),
    ("cannot stop", "IWTLxpxR"),
    ("died", "IIIsspxR"),
    ("hand over", "IWTsspxR"),
    ("hand over to me", "IWTLspxR"),
    ("hand over to another", "IWTsspxR"),
    ("retune", "IWTLspxR"),
];

#[test]
fn every_state_meets_every_event() {
    for (event, expected) in TABLE {
        let found: String = STATES.chars().map(|state| after(state, event)).collect();
        assert_eq!(found, expected, "{event}: from {STATES}");
    }
}

fn after(state: char, event: &str) -> char {
    let mut stage = in_state(state);
    assert_eq!(letter(&stage), state);
    let served = stage.serves_ms();
    apply(&mut stage, event);
    let after = letter(&stage);
    let standing = stage.machine.standing();
    assert_eq!(standing.serving(stage.now()).is_some(), after == 'L', "{state} {event}: only a leader serves");
    assert_eq!(standing.holding(stage.now()), matches!(after, 'L' | 's'), "{state} {event}");
    if served.is_some() && after != 'L' {
        assert!(stage.asked.iter().any(|action| matches!(action, Action::Stop(_))), "{state} {event}: told to stop");
    }
    after
}

/// A fit machine in this state (Idle excepted); those that send have an attempt on its way.
fn in_state(state: char) -> Stage {
    let stepping = |answer: Option<Event>| {
        let release_after = Span::from_millis(if answer == Some(Event::Stopped) { 1_000 } else { 0 });
        let mut stage = Stage::leading();
        stage.event(Event::Retune(Timing::new(Span::from_millis(TTL_MS), 100, release_after).unwrap()));
        stage.keep_in_touch(RENEW_EVERY_MS);
        stage.event(Event::HandOver { to: None });
        answer.into_iter().for_each(|answer| stage.event(answer));
        stage
    };
    match state {
        'I' => {
            let mut stage = Stage::watching(held_by_other(4));
            stage.event(Event::Fit(false));
            stage
        }
        'W' => Stage::watching(held_by_other(4)),
        'T' => {
            let mut stage = Stage::watching(held_by_other(4));
            stage.keep_in_touch(TTL_MS);
            stage
        }
        'L' => {
            let mut stage = Stage::leading();
            stage.keep_in_touch(RENEW_EVERY_MS);
            stage
        }
        's' => stepping(None),
        'p' => stepping(Some(Event::Stopped)),
        'x' => stepping(Some(Event::CannotStop)),
        _ => Stage::releasing(),
    }
}

fn letter(stage: &Stage) -> char {
    match &stage.machine.role {
        Role::Idle => 'I',
        Role::Watching => 'W',
        Role::Taking(_) => 'T',
        Role::Leading(_) => 'L',
        Role::Stepping(_, Step::Stopping { .. }) => 's',
        Role::Stepping(_, Step::Stopped { .. }) => 'p',
        Role::Stepping(_, Step::Lapsing) => 'x',
        Role::Releasing(_) => 'R',
    }
}

fn apply(stage: &mut Stage, event: &str) {
    let in_flight = stage.asked.iter().rev().find_map(|action| match action {
        Action::Attempt(attempt) => Some(attempt.record.nonce),
        _ => None,
    });
    let settled = |outcome| Event::Settled { nonce: in_flight.unwrap_or(Nonce(0)), outcome };
    let another = Some(Observed { version: Version(20), record: held_by_other(9) });
    let known = match stage.machine.observation.known() {
        Known::Record(known) => Some(known.clone()),
        _ => None,
    };
    let event = match event {
        "as it was" => return stage.tick(),
        "fit" => Event::Fit(true),
        "unfit" => Event::Fit(false),
        "seen again" => Event::Seen(known),
        "seen older" => Event::Seen(Some(Observed { version: Version(8), record: held_by_other(2) })),
        "seen another" => Event::Seen(another),
        "seen none" => Event::Seen(None),
        "contact" => Event::Contact,
        "reset" => Event::StoreReset,
        "committed" => settled(Outcome::Committed(Version(20))),
        "conflict" => settled(Outcome::Conflict(another)),
        "unavailable" => settled(Outcome::Unavailable),
        "unknown" => settled(Outcome::Unknown),
        "stopped" => Event::Stopped,
        "cannot stop" => Event::CannotStop,
        "died" => Event::ApplicationDied,
        "hand over" => Event::HandOver { to: None },
        "hand over to me" => Event::HandOver { to: Some(ME.parse().unwrap()) },
        "hand over to another" => Event::HandOver { to: Some(OTHER.parse().unwrap()) },
        "retune" => Event::Retune(Timing::new(Span::from_millis(5_000), 100, Span::from_millis(1_000)).unwrap()),
        other => unreachable!("no event is called {}", other.to_string()),
    };
    stage.event(event);
}
