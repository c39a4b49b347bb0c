use bytes::BytesMut;

use super::*;

/// What is read first out of `data`.
fn first(data: &[u8]) -> Result<Option<Reply>, Malformed> {
    Decoder::default().next(&mut BytesMut::from(data))
}

#[test]
fn replies_are_read_in_whatever_pieces_they_come() {
    let data = b"*3\r\n$2\r\na\n\r\n:-7\r\n*2\r\n$-1\r\n*0\r\n+OK\r\n-ERR no\r\n*-1\r\n$0\r\n\r\n";
    let string = |text: &'static [u8]| Reply::String(Bytes::from_static(text));
    let expected = [
        Reply::Array(vec![string(b"a\n"), Reply::Integer(-7), Reply::Array(vec![Reply::Nil, Reply::Array(vec![])])]),
        Reply::Status(Bytes::from_static(b"OK")),
        Reply::Error("ERR no".to_owned()),
        Reply::Nil,
        string(b""),
    ];
    for piece in 1..data.len() {
        let (mut decoder, mut input, mut replies) = (Decoder::default(), BytesMut::new(), Vec::new());
        for piece in data.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(reply) = decoder.next(&mut input).expect("replies") {
                replies.push(reply);
            }
        }
        assert_eq!(replies, expected, "in pieces of {piece}");
    }
}

#[test]
fn every_bound_is_kept_before_anything_is_kept_for_it() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    assert!(matches!(first(&nested(DEPTH)), Ok(Some(_))));
    assert!(first(&nested(DEPTH + 1)).is_err());
    for (fine, beyond) in [
        (format!("${STRING_BYTES}\r\n"), format!("${}\r\n", STRING_BYTES + 1)),
        (format!("*{ELEMENTS}\r\n"), format!("*{}\r\n", ELEMENTS + 1)),
        (format!("+{}", "x".repeat(LINE_BYTES - 1)), format!("+{}", "x".repeat(LINE_BYTES))),
    ] {
        assert_eq!(first(fine.as_bytes()), Ok(None));
        assert!(first(beyond.as_bytes()).is_err(), "{} …", &beyond[..10]);
    }
    let mut decoder = Decoder { taken: REPLY_BYTES - 4, ..Decoder::default() };
    assert!(decoder.next(&mut BytesMut::from(&b":12\r\n"[..])).is_err());
    // Arrays within arrays are bounded together.
    let within = |inner: usize| format!("*3\r\n*{inner}\r\n");
    assert_eq!(first(within(ELEMENTS - 3).as_bytes()), Ok(None));
    assert!(first(within(ELEMENTS - 2).as_bytes()).is_err());
    // What one reply took is not charged to the next.
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::from(&b"*1\r\n:1\r\n"[..]));
    assert_eq!(decoder.next(&mut input), Ok(Some(Reply::Array(vec![Reply::Integer(1)]))));
    assert_eq!((decoder.taken, decoder.announced), (0, 0));
}

#[test]
fn what_is_no_reply_is_said_with_how_it_begins() {
    for (data, said) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "it is no reply of Redis: the line `HTTP/1.1 400 Bad Request`"),
        (b":\r\n", "it is no reply of Redis: the line `:`"),
        (b":+1\r\n", "it is no reply of Redis: the line `:+1`"),
        (b"$-2\r\n", "it is no reply of Redis: `$-2` announces more than 67108864"),
        (b"$1\r\nab\r\n", "it is no reply of Redis: a string is longer than it says"),
        (b"+OK\n", "it is no reply of Redis: the line `+OK` does not end as one"),
        (b"\r\n", "it is no reply of Redis: the line ``"),
    ] {
        assert_eq!(first(data).map_err(|e| e.to_string()), Err(said.to_owned()));
    }
}

#[test]
fn commands_are_written_with_every_length() {
    let mut commands = Commands::default().and(&["GET", "a\r\n"]);
    commands.begin(1);
    commands.argument([0, 0xff]);
    assert_eq!(
        (commands.bytes(), commands.count()),
        (&b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n*1\r\n$2\r\n\0\xff\r\n"[..], 2)
    );
}
