use super::*;

#[test]
fn the_nearest_word_is_the_one_that_was_meant() {
    let keys = ["lease_ttl", "clock_drift", "park_for", "kind", "probe"];
    for (word, meant) in [
        ("lease_tll", Some("lease_ttl")),
        ("leasettl", Some("lease_ttl")),
        ("parkfor", Some("park_for")),
        ("knid", Some("kind")),
        ("prob", Some("probe")),
        ("weight", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(nearest(word, keys), meant, "{word}");
    }
}
