use super::*;

#[test]
fn columns_stand_below_each_other() {
    let rows = vec![
        vec![Cell::plain("a"), Cell::good("leader"), Cell::plain("x")],
        vec![Cell::plain("long-name"), Cell::plain(""), Cell::plain("")],
    ];
    let text = table(Paint(false), "  ", &["ID", "ROLE", "END"], &rows);
    assert_eq!(text, "  ID         ROLE    END\n  a          leader  x\n  long-name\n");
}

#[test]
fn numbers_are_read_at_a_glance() {
    for (number, text) in [(0, "0"), (999, "999"), (4212, "4 212"), (1_234_567, "1 234 567")] {
        assert_eq!(count(number), text);
    }
}

#[test]
fn a_bar_is_as_long_as_something_is_full() {
    let fine = [0.0, 0.001, 0.45, 1.0, 1.7].map(|part| Bar::Fine.of(part));
    assert_eq!(fine, ["", "▏", "████▌", "██████████", "██████████"]);
    let plain = [0.0, 0.001, 0.45, 1.0].map(|part| Bar::Plain.of(part));
    assert_eq!(plain, ["..........", "#.........", "#####.....", "##########"]);
}
