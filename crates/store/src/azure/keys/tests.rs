use super::*;

fn space(name: &str) -> Space {
    Space::new(name).unwrap()
}

#[test]
fn a_partition_can_be_read_and_no_two_spaces_share_one() {
    assert_eq!(partition(&space("@catalog")), "@catalog");
    assert_eq!(partition(&space("web-1.a_b")), "web-1.a_b");
    // What Azure refuses in a key, and what would end the text around it.
    assert_eq!(partition(&space("a#b?c\\d'e~b")), "a~23b~3Fc~5Cd~27e~7Eb");
    assert_eq!(beats(&space("web")), "web~b");
    assert_ne!(beats(&space("web")), partition(&space("web~b")));
}

#[test]
fn rows_keep_the_order_of_names() {
    let mut names = vec![Vec::new()];
    for bytes in [&[0][..], &[0, 0], &[0, 0, 0], &[0, 0, 0, 0], &[1], b"-", b"a", b"a\0", b"a/", b"ab", b"abc", b"abcd"]
    {
        names.push(bytes.to_vec());
        names.push([bytes, &[0xff]].concat());
        names.push([bytes, &[0xff, 0xff, 0xff]].concat());
    }
    names.sort();
    let rows: Vec<String> = names.iter().map(|name| record(name)).collect();
    assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
    for (name, row) in names.iter().zip(&rows) {
        assert_eq!(bytes_of(&row[2..]).as_ref(), Some(name));
        assert!(*row < format!("r-{ABOVE}"));
    }
    // A single character, bits that no byte has, what stands for nothing.
    for wrong in ["0", "01", "0/", "é", "abc+"] {
        assert_eq!(bytes_of(wrong), None, "{wrong}");
    }
    assert!(record(&[0xff; 380]).len() <= 512, "half a KiB of characters, which are two bytes there");
    let row = log(Revision(0x1234));
    assert_eq!(row, "l-0000000000001234");
    assert_eq!(logged(&row), Some(Revision(0x1234)));
    assert!(HEAD < LOG.0 && row.as_str() < LOG.1 && LOG.1 < record(b"").as_str());
    assert_eq!(logged("l-1234"), None);
}

#[test]
fn a_leases_blob_says_whose_it_is() {
    let web = space("web");
    for name in [&b"lease/web"[..], b"lease/a/b", b"lease/\0\xff~", b"lease/"] {
        let blob = lease(&web, name).unwrap();
        assert_eq!(leased(&web, &blob).as_deref(), Some(name), "{blob}");
        assert!(blob.bytes().all(|b| b.is_ascii_graphic()));
    }
    assert_eq!(lease(&web, b"lease/a/b").unwrap(), "web/lease/a~2Fb");
    assert_eq!(leased(&web, "other/lease/web"), None);
    assert_eq!(leased(&web, "web/lease/a~2"), None);
    let long = [&b"lease/"[..], &[0xff; 400]].concat();
    let Err(Error::Config(why)) = lease(&web, &long) else { panic!("a blob's name of 1 210 characters was taken") };
    assert!(why.contains("1024"), "{why}");
}

#[test]
fn what_is_kept_where() {
    assert_eq!(shelf(b"lease/web"), Shelf::Leases);
    assert_eq!(shelf(b"beat/web-1"), Shelf::Beats);
    assert_eq!(shelf(b"lease"), Shelf::Records);
    assert_eq!(shelf(b"client/a"), Shelf::Records);
}
