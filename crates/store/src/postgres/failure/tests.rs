use super::*;

#[test]
fn what_a_state_says_is_sorted_by_what_to_do_next() {
    for (state, means) in [
        ("28P01", Class::Denied),
        ("42501", Class::Denied),
        ("3D000", Class::Config),
        ("42P01", Class::Config),
        ("25006", Class::Unavailable),
        ("53100", Class::Unavailable),
        ("53300", Class::Unavailable),
        ("57P03", Class::Unavailable),
        ("40001", Class::Unavailable),
        ("57014", Class::Unavailable),
        ("XX001", Class::Corrupt),
        // A commit may have been made when the server was told to end.
        ("57P01", Class::Unanswered),
        ("57P02", Class::Unanswered),
        ("08006", Class::Unanswered),
    ] {
        assert_eq!(class(state), means, "{state}");
    }
}

#[test]
fn only_a_commit_can_have_happened() {
    let why = || "no answer".to_owned();
    assert_eq!(Asked::Look.unanswered(why()), Error::Unavailable(why()));
    assert_eq!(Asked::Commit.unanswered(why()), Error::OutcomeUnknown(why()));
}
