//! Client keys: every byte, from every place, by every way of answering, is one client, and the one that was meant.

use steadfast_core::client::{ClientKey, Sources};
use steadfast_core::placement::Placement;
use steadfast_gateway::{Answer, RouteConfig};

use super::support::route;
use super::support::sticky::{Member, Running, Town};

/// How keys come: what a request says for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Query,
    Header,
    Cookie,
    Path,
}

const PLACES: [Place; 4] = [Place::Query, Place::Header, Place::Cookie, Place::Path];
const ANSWERS: [(Answer, &str, u16); 3] =
    [(Answer::Redirect, "redirect", 307), (Answer::Assign, "assign", 200), (Answer::Proxy, "proxy", 200)];

/// A gateway with a route for each way and place.
fn gateway(town: &Town) -> Running {
    let mut routes: Vec<RouteConfig> = Vec::new();
    for (answer, way, _) in ANSWERS {
        for (place, path, source) in [
            (Place::Query, "", "query:client"),
            (Place::Header, "", "header:x-client"),
            (Place::Cookie, "", "cookie:client"),
            (Place::Path, "{client}/", "path:{client}"),
        ] {
            let client = Some(Sources(vec![source.parse().unwrap()]));
            let path = format!("/{way}/{place:?}/{path}");
            routes.push(RouteConfig { answer, client, ..route("*", &path) });
        }
    }
    town.gateway_with(|config| config.listeners[0].routes = routes)
}

/// A request by this way that says so at this place.
fn request(way: &str, place: Place, said: &[u8]) -> Vec<u8> {
    let start = format!("GET /{way}/{place:?}/").into_bytes();
    let end = b" HTTP/1.1\r\nHost: a\r\n";
    match place {
        Place::Query => [&start, &b"?client="[..], said, end, b"\r\n"].concat(),
        Place::Header => [&start, &end[..], b"X-Client: ", said, b"\r\n\r\n"].concat(),
        Place::Cookie => [&start, &end[..], b"Cookie: x=y; client=", said, b"; z\r\n\r\n"].concat(),
        Place::Path => [&start, said, b"/", end, b"\r\n"].concat(),
    }
}

/// As it is said there: escaped where escapes are read.
fn said(place: Place, key: &[u8]) -> Vec<u8> {
    match place {
        Place::Query | Place::Path => key.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect(),
        Place::Header | Place::Cookie => key.to_vec(),
    }
}

fn record(town: &Town, key: &[u8]) -> Placement {
    let key = ClientKey::new(key).unwrap();
    let found = town.runtime.block_on(town.registry.client(&"web".parse().unwrap(), &key)).unwrap();
    found.unwrap_or_else(|| panic!("no client {key}")).record
}

/// Every key in the books, in their order.
fn listed(town: &Town) -> Vec<Vec<u8>> {
    let page = town.runtime.block_on(town.registry.clients(&"web".parse().unwrap(), None, 1_000)).unwrap();
    assert!(page.next.is_none() && page.unreadable.is_empty());
    page.clients.iter().map(|(key, _)| key.as_bytes().to_vec()).collect()
}

/// What is told of a client by each way: its home, and its key where that is told too.
fn check_told(way: &str, got: &super::support::Got, key: &[u8], home: &str) {
    assert_eq!(got.field("steadfast-instance").as_deref(), Some(home), "{way}: {got:?}");
    if way == "assign" {
        let told: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        let told: ClientKey = told["client"].as_str().unwrap().parse().unwrap();
        assert_eq!(told.as_bytes(), key);
    }
}

#[test]
fn each_byte_is_itself_from_every_place() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|_| (), &[(&one, 1_000), (&two, 1_000)]);
    let gateway = gateway(&town);
    let mut connection = gateway.client();
    let mut forwarded = 0;
    for byte in 0..=u8::MAX {
        let key = [b'k', byte, b'k'];
        for (_, way, status) in ANSWERS {
            for place in PLACES {
                let bytes = request(way, place, &said(place, &key));
                let is_raw = matches!(place, Place::Header | Place::Cookie);
                if is_raw && (byte == 0x7f || (byte < b' ' && byte != b'\t')) {
                    let got = gateway.client().exchange(&bytes);
                    assert_eq!(got.status, 400, "{byte:#04x} by {way} in {place:?}");
                    assert!(["bad-field", "bad-line"].contains(&got.reason().as_str()), "{got:?}");
                    continue;
                }
                let got = connection.exchange(&bytes);
                assert_eq!(got.status, status, "{byte:#04x} by {way} in {place:?}: {got:?}");
                // A cookie ends at its semicolon.
                let key = if byte == b';' && place == Place::Cookie { &b"k"[..] } else { &key };
                check_told(way, &got, key, record(&town, key).home.as_str());
                forwarded += usize::from(way == "proxy");
            }
        }
    }
    assert_eq!(town.verify().clients, 256 + 1, "each is one client, and the cookie's k another");
    let expected = [vec![b'k']].into_iter().chain((0..=u8::MAX).map(|byte| vec![b'k', byte, b'k']));
    assert_eq!(listed(&town), expected.collect::<Vec<_>>(), "as the books list them");
    assert_eq!(one.app.requests() + two.app.requests(), forwarded);
}

