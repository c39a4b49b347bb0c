use super::*;

fn message(kind: &str, package: &str, name: &str, test: bool) -> String {
    format!(
        r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/crates/{package}#steadfast-{package}@0.1.0",
            "manifest_path":"/w/crates/{package}/Cargo.toml","target":{{"kind":["{kind}"],"name":"{name}"}},
            "profile":{{"test":{test}}},"executable":"/w/target/debug/deps/{name}-0123"}}"#
    )
}

fn suite_of(kind: &str, package: &str) -> Suite {
    executable(&message(kind, package, "some", true)).expect("a test program").suite
}

#[test]
fn programs_are_sorted_by_where_they_lie() {
    assert_eq!(suite_of("lib", "store"), Suite::Unit);
    assert_eq!(suite_of("bin", "steadfast"), Suite::Unit);
    assert_eq!(suite_of("test", "core"), Suite::Simulation);
    assert_eq!(suite_of("test", "store"), Suite::Conformance);
    assert_eq!(suite_of("test", "agent"), Suite::Integration);
    assert_eq!(suite_of("test", "steadfast"), Suite::Blackbox);
}

#[test]
fn a_program_knows_how_it_is_run_alone() {
    let program = executable(&message("test", "store", "kill", true)).expect("a test program");
    assert_eq!(program.rerun, "cargo test -p steadfast-store --test kill");
    assert_eq!(program.package, Path::new("/w/crates/store"));
    assert_eq!(package_name("path+file:///w/xtask#0.1.0"), Some("xtask"));
}

#[test]
fn other_artifacts_are_no_test_programs() {
    assert_eq!(executable(&message("bin", "steadfast", "steadfast", false)), None);
    assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    assert_eq!(executable("warning: not JSON"), None);
}

#[test]
fn an_empty_suite_is_a_failure() {
    let mut counts = Counts::default();
    let error = run(&[], Suite::Simulation, Duration::from_secs(1), &mut counts).expect_err("nothing to run");
    assert!(error.to_string().contains("no Simulation tests"), "{error}");
}
