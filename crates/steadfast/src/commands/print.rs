//! What commands print: tables, colours where a person looks on, JSON for programs.
//!
//! Much of it was said by others: keys, names, the words of a server. A terminal obeys what it is shown, so whatever is
//! printed passes one [`guard`], which leaves our own colours and shows everything else that a terminal would obey.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use steadfast_host::clock::{self, WallTime};

use crate::exit::Failure;

/// Paints text, if standard output is a terminal and nobody asked for none (`NO_COLOR`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output as it is.
    pub(crate) fn detect() -> Paint {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint(io::stdout().is_terminal() && !unwanted)
    }

    /// For tests: nothing is painted.
    #[cfg(test)]
    pub(crate) fn plain() -> Paint {
        Paint(false)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn unsure(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Takes back the line that the cursor stands in.
pub(crate) const CLEAR_LINE: &str = "\r\u{1b}[K";

/// The sequences that [`Paint`] makes, behind their escape.
const COLOURS: [&str; 6] = ["[0m", "[1m", "[2m", "[31m", "[32m", "[33m"];

/// `text` without anything that a terminal would obey, or that changes the order in which it is read; such a character
/// is shown as `\u{1b}`. Our own colours stay, ends of lines, and [`CLEAR_LINE`] at the beginning.
pub(crate) fn guard(text: &str) -> String {
    let (mut done, mut rest) = match text.strip_prefix(CLEAR_LINE) {
        Some(rest) => (CLEAR_LINE.to_owned(), rest),
        None => (String::new(), text),
    };
    while let Some(at) = rest.find(|c: char| c != '\n' && is_obeyed(c)) {
        done.push_str(&rest[..at]);
        rest = &rest[at..];
        let colour = COLOURS.iter().find(|colour| rest.strip_prefix('\u{1b}').is_some_and(|r| r.starts_with(**colour)));
        let (taken, tail) =
            rest.split_at(colour.map_or_else(|| rest.chars().next().map_or(0, char::len_utf8), |c| c.len() + 1));
        match colour {
            Some(_) => done.push_str(taken),
            None => done.extend(taken.chars().flat_map(char::escape_unicode)),
        }
        rest = tail;
    }
    done.push_str(rest);
    done
}

/// Control characters, and those by which text runs from right to left or ends a line unseen (Unicode's "Trojan Source").
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value as one line of JSON. What a terminal would obey stands in it as `\u001b`.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::new(crate::exit::Exit::No, error))?;
    Ok(writeln!(io::stdout().lock(), "{}", guard_json(&line))?)
}

/// JSON in which everything a terminal would obey is escaped: it means the same. Outside its texts there is no such
/// character.
fn guard_json(line: &str) -> String {
    let mut done = String::with_capacity(line.len());
    for c in line.chars() {
        if is_obeyed(c) {
            done.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            done.push(c);
        }
    }
    done
}

/// A line on standard output. A reader that went away (`| head`) is an error like any other, not a panic.
pub(crate) fn out(line: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", guard(&line.to_string()))
}

/// Text on standard output as it is, shown at once.
pub(crate) fn out_text(text: impl fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{}", guard(&text.to_string()))?;
    stdout.flush()
}

/// A line on standard error. That nobody reads it is nobody's problem.
pub(crate) fn err(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{}", guard(&line.to_string()));
}

/// How something that takes a while is going: one line on standard error that is rewritten where a person looks on, and
/// told anew when it has changed where not.
pub(crate) struct Live {
    silent: bool,
    terminal: bool,
    shown: String,
}

impl Live {
    /// For standard error as it is; with `silent` nothing is shown.
    pub(crate) fn detect(silent: bool) -> Live {
        Live { silent, terminal: io::stderr().is_terminal(), shown: String::new() }
    }

    pub(crate) fn show(&mut self, line: &str) {
        if self.silent || self.shown == line {
            return;
        }
        line.clone_into(&mut self.shown);
        if self.terminal {
            let _ = write!(io::stderr().lock(), "{CLEAR_LINE}{}", guard(line));
        } else {
            err(line);
        }
    }

    /// Takes the line back: what comes next says how it ended.
    pub(crate) fn end(&mut self) {
        if self.terminal && !self.shown.is_empty() {
            let _ = write!(io::stderr().lock(), "{CLEAR_LINE}");
        }
    }
}

/// Rows under a heading, the columns as wide as their widest cell; no spaces at the ends of lines.
pub(crate) fn table(paint: Paint, indent: &str, heading: &[&str], rows: &[Vec<Cell>]) -> String {
    Columns::new(heading).rows(paint, indent, rows)
}

