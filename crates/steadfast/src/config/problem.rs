//! What is wrong with a configuration file, and where: as many problems at once as it has.

use std::fmt;
use std::ops::Range;

use steadfast_core::conceal;
pub(crate) use steadfast_core::nearest;

/// So many problems are shown; a file with more has one cause.
const SHOWN_PROBLEMS: usize = 20;

/// Everything wrong with one file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub(super) Vec<Problem>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// `file:line:column`; only the file's name where the problem is of the whole file.
    place: String,
    /// The line it stands in, and how many characters of it from which column on.
    shown: Option<(String, usize, usize)>,
    /// Byte offset, for the order.
    pub(super) offset: usize,
    /// What, and what would be right.
    what: String,
}

impl Problems {
    /// There is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each problem as one line, without the line of the file.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect()
    }

    /// For people, as things that are allowed.
    pub fn as_warnings(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write(f, "warning: "))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, sign: &str) -> fmt::Result {
        for (number, problem) in self.0.iter().take(SHOWN_PROBLEMS).enumerate() {
            let between = if number > 0 { "\n" } else { "" };
            write!(f, "{between}{sign}{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN_PROBLEMS) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        if let Some((line, before, length)) = &self.shown {
            write!(f, "\n    {line}\n    {:before$}{}", "", "^".repeat((*length).max(1)))?;
        }
        Ok(())
    }
}

impl Problem {
    /// A problem with the file as a whole.
    pub(super) fn whole(file: &str, what: String) -> Problem {
        Problem { place: file.to_owned(), shown: None, offset: 0, what }
    }

    /// A problem with the bytes `span` of `text`.
    pub(super) fn at(file: &str, text: &str, span: Range<usize>, what: String) -> Problem {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line_number = text[..start].matches('\n').count() + 1;
        let before = text[line_start..start].chars().count();
        let length = text[start..end.min(line_end)].chars().count();
        // A tab is as wide as the terminal likes: shown as one space, so that the mark stands below its place.
        let line = text[line_start..line_end].trim_end().replace('\t', " ");
        // The line that is wrong may be the one with the password.
        Problem {
            place: format!("{file}:{line_number}:{}", before + 1),
            shown: Some((conceal::urls(&line), before, length)),
            offset: start,
            what: conceal::urls(&what),
        }
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// `"a", "b" and "c"`, for an error that says what there is.
pub(crate) fn listed<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let mut quoted: Vec<String> = all.into_iter().map(|one| format!("\"{one}\"")).collect();
    match quoted.pop() {
        None => "none".to_owned(),
        Some(only) if quoted.is_empty() => only,
        Some(last) => format!("{} and {last}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests;
