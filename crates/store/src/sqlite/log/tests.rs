use super::*;

fn changes() -> Vec<Named> {
    let record = |value: &'static [u8]| Some(Record { version: Revision(7), value: Bytes::from_static(value) });
    vec![(b"client/\xff\x00".to_vec(), record(b"value")), (b"gone".to_vec(), None), (b"empty".to_vec(), record(b""))]
}

#[test]
fn changes_read_back_as_they_were_written() {
    assert_eq!(decode(&encode(&changes()), Revision(7)), Some(changes()));
    assert_eq!(decode(&[], Revision(7)), Some(vec![]));
}

#[test]
fn every_cut_is_noticed_or_ends_between_two_changes() {
    let bytes = encode(&changes());
    let whole: Vec<usize> = (0..=3).map(|count| encode(&changes()[..count]).len()).collect();
    for cut in 0..=bytes.len() {
        let read = decode(&bytes[..cut], Revision(7));
        assert_eq!(read.is_some(), whole.contains(&cut), "cut after {cut} bytes");
    }
}
