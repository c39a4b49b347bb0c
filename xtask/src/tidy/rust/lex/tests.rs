use super::*;

/// The words of the code that are left when comments and strings are gone.
fn check(text: &str, code: &str) {
    let Parts { code: left, comments } = parts(text);
    assert_eq!(comments.chars().count(), text.chars().count(), "columns moved in {text:?}");
    assert_eq!(left.chars().count(), text.chars().count(), "columns moved in {text:?}");
    assert_eq!(left.lines().count(), text.lines().count(), "lines moved in {text:?}");
    assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), code, "in {text:?}");
}

#[test]
fn comments_are_blanked() {
    check("a // unsafe\nb", "a b");
    check("/// unsafe\nfn f() {}", "fn f() {}");
    check("a /* x /* y */ z */ b", "a b");
    check("a /* never closed", "a");
}

#[test]
fn comments_are_kept_apart() {
    let comments = |text| parts(text).comments.trim().to_owned();
    assert_eq!(comments("f(\"// no\"); // yes"), "// yes");
    assert_eq!(comments("a /* b */ c"), "/* b */");
}

#[test]
fn broken_ends_are_no_panic() {
    for text in ["'", "'\\", "\"", "\"\\", "r#\"", "/*", "b", "'a"] {
        assert_eq!(parts(text).code.chars().count(), text.chars().count(), "{text:?}");
    }
}

#[test]
fn strings_are_blanked() {
    check(r#"f("unsafe \" still", b)"#, "f( , b)");
    check("f(\"two\nlines\", b)", "f( , b)");
    check(r###"f(r#"a "quoted" word"#, b)"###, "f( , b)");
    check(r##"f(br#"bytes"#, c)"##, "f( , c)");
    check(r#"f("// no comment") // one"#, "f( )");
    check("r#type = 1", "r#type = 1");
}

#[test]
fn characters_are_told_from_lifetimes() {
    check("f('\"', b) 'x'", "f( , b)");
    check(r"f('\'', '\u{41}', b)", "f( , , b)");
    check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
    check("'outer: loop { break 'outer; }", "'outer: loop { break 'outer; }");
}

#[test]
fn a_word_ends_where_a_letter_does_not_follow() {
    assert!(has_word("unsafe { }", "unsafe"));
    assert!(!has_word("forbid(unsafe_code)", "unsafe"));
    assert!(has_word("std::time::SystemTime::now()", "SystemTime"));
    assert!(!has_word("SystemTimer", "SystemTime"));
}
