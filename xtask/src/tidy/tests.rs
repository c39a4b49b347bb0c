use super::*;

/// A rule, a tree it must find fault with (with the place it names), and one it must leave alone.
struct Example {
    rule: &'static str,
    bad: &'static [(&'static str, &'static str)],
    at: &'static str,
    good: &'static [(&'static str, &'static str)],
}

const fn example(
    rule: &'static str,
    bad: &'static [(&'static str, &'static str)],
    at: &'static str,
    good: &'static [(&'static str, &'static str)],
) -> Example {
    Example { rule, bad, at, good }
}

const AGENT: &str = "crates/agent/Cargo.toml";

const FUZZING: &str = "crates/core/src/fuzzing.rs";
const FUZZ_A: &str = "fuzz/fuzz_targets/a.rs";
const FUZZ_BIN: &str = "path = \"fuzz_targets/a.rs\"\n";

const EXAMPLES: &[Example] = &[
    example("whitespace", &[("a.md", "a \nb\n")], "a.md:1:", &[("a.md", "a\nb\n")]),
    example("whitespace", &[("a.rs", "fn a() {\n\tb();\n}\n")], "a.rs:2:", &[("a.conf", "a\tb\n")]),
    example("whitespace", &[("a.md", "a\nb\r\nc\n")], "a.md:2:", &[("a.md", "")]),
    example("whitespace", &[("a.md", "a\nb")], "a.md:2:", &[("a.md", "a\n\nb\n")]),
    example("whitespace", &[("a.md", "a\n\n")], "a.md:2:", &[("LICENSE", "a\n")]),
    example("ci-vendor", &[(".github/workflows/ci.yml", "")], ".github/workflows/ci.yml:1:", &[(".ci/run", "")]),
    example("utils", &[("crates/a/src/utils.rs", "")], "crates/a/src/utils.rs:1:", &[("crates/a/src/utilise.rs", "")]),
    example("utils", &[("crates/a/src/util/x.rs", "")], "crates/a/src/util/x.rs:1:", &[("src/time.rs", "")]),
    example(
        "unsafe",
        &[("crates/host/src/child.rs", "fn a() {\n    unsafe { b() }\n}\n")],
        "crates/host/src/child.rs:2:",
        &[
            ("crates/host/src/sys.rs", "unsafe { b() }\n"),
            ("crates/a/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";\n"),
        ],
    ),
    example(
        "clock",
        &[("crates/agent/src/driver.rs", "let now = std::time::Instant::now();\n")],
        "crates/agent/src/driver.rs:1:",
        &[
            ("crates/host/src/clock.rs", "clock_gettime();\nInstant::now();\n"),
            ("crates/host/src/sys.rs", "libc::clock_gettime(id, &mut time)\n"),
            ("crates/agent/tests/run.rs", "let began = Instant::now();\n"),
            ("crates/agent/src/run/tests.rs", "let began = Instant::now();\n"),
            ("xtask/src/bench.rs", "let began = Instant::now();\n"),
        ],
    ),
    example(
        "clock",
        &[("crates/core/tests/simulation.rs", "let seed = SystemTime::now();\n")],
        "crates/core/tests/simulation.rs:1:",
        &[("crates/core/src/time.rs", "/// Not `SystemTime`.\npub struct Moment(u64);\n")],
    ),
    example("clock", &[("crates/host/src/sys.rs", "Instant::now()\n")], "crates/host/src/sys.rs:1:", &[]),
    example("unfinished", &[("a.rs", "let a = 1; // TODO: b\n")], "a.rs:1:", &[("a.rs", "let a = \"// TODO\";\n")]),
    example("unfinished", &[("a.rs", "/* a\n * FIXME */\n")], "a.rs:2:", &[("a.rs", "// a todo list\n")]),
    example("unfinished", &[("a.rs", "fn a() { todo!() }\n")], "a.rs:1:", &[("a.rs", "// todo!\n")]),
    example("unfinished", &[("a.rs", "dbg!(a);\n")], "a.rs:1:", &[("a.rs", "my_dbg!(a);\n")]),
    example(
        "ignore",
        &[("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n")],
        "a.rs:2:",
        &[("a.rs", "// #[ignore]\n")],
    ),
    example("ignore", &[("a.rs", "#[cfg_attr(x, ignore)]\n")], "a.rs:1:", &[("a.rs", "#[cfg_attr(x, allow(y))]\n")]),
    example(
        "sleep",
        &[("crates/a/tests/b.rs", "std::thread::sleep(second);\n")],
        "crates/a/tests/b.rs:1:",
        &[
            ("crates/a/tests/support/wait.rs", "std::thread::sleep(second);\n"),
            ("crates/a/src/b.rs", "std::thread::sleep(second);\n"),
        ],
    ),
    example("inline-tests", &[("a.rs", "mod tests {\n}\n")], "a.rs:1:", &[("a.rs", "#[cfg(test)]\nmod tests;\n")]),
    example(
        "module-doc",
        &[("crates/a/src/lib.rs", "// No.\n")],
        "crates/a/src/lib.rs:1:",
        &[("crates/a/src/lib.rs", "//! Yes.\n"), ("crates/a/src/b.rs", "")],
    ),
    example("module-doc", &[("crates/a/src/main.rs", "fn main() {}\n")], "crates/a/src/main.rs:1:", &[]),
    example(
        "no-std",
        &[("crates/core/src/lib.rs", "#![cfg_attr(not(test), no_std)]\n")],
        "crates/core/src/lib.rs:1:",
        &[("crates/core/src/lib.rs", "#![no_std]\n#[cfg(test)]\nextern crate std;\n"), ("crates/a/src/lib.rs", "")],
    ),
    example(
        "no-std",
        &[("crates/core/src/lib.rs", "#![no_std]\nextern crate std;\n")],
        "crates/core/src/lib.rs:2:",
        &[("crates/core/src/a.rs", "extern crate alloc;\n")],
    ),
    example(
        "arrows",
        &[(AGENT, "[dependencies]\nsteadfast-core.workspace = true\nsteadfast-gateway.workspace = true\n")],
        "crates/agent/Cargo.toml:3: `agent` may not know `gateway`",
        &[(
            AGENT,
            "[dependencies]\nsteadfast-host.workspace = true\n[dev-dependencies]\nsteadfast-store.workspace = true\n",
        )],
    ),
    example(
        "arrows",
        &[(AGENT, "[dependencies]\nsteadfast-store.workspace = true\n")],
        "crates/agent/Cargo.toml:2: `agent` may not know `store`",
        &[("crates/registry/Cargo.toml", "[dependencies]\nsteadfast-store.workspace = true\n")],
    ),
    example(
        "arrows",
        &[("crates/core/Cargo.toml", "[dependencies]\nserde = \"1\"\n")],
        "crates/core/Cargo.toml:2: core uses `serde`",
        &[(
            "crates/core/Cargo.toml",
            "[dependencies]\nthiserror.workspace = true\n[dev-dependencies]\nserde = \"1\"\n",
        )],
    ),
    example(
        "arrows",
        &[(
            "crates/store/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nbooks = { package = \"steadfast-registry\" }\n",
        )],
        "`store` may not know `registry`",
        &[],
    ),
    example(
        "arrows",
        &[("crates/new/Cargo.toml", "[package]\n")],
        "not on the map",
        &[("fuzz/Cargo.toml", "[package]\n")],
    ),
    example("arrows", &[("crates/core/Cargo.toml", "[package\n")], "is no TOML", &[]),
    example(
        "arrows",
        &[("xtask/Cargo.toml", "[dependencies]\nsteadfast = { path = \"x\" }\n")],
        "`xtask` may not know `steadfast`",
        &[("xtask/Cargo.toml", "[dependencies]\nanyhow = \"1\"\n")],
    ),
    example(
        "lints",
        &[(AGENT, "[package]\n")],
        "crates/agent/Cargo.toml:1:",
        &[(AGENT, "[lints]\nworkspace = true\n"), ("crates/host/Cargo.toml", "[lints.rust]\nunsafe_code = \"deny\"\n")],
    ),
    example(
        "map",
        &[("ARCHITECTURE.md", "`core`\n"), (AGENT, "")],
        "crates/agent/Cargo.toml:1:",
        &[("ARCHITECTURE.md", "`agent` and [core](crates/core)\n"), (AGENT, ""), ("crates/core/Cargo.toml", "")],
    ),
    example(
        "links",
        &[("docs/a.md", "one\n[b](../b.md)\n")],
        "docs/a.md:2:",
        &[
            (
                "docs/a.md",
                "[b](../b.md) [c](c.md#the-third-one) [d](https://d/x.md) [dir](..) `[e](f.md)`\n```\n[g](h.md)\n```\n",
            ),
            ("b.md", "[self](#here)\n# Here\n"),
            ("docs/c.md", "# The *third* one!\n"),
        ],
    ),
    example("links", &[("a.md", "[b](b.md#no)\n"), ("b.md", "# Yes\n")], "a.md:1: `b.md` has no heading", &[]),
    example("links", &[("a.md", "[b](../outside.md)\n")], "a.md:1:", &[]),
    example(
        "proofs",
        &[
            ("docs/a.md", "It holds: [`it_holds`](../b.rs), [`so_does_this`](../b.rs)\n"),
            ("b.rs", "fn it_holds() {}\n"),
        ],
        "docs/a.md:1: `../b.rs` has no test `so_does_this`",
        &[
            ("docs/a.md", "[`it_holds`](../b.rs), [the file](../b.rs), [`b.rs`](../b.rs)\n"),
            ("b.rs", "async fn it_holds() {}\n"),
        ],
    ),
    example(
        "fuzz",
        &[(FUZZING, "(\"a\", a)"), ("fuzz/Cargo.toml", FUZZ_BIN), (FUZZ_A, "x::fuzzing::a(data)")],
        "crates/core/src/fuzzing.rs:1: `a` has no fuzz/fuzz_targets/a.rs that says `steadfast_core::fuzzing::a(data)`",
        &[],
    ),
    example(
        "fuzz",
        &[("fuzz/Cargo.toml", FUZZ_BIN), (FUZZ_A, "steadfast_core::fuzzing::a(data)")],
        "fuzz/fuzz_targets/a.rs:1: no crate lists `a`",
        &[
            (FUZZING, "&[(\"a\", a)]"),
            ("fuzz/Cargo.toml", FUZZ_BIN),
            (FUZZ_A, "fuzz_target!(|data: &[u8]| steadfast_core::fuzzing::a(data));"),
        ],
    ),
    example(
        "fuzz",
        &[(FUZZING, "(\"a\", a)"), ("fuzz/Cargo.toml", ""), (FUZZ_A, "steadfast_core::fuzzing::a(data)")],
        "fuzz/Cargo.toml:1: does not name fuzz/fuzz_targets/a.rs",
        &[],
    ),
];

fn rule(name: &str) -> &'static Rule {
    RULES.iter().find(|rule| rule.name == name).unwrap_or_else(|| panic!("there is no rule {name}"))
}

