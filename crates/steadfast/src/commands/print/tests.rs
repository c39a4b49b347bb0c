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

#[test]
fn a_terminal_obeys_us_alone() {
    let paint = Paint(true);
    for ours in [paint.bold("a"), paint.dim("ü"), paint.good("b"), paint.bad("c"), paint.unsure("d"), "x\ny".to_owned()]
    {
        assert_eq!(guard(&ours), ours);
    }
    assert_eq!(guard(&format!("{CLEAR_LINE}a")), format!("{CLEAR_LINE}a"));
    for (foreign, shown) in [
        ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
        ("a\u{1b}[31;1mb", "a\\u{1b}[31;1mb"),
        ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ("a\r\u{1b}[Kb", "a\\u{d}\\u{1b}[Kb"),
        ("\u{9b}2J", "\\u{9b}2J"),
        ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
        ("\u{7f}\u{8}\0\t", "\\u{7f}\\u{8}\\u{0}\\u{9}"),
        ("\u{1b}", "\\u{1b}"),
    ] {
        assert_eq!(guard(foreign), shown);
    }
    let cell = table(Paint(false), "", &["A"], &[vec![Cell::plain("one\ntwo\u{1b}c")]]);
    assert_eq!(cell, "A\none\\ntwo\\u{1b}c\n");
    let line = serde_json::to_string("a\u{1b}\u{9b}\u{202e}b").expect("JSON");
    assert_eq!(guard_json(&line), r#""a\u001b\u009b\u202eb""#);
    let same: String = serde_json::from_str(&guard_json(&line)).expect("it is JSON still");
    assert_eq!(same, "a\u{1b}\u{9b}\u{202e}b");
}
