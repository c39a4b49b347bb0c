use super::*;

const LIMITS: Limits = Limits { line: 200, head: 1_000, fields: 10 };
const FIRST: &str = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const SECOND: &str = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
const BAD: &str = "GET /3 HTTP/1.1\nHost: a\n\n";

/// A connection whose socket has had these pieces so far.
struct Reader {
    intake: Intake,
    socket: Vec<Vec<u8>>,
    /// Bytes that hyper has room for at a time.
    room: usize,
}

impl Reader {
    fn new(room: usize) -> Reader {
        Reader { intake: Intake::new(LIMITS), socket: Vec::new(), room }
    }

    fn comes(&mut self, bytes: &str) -> &mut Reader {
        self.socket.push(bytes.as_bytes().to_vec());
        self
    }

    /// What hyper gets, until there is nothing to be had for it.
    fn reads(&mut self) -> Result<String, String> {
        let mut got = Vec::new();
        loop {
            let mut room = vec![0; self.room];
            let mut buf = ReadBuf::new(&mut room);
            match self.intake.hand_on(&mut buf).map_err(|error| format!("{error}, behind {}", shown(&got)))? {
                Next::Taken => {}
                Next::Wait => break,
                Next::Read if self.socket.is_empty() => break,
                Next::Read => {
                    let piece = &mut self.socket[0];
                    let count = piece.len().min(self.room);
                    buf.put_slice(&piece[..count]);
                    piece.drain(..count);
                    if piece.is_empty() {
                        self.socket.remove(0);
                    }
                    assert_eq!(self.intake.take_in(&mut buf, 0), !buf.filled().is_empty());
                }
            }
            got.extend_from_slice(buf.filled());
        }
        Ok(String::from_utf8(got).unwrap())
    }

