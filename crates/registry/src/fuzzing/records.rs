//! Records and answers one by one.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast_core::{Epoch, SetName};
use steadfast_store::Key;

use crate::records::{ClientRecord, ClockRecord, FORMAT, LeavingRecord, StoredLease, decode, encode};
use crate::{
    BeatRecord, Error, EventRecord, InstanceRecord, LedgerRecord, OrderRecord, ProbeAnswer, Role, SetRecord,
    TurnRecord, keys, setting_from_json, setting_to_json,
};

/// A field that no version knows.
const UNKNOWN: &str = "zz-unknown";

/// A line with the kind of a record, and its bytes. What can be read is written and read again as the same, keeps what
/// it does not know, and is refused as a newer format's where it says that it is one.
pub fn records(data: &[u8]) {
    let (kind, bytes) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    match kind {
        b"lease" => keeps_all::<StoredLease>(bytes),
        b"instance" => keeps_all::<InstanceRecord>(bytes),
        b"ledger" => keeps_all::<LedgerRecord>(bytes),
        b"beat" => keeps_all::<BeatRecord>(bytes),
        b"order" => keeps_all::<OrderRecord>(bytes),
        b"leaving" => keeps_all::<LeavingRecord>(bytes),
        b"turn" => keeps_all::<TurnRecord>(bytes),
        b"clock" => keeps_all::<ClockRecord>(bytes),
        b"event" => drop(stable::<EventRecord>(bytes)),
        b"set" => set(bytes),
        b"client" => client(bytes),
        _ => {}
    }
}

/// Reads a record; what is written of it is read as the same.
fn stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let record = decode::<T>("a/key", bytes).ok()?;
    let again: T = decode("a/key", &encode(&record)).expect("what is written can be read");
    assert_eq!(again, record);
    Some(record)
}

fn keeps_all<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if stable::<T>(bytes).is_none() {
        return;
    }
    let (marked, newer) = variants(bytes);
    let kept: T = decode("a/key", &marked).expect("one field more makes nothing unreadable");
    assert_keeps(&encode(&kept));
    assert!(matches!(decode::<T>("a/key", &newer), Err(Error::Newer { .. })));
}

/// The same record with a field that is not known, and as one of the next format.
fn variants(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut document: Value = serde_json::from_slice(bytes).expect("it was read");
    document[UNKNOWN] = serde_json::json!({"deep": [1, null, "\u{0}"]});
    let marked = document.to_string().into_bytes();
    document["v"] = (FORMAT + 1).into();
    (marked, document.to_string().into_bytes())
}

fn assert_keeps(written: &[u8]) {
    let written: Value = serde_json::from_slice(written).expect("a record is JSON");
    assert_eq!(written[UNKNOWN], serde_json::json!({"deep": [1, null, "\u{0}"]}), "what was not known is lost");
    assert_eq!(written["v"], FORMAT);
}

fn set(bytes: &[u8]) {
    let name: SetName = "web".parse().expect("a name");
    let Some(record) = stable::<SetRecord>(bytes) else { return };
    let (marked, newer) = variants(bytes);
    assert!(matches!(decode::<SetRecord>("a/key", &newer), Err(Error::Newer { .. })));
    if let Ok(settings) = record.settings(&name) {
        let made = SetRecord::new(&settings);
        assert_eq!(made.settings(&name).as_ref(), Ok(&settings), "settings are written as a record of the same");
        let marked: SetRecord = decode("a/key", &marked).expect("one field more makes nothing unreadable");
        let rewritten = marked.rewritten(&settings);
        assert_eq!(rewritten.settings(&name).as_ref(), Ok(&settings));
        assert_keeps(&encode(&rewritten));
    }
    for value in serde_json::from_slice::<serde_json::Map<String, Value>>(bytes).into_iter().flatten() {
        let written = |setting: &_| setting_from_json(&setting_to_json(setting));
        // What no key takes has no text of its own; what is written once stays so.
        let once = written(&setting_from_json(&value.1));
        assert_eq!(written(&once), once, "{}", value.1);
    }
}

/// A client's record has a reader of its own, which is faster: it reads no more and nothing else than the usual one.
fn client(bytes: &[u8]) {
    let key = Key::new(keys::space(&"web".parse().expect("a name")), "client/a");
    let Ok(record) = ClientRecord::decode(&key, bytes) else { return };
    let usual: Value = decode("a/key", bytes).expect("the usual reader takes the document");
    assert!(usual.is_object());
    let written = ClientRecord::encode(&record.placement, &record.extras);
    assert_eq!(ClientRecord::decode(&key, &written).as_ref(), Ok(&record));
    let (marked, newer) = variants(bytes);
    // By value the last of two equal names counts; the fast reader refuses them where it knows the name.
    let kept = ClientRecord::decode(&key, &marked).expect("one field more makes nothing unreadable");
    assert_eq!(kept.placement, record.placement);
    assert_keeps(&ClientRecord::encode(&kept.placement, &kept.extras));
    assert!(matches!(ClientRecord::decode(&key, &newer), Err(Error::Newer { .. })));
}

/// The answer of a probe: only one that says so leads, and what is read is written as the same.
pub fn probe(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<ProbeAnswer>(data) else { return };
    let again = serde_json::to_vec(&answer).expect("an answer is JSON");
    assert_eq!(serde_json::from_slice::<ProbeAnswer>(&again).expect("our own answer"), answer);
    // Texts that nobody asks for are passed over, also where they are none.
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    // Serde takes the fields as a list, too.
    let said = document.get("role").or_else(|| document.get(3)).is_some_and(|role| role == "leader");
    assert_eq!(answer.role == Role::Leader, said);
    assert_eq!(answer.leading(), said.then_some(Epoch(answer.epoch)));
    assert!(answer.is_of(&answer.set, &answer.instance, answer.incarnation));
}
