use super::*;

#[test]
fn listeners_are_found_in_the_kernels_table() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   1: 0100007F:1F90 0100007F:ABCD 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n   2: broken";
    assert_eq!(listening_inodes(table, 8080), [4711]);
    assert!(listening_inodes(table, 8081).is_empty());
}
