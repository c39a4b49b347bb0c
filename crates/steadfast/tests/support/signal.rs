//! Signals, sent through the shell: no `unsafe`, and no program that a small machine may lack.

use std::process::{Command, Stdio};

/// What a test does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Dies at once, without a word.
    Kill,
    /// Is asked to end.
    Term,
    /// Is asked to end from the keyboard.
    Int,
    /// Is asked to read its configuration again.
    Hup,
    /// Stands still until [`Signal::Cont`].
    Stop,
    Cont,
}

impl Signal {
    /// Sends the signal to a process; whether there was one.
    pub fn send(self, pid: u32) -> bool {
        self.send_to(&pid.to_string())
    }

    /// Sends the signal to a whole process group; whether there was one.
    pub fn send_to_group(self, group: u32) -> bool {
        self.send_to(&format!("-{group}"))
    }

    fn send_to(self, target: &str) -> bool {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"kill -s "$1" -- "$2""#, "kill", self.name(), target]);
        shell.stderr(Stdio::null()).status().expect("start sh").success()
    }

    fn name(self) -> &'static str {
        match self {
            Signal::Kill => "KILL",
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Hup => "HUP",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        }
    }
}
