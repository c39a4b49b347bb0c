//! What a Redis server, or something that pretends to be one, sends.

use bytes::{Bytes, BytesMut};

use super::super::answers::{self, Outcome};
use super::super::failure;
use super::super::says::Says;
use super::{Decoder, Reply};

/// Any bytes are read as a reader says that is slow and obvious, whatever pieces they come in; a reply written again is
/// read as the same.
pub fn redis_replies(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    for piece in [1, 3, 7] {
        assert_eq!(read(data, piece), whole, "in pieces of {piece}");
    }
    let (mut expected, mut rest) = (Vec::new(), data);
    while let Some((reply, after)) = obvious(rest, 0) {
        expected.push(reply);
        rest = after;
    }
    assert_eq!(whole, expected);
    for reply in &whole {
        let mut written = Vec::new();
        write(reply, &mut written);
        assert_eq!(read(&written, written.len()), std::slice::from_ref(reply));
        understand(reply);
    }
}

/// Whatever a reply is taken for, it is something or nothing; and nothing that it says runs over.
fn understand(reply: &Reply) {
    if let Some(Outcome::Damaged(what)) = answers::outcome(reply.clone()) {
        assert!(!what.is_empty());
    }
    if let Ok(page) = answers::page(reply.clone(), None) {
        assert!(page.next.is_none_or(|next| page.records.last().is_some_and(|(name, _)| *name == next.after)));
    }
    if let Some(entries) = answers::entries(reply.clone()) {
        let changed = |entry: &answers::Entry| {
            entry.changes.iter().filter_map(|(_, now)| now.as_ref()).all(|now| now.version == entry.revision)
        };
        assert!(entries.iter().all(changed));
    }
    drop((answers::head(reply.clone()), answers::bulk(reply.clone()), answers::record(b"name", reply.clone())));
    let says = Says::of(reply, reply);
    assert!(says.may_lose(true).is_some(), "a master that can be moved is never without a way to lose");
    if let Reply::Error(said) = reply {
        let error = failure::refusal("redis://db", said).error.to_string();
        assert!(error.len() < 2_000 && error.chars().all(|c| !c.is_control()), "{error:?}");
    }
}

/// The replies before what is missing or malformed.
fn read(data: &[u8], piece: usize) -> Vec<Reply> {
    let (mut decoder, mut input, mut replies) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in data.chunks(piece) {
        input.extend_from_slice(piece);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(_) => return replies,
            }
        }
    }
    replies
}

/// The reply that `data` begins with and what comes after it; `None`: there is no whole one.
fn obvious(data: &[u8], depth: usize) -> Option<(Reply, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n').filter(|end| *end <= super::LINE_BYTES)?;
    let line = data[..end].strip_suffix(b"\r")?;
    let (kind, text) = line.split_first()?;
    let mut rest = &data[end + 1..];
    let number = || {
        let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
        text.parse::<i64>().ok()
    };
    let reply = match kind {
        b'+' => Reply::Status(Bytes::copy_from_slice(text)),
        b'-' => Reply::Error(String::from_utf8_lossy(text).into_owned()),
        b':' => Reply::Integer(number()?),
        b'$' | b'*' if number()? == -1 => Reply::Nil,
        b'$' => {
            let length = usize::try_from(number()?).ok().filter(|length| *length <= super::STRING_BYTES)?;
            let string = rest.get(..length)?;
            rest = rest[length..].strip_prefix(b"\r\n")?;
            Reply::String(Bytes::copy_from_slice(string))
        }
        b'*' => {
            let length = usize::try_from(number()?).ok().filter(|length| *length <= super::ELEMENTS)?;
            if length > 0 && depth == super::DEPTH {
                return None;
            }
            let mut elements = Vec::new();
            for _ in 0..length {
                let (element, after) = obvious(rest, depth + 1)?;
                elements.push(element);
                rest = after;
            }
            Reply::Array(elements)
        }
        _ => return None,
    };
    Some((reply, rest))
}

fn write(reply: &Reply, out: &mut Vec<u8>) {
    let line = |out: &mut Vec<u8>, kind: u8, text: &[u8]| {
        out.push(kind);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    };
    match reply {
        Reply::Status(text) => line(out, b'+', text),
        Reply::Error(text) => line(out, b'-', text.as_bytes()),
        Reply::Integer(number) => line(out, b':', number.to_string().as_bytes()),
        Reply::Nil => line(out, b'$', b"-1"),
        Reply::String(string) => {
            line(out, b'$', string.len().to_string().as_bytes());
            out.extend_from_slice(string);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Array(elements) => {
            line(out, b'*', elements.len().to_string().as_bytes());
            elements.iter().for_each(|element| write(element, out));
        }
    }
}
