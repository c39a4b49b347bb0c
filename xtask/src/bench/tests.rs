use super::*;

#[test]
fn the_middle_and_the_tail() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
    let at = |percent| percentile(&hundred, percent);
    assert_eq!((at(0), at(50), at(99), at(100)), (1.0, 50.0, 99.0, 100.0));
    assert_eq!(percentile(&[7.0], 99), 7.0);
    assert!(median(&[]).is_nan() && percentile(&[], 50).is_nan());
}

#[test]
fn options_are_read_and_bounded() {
    let read = |args: &[&str]| parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
    let options = read(&["proxy", "--runs", "2", "--seconds", "1", "--json"]).expect("understood");
    assert!(options.has(Part::Proxy) && !options.has(Part::Failover) && options.json);
    assert_eq!((options.runs, options.time), (2, Duration::from_secs(1)));
    let all = read(&[]).expect("understood");
    assert!(Part::ALL.iter().all(|(_, part)| all.has(*part)));
    let many = read(&["place", "--clients", "10000000"]).expect("understood");
    assert_eq!((many.has(Part::Redirect), many.clients), (false, 10_000_000));
    assert!(read(&["--write"]).expect("understood").write);
    assert!(read(&["stores", "--write"]).expect("understood").write);
    for wrong in [
        &["--write", "proxy"][..],
        &["--write", "stores", "proxy"],
        &["--runs"],
        &["--runs", "0"],
        &["--seconds", "x"],
        &["--clients", "999"],
        &["tunnel"],
    ] {
        assert!(read(wrong).err().expect("refused").is::<Usage>(), "{wrong:?}");
    }
}

#[test]
fn wrk_is_understood() {
    let output = "Running 4s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.27ms  310.00us  9.13ms   91.34%
  Latency Distribution
     50%    1.21ms
     99%  812.00us
  201113 requests in 4.00s, 38.36MB read
  Socket errors: connect 0, read 3, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:  50214.15
Transfer/sec:      9.58MB
";
    let load = wrk::parse(output).expect("understood");
    assert_eq!(load, wrk::Load { requests: 201_113, per_second: 50_214.15, p99_ms: 0.812, failed: 12 });
    assert_eq!(wrk::parse("unable to connect"), None);
}

#[test]
fn processor_time_is_found_behind_any_name() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 10 0 0 0 17 5 0 0 20 0 1 0 100 0 0";
    assert_eq!(server::parse_ticks(stat), Some(22));
    assert_eq!(server::parse_ticks("42 (a) S 1"), None);
}

#[test]
fn memory_is_found_in_kibibytes() {
    assert_eq!(server::parse_memory("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t   812 kB\n"), Some(812 * 1024));
    assert_eq!(server::parse_memory("Name:\tx\n"), None);
}

#[test]
fn templates_are_filled_or_refused() {
    assert_eq!(server::fill("a {{x}} { b } {{x}}", &[("x", "1")]).expect("filled"), "a 1 { b } 1");
    assert!(server::fill("a {{y}}", &[("x", "1")]).is_err());
}
