use super::*;

fn parsed(line: &str) -> Result<Wanted> {
    parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn the_command_line_is_read() {
    assert_eq!(parsed("").unwrap(), Wanted { length: USUALLY, seed: None, json: false });
    let wanted = Wanted { length: Duration::from_secs(45), seed: Some(7), json: true };
    assert_eq!(parsed("--for 45s --seed 7 --json").unwrap(), wanted);
    assert_eq!(parsed("--for 2h").unwrap().length, Duration::from_secs(7200));
    for wrong in ["--for", "--for 45", "--for 0s", "--for m", "--seed x", "--long"] {
        assert!(parsed(wrong).unwrap_err().is::<Usage>(), "{wrong}");
    }
}
