//! The manual pages and the shells' completions: both made of the one definition of the command line, with nothing in
//! them of the machine or the moment, so that a package is the same whoever builds it.

use std::fs;
use std::io;

use clap::CommandFactory;
use clap_mangen::roff::{Roff, bold, roman};

use super::print::{out, out_text};
use crate::cli::{Cli, Completions, Man};
use crate::exit::{Exit, Failure, Outcome};

/// How the paragraph of a help text begins that a manual has a section of its own for.
const EXIT_CODES: &str = "Exit codes:";

pub(super) fn completions(flags: &Completions) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "steadfast", &mut text);
    out_text(String::from_utf8_lossy(&text))?;
    Ok(Exit::Yes)
}

pub(super) fn man(flags: &Man) -> Outcome {
    let pages = pages()?;
    let Some(directory) = &flags.directory else {
        let (_, first) = &pages[0];
        out_text(first)?;
        return Ok(Exit::Yes);
    };
    let failed = |path: &std::path::Path, error: io::Error| {
        Failure::new(Exit::No, anyhow::anyhow!("write {}: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, page) in &pages {
        let path = directory.join(name);
        fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    out(format_args!("{} pages are in {}", pages.len(), directory.display()))?;
    Ok(Exit::Yes)
}

/// The page of each command that a user is to know, by the name of its file; first that of `steadfast` itself.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let mut commands = vec![&all];
    // Each brings in those below it.
    let mut next = 0;
    while let Some(command) = commands.get(next) {
        commands.extend(command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help"));
        next += 1;
    }
    commands.iter().map(|command| page(command, &commands)).collect()
}

/// One page, which knows of `all` the others.
fn page(command: &clap::Command, all: &[&clap::Command]) -> io::Result<(String, String)> {
    let version = all[0].get_version().unwrap_or_default();
    let man = clap_mangen::Man::new(command.clone()).source(format!("steadfast {version}")).manual("Steadfast");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::default();
    let remarks = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    add_remarks(&mut rest, &remarks);
    add_exit_status(&mut rest);
    add_see_also(&mut rest, command, all);
    rest.to_writer(&mut page)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&page).into_owned()))
}

/// What a help text ends with. A paragraph with a heading is shown line by line as it stands: it has examples.
fn add_remarks(page: &mut Roff, remarks: &str) {
    for paragraph in remarks.split("\n\n").filter(|paragraph| !paragraph.starts_with(EXIT_CODES)) {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        match first.strip_suffix(':') {
            Some(heading) => {
                page.control("SH", [heading.to_uppercase().as_str()]);
                page.control("nf", []);
                for line in rest.lines() {
                    page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                }
                page.control("fi", []);
            }
            None => {
                page.control("PP", []);
                page.text([roman(paragraph)]);
            }
        }
    }
}

fn add_exit_status(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::MEANINGS {
        page.control("TP", []);
        page.text([bold(exit.code().to_string())]);
        page.text([roman(meaning)]);
    }
}

fn add_see_also(page: &mut Roff, command: &clap::Command, all: &[&clap::Command]) {
    page.control("SH", ["SEE ALSO"]);
    let others = all.iter().filter(|other| other.get_display_name() != command.get_display_name());
    let named = |other: &&clap::Command| other.get_display_name().unwrap_or(other.get_name()).to_owned();
    // Each page of a command leads to the first one, and that one to all of them.
    let names: Vec<String> = match command.has_subcommands() {
        true => others.map(named).collect(),
        false => vec![all[0].get_name().to_owned()],
    };
    for (index, name) in names.iter().enumerate() {
        let end = if index + 1 < names.len() { "(1)," } else { "(1)" };
        page.text([bold(name.as_str()), roman(end)]);
    }
}
