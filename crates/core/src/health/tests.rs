use alloc::string::{String, ToString};

use super::*;

fn span(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// Results in, verdicts out, a letter each: `.` passed, `f` failed, `t` timed out;
/// `?` unknown, `H` healthy, `F` failed, `S` silent.
fn check(rise: u32, fall: u32, results: &str, verdicts: &str) {
    let mut health = Health::new(CheckPolicy::new(span(1_000), span(1_000), rise, fall).unwrap());
    let mut seen = String::new();
    for letter in results.chars() {
        let before = health.verdict();
        let changed = health.handle(match letter {
            '.' => CheckResult::Passed,
            'f' => CheckResult::Failed,
            _ => CheckResult::TimedOut,
        });
        assert_eq!(changed, before != health.verdict(), "rise {rise} fall {fall}: {results} at {}", seen.len());
        seen.push(match health.verdict() {
            Verdict::Unknown => '?',
            Verdict::Healthy => 'H',
            Verdict::Failed => 'F',
            Verdict::Silent => 'S',
        });
    }
    assert_eq!(seen, verdicts, "rise {rise} fall {fall}: {results}");
}

#[test]
fn verdicts_follow_runs_of_results() {
    check(1, 1, ".f.t.", "HFHSH");
    check(1, 2, "f", "?");
    check(1, 2, "ff.", "?FH");
    check(1, 2, ".f.f.ff", "HHHHHHF");
    check(2, 2, ".f..f..ff", "???HHHHHF");
    check(3, 1, "f..f...", "FFFFFFH");
    check(2, 3, "....tttt", "?HHHHHSS");
}

#[test]
fn silence_and_refusal_count_alike_and_the_latest_names_the_verdict() {
    check(1, 2, ".ft", "HHS");
    check(1, 2, ".tf", "HHF");
    check(1, 2, ".fftftt", "HHFSFSS");
    check(2, 2, "..tt.t..", "?HHSSSSH");
}

#[test]
fn a_restarted_application_proves_itself_anew() {
    let mut health = Health::new(CheckPolicy::default());
    assert!(!health.restart(CheckPolicy::default()), "nothing was known");
    assert!(health.handle(CheckResult::Passed));
    assert!(health.restart(CheckPolicy::default()));
    assert_eq!(health.verdict(), Verdict::Unknown);
    assert!(!health.handle(CheckResult::Failed), "one failure is below the default fall of 2");
    assert!(health.handle(CheckResult::Failed));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    assert_eq!(CheckPolicy::new(span(1_000), span(1_000), 1, 2), Ok(CheckPolicy::default()));
    for (every, timeout, rise, fall, expected) in [
        (9, 9, 1, 1, "check.every is 9ms: expected 10ms to 1h"),
        (3_600_001, 1, 1, 1, "check.every is 1h1ms: expected 10ms to 1h"),
        (1_000, 1_001, 1, 1, "check.timeout is 1s1ms: expected 1ms to check.every, which is 1s"),
        (1_000, 0, 1, 1, "check.timeout is 0s: expected 1ms to check.every, which is 1s"),
        (1_000, 500, 0, 1, "check.rise is 0: expected 1 to 1000"),
        (1_000, 500, 1, 1_001, "check.fall is 1001: expected 1 to 1000"),
    ] {
        let error = CheckPolicy::new(span(every), span(timeout), rise, fall).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
