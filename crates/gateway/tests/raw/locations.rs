//! Where a redirect leads: to the home's own address, whatever a request or a record says.

use std::time::Duration;

use steadfast_gateway::Answer;
use steadfast_store::{Batch, Change, Expect, Key, Space, Write};

use super::support::sticky::{Member, Running, Town};
use super::support::{DEADLINE, until};

fn town() -> (Member, Town) {
    let mut one = Member::named("web-1");
    one.http = Some("http://home.example:8081".parse().unwrap());
    let town = Town::new(|_| (), &[(&one, 10)]);
    (one, town)
}

/// All that comes back for these bytes.
fn raw(gateway: &Running, target: &str, fields: &str) -> String {
    let mut client = gateway.client();
    client.send(format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"));
    String::from_utf8(client.read_rest()).unwrap()
}

/// A redirect there, every byte of it but the date's.
fn redirect(location: &str) -> String {
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncache-control: no-store\r\n\
         steadfast-instance: web-1\r\nconnection: close\r\ncontent-length: 0\r\n"
    )
}

#[test]
fn a_redirect_leads_home_whatever_the_path_is() {
    let (_one, town) = town();
    let gateway = town.gateway(Answer::Redirect);
    for target in [
        "/?client=a",
        "//evil.example/x?client=a",
        "///evil.example?client=a",
        "/\\evil.example?client=a",
        "/\\/evil.example?client=a",
        "\\evil.example?client=a",
        "/@evil.example/?client=a",
        "/:80@evil.example/?client=a",
        "/.evil.example/?client=a",
        "/http://evil.example/?client=a",
        "/%0d%0aSet-Cookie:%20x=y?client=a",
        "/%0D%0A%0D%0A<script>?client=a",
        "/x?client=a&next=%0d%0aLocation:%20http://evil.example",
        "/x?client=a&y=\r\nX-Injected: y",
        "/x?client=%0d%0aSet-Cookie:%20x=y",
        "/ü?client=a",
    ] {
        let got = raw(&gateway, target, "Host: a\r\n");
        if target.starts_with('\\') || target.contains(['<', '\r']) {
            assert!(
                got.starts_with("HTTP/1.1 400 ") && !got.to_lowercase().contains("\r\nlocation:"),
                "{target:?}: {got}"
            );
            continue;
        }
        let (head, rest) = got.split_once("date: ").unwrap();
        assert_eq!(head, redirect(&format!("http://home.example:8081{target}")), "{target:?}");
        assert_eq!(rest.matches("\r\n").count(), 2, "nothing but a date: {rest:?}");
    }
}

#[test]
fn a_redirect_leads_home_whatever_else_a_request_says() {
    let (_one, town) = town();
    let gateway = town.gateway(Answer::Redirect);
    for fields in [
        "Host: evil.example\r\n",
        "Host: evil.example:80\r\nX-Forwarded-Host: other.example\r\n",
        "Host: a\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example;proto=https\r\n",
        "Host: a\r\nX-Original-URL: //evil.example\r\nX-Rewrite-URL: /evil\r\n",
        "Host: a\r\nOrigin: http://evil.example\r\nReferer: http://evil.example/\r\n",
    ] {
        let got = raw(&gateway, "/x?client=a", fields);
        assert_eq!(got.split_once("date: ").unwrap().0, redirect("http://home.example:8081/x?client=a"), "{fields:?}");
    }
    let got = raw(&gateway, "http://evil.example/x?client=a", "Host: evil.example\r\n");
    assert_eq!(got.split_once("date: ").unwrap().0, redirect("http://home.example:8081/x?client=a"));
    let got = raw(&gateway, "http://evil.example?client=a", "Host: evil.example\r\n");
    assert_eq!(got.split_once("date: ").unwrap().0, redirect("http://home.example:8081/?client=a"));
}

/// What a refusal repeats of a request stands in its document, as JSON has it, and nowhere else.
#[test]
fn a_refusal_repeats_nothing_in_its_head() {
    let (_one, town) = town();
    let gateway = town.gateway(Answer::Redirect);
    for (target, reason) in [
        ("/?client=a&weight=%0d%0aX-Injected:%20y", "bad-weight"),
        ("/?client=a&weight=%22,%22reason%22:%22x", "bad-weight"),
        ("/?client=a&weight=<b>", "bad-target"),
        ("/?client=", "bad-client-key"),
    ] {
        let mut client = gateway.client();
        let got = client.exchange(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((got.status, got.reason().as_str()), (400, reason), "{target}");
        let names: Vec<&str> = got.head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
        let known = ["content-type", "content-length", "date", "connection"];
        assert!(names.iter().all(|name| known.contains(name)), "{target}: {}", got.head);
    }
}

/// Another may write an instance's record. What is no address is nobody's address.
#[test]
fn a_record_with_something_else_than_an_address_leads_nowhere() {
    let (one, town) = town();
    let gateway = town.gateway(Answer::Redirect);
    let good = "http://home.example:8081";
    assert!(raw(&gateway, "/?client=a", "Host: a\r\n").contains("location: http://home.example:8081/?client=a\r\n"));
    for bad in [
        r"http://home.example:8081\r\nSet-Cookie: x=y",
        r"http://home.example\r\n\r\n:8081",
        "http://evil.example/x?y=:8081",
        "http://user@evil.example:8081",
        "http://evil.example#:8081",
        r"http://evil.example\\:8081",
        "javascript:alert(1)//:8081",
        "//evil.example:8081",
        "http://:8081",
        "",
    ] {
        write_endpoint(&town, &one, bad);
        // One that begins now has nothing but the record.
        let gateway = town.start(|config| {
            config.listeners[0].routes[0].answer = Answer::Redirect;
            // So long does it wait to hear of the home.
            config.bounds.connect_within = Duration::from_millis(50);
        });
        let got = raw(&gateway, "/?client=a", "Host: a\r\n");
        let head = got.split_once("\r\n\r\n").unwrap().0.to_lowercase();
        assert!(head.starts_with("http/1.1 50"), "{bad:?}: {got}");
        assert!(!head.contains("location:") && !head.contains("evil") && !head.contains("cookie"), "{bad:?}: {got}");
        drop(gateway);
        write_endpoint(&town, &one, good);
    }
    let back =
        || raw(&gateway, "/?client=a", "Host: a\r\n").contains("location: http://home.example:8081/?client=a\r\n");
    until("the record is good again", back);
}

/// Writes an instance's record with this `http` endpoint, as a JSON string has it.
fn write_endpoint(town: &Town, member: &Member, endpoint: &str) {
    let space = Space::new("web").unwrap();
    let key = Key::new(space.clone(), format!("instance/{}", member.id).into_bytes());
    let store = town.registry.store().clone();
    town.runtime.block_on(async {
        let known = store.read(&key, DEADLINE).await.unwrap().unwrap();
        let text = String::from_utf8(known.value.to_vec()).unwrap();
        let (before, rest) = text.split_once(r#""endpoints":{"http":""#).unwrap();
        let (_, after) = rest.split_once(r#""}"#).unwrap();
        let value = format!(r#"{before}"endpoints":{{"http":"{endpoint}"}}{after}"#);
        let write = Write::Put(value.into_bytes().into(), None);
        let changes = vec![Change { name: key.name, expect: Expect::Version(known.version), write }];
        store.commit(Batch { space, changes }, DEADLINE).await.unwrap();
    });
}
