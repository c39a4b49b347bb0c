//! What a server of etcd's protocol, or something that pretends to be one, sends.

use bytes::Bytes;
use prost::Message;

use super::events::Teller;
use super::grpc::{Frames, MESSAGE_BYTES};
use super::keys::Keys;
use super::proto::{RangeResponse, TxnResponse, WatchResponse};
use super::transaction;
use crate::{Batch, Change, Cursor, Error, Expect, Revision, Space, Write};

/// Any bytes, as the stream of a call's answers: messages come out of them whatever the pieces they come in, and each
/// that can be read, as whichever answer, becomes what the contract promises.
pub fn etcd_answers(data: &[u8]) {
    let (messages, wrong) = slowly(data);
    for size in [1, 3, 64, data.len().max(1)] {
        let (mut frames, mut told, mut failed) = (Frames::default(), Vec::new(), false);
        'pieces: for piece in data.chunks(size) {
            frames.add(piece);
            loop {
                match frames.next() {
                    Ok(Some(message)) => told.push(message),
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        break 'pieces;
                    }
                }
            }
        }
        assert_eq!((&told, failed), (&messages, wrong), "in pieces of {size}");
    }
    messages.iter().for_each(answers);
    let (keys, space) = (Keys::new(b"p"), Space::new("web").expect("a space"));
    let from = Cursor { revision: Revision(3), mark: b"m".to_vec() };
    let mut teller = Teller::with(&keys, &space, from.clone());
    let mut at = from.revision;
    for (nth, message) in messages.into_iter().enumerate() {
        let Ok(answer) = WatchResponse::decode(message) else { return };
        let Ok(commits) = teller.tell(answer) else { return };
        for commit in commits {
            let first = nth == 0 || at == from.revision;
            assert!(commit.cursor.revision > at || (first && commit.cursor == from), "in order, each once");
            at = commit.cursor.revision;
            for (name, record) in commit.changes {
                assert!(!name.is_empty() && record.is_none_or(|record| record.version == at));
            }
        }
    }
}

/// The messages of a stream, and whether something is wrong with what follows them.
fn slowly(mut data: &[u8]) -> (Vec<Bytes>, bool) {
    let mut messages = Vec::new();
    while let [compressed, a, b, c, d, rest @ ..] = data {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if *compressed != 0 || length > MESSAGE_BYTES {
            return (messages, true);
        }
        let Some(message) = rest.get(..length) else { break };
        messages.push(Bytes::copy_from_slice(message));
        data = &rest[length..];
    }
    (messages, false)
}

/// What an answer to a batch says is one of the contract's: no conflict without a difference, no commit without a mark.
fn answers(message: &Bytes) {
    let put = |name: &[u8], expect| Change { name: name.to_vec(), expect, write: Write::Put("x".into(), None) };
    let batches = [
        vec![put(b"a", Expect::Absent), put(b"client/b", Expect::Version(Revision(7)))],
        vec![put(b"beat/a", Expect::Absent)],
        vec![Change { name: b"a".to_vec(), expect: Expect::Absent, write: Write::Nothing }],
    ];
    for changes in batches {
        let batch = Batch { space: Space::new("web").expect("a space"), changes };
        let Ok(answer) = TxnResponse::decode(message.clone()) else { break };
        match transaction::outcome(&batch, b"mark", answer) {
            Ok(cursor) => {
                let logged = !batch.is_beat() && batch.changes.iter().any(|change| change.write != Write::Nothing);
                assert!(!logged || (cursor.mark == b"mark" && cursor.revision > Revision(0)));
            }
            Err(Error::Conflict(records)) => {
                assert!(!records.is_empty());
                for (name, record) in records {
                    let change = batch.changes.iter().find(|change| change.name == name).expect("a name of the batch");
                    assert!(!change.expect.holds(record.map(|record| record.version)), "what differs");
                }
            }
            Err(Error::OutcomeUnknown(_)) => {}
            Err(other) => panic!("an answer that was received: {other}"),
        }
    }
    if let Ok(range) = RangeResponse::decode(message.clone()) {
        let (keys, space) = (Keys::new(b"p"), Space::new("web").expect("a space"));
        for kv in range.kvs {
            let key = kv.key.clone();
            if let Ok((name, _)) = transaction::named(&keys, &space, kv) {
                assert_eq!(keys.record(&space, &name), key);
            }
        }
    }
}
