//! What a server of this protocol, or something that pretends to be one, sends.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire;
use crate::{Cursor, Error, Space};

/// An answer of any call: what can be read becomes a value of the contract, and goes over the wire as the same again.
pub fn store_replies(data: &[u8]) {
    same(
        data,
        |reply: wire::ReadReply| reply.record.map(wire::WireRecord::record),
        |record| wire::ReadReply { record: record.map(wire::WireRecord::of) },
    );
    same(
        data,
        |reply: wire::CommitReply| reply.cursor.0,
        |cursor| wire::CommitReply { cursor: wire::WireCursor(cursor) },
    );
    same(data, wire::ScanReply::page, wire::ScanReply::of);
    same(data, |reply: wire::ExamineReply| reply.findings, |findings| wire::ExamineReply { findings });
    same(data, wire::Commit::batch, |batch| wire::Commit::of(batch, 1));
    if let Ok(line) = serde_json::from_slice::<wire::Line>(data) {
        match line.notice() {
            Ok(notice) => {
                let again = bytes(&wire::Line::of(notice.clone()));
                assert_eq!(serde_json::from_slice::<wire::Line>(&again).expect("our own line").notice(), Ok(notice));
            }
            Err(error) => assert_eq!(told_again(&error), Some(error)),
        }
    }
    if let Ok(problem) = serde_json::from_slice::<wire::Problem>(data)
        && let Some(error) = problem.error()
    {
        assert_eq!(told_again(&error), Some(error));
    }
    if let Ok(told) = serde_json::from_slice::<wire::Describe>(data) {
        let again: wire::Describe = serde_json::from_slice(&bytes(&told)).expect("our own description");
        assert_eq!((again.protocol, again.limits, again.description), (told.protocol, told.limits, told.description));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
    if let Some(space) = Space::new(text) {
        assert_eq!(space.as_str(), text);
    }
}

/// The error as it comes out of the problem that it goes in.
fn told_again(error: &Error) -> Option<Error> {
    let document = bytes(&wire::Problem::of(error.clone()));
    serde_json::from_slice::<wire::Problem>(&document).expect("our own problem").error()
}

fn same<W, T>(data: &[u8], read: impl Fn(W) -> T, write: impl Fn(T) -> W)
where
    W: Serialize + DeserializeOwned,
    T: Clone + Debug + PartialEq,
{
    if let Ok(wire) = serde_json::from_slice::<W>(data) {
        let value = read(wire);
        let again = bytes(&write(value.clone()));
        assert_eq!(read(serde_json::from_slice(&again).expect("what we write can be read")), value);
    }
}

fn bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("the wire's types are always JSON")
}
