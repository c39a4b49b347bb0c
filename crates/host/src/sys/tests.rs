use super::*;

#[test]
fn a_guardian_watches_what_it_was_told_and_not_forgotten() {
    let mut groups = [0; 3];
    for (order, memory) in [
        (7, [7, 0, 0]),
        (8, [7, 8, 0]),
        (-7, [0, 8, 0]),
        (9, [9, 8, 0]),
        (10, [9, 8, 10]),
        (11, [9, 8, 10]),
        (-12, [9, 8, 10]),
        (i32::MIN, [9, 8, 10]),
        (FORGET_ALL, [0, 0, 0]),
        (13, [13, 0, 0]),
    ] {
        obey(&mut groups, order);
        assert_eq!(groups, memory, "after {order}");
    }
}

#[test]
fn nobody_is_signalled_by_accident() {
    for number in [0, -1, i32::MIN] {
        assert_eq!(signal_process(number, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    for number in [1, 0, -1, i32::MIN] {
        assert_eq!(signal_group(number, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
