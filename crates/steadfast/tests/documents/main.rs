//! The documents, read as a user reads them: from the top, typing what stands there.
//!
//! What a fenced block says of itself is what is done with it:
//!
//! | fence | done |
//! |---|---|
//! | `sh` | run once in the document's one shell; every command must succeed |
//! | `console` | each `$ command` is run until it prints what is shown below it (`…` stands for anything) |
//! | `toml` | `steadfast check` has nothing against it |
//! | `ini` | a unit file, named by the comment in its first line: `systemd-analyze verify` has nothing against it |
//! | `text` | nothing: a drawing, a protocol |
//! | `sh not-run: why` | not run, for the reason given; its `steadfast …` lines must be such as the program understands |
//!
//! Any other fence is a mistake. A document that has a `console` block must repeat it without harm: what changes
//! something stands in a `sh` block.

mod likeness;
mod markdown;
mod shell;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;
use markdown::{Block, Shown};
use shell::Shell;
use support::Sandbox;

/// For how long what a command prints may be another thing than what is shown: for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The documents with commands: each has a test of its own, so that they are run side by side.
macro_rules! documents {
    ($($test:ident: $path:literal,)*) => {
        const WITH_COMMANDS: &[&str] = &[$($path),*];
        $(#[test]
        fn $test() {
            let ran = read($path);
            assert!(ran > 0, "{} has no command that is run", $path);
        })*
    };
}

documents! {
    the_readme: "README.md",
    the_agents_api: "docs/agent-api.md",
    the_guide_to_one_active_instance: "docs/guide/single.md",
    the_guide_to_cameras: "docs/guide/cameras.md",
    the_guide_to_game_servers: "docs/guide/games.md",
    the_guide_to_a_legacy_application: "docs/guide/legacy.md",
    the_drill: "docs/guide/drill.md",
    the_list_of_documents: "docs/README.md",
    choosing_a_store: "docs/stores/README.md",
    postgresql_as_a_store: "docs/stores/postgres.md",
}

#[test]
fn in_every_other_document_there_is_nothing_to_run() {
    for path in documents().iter().filter(|path| !WITH_COMMANDS.contains(&path.as_str())) {
        assert_eq!(read(path), 0, "{path} has commands: name it above, so that it has a test of its own");
    }
    let all = documents();
    assert!(WITH_COMMANDS.iter().all(|path| all.iter().any(|found| found == path)));
}

#[test]
fn no_command_in_a_sentence_is_misspelt() {
    let mut understood = 0;
    for path in documents() {
        for (line, command) in markdown::commands(&text_of(&path)) {
            // `steadfast agent …` is the beginning of a command, and `steadfast a && b` two of them.
            let ends = |word: &&str| !matches!(*word, "…" | "&&" | "|" | ">");
            let words = command.split_whitespace().take_while(ends);
            if let Err(error) = steadfast::cli::Cli::command().try_get_matches_from(words) {
                use ErrorKind::{
                    DisplayHelp, DisplayVersion, MissingRequiredArgument, MissingSubcommand, ValueValidation,
                };
                let named_only = matches!(error.kind(), DisplayHelp | DisplayVersion | MissingRequiredArgument);
                // SET, INSTANCE and URL stand for what the reader has: they need not be right themselves.
                let placeholder = matches!(error.kind(), ValueValidation | MissingSubcommand);
                assert!(named_only || placeholder, "{path}:{line}: `{command}`\n{error}");
            }
            understood += 1;
        }
    }
    assert!(understood > 10, "only {understood} commands were found");
}

/// Reads one document from its top to its end, and says how many commands were run.
#[track_caller]
fn read(path: &str) -> usize {
    let text = text_of(path);
    try_read(path, &text, PATIENCE).unwrap_or_else(|error| panic!("{path}:{error}"))
}

/// Like [`read`]; what is wrong begins with the line it stands in.
fn try_read(path: &str, text: &str, patience: Duration) -> Result<usize, String> {
    let name: String = path.chars().filter(|c| c.is_ascii_lowercase()).collect();
    let mut shell = Shell::open(&name);
    let mut ran = 0;
    for block in markdown::blocks(text) {
        let done = match (block.language, block.not_run) {
            (_, Some("")) => Err("say why it is not run".to_owned()),
            (_, Some(_)) => Ok(0),
            ("sh", None) => once(&mut shell, &block),
            ("console", None) => until_like(&mut shell, &block, patience),
            ("toml", None) => check_configuration(&block),
            ("ini", None) => check_unit(&shell, &block),
            ("text", None) => Ok(0),
            (other, None) => Err(format!("nobody knows what to do with a block of {other:?}")),
        };
        ran += done.map_err(|error| format!("{}: {error}\n{}", block.line, shell.log()))?;
    }
    let log = shell.log();
    if log.contains(" panicked at ") {
        return Err(format!("1: something panicked\n{log}"));
    }
    Ok(ran)
}

