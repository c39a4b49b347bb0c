//! Rules for the crates as a whole: who knows whom.

use toml::{Table, Value};

use super::tree::{File, Findings, Tree};

/// A crate of the workspace, by its directory under `crates/`, and the crates it may name.
struct Arrow {
    from: &'static str,
    to: &'static [&'static str],
    /// Named in tests only; a crate may also name itself there, to turn on a feature of its own.
    to_in_tests: &'static [&'static str],
}

/// `steadfast → {agent, gateway} → registry → {core, store}; agent, gateway, store → host`.
/// `host` names `core` for its scalars; agent and gateway reach a store through `registry`, and make one only in tests.
const ARROWS: &[Arrow] = &[
    Arrow { from: "core", to: &[], to_in_tests: &[] },
    Arrow { from: "host", to: &["core"], to_in_tests: &[] },
    Arrow { from: "store", to: &["host"], to_in_tests: &[] },
    Arrow { from: "registry", to: &["core", "host", "store"], to_in_tests: &[] },
    Arrow { from: "agent", to: &["core", "host", "registry"], to_in_tests: &["store"] },
    Arrow { from: "gateway", to: &["core", "host", "registry"], to_in_tests: &["store"] },
    Arrow { from: "steadfast", to: &["agent", "core", "gateway", "host", "registry", "store"], to_in_tests: &[] },
];

/// All that core may use besides the language.
const CORE_USES: &[&str] = &["thiserror"];

/// Dependencies of `Cargo.toml` files against [`ARROWS`].
pub(super) fn arrows(tree: &Tree, findings: &mut Findings) {
    for (name, file) in manifests(tree) {
        let table = match file.text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                findings.add(&file.path, 1, format!("is no TOML: {}", error.message()));
                continue;
            }
        };
        let arrow = ARROWS.iter().find(|arrow| arrow.from == name);
        if arrow.is_none() && name != "xtask" {
            findings.add(&file.path, 1, format!("the crate `{name}` is not on the map in xtask/src/tidy/crates.rs"));
        }
        for (dependency, in_tests) in dependencies(&table) {
            let line = line_of(file, &dependency);
            if name == "core" && !in_tests && !CORE_USES.contains(&dependency.as_str()) {
                findings.add(&file.path, line, format!("core uses `{dependency}`; it uses {CORE_USES:?} and no more"));
            }
            let Some(other) = ours(&dependency) else { continue };
            let in_test_list = |a: &Arrow| in_tests && (a.to_in_tests.contains(&other) || other == name);
            let allowed = arrow.is_some_and(|a| a.to.contains(&other) || in_test_list(a));
            if !allowed {
                findings.add(&file.path, line, format!("`{name}` may not know `{other}`"));
            }
        }
    }
}

/// `[lints] workspace = true` in every crate, so that `unsafe_code = "forbid"` and the others hold there.
/// `host` has the workspace's lints too, written out, since it owns the one file with `unsafe`.
pub(super) fn lints(tree: &Tree, findings: &mut Findings) {
    for (name, file) in manifests(tree) {
        let lints = file.text.parse::<Table>().ok().and_then(|table| table.get("lints").cloned());
        let inherited = lints.as_ref().and_then(|lints| lints.get("workspace")) == Some(&Value::Boolean(true));
        let written_out = name == "host" && lints.is_some();
        if !inherited && !written_out {
            findings.add(&file.path, 1, "no `[lints] workspace = true`");
        }
    }
}

/// Every crate is named in ARCHITECTURE.md.
pub(super) fn map(tree: &Tree, findings: &mut Findings) {
    let Some(architecture) = tree.file("ARCHITECTURE.md") else { return };
    for (name, file) in manifests(tree) {
        let named = [format!("`{name}`"), format!("crates/{name}")].iter().any(|text| architecture.text.contains(text));
        if !named {
            findings.add(&file.path, 1, format!("ARCHITECTURE.md does not name `{name}`"));
        }
    }
}

/// Every crate's directory name and manifest.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &File)> {
    tree.files().iter().filter_map(|file| {
        let directory = file.path.strip_suffix("/Cargo.toml")?;
        let name = directory.strip_prefix("crates/").unwrap_or(directory);
        (name == "xtask" || directory != name).then_some((name, file))
    })
}

/// The names of all dependencies, and whether only tests have them.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let of_targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let places = std::iter::once(manifest).chain(of_targets.filter_map(Value::as_table));
    for place in places {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let Some(entries) = place.get(section).and_then(Value::as_table) else { continue };
            let named = entries.iter().map(|(key, entry)| {
                // `short = { package = "long", … }` names a package otherwise than its key does.
                let package = entry.get("package").and_then(Value::as_str).unwrap_or(key);
                (package.to_owned(), section == "dev-dependencies")
            });
            found.extend(named);
        }
    }
    found
}

/// The directory of one of our crates, if `dependency` is one.
fn ours(dependency: &str) -> Option<&str> {
    match dependency.strip_prefix("steadfast-") {
        Some(name) => Some(name),
        None => ["steadfast", "xtask"].into_iter().find(|name| *name == dependency),
    }
}

fn line_of(file: &File, dependency: &str) -> usize {
    file.lines().find(|(_, line)| line.trim_start().starts_with(dependency)).map_or(1, |(number, _)| number)
}