#[test]
fn a_key_has_1_to_256_bytes() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 1_000)]);
    let gateway = gateway(&town);
    let mut connection = gateway.client();
    for length in [1, 2, 255, 256] {
        let key = vec![b'x'; length];
        for (_, way, status) in ANSWERS {
            for place in PLACES {
                let got = connection.exchange(request(way, place, &said(place, &key)));
                assert_eq!(got.status, status, "{length} bytes by {way} in {place:?}: {got:?}");
                check_told(way, &got, &key, "web-1");
            }
        }
        assert_eq!(record(&town, &key).home.as_str(), "web-1");
    }
    let (placed, forwarded) = (town.verify().clients, one.app.requests());
    assert_eq!((placed, forwarded), (4, 16));
    for length in [0, 257, 5_000] {
        let key = vec![b'x'; length];
        for (_, way, _) in ANSWERS {
            for place in PLACES {
                let got = connection.exchange(request(way, place, &said(place, &key)));
                let expected = match (place, length) {
                    // A route's segment is not empty.
                    (Place::Path, 0) => (404, "no-route"),
                    _ => (400, "bad-client-key"),
                };
                assert_eq!((got.status, got.reason().as_str()), expected, "{length} bytes by {way} in {place:?}");
            }
        }
    }
    assert_eq!((town.verify().clients, one.app.requests()), (placed, forwarded));
}

#[test]
fn what_is_said_twice_or_badly_is_nobody() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 1_000)]);
    let gateway = gateway(&town);
    let mut connection = gateway.client();
    for (place, said, reason) in [
        (Place::Query, &b"a&client=b"[..], "ambiguous"),
        (Place::Query, b"a&client=a", "ambiguous"),
        (Place::Query, b"a&c%6cient=b", "ambiguous"),
        (Place::Query, b"a&%63%6c%69%65%6e%74=b", "ambiguous"),
        (Place::Query, b"a&client", "ambiguous"),
        (Place::Query, b"&client=a", "ambiguous"),
        (Place::Query, b"%", "bad-client-key"),
        (Place::Query, b"%4", "bad-client-key"),
        (Place::Query, b"%zz", "bad-client-key"),
        (Place::Query, b"%+1", "bad-client-key"),
        (Place::Query, b"a%u0041", "bad-client-key"),
        (Place::Header, b"a\r\nX-Client: b", "ambiguous"),
        (Place::Header, b"a\r\nx-client: a", "ambiguous"),
        (Place::Header, b"\r\nX-Client: a", "ambiguous"),
        (Place::Header, b" \t ", "bad-client-key"),
        (Place::Cookie, b"a; client=b", "ambiguous"),
        (Place::Cookie, b"a\r\nCookie: client=b", "ambiguous"),
        (Place::Cookie, b"a\r\nCookie: client=a", "ambiguous"),
        (Place::Cookie, b" ", "bad-client-key"),
        (Place::Path, b"%", "bad-client-key"),
        (Place::Path, b"50%", "bad-client-key"),
        (Place::Path, b"%0", "bad-client-key"),
    ] {
        for (_, way, _) in ANSWERS {
            let got = connection.exchange(request(way, place, said));
            let shown = String::from_utf8_lossy(said);
            assert_eq!((got.status, got.reason().as_str()), (400, reason), "{shown:?} by {way} in {place:?}");
        }
    }
    for (_, way, _) in ANSWERS {
        for (place, reason) in [(Place::Query, "no-client-key"), (Place::Header, "no-client-key")] {
            let got = connection
                .exchange(format!("GET /{way}/{place:?}/ HTTP/1.1\r\nHost: a\r\nCookie: Client=a; client\r\n\r\n"));
            assert_eq!((got.status, got.reason().as_str()), (400, reason));
        }
    }
    assert_eq!((town.verify().clients, one.app.requests()), (0, 0));
}
