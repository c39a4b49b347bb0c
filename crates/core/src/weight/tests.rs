use alloc::string::ToString;

use super::*;

#[test]
fn a_weight_is_its_text() {
    for (text, milli) in
        [("0", 0), ("8", 8_000), ("0.5", 500), ("2.125", 2_125), ("0.05", 50), ("1000000000", 1_000_000_000_000)]
    {
        let weight: Weight = text.parse().expect(text);
        assert_eq!((weight.as_milli(), weight.to_string().as_str()), (milli, text));
    }
    for (text, shortest) in [("08", "8"), ("0.50", "0.5"), ("7.0", "7"), ("7.000", "7")] {
        assert_eq!(text.parse::<Weight>().expect(text).to_string(), shortest);
    }
}

#[test]
fn what_is_no_weight_is_refused() {
    for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.0000", "NaN", " 1", "1000000000.001", "99999999999", "١"] {
        assert!(text.parse::<Weight>().is_err(), "{text:?} was taken for a weight");
    }
}
