use super::*;

#[test]
fn what_libfuzzer_says_of_a_run_is_read() {
    let mut ended = Ended::default();
    for line in [
        "INFO: Seed: 7",
        "#2\tINITED cov: 90 ft: 91 corp: 1/1b exec/s: 0 rss: 31Mb",
        "#1048\tNEW    cov: 120 ft: 260 corp: 35/410b lim: 14 exec/s: 0 rss: 33Mb L: 9/14 MS: 1 InsertByte-",
        "#not a number",
        "#9000\tDONE   cov: 121 ft: 270 corp: 36/420b lim: 14 exec/s: 4500 rss: 33Mb",
    ] {
        ended.read(line);
    }
    let expected = Ended { runs: 9_000, coverage: 121, features: 270, corpus: 36, ..Ended::default() };
    assert_eq!(ended, expected);
    ended.read("#12345: cov: 130 ft: 280 corp: 40 exec/s: 1000 oom/timeout/crash: 0/0/0 time: 9s");
    assert_eq!(ended, Ended { runs: 12_345, coverage: 130, features: 280, corpus: 40, ..Ended::default() });
}

#[test]
fn the_package_of_a_target_is_the_one_it_calls() {
    let called = |source| package(source).unwrap();
    assert_eq!(called("fuzz_target!(|data: &[u8]| steadfast_core::fuzzing::client(data));"), "steadfast-core");
    assert_eq!(called("fuzz_target!(|data: &[u8]| steadfast::fuzzing::config(data));"), "steadfast");
    assert_eq!(package("fn main() {}"), None);
}

#[test]
fn an_input_that_failed_is_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let began = SystemTime::now() - Duration::from_secs(1);
    assert_eq!(newest(directory.path(), began), None);
    fs::write(directory.path().join("crash-1"), "x").unwrap();
    assert_eq!(newest(directory.path(), began), Some(directory.path().join("crash-1")));
    assert_eq!(newest(directory.path(), SystemTime::now() + Duration::from_secs(60)), None, "it is of an earlier run");
}
