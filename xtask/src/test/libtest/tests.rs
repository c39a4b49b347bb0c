use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn prints(script: &str) -> Result<Counts> {
    run(Command::new("sh").args(["-c", script]), LIMIT)
}

#[test]
fn result_lines_are_summed() {
    let counts = prints(
        "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s'
         echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s'
         exit 101",
    );
    assert_eq!(counts.expect("counted"), Counts { passed: 5, failed: 1, ignored: 1 });
}

#[test]
fn other_lines_are_no_result() {
    for line in ["test result: ok", "test a ... ok", "3 passed; 0 failed", "test result: ok. x passed; 0 failed"] {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn a_program_that_dies_or_says_nothing_is_an_error() {
    let died = prints("echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; kill -9 $$").expect_err("died");
    assert!(died.to_string().contains("no failed test"), "{died}");
    let silent = prints("true").expect_err("silent");
    assert!(silent.to_string().contains("no test result"), "{silent}");
}

#[test]
fn a_program_that_hangs_is_killed() {
    let hung = run(Command::new("sleep").arg("600"), Duration::from_millis(300)).expect_err("hung");
    assert!(hung.to_string().contains("still running"), "{hung}");
}

#[test]
fn a_child_that_keeps_the_pipe_does_not_keep_us() {
    let counts = prints("sleep 5 & echo 'test result: ok. 1 passed; 0 failed; 0 ignored'");
    assert_eq!(counts.expect("counted").passed, 1);
}
