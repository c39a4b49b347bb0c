use super::*;

fn shelves(prefix: &[u8], after: Option<&[u8]>) -> Vec<Shelf> {
    stretches(prefix, after).into_iter().map(|stretch| stretch.shelf).collect()
}

#[test]
fn a_scan_goes_where_its_names_are() {
    use Shelf::{Beats, Leases, Records};
    assert_eq!(shelves(b"", None), [Records, Beats, Records, Leases, Records]);
    assert_eq!(shelves(b"client/", None), [Records]);
    assert_eq!(shelves(b"beat/", None), [Beats]);
    assert_eq!(shelves(b"beat/web-1", None), [Beats]);
    assert_eq!(shelves(b"lease/", None), [Leases]);
    assert_eq!(shelves(b"be", None), [Records, Beats, Records]);
    assert_eq!(shelves(b"\xff\xff", None), [Records]);
    assert_eq!(shelves(b"", Some(b"client/a")), [Records, Leases, Records]);
    assert_eq!(shelves(b"", Some(b"zebra")), [Records]);
    assert_eq!(shelves(b"beat/", Some(b"beat/\xff\xff")), [Beats]);
}

#[test]
fn every_name_is_in_one_stretch_and_that_is_where_it_is_kept() {
    let names: [&[u8]; 12] = [
        b"\0",
        b"beat",
        b"beat/",
        b"beat/a",
        b"beat/\xff",
        b"beat0",
        b"client/a",
        b"lease",
        b"lease/web",
        b"lease0",
        b"set/a",
        b"\xff",
    ];
    for name in names {
        let found: Vec<_> = stretches(b"", None).into_iter().filter(|stretch| stretch.holds(name)).collect();
        let [stretch] = &found[..] else { panic!("{}: {found:?}", name.escape_ascii()) };
        assert_eq!(stretch.shelf, keys::shelf(name), "{}", name.escape_ascii());
        assert!(stretches(b"", Some(name)).iter().all(|stretch| !stretch.holds(name)), "it comes again");
    }
}

#[test]
fn a_query_names_the_rows_of_its_stretch() {
    let filter = |prefix: &[u8], after| stretches(prefix, after)[0].filter("web", keys::record);
    assert_eq!(filter(b"p/", None), "PartitionKey eq 'web' and RowKey ge 'r-R1w' and RowKey lt 'r-R2-'");
    assert_eq!(filter(b"p/", Some(b"p/1")), "PartitionKey eq 'web' and RowKey gt 'r-R1wl' and RowKey lt 'r-R2-'");
    assert_eq!(filter(b"\xff", None), "PartitionKey eq 'web' and RowKey ge 'r-zk' and RowKey lt 'r-~'");
}
