use super::*;

fn parsed(args: &[&str]) -> Result<Options> {
    parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
}

#[test]
fn a_command_line_names_targets_and_a_time() {
    let options = parsed(&["config", "--for", "5m", "--jobs", "2", "client", "--json"]).unwrap();
    let targets = vec!["config".to_owned(), "client".to_owned()];
    assert_eq!(options, Options { targets, time: Duration::from_secs(300), jobs: 2, json: true });
    for (text, seconds) in [("90s", 90), ("5m", 300), ("2h", 7_200)] {
        assert_eq!(parsed(&["--for", text]).unwrap().time, Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn what_cannot_be_understood_is_a_usage_error() {
    for args in [&["--for"][..], &["--for", "5"], &["--for", "0s"], &["--for", "m"], &["--jobs", "0"], &["--fast"]] {
        assert!(parsed(args).unwrap_err().is::<Usage>(), "{args:?}");
    }
}

#[test]
fn every_target_is_found() {
    let names = target::all(crate::root()).unwrap();
    assert!(names.contains(&"client".to_owned()) && names.len() > 10, "{names:?}");
}
