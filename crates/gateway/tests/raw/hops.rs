//! Fields of one hop, upgrades and expectations.

use super::{Row, check, head, passed, refused};

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[test]
fn fields_of_one_hop_go_no_further_and_take_nothing_of_ours_with_them() {
    let plain = |name: &str, fields: &str, left: &[&str]| passed(name, get(fields), "GET / HTTP/1.1", left);
    check(vec![
        plain("named", "Connection: X-One, x-two\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3", &["x-three: 3"]),
        plain("in two lines", "Connection: X-One\r\nConnection: X-Two\r\nX-One: 1\r\nX-Two: 2", &[]),
        plain("known", "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nTE: gzip", &[]),
        plain("Host", "Connection: Host", &[]),
        plain("what we say", "Connection: Via, Forwarded, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto", &[]),
        plain(
            "what we say, said",
            "Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4",
            &[],
        ),
        plain("Steadfast", "Connection: Steadfast-Owner-Epoch\r\nSteadfast-Owner-Epoch: 9\r\nSteadfast-X: 1", &[]),
        plain("nonsense", "Connection: , ;, \"x\", \u{fc}, a b", &[]),
        plain("close among others", "Connection: x-one, close\r\nX-One: 1", &[]).closed(),
        plain("close and keep-alive", "Connection: close\r\nConnection: keep-alive", &[]).closed(),
        passed(
            "Content-Length",
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nhi",
            "POST / HTTP/1.1",
            &["content-length: 2"],
        ),
        passed(
            "Transfer-Encoding",
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "POST / HTTP/1.1",
            &["transfer-encoding: chunked"],
        ),
    ]);
}

#[test]
fn an_upgrade_to_what_we_do_not_carry_is_an_offer_nobody_takes() {
    let plain = |name: &str, fields: &str, left: &[&str]| passed(name, get(fields), "GET / HTTP/1.1", left);
    check(vec![
        plain("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", &[]),
        plain("something", "Connection: upgrade\r\nUpgrade: x/1", &[]),
        plain("a list", "Connection: upgrade\r\nUpgrade: h2c, websocket", &[]),
        plain("not named", "Upgrade: websocket\r\nSec-WebSocket-Version: 13", &["sec-websocket-version: 13"]),
        passed(
            "websocket with a body",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
            "GET / HTTP/1.1",
            &["content-length: 2"],
        ),
        passed(
            "websocket by POST",
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1",
            &["content-length: 0"],
        ),
        passed(
            "websocket in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1",
            &[],
        )
        .closed(),
        // The application says 200: what is behind is a request after all, or it is not.
        Row {
            answers: vec![(200, ""), (400, "not-http")],
            saw: vec![head("GET / HTTP/1.1", &["connection: upgrade", "upgrade: websocket"])],
            usable: false,
            ..refused(
                "websocket that is not granted",
                0,
                "",
                get("Connection: upgrade\r\nUpgrade: websocket") + "\x00early",
            )
        },
    ]);
}

#[test]
fn a_request_may_expect_to_be_continued_and_nothing_else() {
    let post =
        |fields: &str, rest: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{fields}\r\n\r\n{rest}");
    let other = |value: &str| {
        refused(format!("expects {value:?}"), 417, "expectation-failed", post(&format!("Expect: {value}"), "hi"))
    };
    check(vec![
        passed("to be continued", post("Expect: 100-Continue", "hi"), "POST / HTTP/1.1", &["content-length: 2"]),
        passed("without a body", get("Expect: 100-continue"), "GET / HTTP/1.1", &[]),
        passed(
            "in HTTP/1.0",
            post("Expect: 100-continue", "hi").replace("HTTP/1.1", "HTTP/1.0"),
            "POST / HTTP/1.1",
            &["content-length: 2"],
        )
        .closed(),
        other(""),
        other("200-ok"),
        other("100-continue, x"),
        other("100-continue=x"),
        other("100-continue\r\nExpect: 100-continue"),
        other("100-continue\r\nExpect: x"),
    ]);
}
