//! Rules for Rust source.

pub(super) mod lex;

use super::tree::{File, Findings, Tree};
use lex::has_word;

const MAX_LINES: usize = 800;

/// The one file with `unsafe` code.
const SYSCALLS: &str = "crates/host/src/sys.rs";
/// The one file that reads a clock.
const CLOCK: &str = "crates/host/src/clock.rs";
/// What reading a clock looks like.
const CLOCK_READS: [&str; 5] = ["Instant::now", "SystemTime", "clock_gettime", "Utc::now", "UNIX_EPOCH"];
/// Marks of work that was put off.
const UNFINISHED: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// The tests' shared harnesses: the one place that may sleep, between two looks at a condition.
const HARNESS: &str = "/tests/support/";

pub(super) fn length(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            findings.add(&file.path, MAX_LINES + 1, format!("{lines} lines"));
        }
    }
}

pub(super) fn utils(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        if parts.any(|part| matches!(part, "util" | "utils" | "helpers" | "misc")) {
            findings.add(&file.path, 0, "a name that says nothing about its subject");
        }
    }
}

pub(super) fn unsafe_code(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust().filter(|file| file.path != SYSCALLS) {
        each_word(file, &["unsafe"], |line, _| {
            findings.add(&file.path, line, format!("unsafe code outside {SYSCALLS}"))
        });
    }
}

/// Tests and the project's own tasks may measure how long they wait; what decides may not, and core not even in tests.
pub(super) fn clock(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        let in_core = file.path.starts_with("crates/core/");
        let measures = file.is_test() || file.path.starts_with("xtask/") || file.path.starts_with("bench/");
        if file.path == CLOCK || (measures && !in_core) {
            continue;
        }
        each_word(file, &CLOCK_READS, |line, word| {
            // The system call itself needs `unsafe`, which has a file of its own; only `clock.rs` calls it.
            if !(word == "clock_gettime" && file.path == SYSCALLS) {
                findings.add(&file.path, line, format!("`{word}` outside {CLOCK}"));
            }
        });
    }
}

pub(super) fn unfinished(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        for (number, line) in file.comments() {
            for mark in UNFINISHED.into_iter().filter(|mark| has_word(line, mark)) {
                findings.add(&file.path, number, format!("`{mark}` in a comment"));
            }
        }
        each_word(file, &["todo!", "unimplemented!", "dbg!"], |line, word| {
            findings.add(&file.path, line, format!("`{word}` is left in"));
        });
    }
}

pub(super) fn ignored_tests(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust() {
        for (number, line) in file.code() {
            let squeezed: String = line.split_whitespace().collect();
            if squeezed.contains("#[ignore") || squeezed.contains(",ignore") && squeezed.contains("cfg_attr(") {
                findings.add(&file.path, number, "an ignored test");
            }
        }
    }
}

pub(super) fn sleep(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust().filter(|file| file.is_test() && !file.path.contains(HARNESS)) {
        each_word(file, &["thread::sleep"], |line, word| findings.add(&file.path, line, format!("`{word}` in a test")));
    }
}

pub(super) fn inline_tests(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust().filter(|file| !file.is_test()) {
        for (number, line) in file.code() {
            if line.trim_start().starts_with("mod tests {") {
                findings.add(&file.path, number, "tests inside the file they test");
            }
        }
    }
}

pub(super) fn module_doc(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust().filter(|file| file.path.starts_with("crates/")) {
        let opens = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
        if opens && !file.text.starts_with("//!") {
            findings.add(&file.path, 1, "does not open with a `//!` that says what it promises");
        }
    }
}

pub(super) fn no_std(tree: &Tree, findings: &mut Findings) {
    for file in tree.rust().filter(|file| file.path.starts_with("crates/core/src/")) {
        if file.path == "crates/core/src/lib.rs" && !file.code().any(|(_, line)| line.trim() == "#![no_std]") {
            findings.add(&file.path, 1, "no `#![no_std]`");
        }
        let mut before = "";
        for (number, line) in file.code() {
            if has_word(line, "extern crate std") && before.trim() != "#[cfg(test)]" {
                findings.add(&file.path, number, "`extern crate std` outside `#[cfg(test)]`");
            }
            before = line;
        }
    }
}

fn each_word(file: &File, words: &[&'static str], mut found: impl FnMut(usize, &'static str)) {
    for (number, line) in file.code() {
        for word in words.iter().copied().filter(|word| has_word(line, word)) {
            found(number, word);
        }
    }
}
