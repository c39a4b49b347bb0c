use super::*;

fn wanted(args: &[&str]) -> Wanted {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    parse(&args).expect("understood").expect("steps")
}

#[test]
fn without_a_name_every_step_is_run() {
    assert_eq!(wanted(&[]).names(), STEPS.map(|(_, name, _)| name));
}

#[test]
fn a_step_brings_what_it_needs() {
    assert_eq!(wanted(&["fmt"]).names(), ["prepare", "fmt"]);
    assert_eq!(wanted(&["blackbox", "tidy"]).names(), ["prepare", "tidy", "build", "blackbox"]);
    assert!(wanted(&["--keep-going", "fmt"]).keep_going);
    assert_eq!(wanted(&["prepare"]).names(), wanted(&[]).names(), "by itself it prepares for everything");
}

#[test]
fn an_unknown_word_is_a_usage_error() {
    let error = parse(&["fmtt".to_owned()]).err().expect("refused");
    assert!(error.is::<Usage>() && error.to_string().contains("fmtt"), "{error}");
}

#[test]
fn the_list_is_no_run() {
    assert!(parse(&["--list".to_owned()]).expect("understood").is_none());
}

#[test]
fn a_failed_test_or_a_broken_step_fails_the_step() {
    let outcome = |error: Option<&str>, failed| Outcome {
        error: error.map(str::to_owned),
        counts: Counts { passed: 5, failed, ignored: 0 },
        took: Duration::ZERO,
    };
    assert!(outcome(None, 0).passed());
    assert!(!outcome(None, 1).passed());
    assert!(!outcome(Some("does not build"), 0).passed());
}

#[test]
fn a_skip_is_a_failure_in_ci() {
    let runner = |in_ci| Runner { root: Path::new("."), in_ci, names: Vec::new(), executables: Vec::new() };
    let skipped = Counts { passed: 5, failed: 0, ignored: 2 };
    assert_eq!(runner(true).skipped(&skipped), Some("2 tests were skipped".to_owned()));
    assert_eq!(runner(false).skipped(&skipped), None);
    assert_eq!(runner(true).skipped(&Counts::default()), None);
}

#[test]
fn free_room_is_read_from_df() {
    let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 252 15 123 16% /\n";
    assert_eq!(free_kib(df), Some(123));
    assert_eq!(free_kib("df: no such file"), None);
}