/// A table that is shown in parts, as they become known. A column is as wide as the widest cell so far.
pub(crate) struct Columns {
    heading: Vec<Cell>,
    widths: Vec<usize>,
    begun: bool,
}

impl Columns {
    pub(crate) fn new(heading: &[&str]) -> Columns {
        let widths = heading.iter().map(|text| text.chars().count()).collect();
        Columns { heading: heading.iter().map(|text| Cell::dim(*text)).collect(), widths, begun: false }
    }

    /// The next rows, under the heading if they are the first.
    pub(crate) fn rows(&mut self, paint: Paint, indent: &str, rows: &[Vec<Cell>]) -> String {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let heading = (!std::mem::replace(&mut self.begun, true)).then_some(&self.heading);
        let mut text = String::new();
        for row in heading.into_iter().chain(rows) {
            let mut line = indent.to_owned();
            for (index, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
                let last = index + 1 == row.len();
                let pad = if last { 0 } else { width.saturating_sub(cell.text.chars().count()) + 2 };
                line.push_str(&cell.painted(paint));
                line.push_str(&" ".repeat(pad));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    look: Look,
}

#[derive(Clone, Copy, Debug)]
enum Look {
    Plain,
    Dim,
    Good,
    Bad,
    Unsure,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Cell {
        Cell::new(text, Look::Plain)
    }

    pub(crate) fn dim(text: impl Into<String>) -> Cell {
        Cell::new(text, Look::Dim)
    }

    pub(crate) fn good(text: impl Into<String>) -> Cell {
        Cell::new(text, Look::Good)
    }

    pub(crate) fn bad(text: impl Into<String>) -> Cell {
        Cell::new(text, Look::Bad)
    }

    pub(crate) fn unsure(text: impl Into<String>) -> Cell {
        Cell::new(text, Look::Unsure)
    }

    fn new(text: impl Into<String>, look: Look) -> Cell {
        // The end of a line in a cell would begin a row that nobody wrote.
        Cell { text: guard(&text.into()).replace('\n', "\\n"), look }
    }

    fn painted(&self, paint: Paint) -> String {
        match self.look {
            Look::Plain => self.text.clone(),
            Look::Dim => paint.dim(&self.text),
            Look::Good => paint.good(&self.text),
            Look::Bad => paint.bad(&self.text),
            Look::Unsure => paint.unsure(&self.text),
        }
    }
}

/// Draws how full something is, in the finest marks that are surely shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// In eighths of a character.
    Fine,
    /// In whole characters, where the terminal may know no others.
    Plain,
}

/// So many characters long is a full bar.
const BAR_CELLS: usize = 10;
/// A character filled by one to seven eighths.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

impl Bar {
    /// As the locale says what is shown.
    pub(crate) fn detect() -> Bar {
        let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| set(name));
        let locale = locale.and_then(|name| std::env::var(name).ok()).unwrap_or_default().to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { Bar::Fine } else { Bar::Plain }
    }

    /// A bar for this part; more than the whole is drawn as the whole. Something is never drawn as nothing.
    pub(crate) fn of(self, part: f64) -> String {
        let eighths = (part.clamp(0.0, 1.0) * (BAR_CELLS * 8) as f64).round() as usize;
        let eighths = if part > 0.0 { eighths.max(1) } else { eighths };
        match self {
            Bar::Fine => {
                let mut text = "█".repeat(eighths / 8);
                text.extend((eighths % 8).checked_sub(1).map(|index| EIGHTHS[index]));
                text
            }
            Bar::Plain => {
                let full = eighths.div_ceil(8);
                format!("{}{}", "#".repeat(full), ".".repeat(BAR_CELLS - full))
            }
        }
    }
}

/// A number with its thousands apart: `4 212`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// How long ago a time of the books is, for people: `2 min`. Clocks of machines differ: never decided upon.
pub(crate) fn ago(at: &str) -> Option<String> {
    let at: WallTime = at.parse().ok()?;
    let ms = clock::wall().unix_millis() - at.unix_millis();
    Some(rough_span(u64::try_from(ms).ok()?))
}

/// A span for people: `2 min`.
pub(crate) fn rough_span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time of the books as people read it: date and time apart, without the zone, which is UTC.
pub(crate) fn when(at: &str) -> String {
    at.trim_end_matches('Z').replacen('T', " ", 1)
}

#[cfg(test)]
mod tests;
