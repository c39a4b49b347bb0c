//! Chunked bodies and their trailers. A request whose body is not what its head announced is not one: the application
//! sees it break off.

use super::support::{App, Instance, World, until};
use super::{Row, check, passed, refused};

const HEAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A body that is refused, with a request behind it that some reader would see.
fn bad(name: &str, body: impl Into<Vec<u8>>) -> Row {
    refused(name, 400, "bad-request", [HEAD.as_bytes(), &body.into(), BEHIND.as_bytes()].concat())
}

fn good(name: &str, body: &str) -> Row {
    passed(name, format!("{HEAD}{body}"), "POST /x HTTP/1.1", &["transfer-encoding: chunked"])
}

#[test]
fn chunks_are_read_as_they_are_written() {
    let zeros = |count: usize| "0".repeat(count);
    check(vec![
        good("a chunk", "5\r\nhello\r\n0\r\n\r\n"),
        good("two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        good("no chunk", "0\r\n\r\n"),
        good("digits in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        good("some zeros", &format!("{}5\r\nhello\r\n{}\r\n\r\n", zeros(15), zeros(16))),
        good("an extension", "5;name=value\r\nhello\r\n0;x\r\n\r\n"),
        good("an extension in quotes", "5;name=\"a;b\"\r\nhello\r\n0\r\n\r\n"),
        good("a long extension", &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(200))),
        good("a chunk that looks like an end", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        bad("17 digits", format!("{}5\r\nhello\r\n0\r\n\r\n", zeros(16))),
        bad("zeros by the thousand", format!("{}5\r\nhello\r\n0\r\n\r\n", zeros(5_000))),
        bad("more than 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("no size", "\r\nhello\r\n0\r\n\r\n"),
        bad("no size but an extension", ";x\r\nhello\r\n0\r\n\r\n"),
        bad("a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        bad("negative", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad("not hexadecimal", "5g\r\nhello\r\n0\r\n\r\n"),
        bad("a space before it", " 5\r\nhello\r\n0\r\n\r\n"),
        bad("a space behind it", "5 \r\nhello\r\n0\r\n\r\n"),
        bad("an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        bad("LF behind it", "5\nhello\r\n0\r\n\r\n"),
        bad("CR behind it", "5\rhello\r\n0\r\n\r\n"),
        bad("LF in an extension", "5;x\nhello\r\n0\r\n\r\n"),
        bad("CR in an extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"),
        bad("NUL in an extension", "5;x\0\r\nhello\r\n0\r\n\r\n"),
        bad("an extension of 1 MB", format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20))),
        bad("more than the size", "4\r\nhello\r\n0\r\n\r\n"),
        bad("less than the size", "6\r\nhello\r\n0\r\n\r\n"),
        bad("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        bad("nothing behind the data", "5\r\nhello0\r\n\r\n"),
        bad("two line ends behind the data", "5\r\nhello\r\n\r\n0\r\n\r\n"),
        bad("LF behind the last chunk", "5\r\nhello\r\n0\n\r\n"),
        bad("LF at the end", "5\r\nhello\r\n0\r\n\n"),
        bad("CR at the end", "5\r\nhello\r\n0\r\n\r\r"),
    ]);
}

#[test]
fn a_body_that_breaks_off_is_nobodys_request() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    for bytes in [
        format!("{HEAD}5\r\nhel"),
        format!("{HEAD}5\r\nhello\r\n"),
        format!("{HEAD}5\r\nhello\r\n0\r\n"),
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell".to_owned(),
    ] {
        let mut client = world.client();
        client.send(&bytes);
        client.finish_writing();
        client.read_rest();
    }
    until("nothing runs", || world.target().is_some_and(|target| target.running == 0));
    assert_eq!((one.app.requests(), world.totals().leader_lost), (0, 0));
}

#[test]
fn trailers_are_fields_and_say_nothing_of_the_head() {
    let ending = |trailers: &str| format!("5\r\nhello\r\n0\r\n{trailers}\r\n");
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    check(vec![
        good("one", &ending("X-Sum: 1\r\n")),
        good("none that was announced", &ending("A: 1\r\nB: 2\r\n")),
        good("a length", &ending("Content-Length: 500\r\n")),
        good("a coding", &ending("Transfer-Encoding: chunked\r\n")),
        good("a host", &ending("Host: b\r\n")),
        bad("too many", ending(&many)),
        bad("too large", ending(&format!("X: {}\r\n", "x".repeat(40_000)))),
        bad("a folded one", ending("X: 1\r\n 2\r\n")),
        bad("no name", ending(": 1\r\n")),
        bad("no colon", ending("X\r\n")),
        bad("a space before the colon", ending("X : 1\r\n")),
        bad("LF behind it", ending("X: 1\n")),
        bad("CR in it", ending("X: 1\rY: 2\r\n")),
        bad("NUL in it", ending("X: 1\0\r\n")),
    ]);
}

#[test]
fn only_trailers_that_were_announced_pass_and_none_that_belong_in_a_head() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    let names = "X-Sum, Steadfast-Owner-Epoch, X-Forwarded-For, X_Forwarded_For, Forwarded, Content-Length, Host, \
                 Transfer-Encoding, Connection, Authorization, Cookie, TE, Upgrade, Trailer";
    let trailers: String = names.split(", ").map(|name| format!("{name}: 1\r\n")).collect();
    let bytes = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: {names}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}X-Other: 1\r\n\r\n"
    );
    let mut client = world.client();
    assert_eq!(client.exchange(bytes).status, 200);
    assert_eq!(client.get("/behind").status, 200);
    let seen = one.app.seen();
    assert_eq!((seen.len(), &seen[0].trailers[..]), (2, &["x-sum: 1".to_owned()][..]));
}
