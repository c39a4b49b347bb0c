//! Lines and fields of a head.

use super::{Row, check, head, passed, refused};

/// A good head with this line among its fields.
fn with(field: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: a\r\n", field, b"\r\n\r\n"].concat()
}

#[test]
fn what_is_not_http_1_is_told_so() {
    check(vec![
        refused("TLS", 400, "not-http", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n\r\n"),
        refused("TLS, only its first byte", 400, "not-http", b"\x16"),
        refused("SSH", 400, "not-http", "SSH-2.0-OpenSSH_9.2\r\n"),
        refused("SMTP", 400, "not-http", "EHLO example.org\r\n"),
        refused("a space first", 400, "not-http", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("NUL first", 400, "not-http", b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("two empty lines first", 400, "not-http", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("HTTP/0.9", 400, "not-http", "GET /\r\n\r\n"),
        refused("no version", 400, "not-http", "GET / \r\nHost: a\r\n\r\n"),
        refused("no target", 400, "bad-target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("only a version", 400, "not-http", "HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("an answer", 400, "not-http", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        refused("a version in small letters", 400, "not-http", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        refused("a version of three digits", 400, "not-http", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        refused("no dot in the version", 400, "not-http", "GET / HTTP/11\r\nHost: a\r\n\r\n"),
        refused("something behind the version", 400, "not-http", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        refused("tabs for spaces", 400, "not-http", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("two spaces", 400, "bad-target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("a separator in the method", 400, "not-http", "G=T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("HTTP/0.9 said so", 505, "http-version", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
        refused("HTTP/1.2", 505, "http-version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        refused("HTTP/2.0", 505, "http-version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        refused(
            "HTTP/2 with prior knowledge",
            505,
            "http-version",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
    ]);
}

#[test]
fn lines_end_in_cr_lf_which_stand_nowhere_else() {
    check(vec![
        refused("LF everywhere", 400, "bad-line", "GET / HTTP/1.1\nHost: a\n\n"),
        refused("LF behind the first line", 400, "bad-line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        refused("LF behind a field", 400, "bad-line", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        refused("LF in a value", 400, "bad-line", with(b"X: a\nY: b")),
        refused("LF at the end", 400, "bad-line", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        refused("LF first", 400, "bad-line", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("CR in a value", 400, "bad-line", with(b"X: a\rY: b")),
        refused("CR before CR LF", 400, "bad-line", with(b"X: a\r")),
        refused("CR in the target", 400, "bad-target", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("CR before a name", 400, "bad-field", with(b"\rTransfer-Encoding: chunked")),
        refused("CR in a name", 400, "bad-field", with(b"X\r: b")),
        refused("CR for an end", 400, "bad-line", "GET / HTTP/1.1\r\nHost: a\r\r"),
        refused("LF CR", 400, "bad-line", "GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
        passed("one empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", &[]),
    ]);
}

#[test]
fn a_field_is_a_name_a_colon_and_a_value_on_one_line() {
    check(vec![
        refused("folded by a space", 400, "bad-field", with(b"X: one\r\n two")),
        refused("folded by a tab", 400, "bad-field", with(b"X: one\r\n\ttwo")),
        refused("folded into nothing", 400, "bad-field", with(b"X: one\r\n ")),
        refused("a space before the first name", 400, "bad-field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        refused("a space before the colon", 400, "bad-field", with(b"Content-Length : 5")),
        refused("a tab before the colon", 400, "bad-field", with(b"Transfer-Encoding\t: chunked")),
        refused("a space in a name", 400, "bad-field", with(b"X Y: b")),
        refused("no colon", 400, "bad-field", with(b"X")),
        refused("no name", 400, "bad-field", with(b": b")),
        refused("no name, twice", 400, "bad-field", with(b":: b")),
        refused("a name in quotes", 400, "bad-field", with(b"\"X\": b")),
        refused("a name in UTF-8", 400, "bad-field", with("ü: b".as_bytes())),
        passed("no value", with(b"X:"), "GET / HTTP/1.1", &["x: "]),
        passed("no value but spaces", with(b"X: \t "), "GET / HTTP/1.1", &["x: "]),
        passed("spaces around a value", with(b"X:\t a  b \t"), "GET / HTTP/1.1", &["x: a  b"]),
        passed("a colon in a value", with(b"X:a:b"), "GET / HTTP/1.1", &["x: a:b"]),
        passed("one name twice", with(b"X: a\r\nx: b"), "GET / HTTP/1.1", &["x: a", "x: b"]),
    ]);
}

/// Each byte there is, in a name, in a value, in a method and in a version.
#[test]
fn each_byte_passes_as_it_is_or_not_at_all() {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let mut rows: Vec<Row> = Vec::new();
    for byte in 0..=u8::MAX {
        let (name, shown) = (format!("byte {byte:#04x}"), char::from(byte));
        let in_value = with(&[b"X: <", &[byte][..], b">"].concat());
        rows.push(match byte {
            b'\n' | b'\r' => refused(format!("{name} in a value"), 400, "bad-line", in_value),
            0..b' ' | 0x7f if byte != b'\t' => refused(format!("{name} in a value"), 400, "bad-field", in_value),
            _ => passed(format!("{name} in a value"), in_value, "GET / HTTP/1.1", &[&format!("x: <{shown}>")]),
        });
        let in_name = with(&[b"X", &[byte][..], b"Y: z"].concat());
        rows.push(match byte {
            b'\n' => refused(format!("{name} in a name"), 400, "bad-line", in_name),
            // The name ends there.
            b':' => passed(format!("{name} in a name"), in_name, "GET / HTTP/1.1", &["x: Y: z"]),
            _ if is_token(byte) => {
                let field = format!("x{}y: z", shown.to_ascii_lowercase());
                passed(format!("{name} in a name"), in_name, "GET / HTTP/1.1", &[&field])
            }
            _ => refused(format!("{name} in a name"), 400, "bad-field", in_name),
        });
        let method = [b"G", &[byte][..], b"T / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        rows.push(match byte {
            b'\n' => refused(format!("{name} in a method"), 400, "bad-line", method),
            b' ' => refused(format!("{name} in a method"), 400, "bad-target", method),
            _ if is_token(byte) => passed(format!("{name} in a method"), method, &format!("G{shown}T / HTTP/1.1"), &[]),
            _ => refused(format!("{name} in a method"), 400, "not-http", method),
        });
    }
    check(rows);
}

#[test]
fn what_is_too_large_is_refused() {
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: y\r\n")).collect::<String>();
    let long = |count: usize| "x".repeat(count);
    let shown: Vec<String> = (0..99).map(|number| format!("x-{number}: y")).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    check(vec![
        refused("a long target", 414, "uri-too-long", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(16_384))),
        refused("a long target without an end", 414, "uri-too-long", format!("GET /{}", long(17_000))),
        refused("a long method", 414, "uri-too-long", format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", long(16_384))),
        refused("a long value", 431, "head-too-large", with(format!("X: {}", long(40_000)).as_bytes())),
        refused("a long value without an end", 431, "head-too-large", format!("GET / HTTP/1.1\r\nX: {}", long(40_000))),
        refused("a long name", 431, "head-too-large", with(format!("{}: x", long(40_000)).as_bytes())),
        refused("much more than is read", 431, "head-too-large", with(format!("X: {}", long(500_000)).as_bytes())),
        refused("many fields", 431, "head-too-large", with(fields(100).trim_end().as_bytes())),
        refused("many more", 431, "head-too-large", with(fields(5_000).trim_end().as_bytes())),
        Row {
            saw: vec![head("GET / HTTP/1.1", &shown)],
            ..passed("just not too many", with(fields(99).trim_end().as_bytes()), "", &[])
        },
        passed(
            "a long value that fits",
            with(format!("X: {}", long(30_000)).as_bytes()),
            "GET / HTTP/1.1",
            &[&format!("x: {}", long(30_000))],
        ),
        passed(
            "a long target that fits",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(16_000)),
            &format!("GET /{} HTTP/1.1", long(16_000)),
            &[],
        ),
    ]);
}

/// A reader that takes `_` for `-` must not find what only a gateway may say.
#[test]
fn fields_that_a_reader_could_take_for_ours_do_not_pass() {
    check(vec![passed(
        "names with _",
        with(
            b"X_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Proto: https\r\nSteadfast_Owner_Epoch: 9\r\nContent_Length: 7\r\n\
              Transfer_Encoding: chunked\r\nX_Other: stays",
        ),
        "GET / HTTP/1.1",
        &["x_other: stays"],
    )]);
}
