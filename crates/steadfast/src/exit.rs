//! How a command ends.

use std::process::ExitCode;

use steadfast_host::problem::Problem;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Yes, done.
    Yes,
    /// No, or it failed.
    No,
    /// The command line or the configuration is wrong.
    Usage,
    /// Whoever was to be asked does not answer.
    Unreachable,
    /// Whoever was asked refuses, with a reason.
    Refused,
    /// What a supervised application ended with.
    Application(u8),
}

impl Exit {
    /// What each code means, for the manual.
    pub const MEANINGS: [(Exit, &'static str); 5] = [
        (Exit::Yes, "Yes, or done."),
        (Exit::No, "No, or it failed."),
        (Exit::Usage, "The command line or the configuration is wrong."),
        (Exit::Unreachable, "Whoever was to be asked does not answer."),
        (Exit::Refused, "Whoever was asked refuses, with a reason."),
    ];

    /// The process' exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Refused => 4,
            Exit::Application(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// A command that failed: the sentence for a person, and the exit code for a script.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened, where, and what would be right.
    pub error: anyhow::Error,
}

/// What a command comes to.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure of this class.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit, error: error.into() }
    }

    /// A mistake on the command line or in the configuration.
    pub fn usage(what: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Usage, anyhow::anyhow!("{what}"))
    }
}

/// Anything not sorted otherwise just failed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Exit::No, error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let exit = match problem.status {
            // What was named is not there, or cannot be right: a slip on the command line.
            400 | 404 | 422 => Exit::Usage,
            401 | 403 | 409 | 412 | 415 | 421 => Exit::Refused,
            502..=504 => Exit::Unreachable,
            _ => Exit::No,
        };
        Failure::new(exit, anyhow::anyhow!("{}", problem.detail))
    }
}

/// An error and its causes, except those that are part of what was said before.
pub(crate) fn told_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
