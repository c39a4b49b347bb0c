use alloc::string::ToString;
use alloc::vec;
use core::net::{IpAddr, Ipv4Addr};

use super::*;

/// A request with a query, and nothing else.
struct Query(&'static str);

impl RequestView for Query {
    fn query(&self) -> Option<&str> {
        Some(self.0)
    }

    fn header(&self, _name: &str) -> impl Iterator<Item = &[u8]> {
        core::iter::empty()
    }

    fn capture(&self, _name: &str) -> Option<&str> {
        None
    }

    fn source(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

fn places(text: &str) -> Sources {
    Sources(vec![text.parse().unwrap()])
}

fn weight(text: &str) -> Weight {
    text.parse().unwrap()
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn cameras() -> Sticky {
    Sticky { client: places("query:camera"), weight: WeightRule::Said(places("query:mbps")), ..Sticky::default() }
}

/// With this change the settings are refused with this text.
#[track_caller]
fn refused(change: impl FnOnce(&mut Sticky), expected: &str) {
    let mut values = cameras();
    change(&mut values);
    assert_eq!(StickySettings::new(values).expect_err("refused").to_string(), expected);
}

#[test]
fn values_out_of_bounds_are_refused_with_what_would_be_right() {
    assert_eq!(*StickySettings::new(cameras()).unwrap(), cameras());
    refused(
        |s| s.client = Sources::default(),
        "client is missing: it says where a request names its client, such as \"query:camera\"",
    );
    refused(|s| s.client = Sources(vec![s.client.0[0].clone(); 9]), "client has 9 places: 8 at most");
    refused(|s| s.weight = WeightRule::Fixed(Weight::ZERO), "weight is to be more than 0");
    refused(|s| s.weight_default = Weight::ZERO, "weight_default is to be more than 0");
    refused(|s| s.weight_max = Some(weight("0.5")), "weight_default 1 is more than weight_max 0.5");
    refused(|s| s.weight_max = Some(Weight::ZERO), "weight_default 1 is more than weight_max 0");
    for milli in [0, 1_001] {
        refused(
            |s| s.admit_below_milli = milli,
            "admit_below is to be a number from 0.001 to 1: the part of an instance new clients may fill",
        );
    }
    refused(
        |s| s.claim_within = span("1s"),
        "claim_within 1s is too short: 5s at least, since time is kept in steps of it",
    );
    refused(
        |s| s.idle_after = span("1s"),
        "idle_after 1s is too short: 5s at least, since time is kept in steps of it",
    );
    refused(|s| s.home_wait = span("3651d"), "home_wait 3651d is too long: 3650d at most");
    refused(|s| s.forget_after = Some(span("1h")), "forget_after 1h is shorter than idle_after 1d: make it as long");
    refused(|s| s.max_clients = 0, "max_clients is to be from 1 to 1000000000");
    refused(|s| s.new_per_source = 0, "new_per_source is to be 1 or more: with 0 no client would ever be placed");
}

#[test]
fn labels_are_required_or_preferred_and_read_from_somewhere() {
    let label = |name: &str, sources| BTreeMap::from([(name.parse().unwrap(), sources)]);
    refused(
        |s| s.require = label("region", Sources::default()),
        "require says of region no place to read it from, such as \"query:region\"",
    );
    refused(
        |s| (s.require, s.prefer) = (label("region", places("query:r")), label("region", places("header:r"))),
        "prefer has region, which is required already: leave it out of one of them",
    );
    let many = (0..17).map(|n| (n.to_string().parse().unwrap(), places("query:r"))).collect();
    refused(|s| s.prefer = many, "prefer has 17 labels: 16 at most");

    let both = Sticky {
        require: label("region", places("query:region")),
        prefer: label("zone", places("query:zone")),
        ..cameras()
    };
    let both = StickySettings::new(both).unwrap();
    let said = |query| both.labels_said(&Query(query)).map(|labels| alloc::format!("{labels:?}"));
    assert_eq!(said("region=eu&zone=a"), Ok(r#"{LabelName("region"): "eu", LabelName("zone"): "a"}"#.into()));
    assert_eq!(said("region=&camera=7"), Ok("{}".into()));
    assert!(said("zone=a&zone=b").is_err());
}

#[test]
fn evict_is_a_url_that_names_the_client() {
    for right in ["http://127.0.0.1:8081/clients/{client}/leave", "http://control/leave?client={client}"] {
        let values = Sticky { evict: Some(right.into()), ..cameras() };
        assert!(StickySettings::new(values).is_ok(), "{right}");
    }
    for wrong in
        ["https://h/{client}", "http://h/leave", "http://{client}/", "http://h:x/{client}", "http://h/{client}\n"]
    {
        refused(
            |s| s.evict = Some(wrong.into()),
            "evict is to be an http:// URL with {client} in its path or query, such as \
             http://127.0.0.1:8081/clients/{client}/leave",
        );
    }
}

#[test]
fn evict_is_shown_without_what_may_be_secret() {
    let told = "http://h/leave?client={client}&key=s3cret";
    let settings = StickySettings::new(Sticky { evict: Some(told.into()), ..cameras() }).unwrap();
    let shown = settings.concealed();
    assert_eq!(shown.evict.as_deref(), Some("http://h/leave?client={client}&key=******"));
    refused(
        |s| s.evict = Some("http://h/leave?client={client}&key=******".into()),
        "evict has stars where a value is, as it is shown: write the value itself",
    );
}

#[test]
fn presence_decides_when_a_client_is_idle() {
    assert_eq!(Sticky::with_presence(Presence::Request), Sticky::default());
    for presence in [Presence::Connection, Presence::Report] {
        assert_eq!(Sticky::with_presence(presence).idle_after, span("60s"));
    }
}

#[test]
fn a_weight_is_said_by_the_request_or_its_route() {
    let settings = StickySettings::new(Sticky { weight_max: Some(weight("10")), ..cameras() }).unwrap();
    let said = |route: Option<WeightRule>, query| settings.weight_said(route.as_ref(), &Query(query));
    assert_eq!(said(None, "camera=a"), Ok(None), "a missing weight is none");
    assert_eq!(said(None, "mbps=8"), Ok(Some(weight("8"))));
    assert_eq!(said(None, "mbps=11"), Err(BadRequest::TooHeavy { weight: weight("11"), most: weight("10") }));
    assert_eq!(said(Some(WeightRule::Fixed(weight("2"))), "mbps=8"), Ok(Some(weight("2"))));
    assert_eq!(said(Some(WeightRule::Said(places("query:kbps"))), "mbps=8"), Ok(None));
    assert_eq!(settings.weight_or_default(None), Weight::ONE);

    let fixed = StickySettings::new(Sticky { weight: WeightRule::Fixed(weight("3")), ..cameras() }).unwrap();
    assert_eq!(fixed.weight_said(None, &Query("mbps=8")), Ok(None));
    assert_eq!(fixed.weight_or_default(None), weight("3"));
    assert_eq!(fixed.weight_or_default(Some(weight("2"))), weight("2"), "what a route or an operator says");
}