#[test]
fn each_example_is_found_where_it_is_and_no_other() {
    for Example { rule: name, bad, at, good } in EXAMPLES {
        let found = findings(rule(name), &Tree::of(bad));
        assert!(found.len() == 1 && found[0].contains(at), "{name} in {bad:?}: {found:?}, not one at {at}");
        let found = findings(rule(name), &Tree::of(good));
        assert!(found.is_empty(), "{name} in {good:?}: {found:?}");
    }
}

#[test]
fn a_long_file_is_found() {
    let lines = |n: usize| "a();\n".repeat(n);
    let found = |n| findings(rule("length"), &Tree::of(&[("crates/a/src/b.rs", &lines(n))]));
    assert_eq!(found(801), ["crates/a/src/b.rs:801: 801 lines"]);
    assert!(found(800).is_empty());
}

#[test]
fn every_rule_has_an_example() {
    for rule in RULES.iter().filter(|rule| rule.name != "length") {
        assert!(EXAMPLES.iter().any(|example| example.rule == rule.name), "{} never fires here", rule.name);
    }
}

#[test]
fn a_line_that_says_why_is_allowed() {
    let found = |text| findings(rule("sleep"), &Tree::of(&[("crates/a/tests/b.rs", text)]));
    assert!(found("// tidy-allow(sleep): time itself is tested\nthread::sleep(x);\n").is_empty());
    assert!(found("thread::sleep(x); // tidy-allow(sleep): time itself is tested\n").is_empty());
    assert_eq!(found("// tidy-allow(sleep): \nthread::sleep(x);\n").len(), 1, "without a reason");
    assert_eq!(found("// tidy-allow(clock): other rule\nthread::sleep(x);\n").len(), 1);
    assert_eq!(found("// tidy-allow(sleep): too far\n\nthread::sleep(x);\n").len(), 1);
}

#[test]
fn the_tree_is_read_without_what_is_built() {
    let root = tempfile::tempdir().expect("a directory");
    for (path, text) in [("src/a.rs", "b"), ("target/x.rs", "c"), ("data.bin", "d"), (".ci/run", "e")] {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let tree = Tree::read(root.path()).expect("read");
    let paths: Vec<&str> = tree.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".ci/run", "src/a.rs"]);
}
