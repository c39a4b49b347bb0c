use super::*;

#[test]
fn what_init_writes_is_fine() {
    for (text, expected) in [(SINGLE, "1 set, 1 listener, 3 agents"), (STICKY, "1 set, 1 listener, 2 agents")] {
        let config = Config::parse("init.toml", text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(summary(&config), expected);
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }
}
