//! Weights: a decimal, or nothing at all. What is none places nobody and passes nothing on.

use steadfast_gateway::Answer;

use super::support::sticky::{Member, Town, way};

#[test]
fn a_weight_is_a_decimal_or_the_request_is_refused() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 100)]);
    let gateway = town.gateway_with(|config| {
        let answers = [("/redirect", Answer::Redirect), ("/assign", Answer::Assign), ("/proxy", Answer::Proxy)];
        config.listeners[0].routes = answers.map(|(path, answer)| way(path, answer)).into();
    });
    let digits = "9".repeat(400);
    let (zeros, fraction) = (format!("{}1", "0".repeat(400)), format!("1.{}", "0".repeat(400)));
    let mut connection = gateway.client();
    for (weight, status, reason) in [
        ("NaN", 400, "bad-weight"),
        ("inf", 400, "bad-weight"),
        ("Infinity", 400, "bad-weight"),
        ("-1", 400, "bad-weight"),
        ("-0", 400, "bad-weight"),
        ("%2B1", 400, "bad-weight"),
        ("+1", 400, "bad-weight"),
        ("0", 400, "bad-weight"),
        ("0.000", 400, "bad-weight"),
        ("1e9", 400, "bad-weight"),
        ("1e-9", 400, "bad-weight"),
        ("0.000000001", 400, "bad-weight"),
        ("0.0001", 400, "bad-weight"),
        ("", 400, "bad-weight"),
        (".", 400, "bad-weight"),
        (".5", 400, "bad-weight"),
        ("5.", 400, "bad-weight"),
        ("1.2.3", 400, "bad-weight"),
        ("1,5", 400, "bad-weight"),
        ("1_000", 400, "bad-weight"),
        ("1'000", 400, "bad-weight"),
        ("%201", 400, "bad-weight"),
        ("1%20", 400, "bad-weight"),
        ("1%0a", 400, "bad-weight"),
        ("1%00", 400, "bad-weight"),
        ("%00", 400, "bad-weight"),
        ("0x10", 400, "bad-weight"),
        ("010x", 400, "bad-weight"),
        ("%d9%a1", 400, "bad-weight"),
        ("\u{661}", 400, "bad-weight"),
        ("%ff", 400, "bad-weight"),
        ("1%", 400, "bad-weight"),
        ("true", 400, "bad-weight"),
        ("null", 400, "bad-weight"),
        ("1000000001", 400, "bad-weight"),
        ("18446744073709551617", 400, "bad-weight"),
        (&digits, 400, "bad-weight"),
        (&zeros, 400, "bad-weight"),
        (&fraction, 400, "bad-weight"),
        ("1&weight=1", 400, "ambiguous"),
        ("1&weight=2", 400, "ambiguous"),
        ("1&we%69ght=2", 400, "ambiguous"),
        ("&weight=1", 400, "ambiguous"),
        ("1&weight", 400, "ambiguous"),
        ("1000000000", 503, "too-heavy"),
        ("100.001", 503, "too-heavy"),
    ] {
        for path in ["/redirect", "/assign", "/proxy"] {
            let got = connection.exchange(format!("GET {path}?client=a&weight={weight} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!((got.status, got.reason().as_str()), (status, reason), "weight {weight:?} at {path}");
        }
    }
    assert_eq!((town.verify().clients, town.charged(&one), one.app.requests()), (0, 0, 0));
    for (client, weight) in [("a", "0.001"), ("b", "1"), ("c", "2.500"), ("d", "0000000007"), ("e", "%38")] {
        let got =
            connection.exchange(format!("GET /redirect?client={client}&weight={weight} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(got.status, 307, "weight {weight:?}: {got:?}");
    }
    let charged: Vec<u64> =
        ["a", "b", "c", "d", "e"].map(|client| town.client(client).unwrap().record.weight.as_milli()).into();
    assert_eq!(charged, [1, 1_000, 2_500, 7_000, 8_000]);
}
