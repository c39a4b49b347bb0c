//! Rules for the documentation.

use super::tree::{Findings, Tree};

/// Links of Markdown files to files of the tree, and to headings in Markdown files.
pub(super) fn links(tree: &Tree, findings: &mut Findings) {
    for file in tree.files().iter().filter(|file| file.path.ends_with(".md")) {
        for (line, link) in links_of(&file.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() { Some(file.path.clone()) } else { resolve(&file.path, target) };
            let Some(path) = path.filter(|path| tree.has(path)) else {
                findings.add(&file.path, line, format!("there is no file `{target}`"));
                continue;
            };
            let page = tree.file(&path).filter(|page| page.path.ends_with(".md") && !anchor.is_empty());
            if page.is_some_and(|page| !anchors(&page.text).any(|a| a == anchor)) {
                findings.add(&file.path, line, format!("`{path}` has no heading `#{anchor}`"));
            }
        }
    }
}

/// Tests that Markdown files name: a link whose text is a name in code, to a Rust file, is a function of that file.
pub(super) fn proofs(tree: &Tree, findings: &mut Findings) {
    for file in tree.files().iter().filter(|file| file.path.ends_with(".md")) {
        for (line, text) in prose(&file.text) {
            for (name, target) in named_links(text) {
                let proof = resolve(&file.path, target).and_then(|path| tree.file(&path));
                if proof.is_some_and(|proof| !proof.text.contains(&format!("fn {name}("))) {
                    findings.add(&file.path, line, format!("`{target}` has no test `{name}`"));
                }
            }
        }
    }
}

/// The names and targets of [`name`](path.rs) in a line, where the name is that of a function.
fn named_links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let links = line.split("[`").skip(1).filter_map(|rest| {
        let (name, after) = rest.split_once("`](")?;
        Some((name, after.split_once(')')?.0))
    });
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    links.filter(move |(name, target)| target.ends_with(".rs") && is_name(name))
}

/// The targets of `[text](target)` outside of code, with their lines.
fn links_of(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(markdown) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("](") {
            let Some((target, tail)) = after.split_once(')') else { break };
            let in_code = before.matches('`').count() % 2 == 1;
            if !in_code {
                // A title may follow: [text](target "title").
                found.extend(target.split_whitespace().next().map(|target| (number, target)));
            }
            rest = tail;
        }
    }
    found
}

/// The lines outside of fenced code, numbered from 1.
fn prose(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    markdown.lines().enumerate().filter_map(move |(i, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((i + 1, line))
    })
}

/// `target` as seen from the file `from`, as a path from the root; `None` if it leads out of the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let directory = from.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { directory.split('/').collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().filter(|part| !part.is_empty())?;
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

/// The anchors that a page's headings are given.
fn anchors(markdown: &str) -> impl Iterator<Item = String> {
    prose(markdown).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
