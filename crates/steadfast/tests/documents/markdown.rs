//! What of a Markdown document can be run or checked: its fenced blocks, and the commands inside its sentences.

/// A fenced block: what stands between two lines of three backticks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The line of its opening fence, from 1.
    pub(crate) line: usize,
    /// The first word after the fence.
    pub(crate) language: &'a str,
    /// Why it is not run, where the fence says `not-run: …`.
    pub(crate) not_run: Option<&'a str>,
    /// Its lines, each with its end.
    pub(crate) text: String,
}

/// A command of a `console` block and what it is shown to print.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) output: String,
}

/// The fenced blocks of a document, in their order.
pub(crate) fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut open: Option<usize> = None;
    for (number, line) in (1..).zip(document.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(info), None) => {
                let (language, rest) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
                let not_run = rest.trim().strip_prefix("not-run:").map(str::trim);
                found.push(Block { line: number, language, not_run, text: String::new() });
                open = Some(indent);
            }
            (Some(_), Some(_)) => open = None,
            (None, Some(indent)) => {
                let block = found.last_mut().expect("one is open");
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// The commands of a `console` block. A command begins with `$ ` and goes on after a backslash at the end of a line;
/// what follows is its output.
pub(crate) fn shown(text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ").filter(|_| !goes_on) {
            found.push(Shown { command: command.to_owned(), output: String::new() });
        } else if let Some(last) = found.last_mut() {
            let into = if goes_on { &mut last.command } else { &mut last.output };
            if !into.is_empty() {
                into.push('\n');
            }
            into.push_str(line);
        }
        goes_on = line.ends_with('\\') && (goes_on || line.starts_with("$ "));
    }
    found
}

/// Every `steadfast …` in a document, with its line: in its sentences, and in the blocks that are not run.
pub(crate) fn commands(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(document.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.filter(|code| code.starts_with("steadfast ")).map(|code| (number, code.to_owned())));
        }
    }
    for block in blocks(document).iter().filter(|block| block.not_run.is_some()) {
        let joined = block.text.replace("\\\n", " ");
        let lines = joined.lines().map(str::trim).filter(|line| line.starts_with("steadfast "));
        found.extend(lines.map(|line| (block.line, line.to_owned())));
    }
    found
}

#[test]
fn blocks_are_found_with_their_language_and_reason() {
    let document =
        "a\n```sh\nx\n```\n- b\n  ```toml\n  y = 1\n\n  z = 2\n  ```\n```sh not-run: it needs a cloud\nw\n```\n";
    let block = |line, language, not_run, text: &str| Block { line, language, not_run, text: text.to_owned() };
    let expected = [
        block(2, "sh", None, "x\n"),
        block(6, "toml", None, "y = 1\n\nz = 2\n"),
        block(11, "sh", Some("it needs a cloud"), "w\n"),
    ];
    assert_eq!(blocks(document), expected);
}

#[test]
fn a_console_block_is_commands_and_what_they_print() {
    let text = "$ one \\\n    two\nout\nput\n$ three\n";
    let expected = [("one \\\n    two", "out\nput"), ("three", "")];
    let expected = expected.map(|(command, output)| Shown { command: command.to_owned(), output: output.to_owned() });
    assert_eq!(shown(text), expected);
}

#[test]
fn commands_are_found_in_sentences_and_in_what_is_not_run() {
    let document =
        "Say `steadfast status` or `ls`.\n```sh\nsteadfast run\n```\n```sh not-run: x\nsteadfast \\\n  demo\n```\n";
    assert_eq!(commands(document), [(1, "steadfast status".to_owned()), (5, "steadfast    demo".to_owned())]);
}
