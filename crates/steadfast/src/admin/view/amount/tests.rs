use super::*;

#[test]
fn an_amount_is_a_number_and_the_same_number_again() {
    for (milli, text) in [
        (0, "0"),
        (8_000, "8"),
        (12_500, "12.5"),
        (1, "0.001"),
        (100, "0.1"),
        (999_999_999_999_999, "999999999999.999"),
    ] {
        let amount = Amount::from_milli(milli);
        assert_eq!(serde_json::to_string(&amount).unwrap(), text);
        assert_eq!(serde_json::from_str::<Amount>(text).unwrap(), amount);
        assert_eq!(amount.to_string(), text);
    }
    assert_eq!(serde_json::from_str::<Amount>("8.0").unwrap(), Amount::from_milli(8_000));
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in ["-1", "-0.5", "0.0001", "12.5001", "\"8\"", "null", "1e300", "18446744073709551615"] {
        assert!(serde_json::from_str::<Amount>(text).is_err(), "{text} must be refused");
    }
}

#[test]
fn a_client_weighs_something_and_not_too_much() {
    assert_eq!(Amount::default().weight(), None);
    assert_eq!(Amount::from_milli(500).weight(), Weight::from_milli(500));
    assert_eq!(Amount::from(Weight::MAX).weight(), Some(Weight::MAX));
    assert_eq!(Amount::from_milli(Weight::MAX.as_milli() + 1).weight(), None);
}

#[test]
fn a_part_is_rounded_to_four_places() {
    let part = |of: u64, whole: u64| Amount::from_milli(of).part_of(Amount::from_milli(whole));
    assert_eq!(part(1, 3), Some(0.3333));
    assert_eq!(part(2, 3), Some(0.6667));
    assert_eq!(part(5, 4), Some(1.25));
    assert_eq!(part(0, 0), None);
}
