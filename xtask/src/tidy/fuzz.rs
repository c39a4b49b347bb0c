//! Rules for `fuzz/`, which is built by nightly alone and could rot unseen.

use super::tree::{File, Findings, Tree};

/// Every program of `fuzz/fuzz_targets` calls the function of its name in a crate's `fuzzing` module, which lists it for
/// the replay; and whatever is listed there has a program, named in `fuzz/Cargo.toml`.
pub(super) fn targets(tree: &Tree, findings: &mut Findings) {
    let listed: Vec<(String, &File)> = tree.rust().filter(|file| is_module(&file.path)).flat_map(listed).collect();
    let manifest = tree.file("fuzz/Cargo.toml").map_or("", |file| file.text.as_str());
    for (name, file) in &listed {
        let program = format!("fuzz/fuzz_targets/{name}.rs");
        let call = format!("{}::fuzzing::{name}(data)", crate_name(&file.path));
        if !tree.file(&program).is_some_and(|program| program.text.contains(&call)) {
            findings.add(&file.path, 0, format!("`{name}` has no {program} that says `{call}`"));
        }
        if !manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")) {
            findings.add("fuzz/Cargo.toml", 0, format!("does not name {program}"));
        }
    }
    for file in tree.rust() {
        let name = file.path.strip_prefix("fuzz/fuzz_targets/").and_then(|name| name.strip_suffix(".rs"));
        if let Some(name) = name.filter(|name| !listed.iter().any(|(known, _)| known == name)) {
            findings.add(&file.path, 0, format!("no crate lists `{name}` among its TARGETS, so nothing replays it"));
        }
    }
}

fn is_module(path: &str) -> bool {
    path.starts_with("crates/") && path.ends_with("/src/fuzzing.rs")
}

/// The names in the module's list: `("client", client)`.
fn listed(file: &File) -> impl Iterator<Item = (String, &File)> {
    let pairs = file.text.split("(\"").skip(1).filter_map(|rest| rest.split_once("\", "));
    pairs.filter(|(name, rest)| rest.starts_with(&format!("{name})"))).map(move |(name, _)| (name.to_owned(), file))
}

/// `steadfast_core` of `crates/core/src/fuzzing.rs`.
fn crate_name(path: &str) -> String {
    match path.split('/').nth(1) {
        Some("steadfast") | None => "steadfast".to_owned(),
        Some(name) => format!("steadfast_{name}"),
    }
}
