//! What packagers make of the program: manual pages and completions.

mod support;

use std::collections::BTreeMap;
use std::fs;

use clap::CommandFactory;
use support::Sandbox;

/// The commands that a user is to know.
fn commands() -> Vec<String> {
    below(&steadfast::cli::Cli::command())
}

fn below(command: &clap::Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| command.get_name().to_owned()).collect()
}

fn pages(sandbox: &Sandbox, directory: &str) -> BTreeMap<String, String> {
    let ended = sandbox.run(&mut sandbox.steadfast(["man", directory]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let entries = fs::read_dir(sandbox.path(directory)).expect("list the pages").flatten();
    let page = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a plain name");
        (name, fs::read_to_string(entry.path()).expect("read the page"))
    };
    entries.map(page).collect()
}

#[test]
fn every_command_has_its_page_and_no_other() {
    let sandbox = Sandbox::new("man");
    let pages = pages(&sandbox, "man1");
    let mut expected = vec!["steadfast.1".to_owned()];
    for command in steadfast::cli::Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("steadfast-{}", command.get_name());
        expected.extend(below(command).iter().map(|below| format!("{name}-{below}.1")));
        expected.push(format!("{name}.1"));
    }
    expected.sort();
    assert_eq!(pages.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, page) in &pages {
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{name} has no section {section}\n{page}");
        }
    }
    let first = sandbox.run(&mut sandbox.steadfast(["man"]));
    assert_eq!(first.out, pages["steadfast.1"]);
}

#[test]
fn the_pages_are_the_same_whoever_makes_them() {
    let sandbox = Sandbox::new("man-same");
    let first = pages(&sandbox, "one");
    let mut other = sandbox.steadfast(["man", "two/deep"]);
    other.env("STEADFAST_STORE", "http://secret:1").env("LANG", "de_DE.UTF-8").env("COLUMNS", "40");
    assert_eq!(sandbox.run(&mut other).code(), 0);
    for (name, page) in &first {
        assert_eq!(page, &fs::read_to_string(sandbox.path("two/deep").join(name)).expect("read the page"), "{name}");
    }
}

#[test]
fn groff_has_nothing_against_the_pages() {
    let sandbox = Sandbox::new("man-groff");
    for name in pages(&sandbox, "man1").keys() {
        let mut groff = sandbox.command("groff");
        let ended = sandbox.run(groff.args(["-man", "-Tutf8", "-Kutf8", "-ww", "-rHY=0"]).arg(format!("man1/{name}")));
        assert_eq!((ended.code(), ended.err.as_str()), (0, ""), "{name}");
        assert!(ended.out.contains("steadfast"), "{name}: {}", ended.out);
    }
}

#[test]
fn bash_completes_commands_and_flags() {
    let sandbox = Sandbox::new("completions");
    let completed = |words: &[&str]| {
        let typed = words.join(" ");
        let last = words.len() - 1;
        let script = format!(
            "source <(\"$0\" completions bash) && COMP_WORDS=({typed}) COMP_CWORD={last} && \
             _steadfast steadfast '{}' '{}' && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[last],
            words[last - 1],
        );
        let mut bash = sandbox.command("bash");
        let ended = sandbox.run(bash.args(["--norc", "-c", &script, env!("CARGO_BIN_EXE_steadfast")]));
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["steadfast", "dr"]), ["drain"]);
    assert_eq!(completed(&["steadfast", "drain", "--mov"]), ["--move-after"]);
    assert_eq!(completed(&["steadfast", "store", "init", "--print"]), ["--print-sql"]);
    let all = completed(&["steadfast", ""]);
    assert!(commands().iter().all(|command| all.contains(command)), "{all:?}");
}

#[test]
fn every_shell_has_its_completions() {
    let sandbox = Sandbox::new("completions-all");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = sandbox.run(&mut sandbox.steadfast(["completions", shell]));
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert!(ended.out.contains("switchover"), "{shell}: {}", ended.out);
    }
    assert_eq!(sandbox.run(&mut sandbox.steadfast(["completions", "csh"])).code(), 2);
}
