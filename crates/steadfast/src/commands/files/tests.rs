use super::*;

#[test]
fn what_init_writes_is_fine() {
    let config = Config::parse("single.toml", SINGLE, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary(&config), "1 set, 1 listener, 3 agents");
}
