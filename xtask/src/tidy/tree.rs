//! The work tree as text, and what the rules find in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::rust::lex::{self, Parts};

/// Directories that are nobody's source; what fuzzers are fed with is to break rules.
const SKIPPED_DIRS: [&str; 7] = ["target", ".git", "notes", "node_modules", "corpus", "regressions", "artifacts"];
/// Extensions of the files a rule looks into; a file without an extension is text too (`LICENSE-MIT`, `run`).
const TEXT: [&str; 15] =
    ["rs", "toml", "md", "sh", "py", "lua", "html", "css", "js", "json", "yml", "yaml", "cfg", "conf", "service"];

/// One file: its path from the root (with `/`), and its text.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
    /// Rust only: the code and the comments apart, line for line.
    parts: Parts,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> File {
        let parts = if path.ends_with(".rs") { lex::parts(text) } else { Parts::default() };
        File { path: path.to_owned(), text: text.to_owned(), parts }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is only compiled into tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.contains("/benches/")
    }

    /// The lines of the text, numbered from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }

    /// The lines of the code alone, numbered from 1.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.parts.code)
    }

    /// The lines of the comments alone, numbered from 1.
    pub(super) fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.parts.comments)
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line))
}

/// All files of the work tree that hold text.
#[derive(Default)]
pub(super) struct Tree(Vec<File>);

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        tree.read_dir(root, "")?;
        tree.0.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        Tree(files.iter().map(|(path, text)| File::new(path, text)).collect())
    }

    pub(super) fn files(&self) -> &[File] {
        &self.0
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter(|file| file.is_rust())
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }

    /// Whether `path` is a file, or a directory with a file in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let directory = format!("{}/", path.trim_end_matches('/'));
        path.is_empty() || self.0.iter().any(|file| file.path == path || file.path.starts_with(&directory))
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED_DIRS.contains(&name.as_str()) {
                self.read_dir(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && is_text(&name) {
                let bytes = fs::read(entry.path()).with_context(|| format!("read {path}"))?;
                self.0.push(File::new(&path, &String::from_utf8_lossy(&bytes)));
            }
        }
        Ok(())
    }
}

fn is_text(name: &str) -> bool {
    match name.trim_start_matches('.').rsplit_once('.') {
        Some((_, extension)) => TEXT.contains(&extension),
        None => name != ".git",
    }
}

/// What a rule found: places and messages.
#[derive(Default)]
pub(super) struct Findings(Vec<(String, usize, String)>);

impl Findings {
    /// Line 0 speaks of the file as a whole.
    pub(super) fn add(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.0.push((path.to_owned(), line, message.into()));
    }

    /// The findings as `file:line: message`, without those whose line, or the line above, allows `rule` and says why.
    pub(super) fn not_allowed_in(self, tree: &Tree, rule: &str) -> Vec<String> {
        let word = format!("tidy-allow({rule}): ");
        let allows = |path: &str, line: usize| {
            let here = tree.file(path).and_then(|file| file.lines().nth(line.checked_sub(1)?));
            here.is_some_and(|(_, text)| text.split_once(&word).is_some_and(|(_, why)| !why.trim().is_empty()))
        };
        self.0
            .into_iter()
            .filter(|(path, line, _)| !allows(path, *line) && !allows(path, line.saturating_sub(1)))
            .map(|(path, line, message)| format!("{path}:{}: {message}", line.max(1)))
            .collect()
    }
}
