use super::*;

#[test]
fn a_problem_shows_its_line() {
    let text = "a = 1\n\tkäy = 2\n";
    let start = text.find('k').unwrap();
    let problem = Problem::at("f.toml", text, start..start + 4, "wrong".into());
    assert_eq!(problem.to_string(), "f.toml:2:2: wrong\n     käy = 2\n     ^^^");
    let inside_a_character = Problem::at("f.toml", text, start + 2..400, "wrong".into());
    assert!(inside_a_character.to_string().starts_with("f.toml:2:3: wrong"), "{inside_a_character}");
}

#[test]
fn what_there_is_is_listed() {
    assert_eq!(listed::<&str>([]), "none");
    assert_eq!(listed(["a"]), "\"a\"");
    assert_eq!(listed(["a", "b", "c"]), "\"a\", \"b\" and \"c\"");
}
