//! `cargo xtask tidy`: the house rules a machine can check, each finding with its place and the rule's reason.
//!
//! A rule sees the whole tree as text, so a test can show it a tree of two lines. Where a line has a good reason
//! to break a rule, the line or the one above says `tidy-allow(<rule>): <why>`.

mod crates;
mod docs;
mod fuzz;
mod rust;
mod text;
mod tree;

use std::path::Path;

use anyhow::{Result, bail};

use crate::Usage;
use tree::{Findings, Tree};

/// One rule of the house.
struct Rule {
    name: &'static str,
    /// Why the rule is there, in one line.
    why: &'static str,
    check: fn(&Tree, &mut Findings),
}

const RULES: &[Rule] = &[
    Rule { name: "whitespace", why: "a diff should show only what somebody meant", check: text::whitespace },
    Rule { name: "ci-vendor", why: "CI runs .ci/run, wherever it is; no vendor's files", check: text::ci_vendor },
    Rule { name: "length", why: "past 800 lines a file has two subjects: split it", check: rust::length },
    Rule { name: "utils", why: "a file is named after its subject; everything fits into `utils`", check: rust::utils },
    Rule {
        name: "unsafe",
        why: "what the compiler cannot check is reviewed in one small file",
        check: rust::unsafe_code,
    },
    Rule { name: "clock", why: "time comes in as an argument; one file reads the clock", check: rust::clock },
    Rule { name: "unfinished", why: "unfinished work belongs into an issue", check: rust::unfinished },
    Rule { name: "ignore", why: "a test that is not run proves nothing", check: rust::ignored_tests },
    Rule {
        name: "sleep",
        why: "a test polls its condition with a deadline; sleeping is slow and flaky",
        check: rust::sleep,
    },
    Rule { name: "inline-tests", why: "tests stand in a sibling tests.rs", check: rust::inline_tests },
    Rule {
        name: "module-doc",
        why: "a crate opens with what it promises and refuses to know",
        check: rust::module_doc,
    },
    Rule { name: "no-std", why: "core decides without a machine under it", check: rust::no_std },
    Rule { name: "arrows", why: "the crates know each other only as the map says", check: crates::arrows },
    Rule { name: "lints", why: "every crate keeps the workspace's lints", check: crates::lints },
    Rule { name: "map", why: "ARCHITECTURE.md names every crate", check: crates::map },
    Rule { name: "fuzz", why: "what is fuzzed is replayed too, and the other way round", check: fuzz::targets },
    Rule { name: "links", why: "a link leads somewhere", check: docs::links },
    Rule { name: "proofs", why: "a test that a document names is there", check: docs::proofs },
];

/// Checks the work tree and prints what it finds; true if that is nothing.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<bool> {
    match args {
        [] => Ok(check(root)? == 0),
        [arg, ..] => bail!(Usage(format!("tidy takes no argument, and was given `{arg}`"))),
    }
}

/// Checks the work tree, prints what it finds, and returns the number of findings.
pub(crate) fn check(root: &Path) -> Result<usize> {
    let tree = Tree::read(root)?;
    let mut number = 0;
    for rule in RULES {
        let findings = findings(rule, &tree);
        for finding in &findings {
            println!("{finding} [{}: {}]", rule.name, rule.why);
        }
        number += findings.len();
    }
    println!("tidy: {} files, {} rules, {number} findings", tree.files().len(), RULES.len());
    Ok(number)
}

/// What `rule` finds in `tree`, without the lines that say why they may.
fn findings(rule: &Rule, tree: &Tree) -> Vec<String> {
    let mut findings = Findings::default();
    (rule.check)(tree, &mut findings);
    findings.not_allowed_in(tree, rule.name)
}

#[cfg(test)]
mod tests;