fn once(shell: &mut Shell, block: &Block<'_>) -> Result<usize, String> {
    match shell.run(&block.text).failed {
        None => Ok(1),
        Some(command) => Err(format!("`{command}` failed")),
    }
}

fn until_like(shell: &mut Shell, block: &Block<'_>, patience: Duration) -> Result<usize, String> {
    let commands = markdown::shown(&block.text);
    if commands.is_empty() {
        return Err("a console block has no line that begins with `$ `".to_owned());
    }
    for Shown { command, output } in &commands {
        let output = shell.here(output);
        let began = std::time::Instant::now();
        let mut step = shell.run(command);
        while step.failed.is_some() || !likeness::is_like(&output, &step.printed) {
            if began.elapsed() > patience {
                let why = step.failed.map(|failed| format!(" (`{failed}` failed)")).unwrap_or_default();
                return Err(format!("`{command}` should print\n{output}\nand printed{why}\n{}", step.printed));
            }
            step = shell.again(&format!("sleep 0.2\n{command}"));
        }
    }
    Ok(commands.len())
}

fn check_configuration(block: &Block<'_>) -> Result<usize, String> {
    let sandbox = Sandbox::new("doc-file");
    sandbox.write("file.toml", &block.text);
    let ended = sandbox.run(&mut sandbox.steadfast(["check", "file.toml"]));
    if ended.code() == 0 { Ok(0) } else { Err(format!("{ended:?}")) }
}

fn check_unit(shell: &Shell, block: &Block<'_>) -> Result<usize, String> {
    let first = block.text.lines().next().unwrap_or_default();
    let name = first.strip_prefix("# ").and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    let name = name.ok_or("a unit file begins with a comment that says where it goes")?;
    let sandbox = Sandbox::new("doc-unit");
    let file = sandbox.write(name, &shell.here(&block.text));
    let ended = sandbox.run(sandbox.command("systemd-analyze").arg("verify").arg(file));
    // What it does not understand it only warns of, and ignores.
    if ended.code() == 0 && ended.err.is_empty() { Ok(0) } else { Err(format!("{ended:?}")) }
}

/// The documents: README.md and everything below docs/, by their path from the root.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    let mut directories = vec![PathBuf::from("docs")];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(root().join(&directory)).expect("list the documents").flatten();
        for path in entries.map(|entry| directory.join(entry.file_name())) {
            if root().join(&path).is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.to_str().expect("a plain name").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_document_that_lies_is_found_out() {
    let wrong = |document: &str| match try_read("lie", document, Duration::ZERO) {
        Ok(_) => panic!("{document} lies"),
        Err(error) => error,
    };
    assert!(wrong("a\n```sh\ntrue\nfalse\ntrue\n```\n").starts_with("2: `false` failed"));
    assert!(wrong("```console\n$ echo one\ntwo\n```\n").contains("should print\ntwo\nand printed\none"));
    assert!(wrong("```console\n$ (echo one; exit 3)\none\n```\n").contains("failed"));
    assert!(wrong("```toml\n[sets.a]\nkind = \"double\"\n```\n").contains("double"));
    let unit = wrong("```ini\n# /etc/systemd/system/a.service\n[Service]\nExecStart=/bin/true\nNo=1\n```\n");
    assert!(unit.contains("'No'"), "{unit}");
    assert!(wrong("```\nls\n```\n").contains("nobody knows"));
    assert!(wrong("```sh not-run:\nls\n```\n").contains("why"));
}

#[test]
fn a_document_is_one_shell() {
    let document = "```sh\nsleep 100 &\nexport A=1\nmkdir b && cd b\n```\n```console\n$ echo $A; basename $PWD; jobs | wc -l\n1\nb\n1\n```\n";
    assert_eq!(try_read("shell", document, PATIENCE), Ok(2));
}
