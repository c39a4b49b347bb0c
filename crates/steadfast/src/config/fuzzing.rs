//! The configuration file.

use super::Config;
use super::reader::Source;

const NAME: &str = "fuzz.toml";

/// A file is read twice as the same; what is wrong with one stands in a line and column that it has.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_variables(text);
    match Config::parse(NAME, text, &environment) {
        Ok(config) => {
            let more = format!("{text}\n# The end.\n");
            let again = Config::parse(NAME, &more, &environment).unwrap_or_else(|e| panic!("a comment is wrong: {e}"));
            assert_eq!(format!("{again:?}"), format!("{config:?}"));
            config.warnings.lines().iter().for_each(|line| check_place(text, line));
            assert_eq!(config.warnings.is_empty(), config.warnings.as_warnings().to_string().is_empty());
        }
        Err(problems) => {
            assert!(!problems.is_empty() && !problems.to_string().is_empty());
            problems.lines().iter().for_each(|line| check_place(text, line));
        }
    }
}

/// One that is set, one that is empty, and one whose value looks like another.
fn environment(name: &str) -> Option<String> {
    match name {
        "A" => Some("10.0.0.4".to_owned()),
        "NONE" => Some(String::new()),
        "ODD" => Some("${A}$${\n\"".to_owned()),
        _ => None,
    }
}

/// `file:line:column: what`, where the file has that place.
fn check_place(text: &str, problem: &str) {
    let place = problem.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(':'));
    let mut numbers = place.unwrap_or_default().splitn(3, ':').map(|number| number.parse::<usize>().ok());
    let (Some(Some(line)), Some(Some(column))) = (numbers.next(), numbers.next()) else {
        panic!("no line and column in {problem:?}");
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let found = line.checked_sub(1).and_then(|at| lines.get(at));
    let found = found.unwrap_or_else(|| panic!("a file of {} lines has no such place: {problem:?}", lines.len()));
    assert!((1..=found.chars().count() + 1).contains(&column), "{found:?} has no such column: {problem:?}");
}

/// Variables are put in as by one who goes letter by letter; what is put in is not looked at again.
fn check_variables(text: &str) {
    let source = Source::new(NAME, text, &environment);
    let found = source.substituted(text, &(0..0));
    assert_eq!(found, slow(text), "{text:?}");
    assert_eq!(source.finish(Some(())).is_ok(), found.is_some());
}

fn slow(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut done = String::new();
    let mut at = 0;
    while at < letters.len() {
        match &letters[at..] {
            // The dollar before doubles the one that opens.
            ['$', '$', '{', ..] => {
                done.push_str("${");
                at += 3;
            }
            ['$', '{', rest @ ..] => {
                let end = rest.iter().position(|letter| *letter == '}')?;
                let name: String = rest[..end].iter().collect();
                done.push_str(&environment(&name)?);
                at += 3 + end;
            }
            [letter, ..] => {
                done.push(*letter);
                at += 1;
            }
            [] => {}
        }
    }
    Some(done)
}
