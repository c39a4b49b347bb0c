use super::*;

#[test]
fn what_was_said_a_while_ago_says_nothing() {
    let (load, said) = (Load::default(), Moment::from_nanos(7));
    assert_eq!(load.at(said), None);
    load.report("12.5".parse().unwrap(), said);
    assert_eq!(load.at(said + COUNTS_FOR / 2), Some(12_500));
    assert_eq!(load.at(said + COUNTS_FOR), None);
    load.report(Weight::ONE, said);
    load.forget();
    assert_eq!(load.at(said), None);
}
