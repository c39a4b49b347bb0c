//! Where a request ends: lengths and transfer codings.

use super::{Row, check, passed, refused};

/// A POST with these fields and what follows its head.
fn post(fields: &str, rest: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{rest}")
}

#[test]
fn a_length_is_said_once_and_clearly() {
    // What a reader that goes by another length would take for a request.
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad = |name: &str, value: &str| {
        refused(name, 400, "bad-length", post(&format!("Content-Length:{value}"), &format!("hello{smuggled}")))
    };
    check(vec![
        bad("nothing", ""),
        bad("a sign", " +5"),
        bad("negative", " -5"),
        bad("a list", " 5, 5"),
        bad("a list of others", " 5,6"),
        bad("hexadecimal", " 0x5"),
        bad("a leading zero", " 05"),
        bad("many zeros", " 0000000000000000000000000005"),
        bad("a fraction", " 5.0"),
        bad("an exponent", " 5e0"),
        bad("two numbers", " 5 5"),
        bad("in quotes", " \"5\""),
        bad("letters behind it", " 5x"),
        bad("an underscore", " 5_0"),
        bad("digits of Unicode", " \u{665}"),
        bad("19 digits", " 9999999999999999999"),
        bad("more than 64 bits", " 18446744073709551621"),
        bad("400 digits", &format!(" {}", "9".repeat(400))),
        refused("a vertical tab", 400, "bad-field", post("Content-Length: 5\x0b", "hello")),
        refused("twice, the same", 400, "ambiguous-length", post("Content-Length: 5\r\nContent-Length: 5", "hello")),
        refused("twice, others", 400, "ambiguous-length", post("Content-Length: 5\r\ncontent-length: 0", "hello")),
        refused("twice, one is none", 400, "ambiguous-length", post("Content-Length: 5\r\nContent-Length: x", "hello")),
        passed("with spaces", post("Content-Length: \t 5 ", "hello"), "POST /x HTTP/1.1", &["content-length: 5"]),
        passed("of nothing", post("Content-Length: 0", ""), "POST /x HTTP/1.1", &["content-length: 0"]),
        passed("none", post("X: y", ""), "POST /x HTTP/1.1", &["x: y"]),
    ]);
}

#[test]
fn a_length_and_a_coding_are_two_lengths() {
    let chunked = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = |name: &str, fields: &str| refused(name, 400, "ambiguous-length", post(fields, chunked));
    check(vec![
        both("the length first", "Content-Length: 4\r\nTransfer-Encoding: chunked"),
        both("the coding first", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
        both("a length of nothing", "Content-Length: 0\r\nTransfer-Encoding: chunked"),
        both("in capitals", "CONTENT-LENGTH: 4\r\nTRANSFER-ENCODING: CHUNKED"),
        refused(
            "a bad length too",
            400,
            "bad-length",
            post("Transfer-Encoding: chunked\r\nContent-Length: x", chunked),
        ),
    ]);
}

#[test]
fn a_coding_is_chunked_and_nothing_else() {
    let rest = "5\r\nhello\r\n0\r\n\r\n";
    let coding = |value: &str| post(&format!("Transfer-Encoding:{value}"), rest);
    let bad = |value: &str| refused(format!("coding {value:?}"), 400, "bad-transfer-coding", coding(value));
    let unknown = |value: &str| refused(format!("coding {value:?}"), 501, "unknown-transfer-coding", coding(value));
    let twice = |one: &str, two: &str| {
        let fields = format!("Transfer-Encoding: {one}\r\nTransfer-Encoding: {two}");
        refused(format!("codings {one:?} and {two:?}"), 400, "bad-transfer-coding", post(&fields, rest))
    };
    let chunked = |value: &str| {
        passed(format!("coding {value:?}"), coding(value), "POST /x HTTP/1.1", &["transfer-encoding: chunked"])
    };
    check(vec![
        bad(""),
        bad(" gzip"),
        bad(" identity"),
        bad(" xchunked"),
        bad(" chunkedx"),
        bad(" chunked, chunked"),
        bad(" chunked, identity"),
        bad(" chunked,"),
        bad(" , chunked"),
        bad(" chunked;q=1"),
        bad(" \"chunked\""),
        bad(" chunked\u{a0}"),
        bad(" chun ked"),
        unknown(" gzip, chunked"),
        unknown(" identity, chunked"),
        unknown(" x,\tchunked"),
        twice("chunked", "chunked"),
        twice("chunked", "identity"),
        twice("identity", "chunked"),
        unknown(" gzip, chunked\r\nTransfer-Encoding: chunked"),
        refused("a vertical tab", 400, "bad-field", coding(" chunked\x0b")),
        refused("NUL", 400, "bad-field", coding(" chunked\0")),
        refused("folded", 400, "bad-transfer-coding", coding("\r\n chunked")),
        refused("in HTTP/1.0", 400, "bad-transfer-coding", coding(" chunked").replace("HTTP/1.1", "HTTP/1.0")),
        refused(
            "unknown in HTTP/1.0",
            501,
            "unknown-transfer-coding",
            coding(" a, chunked").replace("HTTP/1.1", "HTTP/1.0"),
        ),
        chunked(" chunked"),
        chunked(" ChUnKeD\t"),
        chunked("chunked"),
    ]);
}

/// A length that is not met ends the request: what the client did not send is not waited for by anybody for ever.
#[test]
fn what_was_announced_is_what_is_read() {
    let behind = "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
    let two = |name: &str, bytes: String, fields: &[&str]| Row {
        answers: vec![(200, ""), (200, "")],
        saw: vec![super::head("POST /x HTTP/1.1", fields), super::head("GET /behind HTTP/1.1", &[])],
        ..passed(name, bytes, "", &[])
    };
    check(vec![
        two("a length", post("Content-Length: 5", &format!("hello{behind}")), &["content-length: 5"]),
        two("no body", post("X: y", behind), &["x: y"]),
        two(
            "a body that looks like a request",
            post(&format!("Content-Length: {}", behind.len()), &format!("{behind}{behind}")),
            &[&format!("content-length: {}", behind.len())],
        ),
        two(
            "chunks",
            post("Transfer-Encoding: chunked", &format!("5\r\nhello\r\n0\r\n\r\n{behind}")),
            &["transfer-encoding: chunked"],
        ),
    ]);
}
