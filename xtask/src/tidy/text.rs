//! Rules for text of any kind.

use super::tree::{Findings, Tree};

/// Where CI vendors look for their files.
const VENDORS: [&str; 8] = [
    ".github/",
    ".gitlab-ci.yml",
    ".circleci/",
    ".travis.yml",
    ".buildkite/",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "Jenkinsfile",
];

/// Spaces at the end of a line, tabs in Rust, carriage returns, a last line without an end or after it more.
pub(super) fn whitespace(tree: &Tree, findings: &mut Findings) {
    for file in tree.files() {
        for (number, line) in file.lines() {
            if line.ends_with([' ', '\t']) {
                findings.add(&file.path, number, "spaces at the end of the line");
            }
            if line.contains('\t') && file.is_rust() {
                findings.add(&file.path, number, "a tab; rustfmt indents with spaces, and text says \\t");
            }
        }
        // `lines` takes a carriage return away with the line's end, so these look at the whole text.
        if let Some((before, _)) = file.text.split_once('\r') {
            findings.add(&file.path, before.matches('\n').count() + 1, "a carriage return");
        }
        let last = file.text.lines().count();
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.add(&file.path, last, "the last line has no end");
        }
        if file.text.ends_with("\n\n") {
            findings.add(&file.path, last, "empty lines at the end");
        }
    }
}

/// Files that only one CI vendor reads.
pub(super) fn ci_vendor(tree: &Tree, findings: &mut Findings) {
    for file in tree.files() {
        if VENDORS.iter().any(|place| file.path.starts_with(place)) {
            findings.add(&file.path, 0, "belongs to a CI vendor");
        }
    }
}
