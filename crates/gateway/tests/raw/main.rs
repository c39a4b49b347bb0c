//! Raw bytes in, the answer out, and what was passed on: nothing that two readers could read in two ways.
//!
//! Each table is a list of [`Row`]s, each of which is sent on a connection of its own. What is refused is refused before
//! the application sees any of it, and ends the connection; what passes leaves it in step.

#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
mod bodies;
mod hops;
mod keys;
mod lengths;
mod lines;
mod locations;
mod order;
#[path = "../support/mod.rs"]
mod support;
mod targets;
mod weights;

use support::{App, Client, Instance, World};

/// One line of a table.
struct Row {
    name: String,
    bytes: Vec<u8>,
    /// Status and reason; no reason below 400.
    answers: Vec<(u16, &'static str)>,
    /// Whether another request can follow on the connection.
    usable: bool,
    /// The heads the application saw: each its lines, the first one first, the others sorted.
    saw: Vec<Vec<String>>,
}

/// Refused: one answer, and nothing was passed on.
fn refused(name: impl Into<String>, status: u16, reason: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    let (name, bytes) = (name.into(), bytes.into());
    Row { name, bytes, answers: vec![(status, reason)], usable: false, saw: Vec::new() }
}

/// Answered with 200 by the application, which saw this line and these fields, and what a gateway adds for host `a`.
fn passed(name: impl Into<String>, bytes: impl Into<Vec<u8>>, line: &str, fields: &[&str]) -> Row {
    let saw = vec![head(line, fields)];
    Row { name: name.into(), bytes: bytes.into(), answers: vec![(200, "")], usable: true, saw }
}

impl Row {
    fn closed(mut self) -> Row {
        self.usable = false;
        self
    }
}

fn head(line: &str, fields: &[&str]) -> Vec<String> {
    let added = [
        "forwarded: for=127.0.0.1;host=\"a\";proto=http",
        "host: a",
        "via: 1.1 steadfast",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: a",
        "x-forwarded-proto: http",
    ];
    sorted(line, fields.iter().copied().chain(added))
}

fn sorted<'a>(line: &str, fields: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut fields: Vec<String> = fields.map(str::to_owned).collect();
    fields.sort();
    [vec![line.to_owned()], fields].concat()
}

/// What the application saw since then.
fn seen_since(app: &App, before: usize) -> Vec<Vec<String>> {
    let head = |bytes: &[u8]| {
        // A character for each byte.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let fields: Vec<String> = lines.collect();
        sorted(&line, fields.iter().map(String::as_str))
    };
    app.seen()[before..].iter().map(|seen| head(&seen.raw_head)).collect()
}

/// A gateway in front of an application that says `one` to everything.
fn world() -> (Instance, World) {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    (one, world)
}

/// Sends every row and compares what becomes of it.
#[track_caller]
fn check(rows: Vec<Row>) {
    let (one, world) = world();
    for row in &rows {
        check_row(row, &one.app, world.client());
    }
    assert_eq!(world.totals().leader_lost, 0, "the instance is to blame for nothing");
}

#[track_caller]
fn check_row(row: &Row, app: &App, mut client: Client) {
    let Row { name, bytes, answers, usable, saw } = row;
    let before = app.requests();
    client.send(bytes);
    for (status, reason) in answers {
        let got = client.read_answer();
        assert_eq!(got.status, *status, "{name}: {got:?}");
        let found = if got.status < 400 { String::new() } else { got.reason() };
        assert_eq!((found.as_str(), got.whole), (*reason, true), "{name}: {got:?}");
    }
    if *usable {
        let got = client.exchange("GET /usable HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((got.status, got.text().as_str()), (200, "one"), "{name}: the connection is out of step");
    } else {
        assert_eq!(client.read_rest(), b"", "{name}: another answer, or the connection stays open");
    }
    let follows = usable.then(|| head("GET /usable HTTP/1.1", &[]));
    let expected: Vec<Vec<String>> = saw.iter().cloned().chain(follows).collect();
    assert_eq!(seen_since(app, before), expected, "{name}: what the application saw");
}