    /// What hyper gets after it has answered.
    fn answers_and_reads(&mut self) -> String {
        self.intake.end_turn();
        self.reads().unwrap()
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_next_request_is_shown_when_the_one_before_it_is_answered() {
    for room in [1, 7, 30, 4_096] {
        let mut reader = Reader::new(room);
        let got = reader.comes(&format!("{FIRST}{SECOND}{SECOND}")).reads();
        assert_eq!(got.as_deref(), Ok(FIRST), "room for {room}");
        assert!(reader.intake.is_complete());
        assert_eq!(reader.reads().as_deref(), Ok(""), "before the answer there is nothing more");
        assert_eq!(reader.answers_and_reads(), SECOND);
        assert_eq!(reader.answers_and_reads(), SECOND);
        assert_eq!(reader.answers_and_reads(), "");
        assert!(!reader.intake.is_left_over());
    }
}

#[test]
fn the_end_of_a_turn_says_whether_something_waits() {
    let mut reader = Reader::new(4_096);
    assert_eq!(reader.comes(SECOND).reads().as_deref(), Ok(SECOND));
    assert!(!reader.intake.end_turn());
    assert_eq!(reader.comes(&format!("{SECOND}G")).reads().as_deref(), Ok(SECOND));
    assert!(reader.intake.end_turn());
    assert_eq!(reader.comes(&SECOND[1..]).reads().as_deref(), Ok(SECOND), "its beginning was kept");
}

#[test]
fn a_head_is_shown_when_it_is_whole() {
    let mut reader = Reader::new(4_096);
    let (beginning, end) = FIRST.split_at(30);
    assert_eq!(reader.comes(beginning).reads().as_deref(), Ok(""));
    assert_eq!(reader.comes(end).reads().as_deref(), Ok(FIRST));
}

#[test]
fn a_refusal_is_shown_in_the_place_of_a_bad_head_and_nothing_behind_it() {
    let refusal = shown(REFUSAL);
    for room in [1, 10, 4_096] {
        let mut reader = Reader::new(room);
        assert_eq!(reader.comes(BAD).comes(SECOND).reads(), Ok(refusal.clone()));
        assert_eq!(reader.intake.refused().map(|refused| refused.reason), Some("bad-line"));
        assert_eq!(reader.answers_and_reads(), "");
        assert!(reader.intake.is_left_over());
        let mut reader = Reader::new(room);
        assert_eq!(reader.comes(&format!("{FIRST}{BAD}{SECOND}")).reads().as_deref(), Ok(FIRST));
        assert_eq!(reader.intake.refused(), None, "in its turn");
        assert_eq!(reader.answers_and_reads(), refusal);
        assert_eq!(reader.answers_and_reads(), "");
    }
}

#[test]
fn a_bad_body_is_an_error_behind_a_good_head() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut reader = Reader::new(4_096);
    // Not a word of a piece that is wrong.
    assert!(reader.comes(&format!("{head}5\r\nhello\r\nx")).reads().unwrap_err().contains("chunk"));
    assert!(!reader.intake.is_complete() && reader.intake.is_left_over());
    reader.intake.end_turn();
    assert!(reader.reads().is_err(), "nothing more is read of it");
}

/// A piece that was found to be wrong is not looked at again: from where its reader stopped, it may mean something else.
#[test]
fn a_bad_piece_does_not_become_a_good_one_by_being_read_twice() {
    let mut reader = Reader::new(4_096);
    let begun = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n";
    // Three bytes, and a size with a space behind it; or, behind a size, data of 89 bytes.
    let failed = reader.comes(begun).comes("9\r\n\r\n5 \r\nhello\r\n0\r\n\r\n").reads().unwrap_err();
    assert!(failed.ends_with(&format!(", behind {begun}")), "{failed}");
    assert!(!reader.intake.is_complete());
}

#[test]
fn the_rest_of_a_body_follows_an_early_answer() {
    let mut reader = Reader::new(4_096);
    let (begun, rest) = FIRST.split_at(FIRST.len() - 2);
    assert_eq!(reader.comes(begun).reads().as_deref(), Ok(begun));
    assert!(!reader.intake.is_complete());
    assert_eq!(reader.answers_and_reads(), "");
    assert_eq!(reader.comes(&format!("{rest}{SECOND}")).reads(), Ok(format!("{rest}{SECOND}")));
}

#[test]
fn what_comes_behind_an_upgrade_is_kept_for_the_tunnel() {
    let mut reader = Reader::new(4_096);
    let upgrade = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(reader.comes(&format!("{upgrade}\0early")).comes(" too").reads().as_deref(), Ok(upgrade));
    assert_eq!(reader.intake.take_held(), b"\0early");
}

/// What goes on for these pieces, however much hyper takes at a time and whenever it answers.
fn goes_on(pieces: &[&str], room: usize, mut answers_early: impl FnMut() -> bool) -> String {
    let mut reader = Reader::new(room);
    let mut passed = String::new();
    for piece in pieces {
        reader.comes(piece);
        loop {
            let got = match reader.reads() {
                Ok(got) => got,
                Err(failed) => return passed + failed.split_once(", behind ").unwrap().1,
            };
            passed += &got;
            if reader.intake.refused().is_some() {
                return passed.strip_suffix(&shown(REFUSAL)).unwrap().to_owned();
            }
            if reader.intake.is_complete() || answers_early() {
                reader.intake.end_turn();
            }
            if got.is_empty() {
                break;
            }
        }
    }
    passed
}

/// Whatever comes, in whatever pieces: only what a reader that sees all of it takes for requests goes on, and that
/// unchanged.
#[test]
fn nothing_goes_on_that_is_not_part_of_a_request() {
    let post = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = ["3\r\n9\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "7\r\n5\r\nabcd\r\n3;x=y\r\n0\r\n\r\n0\r\nA: b\r\n\r\n"];
    let seeds = [format!("{post}{}", bodies[0]), format!("{post}{}", bodies[1]), FIRST.to_owned(), SECOND.to_owned()];
    let splices = ["\r\n", "\n", "\r", " ", ";", "0", "9", ":", "\0"];
    let mut random = crate::framing::tests::random();
    let (mut all, mut some) = (0, 0);
    for round in 0..5_000 {
        let mut text: String = (0..=random(3)).map(|_| seeds[random(seeds.len())].as_str()).collect();
        for _ in 0..random(3) {
            let at = random(text.len());
            text.insert_str(at, splices[random(splices.len())]);
        }
        let (one, other) = (random(text.len()), random(text.len()));
        let pieces = [&text[..one.min(other)], &text[one.min(other)..one.max(other)], &text[one.max(other)..]];
        let passed = goes_on(&pieces, [7, 4_096][random(2)], || random(4) == 0);
        assert!(text.starts_with(&passed), "round {round}: {pieces:?}: {passed:?}");
        let (mut framing, mut rest) = (Framing::new(LIMITS), passed.as_bytes());
        while !rest.is_empty() {
            match framing.step(rest) {
                Ok(Step::Pass(count) | Step::End(count)) => rest = &rest[count..],
                other => panic!("round {round}: {pieces:?}: {passed:?}: {other:?}"),
            }
        }
        all += usize::from(passed == text);
        some += usize::from(!passed.is_empty() && passed != text);
    }
    assert!(all > 500 && some > 500, "{all} wholly, {some} in part");
}
