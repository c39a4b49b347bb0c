use super::*;

/// The state of a connection whose request has a body, and the watchdog's clock.
struct Watched {
    tick: Rc<Cell<Ticks>>,
    conn: ConnState,
    limits: Limits,
}

impl Watched {
    /// Ten seconds may be waited for nothing; then 100 bytes must come in a second.
    fn new() -> Watched {
        let bounds = Bounds { body_stalled_for: Duration::from_secs(10), body_rate: 100, ..Bounds::default() };
        let tick = Rc::<Cell<Ticks>>::default();
        let conn = ConnState::new(tick.clone(), Some(1_000_000));
        conn.begin_request();
        Watched { tick, conn, limits: Limits::new(&bounds) }
    }

    /// Lets a second pass at whose beginning so many bytes come and more would be taken: what the watchdog finds in it.
    fn second(&self, bytes: usize) -> Option<Limit> {
        if bytes > 0 {
            self.conn.take_body(bytes).unwrap();
        }
        self.conn.starve();
        self.pass(4)
    }

    fn pass(&self, ticks: u32) -> Option<Limit> {
        (0..ticks).fold(None, |found, _| {
            self.tick.set(self.tick.get().wrapping_add(1));
            found.or(self.conn.inspect_time(&self.limits))
        })
    }
}

#[test]
fn a_body_that_stops_coming_is_noticed_in_its_time() {
    let watched = Watched::new();
    for _ in 0..30 {
        assert_eq!(watched.second(100_000 / 30), None);
    }
    let silent = (1..60).find(|_| watched.second(0).is_some());
    assert_eq!(silent, Some(10), "what came before does not buy a longer silence");
    assert_eq!(watched.conn.body_fault(), Some(Fault::TooSlow));
}

#[test]
fn a_body_that_trickles_is_noticed_and_one_that_is_merely_long_is_not() {
    let trickling = Watched::new();
    let given_up = (1..1_000).find(|_| trickling.second(1) == Some(Limit::BodyRate));
    assert_eq!(given_up, Some(11), "ten seconds for nothing, and a little for what came");
    let half = Watched::new();
    assert_eq!((1..1_000).find(|_| half.second(50) == Some(Limit::BodyRate)), Some(21));
    let enough = Watched::new();
    assert_eq!((1..10_000).find(|_| enough.second(100).is_some()), None);
}

#[test]
fn the_time_in_which_nobody_takes_the_body_is_not_the_clients() {
    let watched = Watched::new();
    for _ in 0..5 {
        assert_eq!(watched.second(1), None);
    }
    watched.conn.starve_no_more();
    assert_eq!(watched.pass(100), None);
    assert_eq!(watched.conn.body_fault(), None);
}

#[test]
fn who_takes_nothing_is_cut_and_who_has_nothing_to_take_is_not() {
    let watched = Watched::new();
    let limit = watched.limits.reader;
    watched.conn.enter(Phase::Answer);
    assert_eq!(watched.pass(limit + 10), None);
    watched.conn.held_up();
    assert_eq!(watched.pass(limit), None);
    watched.conn.written();
    assert_eq!(watched.pass(limit), None, "it took something");
    watched.conn.held_up();
    assert_eq!(watched.pass(limit + 1), Some(Limit::ReaderStalled));
    assert!(watched.conn.must_reset() && watched.conn.verdict() == Verdict::Close);
    assert_eq!(watched.pass(100), None, "it is counted once");
}

/// An answer whose last bytes are on their way to a client that takes a few of them so often.
fn taken_slowly(watched: &Watched, times: u32) {
    for time in 0..times {
        watched.conn.held_up();
        assert_eq!(watched.pass(2 * IDLE_BEFORE_MAKING_ROOM), None, "time {time}");
        watched.conn.make_room();
        assert_eq!(watched.conn.verdict(), Verdict::None, "time {time}");
        watched.conn.written();
    }
}

#[test]
fn who_is_still_taking_an_answer_is_not_idle() {
    let watched = Watched::new();
    // hyper has all of it; the client has not.
    watched.conn.enter(Phase::Idle);
    taken_slowly(&watched, 200);
    // From here on it rests.
    assert_eq!(watched.pass(watched.limits.idle), None);
    assert_eq!(watched.pass(1), Some(Limit::Idle));
    let watched = Watched::new();
    watched.conn.enter(Phase::Idle);
    taken_slowly(&watched, 10);
    watched.pass(IDLE_BEFORE_MAKING_ROOM + 1);
    watched.conn.make_room();
    assert_eq!(watched.conn.verdict(), Verdict::Close);
}

#[test]
fn what_waits_behind_an_answer_that_is_being_taken_is_not_late() {
    let watched = Watched::new();
    watched.conn.enter(Phase::Idle);
    watched.conn.read();
    taken_slowly(&watched, 200);
    assert_eq!(watched.pass(watched.limits.head), None);
    assert_eq!(watched.conn.verdict(), Verdict::None);
    watched.pass(1);
    assert_eq!(watched.conn.verdict(), Verdict::Late);
    watched.conn.begin_request();
    assert_eq!(watched.conn.verdict(), Verdict::None, "it came in time after all");
}

#[test]
fn who_takes_nothing_of_an_answer_that_is_at_its_end_is_cut_as_well() {
    for phase in [Phase::Idle, Phase::Head] {
        let watched = Watched::new();
        watched.conn.enter(phase);
        watched.conn.held_up();
        assert_eq!(watched.pass(watched.limits.reader), None);
        assert_eq!(watched.pass(1), Some(Limit::ReaderStalled));
    }
}
