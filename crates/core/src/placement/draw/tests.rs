use super::*;

/// Recorded once: another version, another machine and another process draw the same.
#[test]
fn draws_the_same_for_ever() {
    let number = |key: &[u8], id: &str| {
        let client = ClientKey::new(key).expect("a key");
        Draw::new(&client).number(&id.parse().expect("an id"))
    };
    assert_eq!(number(b"cam-7", "rec-1"), 0xc72c_7852_bfd9_53bc);
    assert_eq!(number(b"cam-7", "rec-2"), 0x06be_9d54_42e1_7897);
    assert_eq!(number(b"cam-8", "rec-1"), 0x3d0c_77e4_6c2e_30df);
    assert_eq!(number(&[0, 255], "a"), 0x08a6_35da_df33_6e35);
}

#[test]
fn draws_everybody_equally_often() {
    let ids: alloc::vec::Vec<InstanceId> =
        (0..10).map(|index| alloc::format!("rec-{index}").parse().expect("an id")).collect();
    let mut first = [0_u32; 10];
    for index in 0..10_000_u32 {
        let draw = Draw::new(&ClientKey::new(&index.to_be_bytes()).expect("a key"));
        let greatest = (0..10).max_by_key(|index| draw.number(&ids[*index])).expect("ten");
        first[greatest] += 1;
    }
    assert!(first.iter().all(|count| (900..1_100).contains(count)), "{first:?}");
}
